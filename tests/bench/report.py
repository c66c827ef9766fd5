"""The tables of a run, ready for the README."""

import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime

from tests.bench.arithmetic import all_times_s, cpu_ms_of, median_of, median_within, percentile, rate_of, time_of
from tests.bench.direct import OVER_HTTP, OVER_PIPES
from tests.bench.ours import Kind
from tests.bench.rounds import SMALL, Plan
from tests.bench.runs import Group, rounds_of, together
from tests.bench.table import (
    COLUMNS,
    P99,
    SIZES,
    absolute,
    added,
    cell,
    failed,
    failures,
    machine,
    ms,
    p99,
    relative,
    table,
)

FAST_COLUMNS = ("calls/s, 8 at once", "32 at once", "added, ms", "p99 added, ms", "p99, ms", "CPU ms a call")
BESIDE_COLUMNS = ("× time 100 B", "× 10 KB", "× 1 MB", "× calls/s, 8 at once", "× 32")
BUSY = (8, 32)
STDIO_NOTE = (
    "† over stdio, against the server over stdio. A start has that of the server that a gateway starts itself in it."
)


def of_kinds(title: str, groups: Sequence[Group], plan: Plan) -> str:
    """ztmcp before each kind of server."""
    lines = [relative(group.run, group.ours, plan) for group in groups]
    bare = absolute(groups[0].server.name, rounds_of(groups, groups[0].server.name))
    return table([title, *COLUMNS], [bare, *lines])


def of_fast(title: str, group: Group) -> str:
    """ztmcp before a server that is faster than it."""
    lines = []
    for program in (group.server, group.ours):
        rounds = group.run.rounds[program.name]
        bare = program is group.server
        lines.append(
            [
                program.name,
                *(cell(median_of(rounds, rate_of(count)), ",.0f") for count in BUSY),
                cell(None if bare else added(group.run, program)),
                cell(None if bare else p99_added(group)),
                p99(rounds),
                cell(None if bare else median_of(rounds, cpu_ms_of)),
            ]
        )
    return table([title, *FAST_COLUMNS], lines)


def p99_added(group: Group) -> float | None:
    """Milliseconds by which the slowest hundredth is later through ztmcp; over the calls of all rounds."""
    ours, bare = (
        percentile(all_times_s(group.run.rounds[program.name], SMALL), P99) for program in (group.ours, group.server)
    )
    return None if ours is None or bare is None else ms(ours - bare)


def of_peers(title: str, groups: Sequence[Group], plan: Plan) -> str:
    """ztmcp and each other gateway, against the server itself."""
    columns = [title, *COLUMNS]
    bare = {name: rounds_of(groups, name) for name in (OVER_HTTP, OVER_PIPES)}
    lines = [absolute(name, rounds) for name, rounds in bare.items() if rounds]
    for kind in Kind:
        if mine := [group for group in groups if group.ours.kind is kind]:
            whole = together(mine)
            lines.append(relative(whole.run, whole.ours, plan))
    for group in groups:
        if group.peer is not None:
            line = failed(group.peer.name, columns, group.why_not) if group.why_not else None
            lines.append(line or relative(group.run, group.peer, plan))
    return table(columns, lines) + f"\n\n{STDIO_NOTE}"


def of_pairs(title: str, groups: Sequence[Group]) -> str:
    """ztmcp against each other gateway, within the rounds that they had together."""
    figures = [*(time_of(size) for size in SIZES), *(rate_of(count) for count in BUSY)]
    lines = []
    for group in groups:
        if group.peer is not None and not group.why_not:
            ours, theirs = (group.run.rounds[program.name] for program in (group.ours, group.peer))
            lines.append([group.peer.name, *(cell(median_within(ours, theirs, figure)) for figure in figures)])
    return table([title, *BESIDE_COLUMNS], lines)


def closing(command: str, groups: Sequence[Group], plan: Plan) -> str:
    """What has to stand below the tables: what failed, how busy the machine was, the command and the day."""
    runs = [group.run for group in groups]
    where = f"{os.cpu_count()} cores, Python {platform.python_version()}"
    how = f"`{command}`, {datetime.now(UTC):%Y-%m-%d}: {where}, medians of {plan.rounds} rounds."
    return "\n".join([*failures([each for group in groups for each in group.gateways]), "", f"{how} {machine(runs)}"])
