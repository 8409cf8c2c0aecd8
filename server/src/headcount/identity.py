"""Which installation a data folder is of, and which databases belong to it: the file `identity`.

A line for each part, made durable before the part holds anything: so a catalog, a store or a
journal that is missing, empty or of another installation is told from one that is new. Each part
carries the installation's id as well. Takes paths of databases, and needs none of them to be whole.
A database outside of a data folder, where there is no such file, is taken as it is.
"""

from __future__ import annotations

import fcntl
import os
import stat
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from isal.isal_zlib import crc32

from headcount.durable import put_new, put_whole, read_small
from headcount.errors import DamagedDataError
from headcount.layout import DataFolder

__all__ = [
    "Identity",
    "admit_part",
    "begin_identity",
    "folder_of",
    "fresh_uuid",
    "installation_for",
    "part_name",
    "read_identity",
    "replace_identity",
    "require_part",
]

"""The folder, in the data folder, that holds the former databases while an upgrade is under way."""

_RESTORE = "Put it back as it was, or restore the data folder from a backup."
_MADE_ANEW = (
    "In a cluster it is a copy: headcount doctor --repair lets the next start make it anew. Or put"
    " it back as it was."
)
_GO_ON = " To go on without what is gone: headcount doctor --repair"


@dataclass(slots=True)
class Identity:
    """What the file says.

    Attributes:
        installation: by which the folder's parts know one another.
        parts: path in the folder, such as `store.sqlite`, to the UUID of the part.
    """

    installation: str
    parts: dict[str, str] = field(default_factory=dict)


def fresh_uuid() -> str:
    """A name that nothing else has."""
    return str(uuid.uuid4())


def _line(*words: str) -> str:
    text = " ".join(words)
    return f"{text} {crc32(text.encode()):08x}\n"


def _text(identity: Identity) -> bytes:
    parts = (_line("part", uuid, name) for name, uuid in identity.parts.items())
    return "".join((_line("installation", identity.installation), *parts)).encode()


def begin_identity(folder: Path, identity: Identity | None = None) -> None:
    """Write the file of a new folder, whole and durable; one that is there already stays.

    Raises:
        OSError: the disk refused.
    """
    put_new(DataFolder(folder).identity, _text(identity or Identity(fresh_uuid())))


def replace_identity(folder: Path, identity: Identity) -> None:
    """Write the file anew, whole and durable or not at all.

    Raises:
        OSError: the disk refused.
    """
    put_whole(DataFolder(folder).identity, _text(identity))


def read_identity(folder: Path) -> Identity | None:
    """What the file of a folder says; None where there is no such file.

    Raises:
        DamagedDataError: it does not say what was written.
        OSError: it cannot be read.
    """
    try:
        text = read_small(DataFolder(folder).identity)
    except (FileNotFoundError, NotADirectoryError):
        return None
    # What follows the last end of a line was being written when its process was killed.
    whole, end, _ = text.rpartition(b"\n")
    identity = _parsed(whole) if end else None
    if identity is None:
        raise DamagedDataError(
            f"{DataFolder(folder).identity} is damaged: it does not say what the data folder"
            " holds.",
            "Restore the data folder from a backup, or let it be rewritten:"
            " headcount doctor --repair",
        )
    return identity


def _parsed(text: bytes) -> Identity | None:
    identity: Identity | None = None
    for line in text.decode("utf-8", "replace").split("\n"):
        said, _, checksum = line.rpartition(" ")
        if checksum != f"{crc32(said.encode()):08x}":
            return None
        match said.split(" ", 2):
            case ["installation", installation] if identity is None:
                identity = Identity(installation)
            case ["part", part, name] if identity is not None:
                identity.parts[name] = part
            case _:
                return None
    return identity


def folder_of(database: Path) -> Path | None:
    """The data folder that a database lies in; None where it lies elsewhere."""
    for folder in (database.parent, database.parent.parent):
        if DataFolder(folder).identity.exists():
            return folder
    return None


def part_name(folder: Path, database: Path) -> str:
    """How a database is called in the file of its folder."""
    return database.relative_to(folder).as_posix()


def installation_for(database: Path) -> str:
    """The id that a new database is to carry; empty outside of a data folder."""
    folder = folder_of(database)
    identity = None if folder is None else read_identity(folder)
    return "" if identity is None else identity.installation


def require_part(database: Path) -> None:
    """See that a database which is known to its folder is there; to be called before it is made.

    Raises:
        DamagedDataError: it is missing, empty or no file.
    """
    folder = folder_of(database)
    identity = None if folder is None else read_identity(folder)
    if folder is None or identity is None or part_name(folder, database) not in identity.parts:
        return
    try:
        found = database.stat()
        if stat.S_ISREG(found.st_mode) and found.st_size:
            return
        state = "is empty" if stat.S_ISREG(found.st_mode) else "is no file"
    except FileNotFoundError:
        state = "is missing"
    raise DamagedDataError(
        f"{database} {state}, and it has held what was acknowledged: without it, other counts"
        " would be shown.",
        _remedy_of_missing(folder, database),
    )


def _remedy_of_missing(folder: Path, database: Path) -> str:
    if database.parent != folder:
        return _RESTORE + _GO_ON
    # Without the store or the catalog, a single machine has nothing to go on with.
    return _MADE_ANEW if DataFolder(folder).cluster.exists() else _RESTORE


def admit_part(database: Path, uuid: str, installation: str, *, register: bool) -> None:
    """See that a database belongs to the folder it lies in, and remember that it does.

    Args:
        database: the file.
        uuid: which one it says it is.
        installation: whose it says it is; empty where it was made outside of a data folder.
        register: remember it, where it is not known yet; durable when this returns.

    Raises:
        DamagedDataError: it is of another installation, or stands in the place of another one.
    """
    folder = folder_of(database)
    identity = None if folder is None else read_identity(folder)
    if folder is None or identity is None:
        return
    if installation not in ("", identity.installation):
        raise DamagedDataError(
            f"{database} belongs to another installation of Headcount"
            f" ({installation[:8]}; this data folder is {identity.installation[:8]}).",
            "Move it out of this folder, and put back the one that belongs here.",
        )
    name = part_name(folder, database)
    known = identity.parts.get(name)
    if known not in (None, uuid):
        raise DamagedDataError(
            f"{database} is another file than the one that this data folder knows by that name.",
            _RESTORE,
        )
    if known is None and register:
        _register(folder, name, uuid)


def _register(folder: Path, name: str, uuid: str) -> None:
    with _locked(DataFolder(folder).identity) as descriptor:
        identity = read_identity(folder)
        if identity is None or name in identity.parts:
            return
        text = os.pread(descriptor, os.fstat(descriptor).st_size, 0)
        os.ftruncate(descriptor, text.rfind(b"\n") + 1)
        os.pwrite(descriptor, _line("part", uuid, name).encode(), text.rfind(b"\n") + 1)
        os.fsync(descriptor)


@contextmanager
def _locked(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)
