"""What commands print: takes records as plain data, gives tables for people and JSON for programs.

Data goes to standard output, everything else to standard error. Whatever comes from outside is
made harmless to terminals on its way (`headcount.shown`), except in JSON.
"""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from headcount.counting.calendar import second_text
from headcount.shown import shown, shown_lines

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn
    from rich.table import Table

__all__ = [
    "moment_text",
    "print_json",
    "print_json_line",
    "print_record",
    "print_table",
    "progress_bar",
    "say",
    "table_of",
    "write_text",
]

_PIPE_COLUMNS = 10_000
_WHOLE_COLUMNS = 10  # as a date has


def say(*lines: str) -> None:
    """Tell the person something that is not data; what comes from outside stays on its line."""
    click.echo("\n".join(map(shown_lines, lines)), err=True)


def print_json(data: object) -> None:
    """Print data as JSON, in ASCII, so that no terminal's encoding can spoil it."""
    sys.stdout.write(json.dumps(data, indent=2) + "\n")


def print_json_line(data: object) -> None:
    """Print data as one line of JSON, for programs that read while this one goes on."""
    sys.stdout.write(json.dumps(data) + "\n")


def print_record(fields: dict[str, str]) -> None:
    """Print one record, a line for each field."""
    width = max(map(len, fields))
    write_text("".join(f"{name:<{width}}  {shown(value)}\n" for name, value in fields.items()))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows under headings; columns whose name ends in "#" hold numbers.

    Nothing is cut off: in a terminal long values wrap, and into a pipe lines may be long.
    """
    from rich.console import Console

    terminal = sys.stdout.isatty()
    text = io.StringIO()
    console = Console(
        file=text, force_terminal=terminal, width=None if terminal else _PIPE_COLUMNS, emoji=False
    )
    console.print(table_of(columns, rows, terminal=terminal))
    write_text("".join(f"{line.rstrip()}\n" for line in text.getvalue().splitlines()))


def table_of(columns: Sequence[str], rows: Sequence[Sequence[str]], *, terminal: bool) -> Table:
    """What `print_table` prints, for whoever draws it again and again."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    # As Text, because a name may hold what rich would take for markup.
    cells = [[Text(shown(value)) for value in row] for row in rows]
    table = Table(box=box.SIMPLE_HEAD if terminal else None, pad_edge=False)
    for place, column in enumerate(columns):
        number = column.endswith("#")
        longest = max((len(row[place]) for row in cells), default=0)
        table.add_column(
            column.removesuffix("#"),
            justify="right" if number else "left",
            overflow="fold",
            no_wrap=not terminal,
            # Headings give way before numbers and dates do, in a terminal that is narrow.
            min_width=longest if number else min(longest, _WHOLE_COLUMNS),
        )
    for row in cells:
        table.add_row(*row)
    return table


def progress_bar(detail: ProgressColumn) -> Progress:
    """A bar on standard error with one column of detail; nothing where that is no terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        detail,
        TimeRemainingColumn(),
        console=Console(stderr=True, emoji=False),
        transient=True,
        disable=not sys.stderr.isatty(),
    )


def moment_text(moment_ms: int | None) -> str | None:
    """A moment as RFC 3339 in UTC, to the second."""
    return None if moment_ms is None else second_text(moment_ms)


def write_text(text: str) -> None:
    """Print text as it is, as far as the terminal's encoding can show it."""
    encoding = sys.stdout.encoding or "utf-8"
    # A terminal of another encoding still gets every row, with marks in place of what it lacks.
    sys.stdout.write(text.encode(encoding, "replace").decode(encoding))
