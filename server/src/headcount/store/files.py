"""The embedded store's keys in files: blocks in the database, runs beside it, and what is in trash.

Takes keys in blocks as commits have left them, moves them into runs and runs into larger ones, and
puts away what is done with. Nothing here changes a count.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import apsw

from headcount.counting.calendar import Period
from headcount.counting.keys import MESSAGE, TRACKED, Family, KeyBlock, merged
from headcount.errors import DamagedDataError, StorageUnavailableError
from headcount.layout import DataFolder
from headcount.sqlite.opening import damage_named, rows
from headcount.sqlite.rows import Ledger
from headcount.store import sql, writing
from headcount.store.blocks import decode, encode
from headcount.store.checking import check_store
from headcount.store.joined import joined_to
from headcount.store.protocol import KeyReplacement
from headcount.store.replacing import holds, replaced_blocks, replaced_in
from headcount.store.run_folder import RunFolder
from headcount.store.runs import Run
from headcount.store.tables import ASIDE, KEY_BLOCK, KEY_RUN, MONTH, WATERMARK

__all__ = ["SqliteFiles", "refusals"]

_SEE_DOCTOR = "See `headcount doctor`; then headcount doctor --repair, or restore from a backup."
_FREE_PAGES_KEPT = 1_000


@contextmanager
def refusals(what: str) -> Generator[None, None, None]:
    """Say what a disk's refusal means for the caller.

    Args:
        what: what the store could not do.

    Raises:
        StorageUnavailableError: for an error of the disk or of SQLite.
    """
    try:
        yield
    except (OSError, apsw.Error) as error:
        raise StorageUnavailableError(f"the store {what}: {error}") from error


@contextmanager
def overwriting(connection: apsw.Connection) -> Iterator[None]:
    """Have SQLite write zeros over what is changed or deleted meanwhile."""
    connection.pragma("secure_delete", True)
    try:
        yield
    finally:
        connection.pragma("secure_delete", False)


class SqliteFiles:
    """The files of one embedded store.

    Args:
        path: the database file.
        connection: to it.
        ledger: its tables.
        lock: held by whoever uses these two.
    """

    def __init__(
        self, path: Path, connection: apsw.Connection, ledger: Ledger, lock: threading.Lock
    ) -> None:
        self._path = path
        self._db = connection
        self._ledger = ledger
        self._lock = lock
        self._folder = RunFolder(DataFolder(path.parent))

    def blocks(self, period: Period, family: Family) -> Iterator[KeyBlock]:
        """Keys that no run holds; the meter must not commit meanwhile."""
        place = writing.place_of(period, family)
        with self._lock, damage_named(self._path):
            told = self._ledger.read_part().tallies.get(KEY_BLOCK.place_of(*place), (0, 0))[0]
            ids = rows(self._db, sql.KEY_BLOCK_IDS, place)
        self._insist(len(ids) == told, f"{told} blocks of keys of {period} are not all there")
        for (block_id,) in ids:
            with self._lock:
                found = self._ledger.get(KEY_BLOCK, block_id)
            self._insist(found is not None, f"block {block_id} of keys cannot be found")
            if found is not None:
                yield decode(found[-1], family)

    def _insist(self, is_so: bool, otherwise: str) -> None:
        if not is_so:
            raise DamagedDataError(f"{self._path} is damaged: {otherwise}.", _SEE_DOCTOR)

    def runs(self, period: Period, family: Family) -> Sequence[Run]:
        """The runs of a period and family."""
        with self._lock:
            names = self._run_names(period, family)
        return [self._folder.open(name) for name in names]

    def _run_names(self, period: Period, family: Family) -> list[str]:
        place = writing.place_of(period, family)
        told = self._ledger.read_part().tallies.get(KEY_RUN.place_of(*place), (0, 0))[0]
        found = self._ledger.read(KEY_RUN, f"{sql.OF_PLACE} ORDER BY file", place)
        self._insist(len(found) == told, f"of {told} runs of {period} it names {len(found)}")
        return [row[0] for row in found]

    def verify_part(self) -> None:
        """Read a part of a run that is not known to be whole yet, if there is any.

        Raises:
            DamagedDataError: it is damaged, and what was counted by it may be wrong.
        """
        self._folder.verify_part()

    def keys_in_blocks(self, period: Period, family: Family) -> int:
        """How many keys of a period and family stand in blocks, repeats included."""
        with self._lock:
            count: int = rows(self._db, sql.KEYS_IN_BLOCKS, writing.place_of(period, family))[0][0]
        return count

    def newest_block(self) -> int:
        """A number that is lower than that of every block appended from now on."""
        with self._lock:
            newest: int = rows(self._db, sql.NEWEST_KEY_BLOCK)[0][0]
        return newest

    def write_run(
        self,
        period: Period,
        family: Family,
        blocks: Iterable[KeyBlock],
        upto_block: int,
        *,
        keys: int,
        replace_existing: bool,
    ) -> Generator[int, None, None]:
        """Move keys from blocks into a run, part by part; done when the generator ends.

        Raises:
            StorageUnavailableError: the disk refused, and nothing is changed.
        """
        name = self._folder.new_name(period, family)
        place = writing.place_of(period, family)
        with refusals("did not take a run"):
            filter_keys = keys if family == MESSAGE else 0
            name = yield from self._folder.write(name, blocks, filter_keys=filter_keys)
            with self._lock, self._ledger.transaction():
                former = self._run_names(period, family) if replace_existing else []
                self._replace_runs(former, [name], place)
                self._ledger.drop(KEY_BLOCK, f"{sql.OF_PLACE} AND id <= ?3", (*place, upto_block))
            for former_name in former:
                self._folder.delete(former_name)
            while self._free_pages() > _FREE_PAGES_KEPT:
                yield 0
                with self._lock:
                    rows(self._db, sql.GIVE_PAGES_BACK)

    def merge_runs(
        self, period: Period, family: Family, names: Sequence[str], *, cut_day: int = 0
    ) -> Generator[int, None, None]:
        """Make one run of some, or two, part by part; done when the generator ends.

        Raises:
            StorageUnavailableError: the disk refused or has no room, and nothing is changed.
            DataFolderError: a run is damaged, and nothing is changed.
        """
        runs = [self._folder.open(name) for name in names]
        self._folder.require_room(names)
        for run in runs:
            # Written anew, a fault would get a checksum of its own, and nobody could find it.
            yield from run.verify()
        place = writing.place_of(period, family)
        with refusals("did not take a merged run"):
            new = yield from self._folder.write_parted(
                period, family, runs, cut_day if family == MESSAGE else 0
            )
            with self._lock, self._ledger.transaction():
                all_there = set(names) <= set(self._run_names(period, family))
                if all_there:
                    self._replace_runs(names, new, place)
            for done_with in names if all_there else new:
                self._folder.delete(done_with)

    def _replace_runs(
        self, former: Iterable[str], new: Iterable[str], place: tuple[int, int]
    ) -> None:
        for each in former:
            self._ledger.drop(KEY_RUN, "WHERE file = ?1", (each,))
        for each in new:
            self._ledger.add(KEY_RUN, each, *place)

    def _free_pages(self) -> int:
        with self._lock:
            count: int = rows(self._db, sql.FREE_PAGES)[0][0]
        return count

    def replace_keys(self, replaced: Sequence[KeyReplacement], aside: Mapping[int, bytes]) -> None:
        """Put other tracked ids in the place of some, over all months or not at all.

        Raises:
            StorageUnavailableError: the disk refused, and nothing is changed.
            DataFolderError: keys are damaged, and nothing is changed.
        """
        runs: dict[str, tuple[str, tuple[int, int]]] = {}
        with refusals("could not replace keys"):
            for each in replaced:
                for run in self.runs(each.period, TRACKED):
                    if holds(run, each.former):
                        name = self._rewritten(each, run)
                        runs[run.name] = name, writing.place_of(each.period, TRACKED)
            with self._lock, overwriting(self._db), self._ledger.transaction():
                for former_name, (name, place) in runs.items():
                    self._replace_runs([former_name], [name], place)
                for each in replaced:
                    self._replace_in_blocks(each)
                for row, facts in aside.items():
                    held = self._ledger.get(ASIDE, row)
                    if held is not None:
                        self._ledger.put(ASIDE, *held[:-1], bytes(facts))
        with refusals("has replaced keys, but could not delete a file of the former ones"):
            for former_name in runs:
                self._folder.delete(former_name)
        self.forget_replaced([each.period for each in replaced])

    def _rewritten(self, each: KeyReplacement, run: Run) -> str:
        """Write a run anew with other keys in the place of some; its name."""
        # Written anew, a fault would get a checksum of its own, and nobody could find it.
        deque(run.verify(), maxlen=0)
        self._folder.require_room([run.name])
        blocks = replaced_blocks(run, each.former, each.new)
        writer = self._folder.write(
            self._folder.new_name(each.period, TRACKED), blocks, filter_keys=0
        )
        while True:
            try:
                next(writer)
            except StopIteration as done:
                name: str = done.value
                return name

    def _replace_in_blocks(self, each: KeyReplacement) -> None:
        place = writing.place_of(each.period, TRACKED)
        for (block_id,) in rows(self._db, sql.KEY_BLOCK_IDS, place):
            held = self._ledger.get(KEY_BLOCK, block_id)
            assert held is not None
            block = replaced_in(decode(held[-1], TRACKED), each.former, each.new)
            if block is not None:
                self._ledger.put(KEY_BLOCK, *held[:-1], encode(block))

    def forget_replaced(self, periods: Iterable[Period]) -> None:
        """Delete what is left of tracked ids of some open months after others took their place.

        Raises:
            StorageUnavailableError: the disk refused.
        """
        with refusals("could not delete what was left in the trash"):
            for period in periods:
                self._folder.delete_trashed(period, TRACKED)
        self._give_all_pages_back()

    def _give_all_pages_back(self) -> None:
        """Let go of pages that rows have stood in, and of the log, as far as readers let us."""
        with contextlib.suppress(apsw.Error):
            before, left = 0, self._free_pages()
            while left != before:
                with self._lock:
                    rows(self._db, sql.GIVE_PAGES_BACK)
                before, left = left, self._free_pages()
            with self._lock:
                rows(self._db, "PRAGMA wal_checkpoint(TRUNCATE)")

    def drop(self, period: Period, now_ms: int) -> None:
        """Move the keys of a period to the trash; its counts stay.

        Raises:
            StorageUnavailableError: the disk refused; what is left is dropped next time.
        """
        for family in writing.FAMILIES:
            blocks_left = list(self.blocks(period, family))
            if blocks_left:
                # Blocks go to the trash as a run: the same form that a backup of keys has.
                keys, upto = merged(blocks_left), self.newest_block()
                for _ in self.write_run(
                    period, family, [keys], upto, keys=len(keys), replace_existing=False
                ):
                    pass
        with refusals("could not drop keys"):
            files: list[str] = []
            with self._lock, self._ledger.transaction():
                for family in writing.FAMILIES:
                    files += self._run_names(period, family)
                    self._ledger.drop(KEY_RUN, sql.OF_PLACE, writing.place_of(period, family))
                # By how many they were more than what was counted goes with them. That a history
                # was joined stays: of what was counted it explains days that are below zero.
                clause = "WHERE substr(name, 1, length(?1)) = ?1"
                for name, _ in self._ledger.read(WATERMARK, clause, (joined_to(period),)):
                    self._ledger.put(WATERMARK, name, 0)
                sealed = self._ledger.read(MONTH, "WHERE period = ?1 AND sealed", (period.number,))
                for workspace, number, day, _ in sealed:
                    self._ledger.put(MONTH, workspace, number, day, 2)
            for name in files:
                self._folder.discard(name, now_ms)

    def empty_trash(self, before_ms: int) -> None:
        """Delete for good what went to the trash before a moment."""
        self._folder.empty_trash(before_ms)

    def tidy(self, now_ms: int) -> None:
        """Put away what an interrupted write or drop has left; for the meter, when it starts.

        Raises:
            StorageUnavailableError: the disk refused, and what is left stays.
        """
        with refusals("could not put runs away"), self._lock:
            strays = self._folder.strays({name for name, _, _ in self._ledger.read(KEY_RUN)})
            if strays:
                # A process that was killed may have named them in a commit that it had not synced.
                # Nobody sees it as long as others have the store open; the first who opens it after
                # all have closed it would. What is written now is written over it.
                with self._ledger.transaction():
                    pass
            for name in strays:
                self._folder.discard(name, now_ms)

    def check(self) -> None:
        """Read every row but the keys themselves, and see that none is lost or there twice.

        Raises:
            DamagedDataError: something is not as it was written.
        """
        with self._lock:
            check_store(self._path, self._db, self._ledger)
