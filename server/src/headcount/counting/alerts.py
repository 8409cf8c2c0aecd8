"""Alerts: which rules a change of counts, or the passage of time, makes people hear of.

Takes rules and numbers, gives what was crossed; no clock, no store. What makes it once and never
again is the mark: a rule, a month and what was crossed in it name one, and whoever keeps counts
keeps marks beside them. A count that may fall is judged by the most that it has been, so a dip
crosses nothing twice; a threshold is crossed by what reaches it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, Literal, NamedTuple

from headcount.counting.calendar import Period, parse_period
from headcount.counting.metrics import BY_NAME, HEADLINES, Metric, Named

__all__ = [
    "ALERT_METRICS",
    "BY_THE_DAY",
    "QUIET_HOURS_MAX",
    "SHARES",
    "SHARE_MESSAGES_MIN",
    "THRESHOLDS_MAX",
    "AlertEvent",
    "AlertKind",
    "AlertRule",
    "AlertSetup",
    "Crossing",
    "MarkPlace",
    "Quota",
    "QuotaReached",
    "Threshold",
    "Usual",
    "crossing_of",
    "events_of",
    "parse_threshold",
    "usual_of",
    "without_marked",
]

AlertKind = Literal["count", "forecast", "unusual", "silent"]
"""What a rule looks at: a count of the month so far, where the month will end, whether a day has
far more than usual, or whether nothing arrives."""

SHARES: Mapping[str, Named] = {
    each.name: each
    for each in (
        Named(name="rejected_share", label="rejected messages"),
        Named(name="duplicate_share", label="duplicates"),
    )
}
"""Metrics of alerts that are shares of a month's messages, in percent, and no counts; by name."""

ALERT_METRICS: Mapping[str, Named] = {**{each.name: each for each in HEADLINES}, **SHARES}
"""What a threshold may be of, the usual one first; by name."""

BY_THE_DAY = BY_NAME["api_calls"]
"""What rules look at that need no threshold: sets of ids fill up, so that the first day of a month
has far more new ones than any other."""

SHARE_MESSAGES_MIN = 100
"""A share of fewer messages than these says nothing."""

THRESHOLDS_MAX = 20
QUIET_HOURS_MAX = 24 * 14
"""For how many hours nothing may have come at most before a rule of silence tells."""
_AMOUNT_MAX = 10**15
_PERCENT = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)\s?%")
_NUMBER = re.compile(r"[0-9]{1,15}")

_WEEKS, _WEEKS_MIN = 8, 3
_MORE_MIN = 20


MarkPlace = tuple[int, int, int, str]
"""Where a mark is kept: workspace, rule, the month's number, and what was crossed in it."""


class Threshold(NamedTuple):
    """A value that a metric may reach.

    Attributes:
        text: as it is written, such as `"80%"`; by it the threshold is known.
        amount: the number in it.
        is_share: whether it is percent: of the plan's limit, or of the messages.
    """

    text: str
    amount: Fraction
    is_share: bool

    def target(self, metric: str, limit: int | None) -> Fraction | None:
        """The value to be reached; None where it is a share of a limit that there is not.

        Args:
            metric: the rule's.
            limit: what the plan includes of it.
        """
        if not self.is_share or metric in SHARES:
            return self.amount
        return None if limit is None else self.amount * limit / 100


def parse_threshold(text: str, metric: str) -> Threshold:
    """The threshold that a text names, in its one spelling.

    Args:
        text: a whole number, or a percentage such as `80%` or `102.5%`.
        metric: one of `ALERT_METRICS`; of a share, a threshold is always percent.

    Raises:
        ValueError: it is neither, or it is nothing.
    """
    text = text.strip().replace(",", "").replace("_", "")
    if match := _PERCENT.fullmatch(text):
        amount = Fraction(match[1])
        if amount <= 0 or (metric in SHARES and amount > 100):
            raise ValueError("a share is more than 0 %, and of messages at most 100 %")
        number = match[1].lstrip("0") or "0"
        number = number.rstrip("0").rstrip(".") if "." in number else number
        return Threshold(("0" if number.startswith(".") else "") + number + "%", amount, True)
    if metric in SHARES:
        raise ValueError("a share of messages is a percentage such as 5%")
    if not _NUMBER.fullmatch(text) or not 0 < int(text) <= _AMOUNT_MAX:
        raise ValueError("give a whole number such as 12000, or a percentage such as 80%")
    return Threshold(str(int(text)), Fraction(int(text)), False)


