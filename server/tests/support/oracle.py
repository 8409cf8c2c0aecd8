"""The naive oracle: the counting rules over the whole history, with plain sets and dictionaries.

Takes facts one by one, in metering order, with readable ids instead of hashes; answers what every
scope's counts must be on every day. It shares no code with what it judges but the calendar.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

from headcount.counting.calendar import Period

Y2000 = 10_957
"""2000-01-01, in days since 1970."""

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
    imported: bool = False

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
    last_import_day: dict[tuple[int, Period], int] = field(default_factory=dict)
    sealed: set[tuple[int, Period]] = field(default_factory=set)
    aside: int = 0
    waiting: list[list[PlainFact]] = field(default_factory=list)
    confirmed: list[list[PlainFact]] = field(default_factory=list)
    trusted_day: int | None = None
    last_live_day: int = 0
    forgotten: int = 0

    def today(self, clock_day: int) -> int:
        """The day that it is: never before one that was metered."""
        return max(clock_day, self.last_live_day)

    def confirm(self, clock_day: int) -> None:
        """Accept the clock: it is this day, whatever came before."""
        self.trusted_day = clock_day
        self.last_live_day = min(self.last_live_day, clock_day)
        for month, day in self.last_import_day.items():
            self.last_import_day[month] = min(day, clock_day)
        self.confirmed += [row for row in self.waiting if row[0].day <= clock_day]
        self.waiting = [row for row in self.waiting if row[0].day > clock_day]

    def take(self, facts: Sequence[PlainFact], clock_day: int, facts_max: int) -> None:
        """One batch of a meter whose clock says a day: some of what was confirmed, then facts.

        Args:
            facts: in metering order.
            clock_day: the day of the meter's clock, days since 1970.
            facts_max: how many facts of what was confirmed are enough.
        """
        believed = self.believed(clock_day)
        self.free(clock_day, facts_max)
        self.take_batch(facts, clock_day, believed)

    def believed(self, clock_day: int) -> tuple[int, int]:
        """The latest days that are believed of a live and of an imported fact."""
        known = [d for d in (self.last_live_day or None, self.trusted_day) if d is not None]
        latest = clock_day + 2
        return min([latest, *(max(known) + 180 for _ in known[:1])]), latest

    def free(self, clock_day: int, facts_max: int) -> int:
        """Count some of what has waited and is confirmed; gives how many rows that was."""
        freed: list[PlainFact] = []
        rows = 0
        while self.confirmed and len(freed) < facts_max:
            freed += self.confirmed.pop(0)
            rows += 1
        today = self.today(clock_day)
        for fact in sorted(freed, key=lambda each: each.received_at_ms):
            self.meter(fact, today)
        return rows

    def take_batch(
        self, facts: Sequence[PlainFact], clock_day: int, believed: tuple[int, int]
    ) -> None:
        """Count facts (in metering order), or let them wait, by what was `believed` before."""
        latest_live, latest = believed
        today = self.today(clock_day)
        waiting: dict[int, list[PlainFact]] = {}
        for fact in facts:
            if Y2000 <= fact.day <= (latest if fact.imported else latest_live):
                self.meter(fact, today)
            else:
                waiting.setdefault(fact.day, []).append(fact)
        self.waiting += [waiting[day] for day in sorted(waiting)]

    def kept(self) -> int:
        """How many facts are kept and not counted."""
        return self.aside + sum(map(len, (*self.waiting, *self.confirmed)))

    def meter(self, fact: PlainFact, today: int) -> None:
        """Apply the rules to one more fact, metered on a day."""
        self.workspace_of[fact.source] = fact.workspace
        period = Period.of_day(fact.day)
        if (fact.workspace, period) in self.sealed:
            self.aside += 1
            return
        if fact.imported:
            month = fact.workspace, period
            self.last_import_day[month] = max(self.last_import_day.get(month, today), today)
        else:
            self.last_live_day = max(self.last_live_day, fact.day)
            if self.trusted_day is None:
                self.trusted_day = fact.day
            elif fact.day <= self.trusted_day + 2:
                self.trusted_day = max(self.trusted_day, fact.day)
        self.admitted[fact.source, fact.day] += 1
        accepted = self.accepted[fact.source, fact.message]
        for other, day in accepted.items():
            if (fact.workspace, other) in self.sealed:
                continue
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

    def forget(
        self, user: str | None, anonymous: str | None, workspaces: Collection[int] | None
    ) -> None:
        """Let ids that were seen so far be those of somebody else, in each month and workspace."""
        self.forgotten += 1

        def name(period: Period, workspace: int) -> str:
            return f"forgotten {self.forgotten} in {period} of {workspace}"

        for (period, scope, number), sets in self.joined.items():
            workspace = number if scope == "workspace" else self.workspace_of[number]
            if workspaces is not None and workspace not in workspaces:
                continue
            for kind, members in sets.items():
                known = user if kind == "identified" else anonymous
                if known is not None and known in members:
                    members[name(period, workspace)] = members.pop(known)

        def renamed(fact: PlainFact) -> PlainFact:
            if workspaces is not None and fact.workspace not in workspaces:
                return fact
            fresh = name(Period.of_day(fact.day), fact.workspace)
            return replace(
                fact,
                user=fresh if user is not None and fact.user == user else fact.user,
                **{
                    part: fresh
                    if anonymous is not None and getattr(fact, part) == anonymous
                    else getattr(fact, part)
                    for part in ("anonymous", "previous")
                },
            )

        self.waiting = [[renamed(fact) for fact in row] for row in self.waiting]
        self.confirmed = [[renamed(fact) for fact in row] for row in self.confirmed]

    def seal(self, today: int) -> None:
        """Close the months that are due, if the clock can be believed."""
        if self.trusted_day is None or today > self.trusted_day + 2:
            return
        for source, day in self.admitted:
            month = self.workspace_of[source], Period.of_day(day)
            if today - max(month[1].last_day, self.last_import_day.get(month, 0)) > 35:
                self.sealed.add(month)

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
