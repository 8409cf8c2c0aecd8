"""Two months beside each other: what of many sources is held in memory, and what cannot be told."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pytest

from headcount.api.v1.explained_months import ExplainedMonths, Wanted
from headcount.counting.attributes import RESERVED, Attributes
from headcount.counting.calendar import Period, parse_period
from headcount.counting.contributions import COLUMNS, OF_SOURCE, OF_WORKSPACE, DayOfContributions
from headcount.counting.explaining import PARTS
from headcount.counting.metrics import ANONYMOUS, API_CALLS, BY_NAME, KINDS
from headcount.counting.usage import DAYS_MAX, Counts
from headcount.store.opening import open_store
from headcount.store.protocol import Change, MeterStore

OCTOBER, NOVEMBER = parse_period("2026-10-01"), parse_period("2026-11-01")
MTU = Wanted(BY_NAME["mtu"], frozenset(PARTS), "share", 25)
VIEWED = Attributes("analytics.js", "4.1.0", "page", "")
BOT = VIEWED._replace(bot=True)


@contextmanager
def stored(folder: Path) -> Iterator[MeterStore]:
    with closing(open_store(folder / "store.sqlite")) as store:
        yield store


def commit(
    store: MeterStore, period: Period, source: int, brought: dict[Attributes, int], untold: int = 0
) -> None:
    """On the first day so many visitors, each with a message; of some nobody knows what."""
    total = sum(brought.values()) + untold
    counts: Counts = np.zeros((DAYS_MAX, len(KINDS)), np.int64)
    counts[0, [API_CALLS, ANONYMOUS]] = total
    rows = np.zeros((len(brought), COLUMNS), np.int64)
    columns = {columns[kind] for columns in (OF_SOURCE, OF_WORKSPACE) for kind in (0, ANONYMOUS)}
    rows[:, sorted(columns)] = np.array(list(brought.values()))[:, None]
    day = DayOfContributions(1, source, 0, np.arange(len(brought)) + len(RESERVED), rows)
    store.commit(
        Change(
            counts={(period, 1, source): counts, (period, 1, 0): counts},
            contributions=[(period, day)],
            attributes=[*RESERVED, *brought],
        )
    )


def explained(store: MeterStore, names: Iterable[int], days: int = 31) -> ExplainedMonths:
    with store.attribution.attributed(1, (NOVEMBER, OCTOBER)) as usage:
        return ExplainedMonths(usage, days, MTU, {each: f"Shop {each}" for each in names}, None)


def fill(store: MeterStore, sources: Iterable[int]) -> None:
    for source in sources:
        events = [VIEWED._replace(type="track", event=f"{n} of {source}") for n in range(150)]
        for period in (OCTOBER, NOVEMBER):
            commit(
                store, period, source, {each: 1 + (n + source) % 9 for n, each in enumerate(events)}
            )


def test_memory_does_not_grow_with_what_sources_are_made_of(tmp_path: Path) -> None:
    peaks = []
    with stored(tmp_path) as store:
        for sources in (range(1, 16), range(16, 61)):
            fill(store, sources)
            tracemalloc.start()
            try:
                told = explained(store, sources).result()
                peaks.append(tracemalloc.get_traced_memory()[1])
            finally:
                tracemalloc.stop()
            assert len(told.contributions) == 25
            assert told.rest.rows == 150 * sources[-1] - 25
            assert sum(row.now for row in told.contributions) + told.rest.now == told.now > 0
    # A source more is its counts in two months (2.5 kB) and its name; not 150 rows in each.
    assert (peaks[1] - peaks[0]) / 45 < 10_000


def test_what_was_not_attributed_before_is_nothing_new(tmp_path: Path) -> None:
    """Bots of November are none more than in October, of which nobody knows how many there were."""
    with stored(tmp_path) as store:
        commit(store, OCTOBER, 1, {VIEWED: 100, BOT: 10}, untold=900)
        commit(store, NOVEMBER, 1, {VIEWED: 900, BOT: 100})
        commit(store, OCTOBER, 2, {VIEWED: 1000})
        commit(store, NOVEMBER, 2, {VIEWED: 1000, BOT: 300})
        found = explained(store, (1, 2))
        told = found.result()
        assert told.untold == (0, 900)
        [cause] = found.causes.ranked()
        assert (cause.name, cause.source, cause.effect) == ("bots", 2, 300)
        untold, passed_over = found.notes(told)
        assert untold.startswith("MTU: 900 of 2026-10 are attributed to no message.")
        assert passed_over.startswith("Causes were looked for in 1 of 2 sources.")


@pytest.mark.parametrize("untold", [0, 1000])
def test_a_source_is_new_that_had_no_usage_whether_attributed_or_not(
    tmp_path: Path, untold: int
) -> None:
    with stored(tmp_path) as store:
        commit(store, OCTOBER, 1, {VIEWED: 1000})
        if untold:
            commit(store, OCTOBER, 2, {}, untold)
        for source in (1, 2):
            commit(store, NOVEMBER, source, {VIEWED: 1000})
        names = [each.name for each in explained(store, (1, 2)).causes.ranked()]
        assert names == ([] if untold else ["new_source"])
