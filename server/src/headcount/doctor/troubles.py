"""What hinders the processes of a running server, as they say it themselves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from headcount.counting.calendar import day_of_ms, day_text
from headcount.doctor.findings import Finding, ok, problem
from headcount.meter.notices import OF_STORE
from headcount.runfiles import ChildState
from headcount.troubles import Trouble

__all__ = ["check_troubles", "keeps_ending"]


def check_troubles(troubles: Sequence[Trouble]) -> Iterator[Finding]:
    """Everything that any of them says, but for what other checks see for themselves."""
    others = [trouble for trouble in troubles if trouble.kind not in OF_STORE]
    if not others:
        yield ok("troubles", "No process of the server says that anything hinders it.")
    for trouble in others:
        yield problem(
            "troubles",
            trouble.message,
            trouble.remedy or "It ends by itself; if it stays, see the server's log.",
            kind=trouble.kind,
            since=day_text(day_of_ms(trouble.since_ms)),
            times=trouble.times,
            hinders=trouble.hinders,
        )


def keeps_ending(states: Iterable[ChildState], role: str) -> str:
    """How often a process of a role has ended, and why, as sentences; empty where it has not."""
    return " ".join(s.said for s in states if s.role == role and s.endings and s.said)
