"""What an interpreter runs, told from its arguments or not told."""

import hashlib
from pathlib import Path

import pytest

from ztmcp_desktop.gateway.scripts import UNTOLD, told_to_run


def digest(code: str) -> str:
    return hashlib.sha256(code.encode()).hexdigest()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("python3.11 -u -W ignore cli.py --token x", "{}/cli.py"),
        ("python -X dev -Im ztmcp_desktop bridge files", "-m ztmcp_desktop"),
        ("node --no-warnings --require x.js cli.py", "{}/cli.py"),
        ("node /nowhere/cli.js", UNTOLD),
        ("node", UNTOLD),
        ("node .", UNTOLD),
        ("python3 -", UNTOLD),
        ("python3 -c", UNTOLD),
        ("python3 -m", UNTOLD),
        ("node --unheard-of value cli.py", UNTOLD),
        ("bash ./cli.py", "{}/cli.py"),
        ("ruby -I lib cli.py", "{}/cli.py"),
        ("java -jar app.jar", UNTOLD),
        ("deno run cli.py", UNTOLD),
    ],
)
def test_the_script_is_told_where_it_can_be(tmp_path: Path, line: str, said: str) -> None:
    (tmp_path / "cli.py").touch()
    words = line.split()
    told = told_to_run(f"/usr/bin/{words[0]}", words, str(tmp_path))
    assert told is not None
    assert told.text == said.format(tmp_path)


@pytest.mark.parametrize("line", ["python3 -c CODE", "python3 -Ic CODE", "node -e CODE", "sh -ec CODE", "perl -e CODE"])
def test_code_in_the_arguments_is_told_by_its_hash(line: str) -> None:
    told = told_to_run(f"/usr/bin/{line.split(maxsplit=1)[0]}", line.split(), None)
    assert told is not None
    assert (told.text, told.digest, told.file) == ("-c", digest("CODE"), None)


def test_a_program_that_interprets_nothing_runs_nothing_else() -> None:
    for name in ("claude", "code", "nodetool", "pythonista", "curl"):
        assert told_to_run(f"/opt/{name}", [name, "cli.py"], "/") is None


def test_a_path_of_a_process_that_sees_other_files_is_not_guessed() -> None:
    for script in ("cli.py", __file__):
        told = told_to_run("/usr/bin/python3", ["python3", script], None)
        assert told is not None
        assert told.text == UNTOLD


@pytest.mark.parametrize("name", ["/dev/fd/0", "/proc/self/fd/0", "/dev/stdin", "./link", "/proc/self/exe"])
def test_what_is_another_file_in_each_process_is_not_read_in_ours(tmp_path: Path, name: str) -> None:
    (tmp_path / "link").symlink_to("/proc/self/exe")
    told = told_to_run("/usr/bin/bash", ["bash", name], str(tmp_path))
    assert told is not None
    assert told.text == UNTOLD


def test_a_link_to_a_script_is_the_script(tmp_path: Path) -> None:
    (tmp_path / "real.py").touch()
    (tmp_path / "a").symlink_to("real.py")
    told = told_to_run("/usr/bin/python3", ["python3", "a"], str(tmp_path))
    assert told is not None
    assert told.text == str(tmp_path / "real.py")
