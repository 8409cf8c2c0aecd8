"""Allowances: one table, shared by processes, in which each minute begins at nothing."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from headcount.allowances import Allowances, reserve_allowances

NOW_MS = 1_795_478_400_000


def test_each_minute_begins_at_nothing() -> None:
    with closing(Allowances(None, worker=True)) as table:
        table.add_messages(7, 5, NOW_MS + 59_999)
        table.add_new_ids(7, 3, NOW_MS + 59_999)
        assert (table.messages(7, NOW_MS + 59_999), table.new_ids(7, NOW_MS)) == (5, 3)
        later_ms = NOW_MS + 60_000
        assert (table.messages(7, later_ms), table.new_ids(7, later_ms)) == (0, 0)
        table.add_messages(7, 1, later_ms)
        assert table.messages(7, later_ms) == 1


def test_whom_the_meter_refuses_everybody_knows_until_it_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "allowances"
    reserve_allowances(path, workers=1)
    with closing(Allowances(path)) as meter, closing(Allowances(path, worker=True)) as worker:
        meter.refuse(7)
        assert [worker.without_memory(source) for source in (6, 7, 8)] == [False, True, False]
        assert not worker.everybody_without_memory()
        meter.refuse_all(refused=True)
        assert worker.without_memory(8)
        assert worker.everybody_without_memory()
        meter.refuse_all(refused=False)
        assert not worker.without_memory(8)
        worker.add_messages(7, 5, NOW_MS)
        meter.add_new_ids(7, 5, NOW_MS)
        meter.begin()
        assert not worker.without_memory(7)
        assert (worker.messages(7, NOW_MS), worker.new_ids(7, NOW_MS)) == (5, 5)


def test_without_a_file_a_process_has_a_table_of_its_own(tmp_path: Path) -> None:
    with closing(Allowances(tmp_path / "none", worker=True)) as table:
        table.add_messages(7, 5, NOW_MS)
        assert table.messages(7, NOW_MS) == 5
