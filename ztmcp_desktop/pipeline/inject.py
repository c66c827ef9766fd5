"""Stage 9: the secrets are put in, after the yes, into what only the server will see."""

from collections.abc import Mapping

from ztmcp_desktop.domain.call import Call, Outbound
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.digest import Digester
from ztmcp_desktop.domain.json import Json
from ztmcp_desktop.domain.names import SecretName, is_secret_name
from ztmcp_desktop.domain.proof import Consented, Identified, Injected
from ztmcp_desktop.domain.sealed import Sealed
from ztmcp_desktop.domain.server import LocalCommand, Server
from ztmcp_desktop.pipeline.terms import consent_digest, placeholder_name, placeholders, sent_params
from ztmcp_desktop.ports import ServerBook, Upstreams, Vault

VAULT_PREFIX = "secret/"


class Inject:
    """Seals what is really sent. Argument, header and environment secrets come from the keychain and go no further."""

    def __init__(self, vault: Vault, servers: ServerBook, upstreams: Upstreams, digester: Digester) -> None:
        self._vault = vault
        self._servers = servers
        self._upstreams = upstreams
        self._digester = digester

    async def __call__(self, call: Call) -> Call:
        server = self._servers.get(call.server)
        if consent_digest(call, server, self._digester) != call.proof(Consented).digest:
            raise Denial(Code.GATEWAY_FAULT, "the call is not the one that was consented to")
        named = placeholders(call.arguments)
        for name in named:
            if name not in server.secret_names():
                shown = f"the secret {name}" if is_secret_name(name) else "a secret that is named in the arguments"
                raise Denial(Code.SECRET_MISSING, f"{shown} was not given to {server.name}")
        if named and _is_mirrored(call.proof(Identified).pin.item.get("inputSchema"), call.arguments):
            raise Denial(Code.BLOCKED_CONTENT, f"{server.name} wants this secret in a header, where others may read it")
        values = {name: (await self._vault.read(VAULT_PREFIX + name)).open() for name in server.secret_names()}
        if self._servers.get(call.server) != server:
            raise Denial(Code.CHANGED_SINCE_APPROVAL, f"{server.name} was changed while its secrets were read")
        sent = call.with_params(sent_params(call))
        outbound = Outbound(
            params=sent.with_arguments(_filled(sent.arguments, values)).params if named else sent.params,
            env=_environment(server, values),
            headers=_headers(server, values),
            secrets={str(name): value for name, value in values.items()},
        )
        return call.with_outbound(Sealed(outbound)).proved(Injected(names=self._used(call, server, named)))

    def _used(self, call: Call, server: Server, named: tuple[SecretName, ...]) -> tuple[SecretName, ...]:
        """The secrets that this call puts in: those of the environment only where it starts the process."""
        match server.endpoint:
            case LocalCommand(secret_env=secret_env):
                running = self._upstreams.running_for(call)
                given = () if running else tuple(name for _, name in secret_env)
            case remote:
                given = tuple(name for _, name in remote.secret_headers)
        return tuple(dict.fromkeys(given + named))


def _filled(value: Json, values: Mapping[SecretName, str]) -> Json:
    match value:
        case dict():
            return {key: _filled(item, values) for key, item in value.items()}
        case list():
            return [_filled(item, values) for item in value]
        case _:
            name = placeholder_name(value)
            return value if name is None else values[name]


def _is_mirrored(schema: Json, value: Json) -> bool:
    """Whether a placeholder stands where the pinned schema says `x-mcp-header` (2026-07-28, streamable HTTP)."""
    properties = schema.get("properties") if isinstance(schema, dict) else None
    if not isinstance(properties, dict) or not isinstance(value, dict):
        return False
    return any(
        (placeholder_name(item) is not None and "x-mcp-header" in properties[key])
        or _is_mirrored(properties[key], item)
        for key, item in value.items()
        if isinstance(properties.get(key), dict)
    )


def _environment(server: Server, values: Mapping[SecretName, str]) -> dict[str, str]:
    match server.endpoint:
        case LocalCommand(env=env, secret_env=secret_env):
            return {**dict(env), **{variable: values[name] for variable, name in secret_env}}
        case _:
            return {}


def _headers(server: Server, values: Mapping[SecretName, str]) -> dict[str, str]:
    match server.endpoint:
        case LocalCommand():
            return {}
        case remote:
            return {**dict(remote.headers), **{header: values[name] for header, name in remote.secret_headers}}
