"""Bodies are read as they come; where there is no room, the slowest go."""

import asyncio
from collections.abc import Iterable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headcount.intake import Reason
from headcount.intake.asgi import Event, Receive
from headcount.intake.reasons import Refused
from headcount.intake.receiving import BodyReader, ClientGone, Room

AMPLE = Room(100, 1 << 20)


def reader(
    bytes_max: int, *, timeout_s: float = 5, known: Room = AMPLE, keyless: Room = AMPLE
) -> BodyReader:
    return BodyReader(bytes_max, timeout_s, known, keyless)


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
    assert asyncio.run(reader(30).read(channel(pieces(*parts)), known=True)) == b"".join(parts)


@pytest.mark.parametrize("events", [pieces(b"12345"), pieces(b"12", b"34", b"5", b"6")])
async def test_a_body_is_refused_as_soon_as_it_is_too_large(events: list[Event]) -> None:
    with pytest.raises(Refused) as refused:
        await reader(4).read(channel(events), known=True)
    assert refused.value.reason is Reason.BODY_TOO_LARGE


async def test_a_client_that_leaves_has_no_body() -> None:
    with pytest.raises(ClientGone):
        await reader(4).read(
            channel([*pieces(b"1", b"")[:1], {"type": "http.disconnect"}]), known=True
        )


async def test_a_body_that_does_not_come_is_refused() -> None:
    with pytest.raises(Refused) as refused:
        await reader(4, timeout_s=0.01).read(channel(pieces(b"1", b"")[:1]), known=True)
    assert refused.value.reason is Reason.BODY_TIMEOUT


async def test_each_of_many_slow_bodies_is_refused_and_a_whole_one_is_not() -> None:
    impatient = reader(4, timeout_s=0.01)

    async def slow(delay_s: float) -> Reason | bytes:
        await asyncio.sleep(delay_s)
        try:
            return await impatient.read(channel(pieces(b"1", b"")[:1]), known=True)
        except Refused as refused:
            return refused.reason

    outcomes = await asyncio.gather(
        *(slow(number / 500) for number in range(20)),
        impatient.read(channel(pieces(b"12")), known=True),
    )
    assert outcomes == [Reason.BODY_TIMEOUT] * 20 + [b"12"]
    # Once nobody reads any more, the next one has its time again.
    assert await slow(0.02) is Reason.BODY_TIMEOUT
    assert await impatient.read(channel(pieces(b"1", b"2")), known=True) == b"12"


async def test_a_read_that_is_cancelled_by_others_stays_cancelled() -> None:
    reading = asyncio.create_task(reader(4).read(channel([]), known=True))
    await asyncio.sleep(0)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading


async def test_who_gives_the_parts_hears_that_a_read_is_cancelled_and_may_answer_it() -> None:
    async def receive() -> Event:
        for _ in range(2):
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled.append(True)
        return {"type": "http.disconnect"}

    cancelled: list[bool] = []
    reading = asyncio.create_task(reader(4).read(receive, known=True))
    for _ in range(2):
        await asyncio.sleep(0)
        reading.cancel()
    with pytest.raises(ClientGone):
        await reading
    assert cancelled == [True, True]


class Upload:
    """A body that comes when the test says so, and what became of it."""

    def __init__(self, bodies: BodyReader, *, known: bool = False) -> None:
        self._parts: asyncio.Queue[Event] = asyncio.Queue()
        self._reading = asyncio.create_task(bodies.read(self._parts.get, known=known))

    async def send(self, part: bytes, *, last: bool = False) -> None:
        self._parts.put_nowait({"type": "http.request", "body": part, "more_body": not last})
        for _ in range(3):
            await asyncio.sleep(0)

    async def outcome(self) -> bytes | Reason:
        try:
            return await self._reading
        except Refused as refused:
            return refused.reason

    async def is_cut(self) -> bool:
        return self._reading.done() and await self.outcome() is Reason.BODY_TOO_SLOW


async def looked_at() -> None:
    """Wait until the reader has counted who waits."""
    await asyncio.sleep(0.25)


async def test_where_too_many_wait_the_longest_without_progress_go() -> None:
    bodies = reader(10_000, keyless=Room(3, 1 << 20))
    silent, dripping, steady, phone = [Upload(bodies) for _ in range(4)]
    await silent.send(b"")
    await dripping.send(b"x")
    await steady.send(b"x" * 2000)
    await dripping.send(b"x")
    late = Upload(bodies)
    await looked_at()
    cut = [await each.is_cut() for each in (silent, dripping, steady, phone, late)]
    assert cut == [True, True, False, False, False]
    await phone.send(b"whole", last=True)
    assert await phone.outcome() == b"whole"
    await steady.send(b"x", last=True)
    assert await steady.outcome() == b"x" * 2001


async def test_strangers_crowd_out_only_strangers() -> None:
    bodies = reader(10_000, keyless=Room(2, 1 << 20))
    known = Upload(bodies, known=True)
    strangers = [Upload(bodies) for _ in range(20)]
    await looked_at()
    assert [await each.is_cut() for each in strangers] == [True] * 18 + [False] * 2
    await known.send(b"whole", last=True)
    assert await known.outcome() == b"whole"


async def test_the_largest_that_stand_still_make_room_for_the_bytes_of_others() -> None:
    bodies = reader(1000, keyless=Room(10, 2500))
    small, large, larger = [Upload(bodies) for _ in range(3)]
    await small.send(b"x" * 10)
    await large.send(b"x" * 900)
    await larger.send(b"x" * 1000)
    honest = Upload(bodies)
    await honest.send(b"x" * 600)
    assert [await each.is_cut() for each in (small, large, larger)] == [False, False, True]
    await honest.send(b"", last=True)
    assert await honest.outcome() == b"x" * 600
    # What left took its bytes along: there is as much room as before.
    await Upload(bodies).send(b"x" * 1000)
    assert not await large.is_cut()


async def test_of_many_large_bodies_that_come_at_once_some_become_whole() -> None:
    """Twenty clients that send again whatever is refused, with room for three bodies of theirs."""
    crowded = reader(100, known=Room(100, 300))
    whole, rounds = 0, 200

    async def client() -> None:
        nonlocal whole
        for _ in range(rounds):
            parts = iter(pieces(*[b"12345"] * 20))

            async def receive(parts: Iterator[Event] = parts) -> Event:
                await asyncio.sleep(0)
                return next(parts)

            try:
                await crowded.read(receive, known=True)
            except Refused:
                continue
            whole += 1

    small_parts = iter(pieces(b"1", b"2", b"3"))

    async def small() -> Event:
        await asyncio.sleep(0)
        return next(small_parts)

    clients = [asyncio.create_task(client()) for _ in range(20)]
    await asyncio.sleep(0)
    # One that takes little room is not put out for theirs.
    assert await crowded.read(small, known=True) == b"123"
    await asyncio.gather(*clients)
    assert whole > rounds / 4


async def test_a_body_that_comes_in_one_piece_waits_for_no_room() -> None:
    bodies = reader(10, keyless=Room(0, 0))
    assert await bodies.read(channel(pieces(b"whole")), known=False) == b"whole"


async def test_a_body_alone_that_has_no_room_is_refused() -> None:
    bodies = reader(10, keyless=Room(1, 3))
    with pytest.raises(Refused) as refused:
        await bodies.read(channel(pieces(b"whole", b"")), known=False)
    assert refused.value.reason is Reason.BODY_TOO_SLOW
