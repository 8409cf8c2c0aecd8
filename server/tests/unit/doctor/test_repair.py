"""A repair puts right what is proven, says what is lost, and refuses the rest by name."""

from __future__ import annotations

import json
import os
import random
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from headcount.catalog import Catalog
from headcount.datafolder import DataFolder, open_data_folder
from headcount.doctor import Level, examine
from headcount.doctor.repair import Act, repair
from headcount.identity import read_identity
from headcount.wiring.meter import meter_until_drained
from support.counted_folder import NOW_MS, CountedFolder, counted_folder
from support.rig import assert_equal_to_oracle

WAITING = 60


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> CountedFolder:
    """Counted, with entries that nobody has metered, and the logs of a process that was killed."""
    place = tmp_path_factory.mktemp("template")
    counted = counted_folder(place / "first")
    rig = counted.rig()
    journal = rig.journal()
    facts = counted.facts(200, random.Random(5))
    counted.append(rig, journal, facts)
    rig.drain()
    counted.metered(facts)
    counted.append(rig, journal, counted.facts(WAITING, random.Random(6)))
    shutil.copytree(place / "first", place / "killed", ignore=shutil.ignore_patterns("*-shm"))
    journal.close()
    rig.close()
    return CountedFolder(DataFolder(place / "killed"), counted.now_ms, counted.oracle)


@pytest.fixture
def folder(template: CountedFolder, tmp_path: Path) -> Iterator[DataFolder]:
    shutil.copytree(template.folder.path, tmp_path / "data")
    yield DataFolder(tmp_path / "data")
    shutil.rmtree(tmp_path)


def repaired(folder: DataFolder) -> list[Act]:
    return list(repair(folder, None, "2026-11-25T000000Z"))


def problems(folder: DataFolder) -> list[str]:
    found = examine(open_data_folder(folder.path, create=False), None, NOW_MS)
    return [f"{f.check}: {f.message}" for f in found if f.level == Level.PROBLEM]


