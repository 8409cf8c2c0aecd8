"""Recounting: holds the store's counts against each other and against the keys they came from.

Takes a moment of the store, gives findings and how many bytes of keys each day brought. Keys do
not say which scope they are of, so what is compared is their number by day over all scopes; within
the counts, every workspace is held against its sources.

A partition of a cluster is recounted in the same way: each keeps the keys of what it counts. Where
a single machine's history was joined, message keys were shared out over partitions and counts were
not; by how many each differs since then is known (`headcount.store.joined`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from headcount.counting.calendar import Period, day_text
from headcount.counting.keys import MESSAGE, TRACKED, Family, KeyBlock
from headcount.counting.metrics import KINDS, METRICS, STORED, KeyDays, Metric
from headcount.counting.usage import DAYS_MAX, Counts
from headcount.doctor.findings import REPAIR, Finding, ok, problem
from headcount.store.counts import counts_of
from headcount.store.joined import JoinedKeys
from headcount.store.recount import ByDay, KeysByDay, count_keys, decoded, fault_of
from headcount.store.runs import Run
from headcount.store.view import StoredUsage, StoreView
from headcount.wording import number_of

__all__ = ["Recount", "check_counts"]

_RESTORE = (
    "Restore the data folder from a backup taken before this, and keep the damaged one elsewhere."
)
_BYTES_A_KEY: dict[Family, float] = {MESSAGE: 10.5, TRACKED: 10.0}
_FAMILIES: tuple[Family, ...] = (MESSAGE, TRACKED)

Place = tuple[Period, Family]


@dataclass(slots=True)
class Recount:
    """What recounting gave.

    Attributes:
        findings: one for each thing that does not agree, or one that says that all does.
        new_bytes: day (since 1970) to the bytes of the keys that were new on it.
        months, open_months: how many there are.
        keys: how many the counts were held against.
    """

    findings: list[Finding] = field(default_factory=list)
    months: int = 0
    open_months: int = 0
    keys: int = 0
    new_bytes: dict[int, float] = field(default_factory=lambda: defaultdict(float))


class _MonthCounts(NamedTuple):
    """The counts of all workspaces in one month."""

    workspaces: dict[int, Counts]
    sources: dict[int, dict[int, Counts]]

    def without(self, workspaces: Set[int]) -> _MonthCounts:
        """The counts of the other workspaces."""
        return _MonthCounts(
            {each: counts for each, counts in self.workspaces.items() if each not in workspaces},
            {each: counts for each, counts in self.sources.items() if each not in workspaces},
        )

    def keys_counted(self, metrics: Sequence[Metric]) -> ByDay:
        """How many keys some metrics say that each day brought, over all scopes."""
        of_sources = [counts for each in self.sources.values() for counts in each.values()]
        sources, workspaces = _sum(of_sources), _sum(list(self.workspaces.values()))
        # What adds up has keys of its sources only: those of a workspace would be the same.
        found = [
            metric.of(sources) if metric.adds_up else metric.of(sources + workspaces)
            for metric in metrics
        ]
        total: ByDay = np.sum(found, axis=0)
        return total


def check_counts(moment: StoreView[Run], joined: JoinedKeys | None = None) -> Recount:
    """Recount a store.

    Args:
        moment: the store.
        joined: by how many its message keys differ from its counts, where it is a partition among
            which a joined history was shared out.
    """
    joined = joined or JoinedKeys()
    recount = Recount()
    months: dict[Period, _MonthCounts] = defaultdict(lambda: _MonthCounts({}, defaultdict(dict)))
    for row in moment.usage():
        try:
            counts = counts_of(row.counts)
        except ValueError:
            recount.findings.append(
                problem("counts", f"The counts of {_scope(row)} cannot be read.", REPAIR)
            )
            continue
        if row.source:
            months[row.period].sources[row.workspace][row.source] = counts
        else:
            months[row.period].workspaces[row.workspace] = counts
    for period, month in sorted(months.items()):
        recount.findings += _check_within(period, month, may_be_negative=joined.has(period))
    recount.keys = _check_keys(moment, months, recount, joined)
    recount.months = len(months)
    recount.open_months = len({month.period for month in moment.months() if not month.sealed})
    if not recount.findings:
        recount.findings.append(
            ok(
                "counts",
                f"{number_of(recount.months, 'month')} ({recount.open_months} open): workspaces"
                " agree with their sources, and open months with their"
                f" {number_of(recount.keys, 'key')}.",
                months=recount.months,
                openMonths=recount.open_months,
                keys=recount.keys,
            )
        )
    return recount


def _scope(row: StoredUsage) -> str:
    source = f"source {row.source} of " if row.source else ""
    return f"{source}workspace {row.workspace} in {_month_text(row.period)}"


def _month_text(period: Period) -> str:
    return str(period)[:7]


def _sum(scopes: list[Counts]) -> Counts:
    return np.sum(scopes, axis=0) if scopes else np.zeros((DAYS_MAX, len(KINDS)), np.int64)


def _check_within(
    period: Period, month: _MonthCounts, *, may_be_negative: bool = False
) -> Iterator[Finding]:
    """Hold each workspace against its sources; true of closed months too."""
    for workspace in sorted(month.workspaces.keys() | month.sources.keys()):
        whole = month.workspaces.get(workspace, _sum([]))
        parts = np.array([_sum([]), *month.sources[workspace].values()])
        for fault in _faults(period, whole, parts, may_be_negative=may_be_negative):
            yield problem(
                "counts",
                f"Workspace {workspace} in {_month_text(period)}: {fault}.",
                _RESTORE,
                workspace=workspace,
                period=str(period),
            )


def _faults(
    period: Period, whole: Counts, parts: npt.NDArray[np.int64], *, may_be_negative: bool = False
) -> Iterator[str]:
    """What is impossible about the counts of a workspace and of its sources."""
    everything = np.concatenate([parts, whole[None]])
    if everything[:, period.length :].any():
        yield "there are counts on days that the month does not have"
    for metric in METRICS:
        if may_be_negative and metric.adds_up:
            continue  # a message that another partition has counted may have come earlier here
        new = metric.of(everything)
        if (new < 0).any() if not metric.may_fall else (new.cumsum(axis=1) < 0).any():
            yield f"a count is negative, that of {metric.label}"
    for metric in STORED:
        of_sources, of_whole = metric.of(parts), metric.of(whole)
        if metric.adds_up:
            if (of_sources.sum(axis=0) != of_whole).any():
                yield f"its {metric.label} are not the sum of its sources'"
            continue
        totals, whole_totals = of_sources.cumsum(axis=1), of_whole.cumsum()
        if (totals.max(axis=0) > whole_totals).any():
            yield f"a source has more {_counted(metric)} than the workspace"
        if (totals.sum(axis=0) < whole_totals).any():
            yield f"it has more {_counted(metric)} than its sources together"


def _counted(metric: Metric) -> str:
    return metric.label if metric.adds_up else f"{metric.label} ids"


def _check_keys(
    moment: StoreView[Run],
    months: Mapping[Period, _MonthCounts],
    recount: Recount,
    joined: JoinedKeys,
) -> int:
    """Hold the counts of every month whose keys are all there against them; gives their number."""
    total = 0
    in_blocks = moment.block_keys()
    # Keys go once the month is closed for every workspace that used it by then; another workspace
    # may bring its own history into that month later.
    dropped: dict[Period, set[int]] = defaultdict(set)
    for each in moment.months():
        if each.keys_dropped:
            dropped[each.period].add(each.workspace)
    still_open = {month.period for month in moment.months() if not month.sealed}
    with_keys = {period for period, _ in in_blocks} | {run.period for run in moment.runs}
    for period in sorted(still_open | (with_keys - months.keys())):
        month = months.get(period, _MonthCounts({}, {})).without(dropped[period])
        for family in _FAMILIES:
            keys = _count(moment, (period, family), in_blocks)
            if isinstance(keys, str):
                recount.findings.append(
                    problem(
                        "keys",
                        f"The {family} keys of {_month_text(period)} cannot be counted: {keys}.",
                        _RESTORE,
                        period=str(period),
                        family=family,
                    )
                )
                continue
            total += keys.keys
            for day, new in enumerate(keys.first.tolist()):
                recount.new_bytes[period.first_day + day] += new * _BYTES_A_KEY[family]
            recount.findings += _compare(period, family, keys, month, joined)
    return total


def _count(
    moment: StoreView[Run],
    place: Place,
    in_blocks: Mapping[Place, int],
) -> KeysByDay | str:
    """The keys of a month and family by day, or why they cannot be counted."""
    period, family = place
    parts: list[KeyBlock] = []
    for run in moment.runs:
        if (run.period, run.family) != place:
            continue
        if run.opened is None:
            return run.refusal.rstrip(".")
        try:
            found = list(run.opened.blocks())
        except (ValueError, OverflowError) as error:
            return f"{run.name} is damaged: {error}"
        for part in found:
            if fault := fault_of(part, period, family):
                return f"in {run.name}, {fault}"
        parts += found
    damaged = False

    def read() -> Iterator[KeyBlock]:
        nonlocal damaged
        for stored in moment.blocks(period, family):
            block = decoded(stored, period, family)
            if block is None:
                damaged = True
            else:
                yield block

    keys = count_keys(in_blocks.get(place, 0), read, parts)
    return "a block of them is damaged" if damaged else keys


def _compare(
    period: Period, family: Family, keys: KeysByDay, month: _MonthCounts, joined: JoinedKeys
) -> Iterator[Finding]:
    for days, given in keys.by_days().items():
        metrics = [metric for metric in STORED if metric.keys == KeyDays(family, days)]
        if not metrics:
            continue
        counts = month.keys_counted(metrics)
        if family == MESSAGE:
            counts = counts + joined.beyond(period)
        wrong = np.flatnonzero(given != counts)
        if not len(wrong):
            continue
        day, told = int(wrong[0]), " and ".join(map(_counted, metrics))
        yield problem(
            "counts",
            f"The counts of {_month_text(period)} are not what its keys give: on"
            f" {day_text(period.first_day + day)}, {counts[day]:,} {told} were counted and"
            f" {given[day]:,} keys are there ({len(wrong)} such days).",
            _RESTORE,
            period=str(period),
            days=[day_text(period.first_day + each) for each in wrong.tolist()],
        )
