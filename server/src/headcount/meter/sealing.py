"""Closing months: which facts come too late, and which months are due.

Takes facts and the clock, tells the store what to seal and what to drop. Deciding (`due_months`)
and carrying out (`Sealing.seal`, `Sealing.drop_done`) are apart: in a cluster one decides for all
partitions. Whoever decides acts only when every journal is drained and the clock can be believed,
because what is dropped cannot be counted again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Sequence

import numpy as np

from headcount.counting.aside import Aside, AsideReason
from headcount.counting.batch import Facts, bytes_of
from headcount.counting.calendar import MS_PER_DAY, Period, day_of_ms
from headcount.counting.facts import IMPORTED
from headcount.counting.keys import distinct
from headcount.counting.months import day_reached
from headcount.counting.sealing import is_due, is_plausible, trusted_after
from headcount.layout import TRASH_KEPT_DAYS
from headcount.meter.indexes import MeterIndexes
from headcount.store.protocol import Change, MeterStore, Month, sealed_months

__all__ = ["Sealing", "due_months"]

_log = logging.getLogger(__name__)

# Of a day since 1970, whatever a clock says, and fewer than a workspace's number leaves room for.
_DAY_BITS = 28
_CHECK_EVERY_MS = 60_000
_TRASH_KEPT_MS = TRASH_KEPT_DAYS * MS_PER_DAY


class Sealing:
    """Seals months of one store.

    Args:
        store: whose months.
        indexes: told of what was dropped.
        clock_ms: the time, in milliseconds since 1970.
    """

    def __init__(
        self, store: MeterStore, indexes: MeterIndexes, clock_ms: Callable[[], int]
    ) -> None:
        self._store = store
        self._indexes = indexes
        self._clock_ms = clock_ms
        self._sealed: set[tuple[int, Period]] = set()
        for workspace, period in sealed_months(store.months()):
            self.close(workspace, period)
        self._checked_at_ms: int | None = None

    def close(self, workspace: int, period: Period) -> None:
        """Take a month for closed, as is committed."""
        self._sealed.add((workspace, period))
        self._indexes.seal(workspace, period)

    def split(self, facts: Facts) -> tuple[Facts, list[Aside]]:
        """Facts to count, and those of sealed months, which are set aside."""
        aside: list[Aside] = []
        if not self._sealed or not len(facts):
            return facts, aside
        days = facts["received_at_ms"] // MS_PER_DAY
        late = np.zeros(len(facts), np.bool_)
        oldest = Period.of_day(int(days.min()))
        for workspace, period in self._sealed:
            if period < oldest:
                continue
            of_month = (
                (facts["workspace"] == workspace)
                & (days >= period.first_day)
                & (days <= period.last_day)
            )
            if of_month.any():
                late_facts = bytes_of(facts[of_month])
                aside.append(Aside(AsideReason.SEALED, late_facts, workspace, period))
                late |= of_month
        return (facts[~late] if aside else facts), aside

    def erase(self, workspaces: Collection[int], also: Collection[int] = ()) -> Sequence[int]:
        """Erase what is known of workspaces that were deleted, as far as that can go already.

        Args:
            workspaces: which.
            also: those of them that hold something else than months.

        Returns:
            Of which anything was erased.

        Raises:
            StorageUnavailableError: the disk refused, and nothing is changed.
        """
        held = {period for period, _ in self._store.state().key_periods}
        months = [month for month in self._store.months() if month.workspace in workspaces]
        due = {each.workspace for each in months if each.period not in held or not each.sealed}
        due.update(each for each in workspaces if each in also)
        if not due:
            return ()
        self._store.commit(Change(erased=sorted(due)))
        for month in months:
            if month.workspace in due and (month.workspace, month.period) not in self._sealed:
                self.close(month.workspace, month.period)
        return sorted(due)

    def imported(self, facts: Facts) -> dict[tuple[int, Period], int]:
        """The months that facts were imported into, with today: they stay open from now on.

        A clock that is behind must not make an import look older than it is.
        """
        imported = facts[(facts["flags"] & IMPORTED) != 0]
        if not len(imported):
            return {}
        today = self._today()
        days = imported["received_at_ms"] // MS_PER_DAY
        # As one number each: finding out which pairs there are costs ten times as much.
        pairs = distinct(imported["workspace"].astype(np.int64) << _DAY_BITS | days)
        days_mask = (1 << _DAY_BITS) - 1
        return {
            (pair >> _DAY_BITS, Period.of_day(pair & days_mask)): today for pair in pairs.tolist()
        }

    def _today(self) -> int:
        """The day that it is, which is never before one that was metered."""
        return day_reached(self._clock_ms(), self._store.state().last_metered_day)

    def trusted_after(self, live_days: list[int]) -> int | None:
        """The latest trusted day once live messages of these days (ascending) are metered."""
        return trusted_after(self._store.state().trusted_day, live_days) if live_days else None

    def seal_due(self) -> None:
        """Seal and drop what is due, about once a minute; every journal must be drained.

        Raises:
            StorageUnavailableError: the disk refused; it is tried again at the next check.
        """
        now_ms = self._clock_ms()
        if self._checked_at_ms is not None and 0 <= now_ms - self._checked_at_ms < _CHECK_EVERY_MS:
            return
        self._checked_at_ms = now_ms
        trusted_day, today = self._store.state().trusted_day, day_of_ms(now_ms)
        if not is_plausible(trusted_day, today):
            return
        for workspace, period in due_months(self._store.months(), trusted_day, today):
            self.seal(workspace, period, Change())
        self.drop_done(now_ms)

    def seal(self, workspace: int, period: Period, change: Change) -> None:
        """Close a month for good, with a change that may say more.

        Raises:
            StorageUnavailableError: the disk refused, and it stays open.
        """
        change.sealed = [(workspace, period)]
        self._store.commit(change)
        self.close(workspace, period)
        _log.info("sealed %s of workspace %d", period, workspace)

    def is_sealed(self, workspace: int, period: Period) -> bool:
        """Whether a month is closed."""
        return (workspace, period) in self._sealed

    def drop_done(self, now_ms: int) -> None:
        """Drop the keys of the months that are closed for everybody, and what is old in the trash.

        Keys do not say whose they are, so they go once no workspace can need them.

        Raises:
            StorageUnavailableError: the disk refused; it is tried again at the next check.
        """
        months = self._store.months()
        closed = {(month.workspace, month.period) for month in months} & self._sealed
        open_periods = {m.period for m in months if (m.workspace, m.period) not in closed}
        stored = {period for period, _ in self._store.state().key_periods}
        # Nor must it shorten the days in the trash.
        moment_ms = max(now_ms, self._today() * MS_PER_DAY)
        for period in ({period for _, period in closed} - open_periods) & stored:
            self._store.drop_keys(period, moment_ms)
            self._indexes.drop(period)
        if self._store.files is not None:
            self._store.files.empty_trash(now_ms - _TRASH_KEPT_MS)


def due_months(
    months: Iterable[Month], trusted_day: int | None, today: int
) -> list[tuple[int, Period]]:
    """The (workspace, period) pairs to close on a day; none where the clock is not believed.

    Args:
        months: every month of every workspace that holds anything.
        trusted_day: the latest day that the clock is trusted for, days since 1970, or None.
        today: the day that the clock says.
    """
    if not is_plausible(trusted_day, today):
        return []
    return [
        (month.workspace, month.period)
        for month in months
        if not month.sealed and is_due(month.period, month.last_import_day, today)
    ]
