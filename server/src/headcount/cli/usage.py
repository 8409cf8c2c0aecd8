"""`headcount usage`: reads a month of usage by the usage API, prints it, watches it, draws it."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

import click

from headcount.cli.options import query_options
from headcount.cli.reading.api_connection import connected, reading_options
from headcount.cli.reading.focus import write_focus
from headcount.cli.reading.own import forecasts_told, get_own, source_names, workspace_name
from headcount.cli.reading.showing import (
    by_use,
    caption,
    headings,
    line_of,
    month_words,
    rows_of_last_day,
)
from headcount.cli.reading.target import STDOUT, whole_target
from headcount.cli.reading.usage_rows import Query, month_rows, period_named
from headcount.cli.reading.writers import FORMATS, row_writer
from headcount.clock import now_ms
from headcount.counting.months import current_period
from headcount.errors import UsageError
from headcount.terminal import print_table, say

if TYPE_CHECKING:
    from headcount.cli.reading.api_connection import ApiConnection
    from headcount.cli.reading.usage_rows import Row, Scope
    from headcount.config import Settings
    from headcount.counting.calendar import Period
    from headcount.counting.forecast import Forecast

__all__ = ["usage"]

_FOCUS = "focus"


@click.command(
    epilog="""\b
Examples:
  headcount usage --token-file token
  headcount usage --by source --last
  headcount usage --period 2026-10 --metric mtu --format csv > october.csv
  headcount usage --plot november.png
  headcount usage --beside 2025-11 --plot both.png
  headcount usage --period 2026-10 --format focus > october-cost.csv
  headcount usage --watch
  headcount usage --host us --token-file segment-token --json

Every row counts from the start of the month to the end of its day, in UTC."""
)
@click.option("--period", metavar="MONTH", help="Month such as 2026-10. Default: the current one.")
@click.option(
    "--beside",
    metavar="MONTH",
    help="Hold it against this month, such as 2025-10. Default: the month before.",
)
@query_options
@click.option("--last", is_flag=True, help="Only the last day so far: where usage stands.")
@click.option(
    "--format",
    "file_format",
    type=click.Choice(["table", *FORMATS, _FOCUS]),
    default="table",
    show_default=True,
    help="How to print the rows. focus is CSV with new use and cost beyond the plan of each day, in"
    " columns named as FOCUS, of the FinOps Foundation, does; shaped like it, not conformant.",
)
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option(
    "--plot",
    metavar="FILE",
    help="Draw the month into a .png, .svg or .pdf file, instead of printing rows.",
)
@click.option("--dark", is_flag=True, help="With --plot: for a dark surround.")
@click.option("--watch", is_flag=True, help="Go on, and show what changes, until Ctrl-C.")
@reading_options
def usage(
    settings: Settings,
    period: str | None,
    beside: str | None,
    by: str,
    metric: str | None,
    last: bool,
    file_format: str,
    as_json: bool,
    plot: str | None,
    dark: bool,
    watch: bool,
) -> None:
    """Show API calls and monthly tracked users of a month, day by day.

    Reads over HTTP with an API token, from Headcount or from Segment. Without --host it asks the
    server that runs on the data folder, and else the API address of the settings.
    """
    shown_as = "json" if as_json else file_format
    query = Query(cast("Scope", by), metric)
    named = None if period is None else period_named(period, "--period")
    other = None if beside is None else period_named(beside, "--beside")
    if other is not None and (watch or shown_as != "table"):
        raise UsageError(
            "--beside goes with neither --watch, --format nor --json.",
            "Leave one of them out; a month's own rows are read with --period.",
        )
    if watch and shown_as in ("parquet", _FOCUS):
        raise UsageError(
            f"--watch cannot go on in the format {shown_as}.", "Use --format json or csv."
        )
    if last and shown_as == _FOCUS:
        raise UsageError("--format focus has the month's days, which add up.", "Leave --last out.")
    if plot is not None:
        if watch or last or shown_as != "table":
            raise UsageError(
                "--plot goes with neither --watch, --last, --format nor --json.",
                "Read twice: once to draw, once to print.",
            )
        _draw(settings, query, named, other, plot, dark)
        return
    with connected(settings) as connection:
        if watch:
            from headcount.cli.reading.watching import watch_usage

            watch_usage(connection, query, named, shown_as, last=last)
            return
        month = named or current_period(now_ms())
        names = source_names(connection) if by == "source" else {}
        rows = month_rows(connection, query, month, names)
        if last:
            rows = rows_of_last_day(rows)
        if shown_as == "table":
            _print(connection, query, month, other, rows)
            return
        if shown_as == _FOCUS:
            with whole_target(STDOUT, binary=True) as stream:
                write_focus(connection, query, month, rows, stream)
            return
        with whole_target(STDOUT, binary=shown_as == "parquet") as stream:
            writer = row_writer(shown_as, query.columns, stream)
            writer.write(rows)
            writer.close()


def _draw(
    settings: Settings,
    query: Query,
    named: Period | None,
    other: Period | None,
    file: str,
    dark: bool,
) -> None:
    from headcount.cli.reading.drawing import DrawnMonth, check_plot, picture
    from segment_public_api.exceptions import NotFoundException

    file_format = check_plot(file)
    with connected(settings) as connection:
        current = current_period(now_ms())
        month = named or current
        names = source_names(connection) if query.by == "source" else {}
        rows = month_rows(connection, query, month, names)
        previous: list[Row] = []
        limits: Any = {}
        forecasts: dict[str, Forecast] = {}
        if query.by == "workspace":
            with suppress(*(() if other else (NotFoundException,))):
                previous = month_rows(connection, query, other or month.shifted(-1), names)
            limits = (get_own(connection, "summary", period=str(month)) or {}).get("planLimits", {})
            forecasts = forecasts_told(connection) if month == current else {}
        workspace = workspace_name(connection)
    shown = DrawnMonth(month, rows, previous, limits, forecasts, workspace)
    drawn = picture(query, shown, file_format, dark=dark)
    with whole_target(file, binary=True) as stream:
        stream.write(drawn)
    say(f"{month_words(month)} is drawn in {file}.")


def _print(
    connection: ApiConnection, query: Query, month: Period, other: Period | None, rows: list[Row]
) -> None:
    against = {} if other is None else {"against": str(other)}
    summary = get_own(connection, "summary", period=str(month), **against)
    if other is not None and summary is None:
        raise UsageError(
            f"There is no {month_words(other)} to compare with.",
            "Name another month with --beside.",
        )
    for line in caption(month, summary):
        say(line)
    if rows:
        print_table(headings(query), [line_of(query, row) for row in by_use(query, rows)])
    else:
        say("No source has any usage in this month yet. See `headcount source list`.")
