"""The series of metrics that are known before anything has happened, so that all begin with zero.

A rate, or an alert, over a series that comes into being with its first event misses that event. The
api process, which adds up what all processes share, names them once in its own numbers.
"""

from __future__ import annotations

from headcount import telemetry
from headcount.counting.aside import AsideReason
from headcount.intake import EXPLANATIONS, Reason
from headcount.page import PAGE_STATUSES
from headcount.troubles import KINDS
from headcount.wiring.whole_bodies import BODY_STATUSES

__all__ = ["INDEX_FAMILIES", "ROLES", "begin_with_zeros"]

ROLES = ("intake", "meter", "api", "forward", "alert")
"""The processes of a server, beside the one that starts them."""

INDEX_FAMILIES = ("message", "tracked")
_WHY_DROPPED = ("crowded", "held", "tls", "unread", "late", "handshake")
_ADDRESSES = ("tracking", "api")
_SUCCESSES = ("200", "204")


def begin_with_zeros() -> None:
    """Name every series whose labels are known beforehand."""
    for outcome in ("admitted", "accepted", "duplicate"):
        telemetry.MESSAGES.labels(outcome, "")
    telemetry.MESSAGES.labels("duplicate", "conflicting")
    for status in _SUCCESSES:
        telemetry.REQUESTS.labels(status, "")
    for reason in Reason:
        telemetry.MESSAGES.labels("rejected", reason.value)
        telemetry.REQUESTS.labels(str(EXPLANATIONS[reason].status), reason.value)
    for place in ("journal", "store"):
        telemetry.COMMIT_SECONDS.labels(place)
    for family in INDEX_FAMILIES:
        telemetry.INDEX_KEYS.labels(family)
        telemetry.INDEX_BYTES.labels(family)
    for where in ("tables", "disk"):
        telemetry.MESSAGE_ID_LOOKUPS.labels(where)
    for aside in AsideReason:
        telemetry.FACTS_ASIDE.labels(aside.value)
    for kind in sorted(KINDS):
        telemetry.TROUBLES.labels(kind)
        telemetry.TROUBLES_MET.labels(kind)
    for address in _ADDRESSES:
        telemetry.CONNECTIONS.labels(address)
        telemetry.ANSWERS_DELAYED.labels(address)
        telemetry.MALFORMED_REQUESTS.labels(address)
        for why in _WHY_DROPPED:
            telemetry.CONNECTIONS_DROPPED.labels(address, why)
    for status_code in sorted(BODY_STATUSES):
        telemetry.API_BODIES_REFUSED.labels(str(status_code))
    for status_code in sorted(PAGE_STATUSES):
        telemetry.PAGE_REQUESTS.labels(str(status_code))
