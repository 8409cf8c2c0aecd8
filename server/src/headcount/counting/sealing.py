"""When months are closed for good, and when the clock may be believed about it.

Takes days, gives answers; closing itself, and what is dropped then, is the meter's business.
A month of a workspace stays open for corrections until some weeks after its end, or after the last
import into it. Closing destroys information, so it needs a clock that no jump has carried away: a
day is trusted when live messages led up to it without a gap of more than two days.
"""

from __future__ import annotations

from collections.abc import Iterable

from headcount.counting.calendar import Period

__all__ = ["CLOCK_JUMP_DAYS", "OPEN_DAYS", "due_day", "is_due", "is_plausible", "trusted_after"]

OPEN_DAYS = 35
"""How long a month stays open after its end, or after the last import into it."""

CLOCK_JUMP_DAYS = 2
"""How far one metered day may lie behind the next for the clock to be believed."""


def is_due(period: Period, last_import_day: int | None, day: int) -> bool:
    """Whether a month is to be closed on a day (days since 1970)."""
    return day >= due_day(period, last_import_day)


def due_day(period: Period, last_import_day: int | None) -> int:
    """The first day (since 1970) on which a month is to be closed, unless more is imported."""
    return max(period.last_day, last_import_day or 0) + OPEN_DAYS + 1


def is_plausible(trusted_day: int | None, day: int) -> bool:
    """Whether the clock may be believed when it says that it is this day."""
    return trusted_day is not None and day <= trusted_day + CLOCK_JUMP_DAYS


def trusted_after(trusted_day: int | None, live_days: Iterable[int]) -> int | None:
    """The latest trusted day once live messages of some days (ascending) are metered."""
    for day in live_days:
        if trusted_day is None or trusted_day < day <= trusted_day + CLOCK_JUMP_DAYS:
            trusted_day = day
    return trusted_day