def sql(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(statement)


def journal_of(folder: DataFolder) -> Path:
    [path] = folder.journals.glob("*.sqlite")
    return path


def flip(path: Path, table: str, column: str, order: str = "rowid") -> None:
    """Flip a bit in the middle of a value of the last row of a table."""
    with closing(sqlite3.connect(path)) as database, database:
        where = f"{order} = (SELECT max({order}) FROM {table})"
        [(data,)] = database.execute(f"SELECT {column} FROM {table} WHERE {where}")
        changed = data ^ 4 if isinstance(data, int) else bytearray(data)
        if isinstance(changed, bytearray):
            changed[len(changed) // 2] ^= 16
        database.execute(f"UPDATE {table} SET {column} = ? WHERE {where}", (changed,))


def overwrite(path: Path, at: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data)


def without_its_log(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def garbled_counts(folder: DataFolder) -> None:
    """All but one count of a workspace's day, and more, are other ones: no single bit."""
    with closing(sqlite3.connect(folder.store)) as database, database:
        place = "source = 0 AND workspace = 1 AND period = (SELECT max(period) FROM usage)"
        [(data,)] = database.execute(f"SELECT counts FROM usage WHERE {place}")
        counts = bytearray(data)
        for at in (0, 32, 40, 88, 40 * 5 + 8, 40 * 7 + 16):
            counts[at : at + 8] = (7).to_bytes(8, "little")
        database.execute(f"UPDATE usage SET counts = ? WHERE {place}", (bytes(counts),))


PROVEN: dict[str, Callable[[DataFolder], object]] = {
    "nothing": lambda f: None,
    "a count": lambda f: flip(f.store, "usage", "counts"),
    "several counts of one scope": garbled_counts,
    "a position": lambda f: flip(f.store, "position", "entry", "journal"),
    "a mark": lambda f: flip(f.store, "mark", "value", "name"),
    "a key": lambda f: flip(f.store, "key_block", "data"),
    "a run's row": lambda f: sql(
        f.store, "DELETE FROM key_run WHERE file = (SELECT max(file) FROM key_run)"
    ),
    "the store's own row": lambda f: sql(f.store, "DELETE FROM part"),
    "an index of the store": lambda f: sql(f.store, "REINDEX"),
    "the store's first bytes": lambda f: (
        without_its_log(f.store), overwrite(f.store, 0, b"x" * 60)
    ),
    "the store's tables": lambda f: (
        without_its_log(f.store), overwrite(f.store, 100, b"\xa5" * 3000)
    ),
    "a fact that waits": lambda f: flip(journal_of(f), "entry", "facts"),
    "a journal's own row": lambda f: sql(journal_of(f), "DELETE FROM journal"),
    "a journal's first bytes": lambda f: (
        without_its_log(journal_of(f)), overwrite(journal_of(f), 0, b"x" * 60)
    ),
    "a write key": lambda f: sql(
        f.catalog, "UPDATE source SET enabled = 0 WHERE number = 1"
    ),
    "the catalog's own row": lambda f: flip(f.catalog, "part", "generation"),
    "identity": lambda f: (f.path / "identity").unlink(),
    "identity, damaged": lambda f: overwrite(f.path / "identity", 20, b"xyz"),
    "format": lambda f: (f.path / "format").unlink(),
    "a digit of the hash key": lambda f: overwrite(
        f.hash_key, 9, b"0" if f.hash_key.read_bytes()[9:10] != b"0" else b"1"
    ),
}  # fmt: skip


@pytest.mark.parametrize("damage", PROVEN)
def test_what_is_proven_is_as_it_was(
    damage: str, template: CountedFolder, folder: DataFolder
) -> None:
    PROVEN[damage](folder)
    acts = repaired(folder)
    assert not [act for act in acts if act.remedy], acts
    assert not [act for act in acts if act.lost and "identity" not in damage], acts
    assert bool(acts) == (damage not in ("nothing", "an index of the store"))
    assert problems(folder) == []
    counted = CountedFolder(folder, template.now_ms)
    rig = counted.rig()
    assert rig.meter.lag_facts() >= WAITING
    assert_equal_to_oracle(rig.store, template.oracle, attributed=False)
    rig.drain()
    rig.close()
    assert problems(folder) == []


def test_entries_that_are_lost_are_said_and_the_others_are_counted(
    template: CountedFolder, folder: DataFolder
) -> None:
    [journal] = folder.journals.glob("*.sqlite")
    # Half of an entry is something else: no bit puts that right.
    with closing(sqlite3.connect(journal)) as database, database:
        [(entry_id, facts)] = database.execute("SELECT max(id) - 1, facts FROM entry")
        database.execute(
            "UPDATE entry SET facts = ? WHERE id = ?", (os.urandom(len(facts)), entry_id)
        )
    acts = repaired(folder)
    assert [act.lost for act in acts if act.lost] == [
        "Lost of what was acknowledged and not counted yet: 20 messages."
    ]
    assert problems(folder) == []
    report = json.loads(next(folder.path.glob("repaired/*/report.json")).read_text())
    assert report["acts"][0]["lost"] == acts[0].lost
    assert "entry" in report["dropped"][0]["what"]
    rig = CountedFolder(folder, template.now_ms).rig()
    assert rig.meter.lag_facts() == WAITING - 20
    rig.drain()
    rig.close()
    assert problems(folder) == []


def test_a_journal_that_lost_its_log_goes_on_and_says_how_much_is_gone(folder: DataFolder) -> None:
    path = journal_of(folder)
    path.with_name(path.name + "-wal").unlink()
    acts = repaired(folder)
    lost = [act.lost for act in acts if act.lost]
    assert lost
    assert "messages" in lost[0]
    assert problems(folder) == []


def test_a_store_that_lost_its_log_says_what_the_journals_do_not_hold_either(
    folder: DataFolder,
) -> None:
    folder.store.with_name("store.sqlite-wal").unlink()
    lost = [act.lost for act in repaired(folder) if act.lost]
    assert len(lost) == 1
    assert "10 entries, whose messages are lost" in lost[0]
    assert problems(folder) == []


def test_a_position_that_is_gone_is_what_the_journal_has_nothing_of_any_more(
    template: CountedFolder, folder: DataFolder
) -> None:
    sql(folder.store, "DELETE FROM position")
    acts = repaired(folder)
    assert any("API calls and tracked users stay exact" in act.lost for act in acts)
    assert problems(folder) == []
    counted = CountedFolder(folder, template.now_ms)
    rig = counted.rig()
    rig.drain()
    rig.close()
    assert problems(folder) == []


def test_a_journal_that_is_gone_is_no_longer_expected(folder: DataFolder) -> None:
    path = journal_of(folder)
    for each in folder.journals.glob(path.name + "*"):
        each.unlink()
    assert any("is missing" in said for said in problems(folder))
    [act] = repaired(folder)
    assert "3 entries of it had not been counted" in act.lost
    assert problems(folder) == []
    identity = read_identity(folder.path)
    assert identity is not None
    assert set(identity.parts) == {"catalog.sqlite", "store.sqlite"}


@pytest.mark.parametrize(
    ("lies", "words"),
    [("catalog.*", "less than was confirmed"), ("*/*", "older than the store")],
    ids=["alone", "with all that confirms it but the store"],
)
def test_an_older_catalog_is_taken_once_that_is_asked_for(
    folder: DataFolder, lies: str, words: str
) -> None:
    with Catalog(folder.catalog) as catalog:
        token, _ = catalog.add_token(1, "admin", NOW_MS)
    places = {*folder.path.glob("catalog.*"), *folder.path.glob(lies.replace("*/", "confirmed/"))}
    former = {path: path.read_bytes() for path in places}
    with Catalog(folder.catalog) as catalog:
        catalog.revoke_token(1, token.id, NOW_MS)
    meter_until_drained(folder, 35, 1 << 30)
    for path in folder.path.glob("catalog.*"):
        path.unlink()
    for path, data in former.items():
        path.write_bytes(data)
    assert any(words in said for said in problems(folder))
    acts = repaired(folder)
    assert any("last 1 change of the catalog" in act.what for act in acts)
    assert problems(folder) == []
    assert repaired(folder) == []
    with Catalog(folder.catalog) as catalog:
        catalog.add_source(1, "more", NOW_MS)
    assert problems(folder) == []


@pytest.mark.parametrize(
    ("table", "change", "words", "lost"),
    [
        ("plan_limit", "amount = 99", "A damaged limit of a plan", "headcount plan show"),
        ("link", "secret_hash = x'00'", "The damaged link", "headcount link add"),
    ],
)
def test_a_limit_or_a_link_that_is_damaged_is_taken_out_and_said(
    folder: DataFolder, table: str, change: str, words: str, lost: str
) -> None:
    with Catalog(folder.catalog) as catalog:
        for day in (0, 10):
            catalog.set_plan_limits(1, {"mtu": 5 + day}, from_day=day, now_ms=NOW_MS)
        _, kept = catalog.add_link(1, NOW_MS)
        catalog.add_link(2, NOW_MS)
    with closing(sqlite3.connect(folder.catalog)) as database, database:
        last = {"plan_limit": "from_day = 10", "link": "workspace = 2"}[table]
        database.execute(f"UPDATE {table} SET {change} WHERE {last}")
    assert any("is not what was written" in said for said in problems(folder))
    act = next(act for act in repaired(folder) if words in act.what)
    assert lost in act.lost
    assert problems(folder) == []
    with Catalog(folder.catalog) as catalog:
        catalog.check()
        assert catalog.plan_limits(1, 99)["mtu"] == (5 if table == "plan_limit" else 15)
        assert catalog.link_by_secret(kept) is not None
        assert len(catalog.links(2)) == (0 if table == "link" else 1)


def run_of(folder: DataFolder) -> Path:
    """A file of keys that the store names."""
    with closing(sqlite3.connect(folder.store)) as store:
        [name] = store.execute("SELECT file FROM key_run ORDER BY file LIMIT 1").fetchone()
    return folder.keys / str(name)


def flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


REFUSED: dict[str, tuple[Callable[[DataFolder], object], str]] = {
    "the store is gone": (lambda f: f.store.unlink(), "store is missing"),
    "the catalog is gone": (lambda f: f.catalog.unlink(), "catalog is missing"),
    "the store is something else": (
        lambda f: f.store.write_bytes(os.urandom(90_000)), "store"),
    "two rows of counts": (
        lambda f: sql(f.store, "UPDATE usage SET counts = zeroblob(1240) WHERE workspace = 1"),
        "row of the table usage cannot be repaired"),
    "keys": (
        lambda f: sql(
            f.store,
            "UPDATE key_block SET data = randomblob(length(data))"
            " WHERE id = (SELECT max(id) FROM key_block)",
        ),
        "row of the table key_block cannot be repaired"),
    "a file of keys is cut": (lambda f: os.truncate(run_of(f), 800), ".keys cannot"),
    "a file of keys is gone": (lambda f: run_of(f).unlink(), ".keys is missing"),
    "a byte of a file of keys": (lambda f: flipped(run_of(f)), ".keys is damaged"),
    "another hash key": (lambda f: f.hash_key.write_text("7" * 64 + "\n"), "hash.key"),
}  # fmt: skip


@pytest.mark.parametrize("damage", REFUSED)
def test_what_nothing_proves_is_refused_with_a_remedy_and_left_as_it_is(
    damage: str, folder: DataFolder
) -> None:
    do, words = REFUSED[damage]
    do(folder)
    [act] = [act for act in repaired(folder) if act.remedy]
    assert words in act.what
    assert problems(folder) != []
