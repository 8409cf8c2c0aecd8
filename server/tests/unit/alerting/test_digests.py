"""Digests: each day or week once for each channel that asked, with the page's charts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest

from headcount.alerting.alert_notices import notice_of
from headcount.alerting.digests import Digests
from headcount.alerting.tell_channels import pictures_of
from headcount.catalog import Catalog, Channel
from headcount.catalog.entities import fresh_id
from headcount.charts.javascript import can_draw
from headcount.counting.calendar import MS_PER_DAY, Period, parse_period
from headcount.counting.metrics import ADMITTED, API_CALLS, IDENTIFIED, KINDS
from headcount.counting.usage import DAYS_MAX
from headcount.store.protocol import Change
from support.memory_store import Held, MemoryStore

FIRST_DAY = parse_period("2026-03-01").first_day
HOUR_MS = 3_600_000


class Place:
    """A catalog with limits, a store with two months of usage, and a clock."""

    def __init__(self, folder: Path) -> None:
        self.catalog = Catalog(folder / "catalog.sqlite")
        self.catalog.add_workspace("Shop", 0)
        self.catalog.add_source(1, "web", 0)
        self.catalog.set_plan_limits(1, {"api_calls": 10_000}, from_day=0, now_ms=0)
        self.store = MemoryStore(Held())
        counts = np.zeros((DAYS_MAX, len(KINDS)), np.int64)
        counts[:, API_CALLS] = counts[:, ADMITTED] = 100
        counts[:, IDENTIFIED] = 7
        for period in (Period.of_day(FIRST_DAY - 1), Period.of_day(FIRST_DAY)):
            of_month = counts.copy()
            of_month[28:] = 0
            self.store.commit(Change(counts={(period, 1, 0): of_month, (period, 1, 1): of_month}))
        self.now_ms = (FIRST_DAY + 9) * MS_PER_DAY + 12 * HOUR_MS
        self.digests = Digests(self.catalog, self.store, lambda: self.now_ms)

    def channel(self, digest: str) -> Channel:
        return self.catalog.add_channel(
            1, channel_id=fresh_id(), name=digest, kind="email", shown="a@b.c", sealed=b"",
            digest=digest, now_ms=self.now_ms,  # type: ignore[arg-type]
        )  # fmt: skip

    def goes_on(self, days: float, *, counting: bool = True) -> None:
        for _ in range(round(days * 24)):
            self.now_ms += HOUR_MS
            if counting:
                self.store.commit(Change(counted_until_ms=self.now_ms))
            self.digests.look()

    def told(self) -> list[str]:
        return [each.event.rpartition("_")[2] for each in self.catalog.deliveries(1)][::-1]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    yield made
    made.catalog.close()


def test_each_day_is_told_once_whoever_starts_again(place: Place) -> None:
    place.channel("daily")
    place.goes_on(1)
    assert place.told() == ["2026-03-11"]  # not this morning's, which was before it was there
    place.digests = Digests(place.catalog, place.store, lambda: place.now_ms)
    place.goes_on(0.2)
    place.now_ms -= 2 * MS_PER_DAY
    place.goes_on(4)
    assert place.told() == ["2026-03-11", "2026-03-12", "2026-03-13"]


def test_it_waits_until_the_day_that_it_is_about_is_counted(place: Place) -> None:
    place.channel("daily")
    place.goes_on(0.25)
    place.goes_on(1, counting=False)
    assert place.told() == []  # the meter is behind: the day may have had more
    place.store.commit(Change(counted_until_ms=(FIRST_DAY + 10) * MS_PER_DAY))
    place.digests.look()
    assert place.told() == ["2026-03-11"]


def test_a_week_is_told_on_mondays(place: Place) -> None:
    place.channel("weekly")
    place.goes_on(15)
    assert place.told() == ["2026-03-16", "2026-03-23"]
    assert all(each.kind == "digest" for each in place.catalog.deliveries(1))


def test_it_says_the_day_the_month_the_plan_and_the_sources(place: Place) -> None:
    place.channel("daily")
    place.goes_on(1)
    [record] = place.catalog.deliveries(1)
    notice = notice_of(record.body)
    assert "the day of 2026-03-10" in notice.title
    assert "API calls: 1,000 this month so far, 100 on 2026-03-10." in notice.text
    assert "10 % of the plan's 10,000" in notice.text
    assert "web: 1,000 API calls this month" in notice.text
    charts = msgspec.json.decode(record.body)["data"]["charts"]
    assert [each["title"] for each in charts] == [
        "Monthly tracked users by day",
        "API calls by day",
    ]


@pytest.mark.skipif(not can_draw(), reason="needs the extra plot")
def test_its_charts_are_drawn(place: Place) -> None:
    place.channel("daily")
    place.goes_on(1)
    [record] = place.catalog.deliveries(1)
    pictures = pictures_of(record.body)
    assert len(pictures) == 2
    assert all(each.png.startswith(b"\x89PNG") for each in pictures)
