"""What a meter must get right before its speed counts: takes an entrant, gives what it got wrong.

Messages with every twist of the rules that clients bring about, sent by several at once; and
plain sets, which say what must have been counted of them.
"""

from __future__ import annotations

import http.client
import json
import random
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from bench.contest.entrants import SOURCES, WORKSPACE, Entrant
from bench.load import BenchError
from bench.server import basic
from bench.traffic import Expected

__all__ = ["COUNTED_WITHIN_S", "differences", "examine"]

COUNTED_WITHIN_S = 60.0
_CLIENTS = 8
_BATCH = 25
_VISITORS = 60

_Message = dict[str, Any]


@dataclass(slots=True)
class _Truth:
    """Sets of what was sent to a scope."""

    messages: set[tuple[int, str]] = field(default_factory=set)
    identified: set[str] = field(default_factory=set)
    anonymous: set[str] = field(default_factory=set)
    joined: set[str] = field(default_factory=set)

    def add(self, source: int, message: _Message) -> None:
        self.messages.add((source, message["messageId"]))
        user, anonymous = (_text(message.get(name)) for name in ("userId", "anonymousId"))
        if message["type"] == "alias":
            anonymous = _text(message["previousId"])
        self.identified |= {user} - {""}
        self.anonymous |= {anonymous} - {""}
        if user and anonymous:
            self.joined.add(anonymous)

    def counts(self) -> Expected:
        return Expected(
            len(self.messages), len(self.identified), len(self.anonymous), len(self.joined)
        )


def _text(value: object) -> str:
    return "" if value is None else str(value)


def examine(entrant: Entrant, messages: int, seed: int) -> tuple[Expected, list[str]]:
    """Send the examination, and compare.

    Args:
        entrant: who is examined; it has counted nothing yet.
        messages: how many of them are distinct.
        seed: which ones.

    Returns:
        What the workspace must have counted; and each difference, in words.

    Raises:
        BenchError: a message was refused.
    """
    truths, requests = _made(messages, random.Random(seed))
    with ThreadPoolExecutor(_CLIENTS) as clients:
        sent = [
            clients.submit(_send, entrant, requests[first::_CLIENTS]) for first in range(_CLIENTS)
        ]
        for each in sent:
            each.result()
    expected = truths[WORKSPACE].counts()
    found = differences(entrant, expected, WORKSPACE)
    for source in range(1, SOURCES + 1):
        found += differences(entrant, truths[source].counts(), source)
    return expected, found


def differences(entrant: Entrant, expected: Expected, scope: int) -> list[str]:
    """Wait until at least so much is counted, and say how that differs from what was sent."""
    until_s = time.monotonic() + COUNTED_WITHIN_S
    while (counted := entrant.counted(scope)) != expected:
        # More than was sent does not become less, and nothing else is still to come.
        if counted.api_calls >= expected.api_calls or time.monotonic() > until_s:
            where = f"source {scope}" if scope else "the workspace"
            names = {
                "api_calls": "API calls", "identified": "identified ids",
                "anonymous": "anonymous ids", "anonymous_identified": "anonymous identified ids",
            }  # fmt: skip
            return [
                f"{said} of {where}: {getattr(counted, name):,} counted,"
                f" {getattr(expected, name):,} sent"
                for name, said in names.items()
                if getattr(counted, name) != getattr(expected, name)
            ]
        time.sleep(0.02)
    return []


def _made(messages: int, chance: random.Random) -> tuple[list[_Truth], list[tuple[int, Any]]]:
    """What must be counted by scope, and requests: to which source, and a batch or one message."""
    truths = [_Truth() for _ in range(SOURCES + 1)]
    sent: list[tuple[int, _Message]] = []
    for number in range(messages):
        source = 1 + chance.randrange(SOURCES)
        message = _message(number, chance)
        sent.append((source, message))
        if chance.random() < 0.1:  # two sources may use the same message id
            sent.append((1 + source % SOURCES, message))
    for source, message in sent:
        truths[source].add(source, message)
        truths[WORKSPACE].add(source, message)
    # A client sends again what it is not sure of: at once, later, and beside others.
    again = chance.sample(sent, len(sent) // 4)
    deliveries = sent + again
    chance.shuffle(deliveries)
    requests: list[tuple[int, Any]] = []
    for source in range(1, SOURCES + 1):
        of_source = [message for each, message in deliveries if each == source]
        batches, singles = of_source[len(of_source) // 4 :], of_source[: len(of_source) // 4]
        requests += [(source, message) for message in singles]
        for first in range(0, len(batches), _BATCH):
            batch = batches[first : first + _BATCH]
            requests += [(source, [*batch, batch[0]])] * 2  # twice at once, and one twice inside
    return truths, requests


def _message(number: int, chance: random.Random) -> _Message:
    visitor = chance.randrange(_VISITORS)
    message: _Message = {"type": "track", "event": "Seen", "messageId": f"examined-{number} é\t\\"}
    kind = chance.randrange(6)
    if kind == 0:  # from a server, which knows users by a number
        return message | {"userId": visitor}
    if kind == 1:
        return message | {"type": "alias", "userId": f"u{visitor}", "previousId": f"a{visitor % 7}"}
    if kind == 2:  # the same text as userId and as anonymousId is two ids
        return message | {"anonymousId": f"u{visitor}", "userId": None}
    if kind == 3:
        # The decimal text of a number is the same id as the number.
        return message | {"userId": chance.choice((f"u{visitor}", str(visitor))), "anonymousId": ""}
    message["anonymousId"] = f"a{visitor}"
    if kind == 4:
        message |= {"type": "identify", "userId": f"u{visitor // 2}"}
    return message


def _send(entrant: Entrant, requests: Sequence[tuple[int, Any]]) -> None:
    place = urlsplit(entrant.url)
    assert place.hostname is not None
    with closing(http.client.HTTPConnection(place.hostname, place.port, timeout=30)) as client:
        for source, content in requests:
            key = entrant.write_keys[source - 1]
            if isinstance(content, list):
                path, document = "/v1/batch", {"batch": content, "writeKey": key}
            else:
                path, document = f"/v1/{content['type']}", content
            head = {"Authorization": basic(key), "Content-Type": "application/json"}
            client.request("POST", path, json.dumps(document).encode(), head)
            answer = client.getresponse()
            said = answer.read()
            if answer.status != 200:
                raise BenchError(f"{path} was answered {answer.status}: {said[-200:]!r}")
