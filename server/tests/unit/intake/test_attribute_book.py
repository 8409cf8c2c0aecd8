"""Attributes of messages: what they are, and that nobody takes the numbers of others."""

from __future__ import annotations

import json
import tracemalloc

import msgspec
import pytest

from headcount.counting.attributes import NUMBER_SHIFT, NUMBERS_END, RESERVED, Attributes
from headcount.counting.batch import numbered_facts
from headcount.counting.libraries import split_tallies, tallies_of
from headcount.intake import Limits, bots
from headcount.intake.attribute_book import AttributeBook
from headcount.intake.bots import is_known_bot
from headcount.intake.decoding import NO_AGENT, NO_LIBRARY
from headcount.intake.results import Receipt
from headcount.intake.tracking import Tracker
from headcount.intake.work import at_once
from support.intake import HASHER, NOW_MS, WEB, Keys, attributes_of

CHROME = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML) Chrome/139"
GOOGLE = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"


def raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(json.dumps(value).encode())


@pytest.mark.parametrize(
    ("library", "browser", "agent", "attributes"),
    [
        ({"name": "a.js", "version": "4.1"}, CHROME, b"", Attributes("a.js", "4.1", "page", "")),
        ({"name": "a.js", "version": 4}, GOOGLE, b"", Attributes("a.js", "", "page", "", True)),
        (None, None, b"analytics-go/3.0 x", Attributes("analytics-go", "3.0", "page", "")),
        (None, None, GOOGLE.encode(), Attributes("a browser", "", "page", "", True)),
        # What its message says of a browser goes before what the request comes through.
        ({"name": "a"}, CHROME, GOOGLE.encode(), Attributes("a", "", "page", "")),
        (None, None, b"python-requests/2.31", Attributes("python-requests", "2.31", "page", "")),
        ({"name": "a", "version": "1\x00\x1f2"}, 7, b"", Attributes("a", "1?2", "page", "")),
    ],
)
def test_a_message_has_the_attributes_that_it_says(
    library: object, browser: object, agent: bytes, attributes: Attributes
) -> None:
    book = AttributeBook()
    book.begin(NOW_MS)
    told = [NO_LIBRARY if library is None else raw(library)]
    told.append(NO_AGENT if browser is None else raw(browser))
    _, numbered = book.of(1, *told, agent, short=False)["page", "ignored"]
    assert numbered.attributes == attributes


def test_what_a_batch_names_is_told_beside_its_facts() -> None:
    messages = [
        {"type": kind, "messageId": f"m{n}", "userId": "u", "event": event,
         "context": {"library": {"name": "a.js", "version": version}}}
        for n, (kind, event, version) in enumerate(
            [("track", "Bought", "1"), ("track", "Bought", "2"), ("page", None, "1"),
             ("alias", None, "1"), ("track", "Bought", "1")]
        )
    ]  # fmt: skip
    messages[3]["previousId"] = "p"
    body = json.dumps({"batch": messages}).encode()
    tracker = Tracker(Keys(), HASHER, Limits())
    result = at_once(tracker.take_batch(body, Receipt(NOW_MS, "other"), WEB))
    _, _, told = split_tallies(tallies_of(result.libraries))
    facts, names = numbered_facts([result.facts], [told])
    named = [names[number] for number in (facts["tags"] >> NUMBER_SHIFT).tolist()]
    bought = [Attributes("a.js", version, "track", "Bought") for version in "12"]
    others = [Attributes("a.js", "1", "page", ""), Attributes("a.js", "1", "alias", "")]
    assert sorted(named) == sorted([bought[0], *bought, *others])
    assert attributes_of(result.libraries) == sorted({*bought, *others})


def test_names_of_events_are_left_out_where_they_are_not_to_be_kept() -> None:
    book = AttributeBook(event_names=False)
    book.begin(NOW_MS)
    _, numbered = book.of(1, NO_LIBRARY, NO_AGENT, b"", short=False)["track", "of ann"]
    assert numbered.attributes.event == ""


def test_who_makes_events_up_takes_no_numbers_from_others() -> None:
    book = AttributeBook()
    book.begin(NOW_MS)
    made_up = book.of(1, NO_LIBRARY, NO_AGENT, b"a", short=False)
    told = {made_up["track", f"event {n}"][1] for n in range(5_000)}
    assert len(told) <= 600
    assert Attributes("a", "", "track", "other") in {each.attributes for each in told}
    other = book.of(2, NO_LIBRARY, NO_AGENT, b"b", short=False)["track", "Bought"][1]
    assert other.attributes == Attributes("b", "", "track", "Bought")
    # With the next month they may begin anew.
    book.begin(NOW_MS + 40 * 86_400_000)
    assert made_up["track", "fresh"][1].attributes.event == "fresh"


