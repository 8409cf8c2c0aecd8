"""A data folder of a former format: upgraded whole, at whatever point a try is killed; then it
counts on."""

from __future__ import annotations

import os
import shutil
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
import pytest

from headcount.backup import restore
from headcount.backup.files import checksum_of
from headcount.backup.manifest import (
    BACKUP_FORMAT,
    CopiedFile,
    HashKey,
    Manifest,
    write_manifest,
)
from headcount.catalog import Catalog
from headcount.confirmed import read_confirmed
from headcount.counting.calendar import MS_PER_DAY, day_of_ms, parse_period
from headcount.counting.hashing import IdHasher
from headcount.datafolder import DataFolder, FolderLock, load_hash_key, open_data_folder
from headcount.errors import DataFolderError
from headcount.folderformat import FORMAT_VERSION, stated_format
from headcount.identity import read_identity
from headcount.integrity import refuse_faults
from headcount.journal import JournalDirectory
from headcount.store.opening import open_store
from headcount.store.protocol import sealed_months
from support.former_folder import (
    FORMATS,
    KNOWN,
    PLAN_LIMITS,
    facts_of,
    metered_oracle,
    unpack,
)
from support.rig import Rig, assert_equal_to_oracle, totals

KILLED = 9
EVENTS = ("os.rename", "os.link", "os.remove", "os.mkdir", "os.rmdir")


