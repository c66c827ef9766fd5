"""Approval in two steps: the command with its limits, then what is offered. What was shown is what is approved."""

import asyncio
from dataclasses import dataclass

from ztmcp_desktop.control.last_words import LastWords
from ztmcp_desktop.control.parts import PlaneParts
from ztmcp_desktop.control.server_terms import (
    installed_facts,
    offer_facts,
    offer_json,
    offer_signs,
    runtime_json,
    terms_facts,
)
from ztmcp_desktop.control.verbs import Arguments, Verb, Verbs
from ztmcp_desktop.domain.consent import Widening
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.domain.ledger import Draft, EntryKind
from ztmcp_desktop.domain.names import Digest, ServerName
from ztmcp_desktop.domain.offer import ItemKind, Offer
from ztmcp_desktop.domain.runtime import Runtime
from ztmcp_desktop.domain.server import LocalCommand, Server
from ztmcp_desktop.gateway.pins import warnings as offer_warnings

# A package may have to be fetched, then the server answers for at most 20 s.
APPROVE_S = 300.0
RESOLVE_S = 20.0
_PINNED = "each name and description, and also each title, schema and annotation, which are not shown here"
_NO_ANSWER = frozenset({Code.SERVER_UNAVAILABLE, Code.TOO_SLOW, Code.TOO_LARGE})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """What a server offered when it was tried, waiting for the second yes."""

    server: Server
    offer: Offer
    installed: tuple[tuple[str, str], ...]
    digest: Digest


