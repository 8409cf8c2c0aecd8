"""Records that bring their own time and source: takes raw JSON, gives facts or named rejections.

A record is a message with its own time of receipt and, unless the whole import is for one source,
its own source. What intake rejects is rejected here too. The rules are the same whether records
come as the lines of a file or as the batch of a request.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Collection
from typing import NamedTuple

from headcount.counting.attributes import NumberedAttributes
from headcount.counting.calendar import Period, day_of_ms, parse_moment_ms
from headcount.counting.facts import (
    FIRST_MS,
    IMPORTED,
    MESSAGE_TYPES,
    Rejection,
    fact_head,
    packed,
)
from headcount.counting.hashing import IdHasher, KeyRing, Keys
from headcount.intake.admission import TAGS, fact_tail, has_message_id
from headcount.intake.attribute_book import AttributeBook
from headcount.intake.decoding import ImportedRecord, decode_record
from headcount.intake.occurrences import OccurrenceCounter
from headcount.intake.ports import Limits, SourceRef
from headcount.intake.reasons import Reason, Refused
from headcount.intake.results import BatchResult
from headcount.intake.work import TURN_STEPS, StepBudget, Work, messages_a_turn

__all__ = [
    "FindSource",
    "RecordTaker",
    "RejectedRecord",
    "SealedPeriods",
    "Tallies",
    "take_records",
]

FindSource = Callable[[str | None, str | None, str | None], SourceRef | None]
"""The source of a record by its `writeKey`, `sourceId` and `projectId`, any of which may be None.

