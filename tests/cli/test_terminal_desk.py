from tests.fakes import START
from ztmcp_desktop.cli.terminal_desk import words
from ztmcp_desktop.domain.consent import Proposal
from ztmcp_desktop.domain.names import CallId, Digest


def test_a_proposal_is_shown_with_all_that_the_window_would_show() -> None:
    shown = words(
        Proposal(
            id=CallId("p"),
            asked_at=START,
            title="Log in at remote",
            sentence="Your browser opens.",
            facts=(("Server", "remote\x1b[1A"),),
            claims=(("a tool", "does things"),),
            warnings=("It was another one before.",),
            digest=Digest("d"),
            patience_s=60.0,
        )
    )
    for part in (
        "Log in at remote",
        "Your browser opens.",
        "Server: remote",
        "a tool: does things",
        "! It was another",
    ):
        assert part in shown
    assert "\x1b" not in shown
