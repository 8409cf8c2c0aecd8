"""How the first records of an import are understood: takes records as they are read, gives rows.

For somebody who wants to see, before anything is counted, that an id is an id and a time a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from headcount.catalog import Source
from headcount.counting.calendar import moment_text, parse_moment_ms
from headcount.importing.archive_sources import ArchiveSources
from headcount.importing.chunks import ImportChunk
from headcount.importing.line_files import Line
from headcount.intake.decoding import IdValue, ImportedRecord, decode_record
from headcount.intake.reasons import Reason

__all__ = ["FirstRow", "FirstRows"]

_A_FILE = 3
_ALL = 21


class FirstRow(NamedTuple):
    """One record, in texts; what it has not is empty."""

    place: str
    type: str
    user_id: str
    anonymous_id: str
    previous_id: str
    time: str
    source: str
    message_id: str
    outcome: str


class FirstRows:
    """The first three records of each file, as far as there is room for them.

    Args:
        sources: finds the source that a record names.
        only: the source of all records, where they have one.

    Attributes:
        rows: what was understood.
    """

    def __init__(self, sources: ArchiveSources, only: Source | None) -> None:
        self._sources = sources
        self._only = only
        self._waiting: list[Line] = []
        self.rows: list[FirstRow] = []

    def watched(self, lines: Iterator[Line]) -> Iterator[Line]:
        """The records of one file, of which the first are remembered."""
        room = min(_A_FILE, _ALL - len(self.rows))
        for each in lines:
            if room > 0:
                room -= 1
                self._waiting.append(each)
            yield each

    def took(self, chunk: ImportChunk, place_of: Callable[[int], str]) -> None:
        """Make rows of what was remembered, now that it is known what becomes of it."""
        reasons = {error.line_number: error.reason for error in chunk.errors}
        for number, raw in self._waiting:
            reason = reasons.get(number)
            self.rows.append(self._row(place_of(number), raw, reason))
        self._waiting.clear()

    def _row(self, place: str, raw: bytes, reason: Reason | None) -> FirstRow:
        outcome = "counts" if reason is None else reason.value
        record = decode_record(raw)
        if isinstance(record, Reason):
            return FirstRow(place, "", "", "", "", "", "", "", outcome)
        if self._only is not None:
            source = self._only.name
        else:
            found = self._sources.find(record.write_key, record.source_id, record.project_id)
            source = "" if found is None else self._sources.name_of(found)
        return FirstRow(
            place,
            record.type or "",
            _text(record.user_id),
            _text(record.anonymous_id),
            _text(record.previous_id),
            _time(record),
            source,
            _text(record.message_id) or "(made)",
            outcome,
        )


def _text(value: IdValue) -> str:
    return "" if value is None else str(value)


def _time(record: ImportedRecord) -> str:
    text = record.received_at if record.received_at is not None else record.occurred_at
    try:
        moment_ms = parse_moment_ms(text or "")
    except ValueError:
        return text or ""
    return moment_text(moment_ms)
