import logging

import pytest

from ztmcp_desktop.domain.risk import Risk
from ztmcp_desktop.scan.sql import statements


@pytest.mark.parametrize(
    "text",
    [
        "DROP TABLE users",
        "select 1; drop table users",
        "TRUNCATE users",
        "delete from users",
        "DELETE FROM users WHERE 1=1",
        "update users set admin = 1",
        "alter table users drop column name",
        "with gone as (delete from users returning *) select * from gone",
        "CREATE OR REPLACE TABLE users (a int)",
        "explain analyze delete from users",
        "/* harmless */ dRoP/**/TABLE users",
    ],
)
def test_what_cannot_be_undone_destroys(text: str) -> None:
    assert statements(text).effect is Risk.DESTROY


@pytest.mark.parametrize(
    "text",
    [
        "insert into users values (1)",
        "update users set a = 1 where id = 3",
        "delete from users where id = 3",
        "create table t (a int)",
        "select a into copied from users",
        "with n as (insert into users values (1) returning *) select * from n",
    ],
)
def test_what_changes_rows_writes(text: str) -> None:
    assert statements(text).effect is Risk.WRITE


@pytest.mark.attack("P4")
@pytest.mark.parametrize(
    "text",
    [
        "select pg_read_file('/etc/passwd')",
        "attach database '/etc/x' as y",
        "copy users to program 'sh'",
        "exec xp_cmdshell 'dir'",
        "select 1 /*! ; drop table users */",
        "select load_extension('evil')",
        "pragma writable_schema = 1",
        "not sql at all ((",
        "",
        "-- only a remark",
        "select " + "(" * 100 + "1" + ")" * 100,
        "select 1;" * 60,
        "select '" + "x" * 30_000 + "'",
    ],
)
def test_what_is_not_understood_is_unknown(text: str) -> None:
    assert statements(text).effect is Risk.UNKNOWN


@pytest.mark.parametrize(
    "text",
    [
        "select name, upper(city) from users where id = 3 order by name limit 5",
        "SELECT count(*) FROM a JOIN b ON a.x = b.x UNION SELECT 1",
        "with x as (select 1 as n) select n from x",
        "select strftime('%Y', born) from people",
    ],
)
def test_queries_read(text: str) -> None:
    assert statements(text).effect is Risk.READ


@pytest.mark.attack("P4")
@pytest.mark.parametrize(
    ("text", "tables"),
    [
        ("select * from orders union select * from users", ("orders", "users")),
        ("select * from (select * from Users) o", ("users",)),
        ('select * from "Orders", main.users', ("Orders", "main.users")),
        ("with orders as (select * from users) select * from orders", ("users",)),
        ("with users as (select * from users) select * from users", ("users",)),
        ("select * from orders where id in (select id from users)", ("orders", "users")),
        ("insert into orders select * from users", ("orders", "users")),
        ("select * from orders; drop table users", ("orders", "users")),
    ],
)
def test_every_table_is_found(text: str, tables: tuple[str, ...]) -> None:
    assert statements(text).tables == tables


def test_written_tables_are_told_from_read_ones() -> None:
    verdict = statements("insert into orders select * from users")
    assert (verdict.reads, verdict.writes) == (("users",), ("orders",))


@pytest.mark.attack("P4")
def test_without_a_dialect_the_worst_reading_counts() -> None:
    text = r"select 'a\'; drop table users; --'"
    assert statements(text, "mysql").effect is Risk.READ
    assert statements(text, "postgres").effect is Risk.DESTROY
    assert statements(text).effect is Risk.DESTROY


@pytest.mark.attack("P4")
@pytest.mark.parametrize(
    "text",
    [
        # One statement to the parser, two to SQL Server.
        "select 1 delete from users",
        "select * from users shutdown",
        "select * from users exec('drop table users')",
        # The one dialect that deletes is the one that the parser cannot follow.
        "select 1 # 2; delete from users where current of c",
        "select 1 /* /* */; delete from users; /* */ */",
        "select next value for numbers",
    ],
)
def test_what_may_hold_another_statement_is_no_query(text: str) -> None:
    assert statements(text).effect is Risk.UNKNOWN


@pytest.mark.attack("P4")
def test_a_copy_into_a_new_table_writes_wherever_it_stands() -> None:
    assert statements("select a into copied from users union select a from users").effect is Risk.WRITE


def test_tables_are_named_though_the_statement_is_not_understood() -> None:
    assert statements("select 1 from users # 2; delete from users where current of c").tables == ("users",)


@pytest.mark.parametrize(
    "text", ["select `a` from t -- why", "select top 5 [a] from t", "select a::text from t /* x */"]
)
def test_a_query_of_one_dialect_still_reads(text: str) -> None:
    assert statements(text).effect is Risk.READ


def test_statements_are_never_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        statements("call keep_secret('hunter2')")
    assert caplog.records == []


@pytest.mark.attack("N8")
@pytest.mark.parametrize(
    "text",
    [
        "SELECT * FROM a " + "JOIN b " * 40,
        "UPDATE a " + "LEFT/**/JOIN b " * 40,
        "SELECT * FROM a " + "JOIN (SELECT DISTINCT ON (x) 1) " * 40,
        "SELECT " + "STRUCT(" * 50,
        "SELECT " + "DATE (" * 50 + "1" + ")" * 50,
        "SELECT " + "CONVERT(" * 50,
        "SELECT " + "CHAR(" * 50 + "1" + ")" * 50,
    ],
)
def test_what_takes_the_parser_for_ever_is_not_parsed(text: str) -> None:
    # 16 joins took 2 s, and each one more doubled it.
    assert statements(text).effect is Risk.UNKNOWN


def test_many_joins_with_their_conditions_are_read() -> None:
    text = "SELECT * FROM a " + "JOIN b AS c ON a.x = c.x LEFT JOIN d.e USING (y) " * 10
    assert statements(text).reads == ("a", "b", "d.e")