class Approvals:
    """The verbs `server.terms`, `server.approve-command` and `server.approve-offer`."""

    def __init__(self, parts: PlaneParts) -> None:
        self._parts = parts
        self._last_words = LastWords(parts)
        self._seen: dict[ServerName, _Seen] = {}

    def verbs(self) -> Verbs:
        return {
            "server.terms": Verb(do=self.terms, patience_s=RESOLVE_S),
            "server.approve-command": Verb(
                do=self.approve_command, proposes=self._approving_command, patience_s=APPROVE_S
            ),
            "server.approve-offer": Verb(do=self.approve_offer, proposes=self._approving_offer),
        }

    def forget(self, name: ServerName) -> None:
        """Drop what waits for a second yes, and the last words of a trial."""
        self._seen.pop(name, None)
        self._last_words.forget(name)

    async def terms(self, untrusted: JsonObject) -> JsonObject:
        server = self._parts.configuration.get(ServerName(Arguments.of(untrusted, "name").name()))
        runtime, warnings = await self._preview(server)
        return {
            "terms": server.terms(),
            "runtime": runtime_json(runtime),
            "warnings": list(warnings),
            "facts": [list(fact) for fact in terms_facts(server, runtime)],
            "digest": self._terms_digest(server, runtime),
        }

    async def approve_command(self, untrusted: JsonObject) -> JsonObject:
        server, preview, _ = await self._shown(untrusted)
        runtime = await self._resolved(server, preview)
        await self._record(server, "approve-command", {**server.terms(), "runtime": runtime_json(runtime)})
        if self._parts.configuration.get(server.name) != server:
            raise Denial(Code.CHANGED_SINCE_APPROVAL, f"{server.name} was changed while it was approved")
        self._parts.catalogue.approve_command(server, runtime)
        self.forget(server.name)
        await self._parts.upstreams.stop(server=server.name)
        try:
            offer = await self._parts.upstreams.probe(server, runtime)
        except Denial as denial:
            if denial.code not in _NO_ANSWER:
                raise
            return {
                "answered": False,
                "reason": denial.reason,
                "log": self._last_words.keep(server.name),
                "offer": None,
                "facts": [list(fact) for fact in installed_facts(runtime)],
                "warnings": [],
                "digest": None,
            }
        digest = self._offer_digest(server, offer)
        installed = installed_facts(runtime)
        self._seen[server.name] = _Seen(server=server, offer=offer, installed=installed, digest=digest)
        return {
            "answered": True,
            "offer": offer_json(offer),
            "facts": [list(fact) for fact in (*installed, *offer_facts(offer))],
            "warnings": list(await _warnings(offer)),
            "digest": digest,
        }

    async def approve_offer(self, untrusted: JsonObject) -> JsonObject:
        seen = self._waiting(untrusted)
        counts = {kind.value: len(seen.offer.items.get(kind, ())) for kind in ItemKind}
        await self._parts.ledger.append(
            Draft(
                kind=EntryKind.PIN,
                server=seen.server.name,
                method="approve-offer",
                subject=seen.server.name,
                body={"digest": seen.digest, **counts},
            )
        )
        # What was shown must be what waits still, now that the row is written.
        self._waiting(untrusted)
        self._parts.catalogue.approve_offer(seen.server.name, seen.offer)
        self.forget(seen.server.name)
        await self._parts.upstreams.relisted(seen.server.name)
        return {"name": seen.server.name, "approval": self._parts.catalogue.approval(seen.server.name), **counts}

    async def _approving_command(self, untrusted: JsonObject) -> Widening:
        server, runtime, warnings = await self._shown(untrusted)
        return Widening(
            title=f"Approve the command of {server.name}",
            sentence="The server is started once, confined, without network and secrets, to see what it offers.",
            facts=terms_facts(server, runtime),
            warnings=warnings,
        )

    async def _approving_offer(self, untrusted: JsonObject) -> Widening:
        seen = self._waiting(untrusted)
        return Widening(
            title=f"Approve what {seen.server.name} offers",
            sentence="Its clients may ask for these; a change of any of them is refused until you approve it.",
            facts=(*seen.installed, *_counts(seen.offer), ("Pinned", _PINNED)),
            claims=offer_facts(seen.offer),
            warnings=await _warnings(seen.offer),
        )

    async def _shown(self, untrusted: JsonObject) -> tuple[Server, Runtime | None, tuple[str, ...]]:
        """The server as it was shown.

        Raises:
            Denial: it is another now than when the digest was given (`changed-since-approval`).
        """
        arguments = Arguments.of(untrusted, "name", "digest")
        server = self._parts.configuration.get(ServerName(arguments.name()))
        runtime, warnings = await self._preview(server)
        if arguments.text("digest") != self._terms_digest(server, runtime):
            raise Denial(Code.CHANGED_SINCE_APPROVAL, f"{server.name} has changed since it was shown; look at it again")
        return server, runtime, warnings

    def _waiting(self, untrusted: JsonObject) -> _Seen:
        arguments = Arguments.of(untrusted, "name", "digest")
        name = ServerName(arguments.name())
        seen = self._seen.get(name)
        current = self._parts.configuration.get(name)
        if seen is None or seen.digest != arguments.text("digest") or seen.server != current:
            raise Denial(
                Code.CHANGED_SINCE_APPROVAL, f"what {name} offers was not shown, or has changed; approve again"
            )
        return seen

    async def _preview(self, server: Server) -> tuple[Runtime | None, tuple[str, ...]]:
        """How the command is run as far as it can be said before anything is fetched, and what speaks against it."""
        holders = [client.name for client in self._parts.clients.all() if server.name in client.servers]
        # A token names servers, not what is behind the names: a server that comes back is theirs again.
        known = (f"These clients may call it at once: {', '.join(holders)}.",) if holders else ()
        if not isinstance(server.endpoint, LocalCommand):
            return None, known
        report = self._parts.sandbox.report()
        warnings = report.missing if report.works else (f"{report.reason} {report.mend}".strip(),)
        return await self._parts.runtimes.resolve(server, install=False), (*known, *warnings)

    async def _resolved(self, server: Server, preview: Runtime | None) -> Runtime | None:
        if preview is None:
            return None
        runtime = await self._parts.runtimes.resolve(server, install=True)
        if not runtime.installed and runtime != preview:
            raise Denial(Code.CHANGED_SINCE_APPROVAL, f"the program of {server.name} changed while it was approved")
        return runtime

    def _terms_digest(self, server: Server, runtime: Runtime | None) -> Digest:
        return self._parts.digester.of("shown terms", [server.terms(), runtime_json(runtime)])

    def _offer_digest(self, server: Server, offer: Offer) -> Digest:
        return self._parts.digester.of("shown offer", [server.name, offer.legacy, offer.modern, offer_json(offer)])

    async def _record(self, server: Server, what: str, body: JsonObject) -> None:
        masked = self._parts.redact(body)
        draft = Draft(kind=EntryKind.PIN, server=server.name, method=what, subject=server.name, body=masked)
        await self._parts.ledger.append(draft)


def _counts(offer: Offer) -> tuple[tuple[str, str], ...]:
    """How many of each kind, in our own words."""
    return tuple((kind.value.capitalize(), str(len(offer.items.get(kind, ())))) for kind in ItemKind)


async def _warnings(offer: Offer) -> tuple[str, ...]:
    # An offer may be 32 MB, and each of its texts is looked through.
    return (*offer_warnings(offer), *await asyncio.to_thread(offer_signs, offer))
