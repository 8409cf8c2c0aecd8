"""Writing into the tables of the embedded store: takes a change, gives checked rows.

Every function here is called in a transaction of the ledger. A row that is changed is read first,
and refused if it is not what was written: it must not get a checksum of its own.
"""

from __future__ import annotations

from headcount.counting.calendar import Period
from headcount.counting.facts import Rejection
from headcount.counting.keys import MESSAGE, TRACKED, Family, KeyBlock, merged
from headcount.counting.libraries import NAMES_MAX, OTHER_LIBRARY, USE_PREFIX, tallies_of
from headcount.counting.usage import Counts
from headcount.sqlite.rows import Ledger
from headcount.store import blocks, sql
from headcount.store.alert_rows import erase_alerts, write_alerts, write_high_water
from headcount.store.contribution_rows import add_contributions
from headcount.store.counts import counts_of, encoded
from headcount.store.partition_change import CONFLICTS, Mirrored
from headcount.store.protocol import Change
from headcount.store.stored_outbox import beside_text
from headcount.store.tables import (
    ASIDE,
    ATTRIBUTES,
    CONFLICT,
    CONTRIBUTION,
    KEY_BLOCK,
    KEY_RUN,
    MIRRORED,
    MIRRORED_PART,
    MONTH,
    OUTBOX,
    POSITION,
    REJECTION,
    USAGE,
    WATERMARK,
)

__all__ = [
    "CATALOG_SEEN",
    "COUNTED_UNTIL",
    "FAMILIES",
    "LAST_METERED_DAY",
    "TRUSTED_DAY",
    "place_of",
    "write_change",
]

FAMILIES: tuple[Family, ...] = (TRACKED, MESSAGE)
COUNTED_UNTIL, LAST_METERED_DAY = "counted_until_ms", "last_metered_day"
TRUSTED_DAY = "trusted_day"
CATALOG_SEEN = "catalog_generation"
"""How many changes the catalog had seen, at least: one that has seen fewer is an older one."""


def place_of(period: Period, family: Family) -> tuple[int, int]:
    """How the tables name a period and family."""
    return period.number, FAMILIES.index(family)


def write_change(ledger: Ledger, change: Change) -> None:
    """Write a change; where it says what day it is, before all else."""
    if change.confirmed_day is not None:
        _trust_day(ledger, change.confirmed_day)
    for (period, family), new in change.keys.items():
        # Whose they are ends here: a block holds fingerprints and days, as it always has.
        _append_keys(ledger, period, family, new.keys)
    for (period, workspace, source), counts in change.counts.items():
        _add_counts(ledger, (workspace, period.number, source), counts)
    add_contributions(ledger, change.contributions, change.attributes)
    for r in change.rejections:
        place = (r.workspace, Period.of_day(r.day).number, r.source, r.day, r.reason)
        held = ledger.get(REJECTION, *place)
        ledger.put(REJECTION, *place, r.messages + (held[-1] if held else 0))
    for r in change.conflicting:
        whose = (r.workspace, Period.of_day(r.day).number, r.source, r.day)
        held = ledger.get(CONFLICT, *whose)
        ledger.put(CONFLICT, *whose, r.messages + (held[-1] if held else 0))
    for tally in tallies_of(change.libraries):
        _add_use(ledger, tally)
    for (workspace, period), day in change.imported.items():
        _set_month(ledger, workspace, period, last_import_day=day)
    for workspace, period in change.sealed:
        _set_month(ledger, workspace, period, sealed=1)
    for workspace in change.erased:
        _erase(ledger, workspace)
    for a in change.aside:
        number = a.period and a.period.number
        packed = bytes(a.facts)  # plain ones, whatever is known of their size
        values = (a.reason.value, a.workspace, number, a.day, a.messages, a.origin, packed)
        ledger.add(ASIDE, ledger.next_id(ASIDE), *values)
    for row in change.counted_aside:
        ledger.drop(ASIDE, "WHERE id = ?1", (row,))
    write_alerts(ledger, change)
    if change.outgoing is not None:
        outgoing = change.outgoing
        text = beside_text(outgoing)
        entry = (outgoing.appended_at_ms, text, outgoing.records)
        ledger.add(OUTBOX, ledger.next_id(OUTBOX), *entry)
    for name, number in change.watermarks.items():
        ledger.put(WATERMARK, name, number)
    for mirrored in change.mirrored:
        _write_mirrored(ledger, mirrored)
    for journal, entry_id in change.positions.items():
        ledger.put(POSITION, journal, entry_id)
    for queue in change.queues_gone:
        ledger.drop(POSITION, "WHERE journal = ?1", (queue,))
    if change.counted_back_to_ms is not None:
        _lower_mark(ledger, COUNTED_UNTIL, change.counted_back_to_ms)
    for name, value in (
        (COUNTED_UNTIL, change.counted_until_ms),
        (LAST_METERED_DAY, change.last_metered_day),
        (TRUSTED_DAY, change.trusted_day),
        (CATALOG_SEEN, change.catalog_generation),
    ):
        if value is not None:
            _raise_mark(ledger, name, value)


def _write_mirrored(ledger: Ledger, mirrored: Mirrored) -> None:
    ledger.put(MIRRORED_PART, mirrored.partition, mirrored.state)
    of_conflicts = mirrored.partition + CONFLICTS
    rows = [(mirrored.partition, of, counts) for of, counts in mirrored.rows.items()]
    rows += [(of_conflicts, of, counts) for of, counts in mirrored.conflicts.items()]
    for name, (workspace, period, source), counts in rows:
        place = (name, workspace, period.number, source)
        if counts is None:
            ledger.drop(MIRRORED, f"WHERE {MIRRORED.where_key}", place)
        else:
            ledger.put(MIRRORED, *place, encoded(counts))


