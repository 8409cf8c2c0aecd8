"""Repairing a journal: takes a damaged copy, gives a new one that holds what was not counted yet
and can be read.

An entry is repaired where its checksum proves how. In the place of one that cannot be stands an
empty one of the same number, since numbers leave no gap; what it held is kept aside. Entries that
the store has behind it are counted and needed no more, whatever they look like.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import apsw

from headcount.confirmed import Confirmed, Witness
from headcount.counting.facts import FACT_FORMAT
from headcount.doctor.flips import unflipped
from headcount.doctor.repair.salvage import raw_rows
from headcount.doctor.repair.side import Act, Side
from headcount.journal.entries import JournalState
from headcount.journal.schema import (
    DAMAGED,
    IMPORT_CHECKPOINT,
    JOURNAL,
    JOURNAL_VERSION,
    PAGE_BYTES,
    SCHEMA,
    entry_checksum,
)
from headcount.sqlite.opening import connect, transaction
from headcount.sqlite.rows import Table
from headcount.wording import number_of

__all__ = ["FoundJournal", "find_journal", "new_journal", "plan_journal", "write_journal"]

Row = tuple[Any, ...]

_COLUMNS = (
    "id", "format", "appended_at_ms", "facts_count", "total_facts", "rejections", "facts",
    "checksum",
)  # fmt: skip
_ADD_ENTRY = """
INSERT INTO entry
    (id, format, appended_at_ms, facts_count, total_facts, rejections, facts, checksum)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
