import json

import pytest

from tests.gateway.front import Front, front_door, request, rpc, tool_call
from ztmcp_desktop.domain.denial import Code


def assert_stopped_at_the_filter(front: Front, cause: str) -> None:
    assert front.gate.seen == []
    assert front.clients.looked == 0
    assert front.causes == [cause]
    assert front.ledger.rejected[0][1].code is Code.NOT_PERMITTED


def pairs(front: Front, *extra: tuple[str, str], host: str | None) -> list[tuple[str, str]]:
    kept = [(name, value) for name, value in front.headers().items() if name != "Host"]
    return [*([] if host is None else [("Host", host.replace("PORT", str(front.port)))]), *kept, *extra]


@pytest.mark.attack("N1")
@pytest.mark.promise("R1")
@pytest.mark.parametrize(
    "host",
    [
        None,
        "",
        "evil.example:PORT",
        "127.0.0.1.nip.io:PORT",
        "localhost.:PORT",
        "LOCALHOST:PORT",
        "127.0.0.1",
        "localhost",
        "127.0.0.1:1",
        "127.0.0.1:PORT.evil.example",
        "[::ffff:127.0.0.1]:PORT",
        "0.0.0.0:PORT",
        "127.1:PORT",
        "user@127.0.0.1:PORT",
    ],
)
@pytest.mark.parametrize("path", ["/s/files/mcp", "/healthz", "/register"])
async def test_a_host_that_is_not_ours_is_403_before_the_token(front: Front, host: str | None, path: str) -> None:
    headers = pairs(front, host=host)

    answer = await front.raw(request(json.dumps(tool_call()).encode(), headers, path=path))

    assert answer.status == 403
    assert_stopped_at_the_filter(front, "host")


@pytest.mark.attack("N1")
@pytest.mark.parametrize("second", ["evil.example", "127.0.0.1:PORT"])
async def test_two_hosts_are_refused(front: Front, second: str) -> None:
    headers = pairs(front, ("Host", second.replace("PORT", str(front.port))), host="127.0.0.1:PORT")

    assert (await front.raw(request(b"{}", headers))).status == 403
    assert_stopped_at_the_filter(front, "host")


@pytest.mark.attack("N1")
@pytest.mark.parametrize("target", ["http://evil.example/s/files/mcp", "http://127.0.0.1:PORT/s/files/mcp"])
async def test_an_absolute_target_is_refused(front: Front, target: str) -> None:
    path = target.replace("PORT", str(front.port))

    assert (await front.raw(request(b"{}", pairs(front, host="127.0.0.1:PORT"), path=path))).status == 403
    assert_stopped_at_the_filter(front, "absolute-target")


@pytest.mark.attack("N2")
@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "", "http://127.0.0.1:PORT", "http://localhost:PORT"]
)
async def test_an_origin_that_is_not_listed_is_403_before_the_token(front: Front, origin: str) -> None:
    headers = pairs(front, ("Origin", origin.replace("PORT", str(front.port))), host="127.0.0.1:PORT")

    assert (await front.raw(request(json.dumps(tool_call()).encode(), headers))).status == 403
    assert_stopped_at_the_filter(front, "origin")


@pytest.mark.attack("N2")
@pytest.mark.parametrize("site", ["cross-site", "same-site", "anything"])
async def test_a_cross_site_fetch_is_403(front: Front, site: str) -> None:
    headers = pairs(front, ("Sec-Fetch-Site", site), host="127.0.0.1:PORT")

    assert (await front.raw(request(b"{}", headers))).status == 403
    assert_stopped_at_the_filter(front, "cross-site")


@pytest.mark.attack("N2")
async def test_null_is_never_an_allowed_origin_and_two_are_never_allowed() -> None:
    async with front_door(allowed_origins=("null", "https://app.example")) as front:
        for origins in (["null"], ["https://app.example"] * 2, ["https://app.example", "https://evil.example"]):
            headers = pairs(front, *(("Origin", origin) for origin in origins), host="127.0.0.1:PORT")
            assert (await front.raw(request(b"{}", headers))).status == 403
        assert front.clients.looked == 0


@pytest.mark.attack("N2")
async def test_a_preflight_gets_no_cors_header(front: Front) -> None:
    headers = pairs(front, ("Access-Control-Request-Method", "POST"), host="localhost:PORT")

    answer = await front.raw(request(b"", headers, method="OPTIONS"))

    assert answer.status >= 400
    assert not [name for name, _ in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize("host", ["127.0.0.1:PORT", "localhost:PORT", "[::1]:PORT"])
async def test_our_own_names_pass(front: Front, host: str) -> None:
    answer = await front.raw(request(json.dumps(rpc("ping")).encode(), pairs(front, host=host)))

    # No session yet: the request reached the protocol.
    assert answer.status == 400
    assert front.clients.looked == 1


async def test_a_listed_origin_passes() -> None:
    async with front_door(allowed_origins=("https://app.example",)) as front:
        extra = (("Origin", "https://app.example"), ("Sec-Fetch-Site", "cross-site"))
        answer = await front.raw(request(b"{}", pairs(front, *extra, host="127.0.0.1:PORT")))

        assert answer.status == 400
        assert front.clients.looked == 1
