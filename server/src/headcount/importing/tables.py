"""Rows of tables into records: takes the names of columns, gives what makes records of rows.

Knows the tables of events that Segment and RudderStack write to warehouses, whose columns are in
snake case, and their fields as messages have them; a map says what else is what. Refuses a table as
a whole where no column can be a time, or an id of a person, or where nothing says of which type its
messages are. Whether a record will do is intake's to say.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec

from headcount.importing.columns_map import FIELDS, ColumnsMap
from headcount.importing.compression import Unfit

__all__ = [
    "ObjectTaker",
    "RowTaker",
    "is_row",
    "looks_like_heading",
    "record_of",
    "table_type",
    "time_text",
]

# What columns are called, lower case and without what is no letter or digit; the first that a row
# has something in counts.
_NAMES: Mapping[str, tuple[str, ...]] = {
    "type": ("type",),
    "event": ("event", "eventtext"),
    "userId": ("userid",),
    "anonymousId": ("anonymousid",),
    "previousId": ("previousid",),
    "groupId": ("groupid",),
    "messageId": ("messageid", "id"),
    "receivedAt": ("receivedat",),
    "timestamp": ("timestamp",),
    "writeKey": ("writekey",),
    "sourceId": ("sourceid",),
    "projectId": ("projectid",),
}
_PEOPLE = ("userId", "anonymousId", "previousId")
_TIMES = ("receivedAt", "timestamp")

_TABLES = {
    "tracks": "track", "identifies": "identify", "pages": "page", "screens": "screen",
    "groups": "group", "aliases": "alias",
}  # fmt: skip
_TABLES |= {each: each for each in _TABLES.values()}
# Their rows are people and companies as they are now, and no messages.
_NO_MESSAGES = ("users", "accounts")
_ENDINGS = re.compile(r"(\.(csv|tsv|parquet|json|ndjson|jsonl|gz|zst|snappy|gzip|zstd))+$")
# The parts and days into which a table is cut: tracks_000, tracks-2026-11-05, tracks.part-3.
_PART = re.compile(r"[-_.](\d[\w.-]*|part[\w.-]*)$")

_MOMENT = re.compile(
    r"\s*(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)([.,]\d+)?\s*"
    r"(?:([Zz]|UTC)|([+-]\d\d):?(\d\d)?)?\s*",
    re.ASCII,
)
_UNITS_A_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 (its zone is UTC, and adding to it is faster so)
_SHOWN_COLUMNS_MAX = 12


def table_type(path: str) -> str | None:
    """The type of the messages in a table by the name of its file, or of a folder of its parts.

    Args:
        path: of the file, its parts separated by "/".

    Returns:
        None where the name says nothing; "" for a table that holds no messages.
    """
    *folders, name = path.lower().split("/")
    name = _ENDINGS.sub("", name)
    for part in (name, *reversed(folders)):
        # A schema may stand before the name of its table.
        table = _PART.sub("", part).rpartition(".")[2]
        if table in _TABLES:
            return _TABLES[table]
        if table in _NO_MESSAGES:
            return ""
    return None


def looks_like_heading(names: Sequence[str]) -> bool:
    """Whether these are columns of a table of messages: the id of a person, and a time."""
    known = {_plain(name) for name in names}

    def has(fields: Sequence[str]) -> bool:
        return any(known.intersection(_NAMES[field]) for field in fields)

    return has(_PEOPLE) and has(_TIMES)


@dataclass(slots=True)
class _Field:
    """Where the value of a field is: columns by their place, each with a path into an object."""

    name: str
    places: tuple[tuple[int, tuple[str, ...]], ...]


class RowTaker:
    """Makes records of the rows of one table.

    Args:
        names: of its columns, in order.
        path: of the file, whose name may say of which type the messages are.
        mapping: what the columns are, where they are called otherwise.

    Attributes:
        has_ids: whether a column holds message ids.
        assumed_utc: whether a time without a zone was met, and taken for UTC.

    Raises:
        Unfit: no messages can be made of it; the text says what is missing.
    """

    def __init__(self, names: Sequence[str], path: str, mapping: ColumnsMap) -> None:
        self._names = list(names)
        self._mapping = mapping
        self._fixed = dict(mapping.values)
        # Before a column of that name, which in these tables is a property of the events.
        is_said = "type" in self._fixed or "type" in mapping.columns
        if not is_said and (of_name := table_type(path)):
            self._fixed["type"] = of_name
        self._fields = [
            found
            for name in FIELDS
            if name not in self._fixed and (found := self._found(name)).places
        ]
        has = {each.name for each in self._fields} | self._fixed.keys()
        self._refuse_what_is_missing(has)
        if "type" not in has:
            self._fixed["type"] = _type_of_all(path, has)
        self.has_ids = "messageId" in has
        self.assumed_utc = False

    @property
    def columns(self) -> list[int]:
        """The places of the columns that are needed of a row."""
        if not self.has_ids:
            return list(range(len(self._names)))
        return sorted({place for each in self._fields for place, _ in each.places})

    def _found(self, name: str) -> _Field:
        columns = self._mapping.columns.get(name)
        if columns is not None:
            places = [place for column in columns if (place := self._place(column)) is not None]
            if not places:
                raise Unfit(
                    f"columns.{name} in the map {self._mapping.name} names"
                    f" {' and '.join(map(repr, columns))}, which is no column here;"
                    f" there are {self._shown()}"
                )
            return _Field(name, tuple(places))
        found = []
        for plain in _NAMES[name]:
            called = [place for place, each in enumerate(self._names) if _plain(each) == plain]
            if len(called) > 1:
                both = " and ".join(repr(self._names[place]) for place in called)
                raise Unfit(f"both {both} could be {name}: say which one is in a map (--map)")
            found += [(place, ()) for place in called]
        return _Field(name, tuple(found))

    def _place(self, column: str) -> tuple[int, tuple[str, ...]] | None:
        if column in self._names:
            return self._names.index(column), ()
        first, *path = column.split(".")
        return (self._names.index(first), tuple(path)) if path and first in self._names else None

    def _refuse_what_is_missing(self, has: set[str]) -> None:
        for fields, what in ((_PEOPLE, "the id of a person"), (_TIMES, "a time of receipt")):
            if has.isdisjoint(fields):
                raise Unfit(
                    f"no column is {' or '.join(fields[:2])}, {what}; there are {self._shown()}."
                    " Say in a map (--map) which one is"
                )

    def _shown(self) -> str:
        names = [each or '""' for each in self._names[:_SHOWN_COLUMNS_MAX]]
        more = len(self._names) - len(names)
        return ", ".join(names) + (f" and {more} more" if more > 0 else "")

    def record(self, row: Sequence[Any]) -> bytes:
        """The record that a row is.

        Args:
            row: a value for each column; None and "" for nothing.

        Raises:
            UnicodeError: a text in it is none.
        """
        values = dict(self._fixed)
        for each in self._fields:
            for place, path in each.places:
                value = _inside(row[place], path)
                if value is not None and value != "":
                    values[each.name] = value
                    break
        for name in _TIMES:
            if name in values:
                values[name] = self._time(values[name])
        if not self.has_ids:
            whole = "\x1f".join(map(str, row))
            values["row"] = _digest(whole.encode("utf-8", "surrogateescape"))
        return msgspec.json.encode(values, enc_hook=str)

    def _time(self, value: Any) -> Any:
        text, has_zone = time_text(value, self._mapping.unit, self._mapping.zone or "Z")
        if not has_zone and self._mapping.zone is None:
            self.assumed_utc = True
        return text


class ObjectTaker:
    """Makes records of rows that came as objects of JSON, each with the columns that it has.

    Args:
        first: the first of them.
        path: of the file, whose name may say of which type the messages are.

    Attributes:
        has_ids: whether every row so far had a message id.
        assumed_utc: whether a time without a zone was met, and taken for UTC.

    Raises:
        Unfit: nothing says of which type the messages are.
    """

    def __init__(self, first: Mapping[str, Any], path: str) -> None:
        self._type = table_type(path)
        if not self._type and "type" not in map(_plain, first):
            self._type = _type_of_all(path, set(map(_plain, first)))
        self.has_ids = True
        self.assumed_utc = False

    def record(self, raw: bytes, row: Mapping[str, Any]) -> bytes:
        """The record that a row is.

        Args:
            raw: its bytes.
            row: what is in it.
        """
        plain = {_plain(name): value for name, value in row.items()}
        values = {"type": self._type} if self._type else {}
        for name in FIELDS:
            for each in () if name in values else _NAMES[name]:
                value = plain.get(each)
                if value is not None and value != "":
                    values[name] = value
                    break
        for name in _TIMES:
            if name in values:
                values[name], has_zone = time_text(values[name], None, "Z")
                self.assumed_utc |= not has_zone
        if "messageId" not in values:
            self.has_ids = False
            values["row"] = _digest(raw)
        return _encoded(values)


def is_row(found: Mapping[str, Any]) -> bool:
    """Whether an object is a row of a table of messages, and not a message as libraries send it."""
    return looks_like_heading(list(found)) and not any(
        name in found for name in FIELDS if name != name.lower()
    )


def _type_of_all(path: str, has: set[str]) -> str:
    """The type of a table's messages, where neither its name nor a column says it."""
    if table_type(path) == "":
        raise Unfit("it is a table of people or companies, and holds no messages")
    if "event" in has:
        return "track"  # no other type has an event, so it is the table of one
    raise Unfit(
        "nothing says of which type its messages are: name it after its table, such as"
        " tracks.csv, or say so under [values] in a map (--map)"
    )


