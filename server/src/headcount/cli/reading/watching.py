"""Usage that goes on: takes a connection and a query, shows rows as they change, until Ctrl-C.

In a terminal it draws one table again and again; elsewhere it writes each row when it is new or
has changed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from headcount.cli.reading.own import source_names
from headcount.cli.reading.polling import Poller
from headcount.cli.reading.showing import headings, line_of, rows_of_last_day
from headcount.cli.reading.usage_rows import Query, Row, month_rows
from headcount.cli.reading.writers import row_as_data, row_writer
from headcount.clock import now_ms, utc_now
from headcount.counting.months import current_period
from headcount.terminal import print_json_line, print_table, table_of

if TYPE_CHECKING:
    from headcount.cli.reading.api_connection import ApiConnection
    from headcount.counting.calendar import Period

__all__ = ["watch_usage"]

_ROWS_A_REQUEST = 1000
_LINES_AROUND = 8  # the line above, headings of up to three lines, rules and the cursor's

Show = Callable[[list[Row]], None]


def watch_usage(
    connection: ApiConnection, query: Query, period: Period | None, shown_as: str, *, last: bool
) -> None:
    """Show usage until Ctrl-C.

    Args:
        connection: whom to ask.
        query: what to ask for.
        period: which month; when None, always the current one.
        shown_as: `"table"`, `"json"` or `"ndjson"` (a row a line) or `"csv"`.
        last: only the rows of the last day.

    Raises:
        ApiException: the first answer was a refusal, or a later one that waiting will not fix.
    """
    reading = _MonthReader(connection, query, period)
    poller = Poller(connection)
    drawing, show = _shown(query, shown_as)
    with drawing:
        while True:
            rows = poller.answer(reading.rows)
            if rows is not None:
                show(rows_of_last_day(rows) if last else rows)
            poller.pause(len(query.headlines) * (1 + len(rows or ()) // _ROWS_A_REQUEST))


class _MonthReader:
    """Reads a month anew each time, with the names of sources that it met."""

    def __init__(self, connection: ApiConnection, query: Query, period: Period | None) -> None:
        self._connection = connection
        self._query = query
        self._period = period
        self._names: dict[str, str] = {}

    def rows(self) -> list[Row]:
        month = self._period or current_period(now_ms())
        rows = month_rows(self._connection, self._query, month, self._names)
        unknown = {row["source_id"] for row in rows if row.get("source_name", "") is None}
        if unknown:
            # A server that tells no name is not asked for it again.
            self._names |= {each: each for each in unknown} | source_names(self._connection)
            for row in rows:
                row["source_name"] = self._names[row["source_id"]]
        return rows


def _shown(query: Query, shown_as: str) -> tuple[AbstractContextManager[Any], Show]:
    """Something to hold open while rows are shown, and how to show them."""
    if shown_as == "table" and sys.stdout.isatty():
        return _drawing(query)
    if shown_as == "table":
        return nullcontext(), _changes(
            lambda rows: print_table(headings(query), [line_of(query, row) for row in rows])
        )
    if shown_as in ("json", "ndjson"):
        return nullcontext(), _changes(_print_lines)
    writer = row_writer(shown_as, query.columns, sys.stdout.buffer)
    return nullcontext(), _changes(writer.write)


def _print_lines(rows: list[Row]) -> None:
    for row in rows:
        print_json_line(row_as_data(row))


def _changes(write: Show) -> Show:
    """Writes the rows that are new, or not what they were."""
    known: dict[tuple[Any, ...], Row] = {}

    def show(rows: list[Row]) -> None:
        changed = []
        for row in rows:
            key = row["day"], row.get("source_id")
            if known.get(key) != row:
                known[key] = row
                changed.append(row)
        if changed:
            write(changed)
            sys.stdout.flush()

    return show


def _drawing(query: Query) -> tuple[AbstractContextManager[Any], Show]:
    from rich.console import Console, Group
    from rich.live import Live
    from rich.text import Text

    console = Console(emoji=False)
    live = Live(console=console, auto_refresh=False)

    def show(rows: list[Row]) -> None:
        # What is new stands at the end, so that is what a small terminal shows.
        fitting = rows[-max(1, console.size.height - _LINES_AROUND) :]
        table = table_of(headings(query), [line_of(query, row) for row in fitting], terminal=True)
        above = Text(f"Read at {utc_now():%H:%M:%S} UTC. Ctrl-C ends.", style="dim")
        live.update(Group(above, table), refresh=True)

    return live, show
