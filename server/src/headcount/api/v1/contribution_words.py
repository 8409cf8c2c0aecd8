"""What a contribution is, in words for whoever sees one for the first time.

Takes where messages come from and what they brought; gives phrases that a table, a page and a
program's answer show as they are.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from headcount.counting.attributes import MOVED, REST, UNKNOWN, Attributes
from headcount.counting.explaining import LINKED, UNATTRIBUTED
from headcount.counting.libraries import A_BROWSER, OTHER_LIBRARY

__all__ = ["KIND_WORDS", "origin_words"]

KIND_WORDS: Mapping[str, str] = {
    "message": "API calls",
    "identified": "new known users",
    "anonymous": "new anonymous ids",
    LINKED: "anonymous ids that became known",
    UNATTRIBUTED: "not attributed",
}
"""What each kind of contribution counts."""

_OF_TYPE: Mapping[str, str] = {
    "page": "page views",
    "screen": "screen views",
    "track": "track calls",
    "identify": "identify calls",
    "group": "group calls",
    "alias": "alias calls",
    REST: "other messages, beyond those that are told apart",
    MOVED.type: "ids that turned out to have come on an earlier day",
}
_NOBODY_KNOWS = "messages of which it is not known where they came from"
_NO_MESSAGE = "no message is known for these"
_UNNAMED = {
    A_BROWSER: "from browsers, by pages that name no library",
    OTHER_LIBRARY: "from senders that name no library",
}


def origin_words(of: Attributes | None, parts: Collection[str]) -> str:
    """Where contributions come from, beside the name of their source.

    Args:
        of: what is told of their messages; None where no message is known.
        parts: what is told apart, of `explaining.PARTS`.
    """
    if of is None:
        return _NO_MESSAGE
    if of == UNKNOWN._replace(library="unknown"):
        return _NOBODY_KNOWS
    if not set(parts) - {"source"}:
        return "all messages"
    phrases = [_messages(of, parts)]
    if of.type not in (REST, MOVED.type):
        phrases += [_bots(of, parts), _senders(of, parts)]
    return " ".join(filter(None, phrases))


def _messages(of: Attributes, parts: Collection[str]) -> str:
    if of.event == REST and of.type != REST:
        return "other events"
    if of.event and of.event != REST:
        return f'events "{of.event}"'
    if "type" in parts:
        return _OF_TYPE.get(of.type, of.type or "messages")
    return "messages without an event's name" if "event" in parts else "messages"


def _senders(of: Attributes, parts: Collection[str]) -> str:
    if "library" not in parts:
        version = f"from version {of.version}" if of.version else ""
        return "from other versions" if of.version == REST else version
    if of.library in _UNNAMED:
        return _UNNAMED[of.library]
    if of.version == REST:
        return f"from other versions of {of.library}"
    return f"from {of.library} {of.version}".rstrip()


def _bots(of: Attributes, parts: Collection[str]) -> str:
    if of.bot:
        return "by known bots"
    return "by others than known bots" if set(parts) - {"source"} == {"bot"} else ""
