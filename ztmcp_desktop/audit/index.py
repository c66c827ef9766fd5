"""What makes the timeline quick to search: derived from the rows, in the background, and never trusted for more."""

import json
import sqlite3
from typing import Any

from sqlite_utils import Database

from ztmcp_desktop.audit.row import Row
from ztmcp_desktop.audit.schema import SELECT, rows
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.domain.ledger import EntryKind

BATCH_ROWS = 32
MAX_TERMS = 16
_SEARCHED = ("call", "client", "server", "method", "subject", "outcome", "code", "kind")


def advance(db: Database) -> bool:
    """Index the next rows; False when all of them are indexed."""
    with db.atomic():
        done = indexed(db.conn)
        batch = list(rows(db.conn.execute(f"{SELECT} WHERE e.seq > ? ORDER BY e.seq LIMIT {BATCH_ROWS}", (done,))))
        for row in batch:
            words = words_of(row, opening_of(db.conn, row))
            db.conn.execute("INSERT INTO search (rowid, words) VALUES (?, ?)", (row.seq, words))
            if risk := facts_of(row)[0]:
                db.conn.execute("INSERT INTO facets (seq, risk) VALUES (?, ?)", (row.seq, risk))
        if batch:
            db.conn.execute("UPDATE indexed SET seq = ?", (batch[-1].seq,))
    return len(batch) == BATCH_ROWS


def indexed(connection: sqlite3.Connection) -> int:
    """The last `seq` that is indexed."""
    return int(connection.execute("SELECT seq FROM indexed").fetchone()[0])


def opening_of(connection: sqlite3.Connection, row: Row) -> Row | None:
    """The row that opened the call which `row` closes; None for any other row."""
    if row.kind != EntryKind.CLOSED or not row.call:
        return None
    query = (
        f"{SELECT} WHERE e.call = ? AND e.call <> '' AND e.seq < ? AND e.kind = 'opened' ORDER BY e.seq DESC LIMIT 1"
    )
    return next(rows(connection.execute(query, (row.call, row.seq))), None)


def words_of(row: Row, opening: Row | None) -> str:
    """The text that a search looks through: of a call that is closed, what was asked as well."""
    parts = [getattr(row, name) for name in _SEARCHED] + _texts(_body(row))
    if opening:
        parts += [opening.subject, *_texts(_body(opening))]
    return "\n".join(parts)


def match_query(untrusted_text: str) -> str:
    """An FTS5 query for rows with all words of the text, each at the beginning of a word; empty where there is none."""
    terms = [term.replace('"', "").replace("\0", "") for term in untrusted_text.split()[:MAX_TERMS]]
    return " ".join(f'"{term}"*' for term in terms if any(c.isalnum() for c in term))


def facts_of(row: Row) -> tuple[str, int | None]:
    """The risk and the duration in ms that the body of a row tells of; empty and None where it does not."""
    body = _body(row)
    proofs = body.get("proofs")
    risk = ""
    for proof in proofs if isinstance(proofs, list) else []:
        if isinstance(proof, dict) and proof.get("proof") == "Classified" and isinstance(proof.get("risk"), str):
            risk = proof["risk"]
    duration = body.get("duration_ms")
    return risk, duration if isinstance(duration, int) else None


def _body(row: Row) -> JsonObject:
    try:
        body = json.loads(row.body)
    except (ValueError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}


def _texts(value: Any) -> list[str]:  # noqa: ANN401 - JSON
    found: list[str] = []
    waiting = [value]
    while waiting:
        match waiting.pop():
            case str() as text:
                found.append(text.encode("utf-8", "replace").decode())
            case bool() | None:
                continue
            case int() | float() as number:
                found.append(str(number))
            case list() as items:
                waiting.extend(reversed(items))
            case dict() as members:
                waiting.extend(reversed(members.values()))
                found.extend(str(name).encode("utf-8", "replace").decode() for name in members)
    return found
