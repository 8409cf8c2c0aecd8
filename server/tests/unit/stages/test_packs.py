"""Packs: what is published is what is read, or is refused."""

from __future__ import annotations

import operator
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headcount.counting.batch import FACT_DTYPE
from headcount.counting.calendar import parse_period
from headcount.counting.facts import Rejection
from headcount.counting.metrics import KINDS
from headcount.counting.usage import DAYS_MAX
from headcount.engines import PUBLISH_BYTES_MAX, TELL_BYTES_MAX
from headcount.stages.counts_packs import CountsStanding, decode_counts, encode_counts
from headcount.stages.packs import (
    Pack,
    PackedEntry,
    PackError,
    PartitionOrder,
    PartitionOrderKind,
    QueuePart,
    decode_pack,
    encode_pack,
)
from headcount.stages.tells import (
    Confirmation,
    RelayMark,
    decode_tells,
    encode_tells,
    positions_told,
)

FORMER = (
    "eeba8ea8013800000095a26e31009193c4100000000000000000000000000000000104919a05110400c291"
    "95010203aa696e76616c69645f69640490900090909066616374"
)
NUMBERS = st.integers(0, 2**40)
TALLIES = st.tuples(NUMBERS, NUMBERS, NUMBERS, st.text(max_size=8), NUMBERS)
ASIDE = st.tuples(
    st.text(max_size=5), st.binary(max_size=9), st.text(max_size=5), st.none() | NUMBERS
)
ENTRIES = st.builds(
    PackedEntry, NUMBERS, NUMBERS, st.binary(max_size=120), NUMBERS, st.booleans(),
    st.lists(TALLIES, max_size=2), st.lists(ASIDE, max_size=2),
    st.lists(st.tuples(NUMBERS, NUMBERS), max_size=2),
    NUMBERS, st.lists(st.binary(max_size=9), max_size=2),
)  # fmt: skip
QUEUES = st.uuids().map(str)
PARTS = st.builds(QueuePart, QUEUES, NUMBERS, st.lists(ENTRIES, max_size=3))
ORDERS = st.tuples(st.integers(0, 9), NUMBERS, NUMBERS, NUMBERS).map(
    lambda told: PartitionOrder(*told)
)
FORGETS = st.binary(min_size=1, max_size=9).map(
    lambda data: PartitionOrder(PartitionOrderKind.FORGET, 0, data=data)
)
# Orders of the one kind stand before those of the other.
ALL_ORDERS = st.builds(operator.add, st.lists(ORDERS, max_size=2), st.lists(FORGETS, max_size=2))
PACKS = st.builds(Pack, st.text(max_size=8), NUMBERS, st.lists(PARTS, max_size=3), ALL_ORDERS)


@settings(max_examples=300)
@given(PACKS)
def test_a_pack_is_read_as_it_was_published(pack: Pack) -> None:
    assert decode_pack(encode_pack(pack)) == pack


ROW_BYTES = st.sampled_from([8, 24, 56])


