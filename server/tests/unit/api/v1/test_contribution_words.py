"""What a contribution is, in words: a phrase, whatever senders say of themselves or leave out."""

from __future__ import annotations

import pytest

from headcount.api.v1.contribution_words import KIND_WORDS, origin_words
from headcount.counting.attributes import MOVED, OTHER, UNKNOWN, Attributes, coarser
from headcount.counting.explaining import KINDS, LINKED, PARTS, UNATTRIBUTED

VIEWED = Attributes("analytics.js", "4.1.0", "page", "")
SIGNED = VIEWED._replace(type="track", event="Signed Up")
BROWSER = Attributes("a browser", "", "page", "")
NOBODY = UNKNOWN._replace(library="unknown")


@pytest.mark.parametrize(
    ("of", "parts", "words"),
    [
        (VIEWED, PARTS, "page views from analytics.js 4.1.0"),
        (SIGNED, PARTS, 'events "Signed Up" from analytics.js 4.1.0'),
        (SIGNED._replace(event=""), PARTS, "track calls from analytics.js 4.1.0"),
        (VIEWED._replace(bot=True), PARTS, "page views by known bots from analytics.js 4.1.0"),
        (BROWSER, PARTS, "page views from browsers, by pages that name no library"),
        (BROWSER._replace(library="other"), PARTS, "page views from senders that name no library"),
        (BROWSER._replace(library="curl", type="identify"), PARTS, "identify calls from curl"),
        (OTHER, PARTS, "other messages, beyond those that are told apart"),
        (NOBODY, PARTS, "messages of which it is not known where they came from"),
        (MOVED, PARTS, "ids that turned out to have come on an earlier day"),
        (None, PARTS, "no message is known for these"),
        (UNKNOWN, ("source",), "all messages"),
        (UNKNOWN._replace(library="k6"), ("library",), "messages from k6"),
        (UNKNOWN._replace(type="screen"), ("source", "type"), "screen views"),
        (UNKNOWN, ("event",), "messages without an event's name"),
        (UNKNOWN._replace(bot=True), ("bot",), "messages by known bots"),
        (UNKNOWN, ("bot",), "messages by others than known bots"),
    ],
)
def test_where_it_comes_from(of: Attributes | None, parts: tuple[str, ...], words: str) -> None:
    assert origin_words(of, parts) == words


def test_what_stands_for_others_says_so() -> None:
    event, version, other = (origin_words(each, PARTS) for each in coarser(SIGNED))
    assert event == "other events from analytics.js 4.1.0"
    assert version == "other events from other versions of analytics.js"
    assert other == "other messages, beyond those that are told apart"


def test_every_kind_has_words() -> None:
    assert set(KIND_WORDS) == {*KINDS.values(), LINKED, UNATTRIBUTED}
