"""A fact as intake packs it is the fact that the fold unpacks."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from headcount.counting.batch import facts_from_bytes
from headcount.counting.facts import (
    ABSENT,
    FACT_BYTES,
    LIBRARIES,
    MESSAGE_TYPES,
    fact_head,
    tags_of,
)

U32 = st.integers(0, 2**32 - 1)
HASH = st.binary(min_size=8, max_size=8)


@given(st.integers(-(2**63), 2**63 - 1), U32, U32, U32, U32, st.tuples(HASH, HASH, HASH, HASH))
def test_every_field_comes_back(
    received_at_ms: int, workspace: int, source: int, tags: int, flags: int,
    hashes: tuple[bytes, bytes, bytes, bytes],
) -> None:  # fmt: skip
    packed = fact_head(received_at_ms, workspace, source, tags, flags) + b"".join(hashes)
    assert len(packed) == FACT_BYTES
    (fact,) = facts_from_bytes([packed])
    assert fact.item() == (
        received_at_ms, workspace, source, tags, flags,
        *(int.from_bytes(each, "little") for each in hashes),
    )  # fmt: skip


@given(st.lists(st.lists(st.integers(0, 5), max_size=5), max_size=5))
def test_facts_come_by_time_and_then_in_the_order_they_were_written(
    blocks: list[list[int]],
) -> None:
    number = 0
    packed, expected = [], []
    for times in blocks:
        block = b""
        for moment in times:
            block += fact_head(moment, number, 0, 0) + 4 * ABSENT
            expected.append((moment, number))
            number += 1
        packed.append(block)
    facts = facts_from_bytes(packed)
    found = zip(facts["received_at_ms"].tolist(), facts["workspace"].tolist(), strict=True)
    assert list(found) == sorted(expected)


def test_every_type_and_library_has_tags_of_its_own() -> None:
    tags = {tags_of(kind, library) for kind in MESSAGE_TYPES for library in LIBRARIES}
    assert len(tags) == len(MESSAGE_TYPES) * len(LIBRARIES)
