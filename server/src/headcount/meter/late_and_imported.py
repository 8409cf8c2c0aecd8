"""What a change adds that did not come just now: takes its facts or where a scope stood and stands,
gives the days that live messages are late for, and the sources that an import fills."""

from __future__ import annotations

import numpy as np

from headcount.counting.batch import Facts
from headcount.counting.calendar import Period
from headcount.counting.facts import IMPORTED
from headcount.counting.keys import distinct
from headcount.counting.metrics import Metric
from headcount.counting.scope_standing import Standing

__all__ = ["days_grown", "sources_imported"]

# Live messages wait to be counted no longer than this, where they wait at all.
_DAYS_LATE = 7


def days_grown(
    metric: Metric, period: Period, before: Standing, after: Standing, today: int
) -> list[int]:
    """The days before today that have more than before: late ones of the week, of live messages.

    Args:
        metric: of what.
        period: the month.
        before, after: where a scope stood in it, and stands.
        today: days since 1970.
    """
    grown = metric.of(after.counts) > metric.of(before.counts)
    days = [period.first_day + each for each in np.flatnonzero(grown).tolist()]
    return [day for day in days if today - _DAYS_LATE <= day < today]


def sources_imported(facts: Facts) -> set[tuple[int, int]]:
    """(workspace, source) of the messages among these that were imported."""
    imported = facts[(facts["flags"] & IMPORTED) != 0]
    packed = imported["workspace"].astype(np.int64) << 32 | imported["source"]
    return {(each >> 32, each & 0xFFFFFFFF) for each in distinct(packed).tolist()}
