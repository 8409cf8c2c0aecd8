"""Whatever lies in a journal as facts, the meter goes on, and counts the honest ones exactly."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from headcount.counting.aside import AsideReason
from headcount.counting.batch import FACT_DTYPE, Facts
from headcount.counting.calendar import MS_PER_DAY, parse_period
from headcount.counting.facts import FACT_BYTES, IMPORTED
from headcount.counting.plausible import bounds_of, sorted_out
from headcount.meter import MeterLimits
from support.oracle import Oracle, PlainFact
from support.rig import Rig, assert_equal_to_oracle, pack
from support.stores import STORES

TODAY = parse_period("2026-11-01").first_day + 20
NOW_MS = TODAY * MS_PER_DAY + MS_PER_DAY // 2
YEAR_1 = -62_135_596_800_000
HONEST = [
    PlainFact(
        NOW_MS - n % 3 * MS_PER_DAY, 1, 1 + n % 2, f"m{n}", f"u{n % 5}", f"a{n}", None, n % 4 == 0
    )
    for n in range(12)
]
SOURCES = {1: 1, 2: 1}


def packed(**fields: int) -> bytes:
    """A fact with some fields as given, and the others as an honest one has them."""
    fact = np.frombuffer(pack(HONEST[0]), FACT_DTYPE).copy()
    for name, value in fields.items():
        fact[name] = value
    return fact.tobytes()


def flipped(fact: bytes, bits: list[int]) -> bytes:
    """A fact with some of its bits the other way round."""
    data = bytearray(fact)
    for bit in bits:
        data[bit // 8] ^= 1 << bit % 8
    return bytes(data)


HEAD_BITS = 24 * 8
SIGNED = st.integers(-(2**63), 2**63 - 1)
TIMES = st.one_of(
    SIGNED,
    st.sampled_from([-(2**63), 2**63 - 1, YEAR_1, 0, -1, 946_684_799_999, 253_402_300_799_999]),
    # Every day that the calendar has, and some on either side of it.
    st.integers(-730_000, 3_000_000).map(lambda day: day * MS_PER_DAY),
)
NUMBERS = st.one_of(st.integers(0, 2**32 - 1), st.sampled_from([0, 1, 2, 2**32 - 1]))
ANY_FACT = st.one_of(
    st.binary(min_size=FACT_BYTES, max_size=FACT_BYTES),
    st.builds(
        packed, received_at_ms=TIMES, flags=st.sampled_from([0, IMPORTED]),
        workspace=NUMBERS, source=NUMBERS,
    ),
    st.builds(packed, received_at_ms=TIMES, flags=st.sampled_from([0, IMPORTED])),
    # Bits of the head: the hashes may be anything, and another hash is another id.
    st.builds(
        flipped,
        st.sampled_from([pack(each) for each in HONEST]),
        st.lists(st.integers(0, HEAD_BITS - 1), min_size=1, max_size=4),
    ),
)  # fmt: skip


def believed(fact: bytes) -> bool:
    """Whether nothing about a fact tells it from an honest one."""
    [(ms, workspace, source, _, flags)] = np.frombuffer(fact, FACT_DTYPE)[
        ["received_at_ms", "workspace", "source", "tags", "flags"]
    ].tolist()
    first = 10_957 * MS_PER_DAY
    in_time = first <= ms < (TODAY + 3) * MS_PER_DAY
    return in_time and SOURCES.get(source) == workspace and flags <= IMPORTED


@settings(max_examples=150, deadline=None)
@given(
    strange=st.lists(ANY_FACT, max_size=12),
    cut=st.sampled_from([b"", b"x" * 30]),
    batch=st.sampled_from([1, 5, 50_000]),
    store=st.sampled_from(sorted(STORES)),
)
@example(
    strange=[packed(received_at_ms=YEAR_1, flags=IMPORTED)], cut=b"", batch=50_000, store="sqlite"
)
@example(strange=[packed(received_at_ms=YEAR_1)] * 3, cut=b"", batch=1, store="sqlite")
@example(strange=[packed(workspace=9)] * 3, cut=b"", batch=50_000, store="sqlite")
def test_honest_facts_are_counted_whatever_lies_beside_them(
    strange: list[bytes], cut: bytes, batch: int, store: str
) -> None:
    # What looks honest in every respect is counted, and would only blur what is shown here.
    strange = [each for each in strange if not believed(each)]
    with TemporaryDirectory() as folder:
        rig = Rig(
            Path(folder), lambda: NOW_MS, limits=MeterLimits(facts_a_batch_max=batch),
            sources=lambda: SOURCES, store=STORES[store](Path(folder)),
        )  # fmt: skip
        journal = rig.journal()
        oracle = Oracle()
        for number, honest in enumerate(HONEST):
            around = strange[number :: len(HONEST)]
            journal.append(b"".join([*around, pack(honest)]), [], NOW_MS)
            oracle.meter(honest, TODAY)
        if cut:
            journal.append(cut, [], NOW_MS)
        rig.drain()
        assert_equal_to_oracle(rig.store, oracle)
        kept = rig.store.set_aside()
        assert sum(each.messages for each in kept) == len(strange) + bool(cut)
        rig.stop()
        rig.start()
        rig.drain()
        assert rig.store.set_aside() == kept
        journal.close()
        rig.close()


@given(facts=st.lists(ANY_FACT, min_size=1, max_size=30), last=st.sampled_from([None, 0, TODAY]))
def test_every_fact_is_counted_or_kept_and_the_quick_way_decides_as_the_long_one(
    facts: list[bytes], last: int | None
) -> None:
    all_facts = np.sort(np.frombuffer(b"".join(facts), FACT_DTYPE), order="received_at_ms")
    bounds = bounds_of(TODAY, last)
    kept, aside = sorted_out(all_facts, bounds)
    assert sorted([*rows(kept), *(f for each in aside for f in cut_up(each.facts))]) == (
        sorted(facts)
    )
    # One by one, most take the quick way; all together, none does.
    for fact in facts:
        alone, _ = sorted_out(np.frombuffer(fact, FACT_DTYPE), bounds)
        assert len(alone) == (fact in rows(kept))


def rows(facts: Facts) -> list[bytes]:
    return cut_up(facts.tobytes())


def cut_up(data: bytes) -> list[bytes]:
    return [data[at : at + FACT_BYTES] for at in range(0, len(data), FACT_BYTES)]


@pytest.mark.parametrize("days", [2, 3, 180, 181])
def test_a_day_that_may_be_believed_ends_two_days_ahead_and_half_a_year_after_the_last(
    days: int,
) -> None:
    moment_ms = (TODAY + days) * MS_PER_DAY
    live = np.frombuffer(packed(received_at_ms=moment_ms, flags=0), FACT_DTYPE)
    _, ahead = sorted_out(live, bounds_of(TODAY, TODAY))
    assert [each.reason for each in ahead] == [AsideReason.WAITING] * (days > 2)
    _, after = sorted_out(live, bounds_of(TODAY + days, TODAY))
    assert [each.reason for each in after] == [AsideReason.WAITING] * (days > 180)
