"""Stage 5."""

from pathlib import Path

import pytest

from tests.fakes import identified, make_call, turns_meanwhile
from tests.pipeline.conftest import FakeServers
from ztmcp_desktop.domain.call import Call
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.domain.limits import Access, Folder, Limits
from ztmcp_desktop.domain.names import ServerName
from ztmcp_desktop.domain.proof import Classified, Confined
from ztmcp_desktop.domain.risk import Risk
from ztmcp_desktop.domain.server import LocalCommand, RemoteUrl, Server
from ztmcp_desktop.pipeline.confine import Confine


class Disk:
    """A home with one permitted folder, our own folder, and something worth stealing beside it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.home, self.ours = root / "home", root / "ours"
        self.project = self.home / "project"
        for folder in (self.project, self.ours, self.home / "project-evil", self.home / ".ssh"):
            folder.mkdir(parents=True)
        (self.project / "note").write_text("mine")
        (self.home / "secret").write_text("not yours")
        (self.home / ".ssh" / "id_rsa").write_text("not yours")

    def stage(self, access: Access = Access.READ_WRITE, *, remote: bool = False) -> Confine:
        limits = Limits() if remote else Limits(folders=(Folder(path=self.project, access=access),))
        where = RemoteUrl(url="https://x.example/mcp") if remote else LocalCommand(argv=("files",))
        server = Server(name=ServerName("files"), endpoint=where, limits=limits)
        return Confine(FakeServers(server), (self.ours,), self.home)

    def call(self, arguments: JsonObject, risk: Risk = Risk.READ) -> Call:
        call = identified(make_call("read_file", arguments))
        return call.proved(Classified(risk=risk, effects=(), signs=()))


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(tmp_path.resolve())


ESCAPES = [
    "/etc/shadow",
    "{home}/secret",
    "{project}/../secret",
    "{project}-evil/x",
    "{project}/./../../home/secret",
    "../secret",
    "file://{home}/secret",
    "file://{project}/%2e%2e/secret",
    "file:///etc/passwd",
    "~/secret",
    "~root/.ssh/id_rsa",
    "{home}/.ssh/id_rsa",
    "{ours}/ledger.db",
    "{project}/link",
    "{project}/link/../../etc/passwd",
    "{project}/note\0/../../secret",
    "/proc/self/environ",
    "\\\\?\\C:\\secret",
]


@pytest.mark.attack("P3")
@pytest.mark.promise("R6")
@pytest.mark.parametrize("written", ESCAPES)
async def test_a_path_outside_is_refused_however_it_is_written(disk: Disk, written: str) -> None:
    (disk.project / "link").symlink_to(disk.home / "secret")
    path = written.format(home=disk.home, project=disk.project, ours=disk.ours)
    for arguments in ({"path": path}, {"paths": [str(disk.project / "note"), path]}, {"options": {"source": path}}):
        with pytest.raises(Denial) as refused:
            await disk.stage()(disk.call(arguments))
        assert refused.value.code is Code.OUTSIDE_LIMITS


@pytest.mark.attack("P3")
async def test_a_folder_on_the_way_that_is_a_link_out_is_refused(disk: Disk) -> None:
    (disk.project / "out").symlink_to(disk.home)
    with pytest.raises(Denial) as refused:
        await disk.stage()(disk.call({"path": str(disk.project / "out" / "secret")}))
    assert refused.value.code is Code.OUTSIDE_LIMITS


@pytest.mark.attack("P3")
@pytest.mark.parametrize("risk", [Risk.WRITE, Risk.DESTROY])
async def test_a_write_into_a_folder_that_is_read_only_is_refused(disk: Disk, risk: Risk) -> None:
    with pytest.raises(Denial) as refused:
        await disk.stage(Access.READ_ONLY)(disk.call({"path": str(disk.project / "note")}, risk))
    assert refused.value.code is Code.OUTSIDE_LIMITS


@pytest.mark.attack("P3")
async def test_keys_inside_a_permitted_folder_are_refused(disk: Disk) -> None:
    with pytest.raises(Denial) as refused:
        await disk.stage()(disk.call({"path": str(disk.project / ".ssh" / "id_rsa")}))
    assert refused.value.code is Code.OUTSIDE_LIMITS


@pytest.mark.parametrize("written", ["{project}/note", "{project}/new/file", "note", "file://{project}/note"])
async def test_a_path_inside_passes_and_is_named_resolved(disk: Disk, written: str) -> None:
    call = await disk.stage()(disk.call({"path": written.format(project=disk.project)}))
    assert all(Path(path).is_relative_to(disk.project) for path in call.proof(Confined).paths)
    assert call.proof(Confined).paths


async def test_text_and_addresses_are_no_paths(disk: Disk) -> None:
    arguments = {"message": "see /etc/passwd or ~/x", "url": "https://example.org/etc/passwd", "count": 3}
    await disk.stage()(disk.call(arguments))


async def test_the_paths_of_a_remote_server_are_on_its_own_machine(disk: Disk) -> None:
    await disk.stage(remote=True)(disk.call({"path": "/srv/data"}))


@pytest.mark.attack("N8")
async def test_many_paths_do_not_hold_the_loop(disk: Disk) -> None:
    call = disk.call({"paths": [f"a%20{number}" + "/é%2e" * 20 for number in range(100)]})
    assert await turns_meanwhile(disk.stage()(call)) > 10
