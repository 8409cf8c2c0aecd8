"""A backup holds everything that was there when it began, and a restore gives it back to be counted
on: nothing lost, nothing repeated, nothing written over.
"""

from __future__ import annotations

import json
import random
import shutil
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from headcount.backup import Manifest, back_up, restore
from headcount.backup.files import check_room
from headcount.datafolder import FORMAT_VERSION, DataFolder, open_data_folder
from headcount.doctor import Level, examine, worst
from headcount.doctor.repair import repair
from headcount.errors import DataFolderError, OperatorError, UsageError
from headcount.journal import JournalFile
from headcount.store.opening import open_store
from support.counted_folder import NOW_MS, CountedFolder, counted_folder
from support.rig import assert_equal_to_oracle

MOMENT = "2026-11-23T12:00:00Z"


class Silent:
    """Hears how far a copy is, and does something at a stage."""

    def __init__(self, when: Callable[[int], None] = lambda _: None) -> None:
        self.stages: list[str] = []
        self.calls = 0
        self._when = when

    def begins(self, what: str, total_bytes: int) -> None:
        assert total_bytes > 0
        self.stages.append(what)

    def advanced(self, done_bytes: int) -> None:
        self.calls += 1
        self._when(self.calls)


@pytest.fixture
def counted(tmp_path: Path) -> CountedFolder:
    return counted_folder(tmp_path / "data")


def backed_up(
    folder: DataFolder, destination: Path, progress: Silent | None = None, *, with_key: bool = True
) -> Manifest:
    return back_up(folder, None, destination, MOMENT, progress or Silent(), with_key=with_key)


def names_in(path: Path) -> set[str]:
    return {str(each.relative_to(path)) for each in path.rglob("*") if each.is_file()}


def test_a_restored_folder_counts_what_was_counted_and_is_healthy(
    counted: CountedFolder, tmp_path: Path
) -> None:
    progress = Silent()
    manifest = backed_up(counted.folder, tmp_path / "deep" / "backup", progress)
    assert progress.stages == ["Copying", "Verifying"]
    assert manifest.taken_at == MOMENT
    assert any(file.path.startswith("keys/") for file in manifest.files)
    assert names_in(tmp_path / "deep" / "backup") == {
        "backup.json", *(file.path for file in manifest.files)
    }  # fmt: skip
    restored = tmp_path / "restored"
    assert restore(tmp_path / "deep" / "backup", restored, None, Silent()) == manifest
    assert worst(examine(DataFolder(restored), None, NOW_MS)) == Level.OK
    with closing(open_store(restored / "store.sqlite")) as store:
        assert_equal_to_oracle(store, counted.oracle)
    for path in (tmp_path / "deep" / "backup", restored):
        for each in (path, *path.rglob("*")):
            assert stat.S_IMODE(each.stat().st_mode) == (0o700 if each.is_dir() else 0o600)


def test_a_copy_shares_nothing_with_what_it_was_taken_of(
    counted: CountedFolder, tmp_path: Path
) -> None:
    backed_up(counted.folder, tmp_path / "backup")
    for path in counted.folder.path.rglob("*"):
        if path.is_file():
            path.write_bytes(b"damaged" * 1000)
    restore(tmp_path / "backup", tmp_path / "restored", None, Silent())
    assert worst(examine(DataFolder(tmp_path / "restored"), None, NOW_MS)) == Level.OK


@pytest.mark.parametrize("seed", range(4))
def test_metering_that_goes_on_during_a_backup_is_neither_lost_nor_repeated(
    tmp_path: Path, seed: int
) -> None:
    rng = random.Random(seed)
    counted = counted_folder(tmp_path / "data", seed)
    rig = counted.rig()
    journal = rig.journal()
    waiting = counted.facts(60, rng)
    counted.append(rig, journal, waiting)  # acknowledged before the backup, metered during it
    later = counted.facts(400, rng)

    def go_on(calls: int) -> None:
        # After the journal was copied and before the store is: the store gets ahead of it.
        if calls == 1:
            counted.append(rig, journal, later[:300])
            rig.drain()
            for _ in range(30):  # runs are written, and replace others
                rig.meter.step()

    backed_up(counted.folder, tmp_path / "backup", Silent(go_on))
    journal.close()
    rig.close()
    restore(tmp_path / "backup", tmp_path / "restored", None, Silent())

    again = CountedFolder(DataFolder(tmp_path / "restored"), oracle=counted.oracle)
    assert worst(examine(again.folder, None, NOW_MS)) == Level.OK
    rig = again.rig()
    rig.drain()
    counted.metered(waiting + later[:300])
    assert_equal_to_oracle(rig.store, counted.oracle)
    # Clients send again what came after the backup began, and then go on.
    journal = rig.journal()
    again.append(rig, journal, later)
    rig.drain()
    counted.metered(later)
    assert_equal_to_oracle(rig.store, counted.oracle)
    journal.close()
    rig.close()
    assert worst(examine(again.folder, None, NOW_MS)) == Level.OK


