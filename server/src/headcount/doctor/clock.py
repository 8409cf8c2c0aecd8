"""Whether the clock can be believed, and which messages are not counted because of it, or of what
they are. Takes watermarks, months and the sums of what is kept aside."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from headcount.counting.aside import AsideReason, AsideSum
from headcount.counting.calendar import day_of_ms, day_text
from headcount.counting.sealing import CLOCK_JUMP_DAYS, is_due, is_plausible
from headcount.doctor.findings import Finding, ok, problem, warning
from headcount.store.protocol import Month
from headcount.wording import number_of

__all__ = ["check_aside", "check_clock"]

_CONFIRM = "headcount doctor --confirm-clock"
_NOT_DAMAGED = (AsideReason.SEALED, AsideReason.WAITING, AsideReason.CONFIRMED)


def check_clock(watermarks: Mapping[str, int], months: Iterable[Month], now_ms: int) -> Finding:
    """Whether today is a day to which live messages have led up.

    Args:
        watermarks: the store's.
        months: all months, of which some may wait to be closed.
        now_ms: what the clock says.
    """
    today = day_of_ms(now_ms)
    trusted, last = watermarks.get("trusted_day"), watermarks.get("last_metered_day")
    waiting = sum(
        not month.sealed and is_due(month.period, month.last_import_day, today) for month in months
    )
    details: dict[str, object] = {
        "today": day_text(today),
        "trustedDay": None if trusted is None else day_text(trusted),
        "lastMeteredDay": None if last is None else day_text(last),
        "monthsWaitingToBeClosed": waiting,
    }
    if trusted is None or last is None:
        return ok("clock", "No live message has come yet.", **details)
    if last > today:
        # A step of a day or two happens, and passes; behind more than that a month may hide.
        say = problem if last > today + CLOCK_JUMP_DAYS else warning
        return say(
            "clock",
            f"The clock says {day_text(today)}, and messages were received on {day_text(last)}"
            " already; today counts as that day.",
            f"Set the clock right; if it is right, {_CONFIRM} takes today back to it.",
            **details,
        )
    if is_plausible(trusted, today):
        return ok("clock", f"It is {day_text(today)}, as live messages confirm.", **details)
    if last > trusted:
        found = (
            f"Messages were received on {day_text(last)}, after {last - trusted} days without any:"
            " the clock may have jumped."
        )
    else:
        found = (
            f"The clock says {day_text(today)}, and no message has come since {day_text(trusted)}."
        )
    return warning(
        "clock",
        f"{found} No month is closed until the clock is confirmed ({waiting} wait).",
        f"If today is {day_text(today)}: {_CONFIRM}. Else set the clock right.",
        **details,
    )


def check_aside(aside: Iterable[AsideSum], workspaces: Mapping[int, str]) -> Iterator[Finding]:
    """Messages that are kept and not counted: too late, too soon, or not to be counted at all.

    Args:
        aside: what the store keeps aside.
        workspaces: their names by their numbers.
    """
    sums = list(aside)
    yield _late([s for s in sums if s.reason == AsideReason.SEALED], workspaces)
    yield _waiting([s for s in sums if s.reason == AsideReason.WAITING])
    yield _damaged([s for s in sums if s.reason not in _NOT_DAMAGED])


def _late(late: list[AsideSum], workspaces: Mapping[int, str]) -> Finding:
    check = "late messages"
    if not late:
        return ok(check, "No message came for a month after it was closed.", messages=0)
    named = "; ".join(
        f"{each.messages:,} for {str(each.period)[:7]} of"
        f" {workspaces.get(each.workspace, f'workspace {each.workspace}')}"
        for each in late
    )
    return problem(
        check,
        f"Messages came after their month was closed, and are kept but not counted: {named}.",
        "They lay in a journal for weeks, or the clock was wrong; the counts of a closed month"
        " stand for ever.",
        messages=_messages(late),
    )


def _waiting(waiting: list[AsideSum]) -> Finding:
    check = "waiting"
    if not waiting:
        return ok(check, "No message waits for its day to be confirmed.", messages=0)
    days = [day for s in waiting for day in (s.first_day, s.last_day) if day is not None]
    first, last = day_text(min(days)), day_text(max(days))
    on = f"on {first}" if first == last else f"from {first} to {last}"
    return problem(
        check,
        f"{number_of(_messages(waiting), 'message', 'waits and is', 'wait and are')} not counted:"
        f" received {on} by the clock of then, which nothing confirms.",
        f"See that the clock is right; then {_CONFIRM} counts those whose day it has reached.",
        messages=_messages(waiting),
        firstDay=first,
        lastDay=last,
    )


def _damaged(damaged: list[AsideSum]) -> Finding:
    check = "set aside"
    if not damaged:
        return ok(check, "No message is set aside because it cannot be counted.", messages=0)
    reasons = ", ".join(
        f"{s.messages:,} {s.reason}{f' ({s.origin})' if s.origin else ''}" for s in damaged
    )
    return problem(
        check,
        f"{number_of(_messages(damaged), 'message', 'is', 'are')} set aside and cannot be"
        f" counted ({reasons}).",
        "They stay in the store. Damage points to the disk or the memory of this machine; if there"
        " is none, please report it.",
        messages=_messages(damaged),
        reasons={s.reason: s.messages for s in damaged},
    )


def _messages(sums: Iterable[AsideSum]) -> int:
    return sum(each.messages for each in sums)
