"""What a check found, as plain data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import apsw

from headcount.errors import OperatorError

__all__ = ["ERRORS", "REPAIR", "Finding", "Level", "ok", "problem", "warning", "worst"]


REPAIR = (
    "Stop the server, then: headcount doctor --repair. What that cannot repair can only be restored"
    " from a backup."
)
"""The remedy for a row, an entry or a page that is not what was written."""

ERRORS = (OperatorError, apsw.Error, OSError, ValueError, TypeError, OverflowError, MemoryError)
"""What a damaged file may give where nobody expects it: odd numbers, texts without end."""


class Level(StrEnum):
    """How bad a finding is; a later one is worse."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report.

    Attributes:
        check: what was looked at, in a word or two.
        level: how it stands.
        message: what was found, as a sentence.
        remedy: what to do next; empty when nothing is to be done.
        details: numbers and names for programs, with JSON's types.
    """

    check: str
    level: Level
    message: str
    remedy: str = ""
    details: Mapping[str, object] = field(default_factory=dict)


def ok(check: str, message: str, **details: object) -> Finding:
    """All is well."""
    return Finding(check, Level.OK, message, details=details)


def warning(check: str, message: str, remedy: str, **details: object) -> Finding:
    """The counts are right, but something needs a look."""
    return Finding(check, Level.WARNING, message, remedy, details)


def problem(check: str, message: str, remedy: str, **details: object) -> Finding:
    """Something is damaged, lost or about to be."""
    return Finding(check, Level.PROBLEM, message, remedy, details)


def worst(findings: Iterable[Finding]) -> Level:
    """The level of the worst of them; ok for none."""
    order = list(Level)
    return max((finding.level for finding in findings), key=order.index, default=Level.OK)
