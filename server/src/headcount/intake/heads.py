"""How facts begin: when their message came, whose it is, its type and its attributes.

Takes how a request came and what its messages say; a batch has few different beginnings, so they
are made once in it.
"""

from __future__ import annotations

import msgspec

from headcount.counting.attributes import NumberedAttributes
from headcount.counting.facts import fact_head
from headcount.intake.admission import TAGS
from headcount.intake.attributes import AttributeBook
from headcount.intake.decoding import NO_AGENT, NO_LIBRARY
from headcount.intake.ports import SourceRef
from headcount.intake.results import Receipt

__all__ = ["PLAIN_TYPES", "PlainHeads", "head_of"]

PLAIN_TYPES = ("track", "identify", "page", "screen")
"""Types whose messages need no more than an id (and a track its event)."""


def head_of(
    receipt: Receipt, source: SourceRef, message_type: str, flags: int, attributes: int
) -> bytes:
    """How a fact begins; `attributes` is what is added to its tags."""
    return fact_head(
        receipt.received_at_ms,
        source.workspace,
        source.source,
        TAGS[receipt.library][message_type] | attributes,
        flags,
    )


class PlainHeads(dict[tuple[str | None, str | None], bytes]):
    """How the facts begin of one sender's messages, by type and event.

    Empty where the type has rules of its own, a track has no event, or the sender is refused.
    """

    def __init__(
        self,
        book: AttributeBook,
        receipt: Receipt,
        source: SourceRef,
        flags: int,
        told: set[NumberedAttributes],
    ) -> None:
        super().__init__()
        self._book, self._receipt, self._source = book, receipt, source
        self._flags, self._told = flags, told
        book.begin(receipt.received_at_ms)
        self.begin(NO_LIBRARY, NO_AGENT)

    def begin(self, library: msgspec.Raw, browser: msgspec.Raw) -> None:
        """Go on with the messages of another sender."""
        receipt, source = self._receipt, self._source
        self.clear()
        self._named = self._book.of(
            source.source, library, browser, receipt.agent, short=receipt.short
        )
        self._is_refused = self._named.sender.bot and source.refuses_bots

    def __missing__(self, key: tuple[str | None, str | None]) -> bytes:
        message_type, event = key
        head = b""
        if (
            message_type in PLAIN_TYPES
            and not (event is None and message_type == "track")
            and not self._is_refused
        ):
            tags, attributes = self._named[key]
            self._told.add(attributes)
            head = head_of(self._receipt, self._source, message_type, self._flags, tags)
        self[key] = head
        return head
