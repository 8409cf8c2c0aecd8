"""What a query string asks for: which period, and which page in any of its accepted spellings.

Takes the raw query string, gives a `Period` and a `PageRequest`; refuses what is malformed, and
spellings that contradict each other, naming the field.

Clients spell the page in three ways, which mean the same:

    pagination={"count":10,"cursor":"..."}              one JSON object
    pagination[count]=10&pagination[cursor]=...         brackets, percent-encoded or not
    pagination.count=10&pagination.cursor=...           dots
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from headcount.api.wire.contract import QueryParameter
from headcount.api.wire.problems import invalid
from headcount.counting.calendar import Period, parse_period
from headcount.openapi import THIS_MONTH

__all__ = [
    "COUNT_DEFAULT",
    "COUNT_MAX",
    "OPTIONAL_PERIOD",
    "PAGE_COUNT",
    "PAGE_CURSOR",
    "PERIOD",
    "PERIOD_TEXT",
    "PageRequest",
    "Pairs",
    "pairs_of",
    "parse_page_param",
    "parse_period_param",
    "parse_value_param",
]

COUNT_DEFAULT = 200
COUNT_MAX = 1000
_WHOLE = re.compile(r"-?[0-9]{1,18}", re.ASCII)
_SPELLED = re.compile(r"pagination(?:\[([^\]]*)\]|\.(.*))", re.DOTALL)

Pairs = Sequence[tuple[str, str]]
"""Names and values of a query string, decoded, in their order."""


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Which page is asked for.

    Attributes:
        count: rows on it at most, 1 to 1000.
        cursor: its cursor as the client sent it; None for the first page.
    """

    count: int
    cursor: str | None


PERIOD_TEXT: dict[str, Any] = {
    "anyOf": [{"type": "string", "format": "date"}, {"type": "string", "format": "date-time"}],
}
_PERIOD_WORDS = (
    "The month, in UTC: a date (`2026-11-01`; any day of the month will do) or an RFC 3339"
    " date-time with a zone, whose `+` is sent as `%2B`."
)
PERIOD = QueryParameter("period", _PERIOD_WORDS, PERIOD_TEXT, required=True, example=THIS_MONTH)
OPTIONAL_PERIOD = QueryParameter(
    "period", _PERIOD_WORDS + " Without it, the current month.", PERIOD_TEXT
)
# As flat parameters: generators of clients leave out a parameter whose text is JSON, and flatten
# one that is an object.
PAGE_COUNT = QueryParameter(
    "pagination[count]",
    "Rows on the page; it may change from page to page. Instead of this parameter and"
    " `pagination[cursor]`, one parameter `pagination` may hold both as the text of a JSON object,"
    ' `{"count":10,"cursor":"…"}`, and `pagination.count` and `pagination.cursor` are understood'
    " too; forms that contradict each other are refused.",
    {"type": "integer", "minimum": 1, "maximum": COUNT_MAX, "default": COUNT_DEFAULT},
    example=str(COUNT_MAX),
)
PAGE_CURSOR = QueryParameter(
    "pagination[cursor]",
    "Which page: `next` or `previous` of the `pagination` of another page of the same query."
    " Without it, the first.",
    {"type": "string", "pattern": "^[A-Za-z0-9_-]{20}$"},
)


def pairs_of(query_string: bytes) -> Pairs:
    """Names and values of a raw query string."""
    return parse_qsl(query_string.decode("latin-1"), keep_blank_values=True, errors="replace")


def parse_value_param(pairs: Pairs, name: str) -> str | None:
    """The one value of a parameter, None without any.

    Raises:
        Problem: 422 when it is given twice with different values.
    """
    values = {value for key, value in pairs if key == name}
    if len(values) > 1:
        raise invalid(name, "is given more than once with different values; give it once.")
    return next(iter(values), None)


def parse_period_param(
    pairs: Pairs, name: str = "period", *, required: bool = True
) -> Period | None:
    """The period that a query names; None when it may be and is missing.

    Raises:
        Problem: 422, naming the parameter.
    """
    text = parse_value_param(pairs, name)
    if text is None and not required:
        return None
    try:
        if text is not None:
            return parse_period(text)
    except ValueError:
        pass
    raise invalid(
        name,
        "must be a date such as 2026-11-01, or a date-time with a zone such as"
        " 2026-11-01T00:00:00Z (a + is sent as %2B).",
    ) from None


def parse_page_param(pairs: Pairs) -> PageRequest:
    """The page that a query names.

    Raises:
        Problem: 422, naming `pagination.count`, `pagination.cursor` or `pagination`.
    """
    counts: set[int] = set()
    cursors: set[str] = set()
    for name, text in pairs:
        if name == "pagination":
            members = _json_members(text)
        elif match := _SPELLED.fullmatch(name):
            member = match[1] if match[1] is not None else match[2]
            whole = member == "count" and _WHOLE.fullmatch(text)
            members = {member: int(text) if whole else text}
        else:
            continue
        for member, value in members.items():
            if member == "count":
                counts.add(_count(value))
            elif member == "cursor":
                cursors.add(_cursor(value))
            else:
                raise invalid(f"pagination.{member}", "is unknown; there are count and cursor.")
    for found, member in ((counts, "count"), (cursors, "cursor")):
        if len(found) > 1:
            raise invalid(f"pagination.{member}", "is given with different values; give it once.")
    return PageRequest(next(iter(counts), COUNT_DEFAULT), next(iter(cursors), None))


def _json_members(text: str) -> dict[str, object]:
    """The members of a JSON object; null means absent."""
    try:
        members = msgspec.json.decode(text.encode("utf-8"))
    except (msgspec.MsgspecError, ValueError, RecursionError):
        members = None
    if not isinstance(members, dict):
        raise invalid("pagination", 'must be a JSON object such as {"count":10}.')
    return {name: value for name, value in members.items() if value is not None}


def _count(value: object) -> int:
    # A boolean is an int to Python, but not a count.
    if type(value) is not int or not 1 <= value <= COUNT_MAX:
        raise invalid("pagination.count", f"must be a whole number from 1 to {COUNT_MAX}.")
    return value


def _cursor(value: object) -> str:
    if not isinstance(value, str):
        raise invalid("pagination.cursor", "must be a text: next or previous of another page.")
    return value
