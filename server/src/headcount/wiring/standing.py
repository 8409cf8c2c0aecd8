"""Where counting stands: takes a data folder, gives the entry of which journal is next.

For saying where a meter that keeps ending stands; reads only, and never fails.
"""

from __future__ import annotations

import logging

from headcount.datafolder import DataFolder
from headcount.journal.view import journal_view
from headcount.sqlite.reading import open_at_one_moment
from headcount.sqlite.rows import read_checked
from headcount.store import sql
from headcount.store.tables import POSITION
from headcount.wording import number_of

__all__ = ["counting_position"]

_log = logging.getLogger(__name__)


def counting_position(folder: DataFolder) -> str:
    """The oldest journal entry that is not counted, as a clause; empty where nobody knows."""
    try:
        with open_at_one_moment(folder.store, version=sql.VERSION) as store:
            positions: dict[str, int] = dict(read_checked(folder.store, store, POSITION))
        waiting = []
        for path in folder.journal_files():
            with journal_view(path) as journal:
                position = positions.get(journal.uuid, 0)
                found = journal.waiting(position)
                if found.oldest_at_ms is not None:
                    waiting.append((found.oldest_at_ms, path.name, position, found.facts))
    except Exception as error:  # whatever it is, a child waits to be started again
        _log.debug("where counting stands is not known: %s", error)
        return ""
    if not waiting:
        return "everything in the journals is counted"
    _, name, position, facts = min(waiting)
    said = number_of(facts, "message", "waits", "wait")
    return f"counting stands behind entry {position} of {name}, where {said}"
