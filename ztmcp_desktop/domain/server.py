"""A server as the person configured it."""

from dataclasses import dataclass, field

from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.domain.limits import Limits
from ztmcp_desktop.domain.names import SecretName, ServerName


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalCommand:
    """A process on this machine, spoken to over stdio.

    `argv` is what the person wrote. `env` holds plain values; `secret_env` maps a variable to a secret's name.
    """

    argv: tuple[str, ...]
    env: tuple[tuple[str, str], ...] = ()
    secret_env: tuple[tuple[str, SecretName], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteUrl:
    """A server reached over Streamable HTTP. `headers` are plain; `secret_headers` name secrets."""

    url: str
    headers: tuple[tuple[str, str], ...] = ()
    secret_headers: tuple[tuple[str, SecretName], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """One configured server. `mask_results` off lets personal data in results through as it is."""

    name: ServerName
    endpoint: LocalCommand | RemoteUrl
    limits: Limits = field(default_factory=Limits)
    argument_secrets: tuple[SecretName, ...] = ()
    mask_results: bool = True

    def secret_names(self) -> tuple[SecretName, ...]:
        """Every secret that was given to this server, wherever it is put."""
        match self.endpoint:
            case LocalCommand(secret_env=given) | RemoteUrl(secret_headers=given):
                return tuple(dict.fromkeys([name for _, name in given] + list(self.argument_secrets)))

    def terms(self) -> JsonObject:
        """All that the person approves before the server runs, as JSON: the command or address and the limits."""
        where: JsonObject
        match self.endpoint:
            case LocalCommand(argv=argv, env=env, secret_env=secret_env):
                where = {"argv": list(argv), "env": dict(env), "secret_env": dict(secret_env)}
            case RemoteUrl(url=url, headers=headers, secret_headers=secret_headers):
                where = {"url": url, "headers": dict(headers), "secret_headers": dict(secret_headers)}
        limits = self.limits
        return {
            "name": self.name,
            **where,
            "folders": [[str(f.path), f.access.value] for f in limits.folders],
            "limits": {
                "memory_bytes": limits.memory_bytes,
                "processes": limits.processes,
                "open_files": limits.open_files,
                "call_s": limits.call_s,
                "start_s": limits.start_s,
                "result_bytes": limits.result_bytes,
            },
            "argument_secrets": list(self.argument_secrets),
            "mask_results": self.mask_results,
        }
