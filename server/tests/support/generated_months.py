"""Two months of traffic that a seed makes, with one cause planted in the second.

Messages become facts and are folded as they are everywhere; the ids are random hashes. Months vary
by themselves: how many come, by which version, how much each sends.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from headcount.counting.attributes import NUMBER_SHIFT, Attributes
from headcount.counting.batch import numbered_facts
from headcount.counting.calendar import MS_PER_DAY, Period, parse_period
from headcount.counting.contributions import COLUMNS, Contributions, DayOfContributions
from headcount.counting.facts import ABSENT, MESSAGE_TYPES, pack_fact
from headcount.counting.fold import fold
from headcount.counting.index import FirstSeenIndex
from headcount.counting.keys import Family
from headcount.counting.usage import Counts

OCTOBER, NOVEMBER = parse_period("2026-10-01"), parse_period("2026-11-01")
WEB, APP, SERVER, SHOP = 1, 2, 3, 4
SOURCES = {WEB: "Website", APP: "App", SERVER: "Backend", SHOP: "Shop"}
PLANTED = ("bots", "library_version", "identify_missing", "new_source")


class Indexes:
    """First-seen indexes in memory."""

    def __init__(self) -> None:
        self._indexes: dict[tuple[Period, Family], FirstSeenIndex] = {}

    def knows(self, period: Period, family: Family) -> bool:
        return (period, family) in self._indexes

    def sealed_workspaces(self, period: Period) -> Sequence[int]:
        return []

    def of(self, period: Period, family: Family) -> FirstSeenIndex:
        return self._indexes.setdefault((period, family), FirstSeenIndex(family))


def joined_days(days: Sequence[DayOfContributions], attributes: list[Attributes]) -> Contributions:
    """Contributions of one workspace and month as they came, whatever stands there twice."""
    lengths = [len(each.numbers) for each in days]
    return Contributions(
        attributes,
        np.repeat([each.source for each in days], lengths).astype(np.int64),
        np.repeat([each.day for each in days], lengths).astype(np.int64),
        np.concatenate([each.numbers for each in days]),
        np.concatenate([each.counts for each in days]).reshape(-1, COLUMNS),
    )


class GeneratedMonth(NamedTuple):
    """What a month of workspace 1 came to: the counts of its scopes, 0 being itself."""

    counts: dict[int, Counts]
    contributions: Contributions


class _Month:
    """Makes the messages of one month."""

    def __init__(self, rng: random.Random, period: Period, planted: str, fans: list[bytes]) -> None:
        self._rng, self._period, self._planted = rng, period, planted
        self._fans = fans
        self._numbers: dict[Attributes, int] = {}
        self._versions = ("4.1.0", "4.2.0")
        self._newer = rng.uniform(0.35, 0.65)
        self.facts: list[bytes] = []

    @property
    def told(self) -> dict[int, Attributes]:
        return {number: each for each, number in self._numbers.items()}

    def _id(self) -> bytes:
        return self._rng.randbytes(8)

    def _send(
        self, source: int, attributes: Attributes, user: bytes = ABSENT, anonymous: bytes = ABSENT
    ) -> None:
        number = self._numbers.setdefault(attributes, 10 + len(self._numbers))
        day = self._period.first_day + self._rng.randrange(self._period.length)
        moment = day * MS_PER_DAY + self._rng.randrange(MS_PER_DAY)
        tags = MESSAGE_TYPES.index(attributes.type) | number << NUMBER_SHIFT
        hashes = (self._id(), user, anonymous, ABSENT)
        self.facts.append(pack_fact(moment, 1, source, tags, 0, *hashes))

    def make(self) -> None:
        rng = self._rng
        size = rng.randrange(500, 900)
        for _ in range(size):
            newer = rng.random() < self._newer
            version = self._versions[newer]
            keeps = not (self._planted == "library_version" and newer)
            self._visit(WEB, "analytics.js", version, keeps_id=keeps)
        for _ in range(round(size * rng.uniform(0.25, 0.35))):
            self._visit(APP, "analytics-ios", "4.1.8")
        for user in rng.sample(self._fans, round(len(self._fans) * rng.uniform(0.8, 0.9))):
            for _ in range(rng.randrange(1, 6)):
                bought = Attributes("analytics-python", "2.3.2", "track", "Order Paid")
                self._send(SERVER, bought, user)
        if self._planted == "bots":
            for _ in range(round(size * rng.uniform(0.2, 0.5))):
                bot = Attributes("analytics.js", self._versions[0], "page", "", bot=True)
                self._send(WEB, bot, anonymous=self._id())
        if self._planted == "new_source":
            for _ in range(round(size * rng.uniform(0.2, 0.5))):
                self._visit(SHOP, "analytics.js", self._versions[0])

    def _visit(self, source: int, library: str, version: str, *, keeps_id: bool = True) -> None:
        rng, anonymous = self._rng, self._id()
        user = rng.choice(self._fans) if rng.random() < 0.5 else self._id()
        logs_in = rng.random() < 0.4
        is_lost = self._planted == "identify_missing" and source == WEB
        for number in range(min(30, 2 + int(rng.expovariate(1 / 6)))):
            if not keeps_id and rng.random() < 0.3:
                anonymous = self._id()
            known = user if logs_in and number > 1 and not is_lost else ABSENT
            kind, event = rng.choice([("page", ""), ("track", "Viewed"), ("track", "Clicked")])
            if number == 2 and known != ABSENT:
                kind, event = "identify", ""
            self._send(source, Attributes(library, version, kind, event), known, anonymous)


def generated(seed: int, planted: str) -> Iterator[GeneratedMonth]:
    """October, and November in which something is planted; nothing where that is empty."""
    rng = random.Random(seed)
    fans = [rng.randbytes(8) for _ in range(300)]
    for period, cause in ((OCTOBER, ""), (NOVEMBER, planted)):
        month = _Month(rng, period, cause, fans)
        month.make()
        facts, attributes = numbered_facts([b"".join(month.facts)], [month.told])
        folded = fold(facts, Indexes(), 35)
        days: list[DayOfContributions] = [each for _, each in folded.contributions]
        counts = {source: counts for (_, _, source), counts in folded.counts.items()}
        yield GeneratedMonth(counts, joined_days(days, attributes))
