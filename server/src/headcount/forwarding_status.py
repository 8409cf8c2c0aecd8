"""How far a source that forwards is, as the process that delivers tells the others: numbers, and a
sentence for people.
"""

from __future__ import annotations

import msgspec

from headcount.backlog import duration_text
from headcount.wording import number_of

__all__ = ["ForwardingStatus", "OutcomeTally", "StatusCount"]


class OutcomeTally(msgspec.Struct, frozen=True):
    """How many requests, and the messages in them."""

    requests: int
    messages: int


class StatusCount(msgspec.Struct, frozen=True):
    """How many requests a vendor refused with one status, and the messages in them."""

    status: int
    requests: int
    messages: int


class ForwardingStatus(msgspec.Struct, frozen=True, rename="camel"):
    """One source.

    Attributes:
        source: its number.
        at_ms: as of when, milliseconds since 1970.
        stopped_at_ms: since when it forwards no more for want of room; None where it does.
        waiting_messages, waiting_bytes: what waits for the vendor; bytes as they lie in the spool.
        oldest_ms: when the first of them was received; None where nothing waits.
        failing: what the vendor does, where it took the last request not; empty where it did.
        retry_at_ms: when the next try is, where it failed.
        tallies: by outcome, what became of requests since the source first forwarded.
        refused: those that were refused, by the vendor's status.
    """

    source: int
    at_ms: int
    stopped_at_ms: int | None
    waiting_messages: int
    waiting_bytes: int
    oldest_ms: int | None
    failing: str
    retry_at_ms: int | None
    tallies: dict[str, OutcomeTally]
    refused: list[StatusCount]

    @property
    def behind_ms(self) -> int:
        """For how long the first of what waits has been waiting."""
        return 0 if self.oldest_ms is None else max(0, self.at_ms - self.oldest_ms)

    @property
    def sentence(self) -> str:
        """How far it is behind, in words."""
        if not self.waiting_messages:
            return "Nothing waits."
        waiting = number_of(self.waiting_messages, "message", "waits", "wait")
        said = (
            f"{waiting} for the vendor ({self.waiting_bytes / 1e6:,.1f} MB), the oldest for"
            f" {duration_text(self.behind_ms)}"
        )
        return f"{said}: {self.failing}." if self.failing else f"{said}."
