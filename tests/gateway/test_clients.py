import base64
from dataclasses import replace

import pytest

from tests.fakes import FakeClock, FakeStateStore
from ztmcp_desktop.domain.caller import Attested, Program, Unknown
from ztmcp_desktop.domain.client import Principal
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.domain.names import ClientName, ServerName, SessionId
from ztmcp_desktop.gateway.acquaintances import MAX_SEEN
from ztmcp_desktop.gateway.clients import Clients
from ztmcp_desktop.gateway.sessions import Sessions

FILES, MAIL, A, B = ServerName("files"), ServerName("mail"), ClientName("a"), ClientName("b")


class Book:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.state = FakeStateStore()
        self.clients = self.reopen()
        self.ended: list[tuple[ClientName, SessionId | None]] = []
        self.clients.on_revoke(lambda client, session: self.ended.append((client, session)))

    def reopen(self) -> Clients:
        return Clients(self.state, self.clock, Sessions(self.clock, 1800))

    def add(self, name: ClientName = A, *servers: ServerName, life_s: float = 3600) -> str:
        return self.clients.add(name, servers or (FILES,), life_s).open()


@pytest.fixture
def book() -> Book:
    return Book()


def refusal(clients: Clients, token: str, server: ServerName = FILES) -> Code:
    with pytest.raises(Denial) as denied:
        clients.authenticate(token, server)
    return denied.value.code


@pytest.mark.attack("N3")
def test_only_the_exact_token_opens_only_its_servers(book: Book) -> None:
    token = book.add(A, FILES)

    for wrong in ("", "ztmcp_", token[:-1], token + "A", token.upper(), token[6:], "ztmcp_" + "A" * 43, token + "\n"):
        assert refusal(book.clients, wrong) is Code.UNAUTHENTICATED
    assert refusal(book.clients, token, MAIL) is Code.UNAUTHENTICATED
    assert book.clients.authenticate(token, FILES).client == A


@pytest.mark.attack("N3")
def test_the_hash_itself_is_no_token_and_no_token_is_stored(book: Book) -> None:
    token = book.add()

    assert refusal(book.clients, book.clients.all()[0].token_hash) is Code.UNAUTHENTICATED
    assert token not in str(book.state.records)
    assert token[6:] not in str(book.state.records)
    assert len(base64.urlsafe_b64decode(token[6:] + "=")) == 32


def test_an_expired_token_opens_nothing(book: Book) -> None:
    token = book.add(life_s=10)
    principal = book.clients.authenticate(token, FILES)
    book.clock.seconds = 10

    assert refusal(book.clients, token) is Code.UNAUTHENTICATED
    with pytest.raises(Denial):
        book.clients.confirm(principal, FILES)


def test_revocation_is_in_force_and_told_before_it_returns(book: Book) -> None:
    token = book.add()
    principal = book.clients.authenticate(token, FILES)

    assert book.clients.revoke(A)

    assert book.ended == [(A, principal.session)]
    assert refusal(book.clients, token) is Code.UNAUTHENTICATED
    assert refusal(book.reopen(), token) is Code.UNAUTHENTICATED
    with pytest.raises(Denial):
        book.clients.confirm(principal, FILES)
    assert not book.clients.revoke(A)


def test_a_client_of_the_same_name_made_anew_does_not_revive_old_calls(book: Book) -> None:
    old = book.clients.authenticate(book.add(), FILES)
    book.clients.revoke(A)
    book.add()

    with pytest.raises(Denial):
        book.clients.confirm(old, FILES)


