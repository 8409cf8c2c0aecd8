"""Traffic for tests that kill a server: batches that are ready to send, and clients that insist.

Takes a prepared data folder's write keys; gives bodies with what must come of them, and threads
that send each body until it is acknowledged. Nothing here knows of processes.
"""

from __future__ import annotations

import base64
import http.client
import json
import random
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from support.oracle import Oracle, PlainFact

__all__ = ["Address", "Batch", "Clients", "Source", "batches_of", "expected"]

MESSAGES_A_BATCH = 100
_RETRY_AFTER_S = 0.01
_ANSWER_WITHIN_S = 20.0
_CLIENTS = 8


@dataclass(frozen=True)
class Source:
    """A source that clients send to."""

    name: str
    number: int
    workspace: int
    write_key: str


@dataclass(frozen=True)
class Batch:
    """One request: its body, the header that names its source, and the messages in it."""

    body: bytes
    authorization: str
    messages: Sequence[dict[str, Any]]
    source: Source


class Address:
    """Where the server listens just now; it moves when the server is started again."""

    def __init__(self, port: int) -> None:
        self.port = port


def batches_of(sources: Sequence[Source], count: int, rng: random.Random) -> list[Batch]:
    """Batches whose visitors come again, become users and are merged."""
    made = []
    for number in range(count):
        source = rng.choice(sources)
        messages = [
            _message(f"{number}-{each}", rng, source.workspace) for each in range(MESSAGES_A_BATCH)
        ]
        basic = base64.b64encode(f"{source.write_key}:".encode()).decode()
        body = json.dumps({"batch": messages}).encode()
        made.append(Batch(body, f"Basic {basic}", messages, source))
    return made


def _message(message_id: str, rng: random.Random, workspace: int) -> dict[str, Any]:
    message: dict[str, Any] = {"messageId": message_id, "type": "track", "event": "Seen"}
    visitor = rng.randrange(8000)
    if rng.random() < 0.8:
        message["anonymousId"] = f"visitor {workspace} {visitor}"
    if rng.random() < 0.4 or "anonymousId" not in message:
        message["userId"] = f"user {visitor // 3}"
        if rng.random() < 0.1:
            message |= {"type": "alias", "previousId": f"visitor {workspace} {visitor + 1}"}
    return message


def expected(batches: Sequence[Batch], received_at_ms: int) -> Oracle:
    """What counts must be once every batch is counted."""
    oracle = Oracle()
    for batch in batches:
        for message in batch.messages:
            fact = PlainFact(
                received_at_ms, batch.source.workspace, batch.source.number, message["messageId"],
                message.get("userId"), message.get("anonymousId"), message.get("previousId"),
            )  # fmt: skip
            oracle.meter(fact, fact.day)
    return oracle


class Clients:
    """Threads that send batches until each is acknowledged, and wait where they are told to.

    Attributes:
        acknowledged: how many batches are.
        resent: how many times a batch had to be sent again.
    """

    def __init__(self, batches: Sequence[Batch], address: Address) -> None:
        self._left = list(reversed(batches))
        self._total = len(batches)
        self._address = address
        self._changed = threading.Condition()
        self._begun = self._may_begin = 0
        self._failure: BaseException | None = None
        self.acknowledged = self.resent = 0
        self._threads = [threading.Thread(target=self._send_all) for _ in range(_CLIENTS)]

    def start(self) -> None:
        """Begin, up to what `allow` says."""
        for thread in self._threads:
            thread.start()

    def allow(self, batches: int) -> None:
        """Let no more than so many batches be begun, from the first one on."""
        with self._changed:
            self._may_begin = min(batches, self._total)
            self._changed.notify_all()

    def await_acknowledged(self, batches: int) -> None:
        """Wait until so many batches are acknowledged."""
        with self._changed:
            self._changed.wait_for(lambda: self._failure or self.acknowledged >= batches)
            if self._failure is not None:
                raise self._failure

    def finish(self) -> None:
        """Wait until every batch is acknowledged."""
        self.allow(self._total)
        self.await_acknowledged(self._total)

    def give_up(self) -> None:
        """End the threads, whatever is left to send; idempotent."""
        with self._changed:
            self._left.clear()
            self._may_begin = self._total
            self._failure = self._failure or RuntimeError("the test ended before its clients did")
            self._changed.notify_all()
        for thread in self._threads:
            if thread.is_alive():
                thread.join()

    def _next(self) -> Batch | None:
        with self._changed:
            self._changed.wait_for(
                lambda: self._failure or not self._left or self._begun < self._may_begin
            )
            if self._failure is not None or not self._left:
                return None
            self._begun += 1
            return self._left.pop()

    def _send_all(self) -> None:
        connection = self._connection()
        try:
            while (batch := self._next()) is not None:
                connection = self._deliver(batch, connection)
                with self._changed:
                    self.acknowledged += 1
                    self._changed.notify_all()
        except BaseException as failure:
            with self._changed:
                self._failure = self._failure or failure
                self._changed.notify_all()
        finally:
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self._address.port, timeout=_ANSWER_WITHIN_S)

    def _deliver(
        self, batch: Batch, connection: http.client.HTTPConnection
    ) -> http.client.HTTPConnection:
        """Send a batch until it is acknowledged; gives the connection to go on with."""
        headers = {"Authorization": batch.authorization, "Content-Type": "application/json"}
        try:
            while self._failure is None:
                try:
                    connection.request("POST", "/v1/batch", batch.body, headers)
                    answer = connection.getresponse()
                    body = answer.read()
                except (OSError, http.client.HTTPException):
                    connection.close()
                    connection = self._connection()
                else:
                    if answer.status == 200:
                        assert body == b'{"success":true}', body
                        return connection
                    assert answer.status in (429, 503), (answer.status, body)
                self.resent += 1
                time.sleep(_RETRY_AFTER_S)
            raise self._failure
        except BaseException:
            connection.close()
            raise
