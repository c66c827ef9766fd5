from dataclasses import replace
from pathlib import Path

import pytest

from tests.fakes import FakeStateStore, make_digester
from tests.gateway.behind import OneServer
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.limits import Limits
from ztmcp_desktop.domain.names import SecretName, ServerName
from ztmcp_desktop.domain.offer import ItemKind, Offer
from ztmcp_desktop.domain.runtime import Runtime
from ztmcp_desktop.domain.server import LocalCommand, Server
from ztmcp_desktop.gateway.catalogue import PinnedCatalogue

NAME = ServerName("files")
COMMAND = LocalCommand(argv=("server",))
TOOL = {"name": "read", "inputSchema": {"type": "object"}}
OFFER = Offer(
    legacy={"instructions": "Be kind."},
    items={
        ItemKind.TOOL: (TOOL, {"name": "write"}),
        ItemKind.RESOURCE: ({"uri": "file:///a", "name": "a"},),
        ItemKind.TEMPLATE: ({"uriTemplate": "note://{id}", "name": "note"},),
    },
)


class Book:
    def __init__(self, tmp_path: Path) -> None:
        self.program = tmp_path / "server"
        self.program.write_bytes(b"one")
        self.runtime = Runtime(argv=(str(self.program),), mounts=(tmp_path,), installed=("a==1",))
        self.servers = OneServer(Server(name=NAME, endpoint=COMMAND))
        self.state = FakeStateStore()
        self.catalogue = self.again()

    def again(self) -> PinnedCatalogue:
        return PinnedCatalogue(self.state, self.servers, make_digester())

    def approve(self) -> PinnedCatalogue:
        self.catalogue.approve_command(self.servers.server, self.runtime)
        self.catalogue.approve_offer(NAME, OFFER)
        return self.catalogue

    def refusal(self, kind: ItemKind | None = ItemKind.TOOL, subject: str = "read") -> Code:
        with pytest.raises(Denial) as caught:
            self.catalogue.identify(NAME, kind, subject)
        return caught.value.code


@pytest.fixture
def book(tmp_path: Path) -> Book:
    return Book(tmp_path)


def test_nothing_is_offered_before_both_approvals(book: Book) -> None:
    assert book.catalogue.approval(NAME) == "proposed"
    assert book.refusal() is Code.NOT_PERMITTED
    book.catalogue.approve_command(book.servers.server, book.runtime)
    assert book.catalogue.approval(NAME) == "command-approved"
    assert book.refusal() is Code.NOT_PERMITTED
    book.catalogue.approve_offer(NAME, OFFER)
    assert book.catalogue.approval(NAME) == "approved"
    assert book.catalogue.identify(NAME, ItemKind.TOOL, "read").item == TOOL


def test_an_offer_is_not_approved_without_its_command(book: Book) -> None:
    with pytest.raises(Denial):
        book.catalogue.approve_offer(NAME, OFFER)
    assert book.state.records == {}


@pytest.mark.parametrize(
    "change",
    [
        {"endpoint": replace(COMMAND, argv=("server", "--all"))},
        {"endpoint": replace(COMMAND, env=(("A", "b"),))},
        {"endpoint": replace(COMMAND, secret_env=(("A", SecretName("b")),))},
        {"limits": Limits(processes=9)},
        {"argument_secrets": (SecretName("b"),)},
        {"mask_results": False},
    ],
)
def test_other_terms_end_the_approval(book: Book, change: dict[str, object]) -> None:
    book.approve()
    book.servers.server = replace(book.servers.server, **change)  # type: ignore[arg-type]
    assert book.refusal() is Code.CHANGED_SINCE_APPROVAL
    assert book.catalogue.approval(NAME) == "changed"
    with pytest.raises(Denial):
        book.catalogue.runtime(NAME)


def test_approving_the_command_again_needs_the_offer_again(book: Book) -> None:
    book.approve().approve_command(book.servers.server, book.runtime)
    assert book.refusal() is Code.NOT_PERMITTED


@pytest.mark.attack("T2")
def test_a_changed_tool_is_refused_alone_and_stays_refused_when_it_is_changed_back(book: Book) -> None:
    catalogue = book.approve()
    tools = ({**TOOL, "title": "x"}, {"name": "write"})
    catalogue.observe(NAME, replace(OFFER, items={**OFFER.items, ItemKind.TOOL: tools}))
    assert book.refusal() is Code.CHANGED_SINCE_APPROVAL
    assert catalogue.identify(NAME, ItemKind.TOOL, "write").name == "write"
    catalogue.observe(NAME, OFFER)
    book.catalogue = book.again()
    assert book.refusal() is Code.CHANGED_SINCE_APPROVAL
    book.catalogue.approve_offer(NAME, OFFER)
    assert book.catalogue.identify(NAME, ItemKind.TOOL, "read").item == TOOL


@pytest.mark.attack("T2")
def test_changed_instructions_refuse_everything(book: Book) -> None:
    book.approve().observe(NAME, replace(OFFER, legacy={"instructions": "Be unkind."}))
    assert book.refusal() is Code.CHANGED_SINCE_APPROVAL
    assert book.refusal(None, "ping") is Code.CHANGED_SINCE_APPROVAL
    with pytest.raises(Denial):
        book.catalogue.offer(NAME)


def test_a_new_tool_is_not_offered_and_a_missing_one_is_no_alarm(book: Book) -> None:
    catalogue = book.approve()
    more = replace(OFFER, items={**OFFER.items, ItemKind.TOOL: (TOOL, {"name": "delete"})})
    catalogue.observe(NAME, more)
    assert book.refusal(ItemKind.TOOL, "delete") is Code.NOT_PERMITTED
    assert [c.name for c in catalogue.changes(NAME)] == ["write", "delete"]
    assert catalogue.identify(NAME, ItemKind.TOOL, "write").name == "write"
    catalogue.observe(NAME, OFFER)
    assert catalogue.changes(NAME) == ()


@pytest.mark.attack("T4")
@pytest.mark.parametrize("name", ["Read", "read ", "rеad", "ｒead", "re\u200bad", ""])  # noqa: RUF001
def test_only_the_exact_name_is_known(book: Book, name: str) -> None:
    book.approve()
    assert book.refusal(ItemKind.TOOL, name) is Code.NOT_PERMITTED


def test_what_a_resource_is_pinned_by(book: Book) -> None:
    catalogue = book.approve()
    assert catalogue.identify(NAME, ItemKind.RESOURCE, "file:///a").kind is ItemKind.RESOURCE
    assert catalogue.identify(NAME, ItemKind.RESOURCE, "note://7").kind is ItemKind.TEMPLATE
    assert catalogue.identify(NAME, ItemKind.RESOURCE, "file:///b").kind is None


@pytest.mark.attack("T3")
def test_a_replaced_program_is_not_run(book: Book) -> None:
    catalogue = book.approve()
    assert catalogue.runtime(NAME) == book.runtime
    book.program.write_bytes(b"two")
    with pytest.raises(Denial) as caught:
        catalogue.runtime(NAME)
    assert caught.value.code is Code.CHANGED_SINCE_APPROVAL
    book.program.unlink()
    with pytest.raises(Denial):
        catalogue.runtime(NAME)


def test_all_of_it_outlives_a_restart(book: Book) -> None:
    book.approve()
    again = book.again()
    assert again.offer(NAME) == OFFER
    assert again.runtime(NAME) == book.runtime
    again.forget(NAME)
    assert book.again().approval(NAME) == "proposed"
