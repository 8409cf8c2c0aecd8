"""A folder of which something is lost, older, cut off or another's is refused, whatever it is."""

from __future__ import annotations

import os
import random
import re
import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
import numpy as np
import pytest

from headcount import integrity
from headcount.catalog import Catalog
from headcount.confirmed import read_confirmed, witness_of
from headcount.counting.calendar import parse_period
from headcount.datafolder import DataFolder, open_data_folder
from headcount.errors import DataFolderError
from headcount.integrity import part_faults, refuse_faults, refuse_unknown_workspaces
from headcount.journal import JournalDirectory, JournalFile
from headcount.store.opening import open_store
from headcount.store.protocol import Change
from headcount.wiring.meter import meter_until_drained
from support.counted_folder import CountedFolder, counted_folder

LINES_MAX = 6
COLUMNS = 100


@pytest.fixture(scope="module")
def master(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Counts, and messages that are acknowledged and not counted yet."""
    counted = counted_folder(tmp_path_factory.mktemp("master") / "data")
    unmetered(counted)
    with Catalog(counted.folder.catalog) as catalog:
        catalog.add_token(1, "admin", 0)
    return counted.folder.path


@pytest.fixture
def folder(master: Path, tmp_path: Path) -> DataFolder:
    return DataFolder(shutil.copytree(master, tmp_path / "data"))


def unmetered(counted: CountedFolder, seed: int = 3) -> None:
    rig = counted.rig()
    journal = rig.journal()
    counted.append(rig, journal, counted.facts(60, random.Random(seed)))
    journal.close()
    rig.close()


def metered(folder: DataFolder) -> None:
    counted = CountedFolder(folder)
    rig = counted.rig()
    rig.drain()
    rig.close()


def unmetered_and_metered(folder: DataFolder) -> None:
    unmetered(CountedFolder(folder), 5)
    metered(folder)


def journal_of(folder: DataFolder) -> Path:
    [path] = folder.journals.glob("*.sqlite")
    return path


def lose(folder: DataFolder, *patterns: str) -> None:
    for pattern in patterns:
        for path in folder.path.glob(pattern):
            path.unlink()


def cut(path: Path, share: float) -> None:
    for log in path.parent.glob(path.name + "-*"):
        log.unlink()
    with path.open("r+b") as file:
        file.truncate(int(path.stat().st_size * share))


def older(path: Path, change: Callable[[], None]) -> None:
    """Put a copy back that was taken before something changed."""
    with closing(apsw.Connection(str(path))) as db:
        db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    copy = path.read_bytes()
    change()
    for log in path.parent.glob(path.name + "-*"):
        log.unlink()
    path.write_bytes(copy)


def older_with_its_witness(path: Path, change: Callable[[], None]) -> None:
    """Put a database and all that lies beside it under its name back as it was."""
    former = witness_of(path).read_bytes()
    older(path, change)
    witness_of(path).write_bytes(former)


def older_with_both_witnesses(path: Path, change: Callable[[], None]) -> None:
    """Put what is confirmed of it elsewhere back as well: only the other parts know then."""
    apart = path.parents[path.parent.name == "journals"] / "confirmed"
    former = {each: each.read_bytes() for each in apart.iterdir()}
    older_with_its_witness(path, change)
    for each, data in former.items():
        each.write_bytes(data)


def no_server_runs(folder: DataFolder) -> None:
    """A token is revoked by the command line, and nothing else looks at the catalog."""
    with Catalog(folder.catalog) as catalog:
        [token] = catalog.tokens(1)
        catalog.revoke_token(1, token.id, 1)


def another_source(folder: DataFolder) -> None:
    """A source more, whose messages are counted."""
    with Catalog(folder.catalog) as catalog:
        catalog.add_workspace("Later", 0)
        catalog.add_source(3, "later", 0)
    with closing(open_store(folder.store)) as store:
        counts = np.ones((31, 5), np.int64)
        period = parse_period("2026-11-01")
        store.commit(Change(counts={(period, 3, 0): counts, (period, 3, 4): counts}))


def revoked_and_noted(folder: DataFolder) -> None:
    """A token is revoked, and a meter looks at the catalog."""
    no_server_runs(folder)
    meter_until_drained(folder, 35, 1 << 30)


def anothers(folder: DataFolder, name: str) -> None:
    """Put a part of another installation in the place of one."""
    other = counted_folder(folder.path.parent / "other").folder
    lose(folder, f"{name}*")
    shutil.copy(other.path / name, folder.path / name)


def another_of_its_own(folder: DataFolder) -> None:
    """Put a new store of this very installation in the place of the one that has counted."""
    identity = (folder.path / "identity").read_bytes()
    lose(folder, "store.*", "identity")
    lines = identity.decode().splitlines(keepends=True)
    (folder.path / "identity").write_text("".join(x for x in lines if "store.sqlite" not in x))
    open_store(folder.store).close()
    lose(folder, "confirmed/*", "store.confirmed")
    (folder.path / "identity").write_bytes(identity)


def anothers_journal(folder: DataFolder) -> None:
    other = counted_folder(folder.path.parent / "other").folder
    shutil.copy(journal_of(other), folder.journals / "copied.sqlite")


LOSSES: dict[str, tuple[Callable[[DataFolder], object], str]] = {
    "the store": (lambda f: lose(f, "store.sqlite*"), r"store\.sqlite is missing"),
    "the store and its witness": (lambda f: lose(f, "store.*"), r"store\.sqlite is missing"),
    "the store is empty": (lambda f: cut(f.store, 0), r"store\.sqlite is empty"),
    "the store is cut": (lambda f: cut(f.store, 0.5), r"store\.sqlite"),
    "the catalog": (lambda f: lose(f, "catalog.*"), r"catalog\.sqlite is missing"),
    "the catalog is empty": (lambda f: cut(f.catalog, 0), r"catalog\.sqlite is empty"),
    "catalog and hash key": (
        lambda f: lose(f, "catalog.sqlite*", "hash.key"), r"catalog\.sqlite is missing"),
    "the journals": (lambda f: lose(f, "journals/*"), r"sqlite is missing"),
    "a journal is empty": (lambda f: cut(journal_of(f), 0), r"sqlite is empty"),
    "an older store": (
        lambda f: older(f.store, lambda: metered(f)), r"its last \d+ changes are gone"),
    "an older store with its witness": (
        lambda f: older_with_its_witness(f.store, lambda: metered(f)),
        r"its last \d+ changes are gone"),
    "an older store with both its witnesses": (
        lambda f: older_with_both_witnesses(f.store, lambda: metered(f)),
        r"The store is older than .* in neither"),
    "an older catalog": (
        lambda f: older(f.catalog, lambda: another_source(f)), r"its last 2 changes are gone"),
    "an older catalog with its witness, changed while no server ran": (
        lambda f: older_with_its_witness(f.catalog, lambda: no_server_runs(f)),
        r"its last change is gone"),
    "an older catalog with both its witnesses": (
        lambda f: older_with_both_witnesses(f.catalog, lambda: another_source(f)),
        r"does not know workspace 3, source 4 of workspace 3"),
    "an older catalog with both its witnesses, in which a token is valid again": (
        lambda f: older_with_both_witnesses(f.catalog, lambda: revoked_and_noted(f)),
        r"The catalog is older than the store, which knows of 1 change more"),
    "an older journal": (
        lambda f: older(journal_of(f), lambda: unmetered(CountedFolder(f), 5)),
        r"its last 3 entries are gone, with 60 acknowledged messages"),
    "an older journal with its witness, of which nothing is counted": (
        lambda f: older_with_its_witness(journal_of(f), lambda: unmetered(CountedFolder(f), 5)),
        r"its last 3 entries are gone, with 60 acknowledged messages"),
    "a journal older than what was counted, with both its witnesses": (
        lambda f: older_with_both_witnesses(
            journal_of(f), lambda: unmetered_and_metered(f)
        ),
        r"older than the store"),
    "another's store": (lambda f: anothers(f, "store.sqlite"), "another installation"),
    "another store of this installation": (
        another_of_its_own, "another file than the one that this data folder knows"),
    "another's catalog": (lambda f: anothers(f, "catalog.sqlite"), "another installation"),
    "another's journal": (anothers_journal, "another installation"),
    "the identity": (lambda f: lose(f, "identity"), "identity is missing"),
    "a bit of the identity": (
        lambda f: (f.path / "identity").write_bytes(
            (f.path / "identity").read_bytes().replace(b"store", b"stove")), "identity is damaged"),
}  # fmt: skip


def said_by(act: Callable[[], object]) -> str:
    with pytest.raises(DataFolderError) as refused:
        act()
    text = str(refused.value)
    assert refused.value.remedy
    assert len(text) <= LINES_MAX * COLUMNS, "six lines at most"
    return text


@pytest.mark.parametrize("loss", LOSSES)
def test_what_is_lost_is_refused_and_named(folder: DataFolder, loss: str) -> None:
    lose_it, words = LOSSES[loss]
    refuse_faults(folder.path)
    lose_it(folder)

    def start() -> None:
        open_data_folder(folder.path, create=True)
        refuse_faults(folder.path)

    assert re.search(words, said_by(start))
    # Asking made nothing anew: the next start is refused as well.
    assert re.search(words, said_by(start))


def test_in_a_cluster_the_store_does_not_count_what_the_journals_hold(folder: DataFolder) -> None:
    """Partitions do, and let go of it; the store has the sum of what all nodes' have counted."""
    lose_it, words = LOSSES["an older store with both its witnesses"]
    lose_it(folder)
    assert re.search(words, said_by(lambda: refuse_faults(folder.path)))
    folder.cluster.write_text("{}")
    refuse_faults(folder.path)


@pytest.mark.parametrize("loss", [name for name in LOSSES if "catalog" in name])
def test_no_workspace_is_made_where_the_catalog_is_not_the_right_one(
    folder: DataFolder, loss: str
) -> None:
    LOSSES[loss][0](folder)

    def add() -> None:
        open_data_folder(folder.path, create=True)
        refuse_unknown_workspaces(folder.path)
        with Catalog(folder.catalog) as catalog:
            catalog.add_workspace("Stranger", 0)

    said_by(add)


def test_what_is_appended_and_counted_amid_the_look_is_no_fault(
    folder: DataFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = integrity._look_at_store

    def after_more(*arguments: Any) -> None:
        unmetered_and_metered(folder)
        look(*arguments)

    monkeypatch.setattr(integrity, "_look_at_store", after_more)
    assert part_faults(folder.path) == []


@pytest.mark.parametrize("end", ["", "-wal", "-shm"])
@pytest.mark.parametrize("pattern", ["store.sqlite", "catalog.sqlite", "journals/*.sqlite"])
def test_a_pipe_in_the_place_of_a_database_keeps_nobody_waiting(
    folder: DataFolder, pattern: str, end: str
) -> None:
    [path] = folder.path.glob(pattern)
    place = path.with_name(path.name + end)
    place.unlink(missing_ok=True)
    os.mkfifo(place)
    assert "is no file" in said_by(lambda: refuse_faults(folder.path))
    [found] = [f for f in part_faults(folder.path) if "no file" in f.problem]
    assert place.name.startswith(Path(found.part).name)
    made = {"store": open_store, "catalog": Catalog}.get(path.stem, JournalFile)
    assert "is no file" in said_by(lambda: made(path))


def test_each_part_refuses_by_itself(folder: DataFolder) -> None:
    lose(folder, "store.sqlite*", "catalog.sqlite*", "journals/*.sqlite")
    assert "store.sqlite is missing" in said_by(lambda: open_store(folder.store))
    assert "catalog.sqlite is missing" in said_by(lambda: Catalog(folder.catalog))
    assert not folder.store.exists()
    assert not folder.catalog.exists()


@pytest.mark.parametrize("loss", ["the store", "the catalog", "the journals", "another's store"])
def test_a_repair_is_offered_where_it_can_be_done(folder: DataFolder, loss: str) -> None:
    LOSSES[loss][0](folder)
    offered = "--repair" in said_by(lambda: refuse_faults(folder.path))
    assert offered == (loss == "the journals")


def test_a_missing_or_unreadable_witness_is_no_refusal(folder: DataFolder) -> None:
    for damage in (lambda p: p.unlink(), lambda p: p.write_bytes(b"x"), lambda p: flip(p)):
        for path in (folder.store, folder.catalog, journal_of(folder)):
            damage(witness_of(path))
        for path in (folder.path / "confirmed").iterdir():
            damage(path)
        assert part_faults(folder.path) == []
        unmetered(CountedFolder(folder), 7)
        metered(folder)
        with Catalog(folder.catalog) as catalog:
            catalog.add_source(1, f"more {damage}", 0)
        assert all(read_confirmed(p) for p in (folder.store, folder.catalog, journal_of(folder)))


def test_what_a_killed_process_acknowledged_is_known_to_the_last_entry(folder: DataFolder) -> None:
    path = journal_of(folder)
    former = witness_of(path).read_bytes()
    with closing(JournalFile(path)) as journal:
        journal.append(bytes(56), [], 0)
        last_id = journal.append(bytes(56), [], 0)
        witness_of(path).write_bytes(former)
        # Nothing is closed: a process that is killed closes nothing.
        confirmed = read_confirmed(path)
        assert confirmed is not None
        assert (confirmed.uuid, confirmed.sequence) == (journal.uuid, last_id)


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[50] ^= 4
    path.write_bytes(data)


def test_a_database_that_is_ahead_of_its_witness_is_normal(folder: DataFolder) -> None:
    path = journal_of(folder)
    former = witness_of(path).read_bytes()
    unmetered(CountedFolder(folder), 5)
    witness_of(path).write_bytes(former)
    refuse_faults(folder.path)
    with closing(JournalFile(path)) as journal:
        assert journal.append(b"", [], 0) == journal.last_id()


def test_a_damaged_journal_lets_the_others_be_written(folder: DataFolder) -> None:
    path = journal_of(folder)
    cut(path, 0.5)
    with closing(JournalDirectory(folder.journals)) as journals, closing(journals.claim()) as other:
        assert other.path != path
        assert other.append(b"", [], 0) == 1


@pytest.mark.parametrize("left", ["nothing", "identity", "a draft", "catalog", "store", "journal"])
def test_an_interrupted_first_start_is_gone_on_with(tmp_path: Path, left: str) -> None:
    made = open_data_folder(tmp_path / "made", create=True).path
    place = tmp_path / "data"
    place.mkdir()
    if left in ("identity", "a draft"):
        shutil.copy(made / "identity", place / "identity")
    if left == "a draft":
        shutil.copy(made / "format", place / "format.0123")
    folder = open_data_folder(place, create=True)
    for name, path in (
        ("catalog", folder.catalog),
        ("store", folder.store),
        ("journal", folder.journals / "j.sqlite"),
    ):
        if left == name:
            path.write_bytes(b"")
    refuse_faults(folder.path)
    Catalog(folder.catalog).close()
    open_store(folder.store).close()
    with closing(JournalDirectory(folder.journals)) as journals:
        for path in journals.paths():
            journals.open(path).close()
    refuse_faults(folder.path)