@dataclass(frozen=True, slots=True)
class AlertRule:
    """A rule.

    Attributes:
        number: by which marks know it; never reused.
        id: by which people and programs know it.
        name: what people call it.
        workspace: whose usage.
        source: the number of one source of it; 0 for the whole workspace.
        kind: what it looks at.
        metric: one of `ALERT_METRICS`; that of `BY_THE_DAY` for those that need no threshold.
        thresholds: what is told when reached; none for those that need none.
        quiet_hours: for how long nothing must have come, for a rule of silence.
        channels: numbers of the channels that tell.
    """

    number: int
    id: str
    name: str
    workspace: int
    source: int
    kind: AlertKind
    metric: str
    thresholds: tuple[Threshold, ...] = ()
    quiet_hours: int = 24
    channels: tuple[int, ...] = ()

    @property
    def scope(self) -> tuple[int, int]:
        """The workspace and source that it is about."""
        return self.workspace, self.source

    @property
    def counted(self) -> Metric | None:
        """The metric that it counts; None for a share."""
        return BY_NAME.get(self.metric)


@dataclass(frozen=True, slots=True)
class Quota:
    """What a source may use of a metric in a month.

    Attributes:
        workspace, source: the numbers of its workspace and of itself.
        metric: the metric's name.
        amount: how much, at least 1.
        past: whether messages past it are refused, or only marked.
        name: what people call the source.
    """

    workspace: int
    source: int
    metric: str
    amount: int
    past: Literal["refuse", "mark"]
    name: str = ""


@dataclass(frozen=True, slots=True)
class QuotaReached:
    """When a source came to its quota.

    Attributes:
        workspace, period, source, metric: of what.
        amount: the quota then.
        reached_at_ms: when, milliseconds since 1970.
        past: what happens past it.
    """

    workspace: int
    period: Period
    source: int
    metric: str
    amount: int
    reached_at_ms: int
    past: str


