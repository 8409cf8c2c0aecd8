"""Facts that cannot be counted beside those of their month, since their ids are hashed otherwise.

Takes facts and which hash key serves which month, gives those that do not fit. None does while all
that writes facts knows of the same keys. A fact out of a journal that was put back, or one that a
wrong clock put into a month to come, may: counted, it would make of one id two.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from headcount.counting.batch import Facts, is_wide
from headcount.counting.calendar import MS_PER_DAY, Period
from headcount.counting.facts import KEY_MASK, KEY_SHIFT, WIDE
from headcount.counting.folded import Indexes
from headcount.counting.hashing import KeyPlan
from headcount.counting.keys import MESSAGE

__all__ = ["other_key"]

Mask = npt.NDArray[np.bool_]


def other_key(facts: Facts, plan: KeyPlan, indexes: Indexes, window_days: int) -> Mask | None:
    """Which facts have another key than their month; None for none.

    Args:
        facts: shape (n,), ascending in `received_at_ms`.
        plan: which key serves which month.
        indexes: which months hold any message.
        window_days: how far apart two days in different months may be for one message id to be the
            same message.
    """
    keys = (facts["flags"] & np.uint32(KEY_MASK)) >> np.uint32(KEY_SHIFT)
    if plan.next_from is None or not len(facts):
        misfit: Mask = keys != plan.first
    else:
        days = facts["received_at_ms"] // MS_PER_DAY
        before = days < plan.next_from.first_day
        misfit = keys != np.where(before, plan.first, plan.first + 1)
        if (held := _first_held(plan.next_from, indexes, window_days)) is not None:
            # It was hashed before the next key was made, and cannot be looked for under that.
            narrow = (facts["flags"] & np.uint32(WIDE)) == 0 if is_wide(facts) else True
            misfit |= before & narrow & (days >= held - window_days)
    return misfit if misfit.any() else None


def _first_held(next_from: Period, indexes: Indexes, window_days: int) -> int | None:
    """The first day of the first month under the next key that holds any message; None for none."""
    for months in range(window_days // 28 + 2):
        if indexes.knows(next_from.shifted(months), MESSAGE):
            return next_from.shifted(months).first_day
    return None
