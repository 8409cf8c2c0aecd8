"""Others are answered while a large body is taken apart, and few large ones are so at a time."""

from __future__ import annotations

import asyncio
import base64
import gzip
from collections.abc import Mapping

import pytest

from headcount.intake import Limits, create_app
from headcount.intake.asgi import Application, Event
from support.expensive_json import bodies, ordinary
from support.intake import HASHER, NOW_MS, Keys, ListSink, Past, unpack

MIB = 1 << 20
KEY = {b"authorization": b"Basic " + base64.b64encode(b"web-key:")}
GZIP = {b"content-encoding": b"gzip"}
LARGE = dict(bodies(MIB))
DEAR = [
    "ordinary", "messages: malformed", "messages: lone surrogates", "messages: no ids",
    "in items: arrays in arrays", "in one item: deeper than one match delimits",
]  # fmt: skip


def an_app(sink: ListSink | None = None) -> Application:
    return create_app(Keys(), Past(), sink or ListSink(), HASHER, lambda: NOW_MS, Limits())


async def ask(
    app: Application, method: str, path: str, body: bytes = b"", headers: Mapping[bytes, bytes] = {}
) -> tuple[int, bytes]:
    """The status and the body of an answer."""
    sent: list[Event] = []

    async def receive() -> Event:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(event: Event) -> None:
        sent.append(event)

    length = {b"content-length": b"%d" % len(body)}
    scope = {
        "type": "http", "method": method, "path": path, "scheme": "http", "query_string": b"",
        "headers": list((headers | length).items()),
    }  # fmt: skip
    await app(scope, receive, send)
    return sent[0]["status"], sent[1]["body"]


@pytest.mark.parametrize("kind", DEAR)
@pytest.mark.parametrize("headers", [KEY, KEY | GZIP], ids=["plain", "gzip"])
async def test_others_are_answered_in_between(kind: str, headers: Mapping[bytes, bytes]) -> None:
    app = an_app()
    body = ordinary(MIB) if kind == "ordinary" else LARGE[kind]
    body = gzip.compress(body, 1) if b"content-encoding" in headers else body
    large = asyncio.create_task(ask(app, "POST", "/v1/batch", body, headers))
    answered = 0
    while not large.done():
        assert (await ask(app, "GET", "/healthz"))[0] == 200
        message = b'{"userId":"u"}'
        assert (await ask(app, "POST", "/v1/page", message, KEY))[0] == 200
        answered += 1
        await asyncio.sleep(0)
    assert (await large)[0] == 200
    assert answered >= 6


async def test_few_large_bodies_are_in_work_and_strangers_wait_only_for_strangers() -> None:
    sink = ListSink()
    app = an_app(sink)
    bomb = gzip.compress(ordinary(4 * MIB - 100), 1)
    strangers = [asyncio.create_task(ask(app, "POST", "/v1/batch", bomb, GZIP)) for _ in range(30)]
    await asyncio.sleep(0)
    batch = ordinary(MIB // 2)
    assert (await ask(app, "POST", "/v1/batch", batch, KEY))[0] == 200
    # Nearly all of them wait still, or were turned away: this batch came before them.
    assert sum(task.done() and task.result()[0] == 401 for task in strangers) <= 1
    assert len(unpack(sink.facts)) == batch.count(b"userId")
    statuses = [(await task)[0] for task in strangers]
    assert sorted(set(statuses)) == [401, 429]
    assert 2 <= statuses.count(401) <= 12
    # Nothing is held back afterwards.
    assert (await ask(app, "POST", "/v1/batch", bomb, GZIP))[0] == 401
    assert (await ask(app, "POST", "/v1/batch", bomb[:-1], GZIP))[0] == 400
    assert (await ask(app, "POST", "/v1/batch", bomb, GZIP))[0] == 401


async def test_a_body_of_several_gzip_members_is_one_batch() -> None:
    sink = ListSink()
    body = ordinary(100_000)
    members = [gzip.compress(body[at : at + 30_000]) for at in range(0, len(body), 30_000)]
    assert (await ask(an_app(sink), "POST", "/v1/batch", b"".join(members), KEY | GZIP))[0] == 200
    assert len(unpack(sink.facts)) == body.count(b"userId")
    small = [gzip.compress(b'{"userId":'), gzip.compress(b'"u"}'), bytes(7)]
    assert (await ask(an_app(), "POST", "/v1/page", b"".join(small), KEY | GZIP))[0] == 200
    status, answer = await ask(an_app(), "POST", "/v1/page", gzip.compress(b"") * 1001, KEY | GZIP)
    assert (status, b"too_many_gzip_members" in answer) == (400, True)
