"""Whether the clock can be believed, and which messages came too late. Takes marks and months."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from headcount.doctor.findings import Finding, ok, warning
from headcount.metering.aside import AsideReason, AsideSum
from headcount.metering.calendar import day_of_ms, day_text
from headcount.metering.sealing import is_due, is_plausible
from headcount.store.protocol import Month

__all__ = ["check_clock", "check_late_messages"]

_CONFIRM = "headcount doctor --confirm-clock"


def check_clock(marks: Mapping[str, int], months: Iterable[Month], now_ms: int) -> Finding:
    """Whether today is a day to which live messages have led up.

    Args:
        marks: the store's marks.
        months: all months, of which some may wait to be closed.
        now_ms: what the clock says.
    """
    today = day_of_ms(now_ms)
    trusted, last = marks.get("trusted_day"), marks.get("last_metered_day")
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
        return warning(
            "clock",
            f"The clock says {day_text(today)}, and messages were received on {day_text(last)}"
            " already; today counts as that day.",
            "Set the clock right.",
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


def check_late_messages(aside: Iterable[AsideSum], workspaces: Mapping[int, str]) -> Finding:
    """Messages that came for a month after it was closed."""
    late = [each for each in aside if each.reason == AsideReason.SEALED and each.period]
    if not late:
        return ok("late messages", "No message came for a month after it was closed.", messages=0)
    named = "; ".join(
        f"{each.messages:,} for {str(each.period)[:7]} of"
        f" {workspaces.get(each.workspace, f'workspace {each.workspace}')}"
        for each in late
    )
    return warning(
        "late messages",
        f"Messages came after their month was closed, and are kept but not counted: {named}.",
        "They lay in a journal for weeks, or the clock was wrong; the counts of a closed month"
        " stand for ever.",
        messages=sum(each.messages for each in late),
    )
