"""When nothing is left that was hashed under the former of two keys: takes which key serves which
month and what the store holds, gives an answer.
"""

from __future__ import annotations

from collections.abc import Iterable

from headcount.counting.aside import AsideReason, AsideSum
from headcount.counting.calendar import MS_PER_DAY
from headcount.counting.facts import FIRST_MS
from headcount.counting.hashing import KeyPlan
from headcount.counting.sealing import due_day, is_plausible
from headcount.store.protocol import Month

__all__ = ["is_former_key_done"]

_PENDING = (AsideReason.WAITING, AsideReason.CONFIRMED)
_FIRST_DAY = FIRST_MS // MS_PER_DAY


def is_former_key_done(
    plan: KeyPlan,
    months: Iterable[Month],
    aside: Iterable[AsideSum],
    trusted_day: int | None,
    today: int,
) -> bool:
    """Whether the next key may serve all months from now on.

    Every month before its first is closed, for every workspace that used it: nothing of theirs is
    compared any more. A month that holds nothing is hashed under the next key when something is
    brought into it later. Journals must be drained.

    Args:
        plan: which key serves which month.
        months: every month of every workspace that holds anything.
        aside: what is kept and not counted.
        trusted_day: the latest day that the clock is trusted for, days since 1970.
        today: the day that the clock says.
    """
    next_from = plan.next_from
    if next_from is None or not is_plausible(trusted_day, today):
        return False
    if today < due_day(next_from.shifted(-1), None):
        return False
    if any(month.period < next_from and not month.sealed for month in months):
        return False
    return not any(
        each.reason in _PENDING
        and each.first_day is not None
        and each.last_day is not None
        and each.last_day >= _FIRST_DAY
        and each.first_day < next_from.first_day
        for each in aside
    )
