"""The chain, pack by pack: what is taken, what is missing, and until when all is there."""

from __future__ import annotations

from uuid import UUID

from headcount.stages.chain import Chain, Hole
from headcount.stages.packs import Pack, PackedEntry, QueuePart
from headcount.stages.tells import RelayMark

QUEUE = str(UUID(int=7))
OTHER = str(UUID(int=8))


def pack(previous: int, *ids: int, queue: str = QUEUE, origin: str = "n1", epoch: int = 0) -> Pack:
    entries = [PackedEntry(each, 0, b"%d" % each) for each in ids]
    return Pack(origin, epoch, [QueuePart(queue, previous, entries)])


def mark(round_: int, until_ms: int, last: int, *, life: int = 1, queues: int = 1, number: int = 0):
    last_ids = [0] * number + [last]
    return RelayMark("n1", 0, life, round_, until_ms, queues, [(UUID(int=7).bytes, last_ids)])


def ids(chain: Chain, each: Pack, now_s: float = 0.0) -> list[int]:
    return [arrival.entry.id for arrival in chain.take(each, now_s)]


def test_entries_are_taken_once_and_in_order() -> None:
    chain = Chain(0, {})
    assert ids(chain, pack(0, 2, 5)) == [2, 5]
    assert ids(chain, pack(0, 2, 5)) == []
    assert ids(chain, pack(2, 5, 9)) == [9]
    assert chain.positions == {QUEUE: 9}
    assert chain.repeats == 3


def test_nothing_behind_a_gap_is_taken_and_it_is_asked_for_twice_a_second() -> None:
    chain = Chain(0, {QUEUE: 2})
    assert ids(chain, pack(5, 9)) == []
    assert chain.gaps(10.0) == [(QUEUE, 2)]
    assert chain.gaps(10.4) == []
    assert chain.gaps(10.5) == [(QUEUE, 2)]
    assert ids(chain, pack(2, 5)) == [5]
    assert chain.gaps(20.0) == []
    assert ids(chain, pack(5, 9)) == [9]


def test_queues_do_not_wait_for_one_another() -> None:
    chain = Chain(0, {})
    assert ids(chain, pack(3, 4)) == []
    assert ids(chain, pack(0, 1, queue=OTHER)) == [1]
    assert chain.gaps(1.0) == [(QUEUE, 0)]


def test_what_stands_behind_a_gap_is_taken_where_nobody_can_close_it() -> None:
    chain = Chain(0, {QUEUE: 2, OTHER: 2})
    assert chain.hole(QUEUE) is None, "nobody has said anything of it"
    assert ids(chain, pack(9, 12)) == ids(chain, pack(5, 9)) == []
    assert chain.hole(QUEUE) == Hole("n1", 5), "the nearest, in whatever order they come"
    assert ids(chain, pack(5, 9, queue=OTHER, origin="n2")) == []
    chain.skip(QUEUE, 5)
    assert chain.lacking() == [QUEUE, OTHER], "what was refused has to be read again"
    chain.read_anew()
    assert chain.lacking() == [OTHER]
    assert chain.hole(QUEUE) == Hole("n1", 0)
    assert ids(chain, pack(9, 12)) == []
    assert ids(chain, pack(5, 9)) == [9]
    assert ids(chain, pack(9, 12)) == [12]


def test_a_tail_that_never_came_is_no_longer_waited_for_where_nobody_publishes_it() -> None:
    chain = Chain(0, {QUEUE: 2})
    chain.mark(mark(1, 100, 7))
    for now_s in (0.0, 3.0):
        chain.look(chain.positions, now_s)
    assert chain.lacking() == [QUEUE]
    assert chain.hole(QUEUE) == Hole("n1", 0)
    chain.expect_nothing(QUEUE)
    chain.look(chain.positions, 6.0)
    assert chain.lacking() == []
    # And if it comes all the same, it is counted.
    assert ids(chain, pack(2, 5, 7)) == [5, 7]


def test_behind_a_tail_that_somebody_has_accepted_as_lost_all_goes_on() -> None:
    chain = Chain(0, {QUEUE: 2})
    chain.mark(mark(1, 100, 7))
    chain.skip(QUEUE, 7)
    chain.look(chain.positions, 4.0)
    assert (chain.lacking(), chain.until_ms(["n1"])) == ([], 100)


