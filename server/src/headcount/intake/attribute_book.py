"""Which attributes a message has, and by which number its fact names them.

Takes what a message and its request say of their sender, gives numbers. A worker numbers the
combinations as it meets them; an entry of its journal tells those that its facts name, so that
numbers mean something in their entry alone. What one source can make up is bounded, so that it
takes no numbers away from others.
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import msgspec

from headcount.counting.attributes import (
    NUMBER_SHIFT,
    NUMBERS_END,
    RESERVED,
    Attributes,
    NumberedAttributes,
    clean_event,
    clean_version,
    coarser,
)
from headcount.counting.calendar import MS_PER_DAY, Period, day_of_ms
from headcount.counting.libraries import LibraryUse
from headcount.intake.bots import is_known_bot
from headcount.intake.libraries import agent_name, library_strings
from headcount.intake.scanning import Malformed, string_of

__all__ = ["AttributeBook", "Named", "Sender", "SenderBook", "sender"]

# Of one source, since the numbers were begun anew. Beyond the first, its new combinations are told
# without their events, and beyond the second they are one.
_OF_A_SOURCE_MAX, _COARSE_MAX = 400, 600
# Two halves, used in turns: a fact that is on its way to its entry still has a number of the other.
_HALF = NUMBERS_END // 2
_AGENT_BYTES_MAX = 400
_KNOWN_BYTES_MAX = 600
# Senders that are remembered, of each the pairs of type and event, and of all together; events are
# as long as messages may be, and only such as this are remembered.
_SENDERS_MAX, _PAIRS_MAX, _ALL_PAIRS_MAX = 2_000, 500, 20_000
_KNOWN_EVENT_CHARACTERS_MAX = 120

Named = tuple[int, NumberedAttributes]
"""What is added to the tags of a fact, so that it names its attributes; and which those are."""


class Sender(NamedTuple):
    """What a message says of who sent it: the library, its version, and whether it is a bot; that
    is settled unless there were too many others to look at."""

    library: str
    version: str
    bot: bool
    is_settled: bool = True


def sender(
    library: bytes, browser: bytes, agent: bytes, *, short: bool, in_time: bool = True
) -> Sender:
    """Who sent a message.

    Args:
        library: what its context calls its library, as it came.
        browser: what its context says of its browser, `context.userAgent`, as it came.
        agent: the request's User-Agent.
        short: whether the one-letter addresses are used, which of browsers only analytics.js does.
        in_time: as for `is_known_bot`.
    """
    name, version = library_strings(library)
    if not name:
        name = agent_name(agent, short=short)
        # Browsers, whose versions say nothing of a library, come as "Mozilla/5.0".
        if not agent.startswith(b"Mozilla/"):
            version = agent.decode("latin-1").partition("/")[2].partition(" ")[0]
    try:
        told = string_of(browser)
    except Malformed:
        told = None
    text = agent.decode("latin-1") if told is None else told
    bot = is_known_bot(text[:_AGENT_BYTES_MAX], in_time=in_time)
    return Sender(name, clean_version(version or ""), bool(bot), bot is not None)


class SenderBook(dict[tuple[str | None, str | None], Named]):
    """The attributes of the messages of one sender to one source, by type and event.

    Attributes:
        sender: who.
        use: that one message of this month came from it, once that was asked for.
    """

    __slots__ = ("_book", "_source", "sender", "use")

    def __init__(self, book: AttributeBook, source: int, of: Sender) -> None:
        super().__init__()
        self._book = book
        self._source = source
        self.sender = of
        self.use: LibraryUse | None = None

    def __missing__(self, key: tuple[str | None, str | None]) -> Named:
        message_type, event = key
        library, version, bot, _ = self.sender
        is_named = event and message_type == "track" and self._book.event_names
        name = clean_event(event) if event and is_named else ""
        numbered = self._book.numbered(
            self._source, Attributes(library, version, message_type or "", name, bot)
        )
        named = numbered.number << NUMBER_SHIFT, numbered
        if event is None or len(event) <= _KNOWN_EVENT_CHARACTERS_MAX:
            if len(self) >= _PAIRS_MAX:
                self.clear()
            self[key] = named
            self._book.note_pair()
        return named


class AttributeBook:
    """The numbers that one worker gives to combinations of attributes.

    Args:
        event_names: whether the names of events are told apart.
        in_time: as for `is_known_bot`.
    """

    def __init__(self, *, event_names: bool = True, in_time: bool = True) -> None:
        self.event_names = event_names
        self._in_time = in_time
        self._numbered: dict[Attributes, NumberedAttributes] = {}
        self._senders: dict[tuple[int, bytes, bytes, bytes, bool], SenderBook] = {}
        self._pairs = 0
        self._brought: Counter[int] = Counter()
        self._next, self._end = len(RESERVED), _HALF
        self._month_ms = range(0)

    def begin(self, now_ms: int) -> None:
        """Begin anew with each month, so that what a source has made up lasts no longer."""
        if now_ms not in self._month_ms:
            month = Period.of_day(day_of_ms(now_ms))
            first, last = month.first_day, month.last_day
            self._month_ms = range(first * MS_PER_DAY, (last + 1) * MS_PER_DAY)
            self._begin_half()

    def _begin_half(self) -> None:
        self._numbered.clear()
        self._forget_senders()
        self._brought.clear()
        first = self._end % NUMBERS_END
        self._next, self._end = first or len(RESERVED), first + _HALF

    def of(
        self,
        source: int,
        library: msgspec.Raw | bytes,
        browser: msgspec.Raw | bytes,
        agent: bytes,
        *,
        short: bool,
    ) -> SenderBook:
        """What names the attributes of a sender's messages to a source; otherwise as `sender`."""
        key = source, bytes(library), bytes(browser), agent[:_AGENT_BYTES_MAX], short
        found = self._senders.get(key)
        if found is None:
            who = sender(*key[1:4], short=short, in_time=self._in_time)
            found = SenderBook(self, source, who)
            if who.is_settled and len(key[1]) + len(key[2]) <= _KNOWN_BYTES_MAX:
                if len(self._senders) >= _SENDERS_MAX:
                    self._forget_senders()
                self._senders[key] = found
        return found

    def note_pair(self) -> None:
        """Bound what is remembered of all senders together, whatever they make up."""
        self._pairs += 1
        if self._pairs > _ALL_PAIRS_MAX:
            self._forget_senders()

    def _forget_senders(self) -> None:
        self._senders.clear()
        self._pairs = 0

    def numbered(self, source: int, attributes: Attributes) -> NumberedAttributes:
        """Attributes of a source's message, or such as stand for them, with their number."""
        found = self._numbered.get(attributes)
        if found is None and self._brought[source] >= _OF_A_SOURCE_MAX:
            for instead in coarser(attributes):
                attributes, found = instead, self._numbered.get(instead)
                if found is not None or self._brought[source] < _COARSE_MAX:
                    break
        return self._added(source, attributes) if found is None else found

    def _added(self, source: int, attributes: Attributes) -> NumberedAttributes:
        if self._next == self._end:
            self._begin_half()
        number, self._next = self._next, self._next + 1
        found = self._numbered[attributes] = NumberedAttributes.of(number, attributes)
        self._brought[source] += 1
        return found
