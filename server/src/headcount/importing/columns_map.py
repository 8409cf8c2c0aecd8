"""A map of other people's columns: takes a TOML file, gives what each field of a message is called.

Refuses what it does not know, with the key and what would have been right.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from headcount.counting.facts import MESSAGE_TYPES
from headcount.errors import UsageError

__all__ = ["FIELDS", "ColumnsMap", "read_map"]

FIELDS = (
    "type", "event", "userId", "anonymousId", "previousId", "groupId", "messageId", "receivedAt",
    "timestamp", "writeKey", "sourceId", "projectId",
)  # fmt: skip
"""What an import reads of a message."""

_TABLES = ("columns", "values", "times", "sources", "csv")
_UNITS = ("s", "ms", "us", "ns")
_ZONE = re.compile(r"UTC|Z|[+-]\d{2}:\d{2}")


@dataclass(frozen=True, slots=True)
class ColumnsMap:
    """What a map says; one that says nothing stands for no map.

    Attributes:
        name: how errors call the file.
        columns: for a field, the columns that may hold it; the first that is not empty does. A
            dot leads into an object.
        values: fields that are the same in every record.
        unit: of times that are numbers, since 1970; None where there are none.
        zone: of times that name none, as RFC 3339 has it; None where nothing was said.
        sources: for a name of the archive, the id or name of one of ours.
        delimiter: between the cells of CSV; None to find out.
        escape: what stands before a quote inside of quotes, in CSV that does not double them.
        nulls: cells of CSV that stand for nothing.
    """

    name: str = ""
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    values: Mapping[str, str] = field(default_factory=dict)
    unit: str | None = None
    zone: str | None = None
    sources: Mapping[str, str] = field(default_factory=dict)
    delimiter: str | None = None
    escape: str | None = None
    nulls: tuple[str, ...] = ()

    @property
    def is_of_records(self) -> bool:
        """Whether it says anything about the fields of JSON."""
        return bool(self.columns or self.values or self.unit or self.zone)


def read_map(path: Path) -> ColumnsMap:
    """The map in a file.

    Raises:
        UsageError: it cannot be read, is no TOML, or says what no map says; the key is named.
    """
    try:
        entries = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise UsageError(
            f"The map {path} cannot be read: {error.strerror}.", "Check the path after --map."
        ) from error
    except ValueError as error:
        raise UsageError(
            f"The map {path} is not TOML: {error}.",
            'Write, under a line [columns], lines such as: userId = "customer_id".',
        ) from error
    return _MapReader(path).read(entries)


class _MapReader:
    """Checks the entries of one file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self, entries: Mapping[str, Any]) -> ColumnsMap:
        for name in entries:
            self._known(name, _TABLES, "", "tables")
        tables = {name: self._table(entries, name) for name in _TABLES}
        columns = {
            self._known(name, FIELDS, "columns.", "fields"): self._texts(value, f"columns.{name}")
            for name, value in tables["columns"].items()
        }
        values = {
            self._known(name, FIELDS, "values.", "fields"): self._text(value, f"values.{name}")
            for name, value in tables["values"].items()
        }
        if both := sorted(columns.keys() & values.keys()):
            raise self._wrong(
                f"columns.{both[0]}", "is also under [values]", "Leave one of the two out."
            )
        if values.get("type", "track") not in MESSAGE_TYPES:
            raise self._wrong("values.type", "is no type of message", _one_of(MESSAGE_TYPES))
        times, csv = tables["times"], tables["csv"]
        for table, known in (("times", ("unit", "zone")), ("csv", ("delimiter", "escape", "null"))):
            for name in tables[table]:
                self._known(name, known, f"{table}.", "keys")
        return ColumnsMap(
            name=str(self._path),
            columns=columns,
            values=values,
            unit=self._unit(times.get("unit")),
            zone=self._zone(times.get("zone")),
            sources={
                name: self._text(value, f"sources.{name}")
                for name, value in tables["sources"].items()
            },
            delimiter=self._character(csv.get("delimiter"), "csv.delimiter"),
            escape=self._character(csv.get("escape"), "csv.escape"),
            nulls=() if "null" not in csv else self._texts(csv["null"], "csv.null"),
        )

    def _known(self, name: str, known: tuple[str, ...], table: str, kind: str) -> str:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
            raise self._wrong(
                f"{table}{name}",
                "means nothing",
                f'Did you mean "{near[0]}"?' if near else f"The {kind} are {', '.join(known)}.",
            )
        return name

    def _table(self, entries: Mapping[str, Any], name: str) -> Mapping[str, Any]:
        table = entries.get(name, {})
        if not isinstance(table, dict):
            raise self._wrong(name, "is no table", f"Write a line [{name}], and its keys below it.")
        return table

    def _text(self, value: object, key: str) -> str:
        if not isinstance(value, str) or not value:
            raise self._wrong(key, "is no text", "Give it in quotes.")
        return value

    def _texts(self, value: object, key: str) -> tuple[str, ...]:
        if isinstance(value, list) and value:
            return tuple(self._text(each, key) for each in value)
        return (self._text(value, key),)

    def _unit(self, value: object) -> str | None:
        if value is not None and value not in _UNITS:
            raise self._wrong("times.unit", "is no unit", _one_of(_UNITS))
        return None if value is None else str(value)

    def _zone(self, value: object) -> str | None:
        if value is None:
            return None
        if not isinstance(value, str) or not _ZONE.fullmatch(value):
            raise self._wrong("times.zone", "is no zone", 'Give "UTC", or an offset like "+02:00".')
        return "Z" if value == "UTC" else value

    def _character(self, value: object, key: str) -> str | None:
        if value is None:
            return None
        if not isinstance(value, str) or len(value) != 1 or value in '"\r\n':
            raise self._wrong(key, "is no single character", r'Give one, such as ";" or "\t".')
        return value

    def _wrong(self, key: str, what: str, remedy: str) -> UsageError:
        return UsageError(f"{key} in the map {self._path} {what}.", remedy)


def _one_of(names: tuple[str, ...]) -> str:
    return f"Give one of {', '.join(names)}."
