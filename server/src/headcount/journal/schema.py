"""The tables of a journal file, and how their rows are checked.

Ids of entries leave no gap: each is one more than the one before, so an entry that is lost is seen.
Each says how many facts had ever been appended by then, so what a lost one held is known as well.
"""

from __future__ import annotations

import msgspec
from isal.isal_zlib import crc32

from headcount.sqlite.rows import Table

__all__ = [
    "CHAIN",
    "CHAIN_SCHEMA",
    "DAMAGED",
    "ENTRY_SELECT",
    "IMPORT_CHECKPOINT",
    "JOURNAL",
    "JOURNAL_VERSION",
    "PAGE_BYTES",
    "SCHEMA",
    "entry_checksum",
]

JOURNAL_VERSION = 2
"""Version of the schema, kept in the file."""

PAGE_BYTES = 16_384
"""A commit under load is tens of kilobytes in one entry: in larger pages it costs a quarter less of
processor time, and a commit of one message no more."""

SCHEMA = """
-- One row: which journal this is, of which installation, and up to which entry everything was
-- counted and deleted, with how many facts that ever were. Ids go on from there.
CREATE TABLE journal (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    uuid TEXT NOT NULL,
    installation TEXT NOT NULL,
    pruned_id INTEGER NOT NULL,
    pruned_facts INTEGER NOT NULL,
    checksum INTEGER NOT NULL
);
CREATE TABLE entry (
    id INTEGER PRIMARY KEY,
    format INTEGER NOT NULL,
    appended_at_ms INTEGER NOT NULL,
    facts_count INTEGER NOT NULL,
    total_facts INTEGER NOT NULL,
    rejections TEXT,
    checksum INTEGER NOT NULL,
    facts BLOB NOT NULL
);
CREATE TABLE mark (value BLOB PRIMARY KEY, checksum INTEGER NOT NULL) WITHOUT ROWID;
-- Entries that could not be read, as far as they could be; `entry` is NULL where nothing was left.
CREATE TABLE damaged (
    id INTEGER PRIMARY KEY,
    entry BLOB,
    checksum INTEGER NOT NULL
);
"""

JOURNAL = Table("journal", "id", "uuid installation pruned_id pruned_facts")
# Checkpoints of imports. The table was named before there were others of that name, and what is
# stored stays as it is.
IMPORT_CHECKPOINT = Table("mark", "value")
DAMAGED = Table("damaged", "id", "entry")

CHAIN_SCHEMA = """
-- Only where partitions count: up to which entry each was known to have all, at the last pruning.
CREATE TABLE IF NOT EXISTS chain (
    partition INTEGER PRIMARY KEY, entry INTEGER NOT NULL, checksum INTEGER NOT NULL
)
"""

CHAIN = Table("chain", "partition", "entry")

# The texts as bytes: one that is no UTF-8 any more must not keep its neighbours from being read.
ENTRY_SELECT = """
SELECT id, format, appended_at_ms, facts_count, total_facts, CAST(rejections AS BLOB), checksum,
    facts
FROM entry
"""

_pack = msgspec.msgpack.Encoder().encode


def entry_checksum(
    entry_id: int,
    form: int,
    appended_at_ms: int,
    facts_count: int,
    total_facts: int,
    rejections: bytes | None,
    facts: bytes,
) -> int:
    """The checksum of an entry, over everything in it."""
    head = _pack((entry_id, form, appended_at_ms, facts_count, total_facts, rejections))
    return crc32(facts, crc32(head))
