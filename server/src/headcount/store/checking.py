"""Reading the embedded store's tables whole: whether every row is there and as it was written."""

from __future__ import annotations

from pathlib import Path

import apsw

from headcount.counting.calendar import Period
from headcount.sqlite.opening import damage_named, rows
from headcount.sqlite.reading import refuse_damage
from headcount.sqlite.rows import Ledger, read_checked
from headcount.store import sql
from headcount.store.counts import refuse_newer
from headcount.store.protocol import Month
from headcount.store.tables import ASIDE, KEY_BLOCK, MONTH, TABLES, WATERMARK
from headcount.store.writing import CATALOG_SEEN

__all__ = ["catalog_seen", "check_store", "months_of"]

# Of these, an index only tells what to merge, or to count again; what they hold is read whole.
_LARGE = (KEY_BLOCK, ASIDE)


def check_store(path: Path, connection: apsw.Connection, ledger: Ledger | None = None) -> None:
    """Read every row but the keys themselves, and see that none is lost or there twice.

    Keys are checked as they are read. The tables are held against their indexes as well: a row
    that its index has lost would be counted anew.

    Raises:
        DamagedDataError: something is not as it was written.
        DataFolderError: a newer version wrote counts that this one does not know.
    """
    (ledger or Ledger(path, connection, TABLES)).check(heads_only=[KEY_BLOCK])
    with damage_named(path):
        [(widest,)] = rows(connection, sql.WIDEST_COUNTS)
    refuse_newer(widest)
    for table in TABLES:
        if table not in _LARGE:
            refuse_damage(path, connection, table.name)


def catalog_seen(ledger: Ledger) -> int:
    """How many changes the catalog had seen when the store was last told; 0 for never.

    Raises:
        DamagedDataError: the watermark is not what was written.
    """
    watermark = ledger.get(WATERMARK, CATALOG_SEEN)
    return 0 if watermark is None else int(watermark[1])


def months_of(path: Path, connection: apsw.Connection) -> list[Month]:
    """Every month of every workspace that holds anything.

    Raises:
        DamagedDataError: what is known of a month is not what was written.
    """
    with damage_named(path):
        used = rows(connection, sql.USED_MONTHS)
    known = {(row[0], row[1]): row[2:] for row in read_checked(path, connection, MONTH)}
    found = []
    for workspace, number in used:
        day, sealed = known.get((workspace, number), (None, 0))
        found.append(Month(workspace, Period(number), day, sealed > 0, sealed > 1))
    return found
