"""Holds a sandbox and starts one program in it, as root or an ordinary user; its orders are one line of JSON."""

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

from ztmcp_desktop.domain.denial import Denial
from ztmcp_desktop.domain.limits import Access, Folder, Limits
from ztmcp_desktop.domain.names import ServerName
from ztmcp_desktop.domain.runtime import Runtime
from ztmcp_desktop.domain.sandbox import Launch
from ztmcp_desktop.domain.sealed import Sealed
from ztmcp_desktop.sandbox.bubblewrap import open_sandbox

MAX_S = 60


def tell(**told: Any) -> None:
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()


async def main(orders: dict[str, Any]) -> None:
    folders = tuple(Folder(path=Path(path), access=Access(access)) for path, access in orders["folders"])
    sandbox = open_sandbox((Path(orders["ours"]),), Path(orders["home"]))
    launch = Launch(
        server=ServerName("hostile"),
        runtime=Runtime(argv=tuple(orders["argv"]), mounts=tuple(map(Path, orders["mounts"]))),
        limits=Limits(folders=folders, **orders.get("limits", {})),
        env=Sealed(orders.get("env", {})),
    )
    report = sandbox.report()
    machine = {"works": report.works, "reason": report.reason, "mend": report.mend, "missing": report.missing}
    try:
        child = await sandbox.start(launch)
    except Denial as denial:
        tell(denied=denial.reason, code=denial.code.value, **machine)
        return
    if orders.get("then") == "hold":
        first = await child.stdout.readline()
        tell(first=first.decode(), pid=child.pid)
        # Whoever gave the orders ends us, or closes our input: then we end the server.
        await asyncio.to_thread(sys.stdin.read)
        began = time.monotonic()
        await child.kill()
        tell(killed_after_s=time.monotonic() - began)
        return
    out, err = await asyncio.wait_for(asyncio.gather(child.stdout.read(), child.stderr.read()), MAX_S)
    status = await asyncio.wait_for(child.wait(), MAX_S)
    tell(out=out.decode(), err=err.decode(), status=status, pid=child.pid, **machine)


if __name__ == "__main__":
    given = json.loads(sys.stdin.readline())
    if given.get("loop") == "uvloop":
        import uvloop

        uvloop.run(main(given))
    else:
        asyncio.run(main(given))