Whether the source is enabled does not matter: its history is still its history.
"""

SealedPeriods = Callable[[int], Collection[Period]]
"""The months of a workspace, by its number, that are closed for good."""


class RejectedRecord(NamedTuple):
    """Why a record was rejected, whose it was, and on which day that is tallied."""

    reason: Reason
    source: SourceRef | None
    day: int


class RecordTaker:
    """Takes the records of one file or request in order.

    Args:
        find_source: names the source of each record; for an import into one source it ignores
            what it is asked with.
        sealed: which months nothing can be brought into any more.
        hash_keys: the keys under which ids are hashed.
        record_bytes_max: a record that is longer is rejected.
        event_names: whether the names of events are told apart.
        in_time: whether others wait meanwhile; as for `is_known_bot`.

    Attributes:
        now_ms: the moment as of which records are taken.
    """

    def __init__(
        self,
        find_source: FindSource,
        sealed: SealedPeriods,
        hash_keys: Keys,
        record_bytes_max: int = Limits().record_bytes_max,
        *,
        event_names: bool = True,
        in_time: bool = False,
    ) -> None:
        self._record_bytes_max = record_bytes_max
        self._find_source = find_source
        self._sealed = sealed
        self._hash_keys = hash_keys
        self._ring = hash_keys.ring()
        self.now_ms = 0
        self._is_sealed: dict[tuple[int, int], bool] = {}
        self._occurrences = OccurrenceCounter()
        self._book = AttributeBook(event_names=event_names, in_time=in_time)
        self._told: set[NumberedAttributes] = set()

    def begin(self, now_ms: int) -> None:
        """Take what follows as of a moment: no record may be later, or of a month then closed.

        Raises:
            StorageUnavailableError: it is not known under which keys to hash.
        """
        self.now_ms = now_ms
        self._ring = self._hash_keys.ring()
        self._is_sealed.clear()
        self._book.begin(now_ms)
        self._told.clear()

    def told(self) -> list[NumberedAttributes]:
        """Which attributes the facts name that were taken since `begin`."""
        return list(self._told)

    def packed(self, facts: list[bytes]) -> bytes:
        """Facts that were taken since `begin`, together."""
        return packed(b"".join(facts), self._ring.flags)

    def keep_to(self, write_key: str) -> None:
        """Take what follows into the source of one write key, whatever each record names.

        Raises:
            Refused: there is no such source.
        """
        source = self._find_source(write_key, None, None)
        if source is None:
            raise Refused(Reason.UNKNOWN_WRITE_KEY)
        self._find_source = lambda _write_key, _source_id, _project_id: source

    def take(self, raw: bytes, budget: StepBudget | None = None) -> bytes | RejectedRecord:
        """The fact of a record, or why there is none.

        Args:
            raw: the record.
            budget: of the request that brings it; without one it has what a message may take.
        """
        if len(raw) > self._record_bytes_max:
            return self.refuse(Reason.MESSAGE_TOO_LARGE)
        if not (raw.isascii() or _is_utf8(raw)):
            return self.refuse(Reason.NOT_UTF8)
        record = decode_record(raw, budget)
        if isinstance(record, Reason):
            return self.refuse(record)
        source = self._find_source(record.write_key, record.source_id, record.project_id)
        if source is None:
            return self._rejected(Reason.UNKNOWN_SOURCE, None)
        received_at_ms = _received_at_ms(record)
        if isinstance(received_at_ms, Reason):
            return self._rejected(received_at_ms, source)
        if received_at_ms > self.now_ms:
            return self._rejected(Reason.RECEIVED_AT_IN_FUTURE, source)
        if received_at_ms < FIRST_MS:
            return self._rejected(Reason.RECEIVED_AT_BEFORE_2000, source)
        day = day_of_ms(received_at_ms)
        if self.is_sealed(source.workspace, day):
            return self._rejected(Reason.PERIOD_SEALED, source)
        message_type = record.type
        if message_type not in MESSAGE_TYPES:
            return RejectedRecord(Reason.UNKNOWN_TYPE, source, day)
        hasher = self._ring.at(received_at_ms)
        made = None if has_message_id(record) else self._made_message_id(raw, source, hasher)
        tail = fact_tail(hasher, record, message_type, made)
        if isinstance(tail, Reason):
            return RejectedRecord(tail, source, day)
        library, browser = bytes(record.library), bytes(record.browser)
        tags = TAGS["import"][message_type]
        tags |= self.tags_of(source.source, message_type, record.event, library, browser)
        flags = IMPORTED | hasher.flags
        return fact_head(received_at_ms, source.workspace, source.source, tags, flags) + tail

    def source_of(self, *names: str | None) -> SourceRef | None:
        """The source of a record by its `writeKey`, `sourceId` and `projectId`; None for none."""
        return self._find_source(*names)

    def only_hasher(self) -> IdHasher | None:
        """What hashes all ids; None while that depends on their month."""
        hashers = self._ring.hashers if isinstance(self._ring, KeyRing) else [self._ring]
        return hashers[0] if len(hashers) == 1 and hashers[0].also is None else None

    def tags_of(
        self, source: int, message_type: str, event: str | None, library: bytes, browser: bytes
    ) -> int:
        """What the tags of a fact say of its message's attributes, which are told from then on.

        Args:
            source: the number of its source.
            message_type: the type of the message.
            event: its event; None for none.
            library: what its context calls its library, as it came.
            browser: what its context says of its browser, as it came.
        """
        named = self._book.of(source, library, browser, b"", short=False)
        number, attributes = named[message_type, event]
        self._told.add(attributes)
        return number

    def refuse(self, reason: Reason) -> RejectedRecord:
        """Refuse a record that cannot be read, whose source is known where all have one source."""
        return self._rejected(reason, self._find_source(None, None, None))

    def _rejected(self, reason: Reason, source: SourceRef | None) -> RejectedRecord:
        # There is no day of receipt to put it to, so it is put to the day of the import.
        return RejectedRecord(reason, source, day_of_ms(self.now_ms))

    def is_sealed(self, workspace: int, day: int) -> bool:
        """Whether the month of a day is closed for good in a workspace."""
        known = self._is_sealed.get((workspace, day))
        if known is None:
            known = Period.of_day(day) in self._sealed(workspace)
            self._is_sealed[workspace, day] = known
        return known

    def _made_message_id(self, raw: bytes, source: SourceRef, hasher: IdHasher) -> bytes:
        digest = hashlib.blake2b(raw).digest()
        number = self._occurrences.next(digest)
        # Longer than any messageId can be, so that no client's id is ever the same.
        return hasher.message(f"{source.source} {number} {digest.hex()}")


class Tallies:
    """Adds up the rejections of records whose source is known."""

    def __init__(self) -> None:
        self._records: Counter[tuple[SourceRef, Reason, int]] = Counter()

    def add(self, verdict: RejectedRecord) -> None:
        """One more rejected record."""
        if verdict.source is not None:
            self._records[verdict.source, verdict.reason, verdict.day] += 1

    def rejections(self) -> list[Rejection]:
        """The sums."""
        return [
            Rejection(source.workspace, source.source, day, reason.value, records)
            for (source, reason, day), records in self._records.items()
        ]


def take_records(body: bytes, taker: RecordTaker, limits: Limits) -> Work[BatchResult]:
    """Sorts the records of a request into facts and rejections, turn by turn.

    Args:
        body: an object with the array `batch`; its `writeKey`, if any, names the source of all.
        taker: a new one, told the present moment.
        limits: how many records a request may hold, and how much work they may take.

    Raises:
        Refused: the batch as a whole is unreadable, or has an unknown write key.
    """
    from headcount.intake.batches import find_items  # an import of files has no batches

    budget = StepBudget(limits.request_steps_max)
    items = yield from find_items(body, limits.batch_messages_max, budget)
    if items.write_key:
        taker.keep_to(items.write_key)
    facts: list[bytes] = []
    rejected: list[tuple[int, Reason]] = []
    tallies = Tallies()
    a_turn = messages_a_turn(len(items.batch), len(body))
    next_index, next_steps = a_turn, budget.spent + TURN_STEPS
    for index, raw in enumerate(items.batch):
        if index >= next_index or budget.spent >= next_steps:
            next_index, next_steps = index + a_turn, budget.spent + TURN_STEPS
            yield
        outcome = taker.take(bytes(raw), budget)
        if isinstance(outcome, bytes):
            facts.append(outcome)
        else:
            rejected.append((index, outcome.reason))
            tallies.add(outcome)
    told = taker.told()
    return BatchResult(taker.packed(facts), tallies.rejections(), rejected, libraries=told)


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


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
