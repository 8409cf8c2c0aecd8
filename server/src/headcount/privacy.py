"""Who may read what the program makes: nobody but its user, save what a person asks for.

The data folder, backups, logs of databases and whatever else comes into being is for this user
alone, whatever the umask is that the program was started under. A file that a person names as the
place of a report is that person's, and is made as their umask says.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["as_the_person_has_it", "keep_to_ourselves"]

_OURS_ALONE = 0o077

_persons = _OURS_ALONE


def keep_to_ourselves() -> None:
    """Let this process, and all that it starts, make files and folders for its user alone."""
    global _persons
    _persons = os.umask(_OURS_ALONE)


@contextmanager
def as_the_person_has_it() -> Iterator[None]:
    """Inside the block, make files as the person's umask says; for programs of one thread."""
    ours = os.umask(_persons)
    try:
        yield
    finally:
        os.umask(ours)
