"""What to do about what the system or SQLite refused: takes an error, gives one sentence.

The one table of causes and remedies. Whoever knows more of a case, such as a port that is taken,
says more itself.
"""

from __future__ import annotations

import enum
import errno

import apsw

__all__ = ["Cause", "cause_of", "remedy_for"]


class Cause(enum.Enum):
    """Why something was refused, and what helps."""

    FULL = "Free some disk space"
    READ_ONLY = "Let the disk, or the folder, be written to again"
    FORBIDDEN = "Headcount must be able to write there: fix its permissions or mount"
    MISSING = "See that it is there, and that this user may read and write it"
    BUSY = "Wait until the other process that uses it is done"
    DAMAGED = "Stop the server, and see `headcount doctor`"
    NO_FOLDER = "Name a folder, not a file"
    OTHER = "Check the disk and the path"


_BY_NUMBER = {
    errno.ENOSPC: Cause.FULL,
    errno.EDQUOT: Cause.FULL,
    errno.EROFS: Cause.READ_ONLY,
    errno.EACCES: Cause.FORBIDDEN,
    errno.EPERM: Cause.FORBIDDEN,
    errno.ENOENT: Cause.MISSING,
    errno.ENOTDIR: Cause.NO_FOLDER,
    errno.EISDIR: Cause.NO_FOLDER,
    errno.EEXIST: Cause.NO_FOLDER,
}
_OF_SQLITE: dict[type[Exception], Cause] = {
    apsw.FullError: Cause.FULL,
    apsw.ReadOnlyError: Cause.READ_ONLY,
    apsw.CantOpenError: Cause.MISSING,
    apsw.PermissionsError: Cause.FORBIDDEN,
    apsw.BusyError: Cause.BUSY,
    apsw.CorruptError: Cause.DAMAGED,
    apsw.NotADBError: Cause.DAMAGED,
}
# Nothing follows from these by itself, nor by trying again.
_FINAL = (Cause.DAMAGED, Cause.NO_FOLDER)


def cause_of(error: BaseException | None) -> Cause:
    """Why the system, or SQLite, refused.

    Args:
        error: what was raised.
    """
    if isinstance(error, OSError):
        return _BY_NUMBER.get(error.errno or 0, Cause.OTHER)
    for kind, cause in _OF_SQLITE.items():
        if isinstance(error, kind):
            return cause
    return Cause.OTHER


def remedy_for(error: BaseException | None, *, tried_again: bool = False) -> str:
    """What to do about a disk, or a file on it, that refused; a sentence.

    Args:
        error: what was raised.
        tried_again: whether whoever was refused goes on by itself once it is not any more.
    """
    cause = cause_of(error)
    if cause in _FINAL:
        return f"{cause.value}."
    return f"{cause.value}{'; it goes on by itself then' if tried_again else ', then try again'}."
