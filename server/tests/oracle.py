"""The naive oracle: the counting rules over the whole history, with plain sets and dictionaries.

Takes facts one by one, in metering order, with readable ids instead of hashes; answers what every
scope's counts must be on every day. It shares no code with what it judges but the calendar.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from headcount.metering.calendar import Period

Sets = dict[str, dict[str, int]]
"""Name of a set to its ids, each with the earliest day (since 1970) it joined."""


@dataclass(frozen=True)
class PlainFact:
    """An admitted message, as a person would write it down."""

    received_at_ms: int
    workspace: int
    source: int
    message: str
    user: str | None = None
    anonymous: str | None = None
    previous: str | None = None

    @property
    def day(self) -> int:
        return self.received_at_ms // 86_400_000


@dataclass
class Oracle:
    """Counts by brute force.

    Args:
        window_days: how far apart two deliveries in different periods may be and still be one.
    """

    window_days: int = 35
    accepted: dict[tuple[int, str], dict[Period, int]] = field(
        default_factory=lambda: defaultdict(dict)
    )
    admitted: dict[tuple[int, int], int] = field(default_factory=lambda: defaultdict(int))
    joined: dict[tuple[Period, str, int], Sets] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(dict))
    )
    workspace_of: dict[int, int] = field(default_factory=dict)

    def meter(self, fact: PlainFact) -> None:
        """Apply the rules to one more fact."""
        self.workspace_of[fact.source] = fact.workspace
        self.admitted[fact.source, fact.day] += 1
        period = Period.of_day(fact.day)
        accepted = self.accepted[fact.source, fact.message]
        for other, day in accepted.items():
            if other != period and abs(day - fact.day) <= self.window_days:
                return
        accepted[period] = min(accepted.get(period, fact.day), fact.day)
        for scope in (("source", fact.source), ("workspace", fact.workspace)):
            sets = self.joined[period, *scope]
            if fact.user is not None:
                _join(sets["identified"], fact.user, fact.day)
            if fact.anonymous is not None:
                _join(sets["anonymous"], fact.anonymous, fact.day)
                if fact.user is not None:
                    _join(sets["anonymous_identified"], fact.anonymous, fact.day)
            if fact.previous is not None:
                _join(sets["anonymous"], fact.previous, fact.day)
                _join(sets["anonymous_identified"], fact.previous, fact.day)

    def counts(self, period: Period, scope: str, number: int, day: int) -> dict[str, int]:
        """Cumulative counts of a scope (`"source"` or `"workspace"`) at a day of a period."""
        sources = {
            source
            for source, workspace in self.workspace_of.items()
            if (source if scope == "source" else workspace) == number
        }
        counts = {
            "api_calls": sum(
                1
                for (source, _), periods in self.accepted.items()
                if source in sources and periods.get(period, day + 1) <= day
            ),
            "admitted": sum(
                messages
                for (source, on), messages in self.admitted.items()
                if source in sources and on <= day and Period.of_day(on) == period
            ),
        }
        sets = self.joined.get((period, scope, number), {})
        for kind in ("identified", "anonymous", "anonymous_identified"):
            counts[kind] = sum(1 for joined in sets.get(kind, {}).values() if joined <= day)
        return counts

    def periods(self) -> set[Period]:
        """The periods in which anything was delivered."""
        return {Period.of_day(day) for _, day in self.admitted}


def _join(members: dict[str, int], tracked_id: str, day: int) -> None:
    members[tracked_id] = min(members.get(tracked_id, day), day)