def test_what_waits_in_a_journal_is_metered_after_a_restore(
    counted: CountedFolder, tmp_path: Path
) -> None:
    rig = counted.rig()
    journal = rig.journal()
    waiting = counted.facts(80, random.Random(9))
    counted.append(rig, journal, waiting)
    backed_up(counted.folder, tmp_path / "backup")
    journal.close()
    rig.close()
    restore(tmp_path / "backup", tmp_path / "restored", None, Silent())
    rig = CountedFolder(DataFolder(tmp_path / "restored")).rig()
    rig.drain()
    counted.metered(waiting)
    assert_equal_to_oracle(rig.store, counted.oracle)
    rig.close()


def test_the_key_can_stay_out_of_it(counted: CountedFolder, tmp_path: Path) -> None:
    manifest = backed_up(counted.folder, tmp_path / "backup", with_key=False)
    assert manifest.hash_key is not None
    assert not manifest.hash_key.included
    assert "hash.key" not in names_in(tmp_path / "backup")
    with pytest.raises(UsageError, match=manifest.hash_key.fingerprint):
        restore(tmp_path / "backup", tmp_path / "restored", None, Silent())
    other = tmp_path / "other.key"
    other.write_text("7" * 64)
    with pytest.raises(DataFolderError, match="fingerprint"):
        restore(tmp_path / "backup", tmp_path / "restored", other, Silent())
    assert not (tmp_path / "restored").exists()
    key = tmp_path / "safe.key"
    shutil.copy(counted.folder.hash_key, key)
    restore(tmp_path / "backup", tmp_path / "restored", key, Silent())
    assert not (tmp_path / "restored" / "hash.key").exists()
    assert worst(examine(DataFolder(tmp_path / "restored"), key, NOW_MS)) == Level.OK


def test_a_key_that_lies_elsewhere_is_put_back_there(
    counted: CountedFolder, tmp_path: Path
) -> None:
    place = tmp_path / "safe.key"
    counted.folder.hash_key.rename(place)
    back_up(counted.folder, place, tmp_path / "backup", MOMENT, Silent(), with_key=True)
    place.unlink()
    restore(tmp_path / "backup", tmp_path / "restored", place, Silent())
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    assert worst(examine(DataFolder(tmp_path / "restored"), place, NOW_MS)) == Level.OK


def refused(act: Callable[[], object], words: str, *gone: Path) -> None:
    with pytest.raises(OperatorError, match=words) as raised:
        act()
    assert raised.value.remedy
    assert [path for path in gone if path.exists()] == []


def test_nothing_is_written_over(counted: CountedFolder, tmp_path: Path) -> None:
    folder = counted.folder
    before = names_in(folder.path)
    refused(lambda: backed_up(folder, folder.path), "lies in the data folder")
    refused(lambda: backed_up(folder, folder.path / "b"), "lies in", folder.path / "b")
    link = tmp_path / "link"
    link.symlink_to(folder.path)
    refused(lambda: backed_up(folder, link / "b"), "lies in", folder.path / "b")
    backed_up(folder, tmp_path / "backup")
    refused(lambda: backed_up(folder, tmp_path / "backup"), "is not empty")
    for living in (folder.path, tmp_path / "backup" / "keys"):
        refused(
            lambda path=living: restore(tmp_path / "backup", path, None, Silent()),
            "is not empty|lie in one another",
        )
    assert names_in(folder.path) == before
    (tmp_path / "file").write_text("x")
    refused(lambda: backed_up(folder, tmp_path / "file"), "is not a folder")
    refused(lambda: restore(tmp_path / "backup", tmp_path / "file", None, Silent()), "not a folder")
    refused(lambda: restore(tmp_path / "file", tmp_path / "new", None, Silent()), "not a backup")
    assert (tmp_path / "file").read_text() == "x"


def test_a_mounted_disk_is_empty(counted: CountedFolder, tmp_path: Path) -> None:
    (tmp_path / "disk" / "lost+found").mkdir(parents=True)
    backed_up(counted.folder, tmp_path / "disk")
    (tmp_path / "new" / "lost+found").mkdir(parents=True)
    restore(tmp_path / "disk", tmp_path / "new", None, Silent())
    assert worst(examine(DataFolder(tmp_path / "new"), None, NOW_MS)) == Level.OK


def test_a_disk_without_room_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    refused(lambda: check_room(tmp_path, 1 << 60), "has room for")


