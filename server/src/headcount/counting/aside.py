"""Facts that are kept and not counted: for what reason, and how many.

Plain data between whoever sets facts aside, the store that keeps them and whoever reports them.
Nothing of what was acknowledged is ever thrown away: what cannot be counted, or not yet, is here.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from headcount.counting.calendar import Period
from headcount.counting.facts import fact_bytes

__all__ = ["Aside", "AsideReason", "AsideSum", "ConfirmedAside"]


class AsideReason(StrEnum):
    """Why facts are not counted. Append, never rename: the values are stored."""

    SEALED = "sealed"
    """They came after their month was closed for good."""
    WAITING = "waiting"
    """They say that it is a day that nothing confirms; they wait until somebody does."""
    CONFIRMED = "confirmed"
    """They have waited, their day is confirmed, and the meter is about to count them."""
    UNDIGESTIBLE = "undigestible"
    """They are not what a message can leave behind, or counting failed on them."""
    UNKNOWN_SOURCE = "unknown_source"
    """No source of the catalog has their numbers."""
    DAMAGED = "damaged"
    """They are not what was written."""
    OTHER_KEY = "other_key"
    """Their ids are hashed under another key than those of their month, or cannot be compared with
    a neighbouring month that has another one."""


class Aside(NamedTuple):
    """Some facts to set aside.

    Attributes:
        reason: why.
        facts: as they stood in the journal.
        workspace: whose they are; 0 for several or nobody's.
        period: the month they are of, where all are of one.
        day: the day they are of (days since 1970), where all are of one that may be counted later.
        origin: which entry of which journal they are, where they are all of one.
        held: how many messages they were, where their bytes are lost; None where they say it.
    """

    reason: AsideReason
    facts: bytes
    workspace: int = 0
    period: Period | None = None
    day: int | None = None
    origin: str = ""
    held: int | None = None

    @property
    def messages(self) -> int:
        """How many messages they stand for; a fact that is cut off is one."""
        return self.held if self.held is not None else -(-len(self.facts) // fact_bytes(self.facts))


class AsideSum(NamedTuple):
    """How much is set aside for one reason, workspace and month.

    Attributes:
        reason: why.
        workspace: whose it is; 0 for several or nobody's.
        period: the month, None for several or none.
        first_day: the earliest day of what may be counted later, days since 1970, or None.
        last_day: the latest such day, or None.
        messages: how many messages.
        origin: one of the journal entries, where that is known; else empty.
    """

    reason: str
    workspace: int
    period: Period | None
    first_day: int | None
    last_day: int | None
    messages: int
    origin: str


class ConfirmedAside(NamedTuple):
    """Facts that have waited and are to be counted now; `row` is their number in the store."""

    row: int
    facts: bytes
