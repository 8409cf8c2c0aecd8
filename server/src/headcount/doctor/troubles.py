"""What hinders the processes of a running server, as they say it themselves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from headcount.counting.calendar import day_of_ms, day_text
from headcount.doctor.findings import Finding, ok, problem, warning
from headcount.meter.notices import OF_STORE
from headcount.runfiles import ChildState
from headcount.troubles import Trouble

__all__ = ["PASSING", "check_troubles", "endings_of"]

PASSING = (
    "Nothing is damaged, and it passes by itself: look again in a minute. A process that ends three"
    " times in a row, or by a fault of its own, is a problem."
)
"""The remedy for what passes."""


def check_troubles(troubles: Sequence[Trouble]) -> Iterator[Finding]:
    """Everything that any of them says, but for what other checks see for themselves."""
    others = [trouble for trouble in troubles if trouble.kind not in OF_STORE]
    if not others:
        yield ok("troubles", "No process of the server says that anything hinders it.")
    for trouble in others:
        told = warning if trouble.passes else problem
        remedy = trouble.remedy or "It ends by itself; if it stays, see the server's log."
        yield told(
            "troubles",
            trouble.message,
            PASSING if trouble.passes else remedy,
            kind=trouble.kind,
            since=day_text(day_of_ms(trouble.since_ms)),
            times=trouble.times,
            hinders=trouble.hinders,
            passes=trouble.passes,
        )


def endings_of(states: Iterable[ChildState], role: str) -> tuple[str, bool]:
    """How often processes of a role have ended, and why, as sentences, empty where they have not;
    and whether that passes."""
    ended = [each for each in states if each.role == role and each.endings and each.said]
    return " ".join(each.said for each in ended), all(each.passes for each in ended)
