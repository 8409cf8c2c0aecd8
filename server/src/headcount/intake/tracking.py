"""One body in, facts and rejections out: takes the decompressed bytes of a message or a batch,
gives packed facts, tallies and what to tell the client; does no I/O.
"""

from __future__ import annotations

import re
import secrets
from collections import Counter
from collections.abc import Iterable, Sequence

from headcount.counting.attributes import NumberedAttributes
from headcount.counting.calendar import day_of_ms
from headcount.counting.facts import ABSENT, MESSAGE_TYPES, Rejection, pack_fact, packed
from headcount.counting.hashing import IdHasher, Keys
from headcount.counting.libraries import LibraryUse, Told
from headcount.intake.admission import TAGS, fact_tail, has_message_id
from headcount.intake.attribute_book import AttributeBook, SenderBook
from headcount.intake.batches import Batch, PlainMessage, decode_batch, decode_item
from headcount.intake.decoding import (
    NO_AGENT,
    NO_LIBRARY,
    Message,
    MessageContext,
    decode_message,
)
from headcount.intake.heads import PLAIN_TYPES, Heads, PlainHeads, head_of
from headcount.intake.libraries import LibraryTally
from headcount.intake.ports import Limits, SourceRef, WriteKeys
from headcount.intake.reasons import Reason, Refused
from headcount.intake.results import BatchResult, Receipt
from headcount.intake.scanning import JSON_SPACE
from headcount.intake.work import (
    TURN_MESSAGES,
    TURN_STEPS,
    StepBudget,
    Work,
    at_once,
    messages_a_turn,
)
from headcount.spool.letters import made_id

__all__ = ["BatchResult", "Receipt", "Tracker", "id_stem", "tally"]

# A batch in which nobody has a key, as far as they could be read, is a request without one.
_KEYLESS = {Reason.NO_WRITE_KEY, Reason.TOO_COMPLEX}

# As long as nobody knows a request's sender, it has this part of the steps of others.
_UNKNOWN_STEPS_DIVISOR = 4
# Libraries write the key at the beginning of a body, or at its end.
_KEY_IN_BODY = re.compile(rb'"writeKey":\s?"([!-~]{1,200}?)"')
_LOOK_BYTES = 300

# Message ids that are made here begin like those of no other process, whenever it lives.
_LIFE = secrets.token_hex(8)


