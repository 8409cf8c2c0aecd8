"""Turns of load, one contender after the other: takes entrants, gives what each turn measured."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from bench.contest.entrants import WORKSPACE, Entrant
from bench.contest.examination import COUNTED_WITHIN_S, differences, examine
from bench.contest.plan import SIZES, Plan
from bench.load import BenchError, Load
from bench.machine import busy_seconds
from bench.traffic import Expected, Population

__all__ = ["Standing", "Turn", "run_rounds"]

_REPEAT_EVERY = 50
_WARM_UP_S = 0.3
_QUIET_S = 0.25
_QUIET_WITHIN_S = 3.0
_QUIET_SHARE = 0.05


@dataclass(frozen=True, slots=True)
class Turn:
    """One stretch of load on one contender.

    Attributes:
        acknowledged: messages a second that were answered, from the first byte to the last answer.
        counted: messages a second, from the first byte until a reading says all of them.
        cpu_us: processor time of all its processes for a message, until it is quiet again.
        generator_us: the same of the load generator.
        latency_s: time to the answer, the median and what 99 of 100 requests stayed within.
        load: share of the cores that neither the contender nor the generator used.
    """

    acknowledged: float
    counted: float
    cpu_us: float
    generator_us: float
    latency_s: tuple[float, float]
    load: float


@dataclass(slots=True)
class Standing:
    """What a contender has shown so far.

    Attributes:
        turns: by messages a request.
        wrong: each difference between what was sent and counted, in words.
        failed: why it takes part no longer; empty while it does.
        reading_s: time of each reading of the month's series.
        messages: that it was sent, repeated ones included.
        memory_bytes, disk_bytes: what it took at the end.
    """

    turns: dict[int, list[Turn]] = field(default_factory=lambda: {size: [] for size in SIZES})
    wrong: list[str] = field(default_factory=list)
    failed: str = ""
    reading_s: list[float] = field(default_factory=list)
    messages: int = 0
    memory_bytes: int = 0
    disk_bytes: int = 0


class _Measured:
    """A contender with everybody that it was sent."""

    def __init__(self, entrant: Entrant) -> None:
        self.entrant = entrant
        self.visitors = Population()
        self.examined = Expected(0, 0, 0, 0)
        self.standing = Standing()

    def expected(self) -> Expected:
        sent = self.visitors.expected()
        names = ("api_calls", "identified", "anonymous", "anonymous_identified")
        return Expected(*(getattr(sent, name) + getattr(self.examined, name) for name in names))

    def turn(self, size: int, seconds: float) -> Turn:
        entrant = self.entrant
        load = Load(
            entrant.url, entrant.write_keys[0], size, self.visitors, repeat_every=_REPEAT_EVERY
        )
        try:
            self.standing.messages += load.run(min(seconds, _WARM_UP_S)).messages
            self._wait_until_counted()
            busy_before_s, cpu_before_s = busy_seconds(), entrant.cpu_s()
            own_before_s, began_s = time.process_time(), time.perf_counter()
            sent = load.run(seconds)
            self.standing.messages += sent.messages
            self._wait_until_counted()
            counted_s = time.perf_counter() - began_s
            _wait_until_quiet(entrant, min(seconds, _QUIET_WITHIN_S))
            elapsed_s, cpu_s = time.perf_counter() - began_s, entrant.cpu_s() - cpu_before_s
            ours_s = cpu_s + time.process_time() - own_before_s
            others_s = busy_seconds() - busy_before_s - ours_s
        finally:
            load.close()
        ordered = sorted(sent.latencies_s)
        return Turn(
            sent.messages / sent.seconds,
            sent.messages / counted_s,
            cpu_s / sent.messages * 1e6,
            sent.cpu_s / sent.messages * 1e6,
            (ordered[len(ordered) // 2], ordered[len(ordered) * 99 // 100]),
            max(0.0, others_s / (elapsed_s * len(os.sched_getaffinity(0)))),
        )

    def _wait_until_counted(self) -> None:
        """Wait for the number of API calls; whether all counts are right is asked later."""
        if self.standing.wrong:
            return
        until_s = time.monotonic() + COUNTED_WITHIN_S
        while self.entrant.counted().api_calls < self.expected().api_calls:
            if time.monotonic() > until_s:
                return
            time.sleep(0.02)


def _wait_until_quiet(entrant: Entrant, within_s: float) -> None:
    """Until what it does behind its answers is done, such as merging; for a while at most."""
    until_s = time.monotonic() + within_s
    while time.monotonic() < until_s:
        before_s = entrant.cpu_s()
        time.sleep(_QUIET_S)
        if entrant.cpu_s() - before_s <= _QUIET_SHARE * _QUIET_S:
            return


def run_rounds(
    entrants: Mapping[str, Entrant], plan: Plan, tell: Callable[[str], None], until_s: float
) -> dict[str, Standing]:
    """Examine everybody, then give everybody turns.

    Args:
        entrants: who runs, by name.
        plan: how many turns of what length.
        tell: called before each step with what it is.
        until_s: when the last round begins at the latest, by the monotonic clock; the first one
            always does.

    Returns:
        What each has shown. One that refuses something takes part no longer, and says why.
    """
    everybody = {name: _Measured(entrant) for name, entrant in entrants.items()}

    def step(name: str, what: str, work: Callable[[_Measured], None]) -> None:
        tell(f"{name}: {what}")
        measured = everybody[name]
        if measured.standing.failed:
            return
        try:
            work(measured)
        except (BenchError, OSError) as error:
            measured.standing.failed = " ".join(str(error).split())[:300]

    for name in everybody:
        step(name, "examined by the rules", lambda measured: _examine(measured, plan))
    for number in range(plan.rounds):
        if number and time.monotonic() > until_s:
            break
        for size, shape in SIZES.items():
            for name in list(everybody)[:: -1 if number % 2 else 1]:
                what = f"{shape}, round {number + 1} of {plan.rounds}"
                step(name, what, partial(_take_turn, size=size, plan=plan))
    for number in range(plan.readings):
        for name in list(everybody)[:: -1 if number % 2 else 1]:
            step(name, f"reading the month, {number + 1} of {plan.readings}", _read)
    for measured in everybody.values():
        if not measured.standing.failed:
            measured.standing.memory_bytes = measured.entrant.memory_bytes()
            measured.standing.disk_bytes = measured.entrant.disk_bytes()
    return {name: measured.standing for name, measured in everybody.items()}


def _examine(measured: _Measured, plan: Plan) -> None:
    expected, wrong = examine(measured.entrant, plan.examined, seed=13)
    measured.examined, measured.standing.wrong = expected, wrong


def _take_turn(measured: _Measured, size: int, plan: Plan) -> None:
    standing = measured.standing
    standing.turns[size].append(measured.turn(size, plan.turn_s))
    if not standing.wrong:
        standing.wrong = differences(measured.entrant, measured.expected(), WORKSPACE)


def _read(measured: _Measured) -> None:
    began_s = time.perf_counter()
    measured.entrant.read(WORKSPACE)
    measured.standing.reading_s.append(time.perf_counter() - began_s)
