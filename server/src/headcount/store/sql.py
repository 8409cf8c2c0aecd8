"""The schema of the embedded store and its statements beside those of its checked tables."""

from headcount.sqlite.rows import PART_SCHEMA

VERSION = 3
"""Version of the schema, kept in the file."""

ADDED = """
-- What people are told, each once: `body` says what was crossed, and which channels tell it.
CREATE TABLE IF NOT EXISTS alert_event (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    uid TEXT NOT NULL UNIQUE,
    workspace INTEGER NOT NULL,
    created_at_ms INTEGER NOT NULL,
    body TEXT NOT NULL,
    checksum INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS alert_event_workspace ON alert_event (workspace, id);

-- What each rule has told of a month already: thresholds, and days.
CREATE TABLE IF NOT EXISTS alert_mark (
    workspace INTEGER NOT NULL,
    rule INTEGER NOT NULL,
    period INTEGER NOT NULL,
    mark TEXT NOT NULL,
    event INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
    PRIMARY KEY (workspace, rule, period, mark)
) WITHOUT ROWID;

-- What a metric that may fall had reached before it fell, where it is less now.
CREATE TABLE IF NOT EXISTS high_water (
    workspace INTEGER NOT NULL,
    period INTEGER NOT NULL,
    source INTEGER NOT NULL,
    metric TEXT NOT NULL,
    value INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
    PRIMARY KEY (workspace, period, source, metric)
) WITHOUT ROWID;

-- When the last live message came to what is watched for silence.
CREATE TABLE IF NOT EXISTS arrival (
    workspace INTEGER NOT NULL,
    source INTEGER NOT NULL,
    received_at_ms INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
    PRIMARY KEY (workspace, source)
) WITHOUT ROWID;

-- When a source came to its quota of a month.
CREATE TABLE IF NOT EXISTS quota_reached (
    workspace INTEGER NOT NULL,
    period INTEGER NOT NULL,
    source INTEGER NOT NULL,
    metric TEXT NOT NULL,
    amount INTEGER NOT NULL,
    reached_at_ms INTEGER NOT NULL,
    past TEXT NOT NULL,
    checksum INTEGER NOT NULL,
    PRIMARY KEY (workspace, period, source, metric)
) WITHOUT ROWID;

-- Which attributes the messages of a source had in a month, in the order of their numbers; and what
-- those of a day contributed to its counts; `headcount.store.contribution_rows` encodes them.
CREATE TABLE IF NOT EXISTS attributes (
    workspace INTEGER NOT NULL,
    period INTEGER NOT NULL,
    source INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
    list BLOB NOT NULL,
    PRIMARY KEY (workspace, period, source)
);
-- Deliveries of a known message id that were another message than the one that is counted.
CREATE TABLE IF NOT EXISTS conflict (
    workspace INTEGER NOT NULL,
    period INTEGER NOT NULL,
    source INTEGER NOT NULL,
    day INTEGER NOT NULL,
    messages INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
    PRIMARY KEY (workspace, period, source, day)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS contribution (
    workspace INTEGER NOT NULL,
    period INTEGER NOT NULL,
    source INTEGER NOT NULL,
    day INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
    counts BLOB NOT NULL,
    PRIMARY KEY (workspace, period, source, day)
);

-- Of a partition's store: what goes on to the next stage, until every partition there has it.
CREATE TABLE IF NOT EXISTS outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    appended_at_ms INTEGER NOT NULL,
    sealed TEXT NOT NULL,
    checksum INTEGER NOT NULL,
    records BLOB NOT NULL
);
-- One row: which queue that is, and up to which id it was deleted.
CREATE TABLE IF NOT EXISTS outbox_state (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    uuid TEXT NOT NULL,
    pruned_id INTEGER NOT NULL,
    checksum INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS outbox_chain (
    partition INTEGER PRIMARY KEY, entry INTEGER NOT NULL, checksum INTEGER NOT NULL
);

-- Of a node's store in a cluster: the counts of each partition, of which `usage` holds the sums.
CREATE TABLE IF NOT EXISTS mirrored (
    partition TEXT NOT NULL,
    workspace INTEGER NOT NULL,
    period INTEGER NOT NULL,
    source INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
    counts BLOB NOT NULL,
    PRIMARY KEY (partition, workspace, period, source)
);
CREATE TABLE IF NOT EXISTS mirrored_part (
    partition TEXT PRIMARY KEY, state BLOB NOT NULL, checksum INTEGER NOT NULL
) WITHOUT ROWID;
"""
"""Tables that came with the format of today; an upgrade adds those that are missing."""

