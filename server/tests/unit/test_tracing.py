"""A request's id: the one that it brings, where that can be written down as it stands."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from headcount import tracing

TRACE = b"4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = b"00-%b-00f067aa0ba902b7-01" % TRACE


def scope(*headers: tuple[bytes, bytes]) -> dict[str, Any]:
    return {"type": "http", "headers": list(headers)}


@pytest.mark.parametrize(
    ("headers", "wanted"),
    [
        ([(b"x-request-id", b"abc-1.2_Z")], "abc-1.2_Z"),
        ([(b"x-request-id", b"x" * 128)], "x" * 128),
        ([(b"traceparent", PARENT)], TRACE.decode()),
        ([(b"traceparent", PARENT + b"-later")], TRACE.decode()),
        ([(b"traceparent", PARENT), (b"x-request-id", b"mine")], "mine"),
        ([(b"x-request-id", b"a b"), (b"traceparent", PARENT)], TRACE.decode()),
    ],
)
def test_an_id_that_is_brought_is_the_request_s(
    headers: list[tuple[bytes, bytes]], wanted: str
) -> None:
    asked = scope(*headers)
    tracing.headers_of(asked)
    assert tracing.id_of(asked) == tracing.id_of(scope(*headers)) == wanted


@pytest.mark.parametrize(
    "header",
    [
        (b"x-request-id", b""), (b"x-request-id", b"x" * 129), (b"x-request-id", b"a\n2026 ERROR"),
        (b"x-request-id", b"\x1b[2J"), (b"x-request-id", b"\xff\xfe"), (b"x-request-id", b'"},{'),
        (b"x-request-id", b"ada@example.com"), (b"x-request-id", b"a] b"),
        (b"traceparent", b"00-" + b"0" * 32 + b"-00f067aa0ba902b7-01"), (b"traceparent", TRACE),
        (b"traceparent", PARENT.upper()), (b"traceparent", PARENT + b"\n"),
    ],
)  # fmt: skip
def test_one_that_is_not_well_formed_is_replaced(header: tuple[bytes, bytes]) -> None:
    asked = scope(header)
    tracing.headers_of(asked)
    found = tracing.id_of(asked)
    assert len(found) == 32
    assert set(found) <= set("0123456789abcdef")
    assert tracing.id_of(asked) == found
    assert found.encode() not in header[1]


def test_ids_that_are_made_differ() -> None:
    assert len({tracing.made_id() for _ in range(2000)}) == 2000


async def test_each_task_and_its_threads_are_of_their_own_request() -> None:
    async def request(name: bytes) -> list[str | None]:
        tracing.begin(scope((b"x-request-id", name)))
        await asyncio.sleep(0)
        return [tracing.current_id(), await asyncio.to_thread(tracing.current_id)]

    found = await asyncio.gather(*(request(b"%d" % number) for number in range(3)))
    assert found == [["0", "0"], ["1", "1"], ["2", "2"]]
    assert tracing.current_id() is None
