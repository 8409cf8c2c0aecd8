"""`headcount export`: writes the usage of a range of months into a file or standard output."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from pathlib import PurePath
from typing import TYPE_CHECKING, cast

import click

from headcount.cli.options import query_options
from headcount.cli.reading.api_connection import connected, reading_options
from headcount.cli.reading.own import source_names
from headcount.cli.reading.plan_columns import PlanColumns
from headcount.cli.reading.target import STDOUT, whole_target
from headcount.cli.reading.usage_rows import (
    Query,
    month_rows,
    new_columns,
    period_named,
    range_rows,
    with_new,
)
from headcount.cli.reading.writers import FORMATS, row_writer
from headcount.clock import now_ms
from headcount.counting.months import current_period
from headcount.errors import OperatorError, UsageError
from headcount.terminal import say

if TYPE_CHECKING:
    from headcount.cli.reading.api_connection import ApiConnection
    from headcount.cli.reading.usage_rows import Row, Scope
    from headcount.config import Settings
    from headcount.counting.calendar import Period

__all__ = ["export"]

_MONTHS_MAX = 1200


@click.command(
    epilog="""\b
Examples:
  headcount export --from 2026-01 usage.csv
  headcount export --from 2026-01 --to 2026-03 --by source first-quarter.parquet
  headcount export --from 2025-01 --metric mtu --format csv | gzip > mtu.csv.gz
  headcount export --from 2026-01 --new daily.ndjson
  headcount export --from 2026-01 s3://bucket/usage/2026.parquet
  headcount export --from 2026-01 --limits against-the-plan.csv

Every row counts from the start of its month to the end of its day, in UTC."""
)
@click.argument("file", metavar="[FILE]", default=STDOUT)
@click.option("--from", "first", metavar="MONTH", required=True, help="First month, as 2026-01.")
@click.option("--to", "last", metavar="MONTH", help="Last month. Default: the current one.")
@query_options
@click.option(
    "--format",
    "file_format",
    type=click.Choice(FORMATS),
    help="Default: what the end of FILE's name says, else csv.",
)
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option("--new", is_flag=True, help="Also what each day brought, as columns new_….")
@click.option(
    "--limits",
    is_flag=True,
    help="Also what the plan included in each month, and what was used beyond it.",
)
@reading_options
def export(
    settings: Settings,
    file: str,
    first: str,
    last: str | None,
    by: str,
    metric: str | None,
    file_format: str | None,
    as_json: bool,
    new: bool,
    limits: bool,
) -> None:
    """Write the daily usage of a range of months to FILE, or to standard output.

    FILE may be the address of an object (s3://, gs:// or az://), which needs the settings and the
    credentials that `headcount import` reads it with. A file, or an object, appears whole or not at
    all. Months before the workspace's first usage are left out.
    Reads over HTTP, as `headcount usage` does.
    """
    query = Query(cast("Scope", by), metric)
    wanted = "json" if as_json else file_format or _format_of(file)
    months = _months(first, last)
    with (
        connected(settings) as connection,
        whole_target(file, binary=wanted == "parquet") as stream,
    ):
        plan = PlanColumns(connection, query) if limits else None
        columns = (*query.columns, *(new_columns(query) if new else ()))
        writer = row_writer(wanted, (*columns, *(plan.names if plan else ())), stream)
        written = 0
        for month, rows in _rows_by_month(connection, query, months):
            told = with_new(query, rows) if new else rows
            writer.write(plan.added_to(month, told) if plan else told)
            written += len(rows)
        writer.close()
    if file != STDOUT:
        say(f"{written:,} rows written to {file}.")


def _format_of(file: str) -> str:
    """The format that the end of a file's name asks for; CSV where it has none.

    Raises:
        UsageError: it asks for another one: a program that opens the file would not know it.
    """
    ending = PurePath(file).suffix.removeprefix(".").lower()
    if not ending:
        return "csv"
    if ending not in FORMATS:
        raise UsageError(
            f'export cannot write what the end of "{file}" stands for.',
            f"Let the file's name end in one of {', '.join(f'.{each}' for each in FORMATS)}, or say"
            " what is meant with --format.",
        )
    return ending


def _months(first: str, last: str | None) -> list[Period]:
    begin = period_named(first, "--from")
    end = current_period(now_ms()) if last is None else period_named(last, "--to")
    months = end.number - begin.number + 1
    if not 0 < months <= _MONTHS_MAX:
        raise UsageError(
            f"From {begin} to {end} is no range of months.",
            f"Let --from be no later than --to, and at most {_MONTHS_MAX:,} months before it.",
        )
    return [begin.shifted(each) for each in range(months)]


def _rows_by_month(
    connection: ApiConnection, query: Query, months: list[Period]
) -> Iterator[tuple[Period, list[Row]]]:
    """Each month with its rows, from the workspace's first usage on.

    Raises:
        OperatorError: none of them does.
    """
    of_range = range_rows(connection, query, months[0], months[-1])
    found = _read_one_by_one(connection, query, months) if of_range is None else of_range
    first = next(found, None)
    if first is None:
        raise OperatorError(
            f"There is no usage from {months[0]} to {months[-1]}.",
            "Name a range that reaches a month with usage, with --from and --to.",
        )
    missing = first[0].number - months[0].number
    if missing:
        say(f"There is no usage before {first[0]}; {missing:,} months are left out.")
    yield first
    yield from found


def _read_one_by_one(
    connection: ApiConnection, query: Query, months: list[Period]
) -> Iterator[tuple[Period, list[Row]]]:
    """The months that there are, from a server that answers for one at a time."""
    from segment_public_api.exceptions import NotFoundException

    def has_usage(month: Period) -> bool:
        try:
            month_rows(connection, Query("workspace", query.headlines[0].option), month, {})
        except NotFoundException:
            return False
        return True

    names = source_names(connection) if query.by == "source" else {}
    # Months begin to exist with the first usage, so halving finds it in a few requests.
    missing = 0 if has_usage(months[0]) else bisect_left(months, True, key=has_usage)
    for month in months[missing:]:
        yield month, month_rows(connection, query, month, names)
