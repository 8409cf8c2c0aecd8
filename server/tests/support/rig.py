"""Real parts, put together by hand: journals, a meter and a store in one folder.

Takes plain facts, writes them as intake would, meters them, and compares what the store answers
with the oracle, for every scope and day.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from zlib import crc32

import numpy as np

from headcount.counting.alerts import AlertSetup
from headcount.counting.attributes import (
    NUMBER_SHIFT,
    Attributes,
    NumberedAttributes,
    attribute_tallies,
)
from headcount.counting.batch import facts_from_bytes
from headcount.counting.calendar import Period
from headcount.counting.contributions import COLUMNS, OF_SOURCE, OF_WORKSPACE
from headcount.counting.facts import ABSENT, FACT_BYTES, IMPORTED, Rejection, fact_head
from headcount.counting.hashing import IdHasher, KeyPlan, KeyRing
from headcount.counting.metrics import KINDS
from headcount.counting.usage import DAYS_MAX, UsageReading
from headcount.journal import JournalDirectory, JournalFile
from headcount.meter import Meter, MeterLimits
from headcount.store.opening import open_store
from headcount.store.protocol import AttributedUsage, MeterStore
from support.oracle import Oracle, PlainFact
from support.stores import OpenStore

HASHER = IdHasher(bytes(range(32)))


TOLD = [
    NumberedAttributes.of(7 * number, Attributes("a library", str(number), "track", "Bought"))
    for number in range(1, 5)
]
"""The attributes that messages here have: any of these."""


def number_of(fact: PlainFact) -> int:
    """The number of a fact's attributes, which follow from what it is."""
    return TOLD[crc32(repr(fact).encode()) % len(TOLD)].number


def pack(fact: PlainFact, ring: KeyRing | IdHasher = HASHER) -> bytes:
    """A fact as intake writes it."""
    hasher = ring.at(fact.received_at_ms)
    flags = (IMPORTED if fact.imported else 0) | hasher.flags
    tags = number_of(fact) << NUMBER_SHIFT
    head = fact_head(fact.received_at_ms, fact.workspace, fact.source, tags, flags)
    tracked = (fact.user, fact.anonymous, fact.previous)
    return b"".join(
        [
            head,
            hasher.message(fact.message),
            *(ABSENT if i is None else hasher.tracked(i) for i in tracked),
            b"" if hasher.also is None else hasher.also(fact.message),
        ]
    )


class Rig:
    """One data folder with a meter that can be stopped and started."""

    def __init__(
        self, folder: Path, clock_ms: Callable[[], int], *, window_days: int = 35,
        limits: MeterLimits | None = None, vfs: str | None = None,
        sources: Callable[[], Mapping[int, int]] | None = None, store: OpenStore | None = None,
        key_plan: Callable[[], KeyPlan] = KeyPlan,
        alerts: Callable[[], AlertSetup] | None = None,
    ) -> None:  # fmt: skip
        self.folder = folder
        self.clock_ms = clock_ms
        self.window_days = window_days
        self.limits = limits
        self.vfs = vfs
        self.sources = sources
        self.key_plan = key_plan
        self.alerts = alerts
        self._open_store = store or (lambda: open_store(folder / "store.sqlite", vfs=vfs))
        self.writers = JournalDirectory(folder / "journals", vfs=vfs)
        self._claimed: list[JournalFile] = []
        self.start()

    def start(self) -> None:
        """Open the store and start a meter, as a new process would."""
        self.store = self._open_store()
        self.meter = Meter(
            self.store,
            JournalDirectory(self.folder / "journals", vfs=self.vfs),
            self.clock_ms,
            self.window_days,
            self.limits,
            self.sources,
            key_plan=self.key_plan,
            alerts=self.alerts,
        )

    def stop(self) -> None:
        """Close meter and store, forgetting all that is only in memory."""
        self.meter.close()
        self.store.close()

    def journal(self) -> JournalFile:
        """A journal to write to; closed with the rig."""
        journal = self.writers.claim()
        self._claimed.append(journal)
        return journal

    def append(
        self, journal: JournalFile, facts: Sequence[PlainFact], rejections: Sequence[Rejection] = ()
    ) -> None:
        """One entry of live facts."""
        tallies = [*rejections, *attribute_tallies(TOLD)]
        journal.append(b"".join(map(pack, facts)), tallies, self.clock_ms())

    def drain(self) -> None:
        """Meter until nothing is left."""
        while not self.meter.step().drained:
            pass

    def close(self) -> None:
        self.stop()
        for journal in self._claimed:
            journal.close()
        self.writers.close()


