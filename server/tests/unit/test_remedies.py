"""What the system or SQLite refuses has one cause and one remedy, wherever it is met."""

from __future__ import annotations

import errno

import apsw
import pytest

from headcount.remedies import Cause, cause_of, remedy_for


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (OSError(errno.ENOSPC, "No space"), Cause.FULL),
        (OSError(errno.EDQUOT, "Quota"), Cause.FULL),
        (OSError(errno.EROFS, "Read-only"), Cause.READ_ONLY),
        (PermissionError(errno.EACCES, "Denied"), Cause.FORBIDDEN),
        (FileNotFoundError(errno.ENOENT, "None"), Cause.MISSING),
        (NotADirectoryError(errno.ENOTDIR, "A file"), Cause.NO_FOLDER),
        (OSError(errno.EIO, "Input/output error"), Cause.OTHER),
        (OSError("without a number"), Cause.OTHER),
        (apsw.FullError("full"), Cause.FULL),
        (apsw.BusyError("busy"), Cause.BUSY),
        (apsw.NotADBError("no database"), Cause.DAMAGED),
        (apsw.IOError("disk I/O error"), Cause.OTHER),
        (ValueError("anything"), Cause.OTHER),
        (None, Cause.OTHER),
    ],
)
def test_every_refusal_has_a_cause(error: BaseException | None, cause: Cause) -> None:
    assert cause_of(error) is cause


@pytest.mark.parametrize("cause", Cause)
def test_every_cause_has_a_remedy_that_says_whether_to_try_again(cause: Cause) -> None:
    error = next(
        each
        for each in (
            OSError(errno.ENOSPC, ""), OSError(errno.EROFS, ""), OSError(errno.EACCES, ""),
            OSError(errno.ENOENT, ""), OSError(errno.ENOTDIR, ""), OSError(errno.EIO, ""),
            apsw.BusyError(""), apsw.CorruptError(""),
        )
        if cause_of(each) is cause
    )  # fmt: skip
    by_hand, by_itself = remedy_for(error), remedy_for(error, tried_again=True)
    assert by_hand.startswith(cause.value)
    assert by_hand.endswith(".")
    final = cause in (Cause.DAMAGED, Cause.NO_FOLDER)
    assert ("try again" in by_hand) is ("goes on by itself" in by_itself) is not final
