"""The tables of the embedded store whose rows carry checksums: all of them."""

from headcount.sqlite.rows import Table

__all__ = [
    "ADDED_TABLES",
    "ALERT_EVENT",
    "ALERT_MARK",
    "ARRIVAL",
    "ASIDE",
    "ATTRIBUTES",
    "CONFLICT",
    "CONTRIBUTION",
    "HIGH_WATER",
    "KEY_BLOCK",
    "KEY_RUN",
    "MIRRORED",
    "MIRRORED_PART",
    "MONTH",
    "OUTBOX",
    "OUTBOX_CHAIN",
    "OUTBOX_STATE",
    "POSITION",
    "QUOTA_REACHED",
    "REJECTION",
    "TABLES",
    "USAGE",
    "WATERMARK",
]

# Watermarks: how far days, catalogs and clocks have come. What is stored keeps its name.
WATERMARK = Table("mark", "name", "value")
POSITION = Table("position", "journal", "entry")
KEY_BLOCK = Table("key_block", "id", "period family size_class keys data", group=2)
KEY_RUN = Table("key_run", "file", "period family", group=2)
MONTH = Table("month", "workspace period", "last_import_day sealed")
ASIDE = Table("aside", "id", "reason workspace period day messages origin facts")
USAGE = Table("usage", "workspace period source", "revision counts")
REJECTION = Table("rejection", "workspace period source day reason", "messages")
ALERT_EVENT = Table("alert_event", "id", "uid workspace created_at_ms body")
ALERT_MARK = Table("alert_mark", "workspace rule period mark", "event")
HIGH_WATER = Table("high_water", "workspace period source metric", "value")
ARRIVAL = Table("arrival", "workspace source", "received_at_ms")
QUOTA_REACHED = Table(
    "quota_reached", "workspace period source metric", "amount reached_at_ms past"
)
ATTRIBUTES = Table("attributes", "workspace period source", "list")
CONFLICT = Table("conflict", "workspace period source day", "messages")
CONTRIBUTION = Table("contribution", "workspace period source day", "counts")

OUTBOX = Table("outbox", "id", "appended_at_ms sealed records")
OUTBOX_STATE = Table("outbox_state", "id", "uuid pruned_id")
OUTBOX_CHAIN = Table("outbox_chain", "partition", "entry")
MIRRORED = Table("mirrored", "partition workspace period source", "counts")
MIRRORED_PART = Table("mirrored_part", "partition", "state")

ADDED_TABLES = (
    *(ALERT_EVENT, ALERT_MARK, HIGH_WATER, ARRIVAL, QUOTA_REACHED),
    *(ATTRIBUTES, CONTRIBUTION, CONFLICT),
    *(OUTBOX, OUTBOX_STATE, OUTBOX_CHAIN, MIRRORED, MIRRORED_PART),
)
"""Those that came with the format of today."""

TABLES = (
    *(WATERMARK, POSITION, KEY_BLOCK, KEY_RUN, MONTH, ASIDE, USAGE, REJECTION),
    *ADDED_TABLES,
)
