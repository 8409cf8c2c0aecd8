"""Every statement of the embedded store, by name."""

SCHEMA = """
CREATE TABLE mark (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;

-- How far each journal is metered.
CREATE TABLE position (journal TEXT PRIMARY KEY, entry INTEGER NOT NULL) WITHOUT ROWID;

-- New keys, as the meter found them; `headcount.store.blocks` knows the encoding.
CREATE TABLE key_block (
    id INTEGER PRIMARY KEY,
    period INTEGER NOT NULL,
    family INTEGER NOT NULL,
    size_class INTEGER NOT NULL,
    data BLOB NOT NULL
);
CREATE INDEX key_block_place ON key_block (period, family, size_class);

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

MARKS = "SELECT name, value FROM mark"
RAISE_MARK = """
INSERT INTO mark (name, value) VALUES (?1, ?2)
ON CONFLICT (name) DO UPDATE SET value = max(value, excluded.value)
"""

POSITIONS = "SELECT journal, entry FROM position"
SET_POSITION = """
INSERT INTO position (journal, entry) VALUES (?1, ?2)
ON CONFLICT (journal) DO UPDATE SET entry = excluded.entry
"""

KEY_PERIODS = "SELECT DISTINCT period, family FROM key_block ORDER BY period, family"
KEY_BLOCK_IDS = "SELECT id FROM key_block WHERE period = ?1 AND family = ?2 ORDER BY id"
KEY_BLOCK = "SELECT data FROM key_block WHERE id = ?1"
KEY_BLOCK_PEERS = """
SELECT id, data FROM key_block WHERE period = ?1 AND family = ?2 AND size_class = ?3
"""
ADD_KEY_BLOCK = "INSERT INTO key_block (period, family, size_class, data) VALUES (?1, ?2, ?3, ?4)"
DROP_KEY_BLOCK = "DELETE FROM key_block WHERE id = ?1"

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
