"""Days, periods and moments in UTC, as plain integers and one small class.

A day is the number of days since 1970-01-01; a moment is a number of milliseconds since then.
Takes texts and integers, gives integers and `Period`; refuses whatever the grammar does not name.
"""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

__all__ = [
    "MS_PER_DAY",
    "Period",
    "day_of_ms",
    "day_text",
    "moment_text",
    "parse_day",
    "parse_moment_ms",
    "parse_period",
    "second_text",
]

MS_PER_DAY = 86_400_000
_EPOCH = date(1970, 1, 1)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_MOMENT = re.compile(
    r"(\d{4}-\d{2}-\d{2})[Tt ](\d{2}):(\d{2}):(\d{2})(?:\.(\d+))?([Zz]|[+-]\d{2}:\d{2})", re.ASCII
)
_FIRST_MS = (date.min - _EPOCH).days * MS_PER_DAY
_END_MS = ((date.max - _EPOCH).days + 1) * MS_PER_DAY


@dataclass(frozen=True, order=True, slots=True)
class Period:
    """A calendar month in UTC.

    Args:
        number: year * 12 + month - 1, so that neighbours differ by one.
    """

    number: int

    @classmethod
    def of_day(cls, day: int) -> Period:
        """The period that holds a day (days since 1970-01-01)."""
        when = _EPOCH + timedelta(days=day)
        return cls(when.year * 12 + when.month - 1)

    @property
    def first_day(self) -> int:
        """Its first day, in days since 1970-01-01."""
        return (date(self.number // 12, self.number % 12 + 1, 1) - _EPOCH).days

    @property
    def length(self) -> int:
        """How many days it has, 28 to 31."""
        return calendar.monthrange(self.number // 12, self.number % 12 + 1)[1]

    @property
    def last_day(self) -> int:
        """Its last day, in days since 1970-01-01."""
        return self.first_day + self.length - 1

    def shifted(self, months: int) -> Period:
        """The period that many months later (or earlier, when negative)."""
        return Period(self.number + months)

    def __str__(self) -> str:
        """`YYYY-MM-01`, the field's name of a period."""
        return f"{self.number // 12:04d}-{self.number % 12 + 1:02d}-01"


def day_of_ms(moment_ms: int) -> int:
    """The UTC day (days since 1970-01-01) of a moment in milliseconds."""
    return moment_ms // MS_PER_DAY


def day_text(day: int) -> str:
    """A day as `YYYY-MM-DD`."""
    return (_EPOCH + timedelta(days=day)).isoformat()


def moment_text(moment_ms: int) -> str:
    """A moment as RFC 3339 text in UTC, with milliseconds."""
    return f"{second_text(moment_ms)[:-1]}.{moment_ms % 1000:03d}Z"


def second_text(moment_ms: int) -> str:
    """A moment as RFC 3339 text in UTC, cut to whole seconds."""
    return f"{datetime.fromtimestamp(moment_ms // 1000, UTC):%Y-%m-%dT%H:%M:%S}Z"


def parse_day(text: str) -> int:
    """The day (days since 1970-01-01) that a date names.

    Args:
        text: `YYYY-MM-DD`.

    Raises:
        ValueError: anything else, a date that no calendar has, or one before 1970.
    """
    if not _DATE.fullmatch(text):
        raise ValueError("not a date such as 2026-11-23")
    day = _day_of_date(text)
    if day < 0:
        raise ValueError("the day lies before 1970")
    return day


def parse_period(text: str) -> Period:
    """The period that a date or date-time names.

    Args:
        text: `YYYY-MM-DD`, or an RFC 3339 date-time with a zone; any day of the month will do.

    Raises:
        ValueError: anything else, or a date that no calendar has.
    """
    if _DATE.fullmatch(text):
        return Period.of_day(_day_of_date(text))
    return Period.of_day(day_of_ms(parse_moment_ms(text)))


def parse_moment_ms(text: str) -> int:
    """An RFC 3339 date-time with a zone, as milliseconds since 1970 (finer parts are cut off).

    A leap second (`:60`) counts as the first moment of the next minute, minus a millisecond: it
    belongs to the day that it ends.

    Raises:
        ValueError: not of that form, without a zone, or a time that no calendar has.
    """
    match = _MOMENT.fullmatch(text)
    if match is None:
        raise ValueError("not an RFC 3339 date-time with a zone, such as 2026-11-23T10:00:00Z")
    date_text, hour_text, minute_text, second_text, fraction, zone = match.groups()
    hour, minute, second = int(hour_text), int(minute_text), int(second_text)
    fraction_ms = int((fraction + "00")[:3]) if fraction else 0
    if second == 60:
        second, fraction_ms = 59, 999
    if hour > 23 or minute > 59 or second > 59:
        raise ValueError("a time of day ends at 23:59:59")
    minutes = hour * 60 + minute
    if zone not in "Zz":
        offset_hours, offset_minutes = int(zone[1:3]), int(zone[4:6])
        if offset_hours > 23 or offset_minutes > 59:
            raise ValueError("the zone offset is out of range")
        offset = offset_hours * 60 + offset_minutes
        minutes += offset if zone[0] == "-" else -offset
    moment_ms = _day_of_date(date_text) * MS_PER_DAY + (minutes * 60 + second) * 1000 + fraction_ms
    # The zone may carry a moment past either end of the calendar; such a day has no name.
    if not _FIRST_MS <= moment_ms < _END_MS:
        raise ValueError("the moment lies outside the calendar")
    return moment_ms


# Records of one import are of few days, and finding out which costs more than all the rest.
@lru_cache(maxsize=1024)
def _day_of_date(text: str) -> int:
    return (date.fromisoformat(text) - _EPOCH).days
