"""A proposed server: what of it is refused at once, and how it is shown before it is approved."""

import json
import re
from pathlib import Path
from urllib.parse import urlsplit

from ztmcp_desktop.control.verbs import Arguments, wrong
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.json import Json, JsonObject
from ztmcp_desktop.domain.limits import Access, Folder, Limits
from ztmcp_desktop.domain.names import SecretName, ServerName, is_secret_name
from ztmcp_desktop.domain.offer import ItemKind, Offer
from ztmcp_desktop.domain.runtime import Runtime
from ztmcp_desktop.domain.server import LocalCommand, RemoteUrl, Server
from ztmcp_desktop.scan.hidden import signs as hidden_signs
from ztmcp_desktop.scan.hidden import visible
from ztmcp_desktop.scan.injection import signs as injection_signs
from ztmcp_desktop.scan.protected import refuse_folder, refuse_variable
from ztmcp_desktop.scan.words import strings_of

ADD_ARGUMENTS = (
    "name",
    "argv",
    "url",
    "env",
    "secret_env",
    "folders",
    "headers",
    "secret_headers",
    "argument_secrets",
    "mask_results",
)
MAX_ARGV = 256
MAX_SIGNS = 100
MIB = 1024**2
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}", re.ASCII)
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}", re.ASCII)
# These are made from each message, or are not for servers to see.
_OUR_HEADERS = frozenset(
    {"host", "content-length", "content-type", "connection", "transfer-encoding", "accept", "cookie"}
)


def proposed_server(untrusted: JsonObject, own: tuple[Path, ...], user_home: Path) -> Server:
    """The server that the arguments of `server.add` describe.

    Raises:
        Denial: they do not fit (`schema-mismatch`), or ask for what no limit may open (`outside-limits`).
    """
    arguments = Arguments.of(untrusted, *ADD_ARGUMENTS)
    mask = untrusted.get("mask_results", True)
    if not isinstance(mask, bool):
        wrong("mask_results must be true or false")
    if bool(untrusted.get("argv")) == bool(untrusted.get("url")):
        wrong("a server has either a command or a url")
    local = bool(untrusted.get("argv"))
    for key in ("headers", "secret_headers") if local else ("env", "secret_env", "folders"):
        if untrusted.get(key):
            wrong(f"{key} is not for a {'local' if local else 'remote'} server")
    return Server(
        name=ServerName(arguments.name()),
        endpoint=_local(arguments) if local else _remote(arguments),
        limits=Limits(folders=_folders(untrusted.get("folders", []), own, user_home)),
        argument_secrets=_secret_names(arguments.texts("argument_secrets")),
        mask_results=mask,
    )


def _local(arguments: Arguments) -> LocalCommand:
    argv, env, secret_env = arguments.texts("argv"), arguments.pairs("env"), arguments.pairs("secret_env")
    if len(argv) > MAX_ARGV or not argv[0] or any("\0" in part for part in argv):
        wrong("the command is empty, too long or holds a NUL")
    for variable in [key for key, _ in env] + [key for key, _ in secret_env]:
        if not _VARIABLE.fullmatch(variable):
            wrong(f"{variable[:64]!r} is no name of a variable")
        if reason := refuse_variable(variable):
            raise Denial(Code.OUTSIDE_LIMITS, f"the variable {variable} may not be set: {reason}")
    if any("\0" in value for _, value in env):
        wrong("a variable holds a NUL")
    names = _secret_names(tuple(name for _, name in secret_env))
    return LocalCommand(argv=argv, env=env, secret_env=tuple(zip((key for key, _ in secret_env), names, strict=True)))


def _remote(arguments: Arguments) -> RemoteUrl:
    url, headers, secret_headers = arguments.text("url"), arguments.pairs("headers"), arguments.pairs("secret_headers")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        wrong("this is no URL")
    if parts.scheme not in {"http", "https"} or not parts.hostname or port == 0:
        wrong("the URL must begin with https:// or http:// and name a host")
    if parts.username is not None or parts.password is not None or parts.fragment:
        wrong("the URL may hold no user, password or fragment; a secret goes into --secret-header")
    if not url.isascii() or not url.isprintable() or " " in url:
        wrong("the URL may hold printable ASCII only")
    for key, value in (*headers, *secret_headers):
        if not _HEADER.fullmatch(key) or key.lower() in _OUR_HEADERS or key.lower().startswith(("mcp-", "proxy-")):
            wrong(f"{key[:64]!r} may not be set as a header")
        if not value.isascii() or not value.isprintable():
            wrong(f"the header {key} may hold printable ASCII only")
    names = _secret_names(tuple(name for _, name in secret_headers))
    pairs = tuple(zip((key for key, _ in secret_headers), names, strict=True))
    return RemoteUrl(url=url, headers=headers, secret_headers=pairs)


def _folders(untrusted: object, own: tuple[Path, ...], user_home: Path) -> tuple[Folder, ...]:
    if not isinstance(untrusted, list):
        wrong("folders must be a list of [path, ro or rw]")
    return tuple(_folder(item, own, user_home) for item in untrusted)


