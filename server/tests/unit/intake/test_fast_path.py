"""The fast path takes what the application would take, the same way; all else it leaves alone."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import logging
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import pytest

from headcount.allowances import Allowances
from headcount.counting.facts import Rejection
from headcount.counting.libraries import Told
from headcount.errors import StorageUnavailableError
from headcount.intake import Budgets, Forwards, Limits, RequestTally, create_app
from headcount.intake.app import Intake
from headcount.intake.asgi import Event
from support.intake import APP, HASHER, NOW_MS, WEB, Keys, ListSink, Past, unpack, uses_of

GOOD = {"userId": "u", "anonymousId": "a", "messageId": "m", "event": "e"}
PAGE = {"type": "page", "userId": "u", "messageId": "m"}


def key(name: str = "web-key") -> dict[bytes, bytes]:
    return {b"authorization": b"Basic " + base64.b64encode(f"{name}:".encode())}


class WaitingSink(ListSink):
    """Keeps facts once it is told to, and calls back."""

    def __init__(self) -> None:
        super().__init__()
        self.dones: list[Callable[[Exception | None], None]] = []
        self.used: list[Told] = []

    def hand_in(
        self,
        facts: bytes,
        rejections: Sequence[Rejection],
        libraries: Sequence[Told],
        done: Callable[..., None],
    ) -> None:
        if self.broken:
            raise StorageUnavailableError("no journal can be written")
        self.facts += facts
        self.rejections += rejections
        self.used += libraries
        self.dones.append(done)


class Fast:
    """An application's fast path, and the answers that it gave."""

    def __init__(self, **options: Any) -> None:
        self.sink = WaitingSink()
        self.answered = RequestTally()
        self.app: Intake = create_app(
            Keys(), Past(), self.sink, HASHER, lambda: NOW_MS, answered=self.answered, **options
        )
        self.answers: list[tuple[int, dict[bytes, bytes], bytes]] = []
        self.passed_on = 0

    def ask(
        self,
        body: object = GOOD,
        path: str = "/v1/track",
        method: str = "POST",
        headers: dict[bytes, bytes] | None = None,
    ) -> bool:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()

        path, _, query = path.partition("?")
        scope = {"type": "http", "path": path, "method": method, "query_string": query.encode()}
        return self.app.fast_path(Asked(self, scope, key() if headers is None else headers, data))


class Asked(NamedTuple):
    """A request, as the server has it."""

    fast: Fast
    scope: dict[str, Any]
    fields: dict[bytes, bytes]
    body: bytes
    disconnected: bool = False
    sender: tuple[bytes, bytes] | None = None

    def answer(self, start: Event, body: Event) -> None:
        self.fast.answers.append((start["status"], dict(start["headers"]), body["body"]))

    def pass_on(self) -> None:
        self.fast.passed_on += 1


async def test_a_message_is_answered_once_it_is_durable() -> None:
    fast = Fast()
    headers = key() | {b"user-agent": b"analytics-python/2.3.4"}
    assert fast.ask(headers=headers)
    assert not fast.answers
    [fact] = unpack(fast.sink.facts)
    assert fact == (
        NOW_MS, WEB.workspace, WEB.source, "track", "analytics-python", 0,
        HASHER.message("m"), HASHER.tracked("u"), HASHER.tracked("a"), None,
    )  # fmt: skip
    assert [(use.library, use.messages) for use in uses_of(fast.sink.used)] == [
        ("analytics-python", 1)
    ]
    fast.sink.dones.pop()(None)
    [(status, sent, body)] = fast.answers
    assert (status, body) == (200, b'{"success":true}')
    assert sent[b"access-control-allow-origin"] == b"*"
    assert sent[b"content-length"] == b"16"
    assert fast.answered.take() == {(200, ""): 1}


