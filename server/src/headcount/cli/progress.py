"""How far an import is: a bar with rate and time left in a terminal, plain lines elsewhere.

Takes sizes and counts, writes to standard error; owns nothing else.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from headcount.importing.inputs import Input
from headcount.shown import shown_lines
from headcount.terminal import progress_bar, say

if TYPE_CHECKING:
    from rich.progress import Progress, Task

__all__ = ["ImportProgress"]


class ImportProgress:
    """The progress of reading files and then of counting what was read.

    Args:
        inputs: the files, for their sizes.
    """

    def __init__(self, inputs: Sequence[Input]) -> None:
        self._bar = _bar(inputs) if sys.stderr.isatty() else None
        self._bytes_before = 0
        self._current: Input | None = None

    def begins(self, each: Input) -> None:
        """A file is about to be read."""
        if self._current is not None:
            self._bytes_before += self._current.size_bytes or 0
        self._current = each

    def read(self, bytes_read: int, records: int) -> None:
        """So much of the current file, and so many records of all, are read and durable."""
        if self._bar is None:
            return
        task = _task(self._bar)
        elapsed_s = task.elapsed or 0.0
        rate = f", {records / elapsed_s:,.0f}/s" if elapsed_s > 1 else ""
        self._bar.update(
            task.id,
            completed=self._bytes_before + bytes_read,
            detail=f"{records:,} records{rate}",
        )

    def metering(self, facts_left: int) -> None:
        """Everything is read, and so many facts are still to be counted."""
        if self._bar is None:
            return
        task = _task(self._bar)
        if task.description != "Counting":
            self._bar.reset(task.id, total=facts_left, description="Counting", detail="")
        done = (task.total or 0) - facts_left
        self._bar.update(task.id, completed=done, detail=f"{facts_left:,} left")

    def say(self, message: str) -> None:
        """Print a line above the bar."""
        if self._bar is None:
            say(message)
        else:
            line = shown_lines(message)
            self._bar.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def __enter__(self) -> ImportProgress:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()


def _bar(inputs: Sequence[Input]) -> Progress:
    from rich.progress import TextColumn

    bar = progress_bar(TextColumn("{task.fields[detail]}", markup=False))
    sizes = [each.size_bytes for each in inputs]
    total = None if None in sizes else sum(size or 0 for size in sizes)
    bar.add_task("Reading", total=total, detail="")
    return bar


def _task(bar: Progress) -> Task:
    return bar.tasks[0]
