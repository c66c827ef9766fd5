import io
import json
import sys
from pathlib import Path

import pytest

from ztmcp_desktop.cli import approving, secret, server
from ztmcp_desktop.cli.client import life_s
from ztmcp_desktop.cli.main import make_parser, parse
from ztmcp_desktop.cli.usage import counted, guarded
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.json import JsonObject


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ZTMCP_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def run(*words: str) -> int:
    arguments = parse(words)
    return int(arguments.do(arguments))


@pytest.mark.parametrize(
    "words",
    [
        ["nonsense"],
        ["run"],
        ["--port", "0"],
        ["--port", "70000"],
        ["server"],
        ["server", "add"],
        ["server", "list", "--jso"],
        ["client", "add", "a", "--expires", "90"],
        ["secret", "set", "name", "value"],
        ["audit", "export", "--format", "xml"],
        ["audit", "prune"],
        ["rule", "explain", "--client", "a"],
    ],
)
def test_wrong_usage_is_status_2_and_one_line(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(words)
    assert ended.value.code == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


@pytest.mark.parametrize(
    "words",
    [
        ["server", "add", "a"],
        ["server", "add", "a", "--url", "https://a.example", "--", "node"],
        ["server", "add", "a", "--env", "NOTHING", "--", "node"],
        ["server", "add", "a", "--env", "A=1", "--env", "A=2", "--", "node"],
        ["server", "add", "a", "--header", "nothing", "--url", "https://a.example"],
    ],
)
def test_a_server_that_is_not_said_rightly_is_status_2(words: list[str], home: Path) -> None:
    assert run(*words) == 2
    assert not home.exists()


@pytest.mark.parametrize(
    "words",
    [
        ["server", "add", "a", "--host", "a.example", "--", "node"],
        ["server", "add", "a", "--table", "orders", "--", "node"],
        ["rule", "preview", "a.cedar"],
    ],
)
def test_what_is_not_there_yet_says_so(words: list[str], home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*words) == 1
    assert "not there yet" in capsys.readouterr().err
    assert not home.exists()


def test_status_without_a_gateway_is_4(capsys: pytest.CaptureFixture[str], home: Path) -> None:
    assert run("status", "--json") == 4
    assert json.loads(capsys.readouterr().out) == {"running": False}
    assert not home.exists()


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (Code.SCHEMA_MISMATCH, 2),
        (Code.OUTSIDE_LIMITS, 2),
        (Code.REFUSED_BY_PERSON, 3),
        (Code.NO_ANSWER, 3),
        (Code.NOBODY_THERE, 3),
        (Code.REFUSED_BY_RULE, 3),
        (Code.NOT_PERMITTED, 1),
        (Code.GATEWAY_FAULT, 1),
        (Code.SECRET_MISSING, 1),
    ],
)
def test_each_denial_has_its_status(code: Code, status: int, capsys: pytest.CaptureFixture[str]) -> None:
    def refuse(_arguments: object) -> int:
        raise Denial(code, "because\nof \x1b[31mthis")

    assert guarded(refuse)(parse(["status"])) == status
    said = capsys.readouterr().err
    assert len(said.strip().splitlines()) == 1
    assert "\x1b" not in said


def test_a_servers_own_options_stay_with_it() -> None:
    arguments = parse(["server", "add", "a", "--folder", "/srv:rw", "--", "npx", "-y", "--url", "x", "--", "-h"])
    assert arguments.url is None
    assert arguments.argv == ["=npx", "=-y", "=--url", "=x", "=--", "=-h"]


@pytest.mark.parametrize(("text", "seconds"), [("90d", 7_776_000), ("1s", 1), ("5m", 300), ("2h", 7200)])
def test_a_life_is_read_with_its_unit(text: str, seconds: int) -> None:
    assert life_s(text) == seconds


