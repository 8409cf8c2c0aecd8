"""How far counting is behind, and by when it will have caught up.

Takes what is seen of it about once a second, gives rates, an estimate and sentences. The rates are
those since counting fell behind, over the last half minute at most: before, it waited for
messages, and how many it can count was not to be seen. The estimate says no more than that: if
messages go on coming, and being counted, as they are now.
"""

from __future__ import annotations

from collections import deque

from headcount.backlog import CAUGHT_UP_MS, Backlog, duration_text

__all__ = ["BacklogTeller", "BacklogWatch"]

BEHIND_MS = 5_000
"""Messages that wait for so long are told about."""

_RATES_OVER_S = 30.0
_RATES_FROM_S = 3.0
_FIRST_AGAIN_S, _LAST_AGAIN_S = 60.0, 3_600.0


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
