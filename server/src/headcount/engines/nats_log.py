"""The log in NATS JetStream: a stream for each first word of subjects, on three servers.

Entries are read by the stream's numbers, in batches, straight from any server that holds it:
nothing about those who read is kept on servers, so nothing of it can be lost there. A server that
lags gives the beginning of what there is, never a part of it that leaves something out.
"""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import Sequence
from datetime import UTC, datetime

from nats.aio.client import Client
from nats.aio.msg import Msg

from headcount.engines.log import (
    PUBLISH_BYTES_MAX,
    TELL_BYTES_MAX,
    FactLog,
    Follower,
    LogEntry,
)
from headcount.engines.nats_connection import Nats, Subscribed
from headcount.engines.nats_streams import REPLICAS, Stream
from headcount.errors import EngineAwayError

__all__ = ["NatsLog"]

_LOOK_EVERY_S = 1.0
_COMPARE_EVERY_S = 5.0
_HOLD_EVERY_S = 2.0
_BATCH = 1024
_DAY_NS = 86_400 * 10**9


class NatsLog(FactLog):
    """A `FactLog` on NATS servers.

    Args:
        address: of the servers.
        name: of the cluster: what its streams' names and its subjects begin with.
        timeout_s: how long an answer is waited for.
        days: for how long entries are kept.
    """

    def __init__(self, address: str, name: str, timeout_s: float, days: int) -> None:
        self.servers = Nats(address, timeout_s)
        self._name = name
        self._days = days
        self._streams: dict[str, Stream] = {}

    def connect(self) -> None:
        """Connect now.

        Raises:
            OperatorError: something is wrong that another try does not fix.
            EngineAwayError: the servers cannot be asked at present.
        """
        self.servers.connect()

    def stored(self, subject: str) -> str:
        """What a subject is called in its stream."""
        return f"{self._name}.log.{subject}"

    def stream(self, subject: str) -> Stream:
        """The stream in which a subject stands."""
        word = subject.partition(".")[0]
        if word not in self._streams:
            config = {
                "name": f"{self._name}-{word}",
                "subjects": [self.stored(word), self.stored(f"{word}.>")],
                "max_age": self._days * _DAY_NS,
                "allow_direct": True,
            }
            self._streams[word] = Stream(self.servers, config)
        return self._streams[word]

    def publish(self, subject: str, data: bytes) -> None:
        self.publish_all([(subject, data)])

    def publish_all(self, entries: Sequence[tuple[str, bytes]]) -> None:
        assert all(len(data) <= PUBLISH_BYTES_MAX for _, data in entries)
        if not entries:
            return
        by_subject: dict[str, list[bytes]] = {}
        for subject, data in entries:
            by_subject.setdefault(subject, []).append(data)

        async def publish_one(client: Client, subject: str, each: list[bytes]) -> None:
            for data in each:
                await self.stream(subject).put(client, self.stored(subject), bytes(data))
            # Whoever misses the notice looks once a second.
            await client.publish(self._wake(subject), b"")

        async def ask(client: Client) -> None:
            # Those that follow one another on a subject must not overtake each other.
            done = await asyncio.gather(
                *(publish_one(client, *each) for each in by_subject.items()),
                return_exceptions=True,
            )
            for each in done:
                if isinstance(each, BaseException):
                    raise each

        self.servers.run(ask)

    def follow(self, subject: str, hint: int | None = None, at: int = 0) -> _NatsFollower:
        return _NatsFollower(self, subject, self._wake(subject), hint or 0, at)

    def take_all(
        self, followers: Sequence[Follower], bytes_max: int = 4 << 20
    ) -> list[list[LogEntry]]:
        due = [each for each in followers if isinstance(each, _NatsFollower) and each.is_due()]
        if not due:
            return [[] for _ in followers]

        async def ask(client: Client) -> list[list[LogEntry] | BaseException]:
            asked = (each.ask(client, bytes_max) for each in due)
            return await asyncio.gather(*asked, return_exceptions=True)

        answers = self.servers.run(ask)
        given: dict[int, list[LogEntry]] = {}
        for each, answer in zip(due, answers, strict=True):
            if isinstance(answer, BaseException):
                self.servers.fail(answer)
            given[id(each)] = answer
        for each in due:
            each.took(given[id(each)])
        return [given.get(id(each), []) for each in followers]

    def tell(self, subject: str, data: bytes) -> None:
        self.tell_all([(subject, data)])

    def tell_all(self, told: Sequence[tuple[str, bytes]]) -> None:
        assert all(len(data) <= TELL_BYTES_MAX for _, data in told)

        async def ask(client: Client) -> None:
            for subject, data in told:
                await client.publish(self._told(subject), bytes(data))

        self.servers.run(ask)

    def hear(self, subject: str) -> _NatsHearer:
        return _NatsHearer(self.servers, self._told(subject))

    def trim(self, before_ms: int) -> None:
        before = datetime.fromtimestamp(before_ms / 1000, UTC)

        async def ask(client: Client) -> None:
            for stream in await self._names(client):
                first = await self._first_since(client, stream, before)
                if first:
                    await self.servers.api(client, f"STREAM.PURGE.{stream}", {"seq": first})

        self.servers.run(ask)

    async def _names(self, client: Client) -> list[str]:
        asked = {"subject": f"{self._name}.log.>"}
        said = await self.servers.api(client, "STREAM.NAMES", asked)
        return list(said.get("streams") or [])

    async def _first_since(self, client: Client, stream: str, moment: datetime) -> int:
        """The number of the first entry since a moment: one more than the last where none is."""
        asked = {
            "start_time": moment.isoformat(),
            "next_by_subj": f"{self._name}.log.>",
            "batch": 1,
        }
        answer = await client.request(
            f"$JS.API.DIRECT.GET.{stream}",
            json.dumps(asked).encode(),
            timeout=self.servers.timeout_s,
        )
        if answer.headers and "Nats-Sequence" in answer.headers:
            return int(answer.headers["Nats-Sequence"])
        said = await self.servers.api(client, f"STREAM.INFO.{stream}")
        return int(said["state"]["last_seq"]) + 1 if said["state"]["messages"] else 0

    def warnings(self) -> list[str]:
        """What an operator should know of the servers, as sentences; raises as `publish`."""

        async def ask(client: Client) -> list[str]:
            found = []
            for stream in await self._names(client):
                said = await self.servers.api(client, f"STREAM.INFO.{stream}")
                if said["config"]["num_replicas"] < REPLICAS:
                    found.append(
                        f"Stream {stream} stands on {said['config']['num_replicas']} server, not"
                        f" {REPLICAS}: what it acknowledged is lost with that server's disk."
                    )
                away = [
                    each["name"]
                    for each in (said.get("cluster") or {}).get("replicas") or []
                    if each.get("offline") or not each.get("current")
                ]
                if away:
                    found.append(f"Stream {stream} is not up to date on {', '.join(away)}.")
            return found

        return self.servers.run(ask)

    def wait(self, seconds: float) -> None:
        self.servers.wait(seconds)

    def close(self) -> None:
        self.servers.close()

    def _wake(self, subject: str) -> str:
        return f"{self._name}.wake.{subject}"

    def _told(self, subject: str) -> str:
        return f"{self._name}.tell.{subject}"


