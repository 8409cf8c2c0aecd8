"""The durable queue of facts between intake and meter.

Takes packed facts and rejection tallies from one writer a file, hands them to the meter in the
order they were written; owns the files under `journals/`. It holds hashes, never raw ids, and does
not look inside a fact. An import leaves checkpoints beside its entries, by which the next one knows
what is durable already.
"""

from typing import TYPE_CHECKING

from headcount.journal.directory import JournalDirectory
from headcount.journal.entries import Damage, JournalEntry
from headcount.journal.entry_source import (
    EntrySource,
    MeterSource,
    MeterSources,
    refuse_older_store,
)
from headcount.journal.file import JournalFile
from headcount.late import late_names

if TYPE_CHECKING:
    from headcount.journal.group import Companion, Done, GroupCommit
else:
    __getattr__ = late_names(__name__, {"group": "Companion Done GroupCommit"})

__all__ = [
    "Companion",
    "Damage",
    "Done",
    "EntrySource",
    "GroupCommit",
    "JournalDirectory",
    "JournalEntry",
    "JournalFile",
    "MeterSource",
    "MeterSources",
    "refuse_older_store",
]
