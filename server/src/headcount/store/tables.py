"""The tables of the embedded store whose rows carry checksums: all of them."""

from headcount.sqlite.rows import Table

__all__ = [
    "ASIDE",
    "KEY_BLOCK",
    "KEY_RUN",
    "MONTH",
    "POSITION",
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

TABLES = (WATERMARK, POSITION, KEY_BLOCK, KEY_RUN, MONTH, ASIDE, USAGE, REJECTION)
