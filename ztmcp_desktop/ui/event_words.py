"""How the timeline says what happened beside the calls, a sentence an event."""

from ztmcp_desktop.domain.ledger import EntryKind, TimelineItem
from ztmcp_desktop.ui.sentence import cut

# By kind and method; the names of others are put in cut and made visible.
_EVENTS = {
    (EntryKind.GATEWAY, "start"): "The gateway started",
    (EntryKind.GATEWAY, "stop"): "The gateway stopped",
    (EntryKind.PIN, "approve-command"): "The command of {server} was approved",
    (EntryKind.PIN, "approve-offer"): "What {server} offers was approved",
    (EntryKind.SERVER, "add"): "The server {server} was added",
    (EntryKind.SERVER, "remove"): "The server {server} was removed",
    (EntryKind.SERVER, "restart"): "The server {server} was restarted",
    (EntryKind.SERVER, ""): "The server {server}, for {client}: see the details",
    (EntryKind.CLIENT, "add"): "The client {subject} was added",
    (EntryKind.CLIENT, "revoke"): "The client {subject} was revoked",
    (EntryKind.CLIENT, "pair"): "{client} was let in over the bridge, to {server}",
    (EntryKind.CLIENT, "accept"): "Another program was accepted as {client}: {subject}",
    (EntryKind.SECRET, "set"): "The secret {subject} was set",
    (EntryKind.SECRET, "remove"): "The secret {subject} was removed",
    (EntryKind.RULE, "add"): "The rule {subject} was added",
    (EntryKind.RULE, "remove"): "The rule {subject} was removed",
    (EntryKind.SETTINGS, "set"): "Settings were changed: {subject}",
    (EntryKind.SETTINGS, "reload"): "Files edited outside ztmcp were read again",
    (EntryKind.GRANT, "revoke"): "A remembered yes was taken back",
    (EntryKind.GRANT, "tools/call"): "A yes was remembered: {client} → {server}.{subject}",
    (EntryKind.GRANT, ""): "A yes was remembered: {client} → {server}.{subject}",
    (EntryKind.PRUNE, ""): "Old entries were removed from the record",
    (EntryKind.CHECKPOINT, ""): "A checkpoint of the record was written",
}
_LOCK = {"lock": "Everything was locked", "unlock": "Everything was unlocked"}


def event_sentence(item: TimelineItem) -> str:
    """What happened; an event that no sentence is written for shows its kind and whom it is about."""
    if item.kind is EntryKind.LOCK and item.subject in _LOCK:
        return _LOCK[item.subject]
    if item.outcome == "denied":
        return f"Asked to change something: {cut(item.subject or item.method, 120)}"
    pattern = _EVENTS.get((item.kind, item.method))
    named = {"server": cut(item.server, 40), "client": cut(item.client, 40), "subject": cut(item.subject, 100)}
    if pattern is not None and all(named[key] for key in named if f"{{{key}}}" in pattern):
        return pattern.format(**named)
    about = " · ".join(dict.fromkeys(part for part in (item.method, item.server, item.client, item.subject) if part))
    return f"{item.kind.value}: {cut(about, 140)}" if about else item.kind.value
