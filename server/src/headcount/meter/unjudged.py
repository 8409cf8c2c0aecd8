"""Rules that cannot be judged, because what they look at is damaged: passed over, and said.

Takes what a rule finds, gives it, or nothing where a row that it needs is not what was written.
What is counted into such rows is the store's matter; a month that was over long ago, or another
source, must not stop counting.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

from headcount.counting.alerts import AlertRule
from headcount.errors import DamagedDataError
from headcount.troubles import Troubles

__all__ = ["Unjudged"]

_KIND = "alerts_unjudged"
_NAMED_MAX = 5

_Found = TypeVar("_Found")


class Unjudged:
    """The rules and quotas of one meter that cannot be judged.

    Args:
        troubles: where to say it.
    """

    def __init__(self, troubles: Troubles) -> None:
        self._troubles = troubles
        self._why: dict[str, str] = {}
        self._said: Mapping[str, str] = {}

    def forget(self) -> None:
        """Begin anew: other rules are judged from now on."""
        self._why = {}

    def unless_damaged(self, rule: AlertRule, found: Iterable[_Found]) -> list[_Found]:
        """What a rule finds; nothing where what it is judged by is damaged."""
        name = rule.name or rule.id
        try:
            listed = list(found)
        except DamagedDataError as error:
            self.note([name], error)
            return []
        self._why.pop(name, None)
        return listed

    def note(self, names: Iterable[str], error: DamagedDataError) -> None:
        """Note that some rules or quotas, by their names, cannot be judged."""
        self._why.update(dict.fromkeys(names, error.problem))

    def say(self) -> None:
        """Say which these are, or that there are none any more."""
        if self._why == self._said:
            return
        self._said = dict(self._why)
        if not self._why:
            self._troubles.end(_KIND)
            return
        named = ", ".join(list(self._why)[:_NAMED_MAX])
        if (more := len(self._why) - _NAMED_MAX) > 0:
            named += f" and {more} more"
        said = (
            "What these alert rules or quotas look at is damaged, so that they are not judged:"
            f" {named}. {next(iter(self._why.values()))}"
        )
        remedy = "Counting goes on. See what headcount doctor says, and repair it."
        if any(each.kind == _KIND for each in self._troubles.now()):
            self._troubles.restate(_KIND, said, remedy, hinders=False)
        else:
            self._troubles.begin(_KIND, said, remedy, hinders=False)
