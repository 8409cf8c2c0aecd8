"""Planted causes come first, in generated months; months without one have none."""

from __future__ import annotations

from itertools import combinations

import numpy as np
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


PAGE = Attributes("analytics.js", "4.1.0", "page", "")
NEXT = PAGE._replace(version="4.2.0")


def visited(
    month: dict[Attributes, Brought], of: Attributes, day: int, messages: int, anonymous: int
) -> None:
    """Some messages of one day, and the anonymous ids that they were the first to bring."""
    daily = np.zeros((DAYS, 2), np.int64)
    daily[day] = messages, anonymous
    brought = Brought(messages=messages, anonymous=anonymous, daily=daily)
    month.setdefault(of, Brought()).add(brought)


def returning(rollout: int, factor: int = 1) -> BroughtBy:
    """Visitors who come all month: nearly all are seen for the first time in its first days. From
    a day on they have the next version, which makes so many ids of one."""
    month: dict[Attributes, Brought] = {}
    for day in range(DAYS):
        version, ids = (NEXT, factor) if day >= rollout else (PAGE, 1)
        visited(month, version, day, 300, round(200 * 0.8**day) * ids + 20 * (ids - 1))
    return month


@pytest.mark.parametrize("rollout", [0, 3, 10, 20])
def test_a_version_that_others_follow_within_the_month_is_no_cause(rollout: int) -> None:
    """The version of the first days brings nearly all ids, and would seem to make them."""
    assert causes_of({WEB: returning(rollout)}, {WEB: returning(DAYS)}) == []


@pytest.mark.parametrize("rollout", [0, 3, 10])
def test_a_version_that_replaces_all_others_is_named(rollout: int) -> None:
    now, before = returning(rollout, factor=8), returning(DAYS)
    found = causes_of({WEB: now}, {WEB: before})
    assert [(each.name, each.version) for each in found] == [("library_version", "4.2.0")]
    more = sum(each.users for each in now.values()) - sum(each.users for each in before.values())
    assert found[0].effect == pytest.approx(more, rel=0.05)


def test_known_users_who_come_as_anonymous_ids_lack_an_identify() -> None:
    bought = Attributes("analytics-ios", "4.1.8", "track", "Bought")
    before = {bought: Brought(messages=2000, identified=400, anonymous=100, linked=90)}
    now = {bought: Brought(messages=2100, identified=100, anonymous=430, linked=90)}
    [cause] = causes_of({WEB: now}, {WEB: before})
    assert (cause.name, cause.effect) == ("identify_missing", 320)
    # Where nobody comes instead, there are fewer users, and nothing was lost.
    assert causes_of({WEB: {bought: Brought(2100, 100, 105, 90)}}, {WEB: before}) == []


def test_ids_of_their_own_are_found_among_visitors_who_come_again() -> None:
    shown = PAGE._replace(type="track", event="Banner Shown")
    visitors = Brought(messages=7000, anonymous=1000)
    now: dict[Attributes, Brought] = {PAGE: visitors, shown: Brought(messages=300, anonymous=290)}
    [cause] = causes_of({WEB: now}, {WEB: {PAGE: visitors}})
    assert (cause.name, cause.effect) == ("single_message_ids", 290)
    # Not where it is but the first to bring what others brought before,
    now[PAGE] = Brought(messages=7000, anonymous=710)
    assert causes_of({WEB: now}, {WEB: {PAGE: visitors}}) == []
    # nor where those who are more send other messages, too.
    now[PAGE] = Brought(messages=9030, anonymous=1000)
    assert causes_of({WEB: now}, {WEB: {PAGE: visitors}}) == []


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
    assert {words.unit for words in CAUSES.values()} == {
        "tracked users",
        "missing links to known users",
    }
