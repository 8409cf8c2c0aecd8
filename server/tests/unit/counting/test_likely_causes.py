"""Planted causes come first, in generated months; months without one have none."""

from __future__ import annotations

from itertools import combinations

import pytest

from headcount.counting.attributes import Attributes
from headcount.counting.explaining import Brought, ExplainedMonth, Whence, brought_by, explained
from headcount.counting.likely_causes import CAUSES, LikelyCause, causes_of
from headcount.counting.metrics import BY_NAME, HEADLINES, Metric
from support.generated_months import PLANTED, SHOP, SOURCES, WEB, GeneratedMonth, generated

DAYS = 31
PAIRS = list(combinations(PLANTED, 2))


def causes(before: GeneratedMonth, now: GeneratedMonth) -> list[LikelyCause]:
    brought = [brought_by(each.contributions, DAYS) for each in (now, before)]
    return causes_of(brought[0], brought[1], SOURCES)


@pytest.mark.parametrize("seed", range(50))
def test_what_is_planted_comes_first(seed: int) -> None:
    planted = list(PLANTED)[seed % len(PLANTED)]
    before, now = generated(seed, planted)
    found = causes(before, now)
    assert [each.name for each in found[:1]] == [planted], found
    assert found[0].effect == pytest.approx(now.effects[planted], rel=0.3), "the users it made"
    assert found[0].source == PLANTED[planted]
    assert found[0].version == ("4.2.0" if planted == "library_version" else "")


@pytest.mark.parametrize("pair", PAIRS, ids="+".join)
def test_of_two_causes_both_are_named_and_the_larger_first(pair: tuple[str, str]) -> None:
    before, now = generated(200 + PAIRS.index(pair), *pair)
    found = causes(before, now)
    assert {each.name for each in found[:2]} == set(pair), found
    assert {(each.name, each.source) for each in found[:2]} <= PLANTED.items()
    smaller, larger = sorted(pair, key=lambda cause: now.effects[cause])
    if now.effects[larger] > 1.3 * now.effects[smaller]:  # where a count can tell them apart
        assert found[0].name == larger, (now.effects, found)


@pytest.mark.parametrize("seed", range(100, 120))
def test_a_month_that_varies_by_itself_has_no_cause(seed: int) -> None:
    assert causes(*generated(seed)) == []


def test_more_ids_of_the_same_known_users_are_no_cause() -> None:
    """Each message links an id of its own to its user: there are no more users by it."""
    whence = Whence(WEB, Attributes("analytics.js", "4.2.0", "track", "Viewed"))
    before = Brought(messages=1000, identified=250, anonymous=250, linked=250)
    now = Brought(messages=1000, identified=250, anonymous=1000, linked=1000)
    assert now.users == before.users
    assert causes_of({whence: now}, {whence: before}, SOURCES) == []


@pytest.mark.parametrize("metric", HEADLINES, ids=lambda metric: metric.name)
@pytest.mark.parametrize("source", [None, WEB, SHOP])
@pytest.mark.parametrize("days", [1, 9, DAYS])
def test_contributions_add_up_to_the_change(metric: Metric, source: int | None, days: int) -> None:
    for seed in range(3):
        sides = [
            ExplainedMonth(
                int(metric.of(month.counts[source or 0])[:days].sum())
                if (source or 0) in month.counts
                else 0,
                brought_by(month.contributions, days, source),
            )
            for month in generated(seed, "new_source")
        ]
        told = explained(sides[1], sides[0], metric)
        assert sum(row.change for row in told.contributions) == told.change
        assert told.change == sides[1].total - sides[0].total
        assert all(row.whence is not None for row in told.contributions), "all is attributed"


def test_what_nobody_attributed_is_a_contribution_too() -> None:
    [before, now] = generated(1)
    brought = brought_by(now.contributions, DAYS)
    mtu = BY_NAME["mtu"]
    total = int(mtu.of(now.counts[0]).sum())
    told = explained(ExplainedMonth(total, brought), ExplainedMonth(70, {}), mtu)
    [left] = [row for row in told.contributions if row.whence is None]
    assert (left.now, left.before) == (0, 70)
    assert sum(row.change for row in told.contributions) == told.change
    assert before.counts[0] is not now.counts[0]


def test_every_cause_has_words() -> None:
    assert set(PLANTED) == set(CAUSES)
    for words in CAUSES.values():
        assert words.title
        assert words.remedy.endswith(".")
