"""Two keys in one folder: the file, the catalog, backups, repairs, and a rotation that is broken
off at any step."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from headcount.backup import back_up, restore
from headcount.catalog import Catalog
from headcount.counting.calendar import Period, parse_moment_ms, parse_period
from headcount.datafolder import DataFolder, load_key_ring, read_hash_keys
from headcount.doctor import Level, examine
from headcount.doctor.repair import repair
from headcount.errors import DataFolderError, OperatorError, StorageUnavailableError, UsageError
from headcount.store.opening import open_store
from headcount.store.protocol import Change
from headcount.wiring.keys_in_use import CatalogHashKeys, drop_unused_keys
from headcount.wiring.rotating import RotatedKey, rotate_hash_key
from support.counted_folder import NOW_MS, counted_folder

DECEMBER = parse_period("2026-12-01")


class Quiet:
    def begins(self, what: str, total_bytes: int) -> None: ...

    def advanced(self, done_bytes: int) -> None: ...


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    return counted_folder(tmp_path / "data").folder


def rotated(folder: DataFolder, at: str = "2026-11-23T12:00:00Z") -> RotatedKey:
    return rotate_hash_key(folder, None, parse_moment_ms(at))


def ring_fingerprint(folder: DataFolder) -> str:
    with Catalog(folder.catalog) as catalog:
        return load_key_ring(folder, catalog).fingerprint


@pytest.mark.parametrize(
    ("moment", "first"),
    [
        ("2026-11-23T12:00:00Z", "2026-12-01"),
        ("2026-11-30T00:00:00Z", "2026-12-01"),
        ("2026-11-30T00:00:01Z", "2027-01-01"),  # less than a day before December
        ("2026-10-01T00:00:00Z", "2026-12-01"),  # November was counted, whatever the clock says
    ],
)
def test_a_key_serves_from_a_month_on_that_nobody_has_hashed_for(
    folder: DataFolder, moment: str, first: str
) -> None:
    assert str(rotated(folder, moment).next_from) == first


def test_messages_in_journals_keep_their_month(folder: DataFolder) -> None:
    """By a clock that was ahead, and is right again: they are not counted yet, and hashed."""
    from headcount.journal import JournalDirectory

    journals = JournalDirectory(folder.journals)
    journal = journals.claim()
    journal.append(b"", (), parse_moment_ms("2026-12-02T00:00:00Z"))
    journal.close()
    journals.close()
    assert str(rotated(folder).next_from) == "2027-01-01"


def test_a_second_key_is_refused_while_two_are_in_use(folder: DataFolder) -> None:
    rotated(folder)
    keys = folder.hash_key.read_bytes()
    with pytest.raises(UsageError, match="serves already"):
        rotated(folder, "2027-01-01T00:00:00Z")
    assert folder.hash_key.read_bytes() == keys


@pytest.mark.parametrize("step", ["before the file", "before the catalog", "after all"])
def test_a_rotation_that_is_broken_off_leaves_one_key_or_two(
    folder: DataFolder, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    former = ring_fingerprint(folder)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        if step == "before the file":
            patched.setattr("headcount.wiring.rotating.put_whole", killed)
        if step == "before the catalog":
            patched.setattr("headcount.sqlite.rows.Ledger.add", killed)
        if step != "after all":
            with pytest.raises(KeyboardInterrupt):
                rotated(folder)
    with Catalog(folder.catalog) as catalog:
        assert catalog.hash_keys().plan.next_from is None
    assert ring_fingerprint(folder) == former
    fresh = rotated(folder)
    assert ring_fingerprint(folder) == fresh.fingerprint
    assert set(read_hash_keys(folder.hash_key)) == {former, fresh.fingerprint}


def test_the_former_key_stays_until_the_catalog_says_so(folder: DataFolder) -> None:
    fresh = rotated(folder)
    with Catalog(folder.catalog) as catalog:
        assert not drop_unused_keys(folder, catalog)
        catalog.retire_hash_key()
        # Killed here, it is taken out at the next start.
        assert load_key_ring(folder, catalog).fingerprint == fresh.fingerprint
        assert drop_unused_keys(folder, catalog)
        assert list(read_hash_keys(folder.hash_key)) == [fresh.fingerprint]
        assert load_key_ring(folder, catalog).plan.key_of(Period(0)) == 1
        catalog.retire_hash_key()  # nothing is left to retire
        assert catalog.hash_keys().fingerprints == [fresh.fingerprint]


@pytest.mark.parametrize("elsewhere", [False, True])
def test_both_keys_are_backed_up_and_restored(
    folder: DataFolder, tmp_path: Path, elsewhere: bool
) -> None:
    rotated(folder)
    keys = folder.hash_key.read_bytes()
    taken = back_up(folder, None, tmp_path / "backup", "now", Quiet(), with_key=not elsewhere)
    assert taken.hash_key is not None
    assert len(taken.hash_key.fingerprints) == 2
    place = None
    if elsewhere:
        place = tmp_path / "secret.key"
        place.write_bytes(keys.splitlines(keepends=True)[0])
        with pytest.raises(DataFolderError, match="was counted under"):
            restore(tmp_path / "backup", tmp_path / "new", place, Quiet())
        place.write_bytes(keys)
    restore(tmp_path / "backup", tmp_path / "new", place, Quiet())
    new = DataFolder(tmp_path / "new")
    assert (place or new.hash_key).read_bytes() == keys
    with Catalog(new.catalog) as catalog:
        assert load_key_ring(new, catalog, place).plan.next_from == DECEMBER


def test_one_of_two_keys_is_no_key(folder: DataFolder) -> None:
    rotated(folder)
    first, _ = folder.hash_key.read_bytes().splitlines(keepends=True)
    folder.hash_key.write_bytes(first)
    with Catalog(folder.catalog) as catalog, pytest.raises(DataFolderError, match="another hash"):
        load_key_ring(folder, catalog)
    checks = {each.check: each for each in examine(folder, None, NOW_MS)}
    assert checks["hash key"].level == Level.PROBLEM


def test_doctor_says_until_when_the_former_key_is_needed(folder: DataFolder) -> None:
    fresh = rotated(folder)
    months = open_store(folder.store)
    imported_on = DECEMBER.first_day + 20
    months.commit(Change(imported={(1, parse_period("2026-10-01")): imported_on}))
    months.close()
    checks = {each.check: each for each in examine(folder, None, NOW_MS)}
    assert checks["hash key"].level == Level.OK
    details = checks["hash key"].details
    assert details["nextFingerprint"] == fresh.fingerprint
    assert details["formerNeededUntil"] == "2027-01-26"  # 36 days after that import


def test_a_digit_of_either_key_is_repaired(folder: DataFolder) -> None:
    rotated(folder)
    keys = folder.hash_key.read_bytes()
    for at in (3, 70):
        spoilt = bytearray(keys)
        spoilt[at] = ord("0") if keys[at] != ord("0") else ord("1")
        folder.hash_key.write_bytes(spoilt)
        acts = list(repair(folder, None, f"at {at}"))
        assert any("digit" in act.what for act in acts)
        assert folder.hash_key.read_bytes() == keys


def test_what_the_catalog_says_of_two_keys_is_not_made_up_by_a_repair(folder: DataFolder) -> None:
    """Without it, both would seem to be one, and every user would be counted again."""
    import apsw

    rotated(folder)
    connection = apsw.Connection(str(folder.catalog))
    connection.execute("DELETE FROM mark WHERE name = 'next_hash_key'")
    connection.close()
    acts = list(repair(folder, None, "now"))
    assert any(act.remedy for act in acts), acts


def test_a_file_that_cannot_be_written_changes_nothing(
    folder: DataFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    former = ring_fingerprint(folder)
    with pytest.raises(OperatorError, match="cannot be written"):
        rotated(folder)
    assert ring_fingerprint(folder) == former


def test_who_cannot_ask_for_a_day_hashes_nothing(folder: DataFolder) -> None:
    now_s = 0.0
    with Catalog(folder.catalog) as catalog:
        keys = CatalogHashKeys(folder, catalog, None, lambda: now_s)
        fresh = rotated(folder)
        now_s = 2.0
        assert keys.ring().fingerprint == fresh.fingerprint
    now_s += 22 * 3600
    assert keys.ring().fingerprint == fresh.fingerprint
    now_s += 3601
    with pytest.raises(StorageUnavailableError, match="hash key"):
        keys.ring()
