"""Run files: looked up in place, and believed only when they are whole."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from headcount.counting.calendar import parse_period
from headcount.counting.keys import MESSAGE, NEVER, TRACKED, KeyBlock
from headcount.errors import DamagedDataError, DataFolderError
from headcount.layout import DataFolder
from headcount.sqlite.unwritable import is_refusal
from headcount.store.run_folder import RunFolder
from headcount.store.runs import Run, write_run

JANUARY = parse_period("2026-01-01")
KEYS = np.unique(np.random.default_rng(1).integers(1, 2**63, 30_000, np.uint64))
DAYS = (KEYS % np.uint64(31)).astype(np.uint8)


def parts(count: int, *, identified: bool) -> list[KeyBlock]:
    """All keys, in a number of ascending blocks."""
    return [
        KeyBlock(keys, days, days[::-1] if identified else None)
        for keys, days in zip(np.array_split(KEYS, count), np.array_split(DAYS, count), strict=True)
    ]


@pytest.mark.parametrize("identified", [True, False])
@pytest.mark.parametrize("count", [1, 7])
def test_keys_come_back_as_they_were_written(tmp_path: Path, count: int, identified: bool) -> None:
    blocks = parts(count, identified=identified)
    nothing = KeyBlock(KEYS[:0], DAYS[:0], DAYS[:0] if identified else None)
    written = list(
        write_run(
            tmp_path / "a.keys", [nothing, *blocks], filter_keys=0 if identified else len(KEYS)
        )
    )
    assert written == [len(block) for block in blocks]
    run = Run(tmp_path / "a.keys")
    assert run.keys == len(KEYS)
    assert run.intact()
    for found, block in zip(run.blocks(), blocks, strict=True):
        assert (found.fingerprints == block.fingerprints).all()
        assert (found.days == block.days).all()
        if block.identified_days is None:
            assert found.identified_days is None
        else:
            assert found.identified_days is not None
            assert (found.identified_days == block.identified_days).all()


def test_the_filter_is_small_and_spares_nearly_every_look_in_vain(tmp_path: Path) -> None:
    held, strangers = KEYS[::2], KEYS[1::2]
    block = KeyBlock(held, DAYS[::2], None)
    list(write_run(tmp_path / "a.keys", [block], filter_keys=len(held)))
    run = Run(tmp_path / "a.keys")
    assert run.filter_bytes <= 2 * len(held)
    assert (run.days_of(held) == DAYS[::2]).all()
    assert (run.days_of(strangers) == NEVER).all()
    assert (run.days_of(KEYS)[1::2] == NEVER).all()


@pytest.mark.parametrize("count", [1, 5, 200])
@pytest.mark.parametrize("spread", ["uniform", "crowded", "few"])
def test_any_key_is_found_however_the_keys_are_spread(
    tmp_path: Path, spread: str, count: int
) -> None:
    keys = {
        "uniform": KEYS,
        "crowded": np.concatenate([KEYS[:300] >> np.uint64(40), KEYS[-300:]]),
        "few": KEYS[[0, 1, -1]],
    }[spread]
    keys = np.unique(keys)
    days = (keys % np.uint64(31)).astype(np.uint8)
    blocks = [
        KeyBlock(*columns, None)
        for columns in zip(np.array_split(keys, count), np.array_split(days, count), strict=True)
    ]
    list(write_run(tmp_path / "a.keys", blocks, filter_keys=len(keys)))
    run = Run(tmp_path / "a.keys")
    asked = np.unique(np.r_[keys, keys + 1, keys - 1, np.array([1, 2**63 - 1], np.uint64)])
    held = dict(zip(keys.tolist(), days.tolist(), strict=True))
    assert run.days_of(asked).tolist() == [held.get(key, NEVER) for key in asked.tolist()]
    assert run.intact()


def test_a_run_of_nothing_holds_nothing(tmp_path: Path) -> None:
    list(write_run(tmp_path / "a.keys", [], filter_keys=0))
    run = Run(tmp_path / "a.keys")
    assert run.keys == 0
    assert list(run.blocks()) == []
    assert (run.days_of(KEYS[:10]) == NEVER).all()


def test_a_file_that_is_cut_off_or_no_run_or_missing_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.keys"
    list(write_run(path, parts(2, identified=False), filter_keys=len(KEYS)))
    whole = path.read_bytes()
    for content in (b"", whole[:20], whole[: len(whole) // 2], b"x" * len(whole)):
        path.write_bytes(content)
        with pytest.raises(DataFolderError, match=r"a\.keys cannot be read.*backup"):
            Run(path)
    path.unlink()
    with pytest.raises(DataFolderError, match=r"a\.keys is missing.*backup") as refused:
        Run(path)
    assert not is_refusal(refused.value.__cause__), "it is lost: nobody waits for the disk"
    os.mkfifo(path)
    with pytest.raises(DataFolderError, match=r"a\.keys cannot be read.*no file"):
        Run(path)


@pytest.mark.parametrize("place", [100, -100_000, -60_000])
def test_one_flipped_bit_is_found(tmp_path: Path, place: int) -> None:
    path = tmp_path / "a.keys"
    list(write_run(path, parts(2, identified=True), filter_keys=0))
    content = bytearray(path.read_bytes())
    content[place] ^= 4
    path.write_bytes(content)
    assert not Run(path).intact()


@pytest.mark.parametrize("identified", [True, False])
def test_no_bit_of_a_run_goes_unseen(tmp_path: Path, identified: bool) -> None:
    """Header and directory too: what they say wrong would lead astray, or end the process."""
    path = tmp_path / "a.keys"
    few = [block.part(slice(0, 9)) for block in parts(2, identified=identified)]
    list(write_run(path, few, filter_keys=18))
    whole = path.read_bytes()
    for bit in range(8 * len(whole)):
        content = bytearray(whole)
        content[bit // 8] ^= 1 << bit % 8
        path.write_bytes(content)
        try:
            assert not Run(path).intact(), f"bit {bit % 8} of byte {bit // 8}"
        except DamagedDataError:
            continue


def written(folder: RunFolder, name: str, keys: int = 1) -> str:
    """Write a run; gives its name."""
    writing = folder.write(name, parts(keys, identified=False), filter_keys=len(KEYS))
    while True:
        try:
            next(writing)
        except StopIteration as ended:
            return str(ended.value)


def test_another_run_that_is_whole_is_not_taken_for_the_one_of_that_name(tmp_path: Path) -> None:
    folder = RunFolder(DataFolder(tmp_path))
    one, other = (written(folder, folder.new_name(JANUARY, MESSAGE), n) for n in (1, 2))
    keys = tmp_path / "keys"
    (keys / one).write_bytes((keys / other).read_bytes())
    with pytest.raises(DamagedDataError, match="another run than the one that was written"):
        folder.open(one)
    assert folder.open(other).intact()
    # One that an earlier version has written says nothing of that in its name.
    (keys / other).rename(keys / "message-2026-01-0123456789abcdef.keys")
    assert folder.open("message-2026-01-0123456789abcdef.keys").keys == len(KEYS)


def test_a_folder_puts_away_what_no_table_names(tmp_path: Path) -> None:
    folder = RunFolder(DataFolder(tmp_path))
    assert not folder.strays(set())  # before there is anything
    kept, orphan, given_up = (folder.new_name(JANUARY, MESSAGE) for _ in range(3))
    kept, orphan = (written(folder, name) for name in (kept, orphan))
    unfinished = folder.write(given_up, parts(2, identified=False), filter_keys=len(KEYS))
    next(unfinished)
    (tmp_path / "keys" / "notes.txt").write_text("somebody else's")
    assert folder.strays({kept}) == [orphan]
    folder.discard(orphan, 5_000)
    assert sorted(path.name for path in (tmp_path / "keys").iterdir()) == sorted(
        [kept, "notes.txt"]
    )
    assert [path.name for path in (tmp_path / "trash").iterdir()] == [orphan]
    folder.empty_trash(5_000)
    assert (tmp_path / "trash" / orphan).exists()
    folder.empty_trash(5_001)
    assert not (tmp_path / "trash" / orphan).exists()
    assert folder.open(kept).keys == len(KEYS)


def test_a_draft_that_is_given_up_leaves_nothing(tmp_path: Path) -> None:
    folder = RunFolder(DataFolder(tmp_path))
    name = folder.new_name(JANUARY, TRACKED)
    writing = folder.write(name, parts(3, identified=True), filter_keys=0)
    next(writing)
    assert list((tmp_path / "keys").iterdir())
    writing.close()
    assert list((tmp_path / "keys").iterdir()) == []
