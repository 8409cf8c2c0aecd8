"""A healthy folder is healthy, and every damage is found by the check that is there for it."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from headcount.backlog import Backlog
from headcount.catalog import Catalog
from headcount.counting.calendar import day_of_ms
from headcount.datafolder import DataFolder, FolderLock
from headcount.doctor import Finding, Level, examine, worst
from headcount.runfiles import write_whole
from headcount.store.opening import open_store
from headcount.store.protocol import Change
from support.counted_folder import DAY_MS, NOW_MS, CountedFolder, counted_folder
from support.oracle import PlainFact


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> CountedFolder:
    return counted_folder(tmp_path_factory.mktemp("doctor") / "data")


@pytest.fixture
def folder(template: CountedFolder, tmp_path: Path) -> DataFolder:
    copy = tmp_path / "data"
    shutil.copytree(template.folder.path, copy)
    return DataFolder(copy)


def examined(folder: DataFolder, now_ms: int = NOW_MS) -> list[Finding]:
    return list(examine(folder, None, now_ms))


def changed(path: Path, *statements: str) -> None:
    """Change a database behind everybody's back."""
    with closing(sqlite3.connect(path)) as database, database:
        for statement in statements:
            database.execute(statement)


def journal_of(folder: DataFolder) -> Path:
    [path] = folder.journals.glob("*.sqlite")
    return path


def run_of(folder: DataFolder, family: str = "message") -> Path:
    return min((folder.path / "keys").glob(f"{family}-*.keys"))


