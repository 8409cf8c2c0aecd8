"""Reads request bodies as they come: takes ASGI's `receive`, gives bytes; decides who has to go.

No room is taken by what a client announces, only by what has come. A body that comes in one piece
waits for nothing. Those that come slowly wait in one of two rooms, of those whose key is known and
of those that showed none, so that strangers crowd out only strangers. Where a room is full, whoever
has made no progress for the longest goes, and not whoever comes next: a hundred thousand silent
connections cannot turn away a client that sends. Where all make progress, of the large ones the
youngest goes, so that those before it become whole. Nobody may take longer than a fixed time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Generator, Iterator
from types import coroutine
from typing import Any, NamedTuple

from headcount.intake.asgi import Event, Receive
from headcount.intake.reasons import Reason, Refused

__all__ = ["BodyReader", "ClientGone", "Room"]

# Whoever sends a byte now and then makes no progress; and whoever takes much room has to send more.
_PROGRESS_BYTES = 1024
_PROGRESS_SHARE = 16
# Whoever has made none for so long has stopped, for what room is concerned.
_STOPPED_S = 0.5
# How often the rooms are looked at, while somebody is in one.
_LOOK_EVERY_S = 0.1


class ClientGone(Exception):
    """The client went away before its body was whole; there is nobody to answer."""


class Room(NamedTuple):
    """How much of bodies that are still coming is kept.

    Attributes:
        bodies_max: how many they may be.
        bytes_max: what they may hold together; more than one body may have.
    """

    bodies_max: int
    bytes_max: int


class _Body:
    """One that is being received: by whom, until when, how far it is, and why it has to end."""

    __slots__ = ("due_at_s", "end", "held_bytes", "progress_bytes", "progressed_at_s", "task")

    def __init__(self, task: asyncio.Task[Any], now_s: float, due_at_s: float) -> None:
        self.task = task
        self.due_at_s = due_at_s
        self.progressed_at_s = now_s
        self.progress_bytes = 0
        self.held_bytes = 0
        self.end: Reason | None = None


class _Waiting:
    """The bodies in one room, whoever made progress last at the end."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._bodies: dict[_Body, None] = {}
        self._held_bytes = 0

    def __bool__(self) -> bool:
        return bool(self._bodies)

    def enter(self, body: _Body) -> None:
        self._bodies[body] = None

    def leave(self, body: _Body) -> None:
        if self._bodies.pop(body, self) is None:
            self._held_bytes -= body.held_bytes

    def grow(self, body: _Body, size: int, now_s: float) -> None:
        """A part of a body has come, and is not its last.

        Raises:
            Refused: there is no room even for this body alone.
        """
        body.held_bytes += size
        self._held_bytes += size
        body.progress_bytes += size
        if body.progress_bytes >= max(_PROGRESS_BYTES, body.held_bytes // _PROGRESS_SHARE):
            body.progress_bytes = 0
            body.progressed_at_s = now_s
            del self._bodies[body]
            self._bodies[body] = None
        while self._held_bytes > self._room.bytes_max:
            self._make_room(body, now_s)

    def _make_room(self, newest: _Body, now_s: float) -> None:
        """End a body that has stopped, the largest for the longest; else the youngest large one.

        The small ones stay. Were it the largest that goes where none has stopped, it would be the
        one that is nearest to its end, and of many that come at once none would become whole.
        """

        def weight(body: _Body) -> float:
            return body.held_bytes * (now_s - body.progressed_at_s)

        holding = [body for body in self._bodies if body.held_bytes]
        stopped = [body for body in holding if now_s - body.progressed_at_s > _STOPPED_S]
        if stopped:
            victim = max(stopped, key=weight)
        else:
            large = [body for body in holding if body.held_bytes * len(holding) >= self._held_bytes]
            victim = max(large, key=lambda body: body.due_at_s)
        if victim is newest:
            raise Refused(Reason.BODY_TOO_SLOW)
        self.end(victim, Reason.BODY_TOO_SLOW)

    def end(self, body: _Body, reason: Reason) -> None:
        """Cut a body off; its reader is told why."""
        self.leave(body)
        body.end = reason
        body.task.cancel()

    def look(self, now_s: float) -> None:
        """End those that are due, and those that are too many."""
        for body in [body for body in self._bodies if body.due_at_s <= now_s]:
            self.end(body, Reason.BODY_TIMEOUT)
        for body in self._first(len(self._bodies) - self._room.bodies_max):
            self.end(body, Reason.BODY_TOO_SLOW)

    def _first(self, count: int) -> list[_Body]:
        bodies: Iterator[_Body] = iter(self._bodies)
        return [next(bodies) for _ in range(max(0, count))]


class BodyReader:
    """Reads bodies, many at a time, in one event loop.

    One timer serves all of them: a timer for each would cost a tenth of all the work for a small
    request.

    Args:
        bytes_max: a body that is longer is refused.
        timeout_s: how long a client may take to send one, however steadily.
        known: the room of those whose key is known.
        keyless: the room of the others.
    """

    def __init__(self, bytes_max: int, timeout_s: float, known: Room, keyless: Room) -> None:
        self._bytes_max = bytes_max
        self._timeout_s = timeout_s
        self._known = _Waiting(known)
        self._keyless = _Waiting(keyless)
        self._look_runs = False

    async def read(self, receive: Receive, *, known: bool) -> bytes:
        """The whole body of a request, as it was sent.

        Args:
            receive: as ASGI has it.
            known: whether the head showed a key, or a token, that is known.

        Raises:
            Refused: the body is too large or too slow.
            ClientGone: the connection ended first.
        """
        # Nearly every body is there already, which is seen without waiting for it: it takes no
        # place in a room and no time of the loop's.
        coming = receive().__await__()
        try:
            waits_for = next(coming)
        except StopIteration as come:
            part, is_last = self._part(come.value)
            if is_last:
                return part
            first: Awaitable[Event] = _come(come.value)
        else:
            first = _resumed(coming, waits_for)
        return await self._read_slowly(first, receive, self._known if known else self._keyless)

    async def _read_slowly(
        self, first: Awaitable[Event], receive: Receive, waiting: _Waiting
    ) -> bytes:
        """The whole body of a request that has to wait for it, in a room."""
        loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        assert task is not None
        now_s = loop.time()
        body = _Body(task, now_s, now_s + self._timeout_s)
        waiting.enter(body)
        if not self._look_runs:
            self._look_runs = True
            loop.call_later(min(self._timeout_s, _LOOK_EVERY_S), self._look, loop)
        try:
            part, is_last = self._part(await first)
            if is_last:
                return part
            parts = bytearray()
            while not is_last:
                parts += part
                waiting.grow(body, len(part), loop.time())
                part, is_last = self._part(await receive(), len(parts))
            return bytes(parts + part)
        except asyncio.CancelledError:
            if body.end is None:
                raise
            task.uncancel()
            raise Refused(body.end) from None
        finally:
            waiting.leave(body)

    def _part(self, event: Event, before_bytes: int = 0) -> tuple[bytes, bool]:
        """What has come, and whether it is the last part of the body."""
        if event["type"] == "http.disconnect":
            raise ClientGone
        part: bytes = event.get("body", b"")
        if before_bytes + len(part) > self._bytes_max:
            raise Refused(Reason.BODY_TOO_LARGE)
        return part, not event.get("more_body", False)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        """See who has to go, and come back while there is anybody."""
        now_s = loop.time()
        self._known.look(now_s)
        self._keyless.look(now_s)
        self._look_runs = bool(self._known or self._keyless)
        if self._look_runs:
            loop.call_later(min(self._timeout_s, _LOOK_EVERY_S), self._look, loop)


async def _come(event: Event) -> Event:
    return event


@coroutine
def _resumed(coming: Generator[Any, Any, Event], waits_for: object) -> Generator[Any, Any, Event]:
    """Goes on with what has begun to wait, as if it were awaited from the start."""
    while True:
        try:
            yield waits_for
        except BaseException as error:
            try:
                waits_for = coming.throw(error)
            except StopIteration as come:
                event: Event = come.value
                return event
        else:
            return (yield from coming)
