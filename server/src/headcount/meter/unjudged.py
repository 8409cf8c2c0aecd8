"""Rules and quotas that cannot be judged, for what they look at is damaged: passed over, and said.

Takes what a rule finds, gives it, or nothing where a row that it needs is not what was written.
What is counted into such rows is the store's matter; a month that was over long ago, or another
source, must not stop counting. Each is known by its number and by what it was judged of, so that
neither two of one name nor two months of one rule are taken for each other.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from headcount.counting.alerts import AlertRule, Quota
from headcount.errors import DamagedDataError
from headcount.meter.standings import Place
from headcount.troubles import Troubles

__all__ = ["ARRIVALS", "BY_CLOCK", "Unjudged"]

_KIND = "alerts_unjudged"
_NAMED_MAX = 5
_AGAIN_EVERY_MS = 60_000
_NO_RULE = 0  # rules are numbered from 1

BY_CLOCK = "clock"
"""What a rule is judged of that goes by the clock: how it stands now, whatever the month."""

ARRIVALS = "arrivals"
"""When the last messages came, which a rule of silence knows from days as well."""

_Found = TypeVar("_Found")
_Key = tuple[int, Place | str]


class Unjudged:
    """The rules and quotas of one meter that cannot be judged.

    Args:
        troubles: where to say it.
    """

    def __init__(self, troubles: Troubles) -> None:
        self._troubles = troubles
        self._why: dict[_Key, tuple[str, str]] = {}
        self._said: dict[_Key, tuple[str, str]] = {}
        self._tried_at_ms: int | None = None

    def forget(self) -> None:
        """Begin anew: other rules are judged from now on."""
        self._why = {}

    def unless_damaged(
        self, rule: AlertRule, of: Place | str, found: Iterable[_Found]
    ) -> list[_Found]:
        """What a rule finds; nothing where what it is judged by is damaged.

        Args:
            rule: which.
            of: the place that it is judged of, or `BY_CLOCK`.
            found: is read here.
        """
        return self._unless((rule.number, of), _name_of(rule), found)

    def quota_unless_damaged(
        self, quota: Quota, place: Place, found: Iterable[_Found]
    ) -> list[_Found]:
        """As `unless_damaged`, of a source's quotas in a month."""
        return self._unless((_NO_RULE, place), _name_of_quota(quota, place), found)

    def _unless(self, key: _Key, name: str, found: Iterable[_Found]) -> list[_Found]:
        try:
            listed = list(found)
        except DamagedDataError as error:
            self._why[key] = name, error.problem
            return []
        self._why.pop(key, None)
        return listed

    def note(self, rule: AlertRule, of: Place | str, error: DamagedDataError) -> None:
        """Note that a rule cannot be judged, or not by all that it looks at."""
        self._why[rule.number, of] = _name_of(rule), error.problem

    def note_quota(self, quota: Quota, place: Place, error: DamagedDataError) -> None:
        """Note that a source's quotas cannot be judged in a month."""
        self._why[_NO_RULE, place] = _name_of_quota(quota, place), error.problem

    def due(self, now_ms: int) -> list[Place]:
        """Places to judge again, about once a minute: what was damaged may be repaired."""
        if self._tried_at_ms is not None and 0 <= now_ms - self._tried_at_ms < _AGAIN_EVERY_MS:
            return []
        self._tried_at_ms = now_ms
        return list(dict.fromkeys(of for _, of in self._why if not isinstance(of, str)))

    def say(self) -> None:
        """Say which these are, or that there are none any more."""
        if self._why == self._said:
            return
        self._said = dict(self._why)
        if not self._why:
            self._troubles.end(_KIND)
            return
        names = list(dict.fromkeys(name for name, _ in self._why.values()))
        named = ", ".join(names[:_NAMED_MAX])
        if (more := len(names) - _NAMED_MAX) > 0:
            named += f" and {more} more"
        said = (
            "What these alert rules or quotas look at is damaged, so that they are not judged, or"
            f" not by it: {named}. {next(iter(self._why.values()))[1]}"
        )
        remedy = "Counting goes on. See what headcount doctor says, and repair it."
        if any(each.kind == _KIND for each in self._troubles.now()):
            self._troubles.restate(_KIND, said, remedy, hinders=False)
        else:
            self._troubles.begin(_KIND, said, remedy, hinders=False)


def _name_of(rule: AlertRule) -> str:
    return f"{rule.name} ({rule.id})" if rule.name else rule.id


def _name_of_quota(quota: Quota, place: Place) -> str:
    return f"the quota of {quota.name or f'source {quota.source}'} in {str(place[0])[:7]}"
