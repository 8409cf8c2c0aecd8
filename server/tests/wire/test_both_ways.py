"""The fast path and the application are two ways of one address: whatever is sent, both say the
same and keep the same."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import logging
import re
import socket
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import pytest

from headcount.allowances import Allowances
from headcount.counting.attributes import Attributes, NumberedAttributes
from headcount.counting.facts import Rejection
from headcount.counting.libraries import Told
from headcount.errors import StorageUnavailableError
from headcount.http.cycle import Cycle
from headcount.http.refused import Refusals
from headcount.intake import Budgets, Forwards, Hosting, Limits, RequestTally, create_app
from headcount.journal import Done
from support.intake import APP, HASHER, NOW_MS, WEB, Fact, Keys, ListSink, Past, unpack, uses_of
from support.served_app import served

MESSAGE = {"type": "track", "userId": "u", "anonymousId": "a", "messageId": "m", "event": "e"}
PAGE = {"type": "page", "userId": "u", "messageId": "m"}
LAST = b"GET /healthz HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n"
VARIES = re.compile(rb"(?<=\r\n)(date: [^\r]+|x-request-id: [0-9a-f]{32}|retry-after: \d+)\r\n")
LIBRARY = {"context": {"library": {"name": "analytics-go", "version": "1"}}}


def basic(name: str) -> str:
    return "Authorization: Basic " + base64.b64encode(f"{name}:".encode()).decode()


WEB_KEY = basic("web-key")


def request(
    body: object = MESSAGE,
    *headers: str,
    path: str = "/v1/track",
    method: str = "POST",
    version: str = "1.1",
    length: bool = True,
) -> bytes:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"{method} {path} HTTP/{version}", "Host: t", *headers]
    if length:
        lines.append(f"Content-Length: {len(data)}")
    return "\r\n".join([*lines, "", ""]).encode() + data


def chunked(body: object, *headers: str) -> bytes:
    data = json.dumps(body).encode()
    sized = b"%x\r\n%b\r\n0\r\n\r\n" % (len(data), data)
    return request(sized, *headers, "Transfer-Encoding: chunked", length=False)


SENT = {
    "a message": request(MESSAGE, WEB_KEY),
    "its key in the body": request(MESSAGE | {"writeKey": "app-key"}),
    "both keys": request(MESSAGE | {"writeKey": "app-key"}, WEB_KEY),
    "an empty user name": request(MESSAGE | {"writeKey": "app-key"}, basic("")),
    "a header that is no Basic": request(MESSAGE | {"writeKey": "app-key"}, "Authorization: x"),
    "two headers of keys": request(MESSAGE, WEB_KEY, basic("app-key")),
    "X-Write-Key": request(MESSAGE, "X-Write-Key: web-key"),
    "the key of Basic and X-Write-Key": request(MESSAGE, WEB_KEY, "X-Write-Key: app-key"),
    "a key in the query": request(path="/v1/track?writeKey=web-key"),
    "no key": request(),
    "an unknown key": request(MESSAGE, basic("no-key")),
    "a disabled source": request(MESSAGE, basic("off-key")),
    "a disabled source in the body": request(MESSAGE | {"writeKey": "off-key"}),
    "a source that forwards": request(MESSAGE, basic("app-key")),
    "a short address": request(MESSAGE, WEB_KEY, "User-Agent: Mozilla/5.0", path="/v1/t"),
    "a library": request(MESSAGE, WEB_KEY, "User-Agent: analytics-python/2.3.4"),
    "a library in the message": request(MESSAGE | LIBRARY, WEB_KEY, "User-Agent: curl/8"),
    "a context that is none": request(MESSAGE | {"context": "x"}, WEB_KEY),
    "a library without a name": request(MESSAGE | {"context": {"library": 5}}, WEB_KEY),
    "a prefix": request(MESSAGE, WEB_KEY, path="/p/v1/track"),
    "slashes": request(MESSAGE, WEB_KEY, path="//v1/track/"),
    "another sender's address": request(MESSAGE, WEB_KEY, path="/api/s/event"),
    "merge": request(PAGE, WEB_KEY, path="/v1/merge"),
    "alias": request(PAGE | {"previousId": "p"}, WEB_KEY, path="/v1/alias"),
    "group": request(PAGE | {"groupId": "g"}, WEB_KEY, path="/v1/group"),
    "no event": request(PAGE, WEB_KEY),
    "nobody": request({"event": "e"}, WEB_KEY),
    "an id that is a number": request(MESSAGE | {"userId": 5}, WEB_KEY),
    "an id that is too long": request(MESSAGE | {"userId": "x" * 1025}, WEB_KEY),
    "a message id that is too long": request(MESSAGE | {"messageId": "x" * 101}, WEB_KEY),
    "no JSON": request(b"{", WEB_KEY),
    "no UTF-8": request(b'{"userId":"\xff","event":"e"}', WEB_KEY),
    "half a character": request(b'{"userId":"\\ud800","messageId":"m","event":"e"}', WEB_KEY),
    "a mark before it": request(b"\xef\xbb\xbf" + json.dumps(MESSAGE).encode(), WEB_KEY),
    "a name that occurs twice": request(b'{"userId":"a","userId":"b","event":"e"}', WEB_KEY),
    "an array": request([MESSAGE], WEB_KEY),
    "no body": request(b"", WEB_KEY),
    "a message of 40 KiB": request(MESSAGE | {"properties": "x" * 40_960}, WEB_KEY),
    "a message in much white space": request(
        b" " * 33_000 + json.dumps(MESSAGE).encode() + b" " * 900, WEB_KEY
    ),
    "a batch": request({"batch": [MESSAGE, PAGE]}, WEB_KEY, path="/v1/batch"),
    "a batch with a key": request({"batch": [PAGE], "writeKey": "web-key"}, path="/v1/b"),
    "a batch with keys": request({"batch": [PAGE | {"writeKey": "web-key"}]}, path="/v1/batch"),
    "a batch of two sources": request(
        {"batch": [PAGE | {"writeKey": "web-key"}, PAGE | {"writeKey": "off-key"}]},
        path="/v1/batch",
    ),
    "a batch, some of it rejected": request(
        {"batch": [PAGE, {"type": "page"}, PAGE | {"type": "x"}, PAGE | LIBRARY]},
        WEB_KEY,
        path="/v1/batch",
    ),
    "a batch, all of it rejected": request(
        {"batch": [{"type": "page"}] * 120}, WEB_KEY, path="/v1/batch"
    ),
    "a batch of nothing": request({"batch": []}, WEB_KEY, path="/v1/batch"),
    "a batch with a large message": request(
        {"batch": [PAGE, PAGE | {"name": "x" * 40_960}]}, WEB_KEY, path="/v1/batch"
    ),
    "a batch to the address of messages": request({"batch": [PAGE]}, WEB_KEY),
    "a message to the address of batches": request(MESSAGE, WEB_KEY, path="/v1/batch"),
    "a batch that is too long": request({"batch": [PAGE] * 60}, WEB_KEY, path="/v1/batch"),
    "an import": request({"batch": [PAGE]}, WEB_KEY, path="/v1/import"),
    "gzip": request(gzip.compress(json.dumps(MESSAGE).encode()), WEB_KEY, "Content-Encoding: gzip"),
    "gzip that is none": request(MESSAGE, WEB_KEY, "Content-Encoding: gzip"),
    "identity": request(MESSAGE, WEB_KEY, "Content-Encoding: identity"),
    "an empty encoding": request(MESSAGE, WEB_KEY, "Content-Encoding:"),
    "another character set": request(MESSAGE, WEB_KEY, "Content-Type: text/plain;charset=latin-1"),
    "chunks": chunked(MESSAGE, WEB_KEY),
    "a body that is waited for": request(MESSAGE, WEB_KEY, "Expect: 100-continue"),
    "another protocol": request(MESSAGE, WEB_KEY, "Connection: Upgrade", "Upgrade: h2c"),
    "HTTP/1.0": request(MESSAGE, WEB_KEY, version="1.0"),
    "HTTP/1.0 that stays": request(MESSAGE, WEB_KEY, "Connection: keep-alive", version="1.0"),
    "the last one": request(MESSAGE, WEB_KEY, "Connection: close"),
    "an id": request(MESSAGE, WEB_KEY, "X-Request-ID: mine"),
    "a trace": request(MESSAGE, WEB_KEY, f"traceparent: 00-{'a' * 32}-{'b' * 16}-01"),
    "an id that may not be written": request(MESSAGE, WEB_KEY, "X-Request-ID: <mine>"),
    "an Origin": request(MESSAGE, WEB_KEY, "Origin: https://example.com"),
    "OPTIONS": request(b"", method="OPTIONS"),
    "HEAD": request(b"", WEB_KEY, method="HEAD"),
    "GET": request(b"", WEB_KEY, method="GET"),
    "PUT": request(MESSAGE, WEB_KEY, method="PUT"),
    "no address": request(MESSAGE, WEB_KEY, path="/v1/trak"),
    "a long head": request(MESSAGE, WEB_KEY, "X-Long: " + "x" * 20_000),
    "a head that is too long": request(MESSAGE, WEB_KEY, "X-Long: " + "x" * 70_000),
    "a long User-Agent": request(MESSAGE, WEB_KEY, "User-Agent: analytics-node " + "x" * 600),
    "two lengths": request(MESSAGE, WEB_KEY, "Content-Length: 5"),
    "several": request(MESSAGE, WEB_KEY) + request(PAGE, WEB_KEY) + chunked(MESSAGE, WEB_KEY),
    "several behind chunks": chunked(MESSAGE, WEB_KEY) + 3 * request(MESSAGE, WEB_KEY),
    "what is no HTTP behind one": request(MESSAGE, WEB_KEY) + b"what is this?\r\n\r\n",
}


class TwoWaysSink(ListSink):
    """A sink that is asked either way, and may refuse later than when it is asked."""

    fails: Exception | None = None

    def hand_in(
        self,
        facts: bytes,
        rejections: Sequence[Rejection],
        libraries: Sequence[Told],
        done: Done,
    ) -> None:
        if self.broken:
            raise StorageUnavailableError("no journal can be written")
        if self.fails is None:
            self.facts += facts
            self.rejections += rejections
            self.libraries += uses_of(libraries)
            self.attributes += [each for each in libraries if isinstance(each, NumberedAttributes)]
        asyncio.get_running_loop().call_soon(done, self.fails)

    async def append(self, *brought: Any) -> None:
        await asyncio.sleep(0)
        if self.fails is not None:
            raise self.fails
        await super().append(*brought)


class Outcome(NamedTuple):
    """All that can be seen of what was sent on a connection, from without and from within."""

    answers: bytes
    facts: list[Fact]
    rejections: Counter[Any]
    libraries: Counter[Any]
    attributes: set[Attributes]
    answered: dict[tuple[int, str], int]
    logged: list[str]
    is_fast: bool


def sum_of(tallies: Sequence[tuple[Any, ...]]) -> Counter[Any]:
    """Tallies of one kind, added up: what each is of, and how much."""
    total: Counter[Any] = Counter()
    for *of, number in tallies:
        total[tuple(of)] += number
    return total


class Way:
    """The tracking API on a socket, with the fast path or without.

    Args:
        budget: messages that a source may send; None for any number.
    """

    def __init__(self, *, is_fast: bool, budget: int | None = None) -> None:
        self.sink, self.forwards = TwoWaysSink(), Forwards()
        self.answered, self.taken = RequestTally(), False
        budgets = Budgets(Allowances(None), lambda: NOW_MS, messages_a_minute_max=budget)
        self.app = create_app(
            Keys(), Past(), self.sink, HASHER, lambda: NOW_MS, Limits(batch_messages_max=50),
            budgets, self.answered, self.forwards, Hosting(path_prefix="/p"),
        )  # fmt: skip
        self.fast_path = self._take if is_fast else None
        self.port = 0

    def _take(self, asked: Any) -> bool:
        is_taken = self.app.fast_path(asked)
        self.taken |= is_taken
        return is_taken

    def outcome_of(self, sent: bytes, caplog: pytest.LogCaptureFixture) -> Outcome:
        """What becomes of what is sent on a connection of its own."""
        caplog.clear()
        sink, self.taken, received = self.sink, False, b""
        sink.facts, sink.rejections, sink.libraries, sink.attributes = b"", [], [], []
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as connection:
            connection.sendall(sent + LAST)
            while part := connection.recv(65_536):
                received += part
        return Outcome(
            VARIES.sub(b"", received),
            # An id that was made is another one each time.
            [each if each.message == HASHER.message("m") else each._replace(message=b"")
             for each in unpack(sink.facts)],
            sum_of(sink.rejections),
            sum_of(sink.libraries),
            {each.attributes for each in sink.attributes},
            self.answered.take(),
            [record.getMessage() for record in caplog.records],
            self.taken,
        )  # fmt: skip


@contextmanager
def both_served(budget: int | None = None) -> Iterator[tuple[Way, Way]]:
    """Both ways: by the application alone, and with the fast path before it."""
    slow, fast = Way(is_fast=False, budget=budget), Way(is_fast=True, budget=budget)
    with (
        served(slow.app) as (_, slow.port),
        served(fast.app, fast_path=fast.fast_path) as (_, fast.port),
    ):
        yield slow, fast


@pytest.fixture(scope="module")
def ways() -> Iterator[tuple[Way, Way]]:
    with both_served() as both:
        yield both


@pytest.fixture(autouse=True)
def every_refusal_is_named(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(Cycle, "refusals", Refusals())
    caplog.set_level(logging.INFO)


FAST = {
    "a message", "its key in the body", "both keys", "an empty user name", "chunks", "a batch",
    "a header that is no Basic", "two headers of keys", "a short address", "a library",
    "a library in the message", "a library without a name", "a prefix", "another sender's address",
    "merge", "a name that occurs twice", "a batch with a key", "a batch, some of it rejected",
    "another character set", "another protocol", "HTTP/1.0", "HTTP/1.0 that stays", "the last one",
    "an id", "a trace", "an id that may not be written", "an Origin", "a long head", "several",
    "several behind chunks", "what is no HTTP behind one",
}  # fmt: skip


@pytest.mark.parametrize("name", SENT)
def test_both_ways_say_and_keep_the_same(
    name: str, ways: tuple[Way, Way], caplog: pytest.LogCaptureFixture
) -> None:
    for way in ways:
        way.sink.fails = None
        way.forwards.sources = {APP.source: True} if "forwards" in name else {}
    slow, fast = (way.outcome_of(SENT[name], caplog) for way in ways)
    assert fast.is_fast == (name in FAST)
    assert fast._replace(is_fast=False) == slow


@pytest.mark.parametrize("failure", [StorageUnavailableError("full"), ValueError("somebody's")])
@pytest.mark.parametrize("name", ["a message", "a batch", "the last one", "an id", "several"])
def test_both_ways_say_the_same_of_what_is_not_kept(
    name: str, failure: Exception, ways: tuple[Way, Way], caplog: pytest.LogCaptureFixture
) -> None:
    for way in ways:
        way.sink.fails = failure
    slow, fast = (way.outcome_of(SENT[name], caplog) for way in ways)
    assert fast.is_fast
    assert fast._replace(is_fast=False) == slow


@pytest.mark.parametrize("budget", [1, 2, 3])
def test_both_ways_spend_one_budget(budget: int, caplog: pytest.LogCaptureFixture) -> None:
    sent = SENT["a batch"] + SENT["a message"] + SENT["a message"]
    with both_served(budget) as ways:
        slow, fast = (way.outcome_of(sent, caplog) for way in ways)
    assert fast.is_fast
    assert fast._replace(is_fast=False) == slow
    assert {fact.source for fact in fast.facts} == {WEB.source}