@pytest.fixture(params=FORMATS)
def number(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture
def former(tmp_path: Path, number: int) -> Path:
    return unpack(tmp_path / "data", number)


def assert_as_known(path: Path, number: int) -> None:
    """Everything that the former version had is there, and nothing else."""
    folder = open_data_folder(path, create=False)
    with closing(open_store(folder.store)) as store:
        store.files.check()
        for place, known in KNOWN["counts"].items():
            workspace, period = place.split()
            reading = store.read_usage(int(workspace), parse_period(period))
            last = reading.period.last_day
            assert totals(reading, None, last) == known["workspace"]
            for source, counts in known["sources"].items():
                assert totals(reading, int(source), last) == counts
            assert sum(r.messages for r in reading.rejected) == known["rejected"]
        assert sum(row.messages for row in store.set_aside()) == KNOWN["aside"] == 1
        assert sorted([w, str(p)] for w, p in sealed_months(store.months())) == KNOWN["sealed"]
        assert list(store.state().positions.values()) == [KNOWN["position"]]
    with Catalog(folder.catalog) as catalog:
        catalog.check()
        assert [w.name for w in catalog.workspaces()] == ["Shop", "Café"]
        assert [s.write_key for s in catalog.sources()] == KNOWN["writeKeys"]
        token = catalog.token_by_secret(KNOWN["readToken"])
        assert token is not None
        assert (token.workspace, token.scope) == (1, "read")
        assert len([t for t in catalog.tokens(1) if t.revoked_at_ms]) == 1
        assert load_hash_key(folder, catalog) == bytes(range(32))
        for workspace, limits in PLAN_LIMITS[number].items():
            dated = catalog.dated_limits(int(workspace))
            assert {each.metric: each.amount for each in dated} == limits
            # They had no day: whatever month they are compared with, they were in force.
            assert {(each.from_day, each.set_at_ms) for each in dated} <= {(0, None)}
            assert catalog.links(int(workspace)) == []
    journals = JournalDirectory(folder.journals)
    (place_of_journal,) = journals.paths()
    with closing(journals.open(place_of_journal)) as journal:
        entries = list(journal.entries(KNOWN["position"]))
        assert [e.id for e in entries] == list(range(KNOWN["position"] + 1, KNOWN["lastEntry"] + 1))
        assert not any(e.damage for e in entries)
        assert sum(len(e.facts) for e in entries) == 56 * len(facts_of("waiting"))
        assert len(journal.checkpoints()) == 1
        assert journal.last_id() == KNOWN["lastEntry"]
    identity = read_identity(path)
    assert identity is not None
    assert sorted(identity.parts) == [
        "catalog.sqlite",
        f"journals/{place_of_journal.name}",
        "store.sqlite",
    ]


def test_it_is_upgraded_and_counts_on(former: Path, number: int) -> None:
    open_data_folder(former, create=True)
    assert stated_format(former) == FORMAT_VERSION
    assert not DataFolder(former).former.exists()
    assert_as_known(former, number)
    now_ms = KNOWN["nowMs"]
    rig = Rig(former, lambda: now_ms)
    oracle = metered_oracle()
    assert_equal_to_oracle(rig.store, oracle, attributed=False)
    rig.drain()
    for fact in sorted(facts_of("waiting"), key=lambda fact: fact.received_at_ms):
        oracle.meter(fact, day_of_ms(now_ms))
    assert_equal_to_oracle(rig.store, oracle, attributed=False)
    # What was counted before is known still: every message comes again, and more after it.
    now_ms += MS_PER_DAY
    journal = rig.journal()
    again = [f for f in facts_of("metered") if f.day > day_of_ms(now_ms) - 30 and not f.imported]
    rig.append(journal, again)
    rig.drain()
    for fact in sorted(again, key=lambda fact: fact.received_at_ms):
        oracle.meter(fact, day_of_ms(now_ms))
    assert_equal_to_oracle(rig.store, oracle, attributed=False)
    rig.close()


def test_no_number_that_a_row_has_had_is_given_again(former: Path) -> None:
    for name, table in (("catalog", "source"), ("store", "key_block")):
        with closing(apsw.Connection(str(former / f"{name}.sqlite"))) as db:
            db.execute("UPDATE sqlite_sequence SET seq = 5000 WHERE name = ?", (table,))
            assert db.changes() == 1
    folder = open_data_folder(former, create=True)
    with Catalog(folder.catalog) as catalog:
        assert catalog.add_source(1, "one more", 0).number == 5001
    with closing(apsw.Connection(str(folder.store))) as db:
        [(last,)] = db.execute(
            "SELECT seq FROM sqlite_sequence WHERE name = 'key_block'"
        ).fetchall()
    assert last == 5000


def file_events(run: Callable[[], None], end_at: int | None) -> int:
    """Run in a process of its own, killed at the n-th thing it does with files; how many it did."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        done: Counter[str] = Counter()

        def hook(event: str, args: tuple[Any, ...]) -> None:
            if event in EVENTS or (event == "open" and args[2] & (os.O_WRONLY | os.O_RDWR)):
                done["all"] += 1
                if done["all"] == end_at:
                    os._exit(KILLED)

        sys.addaudithook(hook)
        try:
            run()
        except BaseException:
            os._exit(1)
        os.write(writing, str(done["all"]).encode())
        os._exit(0)
    os.close(writing)
    _, status = os.waitpid(pid, 0)
    with os.fdopen(reading) as said:
        count = said.read()
    assert os.waitstatus_to_exitcode(status) == (0 if end_at is None else KILLED)
    return int(count or 0)


def test_a_try_may_be_killed_at_any_point(former: Path, number: int, tmp_path: Path) -> None:
    def upgrade(path: Path) -> Callable[[], None]:
        def run() -> None:
            open_data_folder(path, create=True)

        return run

    steps = file_events(upgrade(former), None)
    # Fewer where tables are added in place, and no database is copied.
    assert steps > (15 if number < 3 else 10)
    for step in range(1, steps + 1):
        path = unpack(tmp_path / str(step), number)
        file_events(upgrade(path), step)
        open_data_folder(path, create=True)
        assert not DataFolder(path).former.exists()
        assert_as_known(path, number)


def test_those_who_only_read_say_who_upgrades(former: Path, number: int) -> None:
    before = contents(former)
    words = rf"has format {number}, and .* reads format {FORMAT_VERSION}"
    with pytest.raises(DataFolderError, match=words) as refused:
        open_data_folder(former, create=False)
    assert "next `headcount serve` upgrades it" in refused.value.remedy
    assert contents(former) == before


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_folder_in_use_is_left_alone(former: Path) -> None:
    before = contents(former)
    lock = FolderLock(DataFolder(former).serve_lock, "serve")
    with lock, pytest.raises(DataFolderError, match="uses"):
        open_data_folder(former, create=True)
    with closing(JournalDirectory(former / "journals")) as journals:
        (path,) = journals.paths()
        assert journals._lock(path)
        with pytest.raises(DataFolderError, match="Another process writes to"):
            open_data_folder(former, create=True)
    after = contents(former)
    assert {path: after[path] for path in before} == before


@pytest.fixture
def small_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage("/")._replace(free=100_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)


@pytest.mark.usefixtures("small_disk")
def test_a_disk_without_room_is_said_before_anything_is_changed(former: Path) -> None:
    before = contents(former)
    with pytest.raises(DataFolderError, match=r"takes about [\d,]+ bytes .* 100,000 are free"):
        open_data_folder(former, create=True)
    after = contents(former)
    assert {path: after[path] for path in before} == before


@pytest.mark.parametrize("number", [1])
def test_a_damaged_database_is_not_upgraded(former: Path) -> None:
    with closing(apsw.Connection(str(former / "store.sqlite"))) as db:
        db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        ((root,),) = db.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'usage'"
        ).fetchall()
    data = bytearray((former / "store.sqlite").read_bytes())
    data[4096 * (root - 1) : 4096 * root] = bytes(4096)
    (former / "store.sqlite").write_bytes(data)
    with pytest.raises(DataFolderError, match=r"store\.sqlite .*cannot be upgraded"):
        open_data_folder(former, create=True)
    assert (former / "format").read_text() == "Headcount data folder, format 1\n"


def test_a_newer_format_is_refused_as_newer_and_an_older_one_is_not(tmp_path: Path) -> None:
    open_data_folder(tmp_path / "data", create=True)
    for version, message in (
        (FORMAT_VERSION + 1, "newer version of Headcount"),
        (0, "no version of Headcount has"),
    ):
        (tmp_path / "data" / "format").write_text(f"Headcount data folder, format {version}\n")
        with pytest.raises(DataFolderError, match=message):
            open_data_folder(tmp_path / "data", create=True)


@pytest.fixture
def of_format_2(tmp_path: Path) -> DataFolder:
    return DataFolder(unpack(tmp_path / "data", 2))


def test_a_copy_is_the_same_part_and_knows_as_many_changes(of_format_2: DataFolder) -> None:
    """What is confirmed of the former holds for the copy: an older one is told from it still."""
    before = read_confirmed(of_format_2.catalog)
    assert before is not None
    open_data_folder(of_format_2.path, create=True)
    assert read_confirmed(of_format_2.catalog) == before
    with Catalog(of_format_2.catalog) as catalog:
        assert catalog.generation() == before.sequence
    refuse_faults(of_format_2.path)


def test_a_catalog_that_is_behind_is_not_upgraded(of_format_2: DataFolder) -> None:
    of_format_2.catalog.with_name("catalog.sqlite-wal").unlink()  # with the limits that were set
    with pytest.raises(DataFolderError, match=r"holds less than was confirmed.*not upgraded") as no:
        open_data_folder(of_format_2.path, create=True)
    assert "version of Headcount that made it" in no.value.remedy
    assert stated_format(of_format_2.path) == 2


@pytest.mark.parametrize("change", ["name = 'Shop '", "number = 7"])
def test_a_catalog_with_another_row_than_was_written_is_not_upgraded(
    of_format_2: DataFolder, change: str
) -> None:
    with closing(apsw.Connection(str(of_format_2.catalog))) as db:
        db.execute(f"UPDATE workspace SET {change} WHERE number = 1")
    with pytest.raises(DataFolderError, match=r"is not what was written.*not upgraded"):
        open_data_folder(of_format_2.path, create=True)
    assert stated_format(of_format_2.path) == 2


def test_without_its_catalog_or_its_identity_a_folder_is_not_upgraded(tmp_path: Path) -> None:
    for name, words in (("catalog.sqlite", "is missing"), ("identity", "is missing or no file")):
        folder = unpack(tmp_path / name, 2)
        (folder / name).unlink()
        with pytest.raises(DataFolderError, match=words):
            open_data_folder(folder, create=True)
        assert stated_format(folder) == 2


class Quiet:
    def begins(self, what: str, total_bytes: int) -> None: ...

    def advanced(self, done_bytes: int) -> None: ...


def test_a_backup_that_the_former_version_took_is_restored_and_upgraded(
    former: Path, number: int, tmp_path: Path
) -> None:
    """A backup is the folder's databases without logs, its runs and its key, and a manifest."""
    for place in former.rglob("*.sqlite"):
        with closing(apsw.Connection(str(place))) as db:
            # Stores and journals are in format 3 what they were in format 2.
            assert db.pragma("user_version") in {number, min(number, 2)}
            db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    shutil.rmtree(former / "trash")
    (former / "format").unlink()
    (former / "identity").unlink(missing_ok=True)  # a restored folder is given its own
    shutil.rmtree(former / "confirmed", ignore_errors=True)
    for left in former.rglob("*.confirmed"):
        left.unlink()
    files = [
        CopiedFile(
            str(path.relative_to(former)), path.stat().st_size, checksum_of(path, lambda _: None)
        )
        for path in sorted(former.rglob("*"))
        if path.is_file() and path.suffix in (".sqlite", ".keys", ".key")
    ]
    fingerprint = IdHasher(bytes(range(32))).fingerprint
    key = HashKey(fingerprint, included=True)
    manifest = Manifest(BACKUP_FORMAT, number, "0.1.0", "2026-03-13T00:00:00Z", key, files)
    write_manifest(former, manifest)
    for left in [*former.rglob("*-wal"), *former.rglob("*-shm"), *former.rglob("*.lock")]:
        left.unlink()
    restore(former, tmp_path / "restored", None, Quiet())
    assert not DataFolder(tmp_path / "restored").former.exists()
    refuse_faults(tmp_path / "restored")
    assert_as_known(tmp_path / "restored", number)
