"""The spool as a journal's writer leaves it, killed at any point, and as it is delivered."""

from __future__ import annotations

import os
import random
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from headcount.errors import SpoolUnavailableError
from headcount.journal import JournalDirectory
from headcount.spool.boots import epoch_of
from headcount.spool.letters import Letter, Posted, encoded
from headcount.spool.segment_files import opened_segment, segments_of
from headcount.spool.segments import FIRST_RECORD, MARK_AT
from headcount.spool.settling import settle
from headcount.spool.source_spool import OtherKey, SourceSpool
from headcount.spool.writer import SpoolWriter, lasting_s
from support.closed import everything_closed

KEY = bytes(range(32))
JOURNAL = "11111111-1111-4111-8111-111111111111"
OTHER = "22222222-2222-4222-8222-222222222222"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    with everything_closed(SourceSpool, SpoolWriter):
        yield tmp_path / "spool"


def posted(number: int, source: int = 1, bytes_more: int = 0) -> Posted:
    body = b'{"n":%d}' % number + b" " * bytes_more
    return Posted(source, 1_000 + number, 1, encoded(Letter("track", "stem", [], body)))


def reader(place: Path, last_id: int | None = 0, source: int = 1) -> SourceSpool:
    return SourceSpool(place, source, epoch_of(place), lambda _: last_id)


def numbers(spool: SourceSpool, *, patiently: bool = True) -> list[int]:
    """All that is due, done with as delivered; waits until the journal is asked."""
    found = []
    with pytest.MonkeyPatch.context() as patch:
        if patiently:
            patch.setattr("headcount.spool.source_spool._ASK_AFTER_S", 0.0)
        while (due := spool.due()) is not None:
            letter = spool.letter(due, KEY)
            assert letter is not None
            found.append(int(letter.body.strip()[5:-1]))
            spool.done(due, "delivered")
    return found


def commit(writer: SpoolWriter, entry: int, *those: Posted) -> None:
    writer.write(those, entry)
    writer.committed(entry)


def test_what_was_committed_comes_once_and_in_order_and_is_deleted(place: Path) -> None:
    writer = SpoolWriter(place, KEY, JOURNAL)
    for entry in range(1, 6):
        commit(writer, entry, posted(2 * entry), posted(2 * entry + 1), posted(99, source=2))
    writer.close()
    spool = reader(place)
    assert spool.waiting()[:2] == (10, spool.waiting().bytes)
    assert numbers(spool) == [2, 3, 4, 5, 6, 7, 8, 9, 10, 11]
    assert segments_of(place / "1") == []
    assert spool.waiting() == (0, 0, None)
    assert spool.progress.tallies["delivered"].requests == 10
    spool.close()
    again = reader(place)
    assert numbers(again) == []
    assert again.progress.tallies["delivered"].messages == 10
    assert numbers(reader(place, source=2)) == [99] * 5


def test_nothing_readable_of_a_message_lies_in_the_folder(place: Path) -> None:
    writer = SpoolWriter(place, KEY, JOURNAL)
    secret = b'{"userId":"ada@example.com"}'
    commit(writer, 1, Posted(1, 1, 1, encoded(Letter("track", "s", [], secret))))
    for path in place.rglob("*"):
        assert path.is_dir() or b"ada@" not in path.read_bytes()


def test_a_record_stands_only_if_its_entry_does(place: Path) -> None:
    """Killed between the two writes: the journal says which it was."""
    writer = SpoolWriter(place, KEY, JOURNAL)
    commit(writer, 1, posted(1))
    writer.write([posted(2)], 2)  # and here it is killed
    assert numbers(reader(place, last_id=1)) == [1]
    assert numbers(reader(place, last_id=2)) == [2]


def test_a_head_that_is_not_known_yet_holds_up_what_came_after_it(place: Path) -> None:
    slow, fast = SpoolWriter(place, KEY, JOURNAL), SpoolWriter(place, KEY, OTHER)
    slow.write([posted(1)], 1)
    commit(fast, 1, posted(2))
    spool = reader(place, last_id=0)
    assert numbers(spool, patiently=False) == []
    slow.committed(1)
    assert numbers(spool, patiently=False) == [1, 2]