def test_a_number_is_not_given_again_while_a_fact_with_it_is_on_its_way() -> None:
    book = AttributeBook()
    book.begin(NOW_MS)
    given: list[int] = []
    for source in range(200):
        named = book.of(source, NO_LIBRARY, NO_AGENT, b"%d" % source, short=False)
        given += [named["track", str(n)][0] >> NUMBER_SHIFT for n in range(400)]
    assert all(len(RESERVED) <= number < NUMBERS_END for number in given)
    window = 30_000
    for start in range(0, len(given) - window, window):
        assert len(set(given[start : start + window])) == window


@pytest.mark.parametrize(
    "agent",
    [
        GOOGLE,
        "HeadlessChrome/120",
        "facebookexternalhit/1.1",
        "meta-externalagent/1.1 (+https://developers.facebook.com/docs/sharing/webmasters/crawler)",
        *(
            f"Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; {name}) Safari/5"
            for name in (
                "GPTBot/1.3", "ChatGPT-User/1.0", "OAI-SearchBot/1.0", "ClaudeBot/1.0",
                "Claude-User/1.0", "PerplexityBot/1.0", "Bytespider", "Amazonbot/0.1",
                "Applebot/0.1", "bingbot/2.0", "Unheard-Of/0.1; +https://crawler.example/why",
            )
        ),
    ],
)  # fmt: skip
def test_known_bots_are_known(agent: str) -> None:
    assert is_known_bot(agent, in_time=False)


def test_bots_are_known_as_soon_as_there_is_time_to_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """Very many visitors at once, as after a start, do not make a bot a visitor for good."""
    now_s = 1_000.0
    monkeypatch.setattr(bots, "monotonic", lambda: now_s)
    monkeypatch.setattr(bots, "_allowance", bots._Allowance())
    monkeypatch.setattr(bots, "_looked_at", {})
    book, archive = AttributeBook(), AttributeBook(in_time=False)
    for each in (book, archive):
        each.begin(NOW_MS)

    def is_bot(book: AttributeBook, agent: str) -> bool:
        return book.of(1, NO_LIBRARY, raw(agent), b"", short=False).sender.bot

    for number in range(300):
        assert not is_bot(book, f"{CHROME} visitor-{number}")
    assert not is_bot(book, GOOGLE)
    now_s += 1
    assert is_bot(book, GOOGLE)
    # Nobody waits for an archive: all that it has is looked at.
    monkeypatch.setattr(bots, "_looked_at", {})
    assert all(is_bot(archive, f"{GOOGLE} {number}x") for number in range(300))


def test_releases_of_one_browser_are_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bots, "_looked_at", looked_at := {})
    monkeypatch.setattr(bots, "_allowance", bots._Allowance())
    for number in range(300):
        assert (
            is_known_bot(f"Mozilla/5.0 (Mac OS X 10_{number}; rv:1.{number}) A/{number}") is False
        )
    assert len(looked_at) == 1


@pytest.mark.parametrize(
    "agent",
    ["", CHROME, "python-requests/2", "okhttp/4.9", "axios/1.6", "Amazon CloudFront",
     "Mozilla/5.0 (compatible; MSIE 10.0; Windows NT 6.2; Trident/6.0)",
     "Mozilla/5.0 (Linux; Android 14; CUBOT X18) Chrome/139 Mobile Safari/537.36"],
)  # fmt: skip
def test_what_people_and_libraries_send_through_is_no_bot(agent: str) -> None:
    assert not is_known_bot(agent)


def test_a_number_that_makes_a_bot_known_is_no_release(monkeypatch: pytest.MonkeyPatch) -> None:
    for first, second in [("Code/2.1", "Code/1.9"), ("a 123/0.8", "a 008/0.8")]:
        for agents in [(first, second), (second, first)]:
            monkeypatch.setattr(bots, "_looked_at", {})
            assert {each: is_known_bot(each) for each in agents} == {first: False, second: True}


@pytest.mark.parametrize(("senders", "events", "characters"), [(100, 60, 5_000), (700, 120, 20)])
def test_what_a_stranger_makes_up_is_not_kept_in_memory(
    senders: int, events: int, characters: int
) -> None:
    """A write key stands in every page: whoever has it may send any events as any library."""
    book = AttributeBook()
    book.begin(0)
    tracemalloc.start()
    try:
        for number in range(senders):
            library = msgspec.Raw(f'{{"name": "made up {number}"}}'.encode())
            for event in range(events):
                named = book.of(1, library, msgspec.Raw(), b"", short=False)
                _ = named["track", f"{number} {event} ".ljust(characters, "x")]
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 12_000_000