@dataclass(frozen=True, slots=True)
class AlertSetup:
    """All that people want to be told of, at one moment.

    Attributes:
        rules: those that are on.
        limit_of: what a plan includes: given the workspace's number, the metric's name, and a day;
            None where it sets no limit.
        quotas: those of all sources.
    """

    rules: tuple[AlertRule, ...] = ()
    limit_of: Callable[[int, str, int], int | None] = lambda *_: None
    quotas: tuple[Quota, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossing:
    """One thing that people are told.

    Attributes:
        rule, name, kind, metric: of the rule.
        rule_number: the rule's number.
        source: the source's number; 0 for the workspace.
        period: the month, as `YYYY-MM-01`.
        mark: what makes it one of a kind in that month.
        threshold: what was reached, as it was written; empty where the rule has none.
        value: the value that reached it: a count, a percentage, or the end of a forecast's range.
        target: the value that was to be reached.
        limit: what the plan includes; None where it sets no limit.
        imported: whether an import brought it.
        day: the day that it is about, as `YYYY-MM-DD`; empty for a month.
        usual: what such a day usually has, of a day that has far more.
        low, likely, high: the forecast, of a rule on it.
        since_ms: since when nothing has come, of a silence.
    """

    rule: str
    name: str
    kind: AlertKind
    metric: str
    rule_number: int
    source: int
    period: str
    mark: str
    threshold: str = ""
    value: float = 0
    target: float = 0
    limit: int | None = None
    imported: bool = False
    day: str = ""
    usual: float | None = None
    low: int | None = None
    likely: int | None = None
    high: int | None = None
    since_ms: int | None = None


def crossing_of(rule: AlertRule, period: Period, mark: str, **more: Any) -> Crossing:
    """What a rule says of a month, with the members of `Crossing` that it has beside these."""
    return Crossing(
        rule=rule.id, name=rule.name, kind=rule.kind, metric=rule.metric,
        rule_number=rule.number, source=rule.source, period=str(period), mark=mark, **more,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class AlertEvent:
    """What one change, or one look at the clock, makes people hear of; told once.

    Attributes:
        uid: by which every delivery of it is known, also to who receives it.
        workspace: the workspace's number.
        at_ms: when it was found, milliseconds since 1970.
        channels: numbers of the channels that tell it.
        crossings: what was crossed, at least one.
    """

    uid: str
    workspace: int
    at_ms: int
    channels: tuple[int, ...]
    crossings: tuple[Crossing, ...]

    def places(self) -> list[MarkPlace]:
        """Where its marks are kept, in the order of what was crossed."""
        return [
            (self.workspace, each.rule_number, parse_period(each.period).number, each.mark)
            for each in self.crossings
        ]


def events_of(found: Iterable[tuple[AlertRule, Crossing]], at_ms: int) -> list[AlertEvent]:
    """One event for each workspace and set of channels: what one change crosses comes at once."""
    together: dict[tuple[int, tuple[int, ...]], list[Crossing]] = {}
    for rule, crossing in found:
        place = rule.workspace, tuple(sorted(set(rule.channels)))
        together.setdefault(place, []).append(crossing)
    return [
        AlertEvent(_uid(crossings), workspace, at_ms, channels, tuple(crossings))
        for (workspace, channels), crossings in together.items()
    ]


def _uid(crossings: Sequence[Crossing]) -> str:
    # Of what it says, so that a change that is made again from a backup is known by the same name.
    said = sorted(f"{each.rule}/{each.period}/{each.mark}" for each in crossings)
    return "evt_" + hashlib.blake2b("\n".join(said).encode(), digest_size=12).hexdigest()


def without_marked(event: AlertEvent, is_marked: Callable[[MarkPlace], bool]) -> AlertEvent | None:
    """An event without what was told before; None where all was.

    Args:
        event: which.
        is_marked: whether there is a mark in a place.
    """
    places = event.places()
    left = tuple(
        each for each, place in zip(event.crossings, places, strict=True) if not is_marked(place)
    )
    if len(left) == len(event.crossings):
        return event
    return replace(event, uid=_uid(left), crossings=left) if left else None


class Usual(NamedTuple):
    """What a day usually has.

    Attributes:
        usual: the median of its weekday.
        target: from where on a day has far more.
        weeks: how many days that was learned from.
    """

    usual: float
    target: float
    weeks: int


def usual_of(day: int, counts: Mapping[int, int]) -> Usual | None:
    """What a day usually has; None while too little is known.

    Of the same day of the week in the eight weeks before, those from the first usage on. Far more
    is at least twice the median, and four times as far from it as such days usually are (by the
    median of their distances, in standard deviations), and 20 more: a few days out of the ordinary
    move neither.

    Args:
        day: days since 1970.
        counts: day to its count, of days before; days without usage may be missing.
    """
    begun = min((each for each, count in counts.items() if count > 0), default=None)
    if begun is None:
        return None
    days = [day - 7 * week for week in range(1, _WEEKS + 1)]
    same = sorted(counts.get(each, 0) for each in days if each >= begun)
    if len(same) < _WEEKS_MIN:
        return None
    usual = _median(same)
    spread = 1.4826 * _median(sorted(abs(each - usual) for each in same))
    return Usual(usual, max(2 * usual, usual + 4 * spread, usual + _MORE_MIN), len(same))


def _median(ascending: Sequence[float]) -> float:
    middle = len(ascending) // 2
    if len(ascending) % 2:
        return float(ascending[middle])
    return (ascending[middle - 1] + ascending[middle]) / 2
