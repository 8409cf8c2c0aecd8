"""A journal that is damaged: what is wrong is named and kept, and the others are counted."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from headcount.confirmed import read_confirmed, witness_of
from headcount.counting.facts import FACT_BYTES, Rejection
from headcount.errors import DamagedDataError, DataFolderError, StorageUnavailableError
from headcount.journal import JournalEntry, JournalFile
from headcount.journal.schema import DAMAGED
from headcount.journal.view import journal_view
from headcount.sqlite.rows import read_checked

ENTRIES = 40


def fact(number: int) -> bytes:
    return number.to_bytes(FACT_BYTES, "little")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A journal of entries with one fact each, in its file and not in its log."""
    path = tmp_path / "j.sqlite"
    with closing(JournalFile(path)) as journal:
        for number in range(1, ENTRIES + 1):
            journal.append(fact(number), [Rejection(1, 1, 20_000, "invalid_id", 1)], number)
    return path


def changed(path: Path, *statements: str) -> None:
    with closing(apsw.Connection(str(path))) as db:
        for statement in statements:
            db.execute(statement)


def read(path: Path, after: int = 0) -> list[JournalEntry]:
    with closing(JournalFile(path)) as journal:
        return list(journal.entries(after))


DAMAGES: dict[str, tuple[str, int, int]] = {
    "a fact": ("UPDATE entry SET facts = zeroblob(56) WHERE id = 7", 7, 7),
    "facts of another size": ("UPDATE entry SET facts = zeroblob(112) WHERE id = 7", 7, 7),
    "a time": ("UPDATE entry SET appended_at_ms = 1 << 40 WHERE id = 7", 7, 7),
    "tallies": ("UPDATE entry SET rejections = '[]' WHERE id = 7", 7, 7),
    "tallies that are no text": ("UPDATE entry SET rejections = CAST(x'ff' AS TEXT) WHERE id = 7",
                                 7, 7),
    "a number that is none": ("UPDATE entry SET facts_count = 'x' WHERE id = 7", 7, 7),
    "the format": ("UPDATE entry SET format = 3 WHERE id = 7", 7, 7),
    "an entry is gone": ("DELETE FROM entry WHERE id = 7", 7, 7),
    "several are gone": ("DELETE FROM entry WHERE id BETWEEN 7 AND 9", 7, 9),
    "the first is gone": ("DELETE FROM entry WHERE id = 1", 1, 1),
    "the last": ("UPDATE entry SET facts = zeroblob(56) WHERE id = 40", 40, 40),
    "an entry with another's number": ("UPDATE entry SET id = 99 WHERE id = 40", 40, 99),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_entry_is_set_aside_whole_and_those_behind_it_are_read(
    path: Path, damage: str
) -> None:
    statement, first, last = DAMAGES[damage]
    changed(path, statement)
    entries = read(path)
    [set_aside] = [entry for entry in entries if entry.damage]
    assert set_aside.damage is not None
    assert (set_aside.damage.first_id, set_aside.damage.last_id) == (first, last)
    assert set_aside.damage.messages in (last - first + 1, None)
    assert (set_aside.facts, set_aside.rejections, set_aside.id) == (b"", [], last)
    others = [entry for entry in entries if not entry.damage]
    assert [e.id for e in others] == [n for n in range(1, ENTRIES + 1) if not first <= n <= last]
    assert [e.facts for e in others] == [fact(e.id) for e in others]
    with journal_view(path) as journal:
        [fault] = journal.faults()
        assert "cannot be read" in fault


def test_what_was_damaged_is_kept_when_the_others_are_pruned(path: Path) -> None:
    changed(
        path,
        "UPDATE entry SET facts = zeroblob(56) WHERE id = 7",
        "DELETE FROM entry WHERE id = 20",
    )
    with closing(JournalFile(path)) as journal:
        while not journal.prune(30):
            pass
        assert [entry.id for entry in journal.entries(0)] == list(range(31, ENTRIES + 1))
        assert journal.append(fact(41), [], 41) == ENTRIES + 1
    with journal_view(path) as moment:
        assert moment.set_aside() == [7, 20]
        kept = dict(read_checked(path, moment.connection, DAMAGED))
    assert kept[7] is not None
    assert bytes(56) in kept[7]
    assert kept[20] is None


def read_or_refused(path: Path) -> list[JournalEntry] | str:
    try:
        return read(path)
    except DataFolderError as error:  # a sentence, whatever SQLite says of it
        return str(error)


@pytest.mark.parametrize("seed", range(40))
def test_no_byte_can_be_changed_without_a_word(path: Path, seed: int) -> None:
    """Whatever is flipped: what is read is what was written, or it is named, or refused."""
    rng = random.Random(seed)
    data = bytearray(path.read_bytes())
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    path.write_bytes(data)
    entries = read_or_refused(path)
    if isinstance(entries, str):
        assert "j.sqlite" in entries
        return
    named: set[int] = set()
    for entry in entries:
        if entry.damage:
            named |= set(range(entry.damage.first_id, entry.damage.last_id + 1))
        else:
            assert entry.facts == fact(entry.id)
            assert entry.appended_at_ms == entry.id
    assert named | {e.id for e in entries} >= set(range(1, ENTRIES + 1))


def test_no_bit_of_a_page_of_entries_keeps_the_others_from_being_read(tmp_path: Path) -> None:
    """Not even of its head, by which SQLite finds the rows, and calls the page malformed."""
    path = tmp_path / "j.sqlite"
    with closing(JournalFile(path)) as journal:
        for number in range(1, 4):
            journal.append(fact(number), [], number)
    data = path.read_bytes()
    [page] = [at for at in range(0, len(data), 16_384) if fact(3) in data[at : at + 16_384]]
    refused = 0
    for at in range(page, page + 16_384):
        for bit in range(8) if data[at] or at < page + 16 else ():
            path.write_bytes(flipped(data, at, bit))
            found = read_or_refused(path)
            if isinstance(found, str):
                refused += 1
                continue
            named = [entry.damage for entry in found if entry.damage]
            assert named or [entry.facts for entry in found] == [fact(n) for n in range(1, 4)]
    assert refused


def test_a_journal_whose_tables_have_lost_a_name_is_refused(path: Path) -> None:
    """Its rows have no number then, or no column of that name, and whoever reads by numbers would
    pass over them and call it nothing."""
    data = path.read_bytes()
    text = b"CREATE TABLE entry (\n    id INTEGER PRIMARY KEY,\n    format INTEGER"
    begin = data.index(text)
    found = [
        (path.write_bytes(flipped(data, at, bit)), read_or_refused(path))[1]
        for at in range(begin + text.index(b"id"), begin + len(text))
        for bit in range(8)
    ]
    assert any(isinstance(each, str) and "no number" in each for each in found)
    assert any(isinstance(each, str) and "no such column" in each for each in found)
    for entries in found:
        if not isinstance(entries, str):
            assert [entry.facts for entry in entries] == [fact(n) for n in range(1, ENTRIES + 1)]


def test_a_page_that_is_lost_takes_only_its_own_entries(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"
    with closing(JournalFile(path)) as journal:
        for number in range(1, 401):
            journal.append(fact(number) * 20, [], number)
    data = bytearray(path.read_bytes())
    pages = [at for at in range(0, len(data), 16_384) if fact(200) in data[at : at + 16_384]]
    data[pages[0] : pages[0] + 16_384] = bytes(16_384)
    path.write_bytes(data)
    entries = read(path)
    damages = [entry.damage for entry in entries if entry.damage]
    others = {entry.id for entry in entries if not entry.damage}
    assert len(damages) == 1
    assert damages[0] is not None
    lost = set(range(damages[0].first_id, damages[0].last_id + 1))
    assert 200 in lost
    assert len(lost) < 20
    assert damages[0].messages == 20 * len(lost)
    assert others | lost == set(range(1, 401))


LOSSES: dict[str, Callable[[Path, bytes], object]] = {
    "its log is removed": lambda log, data: log.unlink(),
    "its log is cut": lambda log, data: log.write_bytes(data[: len(data) // 2]),
    "a bit in the middle": lambda log, data: log.write_bytes(flipped(data, len(data) // 2)),
    "a bit of its header": lambda log, data: log.write_bytes(flipped(data, 9)),
    "a bit near its end": lambda log, data: log.write_bytes(flipped(data, len(data) - 3000)),
}


def flipped(data: bytes, at: int, bit: int = 3) -> bytes:
    return data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]


@pytest.mark.parametrize("loss", LOSSES)
def test_a_journal_that_holds_less_than_was_acknowledged_is_refused(
    tmp_path: Path, loss: str
) -> None:
    killed = tmp_path / "killed"
    killed.mkdir()
    with closing(JournalFile(tmp_path / "j.sqlite")) as journal:
        for number in range(1, 31):
            journal.append(fact(number) * 3, [], number)
        for each in ("j.sqlite", "j.sqlite-wal", "j.confirmed"):  # as a kill leaves them
            (killed / each).write_bytes((tmp_path / each).read_bytes())
    log = killed / "j.sqlite-wal"
    LOSSES[loss](log, log.read_bytes())
    with pytest.raises(DamagedDataError, match=r"its last .* (are|is) gone, with") as refused:
        JournalFile(killed / "j.sqlite")
    assert "--repair" in refused.value.remedy


def test_what_is_confirmed_is_never_ahead_of_what_is_durable(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"
    with closing(JournalFile(path)) as journal:
        for number in range(1, 6):
            journal.append(fact(number), [], number)
            with closing(JournalFile(path)) as other:
                assert other.last_id() == number
        assert witness_of(path).stat().st_size == 64
        confirmed = read_confirmed(path)
        assert confirmed is not None
        assert (confirmed.sequence, confirmed.messages) == (5, 5)
        journal._db.pragma("max_page_count", 1)  # a disk without room
        with pytest.raises(StorageUnavailableError):
            journal.append(fact(6) * 2000, [], 6)
        assert read_confirmed(path) == confirmed


def test_a_journal_gives_its_room_back(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"
    with closing(JournalFile(path)) as journal, closing(JournalFile(path)) as meter:
        for number in range(300):
            journal.append(fact(number) * 1000, [], number)
        steps = 0
        while not meter.prune(journal.last_id()):
            steps += 1
            journal.append(b"", [], 0)  # intake gets its turn between two steps
        assert steps >= 3
        with closing(apsw.Connection(str(path))) as db:
            db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    assert path.stat().st_size < 300 * 56_000 // 3
