"""What the turns come to: takes what was measured, gives medians, spreads, ratios, who is ahead."""

from __future__ import annotations

import statistics
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from bench.contest.contenders import HEADCOUNT
from bench.contest.imports import HEADCOUNT_IMPORT, Imported
from bench.contest.plan import SIZES
from bench.contest.rounds import Standing

__all__ = ["Spread", "counts_of", "imports_ahead", "loads", "ratios", "standings_ahead"]


@dataclass(frozen=True, slots=True)
class Spread:
    """A median with the least and the greatest of what it is of."""

    median: float
    least: float
    greatest: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        """The spread of some values.

        Raises:
            statistics.StatisticsError: there are none.
        """
        each = sorted(values)
        return cls(statistics.median(each), each[0], each[-1])

    def told(self, form: str) -> str:
        """The median and the spread, each in this form; the spread only where there is one."""
        if self.least == self.greatest:
            return format(self.median, form)
        return f"{self.median:{form}} ({self.least:{form}} to {self.greatest:{form}})"


def counts_of(wrong: Sequence[str] | str, failed: str) -> str:
    """What is said of a contender's counts."""
    if wrong:
        first = wrong if isinstance(wrong, str) else wrong[0]
        return f"**WRONG**: {first}"
    return f"**failed**: {failed}" if failed else "exact"


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Ours as a multiple of theirs: the median over turns of one round, since machines drift."""
    return statistics.median(a / b for a, b in zip(ours, theirs, strict=False))


def loads(standings: Mapping[str, Standing], imported: Mapping[str, Imported]) -> Spread:
    """What others took of the cores, over all turns."""
    of_rounds = [
        turn.load for each in standings.values() for turns in each.turns.values() for turn in turns
    ]
    of_imports = [turn.load for each in imported.values() for turn in [*each.turns, *each.further]]
    return Spread.of([*of_rounds, *of_imports] or [0.0])


def standings_ahead(standings: Mapping[str, Standing]) -> Iterator[str]:
    """A sentence for each figure in which a contender whose counts are right beats Headcount."""
    ours = standings[HEADCOUNT]
    if ours.wrong or ours.failed:
        yield "Headcount itself counted wrong or failed: nothing here speaks for it."
        return
    for name, theirs in standings.items():
        if name == HEADCOUNT or theirs.wrong or theirs.failed:
            continue
        for size, shape in SIZES.items():
            a, b = ours.turns[size], theirs.turns[size]
            if (times := ratios([t.counted for t in b], [t.counted for t in a])) > 1:
                yield f"{name} counts {times:.2f} times as many messages a second in {shape}."
            if (times := ratios([t.cpu_us for t in b], [t.cpu_us for t in a])) < 1:
                yield f"{name} takes {times:.2f} of the processor time a message in {shape}."
            if (times := ratios(*([t.latency_s[1] for t in each] for each in (b, a)))) < 1:
                yield f"{name} answers 99 % of requests within {times:.2f} of the time in {shape}."
        reading, own = (statistics.median(each.reading_s) for each in (theirs, ours))
        if reading < own:
            yield f"{name} reads a month in {reading / own:.2f} of the time."


def imports_ahead(imported: Mapping[str, Imported], keeping: Container[str]) -> Iterator[str]:
    """The same of programs that import, as far as they keep what they have counted."""
    ours = imported.get(HEADCOUNT_IMPORT, Imported())
    for name, theirs in imported.items():
        if name == HEADCOUNT_IMPORT or name not in keeping or theirs.wrong or not theirs.turns:
            continue
        for a, b, what in (
            (theirs.turns, ours.turns, ""),
            (theirs.further, ours.further, " of a further archive on top of the first"),
        ):
            if not a or not b:
                continue
            if (times := ratios([t.rate for t in a], [t.rate for t in b])) > 1:
                yield f"{name} imports {times:.2f} times as many records a second{what}."
            if (times := ratios([t.cpu_us for t in a], [t.cpu_us for t in b])) < 1:
                yield f"{name} takes {times:.2f} of the processor time a record{what}."
