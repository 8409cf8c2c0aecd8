"""Planted causes come first, in generated months; months without one have none."""

from __future__ import annotations

from itertools import combinations

import pytest

from headcount.counting.attributes import Attributes
from headcount.counting.explaining import Brought, BroughtBy, brought_by
from headcount.counting.likely_causes import CAUSES, LikelyCause, LikelyCauses
from support.generated_months import PLANTED, SOURCES, WEB, GeneratedMonth, generated

DAYS = 31
PAIRS = list(combinations(PLANTED, 2))


def causes(before: GeneratedMonth, now: GeneratedMonth) -> list[LikelyCause]:
    sides: list[dict[int, BroughtBy]] = [
        {source: brought_by(held, DAYS) for source, held in each.contributions.items()}
        for each in (now, before)
    ]
    return causes_of(*sides)


def causes_of(now: dict[int, BroughtBy], before: dict[int, BroughtBy]) -> list[LikelyCause]:
    users = sum(each.users for brought in now.values() for each in brought.values())
    found = LikelyCauses(SOURCES, users, has_before=bool(before))
    for source in {*now, *before}:
        is_new = source not in before
        found.add(source, now.get(source, {}), before.get(source, {}), is_new=is_new)
    return found.ranked()


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
    viewed = Attributes("analytics.js", "4.2.0", "track", "Viewed")
    before = Brought(messages=1000, identified=250, anonymous=250, linked=250)
    now = Brought(messages=1000, identified=250, anonymous=1000, linked=1000)
    assert now.users == before.users
    assert causes_of({WEB: {viewed: now}}, {WEB: {viewed: before}}) == []


def test_of_many_sources_the_causes_that_explain_most_are_kept() -> None:
    bought = Attributes("analytics-python", "2.3.2", "track", "Order Paid")
    now: dict[int, BroughtBy] = {
        source: {bought: Brought(messages=source, identified=source)} for source in range(1, 200)
    }
    now[WEB] = {bought: Brought(messages=1_000_000, identified=200)}
    found = LikelyCauses(SOURCES, 1_000, has_before=True)
    for source, brought in now.items():
        found.add(source, brought, {} if source > 1 else now[WEB], is_new=source > 1)
    assert [each.source for each in found.ranked()] == list(range(199, 149, -1))


def test_every_cause_has_words() -> None:
    assert set(PLANTED) == set(CAUSES)
    for words in CAUSES.values():
        assert words.title
        assert words.remedy.endswith(".")
    assert {words.unit for words in CAUSES.values()} == {"tracked users", "missing links"}
