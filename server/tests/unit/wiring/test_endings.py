"""What is said of a child that ends, and of one that keeps ending."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from headcount.troubles import KINDS, Troubles, read_troubles
from headcount.wiring.cluster_entry import CLUSTER_ROLES
from headcount.wiring.endings import Endings
from headcount.wiring.task import Refusal

NOON_MS = 43_200_000
OVERFLOW = Refusal("The meter process failed: too late.", "Report it.", "OverflowError")
WHERE = "counting stands behind entry 12 of j.sqlite, where 30 messages wait"


@pytest.fixture
def troubles(tmp_path: Path) -> Iterator[Troubles]:
    troubles = Troubles(tmp_path, "supervisor", lambda: NOON_MS)
    yield troubles
    troubles.close()


def test_one_ending_is_a_line_and_more_are_one_trouble(
    troubles: Troubles, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    endings = Endings("meter", 0, troubles, lambda: NOON_MS)
    assert endings.sentence == ""
    endings.ended(-9, None, "")
    assert "has ended once since 1970-01-01 12:00:00 UTC, last with SIGKILL" in endings.sentence
    assert read_troubles(tmp_path) == []
    for _ in range(99):
        endings.ended(1, OVERFLOW, WHERE)
    [trouble] = read_troubles(tmp_path)
    assert trouble.kind == "meter_ends"
    assert trouble.hinders
    assert trouble.message == (
        "The meter has ended 100 times since 1970-01-01 12:00:00 UTC, last with OverflowError: The"
        f" meter process failed: too late; {WHERE}. It is started again. Messages are taken and"
        " kept, and not counted meanwhile. Report it."
    )
    # The first, the second, and each doubling: not one for every life.
    assert len(caplog.records) == 2 + len((4, 8, 16, 32, 64))
    assert all(record.levelno >= logging.WARNING for record in caplog.records)
    endings.runs_again()
    [trouble] = read_troubles(tmp_path)
    assert (trouble.hinders, trouble.message[-18:]) == (False, "It runs again now.")
    assert trouble.times == 99  # that it runs is no further time
    endings.ended(1, OVERFLOW, WHERE)
    [trouble] = read_troubles(tmp_path)
    assert trouble.hinders
    assert "101 times" in trouble.message
    endings.lives()
    assert read_troubles(tmp_path) == []
    assert (endings.count, endings.sentence) == (0, "")


def test_two_workers_that_keep_ending_are_two_troubles(troubles: Troubles, tmp_path: Path) -> None:
    workers = [Endings("intake", number, troubles, lambda: NOON_MS) for number in range(2)]
    for worker in workers:
        for _ in range(2):
            worker.ended(3, None, "")
    workers[0].lives()
    assert [each.kind for each in read_troubles(tmp_path)] == ["intake_2_ends"]
    assert "last with status 3" in workers[1].sentence


@pytest.mark.parametrize("role", [*CLUSTER_ROLES, "intake", "meter", "api", "forward", "alert"])
def test_of_every_role_it_can_be_said_that_it_ended(
    role: str, troubles: Troubles, tmp_path: Path
) -> None:
    endings = Endings(role, 0, troubles, lambda: NOON_MS)
    for _ in range(2):
        endings.ended(-9, None, "")
    assert [trouble.kind for trouble in read_troubles(tmp_path)] == [f"{role}_ends"]
    assert f"{role}_ends" in KINDS


FAULT = (1, OVERFLOW)
KILLED = (-9, None)
TOLD = (0, None)


@pytest.mark.parametrize(
    ("lives", "passes"),
    [
        ([KILLED], True),
        ([(-15, None), KILLED], True),
        # As `kill` does it, without more: each ends well then.
        ([TOLD], True),
        ([TOLD, KILLED], True),
        ([KILLED] * 3, False),
        ([TOLD] * 3, False),
        ([FAULT], False),
        ([KILLED, FAULT], False),
        # What was a fault of its own is none the less one because somebody has killed it then.
        ([FAULT, KILLED], False),
        # It has run into a fault of the C library, or of the machine's memory.
        ([(-11, None)], False),
        ([(3, None)], False),
    ],
)
def test_what_was_ended_from_outside_a_few_times_passes(
    troubles: Troubles, tmp_path: Path, lives: list[tuple[int, Refusal | None]], passes: bool
) -> None:
    endings = Endings("meter", 0, troubles, lambda: NOON_MS)
    for status, refusal in lives:
        endings.ended(status, refusal, "")
    assert endings.passes is passes
    assert {each.passes for each in read_troubles(tmp_path)} <= {passes}
    endings.runs_again()
    few = len(lives) < 3
    assert endings.passes is few
    assert {each.passes for each in read_troubles(tmp_path)} <= {few}
    endings.lives()
    assert (endings.count, endings.passes) == (0, False)


def test_what_was_told_to_end_is_said_to_have_been(troubles: Troubles) -> None:
    endings = Endings("meter", 0, troubles, lambda: NOON_MS)
    endings.ended(*TOLD, "")
    assert "last with SIGTERM, which it obeyed. It is started again." in endings.sentence


def test_what_runs_for_a_little_between_its_endings_does_not_pass(
    troubles: Troubles, tmp_path: Path
) -> None:
    endings = Endings("meter", 0, troubles, lambda: NOON_MS)
    passed = []
    for _ in range(4):
        endings.ended(-9, None, "")
        endings.runs_again()
        passed.append((endings.passes, [each.passes for each in read_troubles(tmp_path)]))
    # As where the system ends it for its memory, each time that it has read enough.
    assert passed == [(True, []), (True, [True]), (False, [False]), (False, [False])]