def damaged_run(folder: DataFolder) -> None:
    run = min((folder.path / "keys").glob("*.keys"))
    content = bytearray(run.read_bytes())
    content[len(content) // 2] ^= 1
    run.write_bytes(content)


def lost_run(folder: DataFolder) -> None:
    min((folder.path / "keys").glob("*.keys")).unlink()


def other_key(folder: DataFolder) -> None:
    folder.hash_key.write_text("7" * 64)


def lost_journal(folder: DataFolder) -> None:
    folder.journal_files()[0].unlink()


def older_journal(folder: DataFolder) -> None:
    [path] = folder.journal_files()
    former = path.read_bytes()
    with closing(JournalFile(path)) as journal:
        journal.append(bytes(56), [], NOW_MS)
    path.write_bytes(former)


def damaged_identity(folder: DataFolder) -> None:
    (folder.path / "identity").write_bytes(b"x\n")


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (damaged_run, "is damaged"),
        (lost_run, "cannot be read"),
        (other_key, "another hash key"),
        (lost_journal, "is missing"),
        (older_journal, "less than was confirmed"),
        (damaged_identity, "identity is damaged"),
    ],
)
def test_a_damaged_folder_is_not_backed_up(
    counted: CountedFolder, tmp_path: Path, damage: Callable[[DataFolder], None], words: str
) -> None:
    damage(counted.folder)
    refused(lambda: backed_up(counted.folder, tmp_path / "b"), words, tmp_path / "b")


def test_an_interrupted_backup_leaves_nothing(counted: CountedFolder, tmp_path: Path) -> None:
    def interrupt(calls: int) -> None:
        if calls == 2:
            raise KeyboardInterrupt

    (tmp_path / "empty").mkdir()
    for name in ("empty", "new"):
        with pytest.raises(KeyboardInterrupt):
            backed_up(counted.folder, tmp_path / name, Silent(interrupt))
    assert list((tmp_path / "empty").iterdir()) == []
    assert not (tmp_path / "new").exists()


def rewrite(backup: Path, **changes: object) -> None:
    manifest = json.loads((backup / "backup.json").read_text())
    (backup / "backup.json").write_text(json.dumps(manifest | changes))


def flip(backup: Path, name: str) -> None:
    content = bytearray((backup / name).read_bytes())
    content[len(content) // 2] ^= 1
    (backup / name).write_bytes(content)


SPOILT: dict[str, tuple[Callable[[Path], object], str]] = {
    "no manifest": (lambda b: (b / "backup.json").unlink(), "not a backup"),
    "half a manifest": (
        lambda b: (b / "backup.json").write_text('{"backupFormat":'), "cannot be read"),
    "another manifest": (lambda b: (b / "backup.json").write_text("{}"), "cannot be read"),
    "a newer backup": (lambda b: rewrite(b, backupFormat=2), "newer version"),
    "no backup's format": (lambda b: rewrite(b, backupFormat=0), "no version of Headcount has"),
    "no folder's format": (lambda b: rewrite(b, dataFormat=-1), "no version of Headcount has"),
    "a newer data folder": (lambda b: rewrite(b, dataFormat=FORMAT_VERSION + 1), "newer version"),
    "a path that leads out": (
        lambda b: rewrite(b, files=[{"path": "../x", "bytes": 1, "blake2b": ""}]), "no backup has"),
    "a file is gone": (lambda b: (b / "store.sqlite").unlink(), "is missing"),
    "a file is cut": (lambda b: (b / "catalog.sqlite").write_bytes(b"x"), "another size"),
    "a bit of the store": (lambda b: flip(b, "store.sqlite"), "is damaged"),
    "a bit of the key": (lambda b: flip(b, "hash.key"), "hash key"),
}  # fmt: skip


@pytest.mark.parametrize("spoilt", SPOILT)
def test_a_spoilt_backup_is_not_restored(
    counted: CountedFolder, tmp_path: Path, spoilt: str
) -> None:
    backed_up(counted.folder, tmp_path / "backup")
    do, words = SPOILT[spoilt]
    do(tmp_path / "backup")
    refused(
        lambda: restore(tmp_path / "backup", tmp_path / "new", None, Silent()),
        words, tmp_path / "new",
    )  # fmt: skip


def left_alone(path: Path) -> None:
    """A repair changes nothing of it."""
    before = sorted(path.rglob("*"))
    [act] = repair(DataFolder(path), None, "2026-11-25T000000Z")
    assert "nothing was changed" in act.what
    assert sorted(path.rglob("*")) == before


def test_neither_a_backup_nor_half_a_restore_is_taken_for_a_data_folder(
    counted: CountedFolder, tmp_path: Path
) -> None:
    backed_up(counted.folder, tmp_path / "backup")
    refused(lambda: open_data_folder(tmp_path / "backup", create=True), "is not a data folder")
    left_alone(tmp_path / "backup")
    half = tmp_path / "half"

    def look(calls: int) -> None:
        left_alone(half)
        refused(lambda: open_data_folder(half, create=True), "is not a data folder")
        refused(lambda: restore(tmp_path / "backup", half, None, Silent()), "is not empty")

    restore(tmp_path / "backup", half, None, Silent(look))