class _NatsFollower:
    def __init__(self, log: NatsLog, subject: str, wake: str, hint: int, at: int) -> None:
        self.set_backs = 0
        self._log = log
        self._subject = subject
        self._after, self._after_at = hint, at
        self._asked_at_s = self._compared_at_s = self._held_at_s = -math.inf
        self._connected = self._connected_at = -1
        self._is_gone = False
        self._more = True
        self._wake = wake
        self._woken: Subscribed | None = None

    def take(self, bytes_max: int = 4 << 20) -> list[LogEntry]:
        return self._log.take_all([self], bytes_max)[0]

    def is_due(self) -> bool:
        """Whether there may be something."""
        if self._woken is None:
            self._woken = self._log.servers.subscribe(self._wake)
        # Heard before it is read, so that of what comes in between there is a notice.
        if self._woken.take() or time.monotonic() - self._asked_at_s >= _LOOK_EVERY_S:
            self._more = True
        return self._more

    def took(self, entries: list[LogEntry]) -> None:
        """Go on behind what was given."""
        self._asked_at_s = time.monotonic()
        self._more = bool(entries)
        if entries:
            self._after, self._after_at = entries[-1].hint, entries[-1].at
            self._log.servers.keep_awake()

    async def ask(self, client: Client, bytes_max: int) -> list[LogEntry]:
        entries = await self._read(client, bytes_max)
        if entries is None:
            return await self._anew(client, bytes_max)
        if entries or not self._after:
            return entries
        # Whether the log is younger than what was read of it: asked at the beginning, after every
        # connection, and now and then.
        now_s, connected = time.monotonic(), self._log.servers.connected
        if connected == self._connected and now_s - self._compared_at_s < _COMPARE_EVERY_S:
            return []
        said = await self._log.stream(self._subject).info(client)
        self._compared_at_s, self._connected = now_s, connected
        if (
            said is None
            or self._after > said["state"]["last_seq"]
            or (self._is_gone and await self._is_lost(client, said["state"]["first_seq"]))
        ):
            return await self._anew(client, bytes_max)
        return []

    async def _is_lost(self, client: Client, first: int) -> bool:
        """Whether what was read last, and a server did not give once more, is not in the log.

        A server that lags has it not yet; and what is old enough is let go.
        """
        if first > self._after:
            return False
        there = await self._log.stream(self._subject).entry(client, self._after)
        mine = (self._log.stored(self._subject), self._after_at)
        return there is None or (there[0], _microseconds(there[1])) != mine

    async def _anew(self, client: Client, bytes_max: int) -> list[LogEntry]:
        """From the beginning: the log has lost what was read of it."""
        self._after, self.set_backs, self._is_gone = 0, self.set_backs + 1, False
        return await self._read(client, bytes_max) or []

    async def _read(self, client: Client, bytes_max: int) -> list[LogEntry] | None:
        """What comes next; None where what was read last is not what stands there now."""
        if not (holds := self._is_time_to_hold()):
            return await self._read_from(client, bytes_max, self._after + 1)
        # The last one once more: its number may have been given to another one.
        entries = await self._read_from(client, bytes_max, self._after)
        self._held_at_s, self._connected_at = time.monotonic(), holds
        self._is_gone = not entries
        if not entries:
            return entries
        if entries[0].hint == self._after:
            if entries[0].at != self._after_at:
                return None
            if len(entries) == 1 and len(entries[0].data) >= bytes_max:
                return await self._read_from(client, bytes_max, self._after + 1)
            return entries[1:]
        said = await self._log.stream(self._subject).info(client)
        # What is old enough is let go; nothing else may be missing.
        return entries if said is None or said["state"]["first_seq"] > self._after else None

    def _is_time_to_hold(self) -> int:
        """In which connection to hold what was read last against what stands there; 0: not now."""
        if not self._after or not self._after_at:
            return 0
        connected = self._log.servers.connected
        is_due = time.monotonic() - self._held_at_s >= _HOLD_EVERY_S
        return connected if is_due or connected != self._connected_at else 0

    async def _read_from(self, client: Client, bytes_max: int, seq: int) -> list[LogEntry]:
        stream = self._log.stream(self._subject)
        asked = {
            "seq": seq,
            "next_by_subj": self._log.stored(self._subject),
            "batch": _BATCH,
            "max_bytes": bytes_max,
        }
        inbox = client.new_inbox()
        came: asyncio.Queue[Msg] = asyncio.Queue()
        subscription = await client.subscribe(inbox, cb=came.put)
        try:
            text = json.dumps(asked).encode()
            await client.publish(f"$JS.API.DIRECT.GET.{stream.name}", text, reply=inbox)
            return await self._gather(client, came, bytes_max)
        finally:
            await subscription.unsubscribe()

    async def _gather(
        self, client: Client, came: asyncio.Queue[Msg], bytes_max: int
    ) -> list[LogEntry]:
        entries: list[LogEntry] = []
        size = 0
        while True:
            async with asyncio.timeout(self._log.servers.timeout_s):
                message = await came.get()
            headers = message.headers or {}
            status = headers.get("Status")
            if status == "503":
                # No server holds the stream: there is none, or there is no quorum.
                stream = self._log.stream(self._subject)
                if await stream.info(client) is None:
                    return []
                raise EngineAwayError(f"No server gives stream {stream.name} at the moment.")
            if status is not None:
                return entries
            before = int(headers["Nats-Last-Sequence"])
            if entries and before != entries[-1].hint:
                return entries  # the connection lost some; they are read with the next
            size += len(message.data)
            if entries and size > bytes_max:
                return entries
            at = _microseconds(headers["Nats-Time-Stamp"])
            entries.append(LogEntry(int(headers["Nats-Sequence"]), message.data, at))

    def close(self) -> None:
        if self._woken is not None:
            self._log.servers.unsubscribe(self._wake, self._woken)


class _NatsHearer:
    def __init__(self, servers: Nats, subject: str) -> None:
        self._servers = servers
        self._subject = subject
        self._heard = servers.subscribe(subject)

    def take(self) -> list[bytes]:
        heard = self._heard.take()
        if not heard:
            self._servers.look()
        return heard

    def close(self) -> None:
        self._servers.unsubscribe(self._subject, self._heard)


def _microseconds(stamp: str) -> int:
    """A moment as servers write it, with up to nine places of a second."""
    seconds, _, fraction = stamp.rstrip("Z").partition(".")
    whole = datetime.fromisoformat(seconds).replace(tzinfo=UTC)
    return int(whole.timestamp()) * 1_000_000 + int(fraction[:6].ljust(6, "0"))
