"""Stage 12."""

import base64
import json
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import pytest

from tests.fakes import identified, make_call, with_reply
from tests.pipeline.conftest import FakeServers
from ztmcp_desktop.domain.call import Call, Outbound
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.names import ServerName
from ztmcp_desktop.domain.proof import Forwarded, MaskedResult, Screened
from ztmcp_desktop.domain.sealed import Sealed
from ztmcp_desktop.domain.server import LocalCommand, Server
from ztmcp_desktop.pipeline.mask_result import MaskResult
from ztmcp_desktop.pipeline.masker import Masker
from ztmcp_desktop.pipeline.schema import Schemas
from ztmcp_desktop.pipeline.surrogates import Surrogates

SECRET = "s3cr3t/Value+with=signs"
PICTURE = base64.b64encode(bytes(range(256)) * 8).decode()
MAIL, CARD = "ada@lovelace.example", "4111 1111 1111 1111"


def answered(body: dict[str, Any], item: dict[str, Any] | None = None, *, size_bytes: int = 100) -> Call:
    call = with_reply(identified(make_call("get"), item), body)
    call = replace(call, outbound=Sealed(Outbound(params={}, secrets={"token": SECRET})))
    return call.proved(Forwarded(duration_ms=1, size_bytes=size_bytes)).proved(Screened(signs=()))


async def masked(call: Call, *, mask: bool = True) -> Call:
    server = Server(name=ServerName("files"), endpoint=LocalCommand(argv=("x",)), mask_results=mask)
    return await MaskResult(Masker(Surrogates()), FakeServers(server), Schemas())(call)


def text(body: str) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": body}]}


@pytest.mark.attack("P5")
@pytest.mark.promise("R7")
@pytest.mark.parametrize("mask", [True, False])
@pytest.mark.parametrize(
    "form",
    [
        SECRET,
        base64.b64encode(SECRET.encode()).decode(),
        base64.urlsafe_b64encode(SECRET.encode()).decode(),
        quote(SECRET, safe=""),
        SECRET.encode().hex(),
        SECRET.encode().hex().upper(),
        json.dumps(SECRET)[1:-1],
        SECRET[::-1],
    ],
)
async def test_an_echo_of_a_secret_does_not_leave_in_any_form(form: str, mask: bool) -> None:
    call = await masked(answered(text(f"it is {form}, really")), mask=mask)
    assert call.reply is not None
    assert form not in json.dumps(call.reply.body)
    assert "{{secret:token}}" in json.dumps(call.reply.body)
    assert call.proof(MaskedResult).echoes == ("token",)


@pytest.mark.attack("P5")
@pytest.mark.parametrize("before", ["", "a", "ab", "abc"])
async def test_an_echo_inside_a_longer_base64_text_is_found_at_any_offset(before: str) -> None:
    whole = base64.b64encode(f"{before}{SECRET} and more".encode()).decode()
    call = await masked(answered(text(whole)))
    assert call.proof(MaskedResult).echoes == ("token",)


@pytest.mark.promise("R8")
async def test_personal_data_is_masked_in_texts_keys_numbers_and_structured_content() -> None:
    body = {**text(f"{MAIL} {CARD}"), "structuredContent": {MAIL: [4111111111111111]}}
    call = await masked(answered(body))
    assert call.reply is not None
    written = json.dumps(call.reply.body)
    assert MAIL not in written
    assert "4111" not in written
    assert call.proof(MaskedResult).kinds == (("CARD", 2), ("EMAIL", 2))


async def test_structured_content_that_no_longer_fits_its_schema_is_blocked() -> None:
    item = {"name": "get", "outputSchema": {"properties": {"n": {"type": "integer"}}}}
    with pytest.raises(Denial) as refused:
        await masked(answered({"content": [], "structuredContent": {"n": 4111111111111111}}, item))
    assert refused.value.code is Code.BLOCKED_CONTENT


async def test_the_person_may_switch_masking_off_for_a_server() -> None:
    call = await masked(answered(text(MAIL)), mask=False)
    assert call.reply is not None
    assert call.reply.body == text(MAIL)


async def test_pictures_and_ordinary_answers_pass_unchanged() -> None:
    body = {
        "content": [
            {"type": "image", "mimeType": "image/png", "data": base64.b64encode(bytes(range(256)) * 8).decode()}
        ],
        "structuredContent": {"id": "123e4567-e89b-12d3-a456-426614174000", "at": 1763812345, "n": None, "big": 10**30},
    }
    call = await masked(answered(body))
    assert call.reply is not None
    assert call.reply.body == body


async def test_large_answers_are_masked_as_well() -> None:
    call = await masked(answered(text(("word " * 2000 + MAIL + " ") * 20), size_bytes=200_000))
    assert call.reply is not None
    assert MAIL not in json.dumps(call.reply.body)
