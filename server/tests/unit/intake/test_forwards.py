"""What a request leaves to forward, and under which ids it is counted."""

from __future__ import annotations

import json
from typing import Any

import pytest

from headcount.counting.hashing import IdHasher
from headcount.forwarding.outgoing import outgoing
from headcount.intake.forwards import Forwards, letters_of
from headcount.intake.ports import Limits
from headcount.intake.reasons import Reason, Refused
from headcount.intake.tracking import BatchResult, Receipt, Tracker
from headcount.intake.work import at_once
from headcount.spool.letters import decoded
from support.intake import APP, WEB, Keys, unpack

HASHER = IdHasher(bytes(32))
TRACK = {"type": "track", "event": "x", "userId": "u"}


def receipt(*forwarding: int, room: bool = True) -> Receipt:
    return Receipt(1_800_000_000_000, "other", 7, dict.fromkeys(forwarding, room))


def tracker() -> Tracker:
    return Tracker(Keys(), HASHER, Limits())


def sent(letter: bytes) -> list[dict[str, Any]]:
    request = outgoing(decoded(letter), "theirs")
    data = json.loads(request.body)
    return data["batch"] if request.path == "/v1/batch" else [data]


def test_what_is_forwarded_has_the_ids_that_are_counted() -> None:
    batch = [TRACK | {"messageId": "own"}, TRACK, {"type": "page", "anonymousId": "a"}, {"no": 1}]
    body = json.dumps({"batch": batch}).encode()
    came = receipt(WEB.source)
    result = at_once(tracker().take_batch(body, came, WEB))
    [posted] = letters_of(result, body, "", came)
    counted = {fact.message for fact in unpack(result.facts)}
    messages = sent(posted.letter)
    assert {HASHER.message(each["messageId"]) for each in messages} == counted
    assert len(counted) == posted.messages == 3
    assert posted.source == WEB.source


def test_a_single_message_too_whoever_names_its_source() -> None:
    body = json.dumps(TRACK | {"writeKey": "web-key"}).encode()
    came = receipt(WEB.source)
    fact = tracker().take_message(body, "track", came, None).facts
    [posted] = letters_of(BatchResult(fact, [], [], None), body, "track", came)
    [message] = sent(posted.letter)
    assert HASHER.message(message["messageId"]) == unpack(fact)[0].message
    assert message["writeKey"] == "theirs"


def test_of_a_batch_of_several_sources_each_gets_its_own() -> None:
    batch = [
        TRACK | {"messageId": "1", "writeKey": "web-key"},
        TRACK | {"messageId": "2", "writeKey": "app-key"},
        TRACK | {"messageId": "3", "writeKey": "unknown"},
        TRACK | {"messageId": "4", "writeKey": "web-key"},
    ]
    body = json.dumps({"batch": batch}).encode()
    came = receipt(WEB.source, APP.source)
    result = at_once(tracker().take_batch(body, came, None))
    found = {
        each.source: [m["messageId"] for m in sent(each.letter)]
        for each in letters_of(result, body, "", came)
    }
    assert found == {WEB.source: ["1", "4"], APP.source: ["2"]}


def test_ids_of_two_requests_differ() -> None:
    body = json.dumps(TRACK).encode()
    facts = {
        tracker()
        .take_message(body, "track", receipt(WEB.source)._replace(number=number), WEB)
        .facts
        for number in range(3)
    }
    assert len(facts) == 3


def test_a_source_that_forwards_nothing_leaves_nothing() -> None:
    body = json.dumps(TRACK).encode()
    came = receipt(APP.source)
    fact = tracker().take_message(body, "track", came, WEB).facts
    assert letters_of(BatchResult(fact, [], [], WEB), body, "track", came) == []


def test_without_room_a_source_is_refused_as_early_as_it_is_known() -> None:
    forwards = Forwards()
    forwards.check(WEB.source)
    forwards.sources = {WEB.source: False}
    forwards.check(APP.source)
    with pytest.raises(Refused) as refused:
        forwards.check(WEB.source)
    assert refused.value.reason is Reason.FORWARDING_FULL
    body = json.dumps(TRACK).encode()
    came = receipt(WEB.source, room=False)
    fact = tracker().take_message(body, "track", came, WEB).facts
    with pytest.raises(Refused):
        letters_of(BatchResult(fact, [], [], None), body, "track", came)
