"""Stage 4, on the names and arguments of real servers."""

import pytest

from tests.fakes import identified, make_call, turns_meanwhile
from ztmcp_desktop.domain.proof import Classified
from ztmcp_desktop.domain.risk import Risk
from ztmcp_desktop.pipeline.classify import Classify

SAYS_IT_READS = {"readOnlyHint": True, "destructiveHint": False}


async def risk(name: str, arguments: dict[str, object] | None = None, **annotations: object) -> Risk:
    item = {"name": name, "inputSchema": {}, "annotations": annotations}
    call = await Classify()(identified(make_call(name, arguments), item))
    return call.proof(Classified).risk


@pytest.mark.attack("T14")
@pytest.mark.parametrize("name", ["delete_all", "drop_table", "kill_process", "deleteEntities", "purge-cache"])
async def test_an_annotation_never_lowers_the_risk(name: str) -> None:
    assert await risk(name, **SAYS_IT_READS) is Risk.DESTROY


@pytest.mark.attack("T14")
async def test_an_annotation_raises_it() -> None:
    assert await risk("read_file", destructiveHint=True, readOnlyHint=False) is not Risk.READ


@pytest.mark.parametrize("name", ["frobnicate", "x", "ѕend"])  # noqa: RUF001 - the look-alike is the point
async def test_what_is_not_understood_counts_as_dangerous(name: str) -> None:
    assert await risk(name, **SAYS_IT_READS) is Risk.UNKNOWN


@pytest.mark.attack("P4")
@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT name FROM people", Risk.READ),
        ("INSERT INTO people VALUES (1)", Risk.WRITE),
        ("DROP TABLE people", Risk.DESTROY),
        ("SELECT 1; DROP TABLE people", Risk.DESTROY),
        ("DELETE FROM people", Risk.DESTROY),
        ("SELEC broken", Risk.UNKNOWN),
    ],
)
async def test_sql_in_the_arguments_says_what_it_does(sql: str, expected: Risk) -> None:
    assert await risk("query", {"sql": sql}, **SAYS_IT_READS) is expected


@pytest.mark.parametrize("name", ["read_text_file", "list_directory", "get_current_time", "git_status", "search_files"])
async def test_plain_readers_are_readers(name: str) -> None:
    assert await risk(name) is Risk.READ


@pytest.mark.parametrize("name", ["write_file", "edit_file", "create_directory", "git_commit"])
async def test_plain_writers_are_at_least_writers(name: str) -> None:
    assert await risk(name) in {Risk.WRITE, Risk.DESTROY}


@pytest.mark.attack("N8")
async def test_sql_that_takes_long_to_parse_does_not_hold_the_loop() -> None:
    sql = "select " + "1+" * 2000 + "1"
    assert await turns_meanwhile(risk("run_query", {"sql": sql})) > 10
