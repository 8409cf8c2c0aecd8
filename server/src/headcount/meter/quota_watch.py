"""Quotas of sources: takes where a source stands, gives when it came to its quota, and who is over.

A quota is reached once a month, by the most that the month has been; the first moment stays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from headcount.counting.alerts import Quota, QuotaReached
from headcount.counting.calendar import MS_PER_DAY, Period
from headcount.counting.scope_standing import Standing
from headcount.errors import DamagedDataError
from headcount.meter.standings import Place
from headcount.meter.unjudged import Unjudged
from headcount.store.protocol import MeterStore

__all__ = ["QuotaWatch"]


class QuotaWatch:
    """The quotas of all sources.

    Args:
        store: where it is kept which were reached.
        passed_over: notes those that cannot be judged.

    Attributes:
        over: sources that are to be refused, and until when, in milliseconds since 1970.
    """

    def __init__(self, store: MeterStore, passed_over: Unjudged) -> None:
        self._store = store
        self._passed_over = passed_over
        self._by_source: dict[int, list[Quota]] = {}
        self._reached: dict[tuple[int, Period], set[tuple[int, str]]] = {}
        self.over: Mapping[int, int] = {}

    def watch(self, quotas: Iterable[Quota]) -> None:
        """Watch these, and no others."""
        self._by_source = {}
        for quota in quotas:
            self._by_source.setdefault(quota.source, []).append(quota)

    def __bool__(self) -> bool:
        return bool(self._by_source)

    def __contains__(self, source: int) -> bool:
        return source in self._by_source

    def places(self, period: Period) -> list[Place]:
        """The month of every source that has a quota."""
        return [(period, each[0].workspace, source) for source, each in self._by_source.items()]

    def reached(self, place: Place, standing: Standing, now_ms: int) -> list[QuotaReached]:
        """Which quotas a source comes to with where it stands now; none where nobody can say which
        were reached before: these are judged again."""
        quotas = self._by_source.get(place[2])
        if not quotas:
            return []
        found = self._come_to(quotas, place, standing, now_ms)
        return self._passed_over.quota_unless_damaged(quotas[0], place, found)

    def _come_to(
        self, quotas: Iterable[Quota], place: Place, standing: Standing, now_ms: int
    ) -> Iterator[QuotaReached]:
        period, workspace, source = place
        # By workspace, so that a row of one that is damaged is no other's matter.
        month = workspace, period
        for quota in quotas:
            if standing.reached(quota.metric) < quota.amount:
                continue
            if month not in self._reached:
                told = self._store.alerts.quotas_reached(*month)
                self._reached[month] = {(each.source, each.metric) for each in told}
            if (source, quota.metric) not in self._reached[month]:
                yield QuotaReached(
                    workspace, period, source, quota.metric, quota.amount, now_ms, quota.past
                )

    def committed(self, reached: Iterable[QuotaReached]) -> None:
        """Take for told what is durable."""
        for each in reached:
            self._reached[each.workspace, each.period].add((each.source, each.metric))

    def note_unjudged(self, place: Place, error: DamagedDataError) -> None:
        """Note that nobody can say where a source stands, if it has a quota."""
        for quota in self._by_source.get(place[2], ())[:1]:
            self._passed_over.note_quota(quota, place, error)

    def note_over(self, period: Period, standing: Callable[[Place], Standing | None]) -> None:
        """See which sources have used their quota of the month that runs.

        Args:
            period: the month.
            standing: where a source stands; None where nobody can say, and nothing is refused.
        """
        until_ms = (period.last_day + 1) * MS_PER_DAY
        self.over = {
            quota.source: until_ms
            for quotas in self._by_source.values()
            for quota in quotas
            if quota.past == "refuse"
            and (stands := standing((period, quota.workspace, quota.source))) is not None
            and stands.reached(quota.metric) >= quota.amount
        }
