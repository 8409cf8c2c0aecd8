"""Every statement of the embedded store, by name."""

VERSION = 2
"""Version of the schema, kept in the file."""

SCHEMA = """
CREATE TABLE mark (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;

-- How far each journal is metered.
CREATE TABLE position (journal TEXT PRIMARY KEY, entry INTEGER NOT NULL) WITHOUT ROWID;

-- New keys, as the meter found them; `headcount.store.blocks` knows the encoding. Writing a run
-- ends with dropping the blocks up to an id, so an id must never come again (AUTOINCREMENT).
CREATE TABLE key_block (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    period INTEGER NOT NULL,
    family INTEGER NOT NULL,
    size_class INTEGER NOT NULL,
    keys INTEGER NOT NULL,
    data BLOB NOT NULL
);
CREATE INDEX key_block_place ON key_block (period, family, size_class, keys);

-- Files of many keys, in the folder `keys`; together with the blocks they are all there are.
CREATE TABLE key_run (
    file TEXT PRIMARY KEY,
    period INTEGER NOT NULL,
    family INTEGER NOT NULL
) WITHOUT ROWID;

-- Months that imports have touched, and months that are closed for good: `sealed` is 1, and 2 once
-- the keys are gone. They go when the month is closed for every workspace that used it by then.
CREATE TABLE month (
    workspace INTEGER NOT NULL,
    period INTEGER NOT NULL,
    last_import_day INTEGER,
    sealed INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (workspace, period)
) WITHOUT ROWID;

-- Facts that are kept and not counted; `headcount.metering.aside` says why that may be. `day` is
-- that of facts that wait for it, `origin` names the journal entry that was set aside whole.
CREATE TABLE aside (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    reason TEXT NOT NULL,
    workspace INTEGER NOT NULL,
    period INTEGER,
    day INTEGER,
    messages INTEGER NOT NULL,
    origin TEXT NOT NULL,
    facts BLOB NOT NULL
);
CREATE INDEX aside_reason ON aside (reason, id);

-- New counts by day: 31 days of 5 little-endian 64-bit integers; source 0 is the workspace.
CREATE TABLE usage (
    workspace INTEGER NOT NULL,
    period INTEGER NOT NULL,
    source INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    counts BLOB NOT NULL,
    PRIMARY KEY (workspace, period, source)
);

CREATE TABLE rejection (
    period INTEGER NOT NULL,
    workspace INTEGER NOT NULL,
    source INTEGER NOT NULL,
    day INTEGER NOT NULL,
    reason TEXT NOT NULL,
    messages INTEGER NOT NULL,
    PRIMARY KEY (workspace, period, source, day, reason)
) WITHOUT ROWID;
"""

FREE_PAGES = "PRAGMA freelist_count"
GIVE_PAGES_BACK = "PRAGMA incremental_vacuum(4096)"

MARKS = "SELECT name, value FROM mark"
RAISE_MARK = """
INSERT INTO mark (name, value) VALUES (?1, ?2)
ON CONFLICT (name) DO UPDATE SET value = max(value, excluded.value)
"""

SET_MARK = """
INSERT INTO mark (name, value) VALUES (?1, ?2)
ON CONFLICT (name) DO UPDATE SET value = excluded.value
"""
LOWER_MARK = "UPDATE mark SET value = min(value, ?2) WHERE name = ?1"

POSITIONS = "SELECT journal, entry FROM position"
SET_POSITION = """
INSERT INTO position (journal, entry) VALUES (?1, ?2)
ON CONFLICT (journal) DO UPDATE SET entry = excluded.entry
"""

