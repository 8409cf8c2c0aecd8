"""What clients send: requests made of few ids, so that they collide, and what must come of them.

Takes a seed, gives requests as bytes on the wire, each with the facts and rejections that the rules
make of it. It knows the rules of admission and shares no code with intake.
"""

from __future__ import annotations

import base64
import json
import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

from headcount.counting.calendar import MS_PER_DAY, Period, day_of_ms
from headcount.counting.facts import Rejection
from support.oracle import PlainFact

__all__ = ["Request", "SimSource", "Workload"]

_EARLIEST_DAY = (datetime(2000, 1, 1, tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)).days


class SimSource(NamedTuple):
    """A source of the simulated installation, as clients know it."""

    workspace: int
    number: int
    id: str
    write_key: str


@dataclass
class Request:
    """One request and what must come of it.

    Attributes:
        path: where it is posted.
        authorization: the header, empty for none.
        body: as sent.
        status: of the answer, when it is not one of storage.
        facts: what it leaves behind once it is acknowledged.
        rejections: the tallies that it leaves.
        rejected: index and code of each rejected message, as the answer lists them.
        messages: what a client sends again when it does not know the outcome.
    """

    path: str
    authorization: str
    body: bytes
    status: int = 200
    facts: list[PlainFact] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)
    rejected: list[tuple[int, str]] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)


class Message(NamedTuple):
    """A message of a source: its fields on the wire, and why it is rejected, if it is."""

    source: SimSource
    fields: dict[str, Any]
    rejected: str | None


_BAD: tuple[tuple[str, dict[str, Any]], ...] = (
    ("no_user_anon_id", {"userId": None, "anonymousId": None}),
    ("invalid_id", {"userId": True}),
    ("invalid_message_id", {"messageId": "m" * 101}),
    ("event_not_string", {"event": 7}),
    ("unknown_type", {"type": "whisper"}),
)


