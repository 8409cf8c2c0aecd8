"""Two months beside each other: takes what is attributed in them, source by source, gives what made
a count move, what likely caused it, and what cannot be told.

One source is held in memory at a time, and what is kept of it is bounded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from headcount.counting.contributions import Contributions
from headcount.counting.explaining import (
    ExplainedBySource,
    ExplainedCount,
    brought_by,
    messages_told,
)
from headcount.counting.likely_causes import LikelyCauses
from headcount.counting.metrics import BY_NAME, Metric
from headcount.counting.usage import Counts, UsageReading
from headcount.store.protocol import AttributedUsage
from headcount.wording import count_text

__all__ = ["ExplainedMonths", "Wanted"]

_MTU, _MESSAGES = BY_NAME["mtu"], BY_NAME["api_calls"]
# Of so many of a source's messages it has to be known where they come from, in both months, for
# causes to be looked for in it: what was not told apart before is nothing new.
_TOLD_MIN = 0.95


class Wanted(NamedTuple):
    """What is to be explained, and how; see `ExplainedBySource`."""

    metric: Metric
    parts: frozenset[str]
    rank: str
    limit: int


class ExplainedMonths:
    """Why a count moved.

    Args:
        usage: of the two months, the one that is explained first.
        days: how many of each are compared.
        wanted: what is to be explained.
        names: of the workspace's sources, by their numbers.
        source: number of the one whose own count is explained; None for the workspace's.

    Attributes:
        readings: of the two months.
        days: as above.
        causes: what likely made tracked users more.
    """

    def __init__(
        self,
        usage: AttributedUsage,
        days: int,
        wanted: Wanted,
        names: Mapping[int, str],
        source: int | None,
    ) -> None:
        self.readings, self.days, self._metric = usage.readings, days, wanted.metric
        self._own = source is not None
        counts = [_counts_by_source(each, days) for each in usage.readings]
        if source is None:
            scopes: list[Counts | None] = [each.workspace[:days] for each in usage.readings]
        else:
            scopes = [each.get(source) for each in counts]
        now, before = (_total(each, wanted.metric) for each in scopes)
        self._explanation = ExplainedBySource(
            wanted.metric, now, before, parts=wanted.parts, rank=wanted.rank, limit=wanted.limit
        )
        self.causes = LikelyCauses(
            names, _total(scopes[0], _MTU), has_before=_total(scopes[1], _MESSAGES) > 0
        )
        self._looked_at = self._passed_over = 0
        messages = {
            number: [_total(each.get(number), _MESSAGES) for each in counts]
            for number in ({*counts[0], *counts[1]} if source is None else {source})
        }
        # Those with most usage first: if not all can be told apart, these are.
        for number in sorted(messages, key=lambda number: (-sum(messages[number]), number)):
            self._add(number, messages[number], usage.of_source(number))

    def _add(self, source: int, messages: list[int], months: Sequence[Contributions]) -> None:
        now, before = (brought_by(each, self.days, own=self._own) for each in months)
        self._explanation.add(source, now, before)
        if not any(messages):
            return
        told = [messages_told(each) for each in (now, before)]
        if all(known >= _TOLD_MIN * of for known, of in zip(told, messages, strict=True)):
            self._looked_at += 1
            self.causes.add(source, now, before, is_new=not messages[1])
        else:
            self._passed_over += 1

    def result(self) -> ExplainedCount:
        """What made the count move; to be asked for once."""
        return self._explanation.result()

    def notes(self, told: ExplainedCount) -> Iterator[str]:
        """Sentences about what cannot be told, and why."""
        now, before = self.readings
        if now.first_period is None or before.period < now.first_period:
            yield (
                f"{str(before.period)[:7]} lies before the first usage: there is nothing to hold"
                f" {str(now.period)[:7]} against, so all of it is new."
            )
        parts = [
            f"{count_text(untold)} of {str(reading.period)[:7]}"
            for untold, reading in zip(told.untold, self.readings, strict=True)
            if untold
        ]
        if parts:
            yield (
                f"{self._metric.label}: {' and '.join(parts)} are attributed to no message. They"
                " were counted by a version that did not keep where ids come from, in a cluster, or"
                " anew by a repair, and stand in a row of their own. Months that began later can be"
                " explained whole."
            )
        if self._passed_over:
            of = self._looked_at + self._passed_over
            yield (
                f"Causes were looked for in {self._looked_at:,} of {of:,} sources. Of the others it"
                " is not known where most messages of one of the months came from."
            )


def _counts_by_source(reading: UsageReading, days: int) -> dict[int, Counts]:
    """The counts of each source in the first days."""
    numbers = reading.source_numbers.tolist()
    return {number: counts[:days] for number, counts in zip(numbers, reading.sources, strict=True)}


def _total(counts: Counts | None, metric: Metric) -> int:
    return 0 if counts is None else int(metric.of(counts).sum())
