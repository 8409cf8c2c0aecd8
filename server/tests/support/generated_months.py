"""Two months of traffic that a seed makes, with causes planted in the second.

Messages become facts and are folded as they are everywhere; the ids are random hashes. Months vary
by themselves: how many come, by which version, how much each sends.
"""

from __future__ import annotations

import random
from collections import Counter
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
WEB, APP, SERVER, SHOP, STAGING = 1, 2, 3, 4, 5
SOURCES = {WEB: "Website", APP: "App", SERVER: "Backend", SHOP: "Shop", STAGING: "Shop (staging)"}
PLANTED = {
    "bots": WEB,
    "library_version": WEB,
    "identify_missing": WEB,
    "new_source": SHOP,
    "single_message_ids": SERVER,
    "reset_or_cookie": APP,
    "internal_traffic": STAGING,
}
"""The causes that can be planted, and in which source each is."""


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
    """Contributions of one source and month as they came, whatever stands there twice."""
    lengths = [len(each.numbers) for each in days]
    return Contributions(
        attributes,
        np.repeat([each.day for each in days], lengths).astype(np.int64),
        np.concatenate([each.numbers for each in days]),
        np.concatenate([each.counts for each in days]).reshape(-1, COLUMNS),
    )


class GeneratedMonth(NamedTuple):
    """What a month of workspace 1 came to: the counts of its scopes, 0 being itself.

    Attributes:
        counts: by the number of the source.
        contributions: to which messages they are attributed, by the number of the source.
        effects: how many tracked users each planted cause made; links fewer, where identify is
            missing.
    """

    counts: dict[int, Counts]
    contributions: dict[int, Contributions]
    effects: Counter[str]


class _Month:
    """Makes the messages of one month."""

    def __init__(
        self, rng: random.Random, period: Period, planted: frozenset[str], fans: list[bytes]
    ) -> None:
        self._rng, self._period, self._planted = rng, period, planted
        self._fans = fans
        self._numbers: dict[Attributes, int] = {}
        self._versions = ("4.1.0", "4.2.0")
        self._newer = rng.uniform(0.35, 0.65)
        self.facts: list[bytes] = []
        self.effects: Counter[str] = Counter()

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
            wrong = "library_version" if newer else ""
            self._visit(WEB, "analytics.js", self._versions[newer], wrong)
        for _ in range(round(size * rng.uniform(0.25, 0.35))):
            self._visit(APP, "analytics-ios", "4.1.8", "reset_or_cookie")
        bought = Attributes("analytics-python", "2.3.2", "track", "Order Paid")
        for user in rng.sample(self._fans, round(len(self._fans) * rng.uniform(0.8, 0.9))):
            for _ in range(rng.randrange(1, 6)):
                if "single_message_ids" in self._planted:
                    self.effects["single_message_ids"] += 1
                    self._send(SERVER, bought, anonymous=self._id())
                else:
                    self._send(SERVER, bought, user)
        for _ in range(5):
            self._visit(STAGING, "analytics.js", self._versions[1])
        more = {each: round(size * rng.uniform(0.2, 0.5)) for each in PLANTED}
        if "bots" in self._planted:
            bot = Attributes("analytics.js", self._versions[0], "page", "", bot=True)
            for _ in range(more["bots"]):
                self.effects["bots"] += 1
                self._send(WEB, bot, anonymous=self._id())
        if "new_source" in self._planted:
            for _ in range(more["new_source"]):
                self.effects["new_source"] += 1
                self._visit(SHOP, "analytics.js", self._versions[0])
        if "internal_traffic" in self._planted:
            # A load test of the staging shop by a tool that keeps no cookies between its visits.
            for _ in range(more["internal_traffic"]):
                self.effects["internal_traffic"] += 1
                self._visit(STAGING, "k6", "1.0.0")

    def _visit(self, source: int, library: str, version: str, loses_id: str = "") -> None:
        """What one visitor sends; the visitor's id is lost by a cause, where that is planted."""
        rng, anonymous = self._rng, self._id()
        user = rng.choice(self._fans) if rng.random() < 0.5 else self._id()
        logs_in = rng.random() < 0.4
        needless: set[bytes] = set()
        for number in range(min(30, 2 + int(rng.expovariate(1 / 6)))):
            if loses_id in self._planted and rng.random() < 0.3:
                anonymous = self._id()
                needless.add(anonymous)
            known = user if logs_in and number > 1 else ABSENT
            kind, event = rng.choice([("page", ""), ("track", "Viewed"), ("track", "Clicked")])
            if number == 2 and known != ABSENT:
                kind, event = "identify", ""
            if source == WEB and "identify_missing" in self._planted:
                self.effects["identify_missing"] += kind == "identify"
                known = ABSENT
            if known != ABSENT:
                needless.discard(anonymous)
            self._send(source, Attributes(library, version, kind, event), known, anonymous)
        self.effects[loses_id] += len(needless)


def generated(seed: int, *planted: str) -> Iterator[GeneratedMonth]:
    """October, and November in which causes of `PLANTED` are planted."""
    rng = random.Random(seed)
    fans = [rng.randbytes(8) for _ in range(300)]
    for period, causes in ((OCTOBER, frozenset[str]()), (NOVEMBER, frozenset(planted))):
        month = _Month(rng, period, causes, fans)
        month.make()
        facts, attributes = numbered_facts([b"".join(month.facts)], [month.told])
        folded = fold(facts, Indexes(), 35)
        days: list[DayOfContributions] = [each for _, each in folded.contributions]
        counts = {source: counts for (_, _, source), counts in folded.counts.items()}
        contributions = {
            source: joined_days([each for each in days if each.source == source], attributes)
            for source in {each.source for each in days}
        }
        yield GeneratedMonth(counts, contributions, month.effects)
