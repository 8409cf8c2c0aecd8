"""Which messages are admitted, which are rejected for what, and what is kept of them."""

import json

import pytest

from headcount.counting.facts import ABSENT, MESSAGE_TYPES
from headcount.intake.admission import fact_tail, has_message_id
from headcount.intake.decoding import Message, decode_message
from headcount.intake.reasons import Reason
from support.intake import HASHER

FRESH = b"fresh id"
LONG = "x" * 1024


def tail_of(message_type: str, **fields: object) -> bytes | Reason:
    message = decode_message(json.dumps(fields).encode())
    assert isinstance(message, Message)
    return fact_tail(HASHER, message, message_type, FRESH)


def hashes(
    user: str | None = None, anonymous: str | None = None, previous: str | None = None,
    message: str | None = None,
) -> bytes:  # fmt: skip
    tracked = [ABSENT if i is None else HASHER.tracked(i) for i in (user, anonymous, previous)]
    return b"".join([FRESH if message is None else HASHER.message(message), *tracked])


ADMITTED = [
    ("track", {"event": "e", "userId": "u"}, hashes("u")),
    ("track", {"event": "", "anonymousId": "a"}, hashes(None, "a")),
    ("track", {"event": "e", "userId": "u", "anonymousId": "a"}, hashes("u", "a")),
    ("track", {"event": "e", "userId": "u", "previousId": "p"}, hashes("u")),
    ("track", {"event": "e", "userId": "u", "previousId": [1]}, hashes("u")),
    ("identify", {"userId": "u"}, hashes("u")),
    ("identify", {"userId": 7, "event": 5}, hashes("7")),
    ("identify", {"userId": "", "anonymousId": "a"}, hashes(None, "a")),
    ("page", {"anonymousId": "a", "groupId": {}}, hashes(None, "a")),
    ("screen", {"userId": 0}, hashes("0")),
    ("group", {"groupId": "g", "userId": "u"}, hashes("u")),
    ("group", {"groupId": 0, "anonymousId": "a"}, hashes(None, "a")),
    ("group", {"groupId": "g" * 5000, "userId": "u"}, hashes("u")),
    ("alias", {"userId": "u", "previousId": "p"}, hashes("u", None, "p")),
    ("alias", {"userId": 1, "previousId": 2}, hashes("1", None, "2")),
    ("alias", {"userId": "u", "previousId": "p", "anonymousId": "a"}, hashes("u", "a", "p")),
    ("page", {"userId": "u", "messageId": "m"}, hashes("u", message="m")),
    ("page", {"userId": "u", "messageId": 12}, hashes("u", message="12")),
    ("page", {"userId": "u", "messageId": ""}, hashes("u")),
    ("page", {"userId": "u", "messageId": None}, hashes("u")),
    ("page", {"userId": "u", "messageId": "m" * 100}, hashes("u", message="m" * 100)),
    ("page", {"userId": LONG, "anonymousId": "é" * 1024}, hashes(LONG, "é" * 1024)),
    ("page", {"userId": 10**1023}, hashes(str(10**1023))),
]


@pytest.mark.parametrize(("message_type", "fields", "expected"), ADMITTED)
def test_admitted(message_type: str, fields: dict[str, object], expected: bytes) -> None:
    assert tail_of(message_type, **fields) == expected


REJECTED = [
    (Reason.EVENT_NOT_STRING, "track", {"userId": "u"}),
    (Reason.EVENT_NOT_STRING, "track", {"userId": "u", "event": None}),
    (Reason.EVENT_NOT_STRING, "track", {"userId": "u", "event": 5}),
    (Reason.EVENT_NOT_STRING, "track", {"userId": "u", "event": ["e"]}),
    *((Reason.NO_USER_ANON_ID, t, {"event": "e"}) for t in MESSAGE_TYPES if t != "alias"),
    (Reason.NO_USER_ANON_ID, "page", {"userId": None, "anonymousId": ""}),
    (Reason.NO_USER_ANON_ID, "group", {"groupId": "g"}),
    (Reason.NO_GROUP_ID, "group", {"userId": "u"}),
    (Reason.NO_GROUP_ID, "group", {"userId": "u", "groupId": ""}),
    (Reason.NO_USER_ID, "alias", {"previousId": "p"}),
    (Reason.NO_USER_ID, "alias", {"previousId": "p", "anonymousId": "a"}),
    (Reason.NO_PREVIOUS_ID, "alias", {"userId": "u"}),
    (Reason.NO_PREVIOUS_ID, "alias", {"userId": "u", "previousId": ""}),
    *(
        (Reason.INVALID_ID, "page", {"userId": "u", "anonymousId": "a", name: value})
        for name in ("userId", "anonymousId")
        for value in (1.5, 1.0, 0.0, True, False, [], {}, ["u"], "x" * 1025, 10**1024, -(10**1024))
    ),
    (Reason.INVALID_ID, "alias", {"userId": "u", "previousId": 1.5}),
    (Reason.INVALID_ID, "alias", {"userId": "u", "previousId": "x" * 1025}),
    (Reason.INVALID_ID, "group", {"userId": "u", "groupId": False}),
    *(
        (Reason.INVALID_MESSAGE_ID, "page", {"userId": "u", "messageId": value})
        for value in (1.5, True, [], {}, "m" * 101, 10**100)
    ),
]


@pytest.mark.parametrize(("reason", "message_type", "fields"), REJECTED)
def test_rejected(reason: Reason, message_type: str, fields: dict[str, object]) -> None:
    assert tail_of(message_type, **fields) is reason


def test_a_message_without_an_id_gets_a_fresh_one_each_time() -> None:
    message = Message(user_id="u")
    first, second = (fact_tail(HASHER, message, "page") for _ in range(2))
    assert isinstance(first, bytes)
    assert isinstance(second, bytes)
    assert first[:8] != second[:8]
    assert ABSENT not in (first[:8], second[:8])
    assert first[8:] == second[8:]


@pytest.mark.parametrize(("value", "has"), [("m", True), (0, True), ("", False), (None, False)])
def test_has_message_id(value: str | int | None, has: bool) -> None:
    assert has_message_id(Message(message_id=value)) is has
