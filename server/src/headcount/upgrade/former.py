"""What the catalogs of former formats looked like, and how their rows are read as today's.

Takes a table of today, gives the query of its rows in a former catalog. Whoever changes a table of
the catalog says here what it was, and what of it stands in its place.
"""

from __future__ import annotations

from headcount.catalog import FROM_THE_BEGINNING
from headcount.catalog import schema as catalog
from headcount.sqlite.rows import Table

__all__ = ["CATALOG_OF_FORMAT_2", "former_rows"]

_WORKSPACE = Table("workspace", "number", "id name created_at_ms mtu_limit api_calls_limit")
_SOURCE = Table("source", "number", "id name workspace write_key enabled created_at_ms")
_TOKEN = Table(
    "token", "id", "workspace scope secret_hash created_at_ms expires_at_ms revoked_at_ms"
)
_META = Table("mark", "name", "value")
CATALOG_OF_FORMAT_2 = (_WORKSPACE, _SOURCE, _TOKEN, _META)
"""The checked tables of a catalog of format 2; format 1 had the same columns, and no checksums."""

# A limit had no day: it was in force whichever month was looked at.
_LIMITS = " UNION ALL ".join(
    f"SELECT number AS workspace, '{metric}' AS metric, {FROM_THE_BEGINNING} AS from_day,"  # noqa: S608
    f" {metric}_limit AS amount, NULL AS set_at_ms FROM workspace WHERE {metric}_limit IS NOT NULL"
    for metric in ("mtu", "api_calls")
)
_ROWS = {
    catalog.PLAN_LIMIT.name: f"SELECT * FROM ({_LIMITS})",  # noqa: S608
}
_NEW_TABLES = (catalog.LINK, catalog.FORWARDING, catalog.DELETION, *catalog.ADDED_TABLES)


def former_rows(table: Table) -> str:
    """The query of the rows of a table of today's catalog, in one of format 1 or 2.

    Args:
        table: one of today's tables; its columns are the query's, in their order.
    """
    columns = ", ".join(table.columns)
    if table in _NEW_TABLES:
        nulls = ", ".join(f"NULL AS {column}" for column in table.columns)
        return f"SELECT * FROM (SELECT {nulls} WHERE 0)"  # noqa: S608
    return _ROWS.get(table.name, f"SELECT {columns} FROM {table.name}")  # noqa: S608
