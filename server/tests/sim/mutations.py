"""Programs that are wrong in one place each: for each kind of fault, what handles it is taken away.

Takes a place to patch, changes the real code there. Each says which faults bring the mistake out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import apsw
import pytest

from headcount import integrity
from headcount.counting import plausible
from headcount.counting.batch import numbered_facts
from headcount.counting.facts import Rejection
from headcount.counting.folded import Folded
from headcount.errors import StorageUnavailableError
from headcount.journal import GroupCommit, JournalFile, entries
from headcount.journal import file as journal_file
from headcount.meter import Meter, committing, meter, sealing
from headcount.meter.overtaken import Overtaken
from headcount.sqlite import opening as sqlite_opening
from headcount.sqlite import parts as sqlite_parts
from headcount.sqlite import rows as sqlite_rows
from headcount.sqlite.rows import Ledger
from headcount.store import opening, run_folder, runs, writing
from headcount.store.protocol import Change
from sim.faults import Fault
from support.store_behind import StoreBehind

__all__ = ["MUTATIONS", "Mutation"]

Patch = pytest.MonkeyPatch


class Mutation(NamedTuple):
    """A mistake.

    Attributes:
        make: makes it.
        faults: what brings it out.
    """

    make: Callable[[Patch], None]
    faults: frozenset[Fault]


def _apply_before_commit(patch: Patch) -> None:
    digest, apply_to = committing.digest, Folded.apply_to

    def early(facts: Any, indexes: Any, *rest: Any) -> Any:
        digested = digest(facts, indexes, *rest)
        apply_to(digested[0], indexes)
        return digested

    patch.setattr(committing, "digest", early)
    patch.setattr(Folded, "apply_to", lambda _folded, _indexes: None)


def _positions_after_counts(patch: Patch) -> None:
    open_store = opening.open_store

    class InTwo(StoreBehind):
        def commit(self, change: Change) -> None:
            positions, change.positions = change.positions, {}
            super().commit(change)
            change.positions = positions
            super().commit(Change(positions=positions))

    patch.setattr(opening, "open_store", lambda path: InTwo(open_store(path)))


def _acknowledge_what_was_refused(patch: Patch) -> None:
    append = GroupCommit.append

    async def anyway(sink: GroupCommit, facts: bytes, rejections: Sequence[Rejection] = ()) -> None:
        try:
            await append(sink, facts, rejections)
        except StorageUnavailableError:
            return

    patch.setattr(GroupCommit, "append", anyway)


def _believe_what_is_not_synced(patch: Patch) -> None:
    patch.setattr(sqlite_opening, "_write_log_again", lambda _connection: None)


def _sync_what_a_failed_sync_left_out(patch: Patch) -> None:
    class Unwritten(apsw.VFSFile):
        """A file that is synced and not written."""

        def xWrite(self, data: Any, offset: int) -> None:
            pass

    class Apsw:
        """The real one, but for such files."""

        VFSFile = Unwritten

        def __getattr__(self, name: str) -> Any:
            return getattr(apsw, name)

    patch.setattr(sqlite_opening, "apsw", Apsw())


def _acknowledge_before_the_sync(patch: Patch) -> None:
    connect = sqlite_opening.connect

    def lazy(*args: Any, **kwargs: Any) -> apsw.Connection:
        connection = connect(*args, **kwargs)
        connection.pragma("synchronous", "NORMAL")
        return connection

    patch.setattr(journal_file, "connect", lazy)


def _close_months_with_journals_full(patch: Patch) -> None:
    step = Meter.step

    def then_close(self: Meter) -> Any:
        stepped = step(self)
        self._sealing.seal_due()
        return stepped

    patch.setattr(Meter, "step", then_close)


def _leave_months_open(patch: Patch) -> None:
    patch.setattr(sealing, "is_due", lambda *_: False)


def _believe_any_clock(patch: Patch) -> None:
    patch.setattr(sealing, "is_plausible", lambda trusted_day, _day: trusted_day is not None)


def _window(days: int) -> Callable[[Patch], None]:
    def make(patch: Patch) -> None:
        begin = Meter.__init__

        def off_by_some(
            self: Meter, store: Any, journals: Any, clock_ms: Any, window_days: int,
            *rest: Any, **more: Any,
        ) -> None:  # fmt: skip
            begin(self, store, journals, clock_ms, window_days + days, *rest, **more)

        patch.setattr(Meter, "__init__", off_by_some)

    return make


def _prune_before_commit(patch: Patch) -> None:
    meter_batch = Meter._meter

    def pruned_first(self: Meter, taken: Any, *rest: Any) -> None:
        for journal_uuid, entry_id in taken.positions.items():
            self._open[journal_uuid].prune(entry_id)
        meter_batch(self, taken, *rest)

    patch.setattr(Meter, "_meter", pruned_first)


def _prune_one_too_many(patch: Patch) -> None:
    prune = JournalFile.prune
    patch.setattr(JournalFile, "prune", lambda self, upto_id: prune(self, upto_id + 1))


def _say_it_is_all(patch: Patch) -> None:
    take = Meter._take
    patch.setattr(Meter, "_take", lambda self: replace(take(self), heads_ms=[]))


def _mark_the_end_of_a_step(patch: Patch) -> None:
    step = Meter.step

    def later(self: Meter) -> Any:
        stepped = step(self)
        self._freshness.until_ms = self._clock_ms()
        self._store.commit(Change(counted_until_ms=self.counted_until_ms))
        return stepped

    patch.setattr(Meter, "step", later)


def _see_only_what_is_next(patch: Patch) -> None:
    patch.setattr(Overtaken, "moments", lambda *_: [])


def _count_whatever_the_time(patch: Patch) -> None:
    patch.setattr(meter, "sorted_out", lambda facts, _bounds: (facts, []))


def _wait_a_day_too_long(patch: Patch) -> None:
    patch.setattr(plausible, "AHEAD_DAYS_MAX", plausible.AHEAD_DAYS_MAX - 1)


def _let_what_waits_move_the_day(patch: Patch) -> None:
    write_change = writing.write_change

    def moved(ledger: Ledger, change: Change) -> None:
        days = [aside.day for aside in change.aside if aside.day is not None]
        known = [] if change.last_metered_day is None else [change.last_metered_day]
        change.last_metered_day = max([*days, *known], default=None)
        write_change(ledger, change)

    patch.setattr(writing, "write_change", moved)


def _see_journals_only_at_the_start(patch: Patch) -> None:
    look = Meter._open_new_journals

    def once(self: Meter) -> None:
        if not self._open:
            look(self)

    patch.setattr(Meter, "_open_new_journals", once)


def _count_each_delivery(patch: Patch) -> None:
    def as_new_messages(blocks: Any, told: Any) -> Any:
        facts, attributes = numbered_facts(blocks, told)
        facts["message"] ^= facts["received_at_ms"].astype("u8")
        return facts, attributes

    patch.setattr(meter, "numbered_facts", as_new_messages)


def _name_runs_that_are_not_synced(patch: Patch) -> None:
    class Unsynced:
        """The system's functions, without those that wait for the disk."""

        def __getattr__(self, name: str) -> Any:
            return (lambda _descriptor: None) if "sync" in name else getattr(runs_os, name)

    runs_os = runs.os
    patch.setattr(runs, "os", Unsynced())