def _folder(untrusted: object, own: tuple[Path, ...], user_home: Path) -> Folder:
    match untrusted:
        case [str(path), ("ro" | "rw") as access] if "\0" not in path:
            folder = Path(path)
        case _:
            wrong("folders must be a list of [path, ro or rw]")
    if not folder.is_absolute():
        wrong(f"{path} is not an absolute path")
    try:
        folder = folder.resolve(strict=True)
    except (OSError, RuntimeError) as error:
        raise Denial(
            Code.OUTSIDE_LIMITS, f"the folder {path} is not there, or cannot be reached; make it first, or name another"
        ) from error
    if not folder.is_dir():
        raise Denial(Code.OUTSIDE_LIMITS, f"{path} is not a folder")
    if reason := refuse_folder(folder, own, user_home):
        raise Denial(Code.OUTSIDE_LIMITS, f"the folder {path} may not be given to a server: {reason}")
    return Folder(path=folder, access=Access(access))


def _secret_names(untrusted: tuple[str, ...]) -> tuple[SecretName, ...]:
    for name in untrusted:
        if not is_secret_name(name):
            wrong(f"{name[:64]!r} is no name of a secret")
    return tuple(SecretName(name) for name in untrusted)


def runtime_json(runtime: Runtime | None) -> JsonObject | None:
    """The runtime as it is shown, None for a remote server."""
    if runtime is None:
        return None
    return {
        "argv": list(runtime.argv),
        "mounts": [str(path) for path in runtime.mounts],
        "installed": list(runtime.installed),
    }


def offer_json(offer: Offer) -> JsonObject:
    """What a server offers, raw; all of it is untrusted."""
    return {
        "instructions": offer.instructions,
        **{kind.value: [dict(item) for item in offer.items.get(kind, ())] for kind in ItemKind},
    }


def terms_facts(server: Server, runtime: Runtime | None) -> tuple[tuple[str, str], ...]:
    """What is approved in the first step, line by line for the person; nothing is cut."""
    facts: list[tuple[str, str]] = [("Server", server.name)]
    match server.endpoint:
        case LocalCommand(argv=argv, env=env, secret_env=secret_env):
            facts += [("Command", "\n".join(argv)), *((f"Variable {key}", value) for key, value in env)]
            facts += [(f"Secret in {key}", name) for key, name in secret_env]
        case RemoteUrl(url=url, headers=headers, secret_headers=secret_headers):
            facts += [("Address", url), *((f"Header {key}", value) for key, value in headers)]
            facts += [(f"Secret in header {key}", name) for key, name in secret_headers]
    if server.argument_secrets:
        facts.append(("Secrets in arguments", "\n".join(server.argument_secrets)))
    if isinstance(server.endpoint, LocalCommand):
        words = {Access.READ_ONLY: "read only", Access.READ_WRITE: "read and write"}
        folders = [f"{folder.path} ({words[folder.access]})" for folder in server.limits.folders]
        facts += [("Folders", "\n".join(folders) or "none"), ("Network", "none")]
        facts.append(("Memory", f"at most {server.limits.memory_bytes / MIB:g} MiB"))
        facts.append(("Processes", f"at most {server.limits.processes}"))
    if runtime is not None:
        facts.append(("Runs as", "\n".join(runtime.argv)))
        facts.append(("Sees, read only", "\n".join(str(path) for path in runtime.mounts) or "the system's programs"))
        if runtime.installed:
            facts.append(("Installed", "\n".join(runtime.installed)))
    if not server.mask_results:
        facts.append(("Personal data in answers", "not masked"))
    return tuple(facts)


def installed_facts(runtime: Runtime | None) -> tuple[tuple[str, str], ...]:
    """What was installed for the command and how it is run, for the second step; empty where nothing was."""
    if runtime is None or not runtime.installed:
        return ()
    return (("Installed", "\n".join(runtime.installed)), ("Runs as", "\n".join(runtime.argv)))


def offer_facts(offer: Offer) -> tuple[tuple[str, str], ...]:
    """What is approved in the second step, line by line for the person; the words are the server's own.

    Nothing of a thing is left out: a schema's descriptions are read by the model as much as the tool's own.
    """
    facts = [("The server's instructions", offer.instructions)] if offer.instructions else []
    for kind, label in (
        (ItemKind.TOOL, "Tool"),
        (ItemKind.PROMPT, "Prompt"),
        (ItemKind.RESOURCE, "Resource"),
        (ItemKind.TEMPLATE, "Resource template"),
    ):
        facts += [(f"{label} {item.get(kind.key)}", _said(item, kind)) for item in offer.items.get(kind, ())]
    return tuple((label, str(text)) for label, text in facts)


def _said(item: JsonObject, kind: ItemKind) -> str:
    """The description, then all else as JSON."""
    words = item.get("description")
    described = isinstance(words, str)
    rest = {key: value for key, value in item.items() if key != kind.key and not (described and key == "description")}
    return "\n".join([*([str(words)] if described else []), *([json.dumps(rest, ensure_ascii=False)] if rest else [])])


def offer_signs(offer: Offer) -> tuple[str, ...]:
    """Sentences about what in the offer is hidden, or speaks to the model, for whoever approves it (T1)."""
    said: list[tuple[str, Json]] = [("The server's instructions", offer.instructions or "")]
    for kind in ItemKind:
        said += [(f"{kind.value} {visible(str(item.get(kind.key)))}", item) for item in offer.items.get(kind, ())]
    found = [(where, signs) for where, value in said if (signs := _signs(value))]
    return tuple(f"{where}: {', '.join(signs)}" for where, signs in found[:MAX_SIGNS])


def _signs(value: Json) -> tuple[str, ...]:
    texts = [leaf.value for leaf in strings_of(value)]
    return tuple(sorted({sign for text in texts for sign in (*hidden_signs(text), *injection_signs(text))}))
