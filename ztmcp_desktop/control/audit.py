"""The ledger, for reading: pages, one call, search, verification, export; and pruning."""

import secrets
from collections import OrderedDict
from collections.abc import AsyncIterator
from dataclasses import asdict
from datetime import UTC, datetime

from ztmcp_desktop.control.parts import PlaneParts
from ztmcp_desktop.control.verbs import Arguments, Verb, Verbs, wrong
from ztmcp_desktop.domain.consent import Widening
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.domain.ledger import Entry, Filters, TimelineItem

MAX_PAGE = 1000
MAX_EXPORTS = 4
EXPORT_BYTES = 512 * 1024
VERIFY_S = 600.0
READ_S = 30.0
FORMS = ("jsonl", "csv")


class Audit:
    """The verbs `audit.…`. An export is read piece by piece, so that no answer is large."""

    def __init__(self, parts: PlaneParts) -> None:
        self._parts = parts
        self._exports: OrderedDict[str, AsyncIterator[bytes]] = OrderedDict()

    def verbs(self) -> Verbs:
        return {
            "audit.list": Verb(do=self.list, patience_s=READ_S),
            "audit.show": Verb(do=self.show, patience_s=READ_S),
            "audit.verify": Verb(do=self.verify, patience_s=VERIFY_S),
            "audit.export": Verb(do=self.export, patience_s=READ_S),
            "audit.export-more": Verb(do=self.export_more, patience_s=READ_S),
            "audit.prune": Verb(do=self.prune, proposes=self._pruning, patience_s=VERIFY_S),
        }

    async def list(self, untrusted: JsonObject) -> JsonObject:
        arguments = Arguments.of(untrusted, "before", "limit", *_FILTERS)
        limit = int(arguments.number("limit", 50))
        if not 1 <= limit <= MAX_PAGE:
            wrong(f"limit must be from 1 to {MAX_PAGE}")
        before = int(arguments.number("before")) if untrusted.get("before") is not None else None
        items = await self._parts.timeline.page(_filters(arguments), before, limit)
        return {"items": [_item(item) for item in items]}

    async def show(self, untrusted: JsonObject) -> JsonObject:
        entries = await self._parts.timeline.entries(Arguments.of(untrusted, "id").text("id"))
        if not entries:
            raise Denial(Code.NOT_PERMITTED, "there is nothing of this id in the ledger; see: ztmcp audit list")
        return {"entries": [_entry(entry) for entry in entries]}

    async def verify(self, untrusted: JsonObject) -> JsonObject:
        Arguments.of(untrusted)
        return asdict(await self._parts.timeline.verify())

    async def export(self, untrusted: JsonObject) -> JsonObject:
        arguments = Arguments.of(untrusted, "form", *_FILTERS)
        form = arguments.text("form", FORMS[0])
        if form not in FORMS:
            wrong(f"form must be one of {', '.join(FORMS)}")
        token = secrets.token_hex(8)
        self._exports[token] = self._parts.timeline.export(_filters(arguments), form)
        while len(self._exports) > MAX_EXPORTS:
            self._exports.popitem(last=False)
        return await self._piece(token)

    async def export_more(self, untrusted: JsonObject) -> JsonObject:
        return await self._piece(Arguments.of(untrusted, "export").text("export"))

    async def _piece(self, token: str) -> JsonObject:
        lines = self._exports.get(token)
        if lines is None:
            raise Denial(Code.NOT_PERMITTED, "this export is over; begin again")
        piece = bytearray()
        async for line in lines:
            piece += line
            if len(piece) >= EXPORT_BYTES:
                return {"export": token, "text": piece.decode("utf-8"), "more": True}
        self._exports.pop(token, None)
        return {"export": token, "text": piece.decode("utf-8"), "more": False}

    async def prune(self, untrusted: JsonObject) -> JsonObject:
        before = _moment(Arguments.of(untrusted, "before").text("before"))
        return {"removed": await self._parts.prune(before)}

    async def _pruning(self, untrusted: JsonObject) -> Widening:
        before = _moment(Arguments.of(untrusted, "before").text("before"))
        return Widening(
            title="Prune the ledger",
            sentence="What is older is taken out of the record for good; a signed checkpoint says so.",
            facts=(("Older than", before.isoformat()),),
        )


_FILTERS = ("clients", "servers", "outcomes", "risks", "since", "until", "text")


def _filters(arguments: Arguments) -> Filters:
    since, until = (arguments.text(key, "") for key in ("since", "until"))
    return Filters(
        clients=arguments.texts("clients"),
        servers=arguments.texts("servers"),
        outcomes=arguments.texts("outcomes"),
        risks=arguments.texts("risks"),
        since=_moment(since) if since else None,
        until=_moment(until) if until else None,
        text=arguments.text("text", ""),
    )


def _moment(untrusted: str) -> datetime:
    """An ISO 8601 date or time; one without a zone is UTC."""
    try:
        moment = datetime.fromisoformat(untrusted)
    except ValueError:
        wrong(f"{untrusted[:40]!r} is no date; write it as 2026-12-31 or 2026-12-31T23:59:59+00:00")
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _item(item: TimelineItem) -> JsonObject:
    return {**asdict(item), "at": item.at.isoformat(), "kind": item.kind.value}


def _entry(entry: Entry) -> JsonObject:
    return {**asdict(entry), "at": entry.at.isoformat(), "kind": entry.kind.value}