def content_of(path: Path) -> dict[str, str]:
    return {
        str(file.relative_to(path)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in path.rglob("*")
        if file.is_file()
    }


def test_a_healthy_folder_has_no_findings_and_is_not_changed(folder: DataFolder) -> None:
    assert run_of(folder, "tracked")
    before = content_of(folder.path)
    found = examined(folder)
    assert [finding for finding in found if finding.level != Level.OK] == []
    assert {finding.check for finding in found} == {
        "server", "permissions", "parts", "catalog", "hash key", "store", "runs", "counts",
        "journals", "lag", "troubles", "late messages", "waiting", "set aside", "clock", "disk",
        "trash", "spool",
    }  # fmt: skip
    assert content_of(folder.path) == before


def test_what_a_killed_process_left_in_a_log_is_read_and_stays_there(
    template: CountedFolder, folder: DataFolder, tmp_path: Path
) -> None:
    # A copy of files in use is what a kill leaves.
    counted = CountedFolder(folder)
    rig = counted.rig()
    journal = rig.journal()
    counted.append(rig, journal, template.facts(40, random.Random(2)))
    rig.drain()
    killed = DataFolder(tmp_path / "killed")
    shutil.copytree(folder.path, killed.path, ignore=shutil.ignore_patterns("*-shm"))
    journal.close()
    rig.close()
    log = killed.store.with_name("store.sqlite-wal").read_bytes()
    assert log
    # A run may have been half written, which is a warning.
    assert worst(examined(killed)) != Level.PROBLEM
    assert killed.store.with_name("store.sqlite-wal").read_bytes() == log


def test_it_says_what_it_could_not_read(folder: DataFolder) -> None:
    folder.path.joinpath("confirmed", "a link").symlink_to("nowhere")
    (found,) = [f for f in examined(folder) if f.level == Level.PROBLEM]
    assert found.check == "permissions"
    assert "a link cannot be read" in found.message


def test_rows_of_keys_are_read_whole(folder: DataFolder) -> None:
    # A start leaves what is in them to whoever reads the keys.
    changed(folder.store, "UPDATE key_block SET size_class = size_class + 1")
    named = [f for f in examined(folder) if f.level == Level.PROBLEM]
    assert {f.check for f in named} == {"store"}
    assert "a row of the table key_block" in named[0].message


def test_of_what_nothing_confirms_it_does_not_say_that_it_is_whole(folder: DataFolder) -> None:
    shutil.rmtree(folder.path / "confirmed")
    folder.store.with_suffix(".confirmed").unlink()
    found = only(examined(folder), "parts")
    assert found.level == Level.OK
    assert "Of store.sqlite nothing says what that was" in found.message
    assert found.details["unconfirmed"] == ["store.sqlite"]


def test_a_new_folder_is_healthy(tmp_path: Path) -> None:
    from headcount.catalog import Catalog
    from headcount.datafolder import open_data_folder

    folder = open_data_folder(tmp_path / "new", create=True)
    with Catalog(folder.catalog):
        pass
    assert worst(examined(folder)) == Level.OK


def test_a_disk_without_room_for_the_logs_is_a_problem_though_nothing_grows(
    folder: DataFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = shutil.disk_usage(folder.path).free
    monkeypatch.setattr("headcount.doctor.folder._LEAST_FREE_BYTES", 2 * free)
    [disk] = [finding for finding in examined(folder) if finding.check == "disk"]
    assert disk.level == Level.PROBLEM
    assert disk.remedy


def flip_a_bit(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


def half_way(path: Path) -> int:
    return path.stat().st_size // 2


def raise_a_count(folder: DataFolder, *sources: int) -> None:
    """Add one API call and one delivery to the first day of some scopes of a workspace."""
    with closing(sqlite3.connect(folder.store)) as database, database:
        for source in sources:
            place = "workspace = 1 AND source = ? AND period = (SELECT max(period) FROM usage)"
            [(counts,)] = database.execute(f"SELECT counts FROM usage WHERE {place}", (source,))
            raised = bytearray(counts)
            for column in (0, 4):
                at = slice(8 * column, 8 * column + 8)
                value = int.from_bytes(raised[at], "little") + 1
                raised[at] = value.to_bytes(8, "little")
            database.execute(f"UPDATE usage SET counts = ? WHERE {place}", (bytes(raised), source))


def unmetered(folder: DataFolder) -> None:
    """Leave entries that nobody has metered."""
    counted = CountedFolder(folder)
    rig = counted.rig()
    journal = rig.journal()
    counted.append(rig, journal, counted.facts(60, random.Random(3)))
    journal.close()
    rig.close()


def entry_gone(folder: DataFolder) -> None:
    unmetered(folder)
    changed(journal_of(folder), "DELETE FROM entry WHERE id = (SELECT max(id) - 1 FROM entry)")


def copied_journal(folder: DataFolder) -> None:
    shutil.copy(journal_of(folder), folder.journals / "copy.sqlite")


def other_format(folder: DataFolder) -> None:
    unmetered(folder)
    changed(journal_of(folder), "UPDATE entry SET format = 99")


def cut_facts(folder: DataFolder) -> None:
    unmetered(folder)
    changed(journal_of(folder), "UPDATE entry SET facts = substr(facts, 2)")


def other_key(folder: DataFolder) -> None:
    folder.hash_key.write_text("7" * 64)


def overwritten(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at : at + 2000] = b"\xa5" * 2000
    path.write_bytes(content)


DAMAGES: dict[str, tuple[Callable[[DataFolder], object], str, str]] = {
    "a bit of a run": (
        lambda f: flip_a_bit(run_of(f), half_way(run_of(f))), "runs", "checksum"),
    "a run's beginning": (lambda f: flip_a_bit(run_of(f), 3), "runs", "not a run file"),
    "a run's directory offset": (lambda f: flip_a_bit(run_of(f), 15), "runs", "cannot be read"),
    "a run's kind": (
        lambda f: flip_a_bit(run_of(f, "tracked"), 16), "keys", "cannot be counted"),
    "a run is cut": (lambda f: os.truncate(run_of(f), half_way(run_of(f))), "runs", "cannot be"),
    "a run is gone": (lambda f: run_of(f).unlink(), "runs", "is missing"),
    "a count with its sum": (
        lambda f: raise_a_count(f, 0, 1), "counts", "not what its keys give: on 2026-11-01"),
    "a count of a source": (lambda f: raise_a_count(f, 1), "counts", "not the sum"),
    "a row of counts is gone": (
        lambda f: changed(f.store, "DELETE FROM usage WHERE source = 2"), "counts", "not the sum"),
    "a row of counts is cut": (
        lambda f: changed(f.store, "UPDATE usage SET counts = x'00' WHERE source = 2"),
        "counts", "cannot be read"),
    "all counts of a month are gone": (
        lambda f: changed(
            f.store, "DELETE FROM usage WHERE period = (SELECT min(period) FROM usage)"
        ),
        "counts", "not what its keys give"),
    "a block is gone": (
        lambda f: changed(
            f.store, "DELETE FROM key_block WHERE id = (SELECT max(id) FROM key_block)"
        ),
        "counts", "not what its keys give"),
    "a block is cut": (
        lambda f: changed(f.store, "UPDATE key_block SET data = substr(data, 2)"),
        "keys", "a block of them is damaged"),
    "a block out of order": (
        lambda f: changed(
            f.store,
            "UPDATE key_block SET data = CAST(x'ffffffffffffff3f' || substr(data, 9) AS BLOB)",
        ),
        "keys", "a block of them is damaged"),
    "the store's pages": (
        lambda f: overwritten(f.store, 4096), "store", "damaged"),
    "the store is no database": (lambda f: f.store.write_bytes(b"x" * 5000), "store", "cannot be"),
    "a newer store": (lambda f: changed(f.store, "PRAGMA user_version = 99"), "store", "format 99"),
    "a newer journal": (
        lambda f: changed(journal_of(f), "PRAGMA user_version = 99"), "journals", "format 99"),
    "facts of another format": (other_format, "journals", "messages) cannot be read"),
    "facts that are cut": (cut_facts, "journals", "messages) cannot be read"),
    "a journal that is none": (
        lambda f: journal_of(f).write_bytes(b"x" * 5000), "journals", "cannot be read"),
    "an entry is gone": (entry_gone, "journals", "1 entry of"),
    "a journal twice": (copied_journal, "journals", "one journal twice"),
    "a journal older than the store": (
        lambda f: changed(f.store, "UPDATE position SET entry = entry + 1"),
        "journals", "older than the store"),
    "the hash key is gone": (lambda f: f.hash_key.unlink(), "hash key", "is missing"),
    "another hash key": (other_key, "hash key", "another hash key"),
    "no hash key in its file": (
        lambda f: f.hash_key.write_text("key\n"), "hash key", "does not hold"),
    "others can read the key": (lambda f: f.hash_key.chmod(0o644), "permissions", "hash.key"),
    "others can read everything": (lambda f: f.path.chmod(0o755), "permissions", "catalog.sqlite"),
    "a source that the catalog lost": (
        lambda f: changed(f.catalog, "DELETE FROM source WHERE number = 3"),
        "catalog", "source 3 of workspace 2"),
    "the catalog is none": (
        lambda f: f.catalog.write_bytes(b"x" * 5000), "catalog", "cannot be read"),
    "a newer catalog": (
        lambda f: changed(f.catalog, "PRAGMA user_version = 99"), "catalog", "format 99"),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_every_damage_is_a_problem_with_a_remedy(folder: DataFolder, damage: str) -> None:
    do, check, words = DAMAGES[damage]
    do(folder)
    problems = [found for found in examined(folder) if found.level == Level.PROBLEM]
    assert any(found.check == check and words in found.message for found in problems), problems
    assert all(found.remedy.endswith((".", "sees to this.", "key")) for found in problems)


def only(findings: list[Finding], check: str) -> Finding:
    [finding] = [finding for finding in findings if finding.check == check]
    return finding


def test_days_without_messages_are_a_warning_until_the_clock_is_confirmed(
    folder: DataFolder,
) -> None:
    later_ms = NOW_MS + 60 * DAY_MS
    found = examined(folder, later_ms)
    assert worst(found) == Level.WARNING
    clock = only(found, "clock")
    assert "headcount doctor --confirm-clock" in clock.remedy
    assert clock.details["monthsWaitingToBeClosed"] == 4  # two months of two workspaces
    with closing(open_store(folder.store)) as store:
        store.commit(Change(confirmed_day=day_of_ms(later_ms)))
    assert only(examined(folder, later_ms), "clock").level == Level.OK


def test_a_clock_that_goes_back_is_a_warning_and_far_back_a_problem(folder: DataFolder) -> None:
    assert only(examined(folder, NOW_MS - 2 * DAY_MS), "clock").level == Level.WARNING
    clock = only(examined(folder, NOW_MS - 3 * DAY_MS), "clock")
    assert clock.level == Level.PROBLEM
    assert "already" in clock.message


def test_what_is_not_metered_is_a_warning_while_nobody_meters(folder: DataFolder) -> None:
    unmetered(folder)
    lag = only(examined(folder, NOW_MS + 5000), "lag")
    assert (lag.level, lag.details["messages"]) == (Level.WARNING, 60)
    assert lag.details["oldestSeconds"] == 5


def test_a_meter_that_is_behind_says_when_it_will_have_caught_up(folder: DataFolder) -> None:
    unmetered(folder)
    folder.backlog.parent.mkdir(mode=0o700, exist_ok=True)

    def lag(counted_per_s: float, said_before_ms: int = 0) -> Finding:
        said_at_ms = NOW_MS + 5000 - said_before_ms
        write_whole(folder.backlog, Backlog(said_at_ms, 60, 5_000, 1.0, counted_per_s))
        return only(examined(folder, NOW_MS + 5000), "lag")

    assert "The meter says" not in lag(4.0).message  # no server runs, so it is an old word
    with FolderLock(folder.serve_lock, "serve"):
        found = lag(4.0)
        assert (found.level, found.details["caughtUpInSeconds"]) == (Level.OK, 20.0)
        assert "it will have caught up in about 20 s" in found.message
        found = lag(0.5)
        assert (found.level, found.details["catchingUp"]) == (Level.WARNING, False)
        assert "not catching up" in found.message
        assert "The meter says" not in lag(4.0, said_before_ms=60_000).message


def test_files_that_no_table_names_are_a_warning(folder: DataFolder) -> None:
    shutil.copy(run_of(folder), folder.path / "keys" / "message-2026-11-0123456789abcdef.keys")
    runs = only(examined(folder), "runs")
    assert runs.level == Level.WARNING
    assert "message-2026-11-0123456789abcdef.keys" in runs.message


def meter(counted: CountedFolder, facts: list[PlainFact]) -> None:
    """Let a server that is started for it count some messages."""
    rig = counted.rig()
    journal = rig.journal()
    counted.append(rig, journal, facts)
    rig.drain()
    journal.close()
    rig.close()


def closed_months(folder: DataFolder) -> CountedFolder:
    """Let weeks go by, until October and November are closed and their keys are gone."""
    counted = CountedFolder(folder)
    while list((folder.path / "keys").glob("*-2026-1[01]-*")):
        # Day after day with messages, so that the clock is believed.
        counted.now_ms += DAY_MS
        meter(counted, counted.facts(1, random.Random(5), days=1))
    assert counted.now_ms < NOW_MS + 60 * DAY_MS
    return counted


def test_a_workspace_may_bring_history_into_a_month_that_is_closed_for_others(
    folder: DataFolder,
) -> None:
    counted = closed_months(folder)
    with Catalog(folder.catalog) as catalog:
        late = catalog.add_workspace("Late", NOW_MS)
        source = catalog.add_source(late.number, "its source", NOW_MS)
    facts = [
        PlainFact(NOW_MS, late.number, source.number, f"late {each}", f"u{each}", imported=True)
        for each in range(7)
    ]
    meter(counted, facts)
    found = examined(folder, counted.now_ms)
    assert [finding for finding in found if finding.level == Level.PROBLEM] == []
    with closing(sqlite3.connect(folder.store)) as database, database:
        database.execute("DELETE FROM key_block WHERE period = 2026 * 12 + 10")
        assert database.total_changes
    problems = [each for each in examined(folder, counted.now_ms) if each.level == Level.PROBLEM]
    assert {each.check for each in problems} == {"counts", "store", "parts"}


def test_closed_months_need_no_keys_and_what_comes_late_for_them_is_shown(
    template: CountedFolder, folder: DataFolder
) -> None:
    counted = closed_months(folder)
    late = template.facts(200, random.Random(4))
    meter(counted, late)
    found = examined(folder, counted.now_ms)
    assert worst(found) == Level.PROBLEM, found
    aside = only(found, "late messages")
    assert aside.level == Level.PROBLEM
    assert aside.details["messages"] == len(late)
    assert "of Café" in aside.message
    assert only(found, "trash").details["files"] != 0


def test_a_folder_that_is_metered_meanwhile_is_healthy_all_the_time(
    template: CountedFolder, folder: DataFolder
) -> None:
    counted = CountedFolder(folder)
    rounds = 0
    failures: list[BaseException] = []

    def meter() -> None:
        nonlocal rounds
        try:
            rng = random.Random(6)
            rig = counted.rig()
            journal = rig.journal()
            while rounds < 50:
                counted.append(rig, journal, template.facts(100, rng))
                rig.drain()
                rounds += 1
            journal.close()
            rig.close()
        except BaseException as error:
            failures.append(error)

    meters = threading.Thread(target=meter)
    meters.start()
    try:
        while meters.is_alive():
            found = [finding for finding in examined(folder) if finding.level == Level.PROBLEM]
            assert found == []
    finally:
        meters.join()
    assert failures == []
    assert worst(examined(folder)) == Level.OK


@pytest.mark.parametrize("how", ["damaged", "no text", "unreadable"])
def test_a_node_that_does_not_know_which_it_is_says_what_was_not_looked_at(
    folder: DataFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    folder.cluster.write_bytes(b'{"cluster":"' + (b"\xff" if how == "no text" else b""))
    if how == "unreadable":

        def refused(_path: Path) -> bytes:
            raise OSError(5, "Input/output error")

        monkeypatch.setattr("headcount.cluster.membership.read_small", refused)
    found = list(examine(folder, None, NOW_MS, tmp_path / "backups"))
    told = only(found, "membership")
    assert told.level == Level.PROBLEM
    assert ("Input/output" if how == "unreadable" else "cluster.json") in told.message
    assert only(found, "backups").level == Level.WARNING
    assert "was not looked at" in only(found, "backups").message
