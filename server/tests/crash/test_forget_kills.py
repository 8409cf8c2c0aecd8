"""A process that forgets a person is killed at any line of what it does.

The counts stand, a recount agrees, and whoever goes on comes to the same end, with nothing left of
the person's keys in any file.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest

from headcount.counting.calendar import Period
from headcount.counting.hashing import KeyPlan, KeyRing
from headcount.counting.keys import TRACKED
from headcount.datafolder import DataFolder
from headcount.doctor import Level, examine
from headcount.meter import forgetting
from headcount.store.opening import open_store
from headcount.wiring.forget_files import ForgetRequest, ask_to_forget, read_request
from headcount.wiring.meter import meter_until_drained
from support.counted_folder import DAY_MS, SOURCES, CountedFolder, counted_folder
from support.oracle import PlainFact
from support.rig import HASHER, assert_equal_to_oracle

SEED = int(os.environ.get("HEADCOUNT_SEED", "0"))
KILLS = 24
USER, ANONYMOUS = "u7", "a3"
MEMORY = 1 << 30
# Where the lines are that a kill may come after.
WATCHED = (
    "/store/files.py", "/store/replacing.py", "/store/run_folder.py", "/store/runs.py",
    "/meter/forgetting.py", "/wiring/forget_requests.py", "/wiring/forget_files.py",
    "/sqlite/rows.py", "headcount/durable.py",
)  # fmt: skip


class Prepared:
    """A folder in which two ids are to be forgotten, and where they are."""

    def __init__(self, path: Path, seed: int) -> None:
        self.counted: CountedFolder = counted_folder(path, seed)
        folder = self.counted.folder
        self._see_them_again()
        ring = KeyRing(KeyPlan(), [bytes(range(32))])  # as the rig hashes
        assert ring.fingerprint == HASHER.fingerprint
        self.request = ask_to_forget(folder, ring, USER, ANONYMOUS, None).name
        request = read_request(folder.forgetting / self.request)
        hashes = {
            number: forgetting.IdHashes(
                bytes.fromhex(each.user or ""), bytes.fromhex(each.anonymous or "")
            )
            for number, each in request.hashes.items()
        }
        store = open_store(folder.store)
        planned = forgetting.Forgetting(store, ring.plan, hashes, None)
        assert len(planned.replaced) == 2, "two months hold the ids"
        for each in planned.replaced:
            blocks = store.files.blocks(each.period, TRACKED)
            assert any(np.isin(each.former, block.fingerprints).any() for block in blocks)
            runs = store.files.runs(each.period, TRACKED)
            assert any(
                np.isin(each.former, block.fingerprints).any()
                for run in runs for block in run.blocks()
            )  # fmt: skip
        store.close()
        self.places = {each[:3] for each in planned.found}
        self.former = {each.period: each.former.astype("<u8") for each in planned.replaced}

    def _see_them_again(self) -> None:
        """What is in runs already gets company in blocks."""
        counted = self.counted
        facts = [
            PlainFact(
                counted.now_ms - days * DAY_MS,
                workspace,
                source,
                f"{source} {days}",
                USER,
                ANONYMOUS,
            )
            for days in (1, 39)
            for source, workspace in SOURCES.items()
        ]
        rig = counted.rig()
        journal = rig.journal()
        counted.append(rig, journal, facts)
        while not rig.meter.step().drained:
            pass
        counted.metered(facts)
        journal.close()
        rig.close()


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return Prepared(tmp_path_factory.mktemp("prepared") / "data", SEED + 1)


def forget(folder: DataFolder) -> None:
    meter_until_drained(folder, 35, MEMORY, command="forget")


def in_a_child(work: Callable[[], None]) -> int:
    """Do something in a process of its own; how it ended."""
    child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def killed_after(lines: int, work: Callable[[], None]) -> None:
    """Do something, and die after some lines of it."""
    left = lines

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal left
        if not frame.f_code.co_filename.endswith(WATCHED):
            return None
        if event == "line":
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    sys.settrace(trace)
    work()


def lines_of(work: Callable[[], None]) -> int:
    count = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal count
        if not frame.f_code.co_filename.endswith(WATCHED):
            return None
        count += event == "line"
        return trace

    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(None)
    return count


def assert_sound(prepared: Prepared, folder: DataFolder) -> None:
    """Every count is the oracle's, and doctor's recount agrees."""
    store = open_store(folder.store)
    assert_equal_to_oracle(store, prepared.counted.oracle)
    store.close()
    problems = [
        each for each in examine(folder, None, prepared.counted.now_ms)
        if each.level == Level.PROBLEM and each.check not in ("clock", "sealing")
    ]  # fmt: skip
    assert problems == []


def assert_forgotten(prepared: Prepared, folder: DataFolder, request: ForgetRequest) -> None:
    assert request.state == "done"
    assert request.hashes == {}
    found = {(each.workspace, Period(each.period), each.is_anonymous) for each in request.found}
    assert found == prepared.places
    store = open_store(folder.store)
    for period, former in prepared.former.items():
        for block in store.keys(period, TRACKED):
            assert not np.isin(former, block.fingerprints).any()
    store.close()
    for path in folder.path.rglob("*"):
        content = path.read_bytes() if path.is_file() else b""
        for key in np.concatenate(list(prepared.former.values())):
            assert key.tobytes() not in content, path


def test_a_kill_at_any_line_loses_and_leaves_nothing(prepared: Prepared, tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    shutil.copytree(prepared.counted.folder.path, whole)
    lines = lines_of(lambda: forget(DataFolder(whole)))
    assert_sound(prepared, DataFolder(whole))
    place = DataFolder(whole).forgetting / prepared.request
    assert_forgotten(prepared, DataFolder(whole), read_request(place))

    rng = random.Random(SEED)
    moments = sorted(rng.sample(range(1, lines), KILLS))
    states: set[str] = set()
    for moment in moments:
        folder = DataFolder(tmp_path / f"killed after {moment}")
        shutil.copytree(prepared.counted.folder.path, folder.path)
        place = folder.forgetting / prepared.request
        work = lambda here=folder: forget(here)  # noqa: E731
        try:
            assert in_a_child(lambda at=moment, do=work: killed_after(at, do)) == -signal.SIGKILL  # type: ignore[misc]
            states.add(read_request(place).state)
            assert_sound(prepared, folder)
            forget(folder)
            assert_sound(prepared, folder)
            assert_forgotten(prepared, folder, read_request(place))
        except BaseException as error:
            error.add_note(f"killed after {moment} lines of {lines}; HEADCOUNT_SEED={SEED}")
            raise
        shutil.rmtree(folder.path)
    assert {"waiting", "begun"} <= states
