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

from headcount.errors import StorageUnavailableError
from headcount.metering.aside import AsideSum, ConfirmedAside
from headcount.metering.calendar import Period
from headcount.metering.facts import FACT_BYTES, Rejection
from headcount.metering.keys import MESSAGE, TRACKED, Family, KeyBlock, merged
from headcount.metering.usage import API_CALLS, DAYS_MAX, KINDS, Counts, UsageReading
from headcount.sqlite import connect, rows, settle, transaction
from headcount.sqlite_reading import connect_to_read
from headcount.store import blocks, sql
from headcount.store.aside import aside_sums
from headcount.store.merging import merged_runs
from headcount.store.protocol import Change, Month
from headcount.store.run_folder import RunFolder
from headcount.store.runs import Run

__all__ = ["SqliteStore"]

_FAMILIES: tuple[Family, ...] = (TRACKED, MESSAGE)
_COUNTED_UNTIL, _LAST_METERED_DAY = "counted_until_ms", "last_metered_day"
_TRUSTED_DAY = "trusted_day"
_FREE_PAGES_KEPT = 1_000


class SqliteStore:
    """The embedded store.

    Args:
        path: the database file; made when missing.
        vfs: name of the APSW VFS to go through; the system's when None.
        read_only: for a disk that takes no writes; the file must be there.

    Raises:
        DataFolderError: the file cannot be used as it is.
    """

    def __init__(self, path: Path, *, vfs: str | None = None, read_only: bool = False) -> None:
        self._lock = threading.Lock()
        if read_only:
            self._db = connect_to_read(path, version=sql.VERSION)
        else:
            self._db = connect(path, schema=sql.SCHEMA, version=sql.VERSION, vfs=vfs)
        self._runs = RunFolder(path.parent / "keys", path.parent / "trash")

    def close(self) -> None:
        """Release the file; idempotent."""
        with self._lock:
            self._db.close()

    # Writing: one meter.

    def positions(self) -> Mapping[str, int]:
        """Journal UUID to the id of its last metered entry."""
        with self._lock:
            return dict(rows(self._db, sql.POSITIONS))

    def key_periods(self) -> Sequence[tuple[Period, Family]]:
        """The periods and families that hold any keys."""
        with self._lock:
            found = rows(self._db, sql.KEY_PERIODS)
        return [(Period(number), _FAMILIES[family]) for number, family in found]

    def key_blocks(self, period: Period, family: Family) -> Iterator[KeyBlock]:
        """Keys that no run holds; the meter must not commit meanwhile."""
        place = _place(period, family)
        with self._lock:
            ids = rows(self._db, sql.KEY_BLOCK_IDS, place)
        for (block_id,) in ids:
            with self._lock:
                ((data,),) = rows(self._db, sql.KEY_BLOCK, (block_id,))
            yield blocks.decode(data, family)

    def key_runs(self, period: Period, family: Family) -> Sequence[Run]:
        """The runs of a period and family."""
        with self._lock:
            files = rows(self._db, sql.KEY_RUNS, _place(period, family))
        return [self._runs.open(name) for (name,) in files]

    def keys_in_blocks(self, period: Period, family: Family) -> int:
        """How many keys of a period and family stand in blocks, repeats included."""
        with self._lock:
            count: int = rows(self._db, sql.KEYS_IN_BLOCKS, _place(period, family))[0][0]
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
        place = _place(period, family)
        with _refusals("did not take a run"):
            filter_keys = keys if family == MESSAGE else 0
            yield from self._runs.write(name, blocks, filter_keys=filter_keys)
            with self._lock, transaction(self._db):
                former = rows(self._db, sql.KEY_RUNS, place) if instead_of_all else []
                self._db.executemany(sql.DROP_KEY_RUN, former)
                self._db.execute(sql.ADD_KEY_RUN, (name, *place))
                self._db.execute(sql.DROP_KEY_BLOCKS, (*place, upto_block))
            for (former_name,) in former:
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
        place = _place(period, family)
        filter_keys = sum(run.keys for run in runs) if family == MESSAGE else 0
        with _refusals("did not take a merged run"):
            yield from self._runs.write(name, merged_runs(runs), filter_keys=filter_keys)
            with self._lock, transaction(self._db):
                all_there = set(names) <= {
                    there for (there,) in rows(self._db, sql.KEY_RUNS, place)
                }
                if all_there:
                    self._db.executemany(sql.DROP_KEY_RUN, ((former,) for former in names))
                    self._db.execute(sql.ADD_KEY_RUN, (name, *place))
            for done_with in names if all_there else [name]:
                self._runs.delete(done_with)

    def _free_pages(self) -> int:
        with self._lock:
            count: int = rows(self._db, sql.FREE_PAGES)[0][0]
        return count

    def months(self) -> Sequence[Month]:
        """Every month of every workspace that holds anything."""
        with self._lock:
            found = rows(self._db, sql.MONTHS)
        return [
            Month(workspace, Period(number), day, sealed > 0, sealed > 1)
            for workspace, number, day, sealed in found
        ]

    def sealed(self) -> Set[tuple[int, Period]]:
        """The (workspace, period) pairs that are closed for good."""
        with self._lock:
            found = rows(self._db, sql.SEALED)
        return {(workspace, Period(number)) for workspace, number in found}

    def seal(self, workspace: int, period: Period) -> None:
        """Close a month of a workspace for good.

        Raises:
            StorageUnavailableError: it did not become durable.
        """
        with _refusals("did not seal a month"), self._lock, transaction(self._db):
            self._db.execute(sql.SEAL_MONTH, (workspace, period.number))

    def drop_keys(self, period: Period, now_ms: int) -> None:
        """Move the keys of a period to the trash; its counts stay.

        Raises:
            StorageUnavailableError: the disk refused; what is left is dropped next time.
        """
        for family in _FAMILIES:
            blocks_left = list(self.key_blocks(period, family))
            if blocks_left:
                # Blocks go to the trash as a run: the same form that a backup of keys has.
                keys, upto = merged(blocks_left), self.newest_block()
                for _ in self.write_run(
                    period, family, [keys], upto, keys=len(keys), instead_of_all=False
                ):
                    pass
        with _refusals("could not drop keys"):
            files: list[tuple[str]] = []
            with self._lock, transaction(self._db):
                for family in _FAMILIES:
                    files += rows(self._db, sql.KEY_RUNS, _place(period, family))
                self._db.executemany(sql.DROP_KEY_RUN, files)
                self._db.execute(sql.MARK_KEYS_DROPPED, (period.number,))
            for (name,) in files:
                self._runs.discard(name, now_ms)

    def empty_trash(self, before_ms: int) -> None:
        """Delete for good what went to the trash before a moment."""
        self._runs.empty_trash(before_ms)

    def tidy(self, now_ms: int) -> None:
        """Put away what an interrupted write or drop has left; for the meter, when it starts."""
        with self._lock:
            settle(self._db)
            known = {name for (name,) in rows(self._db, sql.ALL_KEY_RUNS)}
        self._runs.tidy(known, now_ms)

    def trusted_day(self) -> int | None:
        """The latest day that the clock is trusted for; None before the first live message."""
        with self._lock:
            return dict(rows(self._db, sql.MARKS)).get(_TRUSTED_DAY)

    def last_metered_day(self) -> int | None:
        """The latest day of a live message; None before the first one."""
        with self._lock:
            return dict(rows(self._db, sql.MARKS)).get(_LAST_METERED_DAY)

    def trust_day(self, day: int) -> None:
        """Accept the clock: say that it is this day, whatever came before.

        Raises:
            StorageUnavailableError: it did not become durable.
        """
        with _refusals("did not take a mark"), self._lock, transaction(self._db):
            self._db.execute(sql.SET_MARK, (_TRUSTED_DAY, day))
            self._db.execute(sql.LOWER_MARK, (_LAST_METERED_DAY, day))
            self._db.execute(sql.LOWER_IMPORT_DAYS, (day,))
            self._db.execute(sql.CONFIRM_ASIDE, (day,))

    def set_aside(self) -> Sequence[AsideSum]:
        """What is kept and not counted."""
        with self._lock:
            return aside_sums(rows(self._db, sql.ASIDE))

    def confirmed_aside(self, messages_max: int) -> Sequence[ConfirmedAside]:
        """Facts that have waited and are to be counted now, those set aside first."""
        found: list[ConfirmedAside] = []
        with self._lock:
            for row, facts in self._db.execute(sql.CONFIRMED_ASIDE):
                found.append(ConfirmedAside(int(row), bytes(facts)))
                messages_max -= len(found[-1].facts) // FACT_BYTES
                if messages_max <= 0:
                    break
        return found

    def commit(self, change: Change) -> None:
        """Make a change durable and visible, whole or not at all.

        Raises:
            StorageUnavailableError: it did not become durable and nothing of it is visible.
        """
        with _refusals("did not take a change"), self._lock, transaction(self._db):
            self._write(change)

    def _write(self, change: Change) -> None:
        for (period, family), block in change.keys.items():
            self._append_keys(period, family, block)
        for (period, workspace, source), counts in change.counts.items():
            self._add_counts(period, workspace, source, counts)
        self._db.executemany(
            sql.ADD_REJECTION,
            (
                (Period.of_day(r.day).number, r.workspace, r.source, r.day, r.reason, r.messages)
                for r in change.rejections
            ),
        )
        self._db.executemany(
            sql.IMPORT_INTO_MONTH,
            ((workspace, p.number, day) for (workspace, p), day in change.imported.items()),
        )
        self._db.executemany(
            sql.SET_ASIDE,
            (
                (a.reason, a.workspace, a.period and a.period.number, a.day, a.messages, a.origin,
                 a.facts)
                for a in change.aside
            ),
        )  # fmt: skip
        self._db.executemany(sql.TAKE_FROM_ASIDE, ((row,) for row in change.counted_aside))
        self._db.executemany(sql.SET_POSITION, change.positions.items())
        for name, value in (
            (_COUNTED_UNTIL, change.counted_until_ms),
            (_LAST_METERED_DAY, change.last_metered_day),
            (_TRUSTED_DAY, change.trusted_day),
        ):
            if value is not None:
                self._db.execute(sql.RAISE_MARK, (name, value))

    def _append_keys(self, period: Period, family: Family, block: KeyBlock) -> None:
        place = _place(period, family)
        size_class = blocks.size_class(len(block))
        # Many small blocks of about one size become one of the next: rows stay few, and a key is
        # rewritten a handful of times in its life.
        while size_class < blocks.SIZE_CLASS_MAX:
            peers = rows(self._db, sql.KEY_BLOCK_PEERS, (*place, size_class))
            if len(peers) < blocks.PEERS_MAX:
                break
            block = merged([block, *(blocks.decode(data, family) for _, data in peers)])
            self._db.executemany(sql.DROP_KEY_BLOCK, ((block_id,) for block_id, _ in peers))
            size_class = max(size_class + 1, blocks.size_class(len(block)))
        encoded = blocks.encode(block)
        self._db.execute(sql.ADD_KEY_BLOCK, (*place, size_class, len(block), encoded))

    def _add_counts(self, period: Period, workspace: int, source: int, counts: Counts) -> None:
        place = (workspace, period.number, source)
        held = rows(self._db, sql.USAGE_ROW, place)
        total = counts + _counts(held[0][0]) if held else counts
        self._db.execute(sql.SET_USAGE, (*place, total.astype("<i8").tobytes()))

    def mark_counted_until(self, moment_ms: int) -> None:
        """Move the freshness mark forward."""
        try:
            with self._lock:
                self._db.execute(sql.RAISE_MARK, (_COUNTED_UNTIL, moment_ms))
        except apsw.Error as error:
            raise StorageUnavailableError(f"the store did not take a mark: {error}") from error

    def lower_counted_until(self, moment_ms: int) -> None:
        """Take the freshness mark back to a moment, if it is later."""
        with _refusals("did not take a mark"), self._lock:
            self._db.execute(sql.LOWER_MARK, (_COUNTED_UNTIL, moment_ms))

    # Reading: anybody.

    def read_usage(self, workspace: int, period: Period) -> UsageReading:
        """The usage of a workspace in a period, all from one moment."""
        with _refusals("could not be read"), self._lock:
            self._db.execute("BEGIN")
            try:
                marks = dict(rows(self._db, sql.MARKS))
                first = self._first_period(workspace)
                place = (workspace, period.number)
                usage = rows(self._db, sql.USAGE, place)
                rejected = rows(self._db, sql.REJECTIONS, place)
            finally:
                self._db.execute("COMMIT")
        totals = [row for row in usage if row[0] == 0]
        sources = usage[len(totals) :]  # source 0, the workspace itself, comes first
        return UsageReading(
            period=period,
            first_period=first,
            last_metered_day=marks.get(_LAST_METERED_DAY),
            counted_until_ms=marks.get(_COUNTED_UNTIL, 0),
            revision=totals[0][1] if totals else 0,
            workspace=_counts(totals[0][2])
            if totals
            else np.zeros((DAYS_MAX, len(KINDS)), np.int64),
            source_numbers=np.array([row[0] for row in sources], np.uint32),
            sources=np.frombuffer(b"".join(row[2] for row in sources), "<i8").reshape(
                len(sources), DAYS_MAX, len(KINDS)
            ),
            rejected=tuple(Rejection(workspace, *row) for row in rejected),
        )

    def _first_period(self, workspace: int) -> Period | None:
        for number, data in rows(self._db, sql.WORKSPACE_PERIODS, (workspace,)):
            # A month may hold nothing but duplicates of its neighbour's messages: no usage.
            if _counts(data)[:, API_CALLS].any():
                return Period(number)
        return None


@contextmanager
def _refusals(what: str) -> Generator[None, None, None]:
    """Say what a disk's refusal means for the caller."""
    try:
        yield
    except (OSError, apsw.Error) as error:
        raise StorageUnavailableError(f"the store {what}: {error}") from error


def _place(period: Period, family: Family) -> tuple[int, int]:
    return period.number, _FAMILIES.index(family)


def _counts(data: bytes) -> Counts:
    return np.frombuffer(data, "<i8").reshape(DAYS_MAX, len(KINDS))
