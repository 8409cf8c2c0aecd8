"""How facts begin: when their message came, whose it is, its type and its attributes.

Takes how a request came and what its messages say; a batch has few different beginnings, so they
are made once in it.
"""

from __future__ import annotations

import msgspec

from headcount.counting.attributes import NumberedAttributes
from headcount.counting.facts import fact_head
from headcount.intake.admission import TAGS
from headcount.intake.attribute_book import AttributeBook
from headcount.intake.ports import SourceRef
from headcount.intake.results import Receipt

__all__ = ["PLAIN_TYPES", "Heads", "PlainHeads", "head_of"]

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


class Heads(dict[tuple[str | None, str | None], bytes]):
    """How the facts of one request begin, by type and event; of one sender to one source at a time.

    Args:
        book: numbers attributes.
        receipt: how the request came.
        flags: of its facts.
        told: where the attributes are gathered that facts name.

    Attributes:
        is_refused: whether the source refuses the sender, which is a known bot.
    """

    def __init__(
        self, book: AttributeBook, receipt: Receipt, flags: int, told: set[NumberedAttributes]
    ) -> None:
        super().__init__()
        self._book, self._receipt, self._flags, self._told = book, receipt, flags, told
        self._of: tuple[SourceRef, msgspec.Raw, msgspec.Raw] | None = None
        book.begin(receipt.received_at_ms)

    def begin(self, source: SourceRef, library: msgspec.Raw, browser: msgspec.Raw) -> None:
        """Go on with the messages of a sender to a source, perhaps the same."""
        if (source, library, browser) == self._of:
            return
        self.clear()
        self._of, self._source, receipt = (source, library, browser), source, self._receipt
        self._named = self._book.of(
            source.source, library, browser, receipt.agent, short=receipt.short
        )
        self.is_refused = self._named.sender.bot and source.refuses_bots

    def __missing__(self, key: tuple[str | None, str | None]) -> bytes:
        message_type, _ = key
        assert message_type is not None, "it is one of the six"
        tags, attributes = self._named[key]
        self._told.add(attributes)
        head = head_of(self._receipt, self._source, message_type, self._flags, tags)
        self[key] = head
        return head


class PlainHeads(Heads):
    """The same; empty where the type has rules of its own, a track has no event, or the sender is
    refused."""

    def __missing__(self, key: tuple[str | None, str | None]) -> bytes:
        message_type, event = key
        if (
            message_type in PLAIN_TYPES
            and not (event is None and message_type == "track")
            and not self.is_refused
        ):
            return super().__missing__(key)
        self[key] = b""
        return b""
