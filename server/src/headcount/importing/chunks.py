"""Records into facts: takes numbered records, gives chunks of facts, tallies and errors.

What is wrong with a record is named by its number. Each chunk carries a checkpoint that stands for
all records of its file up to its end, and for the sources that they were found to be of: a chunk
whose checkpoint is known was taken by an earlier import of the same content, and is passed over.
Memory stays bounded: by the chunk, by the longest record, and by some 24 bytes for each record that
comes without a messageId.
"""

from __future__ import annotations

import hashlib
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from headcount.counting.attributes import NumberedAttributes
from headcount.counting.facts import Rejection
from headcount.counting.hashing import Keys
from headcount.importing.rejects import Lines
from headcount.intake.ports import Clock, Limits, SourceRef
from headcount.intake.reasons import Reason
from headcount.intake.records import (
    FindSource,
    RecordTaker,
    RejectedRecord,
    SealedPeriods,
    Tallies,
)
from headcount.intake.scanning import JSON_SPACE, without_bom

__all__ = [
    "CHUNK_RECORDS",
    "Context",
    "ImportChunk",
    "Line",
    "LineError",
    "UnreadRecord",
    "import_chunks",
    "read_lines",
]

CHUNK_RECORDS = 10_000
"""How many records a chunk holds, unless they are long."""

# Room for a byte order mark and a line end beside the longest record.
_MORE_BYTES = 8
_SKIP_BYTES = 1 << 16
_CHUNK_BYTES = 4 << 20
_CHECKPOINT_BYTES = 16

# A record that is too early for its time today may be in time when the file is read again.
_MAY_PASS = Reason.RECEIVED_AT_IN_FUTURE
# Its month may have been closed after a record was taken, which then was not refused.
_SINCE_THEN = Reason.PERIOD_SEALED

Line = tuple[int, bytes]
"""A record with its number in its file, from 1: that of its line, where it has one of its own."""


class UnreadRecord(bytes):
    """A record that its reader could not make sense of, as it came.

    Attributes:
        reason: why.
    """

    reason: Reason

    @classmethod
    def of(cls, raw: bytes, reason: Reason) -> UnreadRecord:
        """Such a record."""
        unread = cls(raw)
        unread.reason = reason
        return unread


@dataclass(frozen=True, slots=True)
class Context:
    """Under which circumstances records are taken.

    Attributes:
        find_source: names the source of each record; asked once in a chunk for the same names.
        sealed: which months nothing can be brought into any more.
        hash_keys: the keys under which ids are hashed.
        clock: the present moment; a record of a later one is rejected.
        record_bytes_max: a record that is longer is rejected.
        are_sources_named: whether it is records that name their sources, and not all are of one.
        event_names: whether the names of events are told apart.
        name: bytes that differ when the same lines could become other facts, or be rejected for
            other reasons; checkpoints hold for one name alone. Which sources records are of
            need not be in it.
    """

    find_source: FindSource
    sealed: SealedPeriods
    hash_keys: Keys
    clock: Clock
    name: bytes
    record_bytes_max: int = Limits().record_bytes_max
    are_sources_named: bool = True
    event_names: bool = True


@dataclass(frozen=True, slots=True)
class LineError:
    """A record that was rejected: its number, as `Line` has it, and why."""

    line_number: int
    reason: Reason

    def follows(self, other: LineError) -> bool:
        """Whether it is of the next line, and was rejected for the same reason."""
        return self.reason is other.reason and self.line_number == other.line_number + 1


@dataclass(slots=True)
class ImportChunk:
    """What some consecutive lines became.

    Attributes:
        facts: of the admitted records, packed.
        rejections: tallies of the rejected ones, where their source is known.
        attributes: which attributes the facts name.
        errors: the rejected ones by line.
        records: how many records there were, whatever became of them.
        last_line_number: the last line that is in here.
        checkpoint: what to remember once the chunk is durable, so that it is passed over next time.
            None when there is nothing to remember, because next time it could end differently.
        is_passed_over: whether an earlier import has taken it; there are then no facts and
            tallies.
    """

    facts: bytes = b""
    rejections: list[Rejection] = field(default_factory=list)
    attributes: list[NumberedAttributes] = field(default_factory=list)
    errors: list[LineError] = field(default_factory=list)
    records: int = 0
    last_line_number: int = 0
    checkpoint: bytes | None = None
    is_passed_over: bool = False


def read_lines(file: Lines, record_bytes_max: int = Limits().record_bytes_max) -> Iterator[Line]:
    """The lines of a file that are not blank, each with its number, from 1.

    Line ends (LF or CRLF), white space around a line and a byte order mark are taken off. Of a
    line that is too long only the beginning is read into memory, and given, one byte too long.
    """
    number, read_bytes = 0, record_bytes_max + _MORE_BYTES
    while line := file.readline(read_bytes):
        number += 1
        is_cut = len(line) == read_bytes and not line.endswith(b"\n")
        if number == 1:
            line = without_bom(line)
        if is_cut:
            _skip_line(file)
            yield number, line[: record_bytes_max + 1]
        elif record := line.strip(JSON_SPACE):
            yield number, record


