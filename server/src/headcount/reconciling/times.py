"""Times as statements write them: takes cells, gives days and months, and says what looks like one.

What names a day or a month in one way only is read: digits with the year first, the month before
its year, and English names of months. What may be two, `03/10/2026` or `Oct-26`, is none. Where no
column is known to hold times, a cell of any other may be one, in any language: what looks like one
there is told, so that nobody counts another month as this one.
"""

from __future__ import annotations

import re
from datetime import date

__all__ = ["day_in", "looks_like_time", "may_be_time"]

_MONTHS = ("january", "february", "march", "april", "may", "june", "july", "august", "september",
           "october", "november", "december")  # fmt: skip
_LETTERS_OF_NAME = 3
_NAME = "|".join(f"{each[:_LETTERS_OF_NAME]}(?:{each[_LETTERS_OF_NAME:]})?" for each in _MONTHS)
_NAME = f"(?:{_NAME}|sept)".replace("may()?", "may")
_PART = r"[\s,/.-]{1,2}"
_NTH = r"(?P<day>[0-9]{1,2})(?:st|nd|rd|th)?"
_YEAR = r"(?P<year>(?:19|20)[0-9]{2})"
_FORMS = tuple(
    re.compile(form, re.IGNORECASE)
    for form in (
        # A moment names its day only as the beginning of it, in UTC.
        r"(?P<year>[0-9]{4})(?P<part>[-/.])(?P<month>[0-9]{1,2})(?:(?P=part)(?P<day>[0-9]{1,2}))?"
        r"(?:[T ]00:00(?::00(?:\.0+)?)?(?: ?(?:Z|UTC|\+00:?00))?)?",
        # With the day or the month first, these eight digits would have no such month.
        rf"{_YEAR}(?P<month>[0-9]{{2}})(?P<day>[0-9]{{2}})",
        rf"(?P<month>[0-9]{{1,2}})[-/.]{_YEAR}",
        rf"(?P<month>{_NAME}){_PART}{_YEAR}",
        rf"{_YEAR}{_PART}(?P<month>{_NAME})",
        rf"{_NTH}{_PART}(?P<month>{_NAME}){_PART}{_YEAR}",
        rf"(?P<month>{_NAME}){_PART}{_NTH}{_PART}{_YEAR}",
    )
)

# No month of others can be that of a count of messages.
_ANY_YEAR = r"20[0-4][0-9]"
_ANY_MONTH = r"(?:0?[1-9]|1[0-2])"
# What follows a year in the number of an invoice, as in INV-2026-0042.
_NO_NUMBER = r"(?![0-9])(?![-/.][0-9]{3})"
_LOOKS = tuple(
    re.compile(form, re.IGNORECASE)
    for form in (
        rf"(?<![0-9]){_ANY_MONTH}\s?[-/.]\s?{_ANY_YEAR}{_NO_NUMBER}",
        rf"(?<![0-9]){_ANY_YEAR}\s?[-/.]\s?{_ANY_MONTH}(?![0-9])",
        # 10/26; 3/10/26 and 10/3/26
        rf"\A\s*{_ANY_MONTH}[/-][0-9]{{2}}\s*\Z",
        r"(?<![0-9A-Za-z])[0-9]{1,2}([-/.])[0-9]{1,2}\1[0-9]{2}(?![0-9])",
        # A month's name in any language beside a year: Oktober 2026, 2026年10月, Okt-26.
        rf"[^\W\d_]{{3}}\.?[\s,'\u2019/-]{{0,2}}{_ANY_YEAR}{_NO_NUMBER}",
        rf"(?<![0-9A-Za-z]){_ANY_YEAR}[\s-]?[^\W\d_]",
        r"\A\s*[^\W\d_]{3,}\.?[\s'\u2019/-]{1,2}[0-4][0-9]\s*\Z",
        # Of an English one, its day or the last two digits of the year, or nothing.
        rf"\b{_NAME}\b\.?[\s,'\u2019/-]{{0,2}}[0-9]{{1,2}}\b",
        rf"\b[0-9]{{1,2}}(?:st|nd|rd|th)?[\s/-]?{_NAME}\b",
        rf"\A\s*{_NAME}\.?\s*\Z",
        # Quarters, halves and weeks.
        r"\b[qh][1-4]\b",
        r"\b(?:week|kw|w)[\s-]?[0-9]{1,2}\b",
    )
)
# What machines make: ids, keys and addresses of mail.
_MADE = re.compile(
    r"\s*(?:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-z]{20,}|[^@\s]+@[^@\s]+)\s*",
    re.IGNORECASE | re.ASCII,
)
# Digits alone: a year, a month, a day, or seconds or milliseconds since 1970 of these decades.
_DIGITS = re.compile(
    rf"{_ANY_YEAR}|{_ANY_YEAR}(?:0[1-9]|1[0-2])(?:[0-3][0-9])?|1[0-9]{{9}}(?:[0-9]{{3}})?"
)


def day_in(text: str) -> tuple[date, bool] | None:
    """The day that a text names, and whether it names the month alone.

    None where it is no such date, or may be two.
    """
    for form in _FORMS:
        match = form.fullmatch(text)
        if match is None:
            continue
        parts = match.groupdict()
        try:
            return (
                date(int(parts["year"]), _month(parts["month"]), int(parts.get("day") or 1)),
                not parts.get("day"),
            )
        except ValueError:
            return None
    return None


def looks_like_time(text: str) -> bool:
    """Whether a text seems to name a time, in a way of which digits alone are none."""
    return not _MADE.fullmatch(text) and any(each.search(text) for each in _LOOKS)


def may_be_time(digits: str) -> bool:
    """Whether digits may be a time. A count is, too, but not each of a column of them."""
    return _DIGITS.fullmatch(digits) is not None


def _month(text: str) -> int:
    if text.isdigit():
        return int(text)
    name = text.lower()[:_LETTERS_OF_NAME]
    return next(at for at, each in enumerate(_MONTHS, 1) if each.startswith(name))
