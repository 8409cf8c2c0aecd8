"""How far counting is behind, and by when it will have caught up.

Takes what is seen of it about once a second, gives rates, an estimate and sentences. The rates are
those since counting fell behind, over the last half minute at most: before, it waited for
messages, and how many it can count was not to be seen. The estimate says no more than that: if
messages go on coming, and being counted, as they are now.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime

from headcount.counting.calendar import MS_PER_DAY
from headcount.wording import number_of

__all__ = ["CAUGHT_UP_MS", "Backlog", "BacklogTeller", "BacklogWatch", "duration_text"]

BEHIND_MS = 5_000
"""Messages that wait for so long are told about."""

CAUGHT_UP_MS = 1_000
"""Whoever counts what is no older than this has caught up."""

_RATES_OVER_S = 30.0
_RATES_FROM_S = 3.0
_FIRST_AGAIN_S, _LAST_AGAIN_S = 60.0, 3_600.0
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


class BacklogWatch:
    """Follows the backlog of one meter."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int, int]] = deque()

    def observe(
        self, moment_s: float, at_ms: int, *, counted: int, waiting: int, counted_until_ms: int
    ) -> Backlog:
        """What waits, given one more look; looks come in order, about once a second.

        Args:
            moment_s: of a clock that nobody sets.
            at_ms: the same moment, milliseconds since 1970.
            counted: how many messages were counted since some beginning.
            waiting: how many are acknowledged and not counted.
            counted_until_ms: until when everything that had come is counted.
        """
        behind_ms = max(0, at_ms - counted_until_ms) if waiting else 0
        if behind_ms < CAUGHT_UP_MS:
            self._seen.clear()
        self._seen.append((moment_s, counted, waiting))
        while moment_s - self._seen[0][0] > _RATES_OVER_S:
            self._seen.popleft()
        began_s, counted_then, waiting_then = self._seen[0]
        over_s = moment_s - began_s
        if over_s < _RATES_FROM_S:
            return Backlog(at_ms, waiting, behind_ms, None, None)
        done = counted - counted_then
        came = max(0, done + waiting - waiting_then)
        return Backlog(at_ms, waiting, behind_ms, came / over_s, done / over_s)


class BacklogTeller:
    """Decides when an operator is told: when it falls behind, ever more rarely while it is, and
    when it has caught up."""

    def __init__(self) -> None:
        self._since_s: float | None = None
        self._again_at_s = self._pause_s = 0.0

    def hear(self, moment_s: float, backlog: Backlog) -> str | None:
        """What to say at a moment (of a clock that nobody sets); None for nothing."""
        if self._since_s is None:
            if backlog.behind_ms < BEHIND_MS or backlog.caught_up_in_s is None:
                return None
            self._since_s = moment_s
            self._pause_s = _FIRST_AGAIN_S
            self._again_at_s = moment_s + self._pause_s
            return f"counting has fallen behind: {backlog.sentence}"
        if backlog.behind_ms < CAUGHT_UP_MS:
            took_ms = round(1000 * (moment_s - self._since_s))
            self._since_s = None
            return f"counting has caught up, {duration_text(took_ms)} after it fell behind"
        if moment_s < self._again_at_s:
            return None
        self._pause_s = min(2 * self._pause_s, _LAST_AGAIN_S)
        self._again_at_s = moment_s + self._pause_s
        return f"counting is still behind: {backlog.sentence}"


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