class Recorder:
    """Learns in which order a meter took facts, for the rule that depends on it."""

    def __init__(self) -> None:
        self._plain: dict[bytes, PlainFact] = {}

    def learn(self, facts: Sequence[PlainFact], ring: KeyRing | IdHasher = HASHER) -> None:
        """Remember what was packed."""
        self._plain.update((pack(fact, ring)[:FACT_BYTES], fact) for fact in facts)

    def in_metering_order(self, blocks: Sequence[bytes]) -> list[PlainFact]:
        """The plain facts of one batch, as the fold saw them."""
        return [self._plain[fact.tobytes()[:FACT_BYTES]] for fact in facts_from_bytes(blocks)]


def totals(reading: UsageReading, source: int | None, day: int) -> dict[str, int]:
    """Cumulative counts of a scope at a day, from a reading; None is the workspace."""
    offset = day - reading.period.first_day
    if source is None:
        row = reading.workspace_totals()[offset]
    else:
        at = np.flatnonzero(reading.source_numbers == source)
        if not len(at):
            return dict.fromkeys(KINDS, 0)
        row = reading.source_totals()[at[0], offset]
    return dict(zip(KINDS, row.tolist(), strict=True))


def assert_added_up(usage: AttributedUsage) -> None:
    """The contributions of every scope, on every day, add up to its counts."""
    for month, reading in enumerate(usage.readings):
        whole = np.zeros((DAYS_MAX, COLUMNS), np.int64)
        for source, counts in zip(reading.source_numbers.tolist(), reading.sources, strict=True):
            found = usage.of_source(source)[month]
            summed = np.zeros((DAYS_MAX, COLUMNS), np.int64)
            np.add.at(summed, found.days, found.counts)
            for kind, column in OF_SOURCE.items():
                assert (summed[:, column] == counts[:, kind]).all(), (source, KINDS[kind])
            whole += summed
        for kind, column in OF_WORKSPACE.items():
            assert (whole[:, column] == reading.workspace[:, kind]).all(), KINDS[kind]


def assert_equal_to_oracle(
    store: MeterStore,
    oracle: Oracle,
    periods: Sequence[Period] | None = None,
    *,
    attributed: bool = True,
) -> None:
    """Every count of every scope on every day is the oracle's, and the invariants hold.

    What was counted by former versions, or anew by a repair, is not attributed to any message.
    """
    for period in periods or sorted(oracle.periods()):
        for workspace in sorted(set(oracle.workspace_of.values())):
            reading = store.read_usage(workspace, period)
            sources = [s for s, of in oracle.workspace_of.items() if of == workspace]
            for day in range(period.first_day, period.last_day + 1):
                whole = totals(reading, None, day)
                assert whole == oracle.counts(period, "workspace", workspace, day), (
                    f"workspace {workspace}, day {day} of {period}"
                )
                parts = []
                for source in sources:
                    part = totals(reading, source, day)
                    assert part == oracle.counts(period, "source", source, day), (
                        f"source {source}, day {day} of {period}"
                    )
                    parts.append(part)
                assert whole["api_calls"] == sum(part["api_calls"] for part in parts)
                for kind in ("identified", "anonymous", "anonymous_identified"):
                    values = [part[kind] for part in parts]
                    assert 0 <= max(values) <= whole[kind] <= sum(values)
            if attributed:
                with store.attribution.attributed(workspace, [period]) as usage:
                    assert_added_up(usage)
            # New counts are never negative, so running totals never fall.
            assert (reading.workspace >= 0).all()
            assert (reading.sources >= 0).all()
