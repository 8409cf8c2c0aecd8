"""Newline-delimited records into facts: takes lines, gives chunks of facts, tallies and errors.

A record is a message with its own time of receipt and, unless the whole import is for one source,
its own source. What intake rejects is rejected here too, and named by its line. Memory stays
bounded: by the chunk, by the longest line, and by some hundred bytes for each record that comes
without a messageId.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, NamedTuple

from headcount.intake.admission import TAGS, fact_tail, has_message_id
from headcount.intake.decoding import ImportedRecord, decode_record
from headcount.intake.ports import Clock, Limits, SourceRef
from headcount.intake.reasons import Reason
from headcount.intake.scanning import BOM, JSON_SPACE
from headcount.metering.calendar import day_of_ms, parse_moment_ms
from headcount.metering.facts import IMPORTED, MESSAGE_TYPES, Rejection, fact_head
from headcount.metering.hashing import IdHasher

__all__ = [
    "LINE_BYTES_MAX",
    "FindSource",
    "ImportChunk",
    "LineError",
    "import_chunks",
    "read_lines",
]

FindSource = Callable[[str | None, str | None], SourceRef | None]
"""The source of a record by its `writeKey` and its `sourceId`, either of which may be None.

Whether the source is enabled does not matter: its history is still its history.
"""

LINE_BYTES_MAX = Limits().message_bytes_max
# Room for a byte order mark and a line end beside the longest record.
_READ_BYTES = LINE_BYTES_MAX + 8
_SKIP_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class LineError:
    """A record that was rejected: the number of its line, from 1, and why."""

    line_number: int
    reason: Reason


@dataclass(slots=True)
class ImportChunk:
    """What some consecutive lines became.

    Attributes:
        facts: of the admitted records, packed.
        rejections: tallies of the rejected ones, where their source is known.
        errors: the rejected ones by line.
        records: how many records there were, admitted or rejected.
        last_line_number: the last line that is in here.
    """

    facts: bytearray = field(default_factory=bytearray)
    rejections: list[Rejection] = field(default_factory=list)
    errors: list[LineError] = field(default_factory=list)
    records: int = 0
    last_line_number: int = 0


def read_lines(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """The lines of a file that are not blank, each with its number, from 1.

    Line ends (LF or CRLF), white space around a line and a byte order mark are taken off. Of a
    line that is too long only the beginning is read into memory, and given, one byte too long.
    """
    number = 0
    while line := file.readline(_READ_BYTES):
        number += 1
        is_cut = len(line) == _READ_BYTES and not line.endswith(b"\n")
        if number == 1:
            line = line.removeprefix(BOM)
        if is_cut:
            _skip_line(file)
            yield number, line[: LINE_BYTES_MAX + 1]
        elif record := line.strip(JSON_SPACE):
            yield number, record


def import_chunks(
    lines: Iterable[tuple[int, bytes]],
    *,
    find_source: FindSource,
    hasher: IdHasher,
    clock: Clock,
    chunk_records: int = 10_000,
) -> Iterator[ImportChunk]:
    """Turn records into facts, chunk by chunk; every record ends up in exactly one chunk.

    Records without a messageId get one made from their source, their bytes and their number among
    the byte-equal ones in `lines`, so `lines` must be one whole file (or one request) in order.

    Args:
        lines: records with their line numbers, as `read_lines` gives them.
        find_source: names the source of each record; for an import into one source it ignores
            what it is asked with.
        hasher: hashes ids under the installation's key.
        clock: the present moment; a record of a later one is rejected.
        chunk_records: how many records a chunk may hold.
    """
    importer = _Importer(find_source, hasher, clock)
    chunk = ImportChunk()
    tallies: Counter[tuple[SourceRef, Reason, int]] = Counter()
    for line_number, line in lines:
        verdict = importer.take(line)
        chunk.records += 1
        chunk.last_line_number = line_number
        if isinstance(verdict, bytes):
            chunk.facts += verdict
        else:
            chunk.errors.append(LineError(line_number, verdict.reason))
            if verdict.source is not None:
                day = day_of_ms(verdict.received_at_ms)
                tallies[verdict.source, verdict.reason, day] += 1
        if chunk.records == chunk_records:
            yield _finished(chunk, tallies)
            chunk = ImportChunk()
            tallies.clear()
    if chunk.records:
        yield _finished(chunk, tallies)


class _Verdict(NamedTuple):
    """Why a record was rejected, whose it was, and on which moment's day that is tallied."""

    reason: Reason
    source: SourceRef | None
    received_at_ms: int


class _Importer:
    """Takes the records of one file in order."""

    def __init__(self, find_source: FindSource, hasher: IdHasher, clock: Clock) -> None:
        self._find_source = find_source
        self._hasher = hasher
        self._clock = clock
        # Eight bytes of a digest stand for the record. Should two records ever share them, one
        # gets a number that is too high by one, and is still the same at the next import.
        self._seen: Counter[bytes] = Counter()

    def take(self, line: bytes) -> bytes | _Verdict:
        now_ms = self._clock()
        if len(line) > LINE_BYTES_MAX:
            return _Verdict(Reason.MESSAGE_TOO_LARGE, self._find_source(None, None), now_ms)
        record = decode_record(line)
        if isinstance(record, Reason):
            return _Verdict(record, self._find_source(None, None), now_ms)
        source = self._find_source(record.write_key, record.source_id)
        if source is None:
            return _Verdict(Reason.UNKNOWN_SOURCE, None, now_ms)
        received_at_ms = _received_at_ms(record)
        if isinstance(received_at_ms, Reason):
            return _Verdict(received_at_ms, source, now_ms)
        if received_at_ms > now_ms:
            return _Verdict(Reason.RECEIVED_AT_IN_FUTURE, source, now_ms)
        message_type = record.type
        if message_type not in MESSAGE_TYPES:
            return _Verdict(Reason.UNKNOWN_TYPE, source, received_at_ms)
        made = None if has_message_id(record) else self._made_message_id(line, source)
        tail = fact_tail(self._hasher, record, message_type, made)
        if isinstance(tail, Reason):
            return _Verdict(tail, source, received_at_ms)
        tags = TAGS["import"][message_type]
        return fact_head(received_at_ms, source.workspace, source.source, tags, IMPORTED) + tail

    def _made_message_id(self, line: bytes, source: SourceRef) -> bytes:
        digest = hashlib.blake2b(line)
        key = digest.digest()[:8]
        self._seen[key] += 1
        # Longer than any messageId can be, so that no client's id is ever the same.
        return self._hasher.message(f"{source.source} {self._seen[key]} {digest.hexdigest()}")


def _received_at_ms(record: ImportedRecord) -> int | Reason:
    text = record.received_at if record.received_at is not None else record.occurred_at
    if text is None:
        return Reason.NO_RECEIVED_AT
    try:
        return parse_moment_ms(text)
    except ValueError:
        pass
    try:
        parse_moment_ms(text + "Z")
    except ValueError:
        return Reason.INVALID_RECEIVED_AT
    return Reason.RECEIVED_AT_WITHOUT_ZONE


def _finished(chunk: ImportChunk, tallies: Counter[tuple[SourceRef, Reason, int]]) -> ImportChunk:
    chunk.rejections = [
        Rejection(source.workspace, source.source, day, reason.value, records)
        for (source, reason, day), records in tallies.items()
    ]
    return chunk


def _skip_line(file: BinaryIO) -> None:
    """Read on to the end of a line, a piece at a time."""
    while (piece := file.readline(_SKIP_BYTES)) and not piece.endswith(b"\n"):
        pass
