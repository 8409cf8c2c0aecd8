"""How far an import is: a bar with rate and time left in a terminal, plain lines elsewhere.

Takes sizes and counts, writes to standard error; owns nothing else.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from headcount.importing.inputs import Input
from headcount.shown import shown_lines
from headcount.terminal import say

__all__ = ["ImportProgress"]


class ImportProgress:
    """The progress of reading files and then of counting what was read.

    Args:
        inputs: the files, for their sizes.
    """

    def __init__(self, inputs: Sequence[Input]) -> None:
        self._progress: Progress | None = None
        sizes = [each.size_bytes for each in inputs]
        self._bytes_before = 0
        self._current: Input | None = None
        if sys.stderr.isatty():
            self._progress = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                TextColumn("{task.fields[detail]}", markup=False),
                TimeRemainingColumn(),
                console=Console(stderr=True, emoji=False),
                transient=True,
            )
            total = None if None in sizes else sum(size or 0 for size in sizes)
            self._task: TaskID = self._progress.add_task("Reading", total=total, detail="")

    def begins(self, each: Input) -> None:
        """A file is about to be read."""
        if self._current is not None:
            self._bytes_before += self._current.size_bytes or 0
        self._current = each

    def read(self, bytes_read: int, records: int) -> None:
        """So much of the current file, and so many records of all, are read and durable."""
        if self._progress is None:
            return
        elapsed_s = self._progress.tasks[self._task].elapsed or 0.0
        rate = f", {records / elapsed_s:,.0f}/s" if elapsed_s > 1 else ""
        self._progress.update(
            self._task,
            completed=self._bytes_before + bytes_read,
            detail=f"{records:,} records{rate}",
        )

    def metering(self, facts_left: int) -> None:
        """Everything is read, and so many facts are still to be counted."""
        if self._progress is None:
            return
        task = self._progress.tasks[self._task]
        if task.description != "Counting":
            self._progress.reset(self._task, total=facts_left, description="Counting", detail="")
        self._progress.update(
            self._task,
            completed=(task.total or 0) - facts_left,
            detail=f"{facts_left:,} left",
        )

    def say(self, message: str) -> None:
        """Print a line above the bar."""
        if self._progress is None:
            say(message)
        else:
            line = shown_lines(message)
            self._progress.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def __enter__(self) -> ImportProgress:
        if self._progress is not None:
            self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._progress is not None:
            self._progress.stop()
