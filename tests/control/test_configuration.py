from pathlib import Path

import pytest

from ztmcp_desktop.control.configuration import Configuration
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.limits import Access, Folder, Limits
from ztmcp_desktop.domain.names import SecretName, ServerName
from ztmcp_desktop.domain.server import LocalCommand, RemoteUrl, Server
from ztmcp_desktop.settings import DEFAULT_PORT

FILES = Server(
    name=ServerName("files"),
    endpoint=LocalCommand(argv=("node", "index.js"), env=(("A", "1"),), secret_env=(("T", SecretName("token")),)),
    limits=Limits(folders=(Folder(path=Path("/srv/a:b"), access=Access.READ_WRITE),), call_s=5.0),
    mask_results=False,
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "config.toml"


@pytest.mark.parametrize(
    ("text", "line", "named"),
    [
        ("port = 7000\nprot = 1\n", 2, "prot"),
        ("port = '7000'\n", 1, "port"),
        ("port = true\n", 1, "port"),
        ("port = 0\n", 1, "port"),
        ("\n\nsettle_ms = 10\n", 3, "settle_ms"),
        ("headless_desk = 'yes'\n", 1, "headless_desk"),
        ("allowed_origins = 'https://a.example'\n", 1, "allowed_origins"),
        ("[servers.a]\ncommand = ['x']\nfolder = []\n", 3, "folder"),
        ("[servers.a]\ncommand = ['x']\nurl = 'https://a.example'\n", 1, "servers.a"),
        ("[servers.a]\ncommand = ['x']\nfolders = ['relative:ro']\n", 3, "folders"),
        ("[servers.a]\ncommand = ['x']\nfolders = ['/srv']\n", 3, "folders"),
        ("[servers.a]\ncommand = []\n", 2, "command"),
        ("[servers.a]\ncommand = ['x']\nsecret_env = { T = 'not a name' }\n", 3, "secret_env"),
        ("[servers.a]\ncommand = ['x']\n[servers.a.limits]\nmemory_bytes = -1\n", 4, "memory_bytes"),
        ("[servers.A-b]\ncommand = ['x']\n", 1, "servers.A-b"),
        ("[servers.a]\ncommand = ['x']\nmask_results = 'no'\n", 3, "mask_results"),
        ("port = \n", 1, ""),
    ],
)
def test_what_is_wrong_is_refused_with_its_line(file: Path, text: str, line: int, named: str) -> None:
    file.write_text(text)
    with pytest.raises(Denial, match=f"line {line}: .*{named}") as refused:
        Configuration(file)
    assert refused.value.code is Code.GATEWAY_FAULT


@pytest.mark.attack("N11")
def test_a_link_in_the_place_of_the_file_is_refused(file: Path, tmp_path: Path) -> None:
    (tmp_path / "other.toml").write_text("port = 1\n")
    file.symlink_to(tmp_path / "other.toml")
    with pytest.raises(Denial, match="link"):
        Configuration(file)


def test_without_a_file_settings_are_as_shipped(file: Path) -> None:
    configuration = Configuration(file)
    assert configuration.settings.port == DEFAULT_PORT
    assert configuration.all() == ()


def test_a_server_comes_back_as_it_was_written(file: Path) -> None:
    remote = Server(
        name=ServerName("far"),
        endpoint=RemoteUrl(
            url="https://a.example/mcp",
            headers=(("X-A", "1"),),
            secret_headers=(("Authorization", SecretName("t")),),
        ),
    )
    configuration = Configuration(file)
    configuration.add(FILES)
    configuration.add(remote)
    assert Configuration(file).all() == (remote, FILES)
    assert configuration.all() == (remote, FILES)


def test_the_file_is_readable_by_its_owner_only(file: Path) -> None:
    Configuration(file).add(FILES)
    assert file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in file.parent.iterdir()] == ["config.toml"]


def test_comments_are_kept(file: Path) -> None:
    file.write_text("# mine\nport = 7001 # because\n")
    configuration = Configuration(file)
    configuration.add(FILES)
    configuration.remove(FILES.name)
    assert "# mine\nport = 7001 # because\n" in file.read_text()
    assert Configuration(file).all() == ()


def test_a_taken_name_changes_nothing(file: Path) -> None:
    configuration = Configuration(file)
    configuration.add(FILES)
    before = file.read_bytes()
    with pytest.raises(Denial, match="already"):
        configuration.add(FILES)
    assert file.read_bytes() == before


def test_a_file_that_was_broken_by_hand_is_not_written_on(file: Path) -> None:
    configuration = Configuration(file)
    file.write_text("port = nonsense\n")
    with pytest.raises(Denial, match="line 1"):
        configuration.add(FILES)
    assert file.read_text() == "port = nonsense\n"
    assert configuration.all() == ()


def test_an_edit_by_hand_counts_only_once_it_is_adopted(file: Path) -> None:
    configuration = Configuration(file)
    configuration.add(FILES)
    file.write_text("patience_s = 5\n[servers.evil]\ncommand = ['sh']\n")
    assert [server.name for server in configuration.all()] == ["files"]
    assert [what for what, _ in configuration.differences()] == [
        "setting patience_s",
        "server evil",
        "server files",
    ]
    configuration.adopt()
    assert [server.name for server in configuration.all()] == ["evil"]
    assert configuration.differences() == ()


def test_adding_a_server_does_not_let_an_edit_by_hand_in(file: Path) -> None:
    configuration = Configuration(file)
    file.write_text("[servers.evil]\ncommand = ['sh']\n")
    configuration.add(FILES)
    assert [server.name for server in configuration.all()] == ["files"]
