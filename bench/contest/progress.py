"""What is running and how long it still takes: takes a plan, gives a bar, or lines in a pipe."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, TaskProgressColumn, TextColumn
from rich.progress import Progress as Bar

from bench.contest.interrupts import raise_if_interrupted
from bench.contest.plan import SIZES, Plan

__all__ = ["Progress"]

_LINE_EVERY_S = 10.0


class Progress:
    """Tells of steps, all of which it knows beforehand.

    Args:
        console: where to; a bar on a terminal, a line now and then elsewhere.
        plan: what will be done.
        contenders, programs: how many take part.
    """

    def __init__(self, console: Console, plan: Plan, contenders: int, programs: int) -> None:
        self._console, self._minutes = console, plan.minutes
        # Each contender starts, is examined and has its turns, and then its readings.
        steps = contenders * (2 + plan.rounds * len(SIZES))
        imports = programs * plan.imports
        self._steps = steps + contenders * plan.readings + (1 + imports if programs else 0)
        self._done = 0
        self._began_s = self._told_s = time.monotonic()
        # Until steps have been seen: a turn with its drain, an import of a million records.
        self._guess_s = steps * (plan.turn_s + 1.5) * 0.9 + imports * plan.records / 1e6 * 6
        self._bar = Bar(
            TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(),
            TextColumn("{task.fields[left]}"), console=console, disable=not console.is_terminal,
        )  # fmt: skip
        self._task = self._bar.add_task("starting", total=self._steps, left=self._left())

    def __enter__(self) -> Progress:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def step(self, what: str) -> None:
        """The step before is done; this one begins.

        Raises:
            KeyboardInterrupt: somebody has ended the contest.
        """
        raise_if_interrupted()
        left, now_s = self._left(), time.monotonic()
        self._bar.update(self._task, completed=self._done, description=what, left=left)
        if not self._console.is_terminal and (
            self._done == 0 or now_s - self._told_s >= _LINE_EVERY_S
        ):
            self._told_s = now_s
            self._console.print(f"{what}; {left}", markup=False, highlight=False)
        self._done += 1

    def _left(self) -> str:
        share = self._done / self._steps
        elapsed_s = time.monotonic() - self._began_s
        # What was seen counts the more, the more of it there is.
        seen_s = elapsed_s * (1 - share) / share if share else 0.0
        left_s = share * seen_s + (1 - share) * self._guess_s * (1 - share)
        left_s = min(left_s, max(0.0, self._minutes * 60 - elapsed_s))
        minutes = left_s / 60
        return f"about {minutes:.0f} min left" if minutes >= 1.5 else f"about {left_s:.0f} s left"
