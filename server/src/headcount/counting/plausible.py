"""Which times and numbers a fact may have: takes facts, gives those to count and those to keep.

A fact may be damaged, or be made under a wrong clock. What no message can leave behind is never
counted. What nothing confirms waits: a time before 2000, one that is ahead of the meter's clock,
and, of a live message, one long after the last that was counted. A message that waits moves
nothing: not the day that it is, nor what is trusted, nor until when a month stays open.

Facts are sorted by time, so a batch in which all is well costs two comparisons for its times.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from headcount.counting.aside import Aside, AsideReason
from headcount.counting.batch import Facts, bytes_of, is_wide
from headcount.counting.calendar import MS_PER_DAY, Period
from headcount.counting.facts import FIRST_MS, IMPORTED, KEY_MASK, WIDE
from headcount.counting.keys import distinct

__all__ = [
    "AHEAD_DAYS_MAX",
    "GAP_DAYS_MAX",
    "BelievedDays",
    "bounds_of",
    "is_clock_plausible",
    "sorted_out",
]

AHEAD_DAYS_MAX = 2
"""How many days a message may be ahead of the meter's clock."""

GAP_DAYS_MAX = 180
"""How many days a live message may come after the last day that was counted."""

_END_MS = Period(9000 * 12).first_day * MS_PER_DAY  # far enough from the end of the calendar


class BelievedDays(NamedTuple):
    """The latest days (since 1970) that are believed of a live and of an imported message."""

    live: int
    imported: int


def bounds_of(clock_day: int, last_day: int | None) -> BelievedDays:
    """The latest days that are believed.

    Args:
        clock_day: the day that the meter's clock says.
        last_day: the latest day that was counted or confirmed; None before the first.
    """
    latest = clock_day + AHEAD_DAYS_MAX
    return BelievedDays(
        latest if last_day is None else min(latest, last_day + GAP_DAYS_MAX), latest
    )


def is_clock_plausible(clock_day: int, last_day: int | None) -> bool:
    """Whether live messages that come by this clock are counted; days as in `bounds_of`."""
    if clock_day * MS_PER_DAY < FIRST_MS:
        return False
    return last_day is None or clock_day <= last_day + GAP_DAYS_MAX


def sorted_out(facts: Facts, bounds: BelievedDays) -> tuple[Facts, list[Aside]]:
    """Facts to count, and those to keep for now or for good.

    Args:
        facts: shape (n,), ascending in `received_at_ms`, whatever their bits are.
        bounds: until when times are believed.
    """
    if not len(facts):
        return facts, []
    times, flags = facts["received_at_ms"], facts["flags"]
    unknown_flags = flags & ~np.uint32(IMPORTED | KEY_MASK | (WIDE if is_wide(facts) else 0))
    end_ms = (min(bounds) + 1) * MS_PER_DAY
    sound = facts["source"].all() and facts["workspace"].all() and not unknown_flags.any()
    if sound and times[0] >= FIRST_MS and times[-1] < end_ms:
        return facts, []
    impossible = (
        (facts["source"] == 0)
        | (facts["workspace"] == 0)
        | (unknown_flags != 0)
        | (times < 0)
        | (times >= _END_MS)
    )
    days = times // MS_PER_DAY
    latest = np.where(flags & IMPORTED != 0, bounds.imported, bounds.live)
    waiting = ~impossible & ((times < FIRST_MS) | (days > latest))
    aside = []
    if impossible.any():
        aside.append(Aside(AsideReason.UNDIGESTIBLE, bytes_of(facts[impossible])))
    for day in distinct(days[waiting]).tolist():
        of_day = bytes_of(facts[waiting & (days == day)])
        aside.append(Aside(AsideReason.WAITING, of_day, day=day))
    return facts[~(impossible | waiting)], aside
