"""A month beside another: takes what the API says of both, gives figures, differences and words.

The other month is the one before unless the address names one, earlier or later. While one of the
two runs, only days that both have are compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from msgspec import UNSET

from headcount.api.v1.daily import Columns, DailyBody
from headcount.api.v1.summary import SummaryBody, Totals
from headcount.counting.calendar import parse_period
from headcount.counting.metrics import REPORTED, Metric
from headcount.page.cards import Against
from headcount.page.figures import ChangeText, change_of, full_day_text
from headcount.page.visits import Viewer
from headcount.wording import count_text, month_text

__all__ = [
    "BesideRow",
    "OtherMonth",
    "beside",
    "other_months",
    "other_of",
    "read_summary",
    "totals_on",
]

_YEAR = 12


@dataclass(frozen=True, slots=True)
class BesideRow:
    """One metric in both months, over the days that are compared."""

    metric: Metric
    now: int
    before: int

    @property
    def change(self) -> ChangeText:
        """From the other month to the page's."""
        return change_of(self.now, self.before)


@dataclass(frozen=True, slots=True)
class OtherMonth:
    """The month that a page's month is held against.

    Attributes:
        period: its first day, YYYY-MM-DD.
        named: whether the address names it, rather than meaning the month before.
        day: up to which it counts.
        now_day: up to which the page's month counts where it is held against it.
        shown_day: up to which the page's month counts otherwise.
        whole: whether both are over, so that all of each counts.
    """

    period: str
    named: bool
    day: str
    now_day: str
    shown_day: str
    whole: bool

    def held_against(self, row: BesideRow) -> Against:
        """What a count is held against, in figures and words."""
        return Against(row.now, row.before, self._words(row.before, row.now))

    def _words(self, before: int, now: int) -> str:
        if self.whole:
            return f"{count_text(before)} in {month_text(self.period)}"
        text = f"{count_text(before)} at the end of {full_day_text(self.day, self.now_day)}"
        if self.now_day != self.shown_day:
            text += f"; {count_text(now)} at the end of {full_day_text(self.now_day, self.day)}"
        return text


def beside(now: Totals | None, before: Totals | None) -> list[BesideRow]:
    """Both months, metric by metric; nothing where there is no other one."""
    if now is None or before is None:
        return []
    return [
        BesideRow(metric, getattr(now, metric.name), getattr(before, metric.name))
        for metric in REPORTED
    ]


def totals_on(daily: DailyBody, columns: Columns, day: str) -> Totals:
    """What some columns of a month say of the end of a day."""
    place = daily.days.index(day)
    return Totals(*[getattr(columns, metric.name)[place] for metric in REPORTED])


async def read_summary(
    visit: Viewer, period: str | None, against: str | None
) -> tuple[SummaryBody, bool]:
    """A month's summary, held against another month, and whether that is one that was named.

    Args:
        visit: who asks.
        period: the month, as an address names it; the one that runs when None.
        against: the other month in the same way; the month before when None.

    Raises:
        ApiRefusal: there is no such month.
    """
    asked = [("period", period)] if period else []
    if against:
        query = [*asked, ("against", against)]
        summary = await visit.ask(SummaryBody, "/headcount/v1/summary", query=query)
        # Whoever goes on to the month that the former was held against means the month before it.
        if summary.previous is UNSET or summary.previous.period != summary.month.period:
            return summary, True
    return await visit.ask(SummaryBody, "/headcount/v1/summary", query=asked), False


def other_of(summary: SummaryBody, *, named: bool, current: str) -> OtherMonth | None:
    """The month that a summary is held against; None where there is none.

    Args:
        summary: the answer.
        named: whether the address names that month.
        current: the month that runs.
    """
    before = summary.previous
    if before is UNSET:
        return None
    compared = summary.month if summary.compared is UNSET else summary.compared
    return OtherMonth(
        before.period,
        named,
        before.day,
        compared.day,
        summary.month.day,
        current not in (summary.month.period, before.period),
    )


def other_months(daily: DailyBody, periods: Sequence[str]) -> list[tuple[str, str]]:
    """The months that this one can be held against, with words: a year before it comes first."""
    shown = parse_period(daily.period)
    year_before = str(shown.shifted(-_YEAR))
    found = [each for each in periods if each != daily.period]
    found.sort(key=lambda each: each != year_before)
    return [
        (each, "the year before" if each == year_before else month_text(each)) for each in found
    ]
