"""What a log gives sooner or later, for tests: asks until as much has come as is expected."""

from __future__ import annotations

import time

from headcount.engines.log import FactLog, Follower, Hearer, LogEntry

__all__ = ["all_from", "all_heard"]

_WITHIN_S = 60


def all_from(
    log: FactLog,
    subject: str,
    count: int,
    follower: Follower | None = None,
    *,
    bytes_max: int = 4 << 20,
) -> list[LogEntry]:
    """What comes of a subject, from its beginning or to one who follows it, until so many have.

    Of one that takes little at a time, what it took at once when the count was reached.
    """
    follower = follower or log.follow(subject)
    taken: list[LogEntry] = []
    until_s = time.monotonic() + _WITHIN_S
    while len(taken) < count and time.monotonic() < until_s:
        taken += follower.take(bytes_max)
        if len(taken) < count:
            log.wait(0.1)
    return taken


def all_heard(log: FactLog, hearer: Hearer, count: int) -> list[bytes]:
    """What is heard until so many have come."""
    heard: list[bytes] = []
    until_s = time.monotonic() + _WITHIN_S
    while len(heard) < count and time.monotonic() < until_s:
        heard += hearer.take()
        if len(heard) < count:
            log.wait(0.1)
    return heard
