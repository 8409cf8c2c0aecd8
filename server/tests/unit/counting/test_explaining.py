"""Contributions add up to the change, whatever is listed and however many sources there are."""

from __future__ import annotations

import random

import pytest

from headcount.counting.attributes import OTHER, Attributes
from headcount.counting.explaining import (
    PARTS,
    RANKS,
    Brought,
    BroughtBy,
    ExplainedBySource,
    ExplainedCount,
    brought_by,
)
from headcount.counting.metrics import BY_NAME, HEADLINES, Metric
from support.generated_months import SHOP, WEB, GeneratedMonth, generated

DAYS = 31
MTU = BY_NAME["mtu"]


def explained(
    before: GeneratedMonth, now: GeneratedMonth, metric: Metric, days: int, source: int | None
) -> ExplainedCount:
    totals = [
        int(metric.of(month.counts[source or 0])[:days].sum())
        if (source or 0) in month.counts
        else 0
        for month in (now, before)
    ]
    explanation = ExplainedBySource(metric, *totals, limit=1000)
    own = source is not None
    for each in {*now.contributions, *before.contributions} if source is None else {source}:
        sides = (
            brought_by(month.contributions[each], days, own=own)
            if each in month.contributions
            else {}
            for month in (now, before)
        )
        explanation.add(each, *sides)
    return explanation.result()


@pytest.mark.parametrize("metric", HEADLINES, ids=lambda metric: metric.name)
@pytest.mark.parametrize("source", [None, WEB, SHOP])
@pytest.mark.parametrize("days", [1, 9, DAYS])
def test_contributions_add_up_to_the_change(metric: Metric, source: int | None, days: int) -> None:
    for seed in range(3):
        told = explained(*generated(seed, "new_source"), metric, days, source)
        assert sum(row.change for row in told.contributions) == told.change
        assert told.untold == (0, 0), "all is attributed"
        assert not told.rest.rows


def test_what_nobody_attributed_is_a_contribution_too() -> None:
    [_, now] = generated(1)
    total = int(MTU.of(now.counts[0]).sum())
    explanation = ExplainedBySource(MTU, total, 70, limit=1000)
    for source, held in now.contributions.items():
        explanation.add(source, brought_by(held, DAYS), {})
    told = explanation.result()
    [left] = [row for row in told.contributions if row.whence is None]
    assert (left.now, left.before) == told.untold == (0, 70)
    assert sum(row.change for row in told.contributions) == told.change


def many_sources(sources: int, each: int) -> dict[int, tuple[BroughtBy, BroughtBy]]:
    """Two months of sources that share half of their events."""
    rng = random.Random(sources)

    def of(source: int) -> BroughtBy:
        names = [f"shared {n}" if n % 2 else f"{n} of {source}" for n in range(each)]
        counts = [rng.randrange(1, 10_000) for _ in names]
        return {
            Attributes("analytics.js", "4.1.0", "track", name): Brought(count, count, 0, 0)
            for name, count in zip(names, counts, strict=True)
        }

    return {source: (of(source), of(source)) for source in range(1, sources + 1)}


@pytest.mark.parametrize("rank", RANKS)
@pytest.mark.parametrize("parts", [PARTS, ("event",), ("source",), ("bot",)])
def test_no_more_is_held_than_is_bounded_and_nothing_is_lost(
    rank: str, parts: tuple[str, ...]
) -> None:
    months = many_sources(60, 40)
    sides = zip(*months.values(), strict=True)
    totals = [sum(b.users for month in side for b in month.values()) for side in sides]
    whole, small = (
        ExplainedBySource(MTU, *totals, parts=parts, rank=rank, limit=limit, groups_max=groups)
        for limit, groups in ((10**6, 10**6), (10, 100))
    )
    most = 0
    for source, sides in months.items():
        whole.add(source, *sides)
        small.add(source, *sides)
        most = max(most, small.held)
    assert most <= 10 + 1_000 + 101 < 60 * 40
    told, all_told = small.result(), whole.result()
    assert told.untold == all_told.untold == (0, 0)
    assert sum(row.change for row in told.contributions) + told.rest.change == told.change
    assert sum(row.now for row in told.contributions) + told.rest.now == told.now
    assert told.contributions == sorted(told.contributions, key=RANKS[rank])
    if "event" not in parts or "source" in parts:
        assert told.contributions == all_told.contributions[:10], "those that come first"
        assert len(told.contributions) + told.rest.rows == len(all_told.contributions)
        assert told.moved == all_told.moved
    else:
        # What is told apart is told whole: what does not fit from the beginning is other.
        assert len(told.contributions) + told.rest.rows == 101
        known = {row[:2]: row for row in all_told.contributions}
        others = [row for row in told.contributions if row.whence and row.whence[1] == OTHER]
        assert len(others) <= 1
        assert all(known[row[:2]] == row for row in told.contributions if row not in others)