class Tracker:
    """Admits or rejects messages.

    Args:
        keys: finds sources by write key.
        hash_keys: the keys under which ids are hashed.
        limits: bounds on messages and batches.
    """

    def __init__(self, keys: WriteKeys, hash_keys: Keys, limits: Limits) -> None:
        self._keys = keys
        self._hash_keys = hash_keys
        self._limits = limits
        self._book = AttributeBook(event_names=limits.event_names)

    def source_of(self, write_key: str | None) -> SourceRef:
        """The enabled source that has a write key.

        Raises:
            Refused: there is no key, or no enabled source has it.
        """
        source = self._look_up(write_key)
        if isinstance(source, Reason):
            raise Refused(source)
        return source

    def enabled_source(self, write_key: str) -> SourceRef | None:
        """The enabled source that has a write key; None where there is none."""
        source = self._keys.lookup(write_key)
        return source if source is not None and source.enabled else None

    def likely_source(self, body: bytes) -> SourceRef | None:
        """The source that a body seems to name, without decoding it: where to count the work of it
        until it is decoded, and for nothing else."""
        found = _KEY_IN_BODY.search(body, 0, _LOOK_BYTES) or _KEY_IN_BODY.search(
            body, max(0, len(body) - _LOOK_BYTES)
        )
        if found is None:
            return None
        source = self._look_up(found[1].decode())
        return None if isinstance(source, Reason) else source

    def take_message(
        self, body: bytes, message_type: str, receipt: Receipt, source: SourceRef | None
    ) -> BatchResult:
        """What becomes of a body that is one message, which is admitted.

        Args:
            body: the message.
            message_type: what the path says, one of `MESSAGE_TYPES`; empty where the message says.
            receipt: how the request came.
            source: from the request's headers; None when the message has to name it.

        Raises:
            Refused: the message, or its write key; with the source, where that is known.
            StorageUnavailableError: it is not known under which key to hash.
        """
        if len(body) > self._limits.message_bytes_max:
            # White space around the message is not part of it.
            body = body.strip(JSON_SPACE)
            if len(body) > self._limits.message_bytes_max:
                raise Refused(Reason.MESSAGE_TOO_LARGE, source)
        message = decode_message(body)
        if isinstance(message, Reason):
            raise Refused(message, source)
        if source is None:
            source = self.source_of(message.write_key)
        message_type = message_type or message.type or ""
        if message_type not in MESSAGE_TYPES:
            raise Refused(Reason.UNKNOWN_TYPE, source)
        hasher = self._hash_keys.ring().at(receipt.received_at_ms)
        made = self._made_id(message, receipt, source, hasher, 0) if receipt.forwards else None
        tail = fact_tail(hasher, message, message_type, made)
        if isinstance(tail, Reason):
            raise Refused(tail, source)
        named = self._named(message, receipt, source)
        if named.sender.bot and source.refuses_bots:
            raise Refused(Reason.BOT, source)
        tags, attributes = named[message_type, message.event]
        head = head_of(receipt, source, message_type, hasher.flags, tags)
        told = (_use(named, receipt, source), attributes)
        return BatchResult(packed(head + tail, hasher.flags), [], [], source, told)

    def _named(self, message: Message, receipt: Receipt, source: SourceRef) -> SenderBook:
        """What names the attributes of the messages of the sender of one."""
        book, context = self._book, message.context
        book.begin(receipt.received_at_ms)
        library, browser = NO_LIBRARY, NO_AGENT
        if isinstance(context, MessageContext):
            library, browser = context.library, context.browser
        return book.of(source.source, library, browser, receipt.agent, short=receipt.short)

    def take_plain_message(
        self,
        message: PlainMessage,
        message_type: str | None,
        receipt: Receipt,
        source: SourceRef,
    ) -> BatchResult | None:
        """What `take_message` gives for a message of an ordinary type that is admitted; else None.

        Args:
            message: from `plain_message`.
            message_type: what the path says, or the message itself.
            receipt: how the request came.
            source: whose message it is; one that forwards nothing.

        Raises:
            StorageUnavailableError: it is not known under which key to hash.
        """
        user_id, anonymous_id, event = message.user_id, message.anonymous_id, message.event
        received_at_ms = receipt.received_at_ms
        hasher = self._hash_keys.ring().at(received_at_ms)
        if (
            message_type not in PLAIN_TYPES
            or not (user_id or anonymous_id)
            or (event is None and message_type == "track")
            or hasher.also is not None
        ):
            return None
        message_id, named = message.message_id, self._named(message, receipt, source)
        if source.refuses_bots and named.sender.bot:
            return None
        tags, attributes = named[message_type, event]
        tracked = hasher.tracked
        fact = pack_fact(
            received_at_ms,
            source.workspace,
            source.source,
            TAGS[receipt.library][message_type] | tags,
            hasher.flags,
            hasher.message(message_id) if message_id else hasher.fresh_message(),
            tracked(user_id) if user_id else ABSENT,
            tracked(anonymous_id) if anonymous_id else ABSENT,
            ABSENT,
        )
        use = named.use or _use(named, receipt, source)
        return BatchResult(fact, [], [], source, (use, attributes))

    def take_plain_batch(self, batch: Batch, receipt: Receipt, source: SourceRef) -> BatchResult:
        """What `take_batch` gives, of a batch from `plain_batch`, in one turn.

        Raises:
            StorageUnavailableError: it is not known under which key to hash.
        """
        budget = StepBudget(self._limits.request_steps_max)
        return at_once(self._take_all(batch, receipt, source, budget, len(batch.plain)))

    def take_batch(
        self, body: bytes, receipt: Receipt, source: SourceRef | None
    ) -> Work[BatchResult]:
        """Sorts the messages of a batch into facts and rejections, turn by turn.

        Args:
            body: an object with the array `batch`.
            receipt: how the request came.
            source: from the request's headers; None when the body, or else each of its messages,
                has to name it.

        Raises:
            Refused: the batch as a whole is unreadable, or has no write key or an unknown one.
            StorageUnavailableError: it is not known under which key to hash.
        """
        steps = self._limits.request_steps_max
        budget = StepBudget(steps if source is not None else steps // _UNKNOWN_STEPS_DIVISOR)
        batch = yield from decode_batch(body, self._limits, budget)
        # Before more is done for whoever sent it.
        if source is None and batch.write_key:
            source = self.source_of(batch.write_key)
            budget = StepBudget(steps)
        a_turn = messages_a_turn(len(batch.plain or batch.items), len(body))
        return (yield from self._take_all(batch, receipt, source, budget, a_turn))

    def _take_all(
        self,
        batch: Batch,
        receipt: Receipt,
        source: SourceRef | None,
        budget: StepBudget,
        a_turn: int,
    ) -> Work[BatchResult]:
        """Admit or reject each message of a batch, so many in a turn."""
        hasher = self._hash_keys.ring().at(receipt.received_at_ms)
        facts: list[bytes] = []
        others: Iterable[int] = range(len(batch.plain or batch.items))
        uses = LibraryTally(receipt.received_at_ms, receipt.agent, short=receipt.short)
        told: set[NumberedAttributes] = set()
        if source is not None and batch.plain:
            others = yield from self._take_plain(
                batch.plain, receipt, source, hasher, facts, uses, told
            )
        rejected: list[tuple[int, Reason]] = []
        tallies: Counter[tuple[SourceRef, Reason]] = Counter()
        heads = Heads(self._book, receipt, hasher.flags, told)
        plain, items, limits = batch.plain, batch.items, self._limits
        next_index, next_steps = a_turn, budget.spent + TURN_STEPS
        for index in others:
            if index >= next_index or budget.spent >= next_steps:
                next_index, next_steps = index + a_turn, budget.spent + TURN_STEPS
                yield
            message = plain[index] if plain else decode_item(items[index], limits, budget)
            owner, outcome = self._take(message, receipt, source, hasher, heads, index)
            if isinstance(outcome, bytes):
                facts.append(outcome)
                assert owner is not None
                assert isinstance(message, Message)
                uses.add(owner, message.library)
                continue
            rejected.append((index, outcome))
            if owner is not None:
                tallies[owner, outcome] += 1
        if source is None and not facts and {reason for _, reason in rejected} <= _KEYLESS:
            raise Refused(Reason.NO_WRITE_KEY)
        rejections = [
            tally(owner, reason, receipt.received_at_ms, messages)
            for (owner, reason), messages in tallies.items()
        ]
        all_facts = packed(b"".join(facts), hasher.flags)
        senders: tuple[Told, ...] = (*uses.uses(), *told)
        return BatchResult(all_facts, rejections, rejected, source, senders)

    def _take_plain(
        self,
        messages: Sequence[PlainMessage],
        receipt: Receipt,
        source: SourceRef,
        hasher: IdHasher,
        facts: list[bytes],
        uses: LibraryTally,
        told: set[NumberedAttributes],
    ) -> Work[list[int]]:
        """Append the facts of messages like nearly all; the indexes of the others.

        Their types have no rules beyond an event's, and they have ids. The others get the full
        treatment of `_take`, which has the same result; this saves a third of the time of a batch.
        """
        tracked, hashed_message, also = hasher.tracked, hasher.message, hasher.also
        others: list[int] = []
        library, browser = NO_LIBRARY, NO_AGENT
        heads = PlainHeads(self._book, receipt, hasher.flags, told)
        heads.begin(source, library, browser)
        parts_each = 5 if also is None else 6
        for first in range(0, len(messages), TURN_MESSAGES):
            if first:
                yield
            parts: list[bytes] = []
            tallied = 0
            for index, message in enumerate(messages[first : first + TURN_MESSAGES], first):
                context = message.context
                if context is None:
                    own, own_browser = NO_LIBRARY, NO_AGENT
                else:
                    own, own_browser = context.library, context.browser
                if own != library or own_browser != browser:
                    if taken := len(parts) // parts_each - tallied:
                        uses.add(source, library, taken)
                        tallied += taken
                    library, browser = own, own_browser
                    heads.begin(source, library, browser)
                message_id, head = message.message_id, heads[message.type, message.event]
                user_id, anonymous_id = message.user_id, message.anonymous_id
                if not head or not message_id or not (user_id or anonymous_id):
                    others.append(index)
                    continue
                parts += (
                    head,
                    hashed_message(message_id),
                    tracked(user_id) if user_id else ABSENT,
                    tracked(anonymous_id) if anonymous_id else ABSENT,
                    ABSENT,
                )
                if also is not None:
                    parts.append(also(message_id))
            uses.add(source, library, len(parts) // parts_each - tallied)
            facts.append(b"".join(parts))
        return others

    def _take(
        self,
        message: Message | Reason,
        receipt: Receipt,
        source: SourceRef | None,
        hasher: IdHasher,
        heads: Heads,
        index: int,
    ) -> tuple[SourceRef | None, bytes | Reason]:
        """A message's source, where it is known, and its fact or the reason to reject it."""
        if isinstance(message, Reason):
            return source, message
        if source is None:
            own = self._look_up(message.write_key)
            if isinstance(own, Reason):
                return None, own
            source = own
        message_type = message.type
        if message_type not in MESSAGE_TYPES:
            return source, Reason.UNKNOWN_TYPE
        made = None
        if receipt.forwards:
            made = self._made_id(message, receipt, source, hasher, index)
        tail = fact_tail(hasher, message, message_type, made)
        if isinstance(tail, Reason):
            return source, tail
        heads.begin(source, message.library, message.browser)
        return source, Reason.BOT if heads.is_refused else heads[message_type, message.event] + tail

    def _made_id(
        self,
        message: Message,
        receipt: Receipt,
        source: SourceRef,
        hasher: IdHasher,
        index: int,
    ) -> bytes | None:
        """The hash of the id that a message without one is forwarded with, if it is."""
        if has_message_id(message) or source.source not in receipt.forwards:
            return None
        return hasher.message(made_id(id_stem(receipt.number), index))

    def _look_up(self, write_key: str | None) -> SourceRef | Reason:
        if not write_key:
            return Reason.NO_WRITE_KEY
        source = self._keys.lookup(write_key)
        return source if source is not None and source.enabled else Reason.UNKNOWN_WRITE_KEY


def id_stem(request: int) -> str:
    """What the ids begin with that are made for messages of a request, by its number."""
    return f"headcount-{_LIFE}-{request}"


def tally(source: SourceRef, reason: Reason, received_at_ms: int, messages: int = 1) -> Rejection:
    """The tally of messages of one source that were rejected for one reason."""
    day = day_of_ms(received_at_ms)
    return Rejection(source.workspace, source.source, day, reason.value, messages)


def _use(named: SenderBook, receipt: Receipt, source: SourceRef) -> LibraryUse:
    """That a message came from a library; of a month, for as long as `named` lasts, one says it."""
    if named.use is None:
        day = day_of_ms(receipt.received_at_ms)
        named.use = LibraryUse(source.workspace, source.source, day, named.sender.library, 1)
    return named.use
