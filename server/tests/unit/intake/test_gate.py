"""The gate lets in what there is room for, and is as it was once all have left."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headcount.intake import Limits, Reason
from headcount.intake.gate import Gate
from headcount.intake.reasons import Refused
from unit.intake.support import ListSink

LIMITS = Limits(requests_in_flight_max=3, body_bytes_in_flight_max=10, pending_fact_bytes_max=100)


def is_let_in(gate: Gate, body_bytes: int) -> bool:
    try:
        gate.enter(body_bytes)
    except Refused:
        return False
    return True


def test_requests_are_bounded() -> None:
    gate = Gate(LIMITS, ListSink())
    assert [is_let_in(gate, 0) for _ in range(4)] == [True, True, True, False]
    gate.leave(0)
    assert [is_let_in(gate, 0) for _ in range(2)] == [True, False]


def test_bytes_of_bodies_are_bounded() -> None:
    gate = Gate(LIMITS, ListSink())
    assert [is_let_in(gate, size) for size in (6, 5, 4)] == [True, False, True]
    gate.leave(6)
    assert is_let_in(gate, 5)


def test_facts_that_wait_for_the_disk_are_bounded() -> None:
    sink = ListSink(pending_bytes=101)
    gate = Gate(LIMITS, sink)
    with pytest.raises(Refused) as refused:
        gate.enter(0)
    assert refused.value.reason is Reason.OVERLOADED
    sink.pending_bytes = 100
    assert is_let_in(gate, 0)


@given(st.lists(st.integers(0, 12)))
def test_when_all_have_left_there_is_room_for_all(sizes: list[int]) -> None:
    gate = Gate(LIMITS, ListSink())
    for size in [size for size in sizes if is_let_in(gate, size)]:
        gate.leave(size)
    assert [is_let_in(gate, size) for size in (10, 0, 0, 0)] == [True, True, True, False]
