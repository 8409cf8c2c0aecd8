"""Repairing the store and the catalog: what the rows prove, and what follows from other rows.

Takes what was found in a damaged copy, gives the rows of a new one; or says what is missing that
only a backup can bring back.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
import numpy as np

from headcount.catalog import schema as catalog
from headcount.confirmed import Confirmed
from headcount.counting.calendar import Period, parse_period
from headcount.counting.keys import MESSAGE, TRACKED, Family, KeyBlock
from headcount.counting.metrics import KINDS
from headcount.counting.usage import DAYS_MAX, Counts
from headcount.doctor.rebuilding import MonthKeys, candidates
from headcount.doctor.repair.side import Act, Side
from headcount.doctor.repair.tables import Found
from headcount.errors import DataFolderError
from headcount.layout import DataFolder
from headcount.sqlite.opening import connect, transaction
from headcount.sqlite.rows import Ledger, Table
from headcount.store import blocks, sql
from headcount.store.counts import counts_of, encoded
from headcount.store.recount import count_keys
from headcount.store.run_folder import RUN_NAME
from headcount.store.runs import Run
from headcount.store.tables import (
    ASIDE,
    KEY_BLOCK,
    KEY_RUN,
    POSITION,
    REJECTION,
    TABLES,
    USAGE,
    WATERMARK,
)

__all__ = [
    "behind_by",
    "missing_rows",
    "missing_text",
    "new_catalog",
    "new_store",
    "repair_catalog",
    "repair_store",
    "write_ledger",
]

Row = tuple[Any, ...]
_FAMILIES: tuple[Family, ...] = (TRACKED, MESSAGE)
_LAST_METERED_DAY = "last_metered_day"


def repair_store(found: Found, folder: Path, side: Side) -> Iterator[Act]:
    """Put right in `found` what follows from other rows, and take out what may be lost.

    Args:
        found: what the damaged store holds; changed.
        folder: the data folder.
        side: where what is taken out is kept.
    """
    yield from _name_runs(found, folder)
    damaged, found.damaged = found.damaged, []
    usage = [row for table, row in damaged if table is USAGE]
    for table, row in damaged:
        side.drop(f"a damaged row of the table {table.name}", row)
        found.taken_out.append((table, row))
        if table is USAGE:
            continue
        if table in (WATERMARK, POSITION, REJECTION, ASIDE):
            yield _dropped(table, row)
        else:
            found.damaged.append((table, row))
    yield from _rebuild_usage(found, usage, folder)
    watermarks = {name for name, _ in found.of(WATERMARK)}
    if _LAST_METERED_DAY not in watermarks and (day := _last_counted_day(found)) is not None:
        # No later than the day on which its last message came, so the clock is asked for sooner.
        found.of(WATERMARK).append((_LAST_METERED_DAY, day))


def _dropped(table: Table, row: Row) -> Act:
    key = ", ".join(str(value)[:60] for value in row[: table.key_columns])
    if table is WATERMARK:
        what = "what it stood for is learned anew as messages come, and months are closed only"
        lost = f"{what} once the clock is confirmed: headcount doctor --confirm-clock"
    elif table is POSITION:
        lost = (
            "The entries that are left of that journal are read again: API calls and tracked users"
            " stay exact, and messages that were counted already may stand among the duplicates."
        )
    elif table is REJECTION:
        lost = "That many rejected messages are missing from the outcomes."
    else:
        lost = f"{row[5]} messages that were kept aside, uncounted, are only in the report."
    return Act(f"A damaged row of the table {table.name} ({key}) was taken out.", lost)


def _name_runs(found: Found, folder: Path) -> Iterator[Act]:
    """Name the files of keys again whose rows are gone: they say themselves what they hold."""
    damaged = [each for each in found.damaged if each[0] is KEY_RUN]
    if not (damaged or _runs_missing(found)) or found.part is None:
        return
    named = {row[0] for row in found.of(KEY_RUN)}
    for path in DataFolder(folder).key_files():
        match = RUN_NAME.fullmatch(path.name)
        if match is None or path.name in named:
            continue
        family, month = match.groups()
        if _opened(path) is not None:
            number = parse_period(f"{month}-01").number
            found.of(KEY_RUN).append((path.name, number, int(family == MESSAGE)))
    if not _runs_missing(found):
        found.damaged = [each for each in found.damaged if each[0] is not KEY_RUN]
        yield Act("Files of keys were named again, as their own names and the tallies prove.")


def _runs_missing(found: Found) -> bool:
    places = found.wrong_places(TABLES)
    return any(place.split(" ")[0] == KEY_RUN.name for place in places)


def _opened(path: Path) -> Run | None:
    try:
        run = Run(path)
    except (DataFolderError, OSError, ValueError):
        return None
    return run if run.intact() else None


def _last_counted_day(found: Found) -> int | None:
    days = [
        Period(row[1]).first_day + int(np.flatnonzero(counts.any(axis=1)).max())
        for row in found.of(USAGE)
        if (counts := _counts(row[4])) is not None and counts.any()
    ]
    return max(days, default=None)


def _counts(data: Any) -> Counts | None:
    try:
        return counts_of(data)
    except ValueError:
        return None


def _rebuild_usage(found: Found, damaged: list[Row], folder: Path) -> Iterator[Act]:
    by_month: dict[int, list[Row]] = defaultdict(list)
    for row in damaged:
        if isinstance(row[1], int):
            by_month[row[1]].append(row)
        else:
            found.damaged.append((USAGE, row))
    for number, broken in by_month.items():
        if len(broken) > 1 or not all(isinstance(value, int) for value in broken[0][:4]):
            found.damaged += [(USAGE, row) for row in broken]
            continue
        [row] = broken
        rebuilt = _rebuilt(found, row, folder)
        if rebuilt is None:
            found.damaged.append((USAGE, row))
            continue
        found.of(USAGE).append(rebuilt)
        scope = f"source {row[2]} of workspace {row[0]}" if row[2] else f"workspace {row[0]}"
        yield Act(
            f"The counts of {scope} in {str(Period(number))[:7]} were rebuilt from the keys and the"
            " other counts."
        )


def _rebuilt(found: Found, row: Row, folder: Path) -> Row | None:
    workspace, number, source, revision, data, checksum = row
    scopes = {
        (each[0], each[2]): counts
        for each in found.of(USAGE)
        if each[1] == number and (counts := _counts(each[4])) is not None
    }
    whole = scopes.pop((workspace, 0), None)
    if source and whole is None:
        return None
    sources = [counts for (of, number_), counts in scopes.items() if of == workspace and number_]
    others = [counts for (of, _), counts in scopes.items() if of != workspace]
    left = _counts(data)
    left = np.zeros((DAYS_MAX, len(KINDS)), np.int64) if left is None else left
    keys = _month_keys(found, Period(number), folder)
    offered = list(candidates(left, whole if source else None, sources, others, keys))
    for counts in offered:
        values = (workspace, number, source, revision, encoded(counts))
        if USAGE.checksum(values) == checksum:
            return values
    # The only source of a workspace has its counts, whatever the checksum has become.
    alone = (source and not sources) or (not source and len(sources) == 1)
    if alone and offered:
        return (workspace, number, source, revision, encoded(offered[0]))
    return None


def _month_keys(found: Found, period: Period, folder: Path) -> MonthKeys | None:
    if any(table in (KEY_BLOCK, KEY_RUN) for table, _ in found.damaged):
        return None
    counted = []
    for family in (MESSAGE, TRACKED):
        place = (period.number, _FAMILIES.index(family))
        parts: list[KeyBlock] = []
        for name, *of in found.of(KEY_RUN):
            if tuple(of) == place:
                run = _opened(DataFolder(folder).keys / name)
                if run is None:
                    return None
                parts += run.blocks()
        parts += [blocks.decode(row[5], family) for row in found.of(KEY_BLOCK) if row[1:3] == place]
        counted.append(count_keys(0, tuple, parts))
    return MonthKeys(*counted)


def repair_catalog(found: Found, key_fingerprint: str | None, side: Side) -> Iterator[Act]:
    """Take out what can be made again, and keep what is proven by the hash key.

    Args:
        found: what the damaged catalog holds; changed.
        key_fingerprint: of the hash key that is there; None for none.
        side: where what is taken out is kept.
    """
    damaged, found.damaged = found.damaged, []
    for table, row in damaged:
        side.drop(f"a damaged row of the table {table.name}", row)
        found.taken_out.append((table, row))
        if table is catalog.PLAN_LIMIT:
            yield Act(
                "A damaged limit of a plan was taken out.",
                "Months are judged by the limit before it; see `headcount plan show`.",
            )
        elif table is catalog.PLAN_PRICE:
            yield Act(
                "A damaged price of a plan was taken out.",
                "Months are charged by the price before it; see `headcount plan show`.",
            )
        elif table is catalog.LINK:
            yield Act(
                f"The damaged link {str(row[0])[:40]} was taken out.",
                "Whoever used it is refused; make another with `headcount link add`.",
            )
        elif table is catalog.FORWARDING:
            yield Act(
                f"The damaged forwarding of source number {str(row[0])[:40]} was taken out.",
                "It forwards nothing now; set it again with `headcount source forward`.",
            )
        elif table is catalog.TOKEN:
            yield Act(
                f"The damaged API token {str(row[0])[:40]} was taken out.",
                "Whoever used it is refused; make another with `headcount token add`.",
            )
        elif table is catalog.META and row[1] is not None and row[1] == key_fingerprint:
            found.of(catalog.META).append(("hash_key_fingerprint", row[1]))
            yield Act("The catalog's note of the hash key was repaired, as the key itself proves.")
        else:
            found.damaged.append((table, row))


def new_store(place: Path, uuid: str, installation: str, generation: int) -> apsw.Connection:
    """A new store at a path that has nothing."""
    return connect(
        place,
        schema=sql.SCHEMA,
        version=sql.VERSION,
        begin=lambda made: Ledger.begin(made, uuid, installation, generation),
    )


def new_catalog(place: Path, uuid: str, installation: str, generation: int) -> apsw.Connection:
    """A new catalog at a path that has nothing."""
    connection = apsw.Connection(str(place))
    connection.pragma("journal_mode", "wal")
    with transaction(connection):
        catalog.make_tables(connection, uuid, installation, generation)
    return connection


def write_ledger(
    connection: apsw.Connection, place: Path, tables: Iterable[Table], found: Found
) -> None:
    """Write the rows of a repaired database into a new one, and read them all.

    Raises:
        DamagedDataError: what was written is not what is there.
    """
    tables = tuple(tables)
    with closing(connection):
        ledger = Ledger(place, connection, tables)
        with closing(ledger), ledger.transaction():
            for table in tables:
                for row in found.of(table):
                    ledger.add(table, *row)
            for name, last in found.sequences.items():
                connection.execute("DELETE FROM sqlite_sequence WHERE name = ?1", (name,))
                connection.execute("INSERT INTO sqlite_sequence VALUES (?1, ?2)", (name, last))
        ledger.check()


def behind_by(found: Found, confirmed: Confirmed | None) -> int:
    """How many acknowledged changes a database lacks."""
    if found.part is None or confirmed is None or confirmed.uuid != found.part.uuid:
        return 0
    return max(0, confirmed.sequence - found.part.generation)


def missing_rows(found: Found, tables: Sequence[Table], losable: Sequence[Table]) -> Iterator[Act]:
    """Say which tables lack rows that can be done without.

    Args:
        found: what is to be written.
        tables: all tables.
        losable: those of which that is so.
    """
    wrong = set(found.wrong_places(tables))
    taken_out = {table.name for table, _ in found.taken_out}
    for table in losable:
        places = {place for place in wrong if place.split(" ")[0] == table.name}
        if places and table.name not in taken_out:
            yield Act(
                f"Rows of the table {table.name} are missing.",
                _LOST_WITH.get(table.name, "What they said is not known any more."),
            )


_LOST_WITH = {
    catalog.TOKEN.name: "API tokens are refused that were valid; make others with"
    " `headcount token add`.",
    catalog.PLAN_LIMIT.name: "Months are judged by the limits that are left; see"
    " `headcount plan show`.",
    catalog.PLAN_PRICE.name: "Months are charged by the prices that are left; see"
    " `headcount plan show`.",
    catalog.LINK.name: "Links are refused that were valid; make others with `headcount link add`.",
    catalog.FORWARDING.name: "Sources that forwarded may not now; see `headcount source forward"
    " --show`.",
    POSITION.name: "What is left of a journal may be read again: API calls and tracked users stay"
    " exact, and messages that were counted already may stand among the duplicates.",
    REJECTION.name: "Rejected messages are missing from the outcomes.",
    ASIDE.name: "Messages that were kept aside, uncounted, are gone.",
}


def missing_text(found: Found, tables: Sequence[Table], losable: Sequence[Table]) -> str:
    """What only a backup can bring back, as a clause; empty where nothing is missing.

    Args:
        found: what is to be written.
        tables: all tables.
        losable: those whose rows may be missing, and were said to be.
    """
    said = [f"a row of the table {table.name} cannot be repaired" for table, _ in found.damaged]
    may = {table.name for table in losable}
    names = {place.split(" ")[0] for place in found.wrong_places(tables)} - may
    said += [f"the table {name} does not hold the rows that were written" for name in sorted(names)]
    return "; ".join(dict.fromkeys(said))
