"""What every one of these meters does in front of its engine: takes requests, gives rows.

Requests that come while a write is under way share the next one, since a write that is synced to
a disk costs the same for one message and for a thousand. A request is answered once its rows are
written.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from typing import Any, NamedTuple, Protocol

import msgspec
from fastapi import FastAPI, HTTPException, Request, Response

__all__ = [
    "ANONYMOUS", "CALLS", "IDENTIFIED", "JOINED", "WORKSPACE", "Daily", "Known", "Meter", "Row",
    "application", "today", "tracked_of",
]  # fmt: skip

CALLS, IDENTIFIED, ANONYMOUS, JOINED = range(4)
"""What is counted: API calls, and three sets of ids; the last are anonymous ids with a userId."""

WORKSPACE = 0
"""The scope that holds all sources; a source has its own number, from 1 on."""

_ROWS_A_WRITE_MAX = 20_000
_KNOWN_MAX = 2_000_000
_SUCCESS = b'{"success":true}'
_Id = str | int | None


class Row(NamedTuple):
    """One message, as far as it is counted; what is absent is an empty text."""

    message: str
    source: int
    user: str
    anonymous: str
    joined: bool


Who = tuple[int, str, str, bool]
"""A row without its message id: who sent something to which source."""

Tracked = tuple[int, int, str]
"""A scope, which of its sets, and an id in it."""

Daily = dict[int, dict[str, int]]
"""Of each kind what was new on each day, as `2026-11-26`."""


class Meter(Protocol):
    """An engine that counts."""

    async def start(self) -> None:
        """Connect, and make tables."""

    async def write(self, rows: list[Row]) -> None:
        """Count messages, each message id once; durable on return, as far as the engine is."""

    async def read(self, scope: int, month: date) -> Daily:
        """What was new on each day of a month."""

    async def stop(self) -> None:
        """Disconnect."""


class _Message(msgspec.Struct, rename="camel", gc=False):
    message_id: str
    type: str | None = None
    user_id: _Id = None
    anonymous_id: _Id = None
    previous_id: _Id = None
    write_key: str | None = None


class _Batch(msgspec.Struct, rename="camel"):
    batch: list[_Message]
    write_key: str | None = None


_decode_message = msgspec.json.Decoder(_Message).decode
_decode_batch = msgspec.json.Decoder(_Batch).decode


def today() -> date:
    """The day in UTC."""
    return datetime.now(UTC).date()


def tracked_of(who: set[Who]) -> set[Tracked]:
    """The sets that ids belong to, of their source and of the workspace."""
    return {each for one in who for each in _tracked_of(*one)}


def _tracked_of(source: int, user: str, anonymous: str, joined: bool) -> Iterator[Tracked]:
    for scope in (source, WORKSPACE):
        if user:
            yield scope, IDENTIFIED, user
        if anonymous:
            yield scope, ANONYMOUS, anonymous
            if joined:
                yield scope, JOINED, anonymous


class Known:
    """Whom this worker has written already this month, so that it need not write them again."""

    def __init__(self) -> None:
        self._month = today().replace(day=1)
        self._written: set[Who] = set()

    def unknown(self, rows: list[Row]) -> set[Who]:
        """Who may be new among the senders of these messages."""
        if (month := today().replace(day=1)) != self._month or len(self._written) > _KNOWN_MAX:
            self._month, self._written = month, set()
        return {row[1:] for row in rows} - self._written

    def add(self, written: set[Who]) -> None:
        """Remember what is written for good."""
        self._written |= written


class _Groups:
    """Requests that are written together."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._waiting: list[tuple[list[Row], asyncio.Future[None]]] = []
        self._writing: asyncio.Task[None] | None = None

    async def put(self, rows: list[Row]) -> None:
        written = asyncio.get_running_loop().create_future()
        self._waiting.append((rows, written))
        # One write at a time: two of half the size cost more, as was measured with each engine.
        if self._writing is None:
            self._writing = asyncio.create_task(self._write())
        await written

    async def _write(self) -> None:
        # One round of the loop, so that requests which have come together go together.
        await asyncio.sleep(0)
        while self._waiting:
            group: list[asyncio.Future[None]] = []
            rows: list[Row] = []
            while self._waiting and len(rows) < _ROWS_A_WRITE_MAX:
                of_one, written = self._waiting.pop(0)
                rows += of_one
                group.append(written)
            try:
                await self._meter.write(rows)
            except Exception as error:
                for each in group:
                    each.set_exception(error)
            else:
                for each in group:
                    each.set_result(None)
        self._writing = None


def _text(value: _Id) -> str:
    return "" if value is None else str(value)


def _row(source: int, message: _Message) -> Row:
    user, anonymous = _text(message.user_id), _text(message.anonymous_id)
    if message.type == "alias":
        anonymous = _text(message.previous_id)
    return Row(message.message_id, source, user, anonymous, bool(user and anonymous))


def application(meter: Meter) -> FastAPI:
    """The meter as an application; its write keys stand in METER_KEYS, as JSON, with numbers."""
    keys: dict[str, int] = json.loads(os.environ["METER_KEYS"])
    by_header = {
        "Basic " + base64.b64encode(f"{key}:".encode()).decode(): number
        for key, number in keys.items()
    }
    groups: list[_Groups] = []

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await meter.start()
        groups.append(_Groups(meter))
        yield
        await meter.stop()

    app = FastAPI(lifespan=lifespan, openapi_url=None)

    def source_of(request: Request, write_key: str | None) -> int:
        number = by_header.get(request.headers.get("authorization", ""))
        if number is None and (number := keys.get(write_key or "")) is None:
            raise HTTPException(401, "unknown write key")
        return number

    @app.post("/v1/batch")
    async def take_batch(request: Request) -> Response:
        batch = _decode_batch(await request.body())
        source = source_of(request, batch.write_key)
        await groups[0].put([_row(source, message) for message in batch.batch])
        return Response(_SUCCESS, media_type="application/json")

    @app.post("/v1/{kind}")
    async def take_one(kind: str, request: Request) -> Response:
        message = _decode_message(await request.body())
        message.type = kind
        await groups[0].put([_row(source_of(request, message.write_key), message)])
        return Response(_SUCCESS, media_type="application/json")

    @app.get("/usage")
    async def usage(scope: int, month: date) -> dict[str, Any]:
        return _running(await meter.read(scope, month), month)

    return app


def _running(new: Daily, month: date) -> dict[str, Any]:
    """Running totals of each day from the month's first to today, or to the month's last."""
    end = month.replace(year=month.year + month.month // 12, month=month.month % 12 + 1)
    first, last = month.toordinal(), min(end.toordinal() - 1, today().toordinal())
    days = [date.fromordinal(number).isoformat() for number in range(first, last + 1)]
    series: dict[str, Any] = {"days": days}
    for kind, name in enumerate(("apiCalls", "identified", "anonymous", "anonymousIdentified")):
        total, series[name] = 0, []
        for day in days:
            total += new.get(kind, {}).get(day, 0)
            series[name].append(total)
    return series
