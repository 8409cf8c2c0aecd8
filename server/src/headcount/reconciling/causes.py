"""What may have caused a difference: takes it and what became of messages here, gives sentences.

Each is a guess that the numbers bear out, and says which numbers; none is said where they do not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from headcount.counting.metrics import API_CALLS, HEADLINES, Metric
from headcount.reconciling.differing import DayDifference, Difference
from headcount.wording import count_text

__all__ = ["Known", "causes_of"]

# Two numbers are about the same where they differ by less than this share.
_ABOUT = 0.05
_FEW_DAYS = 3
_DAYS_MIN = 5


class Known:
    """What is known of our side beside its counts.

    Args:
        duplicates, rejected: messages of the month that came again, or were refused.
        known_later: anonymous ids whose user became known.
        summed_mtu: tracked users of the sources, added up; None where it is not about a workspace.
    """

    def __init__(
        self,
        duplicates: int = 0,
        rejected: int = 0,
        known_later: int = 0,
        summed_mtu: int | None = None,
    ) -> None:
        self.duplicates = duplicates
        self.rejected = rejected
        self.known_later = known_later
        self.summed_mtu = summed_mtu

    @classmethod
    def of_outcomes(cls, outcomes: Mapping[str, Any], **others: Any) -> Known:
        """Out of an answer's outcomes."""
        duplicates = int(outcomes["duplicate"]) + int(outcomes.get("conflictingDuplicate", 0))
        return cls(duplicates, int(outcomes["rejected"]), **others)


def causes_of(difference: Difference, known: Known, *, by_our_rules: bool = False) -> list[str]:
    """What may have caused a difference, the most telling first; nothing where nothing differs.

    Args:
        difference: it.
        known: what is known of our side.
        by_our_rules: whether theirs are messages that were counted here, as an archive's are.
    """
    say_which = "say which under [sources] in the file of --sources."
    if by_our_rules:
        say_which = "say which under [sources] in the file of --map."
    if difference.state == "theirs-only":
        return [
            "Nothing of it came here in the month: it does not post here, or it has another name"
            f" here; {say_which}"
        ]
    if difference.state == "ours-only":
        return [
            "They have nothing of it in the month: it posts here alone, or it has another name"
            f" there; {say_which}"
        ]
    if difference.state == "unknown":
        return [
            "It cannot be compared: there is no day of which both have a count. Fill in the cells"
            " of theirs that are left blank, or give theirs by day."
        ]
    if difference.difference == 0 and not any(each.difference for each in difference.days):
        return []
    if not difference.theirs:
        return ["They have nothing of it in the month."]
    if not by_our_rules and _are_theirs_new(difference.days):
        return [
            "Their number of each day is about what came on that day alone here: give --new, if the"
            " file has no totals from the start of the month."
        ]
    by_rule = (
        _of_calls(difference, known)
        if _is_calls(difference.metric)
        else _of_users(difference, known)
    )
    return [*by_rule, *_of_days(difference, by_our_rules=by_our_rules)]


def _are_theirs_new(days: Sequence[DayDifference]) -> bool:
    """Whether their totals are those of each day alone, on days that the first is not among."""
    came = [each.ours - before.ours for before, each in pairwise(days)]
    theirs = [each.theirs for each in days[1:]]
    alike = sum(_about(one, other) for one, other in zip(came, theirs, strict=True))
    return len(came) >= _DAYS_MIN and alike >= 0.8 * len(came)


def _is_calls(metric: Metric) -> bool:
    return metric.terms == next(m for m in HEADLINES if m.column == API_CALLS).terms


def _of_calls(difference: Difference, known: Known) -> list[str]:
    more = difference.difference
    both = known.duplicates + known.rejected
    if _about(more, known.duplicates):
        return [
            f"{count_text(known.duplicates)} deliveries were repeats of a messageId here and"
            " counted once: they may count each."
        ]
    if _about(more, known.rejected):
        return [
            f"{count_text(known.rejected)} messages were rejected here: they may count them."
            " The page and `headcount tail` say why."
        ]
    if known.duplicates and known.rejected and _about(more, both):
        return [
            f"{count_text(known.duplicates)} repeats and {count_text(known.rejected)} rejected"
            " messages are not counted here: they may count both."
        ]
    return []


def _of_users(difference: Difference, known: Known) -> list[str]:
    found = []
    if _about(difference.difference, known.known_later):
        found.append(
            f"{count_text(known.known_later)} anonymous ids belong to users who became"
            " known, and count once here: they may count both."
        )
    if known.summed_mtu is not None and difference.theirs is not None:
        gap = known.summed_mtu - (difference.ours or 0)
        if gap and _about(difference.difference, gap):
            found.append(
                f"Added up over sources, tracked users are {count_text(known.summed_mtu)} here:"
                " they may count who is in several sources several times."
            )
    return found


def _of_days(difference: Difference, *, by_our_rules: bool) -> list[str]:
    """What the shape of the days says."""
    days = difference.days
    grown = [each for each in days if each.added]
    if len(days) < _DAYS_MIN or not grown:
        return []
    moved = sum(abs(each.added) for each in grown)
    largest = sorted(grown, key=lambda each: -abs(each.added))[:_FEW_DAYS]
    if abs(difference.difference) * 10 <= moved:
        # Who counts by our rules cuts days as we do.
        cut_otherwise = (
            "Days differ much more than the month does: they may cut days in another time zone, or"
            " by another time of a message than that of its receipt."
        )
        return [] if by_our_rules else [cut_otherwise]
    of_largest = sum(abs(each.added) for each in largest)
    if of_largest >= 0.9 * moved and len(days) > 2 * _FEW_DAYS:
        named = ", ".join(f"{each.day + 1}" for each in sorted(largest, key=lambda e: e.day))
        side = "here" if difference.difference > 0 else "there"
        return [
            f"It arose on few days (day {named} of the month): something may have been down, or"
            f" not been imported, {side} then."
        ]
    if _is_steady(days):
        share = abs(difference.difference) / max(1, difference.ours or 0)
        return [
            f"Every day differs by about the same share ({share:.1%}): a part of the senders may go"
            " to one side only, as with sampling, blockers, or one library that was not changed."
        ]
    return []


def _is_steady(days: Sequence[DayDifference]) -> bool:
    shares = []
    before = 0
    for each in days:
        new, before = each.ours - before, each.ours
        if new > 0:
            shares.append(each.added / new)
    if len(shares) < _DAYS_MIN:
        return False
    middle = sorted(shares)[len(shares) // 2]
    near = [share for share in shares if abs(share - middle) <= max(0.25 * abs(middle), 0.01)]
    return middle != 0 and len(near) >= 0.8 * len(shares)


def _about(number: int, other: int) -> bool:
    return number > 0 and other > 0 and abs(number - other) <= _ABOUT * max(number, other)
