"""The file behind the catalog: its tables, how it is opened, and what to say when it fails.

Takes a path, gives a connection that is ready to use; refuses files that are not a catalog and
files that a newer version wrote.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw

from headcount.errors import DamagedDataError, DataFolderError
from headcount.remedies import remedy_for
from headcount.sqlite.rows import PART_SCHEMA, Ledger, Table, open_checked

__all__ = [
    "ADDED",
    "ADDED_TABLES",
    "ALERT_RULE",
    "BOT_REFUSAL",
    "CHANNEL",
    "DELETION",
    "DELIVERY",
    "FORWARDING",
    "LINK",
    "META",
    "PLAN_LIMIT",
    "PLAN_PRICE",
    "QUOTA",
    "SCHEMA_VERSION",
    "SOURCE",
    "TABLES",
    "TOKEN",
    "WORKSPACE",
    "errors_named",
    "make_tables",
    "open_catalog_file",
]

_RESTORE = "Point --data at a folder that Headcount made, or restore it from a backup."

SCHEMA_VERSION = 4
_APPLICATION_ID = 0x48434354  # "HCCT", so that another program's file is not taken for ours

# AUTOINCREMENT, because a number that stood in facts must never name something else later.
_SCHEMA = (
    PART_SCHEMA
    + """
CREATE TABLE workspace (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL UNIQUE,
    created_at_ms INTEGER NOT NULL,
    checksum INTEGER NOT NULL
) STRICT;
CREATE TABLE source (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    workspace INTEGER NOT NULL REFERENCES workspace (number),
    write_key TEXT NOT NULL UNIQUE,
    enabled INTEGER NOT NULL CHECK (enabled IN (0, 1)),
    created_at_ms INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
    UNIQUE (workspace, name)
) STRICT;
CREATE TABLE token (
    id TEXT PRIMARY KEY,
    workspace INTEGER NOT NULL REFERENCES workspace (number),
    scope TEXT NOT NULL CHECK (scope IN ('read', 'admin')),
    secret_hash BLOB NOT NULL UNIQUE,
    created_at_ms INTEGER NOT NULL,
    expires_at_ms INTEGER,
    revoked_at_ms INTEGER,
    checksum INTEGER NOT NULL
) STRICT;
CREATE INDEX token_workspace ON token (workspace);
-- What a plan includes of a metric in a month, from a day on (days since 1970; 0 is the beginning)
-- until the next row's; no amount is no limit. Nobody knows when those of former formats were set.
CREATE TABLE plan_limit (
    workspace INTEGER NOT NULL REFERENCES workspace (number),
    metric TEXT NOT NULL,
    from_day INTEGER NOT NULL,
    amount INTEGER,
    set_at_ms INTEGER,
    checksum INTEGER NOT NULL,
    PRIMARY KEY (workspace, metric, from_day)
) STRICT, WITHOUT ROWID;
-- Who has the secret of one sees a view without a token: the page of a workspace, of one of its
-- sources, or all of these, for one month or, where that is NULL, always for the one that runs;
-- held against the month that lies `against` months before.
CREATE TABLE link (
    id TEXT PRIMARY KEY,
    workspace INTEGER NOT NULL REFERENCES workspace (number),
    view TEXT NOT NULL CHECK (view IN ('workspace', 'source', 'all')),
    source INTEGER REFERENCES source (number),
    period INTEGER,
    against INTEGER NOT NULL,
    name TEXT NOT NULL,
    secret_hash BLOB NOT NULL UNIQUE,
    created_at_ms INTEGER NOT NULL,
    expires_at_ms INTEGER,
    revoked_at_ms INTEGER,
    used_at_ms INTEGER,
    checksum INTEGER NOT NULL
) STRICT;
CREATE INDEX link_workspace ON link (workspace);
-- Where a source's messages are delivered on to, one row a source that ever forwarded. The number
-- of changes grows with each; `by_token` says that the address was named over the API.
CREATE TABLE forwarding (
    source INTEGER PRIMARY KEY,
    url TEXT NOT NULL,
    write_key TEXT NOT NULL,
    when_full TEXT NOT NULL CHECK (when_full IN ('refuse', 'stop')),
    state TEXT NOT NULL CHECK (state IN ('on', 'ending', 'off')),
    by_token INTEGER NOT NULL CHECK (by_token IN (0, 1)),
    changes INTEGER NOT NULL,
    changed_at_ms INTEGER NOT NULL,
    checksum INTEGER NOT NULL
) STRICT;
-- Sources and workspaces that were deleted. Their rows stay, so that their numbers name nothing
-- else; a workspace is to be erased from a moment on, and was at another unless that is NULL.
CREATE TABLE deletion (
    kind TEXT NOT NULL CHECK (kind IN ('source', 'workspace')),
    number INTEGER NOT NULL,
    deleted_at_ms INTEGER NOT NULL,
    erase_from_ms INTEGER,
    erased_at_ms INTEGER,
    checksum INTEGER NOT NULL,
    PRIMARY KEY (kind, number)
) STRICT, WITHOUT ROWID;
CREATE TABLE mark (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL,
    checksum INTEGER NOT NULL
) STRICT;
"""
)

ADDED = """
-- What people are to be told of: a metric of a workspace, or of one of its sources, at thresholds
-- such as `["80%", "12000"]`. Removed rules stay, so that their numbers name nothing else.
CREATE TABLE IF NOT EXISTS alert_rule (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    workspace INTEGER NOT NULL REFERENCES workspace (number),
    source INTEGER REFERENCES source (number),
    name TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('count', 'forecast', 'unusual', 'silent')),
    metric TEXT NOT NULL,
    thresholds TEXT NOT NULL,
    quiet_hours INTEGER NOT NULL,
    channels TEXT NOT NULL,
    enabled INTEGER NOT NULL CHECK (enabled IN (0, 1)),
    created_at_ms INTEGER NOT NULL,
    removed_at_ms INTEGER,
    checksum INTEGER NOT NULL
) STRICT;
-- How they are told. Where to, and with which secrets, is sealed; `shown` says it without them.
CREATE TABLE IF NOT EXISTS channel (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    workspace INTEGER NOT NULL REFERENCES workspace (number),
    name TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('webhook', 'email', 'apprise')),
    shown TEXT NOT NULL,
    sealed BLOB NOT NULL,
    digest TEXT NOT NULL CHECK (digest IN ('none', 'daily', 'weekly')),
    state TEXT NOT NULL CHECK (state IN ('on', 'off', 'gone')),
    said TEXT NOT NULL,
    created_at_ms INTEGER NOT NULL,
    changed_at_ms INTEGER NOT NULL,
    removed_at_ms INTEGER,
    checksum INTEGER NOT NULL
) STRICT;
-- One row for each event and channel: what is to be said, and what became of every try.
CREATE TABLE IF NOT EXISTS delivery (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    workspace INTEGER NOT NULL,
    channel INTEGER NOT NULL,
    event TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('alert', 'test', 'digest')),
    state TEXT NOT NULL CHECK (state IN ('waiting', 'delivered', 'failed', 'dropped')),
    made_at_ms INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    next_at_ms INTEGER NOT NULL,
    ended_at_ms INTEGER,
    log TEXT NOT NULL,
    body TEXT NOT NULL,
    checksum INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS delivery_state ON delivery (state, id);
