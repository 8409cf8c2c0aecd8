"""The gate lets in what there is room for, and is as it was once all have left."""

from contextlib import ExitStack

import pytest

from headcount.intake import Limits, Reason
from headcount.intake.gate import Gate
from headcount.intake.reasons import Refused
from unit.intake.support import ListSink

LIMITS = Limits(requests_in_flight_max=3, pending_fact_bytes_max=100)


def test_requests_are_bounded() -> None:
    gate = Gate(LIMITS, ListSink())
    with ExitStack() as inside:
        for _ in range(3):
            gate.check()
            inside.enter_context(gate)
        with pytest.raises(Refused):
            gate.check()
        with pytest.raises(Refused):
            inside.enter_context(gate)
    with gate:
        gate.check()


def test_a_request_that_fails_leaves_too() -> None:
    gate = Gate(Limits(requests_in_flight_max=1), ListSink())
    with pytest.raises(KeyError), gate:
        raise KeyError
    gate.check()


def test_facts_that_wait_for_the_disk_are_bounded() -> None:
    sink = ListSink(pending_bytes=101)
    gate = Gate(LIMITS, sink)
    with pytest.raises(Refused) as refused:
        gate.check()
    assert refused.value.reason is Reason.OVERLOADED
    sink.pending_bytes = 100
    gate.check()
