"""`SqliteStore`: keys, counts, outcomes and positions in one SQLite file.

Takes changes from one meter, gives readings to any number of readers in other processes. Keys are
appended as blocks and never searched here (the index does that); counts are one small row for
each scope and month, so that a reading costs the same however many keys there are.
"""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from pathlib import Path

import apsw
import numpy as np

from headcount.counting.aside import AsideSum, ConfirmedAside
from headcount.counting.calendar import Period
from headcount.counting.facts import FACT_BYTES, Rejection
from headcount.counting.keys import MESSAGE, Family, KeyBlock, merged
from headcount.counting.metrics import API_CALLS, KINDS
from headcount.counting.usage import DAYS_MAX, UsageReading
from headcount.errors import DamagedDataError, StorageUnavailableError
from headcount.layout import DataFolder
from headcount.sqlite.connection import damage_named, rows
from headcount.sqlite.rows import open_checked, read_checked
from headcount.store import blocks, sql, writing
from headcount.store.aside import aside_sums
from headcount.store.checking import check_store, months_of
from headcount.store.counts import all_counts_of, counts_of
from headcount.store.merging import merged_runs
from headcount.store.protocol import Change, Month
from headcount.store.run_folder import RunFolder
from headcount.store.runs import Run
from headcount.store.tables import (
    ASIDE,
    KEY_BLOCK,
    KEY_RUN,
    MARK,
    MONTH,
    POSITION,
    REJECTION,
    TABLES,
    USAGE,
)

__all__ = ["SqliteStore"]

_SEE_DOCTOR = "See `headcount doctor`; then headcount doctor --repair, or restore from a backup."
_FREE_PAGES_KEPT = 1_000


