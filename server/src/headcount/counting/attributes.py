"""Attributes of a message that say where it comes from, and the numbers by which facts name them.

Takes what a sender says of itself, gives harmless texts of bounded length. Messages have few
combinations of attributes, so a fact carries the number of its own in the upper half of its tags,
and the entry of a journal the combinations that its facts name. Zero is none: what was taken in
before there were attributes has them not, nor has what was set aside.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import NamedTuple

from headcount.counting.facts import Rejection

__all__ = [
    "ATTRIBUTES_PREFIX",
    "MOVED",
    "NUMBERS_END",
    "NUMBER_SHIFT",
    "OTHER",
    "RESERVED",
    "REST",
    "UNKNOWN",
    "Attributes",
    "NumberedAttributes",
    "attribute_tallies",
    "clean_event",
    "clean_version",
    "coarser",
    "told_attributes",
]

NUMBER_SHIFT = 16
"""Where the number of its attributes stands in the tags of a fact."""

NUMBERS_END = 1 << 16
"""Numbers are lower than this."""

ATTRIBUTES_PREFIX = "attributes:"
"""What the word of a tally begins with that tells which attributes a number is."""

_EVENT_CHARACTERS_MAX = 60
_VERSION_CHARACTERS_MAX = 30
_SEPARATOR = "\x1f"
_STRANGE = re.compile(r"[^A-Za-z0-9._+() -]+")
# Control characters, the separator among them, what orders or hides text, and halves of characters.
_UNPRINTABLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u180e\u200e\u200f\u2028-\u202e\u2066-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff]+"
)


class Attributes(NamedTuple):
    """Where messages come from, as far as they say it.

    Attributes:
        library: name of the tracking library.
        version: its version; empty where none is told.
        type: the message type, one of `MESSAGE_TYPES`.
        event: the name of a track message's event; empty for others.
        bot: whether what it says of its browser is that of a known bot.
    """

    library: str
    version: str
    type: str
    event: str
    bot: bool = False


REST = "other"
"""What stands for a value beyond those that are told apart."""

UNKNOWN = Attributes("", "", "", "")
"""Of ids whose message did not say, or which was taken in before attributes were."""

OTHER = Attributes(REST, REST, REST, REST)
"""Combinations beyond those that are told apart."""

MOVED = Attributes("", "", "moved", "")
"""Not of a message: ids that were counted, and turned out to have come on an earlier day. They are
taken from the later day and added to the earlier one, and so are none over the month."""

RESERVED = (UNKNOWN, OTHER, MOVED)
"""What has the first numbers everywhere, in this order. Stored: append only."""


class NumberedAttributes(NamedTuple):
    """Which attributes facts name by a number, and the word of the tally that tells it."""

    number: int
    attributes: Attributes
    word: str

    @classmethod
    def of(cls, number: int, attributes: Attributes) -> NumberedAttributes:
        """Attributes with their number."""
        *texts, bot = attributes
        parts = [*map(str, texts), "bot" if bot else ""]
        return cls(number, attributes, ATTRIBUTES_PREFIX + _SEPARATOR.join(parts))


def clean_event(name: str) -> str:
    """An event's name as it is kept: of bounded length, and what can be shown."""
    return _UNPRINTABLE.sub("?", name[:_EVENT_CHARACTERS_MAX])


def clean_version(version: str) -> str:
    """A library's version as it is kept."""
    return _STRANGE.sub("?", version[:_VERSION_CHARACTERS_MAX]).strip()


def coarser(attributes: Attributes) -> Iterator[Attributes]:
    """What may stand for attributes where too many were told apart, the most telling first."""
    if attributes.event:
        attributes = attributes._replace(event=REST)
        yield attributes
    if attributes.version:
        attributes = attributes._replace(version=REST)
        yield attributes
    yield OTHER


def attribute_tallies(told: Iterable[NumberedAttributes]) -> list[Rejection]:
    """Attributes as journals keep them beside the facts that name them: among the tallies."""
    words = {number: word for number, _, word in told}
    return [Rejection(0, 0, 0, word, number) for number, word in words.items()]


def told_attributes(tallies: Iterable[Rejection]) -> Mapping[int, Attributes]:
    """The attributes among tallies, by their numbers; what is damaged is left out."""
    told: dict[int, Attributes] = {}
    for *_, word, number in tallies:
        attributes = _attributes_of(word)
        if attributes is not None and type(number) is int and 0 < number < NUMBERS_END:
            told[number] = attributes
    return told


@lru_cache(maxsize=4096)
def _attributes_of(word: str) -> Attributes | None:
    parts = word[len(ATTRIBUTES_PREFIX) :].split(_SEPARATOR)
    if len(parts) != len(Attributes._fields):
        return None
    library, version, kind, event, bot = parts
    return Attributes(library, version, kind, event, bool(bot))
