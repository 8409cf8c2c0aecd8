"""Which library sent a message: its context, then the User-Agent, and names that harm nobody."""

from __future__ import annotations

import json

import msgspec
import pytest

from headcount.counting.libraries import LibraryUse, clean_name
from headcount.intake import Limits
from headcount.intake.decoding import Message, decode_message
from headcount.intake.libraries import LibraryTally, agent_name, library_name
from headcount.intake.tracking import Receipt, Tracker
from headcount.intake.work import at_once
from support.intake import HASHER, NOW_MS, TODAY, WEB, Keys, uses_of

AGENT = b"analytics-ruby/2.5.0"


def raw(library: object) -> msgspec.Raw:
    return msgspec.Raw(json.dumps(library).encode())


@pytest.mark.parametrize(
    ("library", "name"),
    [
        ({"name": "@segment/analytics-node", "version": "3"}, "@segment/analytics-node"),
        ({"name": "RudderLabs JavaScript SDK"}, "RudderLabs JavaScript SDK"),
        ({"name": "a\u0000b\u001b[2J"}, "a?b?2J"), ({"name": "=cmd()"}, "?cmd()"),
        ({"name": "x" * 500}, "x" * 60), ({"name": "ünïcode"}, "?n?code"),
        # What names no library leaves it to the User-Agent.
        ({"name": ""}, "analytics-ruby"), ({"name": 1}, "analytics-ruby"), ({}, "analytics-ruby"),
        ("text", "analytics-ruby"), (None, "analytics-ruby"), ([1], "analytics-ruby"),
        ({"name": {"a": 1}}, "analytics-ruby"), ({"name": "\ud800"}, "?"),
    ],
)  # fmt: skip
def test_a_message_s_own_word_goes_first(library: object, name: str) -> None:
    assert library_name(raw(library), AGENT, short=False) == name


@pytest.mark.parametrize("title", ["Home", "\ud800"])  # which the fast decoder does not take
@pytest.mark.parametrize(
    "context",
    [None, 1, "text", [{"library": {"name": "x"}}], {}, {"library": None}, {"library": ["x"]},
     {"library": "x"}, {"library": {}}, {"library": {"name": 2**70, "x": "\ud800"}}, 1.5, True],
)  # fmt: skip
def test_a_context_of_another_kind_names_no_library(context: object, title: str) -> None:
    message = decode_message(json.dumps({"userId": "u", "x": title, "context": context}).encode())
    assert isinstance(message, Message)
    assert library_name(message.library, AGENT, short=False) == "analytics-ruby"


def test_what_breaks_fast_parsers_names_its_library_all_the_same() -> None:
    library = '{"x":"\\ud800","name":"first","name":"l\\u0061st"}'
    for title in ("Home", "\\ud800"):
        raw_message = f'{{"context":{{"page":"{title}","library":{library}}}}}'
        message = decode_message(raw_message.encode())
        assert isinstance(message, Message)
        assert library_name(message.library, AGENT, short=False) == "last"


@pytest.mark.parametrize(
    ("agent", "short", "name"),
    [
        (b"analytics-go (version: 3.0.0)", False, "analytics-go"),
        (b"Mozilla/5.0 (X11)", False, "a browser"), (b"Mozilla/5.0 (X11)", True, "analytics.js"),
        (b"", False, "other"), (b"\xff\x00/1", False, "?"), (b"a" * 10_000, False, "a" * 60),
    ],
)  # fmt: skip
def test_names_of_user_agents(agent: bytes, short: bool, name: str) -> None:
    assert agent_name(agent, short=short) == name


def test_nothing_is_left_of_a_name_of_spaces() -> None:
    assert clean_name("  ") == "other"


def test_each_message_of_a_batch_is_tallied_by_its_own_library() -> None:
    tracker = Tracker(Keys(), HASHER, Limits())
    named = {"node": {"library": {"name": "node"}}, "go": {"library": {"name": "go"}}, "none": {}}
    batch = [
        {"type": "page", "userId": "u", "messageId": str(number), "context": named[name]}
        for number, name in enumerate(("node", "node", "go", "none", "node", "go"))
    ]
    # One that is admitted by the other way, and one that is not admitted at all.
    batch.append({"type": "group", "userId": "u", "groupId": "g", "context": named["go"]})
    batch.append({"type": "page", "context": named["go"]})
    receipt = Receipt(NOW_MS, "other", agent=AGENT)
    for body in (json.dumps({"batch": batch}), json.dumps({"x": 1, "batch": batch})):
        result = at_once(tracker.take_batch(body.encode(), receipt, WEB))
        assert {use.library: use.messages for use in uses_of(result.libraries)} == {
            "node": 3, "go": 3, "analytics-ruby": 1,
        }  # fmt: skip
        assert len(result.facts) == 56 * sum(use.messages for use in uses_of(result.libraries))


def test_whoever_makes_names_up_makes_one() -> None:
    tally = LibraryTally(NOW_MS, AGENT, short=False)
    for number in range(100):
        tally.add(WEB, raw({"name": f"made up {number}"}))
    uses = tally.uses()
    assert len(uses) == 33
    assert LibraryUse(1, 2, TODAY, "other", 68) in uses
