"""Bodies are read and decompressed under bounds."""

import asyncio
import contextlib
import gzip
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headcount.intake import Reason
from headcount.intake.asgi import Event, Receive
from headcount.intake.bodies import BodyReader, ClientGone, decompress
from headcount.intake.reasons import Refused


def channel(events: Iterable[Event]) -> Receive:
    """What a server gives the application; it waits for ever once there is nothing more."""
    left = iter(events)

    async def receive() -> Event:
        for event in left:
            return event
        await asyncio.Event().wait()
        raise AssertionError

    return receive


def pieces(*bodies: bytes) -> list[Event]:
    last = len(bodies) - 1
    return [
        {"type": "http.request", "body": body, "more_body": at < last}
        for at, body in enumerate(bodies)
    ]


@given(st.lists(st.binary(max_size=5), min_size=1, max_size=6))
def test_a_body_is_its_pieces_in_order(parts: list[bytes]) -> None:
    assert asyncio.run(BodyReader(30, 5).read(channel(pieces(*parts)))) == b"".join(parts)


@pytest.mark.parametrize("events", [pieces(b"12345"), pieces(b"12", b"34", b"5", b"6")])
async def test_a_body_is_refused_as_soon_as_it_is_too_large(events: list[Event]) -> None:
    with pytest.raises(Refused) as refused:
        await BodyReader(4, 5).read(channel(events))
    assert refused.value.reason is Reason.BODY_TOO_LARGE


async def test_a_client_that_leaves_has_no_body() -> None:
    with pytest.raises(ClientGone):
        await BodyReader(4, 5).read(channel([*pieces(b"1", b"")[:1], {"type": "http.disconnect"}]))


async def test_a_body_that_does_not_come_is_refused() -> None:
    with pytest.raises(Refused) as refused:
        await BodyReader(4, 0.01).read(channel(pieces(b"1", b"")[:1]))
    assert refused.value.reason is Reason.BODY_TIMEOUT


async def test_each_of_many_slow_bodies_is_refused_and_a_whole_one_is_not() -> None:
    reader = BodyReader(4, 0.01)

    async def slow(delay_s: float) -> Reason | bytes:
        await asyncio.sleep(delay_s)
        try:
            return await reader.read(channel(pieces(b"1", b"")[:1]))
        except Refused as refused:
            return refused.reason

    outcomes = await asyncio.gather(
        *(slow(number / 500) for number in range(20)), reader.read(channel(pieces(b"12")))
    )
    assert outcomes == [Reason.BODY_TIMEOUT] * 20 + [b"12"]
    # Once nobody reads any more, the next one has its time again.
    assert await slow(0.02) is Reason.BODY_TIMEOUT
    assert await reader.read(channel(pieces(b"1", b"2"))) == b"12"


async def test_a_read_that_is_cancelled_by_others_stays_cancelled() -> None:
    reading = asyncio.create_task(BodyReader(4, 5).read(channel([])))
    await asyncio.sleep(0)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading


@pytest.mark.parametrize("encoding", [b"", b"identity", b" Identity "])
def test_a_plain_body_stays_as_it_is(encoding: bytes) -> None:
    assert decompress(b"body", encoding, 2) == b"body"


@given(st.binary(max_size=3000), st.sampled_from([b"gzip", b"GZIP", b"x-gzip", b" gzip "]))
def test_gzip_is_unpacked(body: bytes, encoding: bytes) -> None:
    assert decompress(gzip.compress(body), encoding, 3000) == body


def test_the_bound_is_on_what_is_unpacked() -> None:
    assert decompress(gzip.compress(b"x" * 1000), b"gzip", 1000) == b"x" * 1000
    with pytest.raises(Refused) as refused:
        decompress(gzip.compress(b"x" * 1001), b"gzip", 1000)
    assert refused.value.reason is Reason.BODY_TOO_LARGE


# Without a moment in its header, so that all workers of one run name these tests alike.
PACKED = gzip.compress(b"body" * 100, mtime=0)


@pytest.mark.parametrize(
    "body",
    [b"", b"body", PACKED[:-1], PACKED[:9], PACKED + b"x", PACKED + PACKED, b"\x1f\x8b",
     PACKED[:-8] + bytes(8), PACKED[:14] + b"\xff\xff" + PACKED[16:]],
)  # fmt: skip
def test_what_is_no_whole_gzip_is_refused(body: bytes) -> None:
    with pytest.raises(Refused) as refused:
        decompress(body, b"gzip", 1000)
    assert refused.value.reason is Reason.INVALID_GZIP


@given(st.binary(max_size=60), st.integers(0, 40))
def test_damaged_gzip_is_unpacked_or_refused(noise: bytes, at: int) -> None:
    damaged = PACKED[:at] + noise + PACKED[at + len(noise) :]
    with contextlib.suppress(Refused):
        assert len(decompress(damaged, b"gzip", 1000)) <= 1000


@pytest.mark.parametrize("encoding", [b"br", b"deflate", b"gzip, gzip", b"zstd", b"\xff"])
def test_other_encodings_are_refused(encoding: bytes) -> None:
    with pytest.raises(Refused) as refused:
        decompress(PACKED, encoding, 1000)
    assert refused.value.reason is Reason.UNSUPPORTED_ENCODING
