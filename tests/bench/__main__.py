"""What a call through the gateway costs, against the same server without it. See packaging/bench."""

import argparse
import os
import sys
from dataclasses import replace

import uvloop

from tests.bench import report
from tests.bench.eras import Era
from tests.bench.ours import Kind
from tests.bench.peers import GATEWAYS
from tests.bench.program import FAST
from tests.bench.rounds import BRIEF, Plan
from tests.bench.runs import Group, alone, beside

COMMAND = "packaging/bench"
AGAINST = "against the same server over HTTP without it"


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--peers", action="store_true", help="other gateways beside ztmcp, installed in .cache/peers")
    what.add_argument("--window", action="store_true", help="what the window costs, on a virtual screen")
    parser.add_argument("--era", choices=[era.value for era in Era], help="one protocol era only")
    parser.add_argument("--only", default="", metavar="WORD", help="with --peers: those whose name has this word")
    parser.add_argument("--brief", action="store_true", help="too little to say anything, to try the benchmark itself")
    return parser.parse_args()


async def ordinary(eras: list[Era], plan: Plan) -> list[Group]:
    """ztmcp by itself: both kinds of server, then a fast one."""
    groups = []
    for era in eras:
        mine = [await alone(era, kind, plan) for kind in Kind]
        print(report.of_kinds(f"{era.value}, {AGAINST}", mine, plan), flush=True)
        fast = await alone(era, Kind.HTTP, replace(plan, starts=1), FAST)
        print("\n" + report.of_fast(f"{era.value}, before a fast server", fast) + "\n", flush=True)
        groups += [*mine, fast]
    return groups


async def with_peers(eras: list[Era], plan: Plan, word: str) -> list[Group]:
    """ztmcp beside each other gateway that speaks the era."""
    groups = list[Group]()
    for era in eras:
        mine = list[Group]()
        try:
            for gateway in GATEWAYS:
                if era in gateway.eras and word.lower() in gateway.name.lower():
                    print(f"{era.value} · {gateway.name}", file=sys.stderr, flush=True)
                    mine.append(await beside(era, gateway, plan, mine))
        finally:
            # What was measured is told, whatever kept the rest from it.
            if mine:
                print(report.of_peers(f"{era.value}, {AGAINST}", mine, plan))
                print("\n" + report.of_pairs(f"{era.value}, ztmcp against each", mine) + "\n", flush=True)
        groups += mine
    return groups


def main() -> int:
    """Print the tables; 1 where ztmcp failed at something."""
    asked = parse()
    command = " ".join([COMMAND, *sys.argv[1:]])
    plan = BRIEF if asked.brief else Plan(rounds=int(os.environ.get("ZTMCP_BENCH_ROUNDS", "5")))
    if asked.window:
        from tests.bench import window

        print(window.rendered(uvloop.run(window.figures(plan)), command))
        return 0
    eras = [era for era in Era if asked.era in {None, era.value}]
    groups = uvloop.run(with_peers(eras, plan, asked.only) if asked.peers else ordinary(eras, plan))
    print(report.closing(command, groups, plan))
    return int(any(group.ours.failures for group in groups))


if __name__ == "__main__":
    sys.exit(main())
