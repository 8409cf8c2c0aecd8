"""An intake worker's sink on a disk that refuses even to give it a journal."""

from __future__ import annotations

import asyncio
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from headcount.clock import now_ms
from headcount.counting.facts import FACT_BYTES
from headcount.errors import DataFolderError, StorageUnavailableError
from headcount.journal import JournalDirectory, JournalFile
from headcount.troubles import Troubles
from headcount.wiring import journal_sink
from headcount.wiring.journal_sink import JournalSink
from support.disks import small_disk

FACT = bytes(FACT_BYTES)


async def test_a_worker_without_a_journal_refuses_at_once_until_the_disk_gives_it_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_sink, "_TRY_EVERY_S", 0.01)
    with small_disk(tmp_path / "disk", megabytes=1) as disk:
        journals = JournalDirectory(disk.path / "journals")
        journals.path.mkdir()
        troubles = Troubles(disk.path / "troubles", "intake", now_ms)
        sink = JournalSink(journals.claim, now_ms, troubles, insist=True)
        disk.fill()
        await sink.open()
        for _ in range(3):
            with pytest.raises(StorageUnavailableError):
                await sink.append(FACT)
        [trouble] = troubles.now()
        assert trouble.kind == "storage"
        assert trouble.hinders
        assert str(journals.path) in trouble.message
        disk.empty()
        async with asyncio.timeout(30):
            while troubles.now():  # noqa: ASYNC110  (the sink tells nobody else)
                await asyncio.sleep(0.01)
        await sink.append(FACT)
        # Whatever was tried in vain has left no journal of nobody.
        [path] = journals.paths()
        await sink.close()
        with closing(journals.open(path)) as journal:
            assert journal.lag_facts(0) == 1
        journals.close()
        troubles.close()


@pytest.mark.parametrize("again", [False, True])
async def test_what_is_no_refusal_is_for_people_unless_somebody_waits_for_an_answer(
    again: bool,
) -> None:
    def claim() -> JournalFile:
        raise DataFolderError("a.sqlite has format 99.", "Run a newer version.")

    troubles = Troubles(None, "intake", now_ms)
    sink = JournalSink(claim, now_ms, troubles, insist=not again)
    if not again:
        with pytest.raises(DataFolderError, match=r"a\.sqlite"):
            await sink.open()
    else:
        await sink.open()
        with pytest.raises(StorageUnavailableError):
            await sink.append(FACT)
        assert "a.sqlite" in troubles.now()[0].message
    await sink.close()


async def test_nothing_is_acknowledged_that_went_into_a_file_which_is_gone(tmp_path: Path) -> None:
    journals = JournalDirectory(tmp_path / "journals")
    troubles = Troubles(None, "intake", now_ms)
    sink = JournalSink(journals.claim, now_ms, troubles, insist=True)
    await sink.open()
    await sink.append(FACT)
    [path] = journals.paths()
    path.rename(tmp_path / "elsewhere")
    with pytest.raises(StorageUnavailableError, match="removed or replaced"):
        await sink.append(FACT)
    assert [trouble.kind for trouble in troubles.now()] == ["storage"]
    await sink.close()
    journals.close()


async def test_whatever_fails_at_a_try_is_said_and_the_next_one_may_succeed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_sink, "_TRY_EVERY_S", 0.01)
    journals = JournalDirectory(tmp_path / "journals")
    fails = iter([apsw.FullError("disk is full"), KeyError("secret"), PermissionError(13, "No")])

    def claim() -> JournalFile:
        error = next(fails, None)
        if isinstance(error, apsw.Error):
            raise DataFolderError("The journal cannot be opened.", "Free space.") from error
        if error is not None:
            raise error
        return journals.claim()

    troubles = Troubles(None, "intake", now_ms)
    sink = JournalSink(claim, now_ms, troubles, insist=True)
    await sink.open()
    async with asyncio.timeout(30):
        while not any("KeyError" in t.message for t in troubles.now()):  # noqa: ASYNC110
            await asyncio.sleep(0)
        assert all("secret" not in each.message for each in troubles.now())
        while troubles.now():  # noqa: ASYNC110  (the sink tells nobody else)
            await asyncio.sleep(0.01)
    await sink.append(FACT)
    await sink.close()
    [path] = journals.paths()
    with closing(journals.open(path)) as journal:
        assert journal.lag_facts(0) == 1
    journals.close()
