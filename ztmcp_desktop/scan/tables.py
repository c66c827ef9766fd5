"""The database tables that arguments name."""

from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.scan.harm import sql_texts
from ztmcp_desktop.scan.sql import statements

MAX_TABLES = 256


def tables_of(tool: str, untrusted_arguments: JsonObject) -> tuple[str, ...]:
    """Tables of all SQL in the arguments of this tool, sorted; at most `MAX_TABLES`."""
    found = {table for text in sql_texts(tool, untrusted_arguments) for table in statements(text).tables}
    return tuple(sorted(found))[:MAX_TABLES]
