"""Where the shipped files are: in the installed package, or beside it in a checkout."""

from pathlib import Path

from ztmcp_desktop.domain.denial import Code, Denial

_PACKAGE = Path(__file__).resolve().parent.parent
_PLACES = (_PACKAGE / "resources", _PACKAGE.parent / "resources")


def resource(name: str) -> Path:
    """The path of the shipped file or folder `name`, e.g. `policy/default.cedar`.

    Raises:
        Denial: it is not there, so the installation is incomplete (`gateway-fault`).
    """
    for place in _PLACES:
        if (place / name).exists():
            return place / name
    raise Denial(Code.GATEWAY_FAULT, f"the installation lacks {name}; install ztmcp-desktop again")


def resource_text(name: str) -> str:
    """The text of the shipped file `name`. Raises as `resource`."""
    return resource(name).read_text(encoding="utf-8")


def help_texts() -> dict[str, str]:
    """The pages of the help in order, file name to Markdown; none where they are missing, as no call needs them."""
    try:
        files = sorted(resource("help").glob("*.md"))
        return {file.name: file.read_text(encoding="utf-8") for file in files}
    except (Denial, OSError, UnicodeDecodeError):
        return {}
