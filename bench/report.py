"""The table: takes what was measured, gives it on the screen and as a dated Markdown file."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

__all__ = ["Row", "markdown", "percentile", "show", "tell"]

_PIPE_COLUMNS = 160
_COLUMNS = ("measure", "measured", "beside it", "promise")


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    Attributes:
        scenario: the heading it stands under.
        measure: what was measured.
        measured: the figure with its unit.
        beside: the ratio to its peer in the same run, or what it consists of.
        promise: the bound that holds on two idle cores, if there is one.
    """

    scenario: str
    measure: str
    measured: str
    beside: str = ""
    promise: str = ""

    @property
    def cells(self) -> tuple[str, str, str, str]:
        """What stands in the columns."""
        return self.measure, self.measured, self.beside, self.promise


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that this many percent do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def show(rows: Sequence[Row]) -> None:
    """Print the table."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in _COLUMNS:
        table.add_column(column)
    scenario = ""
    for row in rows:
        if row.scenario != scenario:
            scenario = row.scenario
            table.add_section()
            table.add_row(f"[bold]{scenario}[/bold]")
        table.add_row(*row.cells)
    # Into a file or a pipe, a line of the table stays one line.
    Console(width=None if sys.stdout.isatty() else _PIPE_COLUMNS).print(table)


def markdown(rows: Sequence[Row], notes: Mapping[str, str], moment: datetime) -> str:
    """The table and the machine as a document."""
    lines = [f"# Benchmark of {moment:%Y-%m-%d %H:%M} UTC", ""]
    lines += [f"- {name}: {value}" for name, value in notes.items()]
    lines += [
        "",
        "Server, load generator and probe share these cores. Figures of a shared machine drift;"
        " the ratios compare what was measured within one run. Every count was checked against"
        " what was sent, and was exact.",
    ]
    scenario = ""
    for row in rows:
        if row.scenario != scenario:
            scenario = row.scenario
            lines += ["", f"## {scenario}", ""]
            lines += [f"| {' | '.join(_COLUMNS)} |", "|---|---|---|---|"]
        lines.append(f"| {' | '.join(row.cells)} |")
    return "\n".join(lines) + "\n"


def tell(rows: Sequence[Row], notes: Mapping[str, str], *, write: bool) -> int:
    """Print notes and table, and add them to the results if asked to; the status to end with."""
    for name, value in notes.items():
        print(f"{name}: {value}")
    show(rows)
    if write:
        moment = datetime.now(UTC)
        path = Path(__file__).parent / "results" / f"{moment:%Y-%m-%dT%H%M}Z.md"
        path.write_text(markdown(rows, notes, moment))
        print(f"written to {path}")
    return 0
