"""What may be loaded by what, seen from fresh interpreters."""

import pkgutil
import subprocess
import sys

import pytest

import ztmcp_desktop

MODULES = sorted(
    found.name
    for found in pkgutil.walk_packages(ztmcp_desktop.__path__, "ztmcp_desktop.")
    if not found.name.startswith("ztmcp_desktop.ui")
)


def loaded_by(code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys\nprint('\\n'.join(sys.modules))"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return {name.partition(".")[0] for name in done.stdout.split()}


def test_no_module_outside_the_window_loads_qt() -> None:
    assert len(MODULES) > 50
    code = "import importlib, sys\n" + "\n".join(
        f"importlib.import_module({name!r}); assert 'PySide6' not in sys.modules, {name!r}" for name in MODULES
    )
    assert "PySide6" not in loaded_by(code)


@pytest.mark.parametrize("arguments", ["-h", "status"])
def test_quick_commands_load_neither_the_sdk_nor_qt(arguments: str) -> None:
    code = (
        "import sys\n"
        f"sys.argv = ['ztmcp', {arguments!r}]\n"
        "from ztmcp_desktop.__main__ import main\n"
        "import contextlib, io\n"
        "with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):\n"
        "    main()\n"
    )
    assert loaded_by(code).isdisjoint({"mcp", "mcp_types", "PySide6", "aiohttp", "cedarpy", "keyring"})


def test_qt_does_not_stay_in_the_way_of_later_imports() -> None:
    code = (
        "import builtins, linecache\n"
        "plain = builtins.__import__\n"
        "from ztmcp_desktop.ui import qt\n"
        "qt.load()\n"
        "assert builtins.__import__ is plain\n"
        "read = len(linecache.cache)\n"
        "import ztmcp_desktop.ui.application\n"
        "assert len(linecache.cache) == read, 'the sources of modules stay in memory'\n"
    )
    assert "PySide6" in loaded_by(code)
