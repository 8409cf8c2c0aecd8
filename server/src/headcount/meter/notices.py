"""What a meter tells its operator: facts that are not counted, a clock that is not believed.

Takes the store's sums and the clock; says it once, by `Troubles`, until it is over.
"""

from __future__ import annotations

from collections import Counter

from headcount import telemetry
from headcount.counting.aside import AsideReason, AsideSum
from headcount.counting.calendar import day_text
from headcount.counting.plausible import AHEAD_DAYS_MAX, is_clock_plausible
from headcount.store.protocol import MeterStore
from headcount.troubles import Troubles
from headcount.wording import number_of

__all__ = ["OF_STORE", "Telling"]

_WAIT, _SET_ASIDE, _BEHIND = "messages_waiting", "messages_set_aside", "clock_behind"
OF_STORE = frozenset((_WAIT, _SET_ASIDE, _BEHIND))
"""Kinds of trouble that can be seen in the store, and need nobody to tell them."""

_CONFIRM = (
    "Set the clock right, if it is wrong; then headcount doctor --confirm-clock counts those whose"
    " day it has reached."
)
_PENDING = (AsideReason.WAITING, AsideReason.CONFIRMED)
_LATER = (AsideReason.SEALED, *_PENDING)


class Telling:
    """Tells of one store.

    Args:
        store: what it holds aside.
        troubles: where to say it.
    """

    def __init__(self, store: MeterStore, troubles: Troubles) -> None:
        self._store = store
        self._troubles = troubles
        self._said: object = None

    def tell(self, clock_day: int, last_day: int | None, *, changed: bool) -> None:
        """Look, and say what is to be said.

        Args:
            clock_day: the day that the clock says, days since 1970.
            last_day: the latest day that was counted or confirmed, or None.
            changed: whether facts were set aside, or counted from there, since the last call.
        """
        standing = clock_day, last_day
        if standing == self._said and not changed:
            return
        self._said = standing
        sums = self._store.set_aside()
        messages: Counter[str] = Counter()
        for each in sums:
            messages[each.reason] += each.messages
        for reason in AsideReason:
            telemetry.FACTS_ASIDE.labels(reason.value).set(messages[reason])
        self._tell_waiting([s for s in sums if s.reason in _PENDING], clock_day, last_day)
        self._tell_set_aside([s for s in sums if s.reason not in _LATER])
        self._tell_today(clock_day, last_day)

    def _tell_waiting(self, waiting: list[AsideSum], clock_day: int, last_day: int | None) -> None:
        if not waiting:
            self._troubles.end(_WAIT)
            return
        days = [day for s in waiting for day in (s.first_day, s.last_day) if day is not None]
        count = sum(s.messages for s in waiting)
        first, last = day_text(min(days)), day_text(max(days))
        said = (
            f"{number_of(count, 'message', 'waits and is', 'wait and are')} not counted: received"
            f" {f'on {first}' if first == last else f'from {first} to {last}'} by the"
            f" clock of then, and {_against(clock_day, last_day)}."
        )
        hinders = not is_clock_plausible(clock_day, last_day)
        if hinders:
            said += " While the clock says so, what comes is kept and waits too."
        self._troubles.begin(_WAIT, said, _CONFIRM, hinders=hinders)

    def _tell_set_aside(self, damaged: list[AsideSum]) -> None:
        if not damaged:
            self._troubles.end(_SET_ASIDE)
            return
        count = sum(s.messages for s in damaged)
        reasons = ", ".join(
            f"{s.messages:,} {s.reason}{f' ({s.origin})' if s.origin else ''}" for s in damaged
        )
        self._troubles.begin(
            _SET_ASIDE,
            f"{number_of(count, 'message', 'is', 'are')} set aside and cannot be counted:"
            f" {reasons}.",
            "They are kept in the store, and headcount doctor names them. A disk or memory that"
            " fails may have damaged them.",
            hinders=False,
        )

    def _tell_today(self, clock_day: int, last_day: int | None) -> None:
        if last_day is None or last_day <= clock_day + AHEAD_DAYS_MAX:
            self._troubles.end(_BEHIND)
            return
        self._troubles.begin(
            _BEHIND,
            f"The clock says {day_text(clock_day)}, and messages were counted on"
            f" {day_text(last_day)} already: that is taken for today.",
            "Set the clock right; if it is right, headcount doctor --confirm-clock takes today back"
            " to it.",
            hinders=False,
        )


def _against(clock_day: int, last_day: int | None) -> str:
    said = f"the clock says {day_text(clock_day)}"
    if last_day is not None:
        said += f", the last counted message came on {day_text(last_day)}"
    return said