@given(st.binary(max_size=400), st.lists(st.integers(0, 3), max_size=40), ROW_BYTES)
def test_rows_that_have_much_in_common_are_read_as_they_were(
    data: bytes, changes: list[int], row_bytes: int
) -> None:
    row = (data + bytes(row_bytes))[:row_bytes]
    rows = [bytes([change]) + row[1:-1] + bytes([change // 2]) for change in changes]
    entry = PackedEntry(1, 2, b"".join(rows), 0, False, [], [], [], 0, [])
    for entries in ([entry], [entry, entry._replace(id=2, data=data)], [entry._replace(data=data)]):
        pack = Pack("n1", 0, [QueuePart(str(UUID(int=1)), 0, entries)], [])
        assert decode_pack(encode_pack(pack, row_bytes)) == pack


def test_what_facts_have_in_common_is_said_once() -> None:
    random = np.random.default_rng(1)
    facts = np.zeros(1_000, FACT_DTYPE)
    facts["received_at_ms"] = 1_780_000_000_000 + np.arange(1_000) // 100
    facts["workspace"], facts["source"] = 7, 9
    facts["message"] = random.integers(1, 1 << 63, 1_000)
    facts["anonymous"] = random.integers(1, 1 << 63, 1_000)
    pack = Pack("n1", 0, [QueuePart(str(UUID(int=1)), 0, [PackedEntry(1, 2, facts.tobytes())])])
    assert len(encode_pack(pack, FACT_DTYPE.itemsize)) < 0.4 * len(encode_pack(pack))


def test_packs_of_the_former_version_are_read() -> None:
    # As version 1 wrote it: one entry of four bytes, which stand there as they are.
    written = bytes.fromhex(FORMER)
    entry = PackedEntry(5, 17, b"fact", 0, False, [(1, 2, 3, "invalid_id", 4)], [], [], 0, [])
    assert decode_pack(written) == Pack("n1", 0, [QueuePart(str(UUID(int=1)), 4, [entry])], [])


@settings(max_examples=200)
@given(PACKS, st.data())
def test_any_flipped_bit_is_refused(pack: Pack, data: st.DataObject) -> None:
    flipped = bytearray(encode_pack(pack))
    bit = data.draw(st.integers(0, 8 * len(flipped) - 1))
    flipped[bit // 8] ^= 1 << bit % 8
    with pytest.raises(PackError):
        decode_pack(bytes(flipped))


@given(PACKS, st.data())
def test_a_pack_that_is_cut_off_is_refused(pack: Pack, data: st.DataObject) -> None:
    whole = encode_pack(pack)
    with pytest.raises(PackError):
        decode_pack(whole[: data.draw(st.integers(0, len(whole) - 1))])


def test_another_version_is_refused_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headcount.stages.packs.VERSION", 3)
    newer = encode_pack(Pack("n1", 0))
    monkeypatch.undo()
    with pytest.raises(PackError, match="version 3"):
        decode_pack(newer)


def _standing() -> CountsStanding:
    return CountsStanding("facts-1", 1, "lineage", 7, 5, 6, {"q": 3}, 1, 2, [(1, 2)], [(1, 2, 3)])


def test_counts_are_read_as_they_were_published_in_parts_that_fit() -> None:
    random = np.random.default_rng(1)
    month = parse_period("2026-01-01")
    rows = [
        ((1, month, source), random.integers(0, 1 << 60, (DAYS_MAX, len(KINDS))))
        for source in range(3_000)
    ]
    tally = Rejection(1, 2, 20_000, "invalid", 5)
    packed = encode_counts(_standing(), 3, rows, [tally])
    assert len(packed) > 1
    assert max(map(len, packed)) <= PUBLISH_BYTES_MAX
    packs = [decode_counts(each) for each in packed]
    assert [(pack.part, pack.parts) for pack in packs] == [
        (n, len(packs)) for n in range(len(packs))
    ]
    assert {pack.since for pack in packs} == {3}
    found = [row for pack in packs for row in pack.unpacked()]
    assert [place for place, _ in found] == [place for place, _ in rows]
    assert all((one == other).all() for (_, one), (_, other) in zip(found, rows, strict=True))
    assert [tally for pack in packs for tally in pack.tallies] == [tuple(tally)]


@given(st.data())
def test_counts_with_a_flipped_bit_are_refused(data: st.DataObject) -> None:
    month = parse_period("2026-01-01")
    [packed] = encode_counts(_standing(), 0, [((1, month, 1), np.ones((DAYS_MAX, len(KINDS))))], [])
    flipped = bytearray(packed)
    bit = data.draw(st.integers(0, 8 * len(flipped) - 1))
    flipped[bit // 8] ^= 1 << bit % 8
    with pytest.raises(PackError):
        decode_counts(bytes(flipped))


def test_tells_of_many_queues_go_in_as_many_as_fit() -> None:
    queues = [UUID(int=number) for number in range(1, 401)]
    mark = RelayMark("n1", 0, 1, 1, 99, len(queues), [(q.bytes, list(range(16))) for q in queues])
    said = Confirmation(3, 1, [(q.bytes, 1 << 40) for q in queues])
    told = encode_tells([mark, said])
    assert max(map(len, told)) <= TELL_BYTES_MAX
    found = decode_tells(told)
    marks = [each for each in found if isinstance(each, RelayMark)]
    assert {each.queues for each in marks} == {len(queues)}
    assert [one for each in marks for one in each.last_ids] == mark.last_ids
    positions: dict[str, int] = {}
    for each in found:
        if isinstance(each, Confirmation):
            positions |= positions_told(each.positions)
    assert positions == {str(queue): 1 << 40 for queue in queues}


def test_what_cannot_be_read_is_as_good_as_lost() -> None:
    assert decode_tells([b"", b"\xff\xff", b"\x91\x91\x09"]) == []