KEY_PERIODS = """
SELECT period, family FROM key_block UNION SELECT period, family FROM key_run
ORDER BY period, family
"""
KEY_BLOCK_IDS = "SELECT id FROM key_block WHERE period = ?1 AND family = ?2 ORDER BY id"
KEY_BLOCK = "SELECT data FROM key_block WHERE id = ?1"
KEYS_IN_BLOCKS = "SELECT coalesce(sum(keys), 0) FROM key_block WHERE period = ?1 AND family = ?2"
KEY_BLOCK_PEERS = """
SELECT id, data FROM key_block WHERE period = ?1 AND family = ?2 AND size_class = ?3
"""
ADD_KEY_BLOCK = """
INSERT INTO key_block (period, family, size_class, keys, data) VALUES (?1, ?2, ?3, ?4, ?5)
"""
DROP_KEY_BLOCK = "DELETE FROM key_block WHERE id = ?1"
NEWEST_KEY_BLOCK = "SELECT coalesce(max(id), 0) FROM key_block"
DROP_KEY_BLOCKS = "DELETE FROM key_block WHERE period = ?1 AND family = ?2 AND id <= ?3"

KEY_RUNS = "SELECT file FROM key_run WHERE period = ?1 AND family = ?2 ORDER BY file"
ALL_KEY_RUNS = "SELECT file FROM key_run"
ADD_KEY_RUN = "INSERT INTO key_run (file, period, family) VALUES (?1, ?2, ?3)"
DROP_KEY_RUN = "DELETE FROM key_run WHERE file = ?1"

MONTHS = """
SELECT usage.workspace, usage.period, last_import_day, coalesce(sealed, 0)
FROM usage LEFT JOIN month USING (workspace, period)
WHERE source = 0 ORDER BY usage.workspace, usage.period
"""
IMPORT_INTO_MONTH = """
INSERT INTO month (workspace, period, last_import_day) VALUES (?1, ?2, ?3)
ON CONFLICT (workspace, period)
DO UPDATE SET last_import_day = max(coalesce(last_import_day, 0), excluded.last_import_day)
"""
LOWER_IMPORT_DAYS = "UPDATE month SET last_import_day = ?1 WHERE last_import_day > ?1"
SEAL_MONTH = """
INSERT INTO month (workspace, period, sealed) VALUES (?1, ?2, 1)
ON CONFLICT (workspace, period) DO UPDATE SET sealed = max(sealed, 1)
"""
MARK_KEYS_DROPPED = "UPDATE month SET sealed = 2 WHERE period = ?1 AND sealed"
SEALED = "SELECT workspace, period FROM month WHERE sealed"
SEALED_OF_WORKSPACE = "SELECT period FROM month WHERE workspace = ?1 AND sealed"
SET_ASIDE = """
INSERT INTO aside (reason, workspace, period, day, messages, origin, facts)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
"""
ASIDE = """
SELECT reason, workspace, period, min(day), max(day), sum(messages), min(origin)
FROM aside GROUP BY reason, workspace, period ORDER BY reason, workspace, period
"""
CONFIRMED_ASIDE = "SELECT id, facts FROM aside WHERE reason = 'confirmed' ORDER BY id"
TAKE_FROM_ASIDE = "DELETE FROM aside WHERE id = ?1"
CONFIRM_ASIDE = "UPDATE aside SET reason = 'confirmed' WHERE reason = 'waiting' AND day <= ?1"

USAGE_ROW = "SELECT counts FROM usage WHERE workspace = ?1 AND period = ?2 AND source = ?3"
SET_USAGE = """
INSERT INTO usage (workspace, period, source, revision, counts) VALUES (?1, ?2, ?3, 1, ?4)
ON CONFLICT (workspace, period, source)
DO UPDATE SET counts = excluded.counts, revision = revision + 1
"""
USAGE = """
SELECT source, revision, counts FROM usage WHERE workspace = ?1 AND period = ?2 ORDER BY source
"""
WORKSPACE_PERIODS = """
SELECT period, counts FROM usage WHERE workspace = ?1 AND source = 0 ORDER BY period
"""

ADD_REJECTION = """
INSERT INTO rejection (period, workspace, source, day, reason, messages)
VALUES (?1, ?2, ?3, ?4, ?5, ?6)
ON CONFLICT (workspace, period, source, day, reason)
DO UPDATE SET messages = messages + excluded.messages
"""
REJECTIONS = """
SELECT source, day, reason, messages FROM rejection
WHERE workspace = ?1 AND period = ?2 ORDER BY source, day, reason
"""