class SqliteStore:
    """The embedded store.

    Args:
        path: the database file; made when missing.
        vfs: name of the APSW VFS to go through; the system's when None.
        read_only: for a disk that takes no writes; the file must be there.

    Raises:
        DataFolderError: the file cannot be used as it is; DamagedDataError: it is damaged, lacks
            what was committed, or is of another installation.
    """

    def __init__(self, path: Path, *, vfs: str | None = None, read_only: bool = False) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._db, self._ledger = open_checked(
            path,
            schema=sql.SCHEMA,
            version=sql.VERSION,
            tables=TABLES,
            vfs=vfs,
            read_only=read_only,
        )
        self._runs = RunFolder(DataFolder(path.parent))

    def close(self) -> None:
        """Release the file; idempotent."""
        with self._lock:
            self._ledger.close()
            self._db.close()

    # Writing: one meter.

    def positions(self) -> Mapping[str, int]:
        """Journal UUID to the id of its last metered entry."""
        with self._lock:
            return dict(self._ledger.read(POSITION))

    def key_periods(self) -> Sequence[tuple[Period, Family]]:
        """The periods and families that hold any keys."""
        with self._lock:
            places = [place.split() for place in self._ledger.read_part().tallies]
        found = {
            (int(place[1]), int(place[2]))
            for place in places
            if place[0] in (KEY_BLOCK.name, KEY_RUN.name)
        }
        return [(Period(number), writing.FAMILIES[family]) for number, family in sorted(found)]

    def key_blocks(self, period: Period, family: Family) -> Iterator[KeyBlock]:
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
                yield blocks.decode(found[-1], family)

    def _insist(self, is_so: bool, otherwise: str) -> None:
        if not is_so:
            raise DamagedDataError(f"{self._path} is damaged: {otherwise}.", _SEE_DOCTOR)

    def key_runs(self, period: Period, family: Family) -> Sequence[Run]:
        """The runs of a period and family."""
        with self._lock:
            names = self._run_names(period, family)
        return [self._runs.open(name) for name in names]

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
        self._runs.verify_part()

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
        instead_of_all: bool,
    ) -> Generator[int, None, None]:
        """Move keys from blocks into a run, part by part; done when the generator ends.

        Raises:
            StorageUnavailableError: the disk refused, and nothing is changed.
        """
        name = self._runs.new_name(period, family)
        place = writing.place_of(period, family)
        with _refusals("did not take a run"):
            filter_keys = keys if family == MESSAGE else 0
            yield from self._runs.write(name, blocks, filter_keys=filter_keys)
            with self._lock, self._ledger.transaction():
                former = self._run_names(period, family) if instead_of_all else []
                self._replace_runs(former, name, place)
                self._ledger.drop(KEY_BLOCK, f"{sql.OF_PLACE} AND id <= ?3", (*place, upto_block))
            for former_name in former:
                self._runs.delete(former_name)
            while self._free_pages() > _FREE_PAGES_KEPT:
                yield 0
                with self._lock:
                    rows(self._db, sql.GIVE_PAGES_BACK)

    def merge_runs(
        self, period: Period, family: Family, names: Sequence[str]
    ) -> Generator[int, None, None]:
        """Make one run of some, part by part; done when the generator ends.

        Raises:
            StorageUnavailableError: the disk refused or has no room, and nothing is changed.
            DataFolderError: a run is damaged, and nothing is changed.
        """
        runs = [self._runs.open(name) for name in names]
        self._runs.require_room(names)
        for run in runs:
            # Written anew, a fault would get a checksum of its own, and nobody could find it.
            yield from run.verify()
        name = self._runs.new_name(period, family)
        place = writing.place_of(period, family)
        filter_keys = sum(run.keys for run in runs) if family == MESSAGE else 0
        with _refusals("did not take a merged run"):
            yield from self._runs.write(name, merged_runs(runs), filter_keys=filter_keys)
            with self._lock, self._ledger.transaction():
                all_there = set(names) <= set(self._run_names(period, family))
                if all_there:
                    self._replace_runs(names, name, place)
            for done_with in names if all_there else [name]:
                self._runs.delete(done_with)

    def _replace_runs(self, former: Iterable[str], name: str, place: tuple[int, int]) -> None:
        for each in former:
            self._ledger.drop(KEY_RUN, "WHERE file = ?1", (each,))
        self._ledger.add(KEY_RUN, name, *place)

    def _free_pages(self) -> int:
        with self._lock:
            count: int = rows(self._db, sql.FREE_PAGES)[0][0]
        return count

    def months(self) -> Sequence[Month]:
        """Every month of every workspace that holds anything."""
        with self._lock:
            return months_of(self._path, self._db)

    def sealed(self) -> Set[tuple[int, Period]]:
        """The (workspace, period) pairs that are closed for good."""
        with self._lock:
            found = self._ledger.read(MONTH, "WHERE sealed")
        return {(workspace, Period(number)) for workspace, number, _, _ in found}

    def seal(self, workspace: int, period: Period) -> None:
        """Close a month of a workspace for good.

        Raises:
            StorageUnavailableError: it did not become durable.
        """
        with _refusals("did not seal a month"), self._lock, self._ledger.transaction():
            writing.set_month(self._ledger, workspace, period, sealed=1)

    def drop_keys(self, period: Period, now_ms: int) -> None:
        """Move the keys of a period to the trash; its counts stay.

        Raises:
            StorageUnavailableError: the disk refused; what is left is dropped next time.
        """
        for family in writing.FAMILIES:
            blocks_left = list(self.key_blocks(period, family))
            if blocks_left:
                # Blocks go to the trash as a run: the same form that a backup of keys has.
                keys, upto = merged(blocks_left), self.newest_block()
                for _ in self.write_run(
                    period, family, [keys], upto, keys=len(keys), instead_of_all=False
                ):
                    pass
        with _refusals("could not drop keys"):
            files: list[str] = []
            with self._lock, self._ledger.transaction():
                for family in writing.FAMILIES:
                    files += self._run_names(period, family)
                    self._ledger.drop(KEY_RUN, sql.OF_PLACE, writing.place_of(period, family))
                sealed = self._ledger.read(MONTH, "WHERE period = ?1 AND sealed", (period.number,))
                for workspace, number, day, _ in sealed:
                    self._ledger.put(MONTH, workspace, number, day, 2)
            for name in files:
                self._runs.discard(name, now_ms)

    def empty_trash(self, before_ms: int) -> None:
        """Delete for good what went to the trash before a moment."""
        self._runs.empty_trash(before_ms)

    def tidy(self, now_ms: int) -> None:
        """Put away what an interrupted write or drop has left; for the meter, when it starts.

        Raises:
            StorageUnavailableError: the disk refused, and what is left stays.
        """
        with _refusals("could not put runs away"), self._lock:
            strays = self._runs.strays({name for name, _, _ in self._ledger.read(KEY_RUN)})
            if strays:
                # A process that was killed may have named them in a commit that it had not synced.
                # Nobody sees it as long as others have the store open; the first who opens it after
                # all have closed it would. What is written now is written over it.
                with self._ledger.transaction():
                    pass
            for name in strays:
                self._runs.discard(name, now_ms)

    def trusted_day(self) -> int | None:
        """The latest day that the clock is trusted for; None before the first live message."""
        return self._mark(writing.TRUSTED_DAY)

    def last_metered_day(self) -> int | None:
        """The latest day of a live message; None before the first one."""
        return self._mark(writing.LAST_METERED_DAY)

    def _mark(self, name: str) -> int | None:
        with self._lock:
            found = self._ledger.get(MARK, name)
        return None if found is None else int(found[1])

    def trust_day(self, day: int) -> None:
        """Accept the clock: say that it is this day, whatever came before.

        Raises:
            StorageUnavailableError: it did not become durable.
        """
        with _refusals("did not take a mark"), self._lock, self._ledger.transaction():
            writing.trust_day(self._ledger, day)

    def set_aside(self) -> Sequence[AsideSum]:
        """What is kept and not counted."""
        with self._lock, damage_named(self._path):
            return aside_sums(rows(self._db, sql.ASIDE))

    def confirmed_aside(self, messages_max: int) -> Sequence[ConfirmedAside]:
        """Facts that have waited and are to be counted now, those set aside first."""
        found: list[ConfirmedAside] = []
        with self._lock:
            clause = "WHERE reason = 'confirmed' ORDER BY id"
            for row in read_checked(self._path, self._db, ASIDE, clause):
                found.append(ConfirmedAside(row[0], row[-1]))
                messages_max -= len(found[-1].facts) // FACT_BYTES
                if messages_max <= 0:
                    break
        return found

    def commit(self, change: Change) -> None:
        """Make a change durable and visible, whole or not at all.

        Raises:
            StorageUnavailableError: it did not become durable and nothing of it is visible.
        """
        with _refusals("did not take a change"), self._lock, self._ledger.transaction():
            writing.write_change(self._ledger, change)

    def mark_counted_until(self, moment_ms: int) -> None:
        """Move the freshness mark forward."""
        with _refusals("did not take a mark"), self._lock, self._ledger.transaction():
            writing.raise_mark(self._ledger, writing.COUNTED_UNTIL, moment_ms)

    def note_catalog(self, generation: int) -> None:
        """Remember how many changes the catalog has seen: an older one is refused from now on."""
        with _refusals("did not take a mark"), self._lock, self._ledger.transaction():
            writing.raise_mark(self._ledger, writing.CATALOG_SEEN, generation)

    def lower_counted_until(self, moment_ms: int) -> None:
        """Take the freshness mark back to a moment, if it is later."""
        with _refusals("did not take a mark"), self._lock, self._ledger.transaction():
            writing.lower_mark(self._ledger, writing.COUNTED_UNTIL, moment_ms)

    # Reading: anybody.

    def read_usage(self, workspace: int, period: Period) -> UsageReading:
        """The usage of a workspace in a period, all from one moment."""
        with _refusals("could not be read"), self._lock:
            self._db.execute("BEGIN")
            try:
                marks: dict[str, int] = dict(self._ledger.read(MARK))
                first = self._first_period(workspace)
                place = (workspace, period.number)
                usage = self._ledger.read(USAGE, f"{sql.OF_MONTH} ORDER BY source", place)
                rejected = self._ledger.read(
                    REJECTION, f"{sql.OF_MONTH} ORDER BY source, day, reason", place
                )
            finally:
                if self._db.in_transaction:  # an error may have ended it
                    self._db.execute("COMMIT")
        usage = [row[2:] for row in usage]
        totals = [row for row in usage if row[0] == 0]
        sources = usage[len(totals) :]  # source 0, the workspace itself, comes first
        return UsageReading(
            period=period,
            first_period=first,
            last_metered_day=marks.get(writing.LAST_METERED_DAY),
            counted_until_ms=marks.get(writing.COUNTED_UNTIL, 0),
            revision=totals[0][1] if totals else 0,
            workspace=counts_of(totals[0][2])
            if totals
            else np.zeros((DAYS_MAX, len(KINDS)), np.int64),
            source_numbers=np.array([row[0] for row in sources], np.uint32),
            sources=all_counts_of([row[2] for row in sources]),
            rejected=tuple(Rejection(workspace, *row[2:]) for row in rejected),
        )

    def _first_period(self, workspace: int) -> Period | None:
        clause = "WHERE workspace = ?1 AND source = 0 ORDER BY period"
        for row in read_checked(self._path, self._db, USAGE, clause, (workspace,)):
            # A month may hold nothing but duplicates of its neighbour's messages: no usage.
            if counts_of(row[-1])[:, API_CALLS].any():
                return Period(row[1])
        return None

    def check(self) -> None:
        """Read every row but the keys themselves, and see that none is lost or there twice.

        Raises:
            DamagedDataError: something is not as it was written.
        """
        with self._lock:
            check_store(self._path, self._db, self._ledger)


@contextmanager
def _refusals(what: str) -> Generator[None, None, None]:
    """Say what a disk's refusal means for the caller."""
    try:
        yield
    except (OSError, apsw.Error) as error:
        raise StorageUnavailableError(f"the store {what}: {error}") from error