def test_the_next_writer_settles_what_the_killed_one_left_before_it_uses_that_id(
    place: Path,
) -> None:
    writer = SpoolWriter(place, KEY, JOURNAL)
    commit(writer, 1, posted(1))
    writer.write([posted(2)], 2)  # killed: entry 2 was never appended
    settle(place, JOURNAL, 1)
    heir = SpoolWriter(place, KEY, JOURNAL)
    commit(heir, 2, posted(3))
    assert numbers(reader(place, last_id=2)) == [1, 3]


def test_what_is_undone_is_not_there_and_another_may_have_its_id(place: Path) -> None:
    writer = SpoolWriter(place, KEY, JOURNAL)
    commit(writer, 1, posted(1))
    writer.write([posted(2)], 2)
    writer.undo()
    commit(writer, 2, posted(3))
    # An entry that forwards nothing comes to be with the id of one that was undone.
    writer.write([posted(4)], 3)
    writer.undo()
    assert numbers(reader(place, last_id=3)) == [1, 3]


def test_where_undoing_fails_nothing_may_be_appended(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = SpoolWriter(place, KEY, JOURNAL)
    commit(writer, 1, posted(1))
    writer.write([posted(2)], 2)

    def refuse(*_: object) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "ftruncate", refuse)
        with pytest.raises(Exception, match="Input/output"):
            writer.undo()
        assert writer.must_undo
        with pytest.raises(SpoolUnavailableError):
            writer.write([posted(3)], 2)
    writer.undo()
    assert not writer.must_undo
    commit(writer, 2, posted(4))
    assert numbers(reader(place, last_id=2)) == [1, 4]