SCHEMA = (
    PART_SCHEMA
    + """
CREATE TABLE mark (
    name TEXT PRIMARY KEY, value INTEGER NOT NULL, checksum INTEGER NOT NULL
) WITHOUT ROWID;

-- How far each journal is metered.
CREATE TABLE position (
    journal TEXT PRIMARY KEY, entry INTEGER NOT NULL, checksum INTEGER NOT NULL
) WITHOUT ROWID;

-- New keys, as the meter found them; `headcount.store.blocks` knows the encoding. Writing a run
-- ends with dropping the blocks up to an id, so an id must never come again (AUTOINCREMENT).
CREATE TABLE key_block (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    period INTEGER NOT NULL,
    family INTEGER NOT NULL,
    size_class INTEGER NOT NULL,
    keys INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
    data BLOB NOT NULL
);
CREATE INDEX key_block_place ON key_block (period, family, size_class, keys);

-- Files of many keys, in the folder `keys`; together with the blocks they are all there are.
CREATE TABLE key_run (
    file TEXT PRIMARY KEY,
    period INTEGER NOT NULL,
    family INTEGER NOT NULL,
    checksum INTEGER NOT NULL
) WITHOUT ROWID;

-- Months that imports have touched, and months that are closed for good: `sealed` is 1, and 2 once
-- the keys are gone. They go when the month is closed for every workspace that used it by then.
CREATE TABLE month (
    workspace INTEGER NOT NULL,
    period INTEGER NOT NULL,
    last_import_day INTEGER,
    sealed INTEGER NOT NULL DEFAULT 0,
    checksum INTEGER NOT NULL,
    PRIMARY KEY (workspace, period)
) WITHOUT ROWID;

-- Facts that are kept and not counted; `headcount.counting.aside` says why that may be. `day` is
-- that of facts that wait for it, `origin` names the journal entry that was set aside whole.
CREATE TABLE aside (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    reason TEXT NOT NULL,
    workspace INTEGER NOT NULL,
    period INTEGER,
    day INTEGER,
    messages INTEGER NOT NULL,
    origin TEXT NOT NULL,
    checksum INTEGER NOT NULL,
    facts BLOB NOT NULL
);
CREATE INDEX aside_reason ON aside (reason, id);

-- New counts by day; `headcount.store.counts` knows the encoding. Source 0 is the workspace.
CREATE TABLE usage (
    workspace INTEGER NOT NULL,
    period INTEGER NOT NULL,
    source INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
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
    checksum INTEGER NOT NULL,
    PRIMARY KEY (workspace, period, source, day, reason)
) WITHOUT ROWID;
"""
    + ADDED
)

FREE_PAGES = "PRAGMA freelist_count"
GIVE_PAGES_BACK = "PRAGMA incremental_vacuum(4096)"

# In the order of the table and not of its index: one that the index has lost must be found.
KEY_BLOCK_IDS = """
SELECT id FROM key_block NOT INDEXED WHERE period = ?1 AND family = ?2 ORDER BY id
"""
KEYS_IN_BLOCKS = "SELECT coalesce(sum(keys), 0) FROM key_block WHERE period = ?1 AND family = ?2"
NEWEST_KEY_BLOCK = "SELECT coalesce(max(id), 0) FROM key_block"
KEY_BLOCK_PEERS = "WHERE period = ?1 AND family = ?2 AND size_class = ?3"
OF_PLACE = "WHERE period = ?1 AND family = ?2"
WIDEST_COUNTS = "SELECT coalesce(max(length(counts)), 0) FROM usage"
USED_MONTHS = "SELECT workspace, period FROM usage WHERE source = 0 ORDER BY workspace, period"
ASIDE = """
SELECT reason, workspace, period, min(day), max(day), sum(messages), min(origin)
FROM aside GROUP BY reason, workspace, period ORDER BY reason, workspace, period
"""
OF_MONTH = "WHERE workspace = ?1 AND period = ?2"
OF_SOURCE = f"{OF_MONTH} AND source = ?3"
# Who sent messages stands among rejections, and is read by itself: it may be many rows.
REJECTIONS_OF_MONTH = (
    f"{OF_MONTH} AND substr(reason, 1, length(?3)) <> ?3 ORDER BY source, day, reason"
)
USES_OF_MONTH = f"{OF_MONTH} AND substr(reason, 1, length(?3)) = ?3 ORDER BY source, reason"
USES_OF_SOURCE = f"{OF_MONTH} AND source = ?3 AND day = ?4 AND substr(reason, 1, length(?5)) = ?5"
