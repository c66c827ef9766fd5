"""A small core for the window's tests: a real loop on a real thread, with a plane and a timeline in memory."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from datetime import timedelta
from typing import Any

from tests.ui.samples import NOW, WORST
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.domain.ledger import Entry, EntryKind, Filters, TimelineItem, Verification

CURSOR = {"path": "/opt/cursor/cursor", "sha256": "1e" * 32, "script": "", "script_sha256": ""}
NODE = {"path": "/usr/bin/node", "sha256": "5f" * 32, "script": "/usr/lib/claude/cli.js", "script_sha256": "9b" * 32}


class CoreThread:
    """A loop that runs until `stop`."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(10)

    async def _cancel_all(self) -> None:
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def stop(self) -> None:
        self.run(self._cancel_all())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(5)
        self.loop.close()


def make_item(seq: int, **changes: Any) -> TimelineItem:
    values: dict[str, Any] = {
        "seq": seq,
        "at": NOW - timedelta(minutes=(1000 - seq) * 7),
        "kind": EntryKind.CLOSED,
        "call": f"call-{seq}",
        "client": "claude-code",
        "server": "files",
        "method": "tools/call",
        "subject": "read_text_file",
        "outcome": "allowed",
        "code": "",
        "risk": "read",
        "duration_ms": 12,
    }
    return TimelineItem(**{**values, **changes})


class MemoryTimeline:
    """Items in a list, newest first."""

    def __init__(self, items: list[TimelineItem]) -> None:
        self.items = items
        self.asked: list[tuple[Filters, int | None]] = []
        self._listeners: list[Callable[[int], None]] = []

    async def page(self, filters: Filters, before: int | None, limit: int) -> tuple[TimelineItem, ...]:
        self.asked.append((filters, before))
        found = [item for item in self.items if before is None or item.seq < before]
        found = [item for item in found if not filters.text or filters.text in item.subject]
        found = [item for item in found if not filters.outcomes or item.outcome in filters.outcomes]
        return tuple(found[:limit])

    async def entries(self, call: str) -> tuple[Entry, ...]:
        opened = {"arguments": {"path": "/home/u/project/notes.md", "text": WORST}, "era": "2025-11-25"}
        closed = {
            "proofs": [
                {"name": "Authenticated", "client": "claude-code", "server": "files"},
                {"proof": "Classified", "risk": "read", "effects": [], "signs": ["the name begins with read"]},
                {"name": "Confined", "paths": ["/home/u/project/notes.md"], "hosts": [], "tables": []},
                {"name": "", "digest": "ab" * 32, "by": "person", "asked_ms": 2140},
                {"name": "Forwarded", "duration_ms": 12, "size_bytes": 410},
                {"name": "MaskedResult", "kinds": [["EMAIL", 2]], "echoes": []},
            ],
            "result": {"content": [{"type": "text", "text": "Write to <EMAIL_1> and <EMAIL_2>"}]},
        }
        return tuple(
            Entry(
                seq=seq,
                at=NOW,
                kind=kind,
                call=call,
                client="claude-code",
                server="files",
                method="tools/call",
                subject="read_text_file",
                outcome=outcome,
                code="",
                body=json.dumps(body),
                prev="0" * 64,
                hash=f"{seq:064x}",
            )
            for seq, kind, outcome, body in (
                (1, EntryKind.OPENED, "", opened),
                (2, EntryKind.CLOSED, "allowed", closed),
            )
        )

    async def verify(self) -> Verification:
        return Verification(rows=len(self.items), bad_seq=None, beyond_head=0, reason="")

    def export(self, filters: Filters, form: str) -> AsyncIterator[bytes]:
        raise Denial(Code.GATEWAY_FAULT, "nothing to export")

    def on_append(self, listener: Callable[[int], None]) -> Callable[[], None]:
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def append(self, item: TimelineItem) -> None:
        self.items = [item, *(old for old in self.items if not item.call or old.call != item.call)]
        for listener in self._listeners:
            listener(item.seq)


SERVERS: list[JsonObject] = [
    {
        "name": "files",
        "kind": "local",
        "command": ["npx", "-y", "@modelcontextprotocol/server-filesystem", "/home/u/project"],
        "url": None,
        "approval": "approved",
        "running": True,
        "folders": [["/home/u/project", "rw"]],
        "env": {"NODE_ENV": "production"},
        "secrets": [["GITHUB_TOKEN", "GITHUB_TOKEN"]],
        "warnings": [],
    },
    {
        "name": "weather",
        "kind": "remote",
        "command": None,
        "url": "https://weather.example/mcp",
        "approval": "changed",
        "running": False,
        "folders": [],
        "env": {},
        "secrets": [],
        "warnings": ["the description speaks to the model"],
    },
]


RULES: list[JsonObject] = [
    {"id": "default", "text": "permit (principal, action, resource);\n", "shipped": True, "problems": []},
    {
        "id": "tests",
        "text": 'forbid (\n  principal,\n  action,\n  resource\n) when { context.risk == "destroy" };\n',
        "shipped": False,
        "problems": [],
    },
]
EDITED: list[list[str]] = [
    ["setting port", "7420 → 7421"],
    ["rule file tests.cedar", "permit (principal, action, resource);"],
]
SETTINGS: JsonObject = {
    "settings": {"patience_s": 60.0, "port": 7420, "allowed_origins": ["https://app.example"]},
    "in_use": {"patience_s": 60.0, "port": 7420, "allowed_origins": ["https://app.example"]},
    "after_restart": [],
    "file": "/home/u/.config/ztmcp/config.toml",
}


