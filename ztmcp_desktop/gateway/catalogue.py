"""What the person approved of each server, and whether the server still is and offers just that."""

import hashlib
from dataclasses import dataclass, field, replace
from pathlib import Path

from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.digest import Digester
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.domain.names import ServerName
from ztmcp_desktop.domain.offer import Change, ItemKind, Offer, Pin, template_matches
from ztmcp_desktop.domain.runtime import Runtime
from ztmcp_desktop.domain.server import Server
from ztmcp_desktop.gateway.pins import compare, pin, same, server_item
from ztmcp_desktop.ports import ServerBook, StateStore

MAX_HASHED_FILES = 16
_NOUNS = {ItemKind.TOOL: "tool", ItemKind.PROMPT: "prompt"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Approval:
    """One record. `files` are the executables by path with their SHA-256; `changes` were seen since the approval."""

    terms: str
    runtime: Runtime | None = None
    files: dict[str, str] = field(default_factory=dict)
    offer: Offer | None = None
    changes: tuple[Change, ...] = ()


class PinnedCatalogue:
    """Approvals in the state store, one record a server; a change of an approved thing sticks until it is approved."""

    def __init__(self, state: StateStore, servers: ServerBook, digester: Digester) -> None:
        self._state = state
        self._servers = servers
        self._digester = digester
        self._known: dict[ServerName, _Approval | None] = {}
        self._hashes: dict[str, tuple[tuple[int, ...], str]] = {}
        # Digests of things that are the very same objects as before, so that a call computes none of them.
        self._pins: dict[tuple[ServerName, ItemKind, str], Pin] = {}
        self._termed: dict[ServerName, tuple[Server, str]] = {}

    def offer(self, server: ServerName) -> Offer:
        approval = self._valid(server)
        if approval.offer is None:
            raise Denial(Code.NOT_PERMITTED, f"what {server} offers has not been approved")
        if any(change.kind is None for change in approval.changes):
            raise Denial(
                Code.CHANGED_SINCE_APPROVAL,
                f"the instructions of {server} are no longer the approved ones; approve the server again",
            )
        return approval.offer

    def identify(self, server: ServerName, kind: ItemKind | None, subject: str) -> Pin:
        offer = self.offer(server)
        if kind is None:
            return pin(self._digester, server, None, server_item(offer))
        item = offer.find(kind, subject)
        if kind is ItemKind.RESOURCE and item is None:
            template = self._template(offer, subject)
            if template is None:
                return pin(self._digester, server, None, server_item(offer))
            kind, item = ItemKind.TEMPLATE, template
        if item is None:
            raise Denial(Code.NOT_PERMITTED, f"{server} has no approved {_NOUNS.get(kind, 'thing')} of that name")
        name = str(item[kind.key])
        # What is only missing is missing for some client's process; that is for whoever holds that process to refuse.
        changes = (c for c in self._approval(server).changes if c.after is not None)
        if any(change.kind is kind and change.name == name for change in changes):
            raise Denial(
                Code.CHANGED_SINCE_APPROVAL,
                f"{server} has changed this {_NOUNS.get(kind, 'resource')} since it was approved; approve it again",
            )
        return self._pin(server, kind, name, item)

    def _pin(self, server: ServerName, kind: ItemKind, name: str, item: JsonObject) -> Pin:
        known = self._pins.get((server, kind, name))
        if known is None or known.item is not item:
            known = self._pins[server, kind, name] = pin(self._digester, server, kind, item)
        return known

    @staticmethod
    def _template(offer: Offer, uri: str) -> JsonObject | None:
        return next(
            (t for t in offer.items.get(ItemKind.TEMPLATE, ()) if template_matches(str(t["uriTemplate"]), uri)), None
        )

    def observe(self, server: ServerName, offer: Offer) -> tuple[Change, ...]:
        approval = self._valid(server)
        if approval.offer is None:
            return ()
        seen = compare(approval.offer, offer)
        # What altered once stays so: a server that changes a thing back has still changed it. What a client's
        # capabilities make appear or go is as it was seen last.
        altered = {
            (c.kind, c.name): c for c in (*approval.changes, *seen) if c.before is not None and c.after is not None
        }
        moved = tuple(c for c in seen if c.before is None or c.after is None)
        kept = (*altered.values(), *moved)
        if not _equal(kept, approval.changes):
            self._save(server, replace(approval, changes=kept))
        return seen

    def runtime(self, server: ServerName) -> Runtime:
        """As the port says; reads the executables' digests, so call it off the loop."""
        approval = self._valid(server)
        if approval.runtime is None:
            raise Denial(Code.NOT_PERMITTED, f"the command of {server} has not been approved")
        for path, digest in approval.files.items():
            if self._hash(Path(path)) != digest:
                raise Denial(
                    Code.CHANGED_SINCE_APPROVAL,
                    f"the program of {server} is no longer the approved one; approve the server again",
                )
        return approval.runtime

    def approve_command(self, server: Server, runtime: Runtime | None) -> None:
        files = {str(path): self._hash(path) for path in _programs(runtime)} if runtime else {}
        self._save(server.name, _Approval(terms=self._terms(server), runtime=runtime, files=files))

    def approve_offer(self, server: ServerName, offer: Offer) -> None:
        self._save(server, replace(self._valid(server), offer=offer, changes=()))

    def changes(self, server: ServerName) -> tuple[Change, ...]:
        approval = self._approval_or_none(server)
        return approval.changes if approval else ()

    def approval(self, server: ServerName) -> str:
        approval = self._approval_or_none(server)
        if approval is None:
            return "proposed"
        if approval.terms != self._terms(self._servers.get(server)):
            return "changed"
        if approval.offer is None:
            return "command-approved"
        return "changed" if any(change.after is not None for change in approval.changes) else "approved"

    def forget(self, server: ServerName) -> None:
        self._known[server] = None
        self._state.save(_record_name(server), {})

    def _valid(self, server: ServerName) -> _Approval:
        configured = self._servers.get(server)
        approval = self._approval(server)
        if approval.terms != self._terms(configured):
            raise Denial(
                Code.CHANGED_SINCE_APPROVAL,
                f"the command or limits of {server} are no longer the approved ones; approve the server again",
            )
        return approval

    def _approval(self, server: ServerName) -> _Approval:
        approval = self._approval_or_none(server)
        if approval is None:
            raise Denial(Code.NOT_PERMITTED, f"{server} has not been approved")
        return approval

    def _approval_or_none(self, server: ServerName) -> _Approval | None:
        if server not in self._known:
            record = self._state.load(_record_name(server))
            self._known[server] = _from_record(record) if record else None
        return self._known[server]

    def _save(self, server: ServerName, approval: _Approval) -> None:
        self._state.save(_record_name(server), _to_record(approval))
        self._known[server] = approval
        self._pins.clear()

    def _terms(self, server: Server) -> str:
        known = self._termed.get(server.name)
        if known is None or known[0] is not server:
            known = self._termed[server.name] = (server, self._digester.of("terms", server.terms()))
        return known[1]

    def _hash(self, path: Path) -> str:
        """Hex SHA-256 of the file, read again only when the system says that it was touched."""
        try:
            status = path.stat()
            stamp = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
            known = self._hashes.get(str(path))
            if known is None or known[0] != stamp:
                with path.open("rb") as file:
                    known = (stamp, hashlib.file_digest(file, "sha256").hexdigest())
                self._hashes[str(path)] = known
        except OSError:
            return ""
        return known[1]


def _programs(runtime: Runtime) -> tuple[Path, ...]:
    """The executable, and each argument that is a file inside what is mounted: a script, an entry point."""
    first = Path(runtime.argv[0])
    mounted = tuple(mount.resolve() for mount in runtime.mounts)
    named = (Path(argument) for argument in runtime.argv[1:] if Path(argument).is_absolute())
    scripts = (path for path in named if path.is_file() and _within(path.resolve(), mounted))
    return (first, *scripts)[:MAX_HASHED_FILES]


def _within(path: Path, mounted: tuple[Path, ...]) -> bool:
    return any(path == mount or path.is_relative_to(mount) for mount in mounted)


def _record_name(server: ServerName) -> str:
    return f"catalogue/{server}"


def _equal(one: tuple[Change, ...], other: tuple[Change, ...]) -> bool:
    return len(one) == len(other) and all(
        (a.kind, a.name) == (b.kind, b.name) and same(a.before, b.before) and same(a.after, b.after)
        for a, b in zip(one, other, strict=True)
    )


def _to_record(approval: _Approval) -> JsonObject:
    runtime, offer = approval.runtime, approval.offer
    return {
        "terms": approval.terms,
        "files": approval.files,
        "runtime": runtime
        and {
            "argv": list(runtime.argv),
            "mounts": [str(path) for path in runtime.mounts],
            "path": [str(path) for path in runtime.path],
            "installed": list(runtime.installed),
        },
        "offer": offer
        and {
            "legacy": offer.legacy,
            "modern": offer.modern,
            "items": {kind.value: list(items) for kind, items in offer.items.items()},
        },
        "changes": [
            {"kind": c.kind.value if c.kind else None, "name": c.name, "before": c.before, "after": c.after}
            for c in approval.changes
        ],
    }


def _from_record(record: JsonObject) -> _Approval:
    runtime, offer = record["runtime"], record["offer"]
    return _Approval(
        terms=record["terms"],
        files=record["files"],
        runtime=runtime
        and Runtime(
            argv=tuple(runtime["argv"]),
            mounts=tuple(Path(path) for path in runtime["mounts"]),
            path=tuple(Path(path) for path in runtime["path"]),
            installed=tuple(runtime["installed"]),
        ),
        offer=offer
        and Offer(
            legacy=offer["legacy"],
            modern=offer["modern"],
            items={ItemKind(kind): tuple(items) for kind, items in offer["items"].items()},
        ),
        changes=tuple(
            Change(
                kind=ItemKind(c["kind"]) if c["kind"] else None, name=c["name"], before=c["before"], after=c["after"]
            )
            for c in record["changes"]
        ),
    )
