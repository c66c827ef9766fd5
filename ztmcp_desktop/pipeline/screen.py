"""Stage 11: marks what in an answer is hidden, or addressed to the model. A rule may block on such signs."""

import asyncio
from collections.abc import Callable, Iterator

from ztmcp_desktop.domain.call import Call, Reply
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.json import Json, JsonObject
from ztmcp_desktop.domain.proof import Forwarded, Screened
from ztmcp_desktop.scan.hidden import signs as hidden_signs
from ztmcp_desktop.scan.injection import is_plain
from ztmcp_desktop.scan.injection import signs as injection_signs

MAX_INLINE_BYTES = 64 * 1024
MARK = "ztmcp/signs"

Blocks = Callable[[Call, tuple[str, ...]], bool]


def block_nothing(_call: Call, _signs: tuple[str, ...]) -> bool:
    """Signs are marked, and the answer passes."""
    return False


class Screen:
    """Looks through every text of the answer; leaves the signs as a proof and as a mark for the client."""

    def __init__(self, blocks: Blocks = block_nothing) -> None:
        self._blocks = blocks

    async def __call__(self, call: Call) -> Call:
        large = call.proof(Forwarded).size_bytes > MAX_INLINE_BYTES
        if call.reply is None:
            raise Denial(Code.GATEWAY_FAULT, "there is no answer to screen")
        body = call.reply.body
        signs = await asyncio.to_thread(signs_in, body) if large else signs_in(body)
        if signs and self._blocks(call, signs):
            raise Denial(Code.BLOCKED_CONTENT, f"a rule blocks answers with these signs: {', '.join(signs)}")
        call = call.proved(Screened(signs=signs))
        if not signs or call.reply is None or call.reply.is_error:
            return call
        return call.with_reply(Reply(body=_marked(body, signs)))


def signs_in(value: Json) -> tuple[str, ...]:
    """Every sign that some text in `value` shows, each once, in order of name."""
    texts = list(_texts(value))
    together = "\n".join(texts)
    # One look at all of them clears most answers. Only ASCII: what letters hide depends on the text they stand in.
    if is_plain(together) and not hidden_signs(together):
        return ()
    found: set[str] = set()
    for text in texts:
        found.update(hidden_signs(text))
        found.update(injection_signs(text))
    return tuple(sorted(found))


def _texts(value: Json) -> Iterator[str]:
    match value:
        case str():
            yield value
        case list():
            for item in value:
                yield from _texts(item)
        case dict():
            for key, item in value.items():
                yield key
                yield from _texts(item)


def _marked(body: JsonObject, signs: tuple[str, ...]) -> JsonObject:
    untrusted_meta = body.get("_meta")
    meta = untrusted_meta if isinstance(untrusted_meta, dict) else {}
    return {**body, "_meta": {**meta, MARK: list(signs)}}
