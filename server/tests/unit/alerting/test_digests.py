"""Digests: each day or week once for each channel that asked, with the page's charts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest

from headcount.alerting.digest_pictures import Drawings
from headcount.alerting.digests import Digests
from headcount.alerting.notice_page import notice_of
from headcount.charts.javascript import can_draw
from headcount.counting.calendar import MS_PER_DAY, Period
from headcount.counting.metrics import KINDS
from headcount.counting.usage import DAYS_MAX
from headcount.store.opening import open_store
from headcount.store.protocol import Change
from support.damaged_counts import make_negative
from support.digest_place import FIRST_DAY, DigestPlace

MARCH = Period.of_day(FIRST_DAY)
FEBRUARY = MARCH.shifted(-1)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[DigestPlace]:
    made = DigestPlace(tmp_path)
    yield made
    made.catalog.close()


def test_each_day_is_told_once_whoever_starts_again(place: DigestPlace) -> None:
    place.channel("daily")
    place.goes_on(1)
    assert place.told() == ["2026-03-11"]  # not this morning's, which was before it was there
    place.digests = Digests(place.catalog, place.store, lambda: place.now_ms)
    place.goes_on(0.2)
    place.now_ms -= 2 * MS_PER_DAY
    place.goes_on(4)
    assert place.told() == ["2026-03-11", "2026-03-12", "2026-03-13"]


def test_it_waits_until_the_day_that_it_is_about_is_counted(place: DigestPlace) -> None:
    place.channel("daily")
    place.goes_on(0.25)
    place.goes_on(1, counting=False)
    assert place.told() == []  # the meter is behind: the day may have had more
    place.store.commit(Change(counted_until_ms=(FIRST_DAY + 10) * MS_PER_DAY))
    place.digests.look()
    assert place.told() == ["2026-03-11"]


def test_a_week_is_told_on_mondays(place: DigestPlace) -> None:
    place.channel("weekly")
    place.goes_on(15)
    assert place.told() == ["2026-03-16", "2026-03-23"]
    assert all(each.kind == "digest" for each in place.catalog.deliveries(1))


def test_it_says_the_day_the_month_the_plan_and_the_sources(place: DigestPlace) -> None:
    place.channel("daily")
    place.goes_on(1)
    [record] = place.catalog.deliveries(1)
    notice = notice_of(record.body)
    assert "the day of 2026-03-10" in notice.title
    said = "API calls: 1,000 this month so far, 10% of the plan's 10,000; 100 on 2026-03-10."
    assert said in notice.text
    assert "web: 1,000 API calls this month" in notice.text
    charts = msgspec.json.decode(record.body)["data"]["charts"]
    assert [each["title"] for each in charts] == [
        "Monthly tracked users by day",
        "API calls by day",
    ]


@pytest.mark.parametrize("with_checksum", [True, False])
def test_a_damaged_month_stops_no_digest_but_its_own(tmp_path: Path, with_checksum: bool) -> None:
    store = open_store(tmp_path / "store.sqlite")
    place = DigestPlace(tmp_path, store)
    try:
        place.channel("weekly")
        other = place.catalog.add_workspace("Other", 0)
        ones = np.ones((DAYS_MAX, len(KINDS)), np.int64)
        counts = {(MARCH, other.number, 0): ones, (FEBRUARY.shifted(-1), 1, 0): ones}
        store.commit(Change(counts=counts, counted_until_ms=place.now_ms))
        place.channel("daily", "other", workspace=other.number)
        make_negative(tmp_path / "store.sqlite", FEBRUARY, day=27, with_checksum=with_checksum)
        place.goes_on(6)
        [record] = place.catalog.deliveries(1)
        # One before it is said to be that, and not learned from.
        assert "Counts are damaged" in notice_of(record.body).text
        make_negative(tmp_path / "store.sqlite", MARCH, day=12, with_checksum=with_checksum)
        if with_checksum:
            place.goes_on(7)
            assert "Counts are damaged" in notice_of(place.catalog.deliveries(1)[0].body).text
            return
        said = []
        for _ in range(7 * 24):
            place.goes_on(1 / 24)
            said.append(set(place.digests.damaged))
        # It is tried again, and said, for as long as it lasts; the other workspace's go on.
        assert said.count({1}) == 7
        assert said.count(set()) == 7 * 23
        assert len(place.catalog.deliveries(1)) == 1
        assert len(place.catalog.deliveries(other.number)) == 13
    finally:
        place.catalog.close()
        store.close()


@pytest.mark.skipif(not can_draw(), reason="needs the extra plot")
def test_its_charts_are_drawn(place: DigestPlace) -> None:
    place.channel("daily")
    place.goes_on(1)
    [record] = place.catalog.deliveries(1)
    pictures, missing = Drawings().of(record.body)
    assert missing == ""
    assert len(pictures) == 2
    assert all(each.png.startswith(b"\x89PNG") for each in pictures)
