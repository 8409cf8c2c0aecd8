"""The metrics: what is counted, how it follows from the sets, what may be said of it. One table.

Whatever stores, shows, checks or describes counts loops over `METRICS`; only `fold` names the
columns that it fills. A store keeps one row of counts for each scope and month: new on each day,
one column for each metric that does not follow from others. Snapshots are running totals of these.

A new metric is an entry here, and what fills its column. Columns are a stored format: a new one
takes the next number and none is ever given twice; rows that were written before it lack it at
their end.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:  # the command line reads this table before it knows whether it needs NumPy
    import numpy as np
    import numpy.typing as npt

    from headcount.counting.keys import Family

    Counts = npt.NDArray[np.int64]

__all__ = [
    "ADMITTED",
    "ANONYMOUS",
    "ANONYMOUS_IDENTIFIED",
    "API_CALLS",
    "BY_NAME",
    "HEADLINES",
    "IDENTIFIED",
    "KINDS",
    "METRICS",
    "REPORTED",
    "STORED",
    "KeyDay",
    "KeyDays",
    "Metric",
    "Named",
    "wire_name",
]

API_CALLS, IDENTIFIED, ANONYMOUS, ANONYMOUS_IDENTIFIED, ADMITTED = range(5)
"""Columns of a count array, for who fills them."""


KeyDay = Literal["days", "identified_days"]
"""A member of a block of keys that holds days."""


class KeyDays(NamedTuple):
    """Which keys a column is the number of, by day, over all scopes.

    Attributes:
        family: of the keys.
        days: the member of a block of keys that holds the day on which each counts.
    """

    family: Family
    days: KeyDay = "days"


def wire_name(name: str) -> str:
    """A name as JSON has it: `api_calls` as `apiCalls`."""
    first, *others = name.split("_")
    return first + "".join(map(str.capitalize, others))


@dataclass(frozen=True, kw_only=True, eq=False)
class Named:
    """What a number is called.

    Attributes:
        name: for programs.
        label: for people, in a table or on an axis.
    """

    name: str
    label: str

    @property
    def wire(self) -> str:
        """Its name in JSON."""
        return wire_name(self.name)

    @property
    def option(self) -> str:
        """Its name on a command line and in an address."""
        return self.name.replace("_", "-")


@dataclass(frozen=True, kw_only=True, eq=False)
class Metric(Named):
    """One metric.

    Attributes:
        title: for people, as a heading; the label when it is empty.
        hint: what it is, in a few words beside its title.
        words: what it is, for whoever reads the API's description; of one that follows from
            others, how.
        column: its place in a row of counts; None for one that follows from others.
        plus, minus: the metrics that it is the sum and difference of.
        adds_up: whether a workspace's count is the sum of its sources'. Otherwise what is counted
            may be in several sources at once, and must not be stacked in a chart.
        may_fall: whether a day's running total may be less than that of the day before.
        headline: its place among the metrics that have a figure, a chart, an estimate and a limit
            of the plan; 0 for the others.
        report: name of the headline with which it is read and shown; empty for none.
        in_rows: whether the usage API's rows hold it: they hold what Segment documents.
        keys: the keys that its column counts; None where no keys do.
        decay: the power of how far into the month it is with which new ones usually become fewer,
            for a column whose days fill a set up; None where they do not. A forecast starts from
            it.
        terms: column to the sign with which it counts, out of the above.
    """

    title: str = ""
    hint: str = ""
    words: str = ""
    column: int | None = None
    plus: tuple[Metric, ...] = ()
    minus: tuple[Metric, ...] = ()
    adds_up: bool = False
    may_fall: bool = False
    headline: int = 0
    report: str = ""
    in_rows: bool = False
    keys: KeyDays | None = None
    decay: float | None = None
    terms: tuple[tuple[int, int], ...] = field(init=False)

    def __post_init__(self) -> None:
        terms: defaultdict[int, int] = defaultdict(int)
        if self.column is not None:
            terms[self.column] = 1
        for sign, parts in ((1, self.plus), (-1, self.minus)):
            for column, of_part in (term for part in parts for term in part.terms):
                terms[column] += sign * of_part
        derived = {
            "terms": tuple(terms.items()),
            "title": self.title or self.label[:1].upper() + self.label[1:],
            "words": self.words or self._formula() + ".",
        }
        for name, value in derived.items():
            object.__setattr__(self, name, value)

    def _formula(self) -> str:
        plus = " + ".join(f"`{part.wire}`" for part in self.plus)
        return " - ".join([plus, *(f"`{part.wire}`" for part in self.minus)])

    def of(self, counts: Counts) -> Counts:
        """Its counts, out of an array whose last axis is the columns."""
        (column, sign), *others = self.terms
        total: Counts = counts[..., column] if sign == 1 else -counts[..., column]
        for column, sign in others:
            total = total + counts[..., column] if sign == 1 else total - counts[..., column]
        return total


_API_CALLS = Metric(
    name="api_calls",
    label="API calls",
    words="Messages that were admitted, each once.",
    column=API_CALLS,
    adds_up=True,
    headline=2,
    report="api_calls",
    in_rows=True,
    keys=KeyDays("message"),
)
_IDENTIFIED = Metric(
    name="identified",
    label="identified",
    hint="with a user id",
    words="Distinct userIds.",
    column=IDENTIFIED,
    report="mtu",
    in_rows=True,
    keys=KeyDays("tracked"),
    decay=1.1,
)
_ANONYMOUS = Metric(
    name="anonymous",
    label="anonymous",
    title="Anonymous ids",
    hint="seen in all",
    words="Distinct anonymousIds.",
    column=ANONYMOUS,
    report="mtu",
    in_rows=True,
    keys=KeyDays("tracked"),
    decay=0.2,
)
_ANONYMOUS_IDENTIFIED = Metric(
    name="anonymous_identified",
    label="anonymous identified",
    hint="of them, later known",
    words="Distinct anonymousIds that were seen together with a userId.",
    column=ANONYMOUS_IDENTIFIED,
    report="mtu",
    in_rows=True,
    keys=KeyDays("tracked", "identified_days"),
    decay=0.2,
)
_NEVER_IDENTIFIED = Metric(
    name="never_identified",
    label="never identified",
    hint="only ever anonymous",
    plus=(_ANONYMOUS,),
    minus=(_ANONYMOUS_IDENTIFIED,),
    may_fall=True,
    report="mtu",
    in_rows=True,
)
_MTU = Metric(
    name="mtu",
    label="MTU",
    title="Monthly tracked users",
    plus=(_IDENTIFIED, _NEVER_IDENTIFIED),
    may_fall=True,
    headline=1,
    report="mtu",
)
_ADMITTED = Metric(
    name="admitted",
    label="messages",
    words="Messages that were admitted, repeated ones too.",
    column=ADMITTED,
    adds_up=True,
)
_DUPLICATE = Metric(
    name="duplicate",
    label="duplicates",
    words="Deliveries of a message already known.",
    plus=(_ADMITTED,),
    minus=(_API_CALLS,),
    adds_up=True,
)

METRICS: Sequence[Metric] = (
    _API_CALLS,
    _MTU,
    _IDENTIFIED,
    _NEVER_IDENTIFIED,
    _ANONYMOUS,
    _ANONYMOUS_IDENTIFIED,
    _ADMITTED,
    _DUPLICATE,
)
"""All metrics, in the order in which tables show them."""

BY_NAME = {metric.name: metric for metric in METRICS}

STORED = tuple(sorted((m for m in METRICS if m.column is not None), key=lambda m: m.column or 0))
"""Those with a column of their own, by column."""

KINDS = tuple(metric.name for metric in STORED)
"""What the columns of a count array are called."""

HEADLINES = tuple(sorted((m for m in METRICS if m.headline), key=lambda m: m.headline))
"""Those that have a figure, a chart, an estimate and a limit, the first one first."""

REPORTED = tuple(metric for metric in METRICS if metric.report)
"""Those that reports of usage hold."""

assert [metric.column for metric in STORED] == list(range(len(STORED))), "no column is left out"
assert len(BY_NAME) == len(METRICS), "no name stands for two metrics"