def _add_use(ledger: Ledger, tally: Rejection) -> None:
    """Add messages of a library; of a source and month only so many names are told apart."""
    workspace, source, day, word, messages = tally
    place = (workspace, Period.of_day(day).number, source, day)
    held = ledger.get(REJECTION, *place, word)
    if held is None:
        known = ledger.read(REJECTION, sql.USES_OF_SOURCE, (*place, USE_PREFIX))
        if len(known) >= NAMES_MAX - 1:
            word = USE_PREFIX + OTHER_LIBRARY
            held = ledger.get(REJECTION, *place, word)
    ledger.put(REJECTION, *place, word, messages + (held[-1] if held else 0))


def _erase(ledger: Ledger, workspace: int) -> None:
    """Delete what is known of a workspace, but counts of months whose keys are still there."""
    of_keys = (KEY_BLOCK.name, KEY_RUN.name)
    places = [place.split() for place in ledger.read_part().tallies]
    held = {int(place[1]) for place in places if place[0] in of_keys}
    # Where other parts have them yet, what they add up to stays too.
    mirrored = ledger.read(MIRRORED, "WHERE workspace = ?1", (workspace,))
    held |= {row[2] for row in mirrored if not row[0].endswith(CONFLICTS)}
    for name in {row[0] for row in mirrored if row[0].endswith(CONFLICTS)}:
        of_conflicts = (name, workspace)
        ledger.drop(MIRRORED, "WHERE partition = ?1 AND workspace = ?2", of_conflicts)
    for number in {row[1] for row in ledger.read(USAGE, "WHERE workspace = ?1", (workspace,))}:
        if number in held:
            _set_month(ledger, workspace, Period(number), sealed=1)
        else:
            of_month = (workspace, number)
            ledger.drop(USAGE, sql.OF_MONTH, of_month)
            ledger.drop(MONTH, sql.OF_MONTH, of_month)
    for table in (REJECTION, ASIDE, ATTRIBUTES, CONTRIBUTION, CONFLICT):
        ledger.drop(table, "WHERE workspace = ?1", (workspace,))
    erase_alerts(ledger, workspace)


def _raise_mark(ledger: Ledger, name: str, value: int) -> None:
    """Set a mark, unless it is there and higher."""
    held = ledger.get(WATERMARK, name)
    if held is None or held[1] < value:
        ledger.put(WATERMARK, name, value)


def _lower_mark(ledger: Ledger, name: str, value: int) -> None:
    """Take a mark back, if it is there and higher."""
    held = ledger.get(WATERMARK, name)
    if held is not None and held[1] > value:
        ledger.put(WATERMARK, name, value)


def _set_month(
    ledger: Ledger,
    workspace: int,
    period: Period,
    *,
    last_import_day: int | None = None,
    sealed: int = 0,
) -> None:
    """Note that a month was imported into, or is closed; it never opens again."""
    held = ledger.get(MONTH, workspace, period.number) or (workspace, period.number, None, 0)
    days = [day for day in (held[2], last_import_day) if day is not None]
    ledger.put(MONTH, workspace, period.number, max(days, default=None), max(held[3], sealed))


def _trust_day(ledger: Ledger, day: int) -> None:
    """Accept that it is a day: take back what is later, and have what waited for it counted."""
    ledger.put(WATERMARK, TRUSTED_DAY, day)
    _lower_mark(ledger, LAST_METERED_DAY, day)
    for workspace, number, _, sealed in ledger.read(MONTH, "WHERE last_import_day > ?1", (day,)):
        ledger.put(MONTH, workspace, number, day, sealed)
    for row, _, *rest in ledger.read(ASIDE, "WHERE reason = 'waiting' AND day <= ?1", (day,)):
        ledger.put(ASIDE, row, "confirmed", *rest)


def _append_keys(ledger: Ledger, period: Period, family: Family, block: KeyBlock) -> None:
    place = place_of(period, family)
    size_class = blocks.size_class(len(block))
    # Many small blocks of about one size become one of the next: rows stay few, and a key is
    # rewritten a handful of times in its life.
    while size_class < blocks.SIZE_CLASS_MAX:
        peers = ledger.read(KEY_BLOCK, sql.KEY_BLOCK_PEERS, (*place, size_class))
        if len(peers) < blocks.PEERS_MAX:
            break
        block = merged([block, *(blocks.decode(peer[-1], family) for peer in peers)])
        for peer in peers:
            ledger.drop(KEY_BLOCK, "WHERE id = ?1", peer[:1])
        size_class = max(size_class + 1, blocks.size_class(len(block)))
    encoded = blocks.encode(block)
    ledger.add(KEY_BLOCK, ledger.next_id(KEY_BLOCK), *place, size_class, len(block), encoded)


def _add_counts(ledger: Ledger, place: tuple[int, int, int], counts: Counts) -> None:
    held = ledger.get(USAGE, *place)
    revision, total = 0, counts
    if held:
        former = counts_of(held[4])
        revision, total = held[3], counts + former
        write_high_water(ledger, place, former, counts)
    ledger.put(USAGE, *place, revision + 1, encoded(total))
