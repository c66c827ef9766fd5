import pytest

from tests.gateway.ear import Ear
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.names import ClientName, ServerName
from ztmcp_desktop.domain.offer import Era
from ztmcp_desktop.domain.subscription import UPDATED
from ztmcp_desktop.gateway.key import Key
from ztmcp_desktop.gateway.listeners import MAX_RESOURCES, MAX_STREAMS_A_CLIENT, Listeners

TOOLS, LOG = "notifications/tools/list_changed", "notifications/message"
URI = "file:///a"


def key(client: str = "tests", able: str = "", server: str = "files") -> Key:
    return Key(client=ClientName(client), server=ServerName(server), era=Era.LEGACY, able=able)


def stream(client: str = "tests") -> Ear:
    return Ear(client, era=Era.MODERN, stands_in=key(client))


def joined(*ears: Ear) -> Listeners:
    listeners = Listeners()
    for ear in ears:
        listeners.join(ear)
    return listeners


def hearing(listeners: Listeners, uri: object, of: Key | None = None) -> list[object]:
    return [listener for listener, _ in listeners.hearing(of or key(), UPDATED, {"uri": uri})]


def test_a_client_has_so_many_streams_and_no_more() -> None:
    listeners = joined(*(stream() for _ in range(MAX_STREAMS_A_CLIENT)))
    with pytest.raises(Denial) as refused:
        listeners.join(stream())
    assert refused.value.code is Code.SERVER_UNAVAILABLE
    listeners.join(stream("other"))
    listeners.join(Ear())


def test_nobody_subscribes_to_more_than_so_many_resources() -> None:
    ear, other = Ear(), Ear()
    listeners = joined(ear, other)
    for number in range(MAX_RESOURCES):
        listeners.wish(key(), f"file:///{number}", ear, named=True)
    with pytest.raises(Denial) as refused:
        listeners.wish(key(able="x"), URI, ear, named=True)
    assert refused.value.code is Code.TOO_LARGE
    listeners.wish(key(), "file:///0", ear, named=True)
    listeners.wish(key(), URI, other, named=True)


def test_who_has_left_subscribes_to_nothing() -> None:
    with pytest.raises(Denial) as refused:
        Listeners().wish(key(), URI, Ear(), named=True)
    assert refused.value.code is Code.WITHDRAWN


def test_a_resource_is_told_of_in_the_conversation_that_was_subscribed_in_only() -> None:
    mine, theirs, idle = Ear(), Ear("other"), Ear()
    listeners = joined(mine, theirs, idle)
    listeners.wish(key(), URI, mine, named=True)
    listeners.wish(key("other"), URI, theirs, named=True)
    assert hearing(listeners, URI) == [mine]
    assert hearing(listeners, URI, key(able="another")) == []
    assert hearing(listeners, URI, key(server="other")) == []
    assert hearing(listeners, "file:///b") == []
    assert hearing(listeners, 7) == []


@pytest.mark.parametrize(
    ("subscribed", "told", "heard"),
    [
        ("file:///a", "file:///a/b", True),
        ("file:///a/", "file:///a/b", True),
        ("file:///a", "file:///a#b", True),
        ("file:///a", "file:///a?b", True),
        ("file:///a", "file:///ab", False),
        ("file:///a/b", "file:///a", False),
        ("", "file:///a", False),
    ],
)
def test_a_part_of_a_resource_is_told_of_with_it(subscribed: str, told: str, heard: bool) -> None:
    ear = Ear()
    listeners = joined(ear)
    listeners.wish(key(), subscribed, ear, named=True)
    assert listeners.hearing(key(), UPDATED, {"uri": told}) == ([(ear, False)] if heard else [])


def test_the_last_who_wants_a_resource_gives_it_up() -> None:
    first, second = Ear(), Ear()
    listeners = joined(first, second)
    given_up: list[str] = []
    listeners.on_unwanted = lambda _key, uri: given_up.append(uri)
    for ear in (first, second):
        listeners.wish(key(), URI, ear, named=True)
    assert listeners.withdraw(key(), URI, first)
    assert listeners.withdraw(key(), URI, first)
    assert listeners.wanted(key()) == {URI}
    listeners.leave(second)
    assert given_up == [URI]
    assert listeners.wanted(key()) == frozenset()


def test_a_list_is_told_of_to_every_client_of_the_server_and_the_log_to_one() -> None:
    mine, theirs, elsewhere = Ear(), Ear("other"), Ear(server=ServerName("mail"))
    listeners = joined(mine, theirs, elsewhere)
    assert [ear for ear, _ in listeners.hearing(key(), TOOLS, {})] == [mine, theirs]
    assert [ear for ear, _ in listeners.hearing(key(), LOG, {})] == [mine]


def test_streams_end_with_their_conversation_and_sessions_stay() -> None:
    session, mine, theirs = Ear(), stream(), stream("other")
    listeners = joined(session, mine, theirs)
    listeners.lost(key(), Denial(Code.SERVER_UNAVAILABLE, "gone"))
    assert [len(ear.losses) for ear in (session, mine, theirs)] == [0, 1, 0]
    listeners.end(None, ServerName("files"), Denial(Code.SERVER_UNAVAILABLE, "stopped"))
    assert len(theirs.losses) == 1