CREATE INDEX IF NOT EXISTS delivery_event ON delivery (event, channel);
-- Sources that refuse messages of known bots, one row each.
CREATE TABLE IF NOT EXISTS bot_refusal (
    source INTEGER PRIMARY KEY,
    since_ms INTEGER NOT NULL,
    checksum INTEGER NOT NULL
) STRICT;
-- What a source may use of a metric in a month, and what happens past it.
CREATE TABLE IF NOT EXISTS quota (
    source INTEGER NOT NULL REFERENCES source (number),
    metric TEXT NOT NULL,
    amount INTEGER NOT NULL,
    past TEXT NOT NULL CHECK (past IN ('refuse', 'mark')),
    changed_at_ms INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
    PRIMARY KEY (source, metric)
) STRICT, WITHOUT ROWID;
-- What a plan charges for each step of a metric beyond its limit, from a day on as for limits; no
-- amount is no price. Money is text, exact to the last digit.
CREATE TABLE IF NOT EXISTS plan_price (
    workspace INTEGER NOT NULL REFERENCES workspace (number),
    metric TEXT NOT NULL,
    from_day INTEGER NOT NULL,
    amount TEXT,
    step INTEGER NOT NULL,
    currency TEXT NOT NULL,
    set_at_ms INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
    PRIMARY KEY (workspace, metric, from_day)
) STRICT, WITHOUT ROWID;
"""
"""Tables that came with the format of today; an upgrade adds those that are missing."""

WORKSPACE = Table("workspace", "number", "id name created_at_ms")
SOURCE = Table("source", "number", "id name workspace write_key enabled created_at_ms")
TOKEN = Table(
    "token", "id", "workspace scope secret_hash created_at_ms expires_at_ms revoked_at_ms"
)
PLAN_LIMIT = Table("plan_limit", "workspace metric from_day", "amount set_at_ms")
LINK = Table(
    "link",
    "id",
    "workspace view source period against name secret_hash created_at_ms expires_at_ms"
    " revoked_at_ms used_at_ms",
)
FORWARDING = Table(
    "forwarding", "source", "url write_key when_full state by_token changes changed_at_ms"
)
DELETION = Table("deletion", "kind number", "deleted_at_ms erase_from_ms erased_at_ms")
# What is known of the catalog as a whole. What is stored keeps its name.
META = Table("mark", "name", "value")
ALERT_RULE = Table(
    "alert_rule",
    "number",
    "id workspace source name kind metric thresholds quiet_hours channels enabled created_at_ms"
    " removed_at_ms",
)
CHANNEL = Table(
    "channel",
    "number",
    "id workspace name kind shown sealed digest state said created_at_ms changed_at_ms"
    " removed_at_ms",
)
DELIVERY = Table(
    "delivery",
    "id",
    "workspace channel event kind state made_at_ms attempts next_at_ms ended_at_ms log body",
)
QUOTA = Table("quota", "source metric", "amount past changed_at_ms")
BOT_REFUSAL = Table("bot_refusal", "source", "since_ms")
PLAN_PRICE = Table("plan_price", "workspace metric from_day", "amount step currency set_at_ms")
ADDED_TABLES = (ALERT_RULE, CHANNEL, DELIVERY, QUOTA, PLAN_PRICE, BOT_REFUSAL)
"""Those of `ADDED`."""
TABLES = (
    *(WORKSPACE, SOURCE, TOKEN, PLAN_LIMIT, LINK, FORWARDING, DELETION, META),
    *ADDED_TABLES,
)


def open_catalog_file(path: Path, *, read_only: bool) -> tuple[apsw.Connection, Ledger]:
    """A connection to the catalog's file, whose tables are there, and its checked tables.

    Args:
        path: the file; made when missing, unless read_only.
        read_only: never write, not even to make the file.

    Raises:
        DataFolderError: it is not a catalog, or newer than this version of Headcount;
            DamagedDataError: it is missing though it is known to its folder, is damaged or another
            one, or lacks what was confirmed.
    """
    connection, ledger = open_checked(
        path,
        schema=_SCHEMA + ADDED,
        version=SCHEMA_VERSION,
        tables=TABLES,
        application=_APPLICATION_ID,
        read_only=read_only,
    )
    connection.pragma("foreign_keys", True)
    if not read_only:
        connection.pragma("secure_delete", True)  # what is sealed of a channel is to be gone
    return connection, ledger


def make_tables(
    connection: apsw.Connection, uuid: str, installation: str, generation: int = 0
) -> None:
    """Make the tables of a new catalog, or of one that has seen changes already; in a transaction.

    Args:
        connection: to a file that holds nothing.
        uuid: which catalog it is.
        installation: whose it is.
        generation: how many changes it has seen.
    """
    connection.execute(_SCHEMA + ADDED)
    Ledger.begin(connection, uuid, installation, generation)
    connection.pragma("application_id", _APPLICATION_ID)
    connection.pragma("user_version", SCHEMA_VERSION)


@contextmanager
def errors_named(path: Path, what: str) -> Iterator[None]:
    """Turn SQLite's errors into ones that a person can act on.

    Args:
        path: the catalog's file.
        what: what was tried, as a participle: `"read"` or `"written"`.

    Raises:
        DataFolderError: in place of any `apsw.Error`.
    """
    try:
        yield
    except (apsw.CorruptError, apsw.NotADBError, UnicodeDecodeError) as error:
        raise DamagedDataError(
            f"The catalog {path} could not be {what}: {error}.", _RESTORE
        ) from error
    except apsw.Error as error:
        raise DataFolderError(
            f"The catalog {path} could not be {what}: {error}.", remedy_for(error)
        ) from error