def import_chunks(
    lines: Iterable[Line],
    context: Context,
    *,
    known_checkpoints: Container[bytes] = frozenset(),
    chunk_records: int = CHUNK_RECORDS,
) -> Iterator[ImportChunk]:
    """Turn records into facts, chunk by chunk; every record ends up in exactly one chunk.

    Records without a messageId get one made from their source, their bytes and their number among
    the byte-equal ones in `lines`, so `lines` must be one whole file in order.

    Args:
        lines: records with their numbers, as `read_lines` gives them.
        context: under which circumstances they are taken.
        known_checkpoints: checkpoints of chunks that are to be passed over.
        chunk_records: how many records a chunk may hold.
    """
    found: dict[tuple[str | None, str | None, str | None], SourceRef | None] = {}

    def find_source(
        write_key: str | None, source_id: str | None, project_id: str | None
    ) -> SourceRef | None:
        names = write_key, source_id, project_id
        if names not in found:
            found[names] = context.find_source(*names)
        return found[names]

    taker = RecordTaker(
        find_source if context.are_sources_named else context.find_source,
        context.sealed,
        context.hash_keys,
        context.record_bytes_max,
        event_names=context.event_names,
    )
    take = taker.take
    checkpoint = hashlib.blake2b(context.name, digest_size=_CHECKPOINT_BYTES).digest()
    for gathered in _gathered(lines, chunk_records):
        chunk = ImportChunk(records=len(gathered), last_line_number=gathered[-1][0])
        found.clear()
        taker.begin(context.clock())
        outcomes = [
            take(line) if type(line) is bytes else _unread(taker, line) for _, line in gathered
        ]
        checkpoint = _checkpoint(gathered, found, checkpoint)
        # Records are taken also where they were taken before: equal ones without ids are numbered,
        # and what was refused is to be said again.
        chunk.is_passed_over = checkpoint in known_checkpoints
        chunk.checkpoint = checkpoint
        _sort(gathered, outcomes, taker, chunk)
        yield chunk


def _unread(taker: RecordTaker, record: bytes) -> RejectedRecord:
    assert isinstance(record, UnreadRecord), "no other kind of bytes is a record"
    return taker.refuse(record.reason)


def _checkpoint(gathered: list[Line], found: dict[Any, Any], before: bytes) -> bytes:
    """What stands for all records up to the end of a chunk, and for whose they are.

    It is made from the one before. No record of lines holds a line end, and one of another form
    has no end that its reader would not find again, so what is hashed can be read in one way only.
    """
    made = hashlib.blake2b(key=before, digest_size=_CHECKPOINT_BYTES)
    made.update(b"\n".join([line for _, line in gathered]))
    # In the order in which they were met, which follows from the records.
    made.update(repr([(names, source and source[:2]) for names, source in found.items()]).encode())
    return made.digest()


def _sort(
    gathered: list[Line],
    outcomes: list[bytes | RejectedRecord],
    taker: RecordTaker,
    chunk: ImportChunk,
) -> None:
    """Put what became of a chunk's records into it."""
    facts = [outcome for outcome in outcomes if isinstance(outcome, bytes)]
    tallies = Tallies()
    if len(facts) < len(outcomes):
        for (number, _), outcome in zip(gathered, outcomes, strict=True):
            if isinstance(outcome, bytes) or (
                chunk.is_passed_over and outcome.reason is _SINCE_THEN
            ):
                continue
            chunk.errors.append(LineError(number, outcome.reason))
            tallies.add(outcome)
            if outcome.reason is _MAY_PASS:
                chunk.checkpoint = None
    if not chunk.is_passed_over:
        chunk.facts = taker.packed(facts)
        chunk.rejections = tallies.rejections()
        chunk.attributes = taker.told()


def _gathered(lines: Iterable[Line], chunk_records: int) -> Iterator[list[Line]]:
    """Lines in groups whose bounds follow from the lines alone, so that they are the same again."""
    gathered: list[Line] = []
    gathered_bytes = 0
    for each in lines:
        gathered.append(each)
        gathered_bytes += len(each[1])
        if len(gathered) == chunk_records or gathered_bytes >= _CHUNK_BYTES:
            yield gathered
            gathered, gathered_bytes = [], 0
    if gathered:
        yield gathered


def _skip_line(file: Lines) -> None:
    """Read on to the end of a line, a piece at a time."""
    while (piece := file.readline(_SKIP_BYTES)) and not piece.endswith(b"\n"):
        pass