class MemoryPlane:
    """Answers verbs from a table and remembers what was asked; a verb that is not there is refused."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, JsonObject]] = []
        self.answers: dict[str, JsonObject] = {
            "status": {
                "running": True,
                "pid": 1,
                "port": 7420,
                "locked": False,
                "clients": ["claude-code"],
                "servers": [{"name": "files"}, {"name": "weather"}],
                "keychain": {"name": "secret-service", "works": True, "reason": "", "mend": ""},
                "sandbox": {
                    "name": "bubblewrap",
                    "works": True,
                    "reason": "",
                    "mend": "",
                    "missing": ["the number of processes (there is no pids cgroup)"],
                },
            },
            "server.list": {"servers": SERVERS},
            "server.show": SERVERS[0]
            | {
                "runtime": {"argv": ["/usr/bin/node", "index.js"], "mounts": ["/usr"], "installed": ["x==1.2.3"]},
                "offer": {"instructions": "Use me", "tools": [{"name": "read_text_file"}], "prompts": []},
                "changes": [],
            },
            "server.terms": {
                "terms": {"name": "files", "argv": ["npx", "x"], "folders": []},
                "warnings": ["it is installed from the network"],
                "digest": "d1",
            },
            "server.approve-command": {
                "answered": True,
                "offer": {"tools": [{"name": "read_text_file"}]},
                "warnings": [],
                "digest": "d2",
            },
            "server.approve-offer": {},
            "server.login-terms": {
                "sentence": "Your browser opens there.",
                "facts": [["Authorization server", "https://as.example"], ["Rights asked for", "read\nwrite"]],
                "warnings": ["The authorization server is on another host than the server."],
                "digest": "d3",
            },
            "server.login": {"page": "", "opened": True},
            "server.login-wait": {"name": "weather"},
            "server.logout": {"name": "weather"},
            "client.list": {
                "clients": [
                    {
                        "name": "claude-code",
                        "kind": "registered",
                        "calls_itself": "Claude Code",
                        "servers": ["files"],
                        "may": {"files": ["read", "call"]},
                        "logins": [
                            {
                                "server": "files",
                                "may": ["read", "call"],
                                "since": "2026-11-22T12:00:00+00:00",
                                "expires": "2026-12-22T12:00:00+00:00",
                            }
                        ],
                        "last_seen_at": "2026-11-24T09:30:00+00:00",
                        "created": "2026-11-22T12:00:00+00:00",
                        "expires": "2027-02-20T12:00:00+00:00",
                        "live": True,
                        "program": "",
                        "first_seen": {**CURSOR, "since": "2026-11-22T12:00:00+00:00", "accepted": True},
                        "others_seen": [{**NODE, "since": "2026-11-23T09:30:00+00:00", "accepted": False}],
                        "last_seen": NODE,
                    }
                ]
            },
            "client.add": {
                "client": "cursor",
                "token": "zt_" + "a" * 43,
                "expires": "2027-02-20T12:00:00+00:00",
                "endpoints": {"files": "http://127.0.0.1:7420/s/files/mcp"},
            },
            "client.revoke": {},
            "client.pair": {"left_s": 300},
            "client.pairing": {"left_s": 0},
            "grant.list": {
                "grants": [
                    {
                        "id": "g1",
                        "client": "claude-code",
                        "server": "files",
                        "subject": "write_file",
                        "granted_at": "2026-11-22T12:00:00+00:00",
                        "used": 3,
                    }
                ]
            },
            "grant.revoke": {},
            "secret.list": {"names": [{"name": "GITHUB_TOKEN", "given_to": ["files"]}]},
            "secret.set": {},
            "rule.list": {"rules": RULES, "changed_outside": []},
            "rule.check": {"problems": []},
            "rule.add": {"id": "mine"},
            "rule.remove": {},
            "edited": {"changed": []},
            "settings.show": SETTINGS,
            "settings.set": SETTINGS | {"settings": SETTINGS["settings"] | {"port": 7500}, "after_restart": ["port"]},
            "reload": {"changed": ["setting port", "rule file tests.cedar"]},
            "secret.remove": {},
            "lock": {},
            "unlock": {},
        }

    async def ask(self, verb: str, arguments: JsonObject) -> JsonObject:
        self.asked.append((verb, arguments))
        if verb not in self.answers:
            raise Denial(Code.NOT_PERMITTED, f"there is no verb {verb}")
        return self.answers[verb]

    def changes(self) -> list[tuple[str, JsonObject]]:
        """What was asked that is no reading."""
        reading = {"status", "server.list", "server.show", "client.list", "grant.list", "secret.list"}
        reading |= {"rule.list", "rule.check", "edited", "settings.show", "client.pairing"}
        return [(verb, arguments) for verb, arguments in self.asked if verb not in reading]


def sample_items() -> list[TimelineItem]:
    changes: list[dict[str, Any]] = [
        {"kind": EntryKind.OPENED, "outcome": "", "risk": "write", "subject": "write_file", "duration_ms": None},
        {},
        {"outcome": "denied", "code": "refused-by-person", "risk": "destroy", "subject": "delete_file"},
        {"outcome": "denied", "code": "outside-limits", "risk": "write", "subject": "write_file"},
        {"outcome": "failed", "code": "server-unavailable", "risk": "unknown", "server": "weather", "subject": "now"},
        {"kind": EntryKind.SERVER, "outcome": "", "method": "approve", "subject": "files", "risk": "", "call": ""},
        {"subject": "x" * 300, "risk": "unknown", "duration_ms": 65_000},
        {"subject": WORST},
    ]
    return [make_item(1000 - at, **changes[at % len(changes)]) for at in range(300)]
