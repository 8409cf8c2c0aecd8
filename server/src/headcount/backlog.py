"""What waits to be counted, as the meter of a running server tells the other processes.

The meter writes it about once a second; `/readyz`, doctor and the log say it in words.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime

from headcount.counting.calendar import MS_PER_DAY
from headcount.wording import number_of

__all__ = ["CAUGHT_UP_MS", "Backlog", "duration_text"]

CAUGHT_UP_MS = 1_000
"""Whoever counts what is no older than this has caught up."""

_LOOK_AHEAD_S = 366 * 86_400.0


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits to be counted at a moment.

    Attributes:
        at_ms: the moment, milliseconds since 1970.
        messages: how many are acknowledged and not counted.
        behind_ms: for how long the oldest of them has been waiting.
        arrivals_per_s: how many come in a second; None while it is too early to say.
        counted_per_s: how many are counted in a second; None while it is too early to say.
    """

    at_ms: int
    messages: int
    behind_ms: int
    arrivals_per_s: float | None
    counted_per_s: float | None

    @property
    def caught_up_in_s(self) -> float | None:
        """Estimate: when nothing will wait; infinite when it is not catching up, None while it is
        too early to say."""
        if self.behind_ms < CAUGHT_UP_MS:
            return 0.0
        if self.arrivals_per_s is None or self.counted_per_s is None:
            return None
        gained = self.counted_per_s - self.arrivals_per_s
        left_s = self.messages / gained if gained > 0 else math.inf
        return left_s if left_s <= _LOOK_AHEAD_S else math.inf

    @property
    def sentence(self) -> str:
        """All of it in words."""
        if self.behind_ms < CAUGHT_UP_MS:
            return "Everything is counted within a second."
        waiting = number_of(self.messages, "message", "waits", "wait")
        said = f"{waiting}, the oldest for {duration_text(self.behind_ms)}"
        left_s = self.caught_up_in_s
        if left_s is None:
            return f"{said}; it is too early to say when they will be counted."
        come, are_counted = f"{self.arrivals_per_s:,.0f}", f"{self.counted_per_s:,.0f}"
        said += f"; {come} a second come and {are_counted} are counted"
        if math.isinf(left_s):
            return f"{said}: it is not catching up."
        left_ms = 1000 * math.ceil(left_s)
        until = _moment_text(self.at_ms + left_ms, left_ms)
        return f"{said}: it will have caught up in about {duration_text(left_ms)}, by {until}."


def duration_text(duration_ms: int) -> str:
    """A length of time for people, in its two largest units: `42 s`, `3 min 20 s`, `2 d 5 h`."""
    rest_s = max(1, round(duration_ms / 1000))
    found = []
    for unit, unit_s in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        number, rest_s = divmod(rest_s, unit_s)
        found.append((number, unit))
    first = next(at for at, (number, _) in enumerate(found) if number)
    return " ".join(f"{number:,} {unit}" for number, unit in found[first : first + 2] if number)


def _moment_text(moment_ms: int, ahead_ms: int) -> str:
    """A moment for people, with its date when it lies far ahead."""
    form = "%H:%M:%S UTC" if ahead_ms < MS_PER_DAY // 4 else "%Y-%m-%d %H:%M UTC"
    return datetime.fromtimestamp(moment_ms / 1000, UTC).strftime(form)