async def test_the_body_names_the_source_where_the_head_does_not() -> None:
    fast = Fast()
    assert fast.ask(GOOD | {"writeKey": "app-key"}, "/v1/t", headers={})
    assert fast.ask({"batch": [PAGE], "writeKey": "app-key"}, "/v1/b", headers={})
    # One that the head shows goes before it.
    assert fast.ask(GOOD | {"writeKey": "app-key"})
    assert [fact.source for fact in unpack(fast.sink.facts)] == [APP.source] * 2 + [WEB.source]


async def test_a_batch_is_told_what_became_of_each_message() -> None:
    fast = Fast()
    alias = {"type": "alias", "userId": "u", "previousId": "p", "messageId": "m2"}
    batch = [PAGE, {"type": "page"}, alias, PAGE | {"type": "x"}]
    assert fast.ask({"batch": batch}, "/v1/batch")
    assert [fact.message_type for fact in unpack(fast.sink.facts)] == ["page", "alias"]
    assert sum(rejection.messages for rejection in fast.sink.rejections) == 2
    fast.sink.dones.pop()(None)
    assert json.loads(fast.answers[0][2])["rejected"] == [
        {"index": 1, "code": "no_user_anon_id"},
        {"index": 3, "code": "unknown_type"},
    ]


async def test_messages_without_an_id_are_told_apart() -> None:
    fast = Fast()
    assert fast.ask({"userId": "u"}, "/v1/page")
    assert fast.ask({"userId": "u", "messageId": ""}, "/v1/p")
    first, second = unpack(fast.sink.facts)
    assert None not in (first.message, second.message)
    assert first.message != second.message


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"path": "/v1/batch"}, GOOD),
        ({"path": "/v1/batch"}, {"batch": []}),
        ({"path": "/v1/batch"}, {"batch": [GOOD | {"userId": 5}]}),
        ({"path": "/v1/batch"}, {"batch": [{"type": "page"}]}),
        ({"path": "/v1/batch", "headers": {}}, {"batch": [PAGE]}),
        ({"path": "/v1/batch", "headers": {}}, {"batch": [PAGE | {"writeKey": "web-key"}]}),
        ({"path": "/v1/batch", "headers": key("no-key")}, {"batch": [PAGE], "writeKey": "web-key"}),
        ({"path": "/v1/import"}, {"batch": [PAGE]}),
        ({"path": "/v1/alias"}, GOOD | {"previousId": "p"}),
        ({"path": "/v1/group"}, GOOD | {"groupId": "g"}),
        ({"path": "/healthz"}, GOOD),
        ({"path": "/v1/track?writeKey=app-key"}, GOOD),
        ({"path": "//v1/track"}, GOOD),
        ({"path": "/api/s/event"}, GOOD | {"type": "merge"}),
        ({"headers": key() | {b"x-write-key": b"app-key"}}, GOOD),
        ({"path": "/v1/nothing"}, GOOD),
        ({"method": "OPTIONS"}, GOOD),
        ({"headers": {}}, GOOD),
        ({"headers": {}}, GOOD | {"writeKey": "off-key"}),
        ({"headers": key("no-key")}, GOOD | {"writeKey": "web-key"}),
        ({"headers": key("")}, GOOD),
        ({"headers": key("no-key")}, GOOD),
        ({"headers": key("off-key")}, GOOD),
        ({"headers": key() | {b"user-agent": b"x" * 1000}}, GOOD),
        ({"headers": key() | {b"content-encoding": b"gzip"}}, gzip.compress(b"{}", mtime=0)),
        ({"headers": key() | {b"content-encoding": b"gzip"}}, GOOD),
        ({}, GOOD | {"properties": "x" * 70_000}),
        # Larger than a message may be, though no larger than a body here.
        ({}, GOOD | {"properties": "x" * Limits().message_bytes_max}),
        ({}, GOOD | {"userId": 5}),
        ({}, GOOD | {"userId": "x" * 1025}),
        ({}, GOOD | {"messageId": "x" * 101}),
        ({}, {"userId": "u"}),
        ({}, {"event": "e"}),
        ({}, b"\xff"),
        ({}, [GOOD]),
    ],
)
async def test_all_else_is_left_alone(change: dict[str, Any], message: object) -> None:
    fast = Fast()
    assert not fast.ask(message, **change)
    assert not fast.sink.facts
    assert not fast.sink.dones
    assert not fast.answered.take()
    assert fast.app._in_flight._free == 2 * Limits().requests_in_flight_max