def test_an_entry_in_pieces_is_taken_whole_or_not() -> None:
    first = Pack("n1", 0, [QueuePart(QUEUE, 0, [PackedEntry(3, 0, b"ab", 0, more=True)])])
    last = Pack("n1", 0, [QueuePart(QUEUE, 0, [PackedEntry(3, 0, b"c", 2, more=False)])])
    chain = Chain(0, {})
    assert ids(chain, last) == []
    assert chain.gaps(1.0) == [(QUEUE, 0)]
    assert ids(chain, first) == []
    [arrival] = chain.take(last, 0.0)
    assert (arrival.entry.data, arrival.entry.offset) == (b"abc", 0)
    assert ids(chain, first) == ids(chain, last) == []


def test_what_a_former_owner_publishes_is_left_out() -> None:
    chain = Chain(0, {})
    assert ids(chain, pack(0, 1, origin="facts-0", epoch=2)) == [1]
    assert ids(chain, pack(1, 2, origin="facts-0", epoch=1)) == []
    assert ids(chain, pack(1, 2, origin="facts-0", epoch=2)) == [2]


def test_fresh_is_the_latest_mark_that_is_reached_of_everybody() -> None:
    chain = Chain(0, {})
    chain.mark(mark(1, 100, 0))
    chain.mark(mark(2, 200, 5))
    chain.look({}, 0.0)
    assert chain.until_ms(["n1"]) == 100
    assert chain.until_ms(["n1", "n2"]) is None
    assert chain.waits_for(["n1", "n2"]) == ["n2"]
    ids(chain, pack(0, 5))
    # Taken is not counted: only what is committed is.
    chain.look({}, 0.0)
    assert chain.until_ms(["n1"]) == 100
    chain.look({QUEUE: 5}, 0.0)
    assert chain.until_ms(["n1"]) == 200
    chain.mark(mark(1, 100, 0))
    chain.look({QUEUE: 5}, 0.0)
    assert chain.until_ms(["n1"]) == 200


def test_a_mark_counts_once_all_of_it_was_heard() -> None:
    chain = Chain(0, {})
    chain.mark(mark(1, 100, 0, queues=2))
    chain.look({}, 0.0)
    assert chain.until_ms(["n1"]) is None
    chain.mark(RelayMark("n1", 0, 1, 1, 100, 2, [(UUID(int=8).bytes, [0])]))
    chain.look({}, 0.0)
    assert chain.until_ms(["n1"]) == 100


def test_a_clock_that_was_set_back_sets_freshness_back() -> None:
    chain = Chain(0, {})
    for each in (mark(1, 9_000, 0), mark(2, 4_000, 0)):
        chain.mark(each)
        chain.look({}, 0.0)
    assert chain.until_ms(["n1"]) == 4_000
    chain.mark(mark(1, 5_000, 0, life=2))
    chain.look({}, 0.0)
    assert chain.until_ms(["n1"]) == 5_000


def test_a_lost_tail_is_a_gap_after_two_seconds_in_which_nothing_comes() -> None:
    chain = Chain(0, {})
    chain.mark(mark(1, 100, 5))
    chain.look({}, 10.0)
    assert chain.gaps(10.0) == []
    ids(chain, pack(0, 3), now_s=11.0)
    chain.look({QUEUE: 3}, 12.5)
    assert chain.gaps(12.5) == []
    chain.look({QUEUE: 3}, 13.0)
    assert chain.gaps(13.0) == [(QUEUE, 3)]


def test_a_queue_that_is_replaced_is_asked_for_again_once_it_is_named_again() -> None:
    chain = Chain(0, {QUEUE: 2})
    assert ids(chain, pack(5, 9)) == []
    assert not chain.is_replaced(QUEUE), "nobody has said which queues there are"
    other = RelayMark("n1", 0, 2, 1, 100, 1, [(UUID(int=8).bytes, [4])])
    chain.mark(other)
    assert (chain.is_replaced(QUEUE), chain.is_replaced(OTHER)) == (True, False)
    chain.end(QUEUE)
    assert ids(chain, pack(5, 9)) == []
    assert (chain.lacking(), chain.gaps(10.0)) == ([], [])
    # A mark of a life before, that comes late, or a queue that came back.
    chain.mark(mark(1, 100, 9))
    assert (chain.lacking(), chain.gaps(10.0)) == ([QUEUE], [(QUEUE, 2)])
    assert ids(chain, pack(2, 5, 9)) == [5, 9]
