"""The steps of a call, without a network: how often, how long, and where to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
import urllib3
from hypothesis import given
from hypothesis import strategies as st

from segment_public_api import ApiValueError, BrokenConnectionException, Configuration
from segment_public_api._exchange import RetryPolicy, Send, Timeouts, Wait, exchange

URL = "https://usage.example.com/usage/mtu/daily?period=2021-02-01"


@dataclass
class Answer:
    status: int
    sent_headers: dict[str, str] = field(default_factory=dict)

    @property
    def headers(self) -> Mapping[str, str]:
        return self.sent_headers

    def getheaders(self) -> Mapping[str, str]:
        return self.sent_headers

    def get_redirect_location(self) -> str | None:
        return self.sent_headers.get("Location")


class World:
    """A clock that waits move on, and a script of answers and failures."""

    def __init__(self, *script: Any, seconds_a_request: float = 0.0) -> None:
        self.now = 1000.0
        self.sent: list[Send] = []
        self.waits: list[float] = []
        self._script = list(script)
        self._seconds_a_request = seconds_a_request

    def carry_out(self, configuration: Configuration, method: str = "GET") -> Any:
        request = Send(method, URL, {}, None, Timeouts.of((1.0, 2.0)))
        steps: Any = exchange(request, RetryPolicy.of(configuration), lambda: self.now)
        step = next(steps)
        while True:
            try:
                step = self._one(steps, step)
            except StopIteration as done:
                return done.value

    def _one(self, steps: Any, step: Any) -> Any:
        if isinstance(step, Wait):
            self.waits.append(step.seconds)
            self.now += step.seconds
            return steps.send(None)
        self.sent.append(step)
        self.now += self._seconds_a_request
        outcome = self._script[min(len(self.sent), len(self._script)) - 1]
        if isinstance(outcome, Exception):
            return steps.throw(outcome)
        return steps.send(outcome)


def broken() -> BrokenConnectionException:
    return BrokenConnectionException(status=0, reason="gone")


@pytest.mark.parametrize(
    ("status", "retried"),
    [
        (200, False),
        (400, False),
        (401, False),
        (403, False),
        (404, False),
        (409, False),
        (422, False),
        (429, True),
        (500, True),
        (501, False),
        (502, True),
        (503, True),
        (504, True),
    ],
)
def test_which_statuses_are_tried_again(status: int, retried: bool) -> None:
    world = World(Answer(status))
    assert world.carry_out(Configuration()).status == status
    assert len(world.sent) == (4 if retried else 1)


@pytest.mark.parametrize("retries", [0, 1, 2, 5])
def test_a_number_counts_the_repeats(retries: int) -> None:
    world = World(broken())
    with pytest.raises(BrokenConnectionException):
        world.carry_out(Configuration(retries=retries))
    assert len(world.sent) == retries + 1


@pytest.mark.parametrize("retries", [-1, "3", 1.5, object()])
def test_nonsense_is_refused(retries: Any) -> None:
    with pytest.raises(ApiValueError, match="retries must be"):
        World(Answer(200)).carry_out(Configuration(retries=retries))


def test_pauses_grow_and_are_spread() -> None:
    first, second = World(broken()), World(broken())
    for world in (first, second):
        with pytest.raises(BrokenConnectionException):
            world.carry_out(Configuration(retries=5))
    for place, pause_s in enumerate(first.waits):
        assert 0.25 * 2**place / 2 <= pause_s <= 0.25 * 2**place
    assert first.waits != second.waits


@given(st.integers(0, 60))
def test_the_server_is_never_asked_earlier_than_it_wants(asked_s: int) -> None:
    world = World(Answer(429, {"Retry-After": str(asked_s)}), Answer(200))
    world.carry_out(Configuration(call_budget_s=None))
    assert asked_s <= world.waits[0] <= asked_s + 1


def test_a_wait_longer_than_the_cap_ends_the_call() -> None:
    world = World(Answer(503, {"Retry-After": "11"}))
    assert world.carry_out(Configuration(retry_wait_max_s=10)).status == 503
    assert (len(world.sent), world.waits) == (1, [])


@given(
    st.floats(0.1, 50),
    st.floats(0, 10),
    st.sampled_from([{}, {"Retry-After": "3"}]),
    st.integers(0, 20),
)
def test_the_budget_is_never_overrun_by_waiting(
    budget_s: float, seconds_a_request: float, headers: dict[str, str], retries: int
) -> None:
    world = World(Answer(503, headers), seconds_a_request=seconds_a_request)
    world.carry_out(Configuration(call_budget_s=budget_s, retries=retries))
    began_last_s = world.now - 1000.0 - seconds_a_request
    assert began_last_s < budget_s + 1e-6
    for request in world.sent:
        assert request.timeouts.total_s is not None
        assert request.timeouts.total_s <= budget_s + 1e-6


def test_attempts_get_what_is_left() -> None:
    world = World(broken(), Answer(200), seconds_a_request=3.0)
    world.carry_out(Configuration(call_budget_s=4.0))
    first, second = world.sent
    assert (first.timeouts.connect_s, first.timeouts.read_s) == (1.0, 2.0)
    assert second.timeouts.read_s is not None
    assert second.timeouts.read_s < 1.0


def test_only_what_is_safe_to_repeat_is_repeated() -> None:
    world = World(broken())
    with pytest.raises(BrokenConnectionException):
        world.carry_out(Configuration(), method="POST")
    assert len(world.sent) == 1


def test_a_retry_object_decides_for_itself() -> None:
    retry = urllib3.Retry(
        total=9, status=1, status_forcelist=[404], respect_retry_after_header=False
    )
    world = World(Answer(404, {"Retry-After": "5"}))
    assert world.carry_out(Configuration(retries=retry)).status == 404
    assert (len(world.sent), world.waits) == (2, [0.0])


def test_redirects_stay_within_scheme_host_and_port() -> None:
    for location in (
        "https://other.example.com/x",
        "http://usage.example.com/x",
        "https://usage.example.com:444/x",
        "//other.example.com/x",
        "http://[nonsense",
        "https://usage.example.com:port/x",
    ):
        world = World(Answer(302, {"Location": location}))
        assert world.carry_out(Configuration()).status == 302
        assert len(world.sent) == 1
    world = World(Answer(307, {"Location": "https://usage.example.com:443/x"}), Answer(200))
    assert world.carry_out(Configuration()).status == 200
