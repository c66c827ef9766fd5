"""Starts one confined program and tells what came of it. Run by root or an ordinary user; its orders are JSON."""

import asyncio
import json
import sys
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


async def main() -> dict[str, Any]:
    orders = json.loads(sys.stdin.readline())
    folders = tuple(Folder(path=Path(path), access=Access(access)) for path, access in orders["folders"])
    sandbox = open_sandbox((Path(orders["ours"]),), Path(orders["home"]))
    launch = Launch(
        server=ServerName("hostile"),
        runtime=Runtime(argv=tuple(orders["argv"])),
        limits=Limits(folders=folders, **orders.get("limits", {})),
        env=Sealed(orders.get("env", {})),
    )
    report = sandbox.report()
    try:
        child = await sandbox.start(launch)
    except Denial as denial:
        return {"denied": denial.reason, "works": report.works, "missing": report.missing}
    if orders.get("then") == "wait to be killed":
        sys.stdout.write("started\n")
        sys.stdout.flush()
        await child.wait()
    if orders.get("then") == "kill":
        await child.stdout.readline()
        await child.kill()
    out, err = await asyncio.wait_for(asyncio.gather(child.stdout.read(), child.stderr.read()), MAX_S)
    status = await asyncio.wait_for(child.wait(), MAX_S)
    return {"out": out.decode(), "err": err.decode(), "status": status, "missing": report.missing}


sys.stdout.write(json.dumps(asyncio.run(main())) + "\n")