def test_a_write_that_fails_keeps_nothing_of_any_source(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = SpoolWriter(place, KEY, JOURNAL)
    commit(writer, 1, posted(1), posted(1, source=2))
    synced = os.fdatasync

    def second_fails(descriptor: int) -> None:
        second_fails.calls += 1  # type: ignore[attr-defined]
        if second_fails.calls == 2:  # type: ignore[attr-defined]
            raise OSError(28, "No space left on device")
        synced(descriptor)

    second_fails.calls = 0  # type: ignore[attr-defined]
    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", second_fails)
        with pytest.raises(SpoolUnavailableError, match="No space"):
            writer.write([posted(2), posted(2, source=2)], 2)
    commit(writer, 2, posted(3))
    assert numbers(reader(place, last_id=2)) == [1, 3]
    assert numbers(reader(place, last_id=2, source=2)) == [1]


@pytest.mark.parametrize("mark_is_lost", [False, True])
def test_a_tail_that_is_torn_at_any_byte_loses_no_record_before_it(
    place: Path, tmp_path: Path, mark_is_lost: bool
) -> None:
    """After a power cut a file may end anywhere behind what was synced, and its mark be torn."""
    writer = SpoolWriter(place, KEY, JOURNAL)
    commit(writer, 1, posted(1))
    [path] = segments_of(place / "1")
    synced = path.stat().st_size
    writer.write([posted(2)], 2)
    whole = path.stat().st_size
    for length in range(synced, whole + 1):
        copy = tmp_path / f"cut-{length}"
        shutil.copytree(place, copy)
        [cut] = segments_of(copy / "1")
        os.truncate(cut, length)
        if mark_is_lost:
            with cut.open("r+b") as file:
                file.seek(MARK_AT)
                file.write(bytes(12))
        settle(copy, JOURNAL, 2)
        expected = [1, 2] if length == whole else [1]
        assert numbers(reader(copy, last_id=2)) == expected, length


@pytest.mark.parametrize("seed", range(8))
def test_a_flipped_bit_costs_the_records_that_it_is_in_and_is_tallied(
    place: Path, seed: int
) -> None:
    rng = random.Random(seed)
    writer = SpoolWriter(place, KEY, JOURNAL)
    for entry in range(1, 9):
        commit(writer, entry, posted(entry))
    writer.close()
    [path] = segments_of(place / "1")
    data = bytearray(path.read_bytes())
    data[rng.randrange(FIRST_RECORD, len(data))] ^= 1 << rng.randrange(8)
    path.write_bytes(data)
    spool, found = reader(place), []
    while (due := spool.due()) is not None:
        letter = spool.letter(due, KEY)
        if letter is not None:
            found.append(int(letter.body[5:-1]))
        spool.done(due, "damaged" if letter is None else "delivered")
    assert len(found) == 7
    assert found == sorted(found)
    assert spool.progress.tallies["damaged"].requests == 1


def test_under_another_key_it_stays_and_is_told(place: Path) -> None:
    writer = SpoolWriter(place, KEY, JOURNAL)
    commit(writer, 1, posted(1))
    spool = reader(place)
    due = spool.due()
    assert due is not None
    with pytest.raises(OtherKey):
        spool.letter(due, bytes(32))
    assert spool.due() == due


def test_a_reader_goes_on_where_the_one_before_it_was_killed(place: Path) -> None:
    writer = SpoolWriter(place, KEY, JOURNAL)
    for entry in range(1, 5):
        commit(writer, entry, posted(entry))
    first = reader(place)
    for _ in range(2):
        due = first.due()
        assert due is not None
        first.done(due, "delivered")
    # Killed: nothing of it is closed.
    assert numbers(reader(place)) == [3, 4]


def test_what_a_former_boot_left_comes_first(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headcount.spool.boots._boot_id", lambda: "one")
    former = SpoolWriter(place, KEY, JOURNAL)
    commit(former, 1, posted(1))
    # The clock of another boot begins anew: its stamps are smaller.
    monkeypatch.setattr("headcount.spool.boots._boot_id", lambda: "two")
    clock = iter(range(1, 1000))
    monkeypatch.setattr("time.monotonic_ns", lambda: next(clock))
    later = SpoolWriter(place, KEY, OTHER)
    commit(later, 1, posted(2))
    assert numbers(reader(place)) == [1, 2]


def test_segments_are_closed_when_they_are_large_or_old(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = SpoolWriter(place, KEY, JOURNAL)
    commit(writer, 1, posted(1, bytes_more=5 << 20))
    commit(writer, 2, posted(2))
    assert len(segments_of(place / "1")) == 2
    monkeypatch.setattr("headcount.spool.writer._SEGMENT_S", 0.0)
    writer.tend()
    for path in segments_of(place / "1"):
        with opened_segment(path) as segment:
            mark = segment.mark()
            assert mark is not None
            assert mark.closed
    assert numbers(reader(place)) == [1, 2]
    assert segments_of(place / "1") == []


def test_while_a_vendor_is_away_segments_stay_few_and_become_short_again_when_it_is_back(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is looked at several times a second, by intake too."""
    passed_s = 0.0
    monotonic = time.monotonic
    monkeypatch.setattr("time.monotonic", lambda: monotonic() + passed_s)
    writer = SpoolWriter(place, KEY, JOURNAL)
    commit(writer, 1, posted(1, source=1))
    former = [place / "1" / f"{OTHER}.0.{number:08}.segment" for number in range(320)]
    for path in former:
        path.touch()

    def open_after(seconds: float) -> bool:
        nonlocal passed_s
        passed_s += seconds
        writer.tend()
        with opened_segment(max(segments_of(place / "1"), key=lambda it: it.stat().st_size)) as it:
            mark = it.mark()
            assert mark is not None
            return not mark.closed

    assert open_after(5)
    assert open_after(100)
    for path in former:
        path.unlink()
    assert not open_after(2)


@pytest.mark.parametrize("workers", [1, 2, 16])
def test_a_week_without_a_vendor_leaves_so_many_segments_at_most(workers: int) -> None:
    passed_s, segments = 0.0, 0
    while passed_s < 7 * 86_400:
        passed_s += lasting_s(segments)
        segments += workers
    assert segments < 4_500


def test_an_import_that_takes_a_dead_writers_journal_makes_nothing_stand(place: Path) -> None:
    """Whoever claims a journal settles what was left open, before an entry has that id."""
    journals = JournalDirectory(place.parent / "journals")
    journal = journals.claim()
    writer = SpoolWriter(place, KEY, journal.uuid)
    writer.write([posted(1)], journal.next_id())  # killed before its entry was appended
    journal.close()
    journals.close()
    taken = JournalDirectory(
        place.parent / "journals",
        on_claim=lambda claimed: settle(place, claimed.uuid, claimed.last_id()),
    )
    journal = taken.claim()
    last_id = journal.append(bytes(56), (), 7)
    assert numbers(reader(place, last_id=last_id)) == []
    journal.close()
    taken.close()
    assert segments_of(place / "1") == []


def test_a_segment_that_was_removed_acknowledges_nothing(place: Path) -> None:
    writer = SpoolWriter(place, KEY, JOURNAL)
    commit(writer, 1, posted(1))
    [path] = segments_of(place / "1")
    path.unlink()
    with pytest.raises(SpoolUnavailableError, match="removed"):
        writer.write([posted(2)], 2)