"""


def _entry_checksum(values: Sequence[Any]) -> int:
    entry_id, form, appended_at_ms, count, total, rejections, facts = values
    packed = rejections.encode() if isinstance(rejections, str) else rejections
    return entry_checksum(entry_id, form, appended_at_ms, count, total, packed, facts)


@dataclass
class FoundJournal:
    """What a damaged journal holds.

    Attributes:
        state: what it says of itself; None where nothing proves it.
        entries: id to the entry as it was appended.
        checkpoints: those of imports.
        set_aside: entries that were passed over before, and are kept.
        damaged: what could not be repaired, by table.
        repaired: how many rows had a flipped bit.
    """

    state: JournalState | None = None
    entries: dict[int, Row] = field(default_factory=dict)
    checkpoints: list[Row] = field(default_factory=list)
    set_aside: list[Row] = field(default_factory=list)
    damaged: list[tuple[str, Row]] = field(default_factory=list)
    repaired: int = 0


def find_journal(connection: apsw.Connection | None) -> FoundJournal:
    """Read all that can be read of a damaged journal, and repair what its checksums prove.

    Args:
        connection: to a copy; None where it cannot be opened.
    """
    found = FoundJournal()
    if connection is None:
        return found
    states = _rows(connection, JOURNAL, found, with_rowid=True)
    if len(states) == 1:
        found.state = JournalState(*states[0][1:])
    found.checkpoints = _rows(connection, IMPORT_CHECKPOINT, found, with_rowid=False)
    found.set_aside = _rows(connection, DAMAGED, found, with_rowid=True)
    for raw in raw_rows(connection, "entry", _COLUMNS, with_rowid=True):
        row = _intact(raw, _entry_checksum, found)
        if row is None:
            found.damaged.append(("entry", raw))
        else:
            found.entries[row[0]] = row
    return found


def _rows(
    connection: apsw.Connection, table: Table, found: FoundJournal, *, with_rowid: bool
) -> list[Row]:
    intact = []
    columns = (*table.columns, "checksum")
    for raw in raw_rows(connection, table.name, columns, with_rowid=with_rowid):
        row = _intact(raw, table.checksum, found)
        if row is None:
            found.damaged.append((table.name, raw))
        else:
            intact.append(row)
    return intact


def _intact(raw: Row, checksum: Any, found: FoundJournal) -> Row | None:
    *values, stored = raw
    try:
        if checksum(values) == stored:
            return tuple(values)
    except (TypeError, ValueError, OverflowError, AttributeError):
        pass  # a type that no row has
    row = unflipped(values, stored, checksum) if isinstance(stored, int) else None
    if row is not None:
        found.repaired += 1
    return row


@dataclass(frozen=True, slots=True)
class Plan:
    """What a new journal is to hold.

    Attributes:
        state: what it says of itself.
        entries: its entries.
        last_id: the number of the last entry ever.
        total: how many messages there ever were.
        acts: what is to be said of it.
    """

    state: JournalState
    entries: list[Row]
    last_id: int
    total: int
    acts: list[Act]


def plan_journal(
    name: str, found: FoundJournal, state: JournalState, position: int,
    confirmed: Confirmed | None, side: Side,
) -> Plan:  # fmt: skip
    """What can be had of a journal.

    Args:
        name: of its file.
        found: what it holds.
        state: what it says of itself, or what is known of it elsewhere.
        position: up to which entry the store has counted it.
        confirmed: what was acknowledged.
        side: where what is taken out is kept.
    """
    acts: list[Act] = []
    for table, row in found.damaged:
        side.drop(f"a damaged row of the table {table} of {name}", row)
    for row in found.set_aside:
        side.drop(f"a damaged entry of {name} that was passed over", row)
    if found.set_aside:
        passed_over = number_of(len(found.set_aside), "damaged entry")
        acts.append(Act(f"{passed_over} of {name} that had been passed over went into the report."))
    if found.repaired:
        acts.append(
            Act(f"{name}: {number_of(found.repaired, 'row')} had a flipped bit, and is right.")
        )
    counted = max(position, state.pruned_id)
    if counted == state.pruned_id:
        total = state.pruned_facts
    else:
        total = _total_after(found, counted, state, confirmed)
    base = state._replace(pruned_id=counted, pruned_facts=total)
    entries: list[Row] = []
    lost = unknown = 0
    last_id = max((*found.entries, counted))
    at_ms = 0
    for entry_id in range(counted + 1, last_id + 1):
        if entry_id not in found.entries:
            entries.append((entry_id, FACT_FORMAT, at_ms, 0, total, None, b""))
            unknown += 1
            continue
        row = found.entries[entry_id]
        lost += max(0, row[4] - row[3] - total)
        at_ms, total = row[2], row[4]
        entries.append(row)
    if confirmed is not None and confirmed.uuid == state.uuid and confirmed.sequence > last_id:
        unknown += confirmed.sequence - last_id
        lost += max(0, confirmed.messages - total)
    if unknown:
        entries_text = number_of(unknown, "entry")
        acts.append(
            Act(
                f"{entries_text} of {name} cannot be read.",
                f"Lost of what was acknowledged and not counted yet: {number_of(lost, 'message')}.",
            )
        )
    return Plan(base, entries, last_id, total, acts)


def _total_after(
    found: FoundJournal, entry_id: int, state: JournalState, confirmed: Confirmed | None
) -> int:
    """How many messages had been appended with an entry that is counted."""
    if entry_id in found.entries:
        return int(found.entries[entry_id][4])
    after = found.entries.get(entry_id + 1)
    if after is not None:
        return int(after[4] - after[3])
    if confirmed is not None and confirmed.uuid == state.uuid and confirmed.sequence <= entry_id:
        return confirmed.messages
    before = [int(row[4]) for at, row in found.entries.items() if at < entry_id]
    return max((*before, state.pruned_facts))


def new_journal(place: Path, state: JournalState) -> apsw.Connection:
    """A new journal at a path that has nothing."""
    values = (1, *state)

    def begin(made: apsw.Connection) -> None:
        made.execute(JOURNAL.insert, (*values, JOURNAL.checksum(values)))

    return connect(
        place, schema=SCHEMA, version=JOURNAL_VERSION, begin=begin, page_bytes=PAGE_BYTES
    )


def write_journal(place: Path, plan: Plan, checkpoints: list[Row]) -> None:
    """Write a new journal, and beside it what it confirms."""
    with closing(new_journal(place, plan.state)) as connection, transaction(connection):
        for row in plan.entries:
            connection.execute(_ADD_ENTRY, (*row, _entry_checksum(row)))
        for values in checkpoints:
            connection.execute(
                IMPORT_CHECKPOINT.insert, (*values, IMPORT_CHECKPOINT.checksum(values))
            )
    witness = Witness(place, plan.state.uuid)
    witness.confirm(plan.last_id, plan.total)
    witness.close()
