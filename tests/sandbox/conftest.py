"""Who attacks: root, and an ordinary user that is made for it."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sandbox.attacker import USER, Attacker, code_for_anybody, make_user


@pytest.fixture(scope="session")
def code() -> Iterator[Path]:
    with code_for_anybody() as folder:
        yield folder


@pytest.fixture(scope="session")
def ordinary_user() -> Iterator[pwd.struct_passwd]:
    if os.getuid() != 0:
        pytest.fail("these tests attack as root and as a user that they make, so they must be run by root")
    made = make_user()
    yield pwd.getpwnam(USER)
    if made:
        subprocess.run(["userdel", USER], check=False, capture_output=True)


def _attacker(code: Path, user_id: int, group_id: int, loop: str) -> Iterator[Attacker]:
    root = Path(tempfile.mkdtemp(prefix="ztmcp-hostile-", dir="/var/tmp"))
    root.chmod(0o755)
    attacker = Attacker(code=code, root=root, user_id=user_id, group_id=group_id, loop=loop)
    yield attacker
    attacker.stop_all()
    shutil.rmtree(root)


@pytest.fixture(params=["root", "user"])
def attacker(request: pytest.FixtureRequest, code: Path, ordinary_user: pwd.struct_passwd) -> Iterator[Attacker]:
    ids = (0, 0) if request.param == "root" else (ordinary_user.pw_uid, ordinary_user.pw_gid)
    yield from _attacker(code, *ids, "asyncio")


@pytest.fixture
def user_attacker(code: Path, ordinary_user: pwd.struct_passwd) -> Iterator[Attacker]:
    yield from _attacker(code, ordinary_user.pw_uid, ordinary_user.pw_gid, "asyncio")


@pytest.fixture
def root_attacker(code: Path, ordinary_user: pwd.struct_passwd) -> Iterator[Attacker]:
    yield from _attacker(code, 0, 0, "asyncio")


@pytest.fixture
def uvloop_attacker(code: Path, ordinary_user: pwd.struct_passwd) -> Iterator[Attacker]:
    """Root, with the event loop that the core prefers."""
    yield from _attacker(code, 0, 0, "uvloop")
