"""Records into facts: takes numbered records, gives chunks of facts, tallies and errors.

What is wrong with a record is named by its number. Each chunk carries a checkpoint that stands for
all records of its file up to its end, and for the sources that they were found to be of: a chunk
whose checkpoint is known was taken by an earlier import of the same content, and is passed over.
Memory stays bounded: by the chunk, by the longest record, and by some 24 bytes for each record that
comes without a messageId.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from headcount.counting.attributes import NumberedAttributes
from headcount.counting.facts import Rejection
from headcount.counting.hashing import IdHasher, Keys
from headcount.importing.admitting import Outcomes, admit_each, admit_plain
from headcount.importing.decoders import DecoderPool, Decoders
from headcount.importing.line_files import Gathered, Line, LineFile, gathered
from headcount.importing.plain_records import PlainLimits, PlainRecords, digest_of, take_plain
from headcount.intake.admission import ID_CHARACTERS_MAX, MESSAGE_ID_CHARACTERS_MAX
from headcount.intake.ports import Clock, Limits, SourceRef
from headcount.intake.reasons import Reason
from headcount.intake.records import FindSource, RecordTaker, SealedPeriods, Tallies

__all__ = [
    "CHUNK_RECORDS",
    "Context",
    "ImportChunk",
    "LineError",
    "import_chunks",
]

CHUNK_RECORDS = 10_000
"""How many records a chunk holds, unless they are long."""

_CHECKPOINT_BYTES = 16

# A record that is too early for its time today may be in time when the file is read again.
_MAY_PASS = Reason.RECEIVED_AT_IN_FUTURE
# Its month may have been closed after a record was taken, which then was not refused.
_SINCE_THEN = Reason.PERIOD_SEALED


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


def import_chunks(
    lines: Iterable[Line],
    context: Context,
    *,
    known_checkpoints: Container[bytes] = frozenset(),
    chunk_records: int = CHUNK_RECORDS,
    pool: DecoderPool | None = None,
) -> Iterator[ImportChunk]:
    """Turn records into facts, chunk by chunk; every record ends up in exactly one chunk.

    Records without a messageId get one made from their source, their bytes and their number among
    the byte-equal ones in `lines`, so `lines` must be one whole file in order.

    Args:
        lines: records with their numbers, as `read_lines` gives them.
        context: under which circumstances they are taken.
        known_checkpoints: checkpoints of chunks that are to be passed over.
        chunk_records: how many records a chunk may hold.
        pool: decodes most of a long import in other processes; None to do all of it here. Lines
            are then read ahead of the chunk that is given, where their reader does not mind.
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
    checkpoint = hashlib.blake2b(context.name, digest_size=_CHECKPOINT_BYTES).digest()
    decoding = _Decoding(context, taker, pool)
    for some, decoded in decoding.each(lines, chunk_records):
        chunk = ImportChunk(records=len(some), last_line_number=some.numbers[-1])
        found.clear()
        taker.begin(context.clock())
        plain = decoded()
        outcomes = admit_each(some, taker) if plain is None else admit_plain(some, plain, taker)
        digest = digest_of(some.joined) if plain is None else plain.digest
        checkpoint = _checkpoint(digest, found, checkpoint)
        # Records are taken also where they were taken before: equal ones without ids are
        # numbered, and what was refused is to be said again.
        chunk.is_passed_over = checkpoint in known_checkpoints
        chunk.checkpoint = checkpoint
        _sort(some, outcomes, taker, chunk)
        yield chunk


_Decoded = Callable[[], PlainRecords | None]


