"""Which day it is for usage, which month is current, and which months there are, how far.

Takes the moment that a clock tells and what is known of messages, gives days and periods.
"""

from __future__ import annotations

from headcount.counting.calendar import Period, day_of_ms

__all__ = ["current_period", "day_reached", "days_so_far", "is_there", "periods_of"]


def day_reached(clock_ms: int, last_metered_day: int | None = None) -> int:
    """The day that it is (days since 1970): never before one of a live message that is counted.

    Args:
        clock_ms: what the clock says, in milliseconds since 1970.
        last_metered_day: latest day of a live message; None before the first, or where nobody
            can say.
    """
    return max(day_of_ms(clock_ms), last_metered_day or 0)


def current_period(clock_ms: int, last_metered_day: int | None = None) -> Period:
    """The month that runs; the arguments are those of `day_reached`."""
    return Period.of_day(day_reached(clock_ms, last_metered_day))


def days_so_far(period: Period, day: int) -> int:
    """How many days of a month have begun when it is some day: none of one that lies ahead."""
    return max(0, min(period.length, day - period.first_day + 1))


def is_there(period: Period, first_period: Period | None, current: Period) -> bool:
    """Whether a workspace has a month: the current one always, earlier ones from its first usage.

    Args:
        period: the month.
        first_period: month of the workspace's first usage; None without any.
        current: the month that runs.
    """
    return period == current or (first_period is not None and first_period <= period < current)


def periods_of(first_period: Period | None, current: Period) -> list[Period]:
    """Every month that a workspace has, the current one first; arguments as for `is_there`."""
    first = current if first_period is None else min(first_period, current)
    return [Period(number) for number in range(current.number, first.number - 1, -1)]