async def test_without_room_the_application_is_asked() -> None:
    fast = Fast(limits=Limits(requests_in_flight_max=1))
    assert fast.ask()
    assert not fast.ask()
    fast.sink.dones.pop()(None)
    assert fast.ask()
    fast.sink.pending_bytes = Limits().pending_fact_bytes_max + 1
    assert not fast.ask(headers=key("app-key"))


async def test_a_source_has_its_budget_of_messages() -> None:
    fast = Fast(
        budgets=Budgets(Allowances(None), lambda: NOW_MS, messages_a_minute_max=2),
        limits=Limits(requests_in_flight_max=100),
    )
    assert [fast.ask() for _ in range(3)] == [True, True, False]
    assert len(unpack(fast.sink.facts)) == 2
    assert fast.ask(headers=key("app-key"))


async def test_what_is_left_to_the_application_takes_nothing_of_the_round() -> None:
    fast = Fast()
    for _ in range(200):
        assert not fast.ask(GOOD | {"userId": 5})
    assert fast.ask()


async def test_what_exceeds_a_round_waits_for_its_turn() -> None:
    fast = Fast()
    for number in range(50):
        assert fast.ask(PAGE | {"messageId": str(number)}, "/v1/page")
    at_once = len(unpack(fast.sink.facts))
    assert 10 < at_once < 40
    # Others of whom more waits than they may have are refused, by the application.
    assert all(fast.ask({"batch": [PAGE]}, "/v1/batch") for _ in range(900))
    assert not all(fast.ask({"batch": [PAGE]}, "/v1/batch") for _ in range(900))
    assert fast.ask(PAGE | {"messageId": "other"}, "/v1/page", headers=key("app-key"))
    # The other source waits for a portion or two, and not for all of them.
    for _ in range(4):
        await asyncio.sleep(0)
    facts = unpack(fast.sink.facts)
    assert APP.source in {fact.source for fact in facts}
    assert len(facts) < 200
    assert not fast.passed_on
    assert not fast.answers


async def test_what_is_no_message_in_its_turn_is_passed_on() -> None:
    fast = Fast()
    for _ in range(50):
        assert fast.ask(PAGE, "/v1/page")
    assert fast.ask(PAGE | {"userId": 5}, "/v1/page")
    assert not fast.passed_on
    for _ in range(8):
        await asyncio.sleep(0)
    assert len(unpack(fast.sink.facts)) == 50
    assert fast.passed_on == 1


async def test_what_a_source_that_forwards_brings_is_the_applications() -> None:
    forwards = Forwards()
    fast = Fast(forwards=forwards)
    forwards.sources = {WEB.source: True}
    assert not fast.ask()
    assert fast.ask(headers=key("app-key"))


async def test_what_is_not_durable_is_not_acknowledged(caplog: pytest.LogCaptureFixture) -> None:
    fast = Fast()
    assert fast.ask()
    fast.sink.dones.pop()(StorageUnavailableError("the disk is full"))
    assert fast.answers[0][0] == 503
    assert b"retry-after" in fast.answers[0][1]
    assert fast.ask()
    fast.sink.dones.pop()(ValueError("what somebody has sent"))
    assert fast.answers[1][0] == 500
    assert "ValueError" in caplog.text
    assert "what somebody" not in caplog.text
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert fast.answered.take() == {(503, "storage_unavailable"): 1, (500, "internal_error"): 1}
    fast.sink.broken = True
    assert not fast.ask()
    assert fast.app._in_flight._free == 2 * Limits().requests_in_flight_max
