"""Who may read what the program makes: nobody but its user, save what a person asks for.

The data folder, backups, logs of databases and whatever else comes into being is for this user
alone, whatever the umask is that the program was started under. A file that a person names as the
place of a report is that person's, and is made as their umask says.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["as_the_person_has_it", "close_to_others", "keep_to_ourselves"]

_OURS_ALONE = 0o077

_persons = _OURS_ALONE


def keep_to_ourselves() -> None:
    """Let this process, and all that it starts, make files and folders for its user alone."""
    global _persons
    _persons = os.umask(_OURS_ALONE)


def close_to_others(folder: Path) -> None:
    """Take from others what lies in a folder, and an earlier version or a copy has let them read.

    The folder itself stays as it is: whoever made it may have meant it. What is not ours to change
    is for doctor to say.
    """
    for parent, folders, names in os.walk(folder):
        for path in (Path(parent, name) for name in (*folders, *names)):
            # Files come and go while a server runs, and a disk may refuse.
            with contextlib.suppress(OSError):
                mode = path.lstat().st_mode
                if mode & _OURS_ALONE and not stat.S_ISLNK(mode):
                    path.chmod(stat.S_IMODE(mode) & ~_OURS_ALONE)


@contextmanager
def as_the_person_has_it() -> Iterator[None]:
    """Inside the block, make files as the person's umask says; for programs of one thread."""
    ours = os.umask(_persons)
    try:
        yield
    finally:
        os.umask(ours)