@pytest.mark.parametrize(
    "words", [["hunter2"], ["hunter2", "more"], ["--value", "hunter2"], ["--value=hunter2"], ["--", "hunter2"]]
)
def test_a_secret_among_the_arguments_is_refused_and_not_repeated(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(["secret", "set", "name", *words])
    assert ended.value.code == 2
    said = capsys.readouterr()
    assert "hunter2" not in said.err + said.out
    assert len(said.err.strip().splitlines()) == 1


def test_the_refused_value_is_told_its_way(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["secret", "set", "name", "hunter2"])
    assert "standard input" in capsys.readouterr().err


def test_a_server_is_shown_in_plain_lines() -> None:
    shown = server._lines(
        {
            "name": "files",
            "approval": "approved",
            "kind": "local",
            "command": ["node", "a b.js"],
            "url": None,
            "env": {"LANG": "C"},
            "folders": [["/srv", "ro"]],
            "secrets": [["TOKEN", "github"]],
            "runtime": {"argv": ["/usr/bin/node", "a b.js"], "mounts": ["/opt/x"], "installed": []},
            "login": {"issuer": "https://as.example", "clients": {"code": ["read"]}},
        }
    )
    assert shown == [
        ("name", "files"),
        ("approval", "approved"),
        ("kind", "local"),
        ("command", "node 'a b.js'"),
        ("variable", "LANG=C"),
        ("folder", "/srv (read only)"),
        ("secret", "github as TOKEN"),
        ("runs as", "/usr/bin/node 'a b.js'"),
        ("sees", "/opt/x (read only)"),
        ("login", "at https://as.example, for code"),
    ]


def test_one_is_not_counted_as_many() -> None:
    assert [counted(number, "row") for number in (0, 1, 2)] == ["0 rows", "1 row", "2 rows"]


def test_a_secret_comes_from_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("hunter2\nsecond\n"))
    assert secret._value("token") == "hunter2\nsecond"


class Answers:
    """A connection that plays an approval."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.runtime: JsonObject | None = {"argv": ["node"]}
        self.answered = True

    def ask(self, verb: str, arguments: JsonObject | None = None) -> JsonObject:
        self.asked.append(verb)
        return {
            "facts": [["Command", "evil\x1b[2K"]],
            "warnings": [],
            "digest": "d",
            "runtime": self.runtime,
            "answered": self.answered,
            "reason": "it ended by itself",
            "log": ["no licence\x1b[2K"],
        }


@pytest.mark.parametrize(
    ("typed", "asked"),
    [
        ("", ["server.terms"]),
        ("n\n", ["server.terms"]),
        ("\n", ["server.terms"]),
        ("y\n", ["server.terms", "server.approve-command"]),
        ("y\nno\n", ["server.terms", "server.approve-command"]),
        ("y\nyes\n", ["server.terms", "server.approve-command", "server.approve-offer"]),
    ],
)
def test_only_two_typed_yes_es_approve(
    typed: str, asked: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
    answers = Answers()
    status = approving._two_steps(answers, "files", asks=True)  # type: ignore[arg-type]
    assert answers.asked == asked
    assert status == (0 if len(asked) == 3 else 3)
    assert "\x1b" not in capsys.readouterr().out


@pytest.mark.parametrize(("runtime", "what"), [(None, "address"), ({"argv": ["node"]}, "command")])
def test_a_server_that_does_not_answer_is_named_with_its_last_words(
    runtime: JsonObject | None, what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = Answers()
    answers.runtime, answers.answered = runtime, False
    assert approving._two_steps(answers, "rem", asks=False) == 0  # type: ignore[arg-type]
    said = capsys.readouterr().out
    assert f"The {what} of rem is approved. It did not answer: it ended by itself." in said
    assert "  | no licence" in said
    assert "\x1b" not in said


def test_every_command_has_help(capsys: pytest.CaptureFixture[str]) -> None:
    waiting = [("ztmcp", make_parser())]
    seen = 0
    while waiting:
        name, parser = waiting.pop()
        with pytest.raises(SystemExit) as ended:
            parser.parse_args(["-h"])
        assert ended.value.code == 0, name
        assert "usage" in capsys.readouterr().out
        seen += 1
        for action in parser._actions:
            if isinstance(action.choices, dict):
                waiting += [(f"{name} {word}", child) for word, child in action.choices.items()]
    assert seen > 30
