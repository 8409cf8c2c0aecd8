"""The gate lets in what there is room for, and is as it was once all have left."""

import pytest

from headcount.intake import Limits, Reason
from headcount.intake.in_flight import InFlightLimiter
from headcount.intake.reasons import Refused
from support.intake import ListSink

LIMITS = Limits(requests_in_flight_max=3, pending_fact_bytes_max=100)


def test_requests_of_one_source_are_bounded_and_those_of_others_still_come_in() -> None:
    gate = InFlightLimiter(LIMITS, ListSink())
    for _ in range(3):
        gate.check(1)
        gate.enter(1)
    with pytest.raises(Refused):
        gate.check(1)
    with pytest.raises(Refused):
        gate.enter(1)
    gate.enter(2)
    gate.check(3)
    for owner in (1, 1, 2):
        gate.leave(owner)
    gate.enter(1)


def test_facts_that_wait_for_the_disk_are_bounded() -> None:
    sink = ListSink(pending_bytes=101)
    gate = InFlightLimiter(LIMITS, sink)
    with pytest.raises(Refused) as refused:
        gate.check(1)
    assert refused.value.reason is Reason.OVERLOADED
    sink.pending_bytes = 100
    gate.check(1)