class _Decoding:
    """Decodes the records of one file."""

    def __init__(self, context: Context, taker: RecordTaker, pool: DecoderPool | None) -> None:
        self._taker = taker
        self._pool = pool
        self._limits = PlainLimits(
            context.record_bytes_max, ID_CHARACTERS_MAX, MESSAGE_ID_CHARACTERS_MAX
        )
        self._are_named = context.are_sources_named

    def each(
        self, lines: Iterable[Line], chunk_records: int
    ) -> Iterator[tuple[Gathered, _Decoded]]:
        """The records of each chunk, and what gives them decoded: None where one by one will do."""
        if not isinstance(lines, LineFile):
            for some in gathered(lines, chunk_records):
                yield some, self._here(some)
            return
        ahead: deque[_Ahead] = deque()
        for some in lines.gathered(chunk_records):
            decoders = self._decoders()
            if decoders is None:
                while ahead:
                    yield self._first(ahead)
                yield some, self._here(some)
                continue
            ahead.append(_Ahead(some, decoders))
            if sum(not each.is_done for each in ahead) > decoders.ahead_max:
                ahead[-1].take_here()
            while ahead and (ahead[0].is_done or len(ahead) > 2 * decoders.ahead_max):
                yield self._first(ahead)
        for each in reversed(ahead):
            each.take_here()
        while ahead:
            yield self._first(ahead)

    def _first(self, ahead: deque[_Ahead]) -> tuple[Gathered, _Decoded]:
        first = ahead.popleft()

        def decoded() -> PlainRecords | None:
            # The keys in use may have become others since it was read.
            is_valid = _are_same(first.hasher, self._taker.only_hasher())
            return first.result() if is_valid else self._here(first.some)()

        return first.some, decoded

    def _decoders(self) -> Decoders | None:
        hasher = self._taker.only_hasher()
        if self._pool is None or hasher is None:
            return None
        return self._pool.decoders(hasher, self._limits, are_named=self._are_named)

    def _here(self, some: Gathered) -> _Decoded:
        def decoded() -> PlainRecords | None:
            hasher = self._taker.only_hasher()
            if hasher is None or not some.are_lines:
                return None
            return take_plain(
                some.joined, len(some), hasher, self._limits, are_named=self._are_named
            )

        return decoded


class _Ahead:
    """Records that other processes are asked to decode, before it is their turn."""

    def __init__(self, some: Gathered, decoders: Decoders) -> None:
        self.some = some
        self.hasher = decoders.hasher
        self._decoders = decoders
        self._future = decoders.take(some.joined, len(some))
        self._plain: PlainRecords | None = None

    @property
    def is_done(self) -> bool:
        return self._plain is not None or self._future.done()

    def take_here(self) -> None:
        """Decode them here, unless somebody has begun."""
        if self._future.cancel():
            self._plain = self._decoders.take_here(self.some.joined, len(self.some))

    def result(self) -> PlainRecords:
        """What they are decoded, once that is there."""
        return self._future.result() if self._plain is None else self._plain


def _are_same(one: IdHasher, other: IdHasher | None) -> bool:
    return other is not None and (one.key, one.number) == (other.key, other.number)


def _checkpoint(digest: bytes, found: dict[Any, Any], before: bytes) -> bytes:
    """What stands for all records up to the end of a chunk, and for whose they are.

    It is made from the one before, and from the digest of all records joined by line ends. No
    record of lines holds a line end, and one of another form has no end that its reader would not
    find again, so what that is made of can be read in one way only.
    """
    made = hashlib.blake2b(digest, key=before, digest_size=_CHECKPOINT_BYTES)
    # In the order in which they were met, which follows from the records.
    made.update(repr([(names, source and source[:2]) for names, source in found.items()]).encode())
    return made.digest()


def _sort(some: Gathered, outcomes: Outcomes, taker: RecordTaker, chunk: ImportChunk) -> None:
    """Put what became of a chunk's records into it."""
    facts, rejected = outcomes
    tallies = Tallies()
    for place, each in rejected:
        if chunk.is_passed_over and each.reason is _SINCE_THEN:
            continue
        chunk.errors.append(LineError(some.numbers[place], each.reason))
        tallies.add(each)
        if each.reason is _MAY_PASS:
            chunk.checkpoint = None
    if not chunk.is_passed_over:
        chunk.facts = facts
        chunk.rejections = tallies.rejections()
        chunk.attributes = taker.told()