def record_of(raw: bytes, found: Mapping[str, Any], mapping: ColumnsMap) -> bytes:
    """The record that an object of JSON is under a map.

    Args:
        raw: its bytes.
        found: what is in it.
        mapping: what its members are.
    """
    values: dict[str, Any] = dict(mapping.values)
    for name in FIELDS:
        if name in values:
            continue
        for column in mapping.columns.get(name, (name,)):
            value = found[column] if column in found else _inside(found, column.split("."))
            if value is not None and value != "":
                values[name] = value
                break
    for name in _TIMES:
        if name in values:
            values[name], _ = time_text(values[name], mapping.unit, mapping.zone)
    if "messageId" not in values:
        values["row"] = _digest(raw)
    return _encoded(values)


def _encoded(values: Mapping[str, Any]) -> bytes:
    try:
        return msgspec.json.encode(values)
    except UnicodeEncodeError:
        # Half a character; JSON can say it by its number, and intake takes it like any other.
        return json.dumps(values).encode()


def _inside(value: Any, path: Sequence[str]) -> Any:
    for step in path:
        if isinstance(value, str) and value.startswith("{"):
            # Many databases write an object as its JSON.
            try:
                value = msgspec.json.decode(value)
            except (msgspec.MsgspecError, UnicodeError, RecursionError):
                return None
        value = value.get(step) if isinstance(value, dict) else None
    return value