def _do_not_sync_folders(patch: Patch) -> None:
    patch.setattr(run_folder, "sync", lambda _path: None)


def _believe_any_entry(patch: Patch) -> None:
    patch.setattr(entries, "_is_intact", lambda _row: True)


def _believe_any_row(patch: Patch) -> None:
    patch.setattr(sqlite_rows.Table, "is_intact", lambda _table, _row: True)
    patch.setattr(sqlite_rows.Ledger, "faults", lambda *_args, **_kwargs: iter(()))


def _believe_any_run(patch: Patch) -> None:
    patch.setattr(runs.Run, "verify", lambda _run: iter(()))


def _forget_what_was_confirmed(patch: Patch) -> None:
    for module in (sqlite_parts, integrity):
        patch.setattr(module, "refuse_if_behind", lambda *_: None)


def _believe_any_age(patch: Patch) -> None:
    _forget_what_was_confirmed(patch)
    patch.setattr(integrity, "_between_journals_and_store", lambda _found: iter(()))
    patch.setattr(meter, "refuse_older_store", lambda _journal, _position: None)


MUTATIONS = {
    name or make.__name__.strip("_"): Mutation(make, frozenset(faults))
    for name, make, faults in (
        ("apply_before_a_full_disk_refuses", _apply_before_commit, {Fault.FULL}),
        ("apply_before_a_sync_fails", _apply_before_commit, {Fault.FSYNC}),
        ("", _positions_after_counts, {Fault.KILL}),
        ("", _acknowledge_what_was_refused, {Fault.FULL}),
        ("", _believe_what_is_not_synced, {Fault.KILL, Fault.POWER}),
        (
            "",
            _sync_what_a_failed_sync_left_out,
            {Fault.FSYNC, Fault.KILL, Fault.POWER},
        ),
        ("", _acknowledge_before_the_sync, {Fault.POWER}),
        ("", _close_months_with_journals_full, set()),
        ("", _leave_months_open, set()),
        ("", _believe_any_clock, {Fault.CLOCK}),
        ("window_a_day_short", _window(-1), set()),
        ("window_a_day_long", _window(1), set()),
        ("", _prune_before_commit, {Fault.BETWEEN}),
        ("", _prune_one_too_many, set()),
        ("", _say_it_is_all, set()),
        ("", _mark_the_end_of_a_step, {Fault.BETWEEN}),
        ("", _see_only_what_is_next, {Fault.CLOCK}),
        ("", _count_whatever_the_time, {Fault.CLOCK}),
        ("", _wait_a_day_too_long, {Fault.CLOCK}),
        ("", _let_what_waits_move_the_day, {Fault.CLOCK}),
        ("", _see_journals_only_at_the_start, {Fault.KILL}),
        ("", _count_each_delivery, {Fault.ANSWER}),
        ("", _name_runs_that_are_not_synced, {Fault.POWER}),
        ("", _do_not_sync_folders, {Fault.POWER}),
        ("", _believe_any_entry, {Fault.FLIP}),
        ("", _believe_any_row, {Fault.FLIP}),
        ("", _believe_any_run, {Fault.FLIP}),
        ("", _forget_what_was_confirmed, {Fault.CUT}),
        ("", _believe_any_age, {Fault.OLDER}),
    )
}