class Workload:
    """Makes requests.

    Args:
        rng: the seed's dice.
        sources: who sends.
        tokens: the admin token of each workspace.
    """

    def __init__(
        self, rng: random.Random, sources: list[SimSource], tokens: dict[int, str]
    ) -> None:
        self._rng = rng
        self._sources = sources
        self._tokens = tokens
        self._sent: list[Message] = []
        self._numbers = 0
        self.unknown: list[Message] = []
        """Messages whose senders had no answer, or a refusal: they will send them again."""

    def post(self, now_ms: int) -> Request:
        """A single message or a batch of one source."""
        rng = self._rng
        source = rng.choice(self._sources)
        if self.unknown and rng.random() < 0.6:
            source = rng.choice(self.unknown).source
        count = rng.choice([1, 1, 2, 3, 5])
        messages = [self._message(source) for _ in range(count)]
        if count == 1 and messages[0].rejected != "unknown_type":
            return _single(messages[0], now_ms)
        return _batch(messages, now_ms)

    def _message(self, source: SimSource) -> Message:
        rng = self._rng
        again = [message for message in self.unknown if message.source == source]
        if again and rng.random() < 0.7:
            # The first thing that a client does is to send again what it has no answer for.
            message = rng.choice(again)
            self.unknown.remove(message)
            return message
        if self._sent and rng.random() < 0.15:
            message = rng.choice(self._sent)
            if message.source == source:
                return message
        message = Message(source, *self._fields())
        if message.rejected is None:
            self._sent.append(message)
        return message

    def _fields(self) -> tuple[dict[str, Any], str | None]:
        rng = self._rng
        kind = rng.choice(["track", "track", "identify", "page", "alias", "group"])
        fields: dict[str, Any] = {"type": kind, "messageId": self._message_id()}
        user, anonymous = f"u{rng.randint(1, 7)}", f"a{rng.randint(1, 7)}"
        if kind == "alias":
            fields |= {"userId": user, "previousId": f"a{rng.randint(1, 7)}"}
            if rng.random() < 0.3:
                fields["anonymousId"] = anonymous
        else:
            which = rng.random()
            if which < 0.6:
                fields["anonymousId"] = anonymous
            if which > 0.4:
                fields["userId"] = user
        if kind == "track":
            fields["event"] = "Seen"
        if kind == "group":
            fields["groupId"] = "g1"
        if kind == "track" and rng.random() < 0.12:
            reason, changed = rng.choice(_BAD)
            return fields | changed, reason
        return fields, None

    def _message_id(self) -> str:
        # A few ids come again and again, in all months and from all sources.
        if self._rng.random() < 0.25:
            return f"m{self._rng.randint(1, 6)}"
        self._numbers += 1
        return f"n{self._numbers}"

    def import_(self, now_ms: int, sealed: set[tuple[int, Period]]) -> Request:
        """Records with times of their own, by the admin token of a workspace."""
        rng = self._rng
        workspace = rng.choice(sorted(self._tokens))
        sources = [source for source in self._sources if source.workspace == workspace]
        request = Request("/v1/import", f"Bearer {self._tokens[workspace]}", b"")
        today = day_of_ms(now_ms)
        around_day = max(_EARLIEST_DAY, today - rng.choice([0, 1, 3, 31, 36, 70, 400]))
        records: list[dict[str, Any]] = []
        for index in range(rng.randint(1, 5)):
            message = self._message(rng.choice(sources))
            if message.rejected is not None:
                continue
            received_at_ms = (around_day + rng.choice([0, 0, 1, -1])) * MS_PER_DAY
            received_at_ms += rng.randrange(MS_PER_DAY // 1000) * 1000
            if rng.random() < 0.04:
                received_at_ms = rng.randrange(_EARLIEST_DAY * MS_PER_DAY)
            index = len(records)
            records.append(
                message.fields
                | {"receivedAt": _moment_text(received_at_ms), "writeKey": message.source.write_key}
            )
            request.messages.append(message)
            day = day_of_ms(received_at_ms)
            reason = None
            if received_at_ms > now_ms:
                reason = "received_at_in_future"
            elif day < _EARLIEST_DAY:
                reason = "received_at_before_2000"
            elif (workspace, Period.of_day(day)) in sealed:
                reason = "period_sealed"
            if reason is not None:
                request.rejected.append((index, reason))
                request.rejections.append(
                    Rejection(workspace, message.source.number, today, reason, 1)
                )
            else:
                request.facts.append(_fact(message, received_at_ms, imported=True))
        request.body = json.dumps({"batch": records}).encode()
        return request


def _single(message: Message, now_ms: int) -> Request:
    fields = dict(message.fields)
    kind = fields.pop("type")
    request = Request(
        f"/v1/{kind}", _basic(message.source), json.dumps(fields).encode(), messages=[message]
    )
    _expect(request, 0, message, now_ms)
    if message.rejected is not None:
        request.status, request.rejected = 400, []
    return request


def _batch(messages: list[Message], now_ms: int) -> Request:
    source = messages[0].source
    body = json.dumps({"batch": [message.fields for message in messages]}).encode()
    request = Request("/v1/batch", _basic(source), body, messages=list(messages))
    for index, message in enumerate(messages):
        _expect(request, index, message, now_ms)
    return request


def _expect(request: Request, index: int, message: Message, now_ms: int) -> None:
    if message.rejected is None:
        request.facts.append(_fact(message, now_ms))
        return
    source, reason = message.source, message.rejected
    request.rejected.append((index, reason))
    request.rejections.append(
        Rejection(source.workspace, source.number, day_of_ms(now_ms), reason, 1)
    )


def _fact(message: Message, received_at_ms: int, *, imported: bool = False) -> PlainFact:
    source, fields = message.source, message.fields
    previous = fields.get("previousId") if fields["type"] == "alias" else None
    return PlainFact(
        received_at_ms, source.workspace, source.number, fields["messageId"],
        fields.get("userId"), fields.get("anonymousId"), previous, imported,
    )  # fmt: skip


def _basic(source: SimSource) -> str:
    return "Basic " + base64.b64encode(f"{source.write_key}:".encode()).decode()


def _moment_text(moment_ms: int) -> str:
    moment = datetime.fromtimestamp(moment_ms / 1000, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment_ms % 1000:03d}Z"


def tallied(rejections: list[Rejection]) -> Counter[tuple[int, int, int, str]]:
    """How many messages each place lost, by (workspace, source, day, reason)."""
    found: Counter[tuple[int, int, int, str]] = Counter()
    for workspace, source, day, reason, messages in rejections:
        found[workspace, source, day, reason] += messages
    return found