def time_text(value: Any, unit: str | None, zone: str | None) -> tuple[Any, bool]:
    """A time as RFC 3339 has it, and whether it had a zone; what is no time stays what it is.

    Args:
        value: a text, a number, or what a library makes of a time.
        unit: of numbers, since 1970; None where numbers are no times.
        zone: of times without one; None to leave them without.
    """
    if isinstance(value, datetime):
        if value.tzinfo is not None:
            return value.astimezone(UTC).replace(tzinfo=None).isoformat(
                "T", "milliseconds"
            ) + "Z", True
        return value.isoformat("T", "milliseconds") + (zone or ""), False
    if unit is not None and not isinstance(value, bool):
        moment = _of_number(value, unit)
        if moment is not None:
            return moment, True
    if not isinstance(value, str) or (match := _MOMENT.fullmatch(value)) is None:
        return value, True
    day, moment, fraction, utc, hours, minutes = match.groups()
    named = "Z" if utc else f"{hours}:{minutes or '00'}" if hours else None
    fraction = (fraction or "").replace(",", ".")
    return f"{day}T{moment}{fraction}{named or zone or ''}", named is not None


def _of_number(value: Any, unit: str) -> str | None:
    try:
        number = Decimal(value) if isinstance(value, str | int | float | Decimal) else None
        if number is None or not number.is_finite():
            return None
        ms = int(number * 1000 / _UNITS_A_SECOND[unit])
        return (_EPOCH + timedelta(milliseconds=ms)).isoformat("T", "milliseconds") + "Z"
    except (ArithmeticError, ValueError, OverflowError):
        return None


def _digest(row: bytes) -> str:
    return hashlib.blake2b(row, digest_size=16).hexdigest()


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