def test_a_change_that_cannot_be_saved_is_not_in_force(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(name: str, record: JsonObject) -> None:
        raise Denial(Code.GATEWAY_FAULT, "the disk is full")

    monkeypatch.setattr(book.state, "save", full)
    with pytest.raises(Denial):
        book.add()

    assert book.clients.all() == ()


@pytest.mark.parametrize("record", [{}, {"clients": [{}]}, {"clients": 7}, {"clients": [{"name": "a"}]}])
def test_a_record_that_cannot_be_read_refuses_everybody(book: Book, record: JsonObject) -> None:
    token = book.add()
    book.state.records["clients"] = record

    assert refusal(book.reopen(), token) is Code.GATEWAY_FAULT


@pytest.mark.parametrize(
    ("name", "life_s"), [("A", 10), ("a--b", 10), ("", 10), ("b", 0), ("b", -1), ("b", 1e12), ("b", float("nan"))]
)
def test_bad_names_and_lives_are_refused(book: Book, name: str, life_s: float) -> None:
    with pytest.raises(Denial):
        book.clients.add(ClientName(name), (FILES,), life_s)
    assert book.state.records == {}


def test_a_taken_name_is_refused(book: Book) -> None:
    token = book.add()
    with pytest.raises(Denial):
        book.add()
    assert book.clients.authenticate(token, FILES).client == A


def test_clients_survive_a_restart_and_sessions_do_not(book: Book) -> None:
    token = book.add(B, FILES, MAIL)
    book.add(A)
    known = book.clients.all()
    before = book.clients.authenticate(token, FILES)

    again = book.reopen()

    assert again.all() == known
    assert [client.name for client in again.all()] == [A, B]
    assert again.authenticate(token, MAIL).session != before.session


def test_a_session_spans_servers_and_ends_after_silence(book: Book) -> None:
    token = book.add(A, FILES, MAIL, life_s=86400)

    def call(at: float, server: ServerName) -> Principal:
        book.clock.seconds = at
        return book.clients.authenticate(token, server)

    first = call(0, FILES)
    assert call(1000, MAIL) == first
    assert call(2799, FILES) == first
    later = call(4599, FILES)

    assert later.session != first.session
    assert book.ended == [(A, first.session)]


NODE = Program(path="/usr/bin/node", sha256="1" * 64, script="/opt/a/cli.js", script_sha256="2" * 64)
CURL = Program(path="/usr/bin/curl", sha256="3" * 64)


def attested(program: Program) -> Attested:
    return Attested(pid=7, owner="u", program=program)


def book_with(program: Program) -> tuple[Book, Principal]:
    book = Book()
    principal = book.clients.authenticate(book.add(), FILES)
    assert book.clients.meet(principal, attested(program)) is None
    return book, principal


@pytest.mark.attack("P14")
@pytest.mark.parametrize(
    "other",
    [
        CURL,
        replace(NODE, sha256="4" * 64),
        replace(NODE, script="/opt/b/cli.js"),
        replace(NODE, script_sha256="4" * 64),
        replace(NODE, path="/tmp/node"),
    ],
)
def test_a_token_that_turns_up_from_another_program_is_told_from_the_first_until_the_person_says_yes(
    other: Program,
) -> None:
    book, principal = book_with(NODE)
    for clients in (book.clients, book.clients, book.reopen()):
        assert clients.meet(principal, attested(other)) == NODE
    assert book.clients.meet(principal, attested(NODE)) is None
    book.clients.accept(principal, attested(other))
    for clients in (book.clients, book.reopen()):
        assert clients.meet(principal, attested(other)) is None
        assert clients.meet(principal, attested(NODE)) is None


@pytest.mark.attack("P14")
def test_a_caller_that_cannot_be_found_out_is_another_one_where_one_is_known() -> None:
    unknown = Unknown(why="the connection was closed")
    book, principal = book_with(NODE)
    assert book.clients.meet(principal, unknown) == NODE
    book.clients.accept(principal, unknown)
    assert book.clients.meet(principal, unknown) == NODE

    fresh = Book()
    first = fresh.clients.authenticate(fresh.add(), FILES)
    assert fresh.clients.meet(first, unknown) is None
    assert fresh.clients.all()[0].seen == ()


def test_the_first_and_the_last_program_are_kept_and_many_strangers_push_out_neither_what_is_known() -> None:
    book, principal = book_with(NODE)
    book.clients.accept(principal, attested(CURL))
    for number in range(40):
        stranger = replace(CURL, sha256=f"{number:064x}")
        assert book.clients.meet(principal, attested(stranger)) == CURL
    client = book.reopen().all()[0]
    assert len(client.seen) == MAX_SEEN
    assert [seen.program for seen in client.seen if seen.accepted] == [NODE, CURL]
    assert client.last == stranger
    assert book.clients.meet(principal, attested(CURL)) is None


def test_a_call_from_the_program_of_the_last_one_writes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    book, principal = book_with(NODE)

    def refuse(name: str, record: JsonObject) -> None:
        raise AssertionError(name)

    monkeypatch.setattr(book.state, "save", refuse)
    assert book.clients.meet(principal, attested(NODE)) is None
    with pytest.raises(AssertionError):
        book.clients.meet(principal, attested(CURL))


@pytest.mark.attack("P14")
def test_a_client_of_the_bridge_is_known_by_its_program_and_its_token_opens_nothing() -> None:
    book = Book()
    token = book.clients.add(A, (FILES,), 3600, bridge=NODE.place).open()
    assert refusal(book.clients, token) is Code.UNAUTHENTICATED
    assert book.clients.admit(NODE, FILES).client == A
    assert book.clients.admit(replace(NODE, sha256="9" * 64), FILES).client == A
    for program, server in ((CURL, FILES), (replace(NODE, script="/opt/b/cli.js"), FILES), (NODE, MAIL)):
        with pytest.raises(Denial) as denied:
            book.clients.admit(program, server)
        assert denied.value.code is Code.UNAUTHENTICATED
    with pytest.raises(Denial):
        book.clients.add(B, (FILES,), 3600, bridge=NODE.place)
    book.clients.revoke(A)
    with pytest.raises(Denial):
        book.clients.admit(NODE, FILES)


def test_a_record_of_an_earlier_version_is_read() -> None:
    book = Book()
    token = book.add()
    rows = book.state.records["clients"]["clients"]
    book.state.records["clients"] = {
        "clients": [{key: row[key] for key in row if key not in {"bridge", "seen", "last"}} for row in rows]
    }
    assert book.reopen().authenticate(token, FILES).client == A
