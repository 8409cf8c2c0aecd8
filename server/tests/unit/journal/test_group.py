"""Group commit: concurrent callers share transactions, and each hears of its own facts."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import apsw
import pytest

from headcount.counting.facts import FACT_BYTES, Rejection
from headcount.errors import StorageUnavailableError
from headcount.journal import GroupCommit, JournalFile
from support.faulty_vfs import FaultyDisk

FACT = bytes(FACT_BYTES)


@asynccontextmanager
async def group_on(path: Path, vfs: str | None = None) -> AsyncIterator[GroupCommit]:
    group = GroupCommit(JournalFile(path, vfs=vfs), lambda: 7)
    try:
        yield group
    finally:
        await group.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "j.sqlite"


@pytest.fixture
def disk(request: pytest.FixtureRequest) -> Iterator[FaultyDisk]:
    disk = FaultyDisk(request.node.name, random.Random(1))
    yield disk
    disk.forget()


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Nobody else can commit to the file meanwhile."""
    db = apsw.Connection(str(path))
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        db.execute("ROLLBACK")
        db.close()


def entries(path: Path) -> list[tuple[int, int]]:
    """Facts and rejected messages of each entry."""
    journal = JournalFile(path)
    found = [
        (len(entry.facts) // FACT_BYTES, sum(tally.messages for tally in entry.rejections))
        for entry in journal.entries(0)
    ]
    journal.close()
    return found


async def begun(group: GroupCommit, callers: list[asyncio.Task[None]]) -> None:
    """Let tasks run until they wait for the disk, which is held."""
    for _ in range(5):
        await asyncio.sleep(0)
    assert not any(caller.done() for caller in callers)
    assert group.pending_bytes == len(callers) * FACT_BYTES


async def test_facts_are_there_when_append_returns(path: Path) -> None:
    async with group_on(path) as group:
        await group.append(FACT * 3)
        assert entries(path) == [(3, 0)]
        assert group.pending_bytes == 0
        await group.append(b"", [Rejection(1, 1, 20_000, "invalid_id", 2)])
        assert entries(path) == [(3, 0), (0, 2)]


async def test_whatever_gathers_during_one_commit_goes_into_the_next(path: Path) -> None:
    async with group_on(path) as group:
        tally = Rejection(1, 1, 20_000, "invalid_id", 1)
        with held(path):
            first = asyncio.create_task(group.append(FACT))
            await begun(group, [first])
            others = [asyncio.create_task(group.append(FACT, [tally])) for _ in range(49)]
            await begun(group, [first, *others])
        await asyncio.gather(first, *others)
        assert entries(path) == [(1, 0), (49, 49)]
        assert group.pending_bytes == 0


async def test_tallies_of_one_commit_are_added_up(path: Path) -> None:
    one, other = (Rejection(1, 1, 20_000, reason, 2) for reason in ("invalid_id", "unknown_type"))
    async with group_on(path) as group:
        await asyncio.gather(*(group.append(b"", [one, other]) for _ in range(10)))
    journal = JournalFile(path)
    (entry,) = journal.entries(0)
    assert sorted(entry.rejections) == [one._replace(messages=20), other._replace(messages=20)]
    journal.close()


@pytest.mark.parametrize("fault", ["full", "sync"])
async def test_a_failed_commit_reaches_every_caller_and_keeps_nothing(
    path: Path, disk: FaultyDisk, fault: str
) -> None:
    async with group_on(path, disk.name) as group:
        await group.append(FACT)
        disk.fill_for(1) if fault == "full" else disk.fail_syncs(1)
        answers = await asyncio.gather(
            # More than the log has room for from before, so that the file must grow.
            *(group.append(FACT * 200) for _ in range(20)),
            return_exceptions=True,
        )
        assert len(answers) == 20
        assert all(isinstance(answer, StorageUnavailableError) for answer in answers)
        assert group.pending_bytes == 0
        assert entries(path) == [(1, 0)]
        # The next ones succeed, once the disk does.
        await asyncio.gather(*(group.append(FACT) for _ in range(20)))
        assert entries(path) == [(1, 0), (20, 0)]


async def test_a_caller_that_goes_away_takes_nothing_with_it(path: Path) -> None:
    async with group_on(path) as group:
        with held(path):
            first = asyncio.create_task(group.append(FACT))
            await begun(group, [first])
            gone, stays = (asyncio.create_task(group.append(FACT)) for _ in range(2))
            await begun(group, [first, gone, stays])
            gone.cancel()
            first.cancel()
        await stays
        assert gone.cancelled()
        assert first.cancelled()
        # Its facts stand all the same: it cannot know whether they were written already.
        assert entries(path) == [(1, 0), (2, 0)]
        assert group.pending_bytes == 0


async def test_closing_finishes_what_is_under_way(path: Path) -> None:
    async with group_on(path) as group:
        callers = [asyncio.create_task(group.append(FACT)) for _ in range(10)]
        await asyncio.sleep(0)
    await asyncio.gather(*callers)
    assert sum(facts for facts, _ in entries(path)) == 10


async def test_a_group_that_cannot_be_put_together_keeps_nobody_waiting(path: Path) -> None:
    async with group_on(path) as group:
        nonsense: Any = [()]
        async with asyncio.timeout(30):
            with pytest.raises(ValueError, match="not enough values"):
                await group.append(FACT, nonsense)
            await group.append(FACT)
        assert group.pending_bytes == 0
        assert entries(path) == [(1, 0)]


async def test_a_caller_that_fails_keeps_the_others_from_nothing(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sent = "what somebody has sent"  # the log may hold the line that raises

    def fail(_: Exception | None) -> None:
        raise ValueError(sent)

    async with group_on(path) as group:
        async with asyncio.timeout(30):
            group.hand_in(FACT, (), fail)
            await group.append(FACT)
            await group.append(FACT)
        assert group.pending_bytes == 0
    assert sum(facts for facts, _ in entries(path)) == 3
    assert [record.getMessage() for record in caplog.records] == [
        "ValueError in a caller of the journal"
    ]
    assert sent not in caplog.text


async def test_closing_again_touches_no_file_that_was_opened_since(path: Path) -> None:
    group = GroupCommit(JournalFile(path), lambda: 7)
    await group.close()
    # They have the numbers that the group's own had.
    since = [os.pipe() for _ in range(4)]
    await group.close()
    for waits, wakes in since:
        os.set_blocking(waits, False)
        with pytest.raises(BlockingIOError):
            os.read(waits, 1)
        os.close(waits)
        os.close(wakes)
