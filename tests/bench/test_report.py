from pathlib import Path

from tests.bench.arithmetic import Round
from tests.bench.direct import HttpServer, PipesServer
from tests.bench.eras import Era
from tests.bench.ours import Kind, Ours
from tests.bench.peer import Form, Gateway, Launch, Peer, Place
from tests.bench.report import closing, of_fast, of_kinds, of_pairs, of_peers
from tests.bench.rounds import LARGE, MIDDLE, SMALL, Growth, Plan, Run
from tests.bench.runs import Group
from tests.bench.window import Figures, painted, rendered

ERA = Era.HANDSHAKE
PLAN = Plan(rounds=1)


def taken(times: float, rate: float, cpu_s: float = 0.0) -> Round:
    """A round in which every call took so many milliseconds, and ten times that for each larger size."""
    times_s = {SMALL: [times / 1000], MIDDLE: [times / 100], LARGE: [times / 10]}
    return Round(times_s=times_s, rates={1: rate, 8: 2 * rate, 32: 4 * rate}, calls=100, cpu_s=cpu_s)


def ours(kind: Kind) -> Ours:
    made = Ours(ERA, kind, "")
    made.starts_s, made.at_rest_mib = [1.0, 3.0, 1.5], [90.0]
    return made


def launch(place: Place) -> Launch:
    return Launch(command=["false"])


def peer(name: str, form: Form) -> Peer:
    made = Peer(ERA, Gateway(name=name, checks="none", folder=name, form=form, launch=launch))
    made.starts_s, made.at_rest_mib = [0.5], [10.0]
    return made


def group(kind: Kind, own_ms: float, other: Peer | None = None, why_not: str = "") -> Group:
    server, mine = HttpServer(ERA), ours(kind)
    run = Run(rounds={server.name: [taken(1, 1000)], mine.name: [taken(own_ms, 500, 0.13)]}, others=[0.02, 0.3])
    if other is not None and not why_not:
        run.rounds[other.name] = [taken(4, 250, 0.4)]
        if other.gateway.form is Form.PIPES:
            run.rounds[PipesServer(ERA).name] = [taken(2, 125)]
    return Group(server=server, ours=mine, run=run, peer=other, why_not=why_not)


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_a_gateway_has_ratios_and_the_server_itself_what_they_are_ratios_to() -> None:
    measured = group(Kind.HTTP, 3)
    measured.run.growth[measured.ours.name] = Growth(calls=9_000, mib=1.25, files=-2)
    measured.run.after_mib[measured.ours.name] = 101.4
    _, rule, bare, line = of_kinds("through ztmcp", [measured], PLAN).splitlines()
    assert rule.count("---") == 13
    times = ["1.00 ms", "10.00 ms", "100.00 ms"]
    assert cells(bare) == [
        "the server itself, over HTTP", *times, "1,000/s", "2,000/s", "4,000/s", "–", "1.0", "–", "–", "–", "–",
    ]  # fmt: skip
    assert cells(line) == [
        "ztmcp, server over HTTP", "3.00", "3.00", "3.00", "0.50", "0.50", "0.50", "2.00", "3.0", "1.30", "1.5",
        "90 / 101", "+1.2 (-2) in 9,000",
    ]  # fmt: skip


def test_what_is_worse_stands_in_the_table_as_what_is_better_does() -> None:
    worse = group(Kind.HTTP, 8, peer("swift", Form.HTTP_TO_HTTP))
    assert cells(of_pairs("against each", [worse]).splitlines()[-1]) == ["swift (none)", *["2.00"] * 5]
    better = group(Kind.HTTP, 1, peer("slow", Form.HTTP_TO_HTTP))
    assert cells(of_pairs("against each", [better]).splitlines()[-1]) == ["slow (none)", *["0.25"] * 3, "2.00", "2.00"]


def test_a_gateway_over_pipes_is_set_against_the_server_over_pipes() -> None:
    text = of_peers("2025-11-25", [group(Kind.STDIO, 3, peer("piped", Form.PIPES))], PLAN)
    rows = {cells(line)[0]: cells(line)[1:5] for line in text.splitlines() if line.startswith("|")}
    assert rows["the server itself, over stdio"] == ["2.00 ms", "20.00 ms", "200.00 ms", "125/s"]
    assert rows["piped (none) †"] == ["2.00", "2.00", "2.00", "2.00"]
    assert rows["ztmcp, server over stdio"] == ["3.00", "3.00", "3.00", "0.50"]
    assert "† over stdio" in text


def test_a_gateway_that_did_not_start_is_a_row_that_says_so() -> None:
    groups = [
        group(Kind.HTTP, 3, peer("absent", Form.HTTP_TO_HTTP), "FileNotFoundError: it is\nnot | there"),
        group(Kind.HTTP, 5, peer("present", Form.HTTP_TO_HTTP)),
    ]
    text = of_peers("2025-11-25", groups, PLAN)
    assert [cells(line)[0] for line in text.splitlines() if "absent" in line] == [
        "absent (none): FileNotFoundError: it is not / there"
    ]
    assert "absent" not in of_pairs("against each", groups)
    row = next(line for line in text.splitlines() if line.startswith("| ztmcp"))
    assert cells(row)[1] == "4.00"  # the median over the rounds of both


def test_before_a_fast_server_calls_a_second_are_told_as_they_are() -> None:
    bare, line = of_fast("before a fast server", group(Kind.HTTP, 3)).splitlines()[-2:]
    assert cells(bare)[1:] == ["2,000", "4,000", "–", "–", "1.0", "–"]
    assert cells(line)[1:] == ["1,000", "2,000", "2.00", "2.00", "3.0", "1.30"]


def test_below_the_tables_stands_the_command_and_how_busy_the_machine_was() -> None:
    measured = group(Kind.HTTP, 3)
    measured.ours.failures["8 at once"] = "TimeoutError: "
    text = closing("packaging/bench", [measured], PLAN)
    assert text.startswith("- ztmcp, server over HTTP, 8 at once: TimeoutError:")
    assert "`packaging/bench`, 2" in text
    assert "medians of 1 rounds" in text
    assert "Other work took 16% of the machine in the median round, 30% in the worst." in text


def test_a_painting_of_another_question_or_window_is_not_the_one_that_is_waited_for(tmp_path: Path) -> None:
    notes = tmp_path / "painted"
    assert painted(notes, "MainWindow", "") is None
    notes.write_text('[1.5, "MainWindow", ""]\n[2.5, "ConsentDialog", "question 1"]\n')
    assert painted(notes, "MainWindow", "") == 1.5
    assert painted(notes, "ConsentDialog", "question 1") == 2.5
    assert painted(notes, "ConsentDialog", "question 2") is None


def test_the_window_has_its_first_dialog_and_the_slow_ones_in_the_table() -> None:
    figures = Figures(window_s=[0.5, 0.7, 2.0], at_rest_mib=[149.6], dialog_s=[0.1, *[0.02] * 57, 0.05, 0.06])
    line = next(line for line in rendered(figures, "packaging/bench --window").splitlines() if "ztmcp" in line)
    assert cells(line) == ["ztmcp with its window", "0.70", "150", "100", "20", "20", "60"]
