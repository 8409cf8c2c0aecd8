"""Databases as parts of a data folder: one that is not the part that belongs there is not opened.

Takes a way to open one and to read which it says it is; refuses a file that is missing though its
folder knows it, that is another one, or that holds less than was acknowledged.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import apsw

from headcount.confirmed import read_confirmed, refuse_if_behind
from headcount.identity import admit_part, require_part

__all__ = ["PartState", "open_part"]


class PartState(NamedTuple):
    """Which part a database says it is, and how far it has come.

    Attributes:
        uuid: which one.
        installation: the UUID of the installation that it belongs to.
        sequence: the number of its last entry or transaction.
        messages: how many messages it says it ever held; 0 where it does not count them.
    """

    uuid: str
    installation: str
    sequence: int
    messages: int = 0


def open_part(
    path: Path,
    connect: Callable[[], apsw.Connection],
    state_of: Callable[[apsw.Connection], PartState],
    *,
    register: bool,
) -> apsw.Connection:
    """A connection to a database that is the one that belongs at a path.

    Args:
        path: the file.
        connect: opens it, and makes it where its folder does not know it yet.
        state_of: reads which one it says it is.
        register: remember it in its folder, where it is not known yet.

    Raises:
        DamagedDataError: it is missing though it is known to its folder, is another one, or is
            behind what was confirmed; whatever the two callables raise.
    """
    require_part(path)
    # Before the database is read: what is confirmed meanwhile must not be missed in it.
    confirmed = read_confirmed(path)
    connection = connect()
    try:
        state = state_of(connection)
        admit_part(path, state.uuid, state.installation, register=register)
        refuse_if_behind(path, confirmed, state.uuid, state.sequence, state.messages)
    except BaseException:
        connection.close()
        raise
    return connection
