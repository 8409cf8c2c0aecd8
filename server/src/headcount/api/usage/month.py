"""One workspace's month as it stands: whether there is one, and how far it goes.

Takes a workspace and perhaps a period, gives a reading with the day up to which it has rows;
refuses periods that do not exist.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import TypeVar

from headcount.api.wire.context import Caller
from headcount.api.wire.problems import Problem
from headcount.counting.calendar import MS_PER_DAY, Period, day_text
from headcount.counting.months import current_period, day_reached, days_so_far, is_there
from headcount.counting.usage import UsageReading, WorkspaceReading
from headcount.store.protocol import UsageStore

__all__ = [
    "MonthView",
    "WorkspaceMonth",
    "http_date",
    "read_month",
    "read_workspace_month",
    "workspace_month_of",
]

R = TypeVar("R", bound=WorkspaceReading)


@dataclass(frozen=True, slots=True)
class WorkspaceMonth:
    """One workspace's month as it stands, without its sources.

    Attributes:
        reading: its counts.
        days: number of days that have rows: all of them, or those up to today.
        past: whether it is over.
    """

    reading: WorkspaceReading
    days: int
    past: bool

    @property
    def period(self) -> Period:
        """The month."""
        return self.reading.period

    @property
    def last_day(self) -> int:
        """The last day that has rows: of a month that is over its last, else today."""
        return self.period.first_day + self.days - 1

    def day_names(self) -> list[str]:
        """`YYYY-MM-DD` of each day that has rows."""
        first = self.period.first_day
        return [day_text(first + day) for day in range(self.days)]

    def bounds_s(self) -> tuple[int, int]:
        """First second of the month and of the next one, Unix seconds."""
        first = self.period.first_day
        return first * MS_PER_DAY // 1000, (first + self.period.length) * MS_PER_DAY // 1000

    def headers(self) -> dict[str, str]:
        """Headers that say until when received messages are counted."""
        return {"Last-Modified": http_date(self.reading.counted_until_ms)}


@dataclass(frozen=True, slots=True)
class MonthView(WorkspaceMonth):
    """One workspace's month as it stands, with its sources.

    Attributes:
        reading: its counts.
    """

    reading: UsageReading


def read_month(caller: Caller, period: Period | None, field: str = "period") -> MonthView:
    """Read a month of the caller's workspace with its sources; the current one when none is named.

    Args:
        caller: whose workspace.
        period: which month.
        field: the parameter that names it.

    Raises:
        Problem: 404 when it lies in the future, or before the workspace's first usage.
    """
    services = caller.services

    def read(month: Period) -> UsageReading:
        return services.store.read_usage(caller.workspace.number, month)

    return MonthView(*_as_it_stands(read, period, services.clock(), field))


def read_workspace_month(
    caller: Caller, period: Period | None, field: str = "period"
) -> WorkspaceMonth:
    """Read a month of the caller's workspace as a whole; otherwise as `read_month`."""
    services = caller.services
    return workspace_month_of(
        services.store, caller.workspace.number, period, services.clock(), field
    )


def workspace_month_of(
    store: UsageStore, workspace: int, period: Period | None, now_ms: int, field: str = "period"
) -> WorkspaceMonth:
    """Read a month of a workspace, by its number, as a whole; the current one when none is named.

    Raises:
        Problem: as for `read_month`.
    """

    def read(month: Period) -> WorkspaceReading:
        return store.read_usage(workspace, month, sources=False)

    return WorkspaceMonth(*_as_it_stands(read, period, now_ms, field))


def _as_it_stands(
    read: Callable[[Period], R], period: Period | None, now_ms: int, field: str
) -> tuple[R, int, bool]:
    """A reading, how many days of it have rows, and whether its month is over."""
    reading = read(period or current_period(now_ms))
    day = day_reached(now_ms, reading.last_metered_day)
    current = Period.of_day(day)
    if period is None and reading.period != current:
        reading = read(current)
    asked = reading.period
    if asked > current:
        raise _missing(field, f"{asked} lies in the future; the current one is {current}.")
    if not is_there(asked, reading.first_period, current):
        first = reading.first_period or current
        raise _missing(
            field, f"{asked} lies before this workspace's first usage; the first one is {first}."
        )
    return reading, days_so_far(asked, day), asked < current


def http_date(moment_ms: int) -> str:
    """A moment as HTTP writes it, cut to whole seconds."""
    return format_datetime(datetime.fromtimestamp(moment_ms // 1000, UTC), usegmt=True)


def _missing(field: str, sentence: str) -> Problem:
    return Problem(404, f'"{field}" {sentence}', field=field)
