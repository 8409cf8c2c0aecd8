"""Repairing the files by which a data folder says what it is: `format`, and `identity`.

Both are written anew from what the databases say of themselves. A format that another version has
made is left as it is, with everything else.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing
from pathlib import Path

import apsw

from headcount.catalog.schema import SCHEMA_VERSION
from headcount.datafolder import DataFolder
from headcount.doctor.repair.looking import parts_of
from headcount.doctor.repair.side import Act, Side
from headcount.errors import DamagedDataError
from headcount.folderformat import (
    FORMAT_VERSION,
    UPGRADED_VERSIONS,
    mark_data_folder,
    stated_format,
)
from headcount.identity import Identity, read_identity, replace_identity
from headcount.journal.schema import JOURNAL_VERSION
from headcount.sqlite.unwritable import open_for_reading
from headcount.store import sql

__all__ = ["repair_format", "repair_identity"]

_RESTORE = "Restore the data folder from a backup; what is there is unchanged."
_UPGRADE = "The next `headcount serve` upgrades it; repair it then, if doctor still names damage."
_NEWER = (
    "Run the version of Headcount that made it. If none but this one was ever used here, the file"
    " `{}` is damaged: remove it, then repair again."
)


def repair_format(folder: DataFolder, side: Side) -> Generator[Act, None, bool]:
    """See that the folder says that it has this version's format, if that is what it has.

    Returns:
        Whether it does now; otherwise nothing else of it may be touched.
    """
    path = folder.path
    stated = stated_format(path)
    if stated == FORMAT_VERSION:
        return True
    if stated in UPGRADED_VERSIONS:
        yield Act(
            f"{path} has format {stated}, and a repair takes one of today's.",
            remedy=_UPGRADE,
        )
        return False
    if stated:  # no version has ever made a format 0
        yield Act(
            f"{path} says that it has format {stated}, and this version of Headcount knows"
            f" {FORMAT_VERSION}: nothing was changed.",
            remedy=_NEWER.format(folder.format.name),
        )
        return False
    if folder.is_copy:
        yield Act(
            f"{path} is a backup, or one or a restore that has not ended: nothing was changed.",
            remedy="Restore a backup that is whole into a new folder: headcount restore",
        )
        return False
    differing = list(_differing(folder))
    if newer := [name for name, _, is_newer in differing if is_newer]:
        yield Act(
            f"{newer[0]} was made by a newer version of Headcount: nothing was changed.",
            remedy="Install that version or a later one.",
        )
        return False
    if folder.format.exists():
        side.keep(folder.format)
    # Each format has brought new tables to the catalog at least: the latest is the folder's.
    version = max((found for _, found, _ in differing), default=FORMAT_VERSION)
    mark_data_folder(path, version)
    yield Act(
        f"The file format was rewritten, as the databases say themselves (format {version}).",
        remedy=_UPGRADE if differing else "",
    )
    return not differing


def _differing(folder: DataFolder) -> Iterator[tuple[str, int, bool]]:
    """Databases of another version than this one's: which, and whether it is a newer one."""
    known = [(folder.catalog, SCHEMA_VERSION), (folder.store, sql.VERSION)]
    known += [(path, JOURNAL_VERSION) for path in folder.journal_files()]
    for path, version in known:
        found = _version_of(path)
        if found not in (0, version):
            yield path.name, found, found > version


def _version_of(path: Path) -> int:
    """The version of a database's tables; 0 where it does not say one."""
    if not path.is_file():
        return 0
    try:
        with closing(open_for_reading(path)) as database:
            return int(database.pragma("user_version"))
    except apsw.Error:
        return 0  # what is wrong with it is for others to say


def repair_identity(folder: DataFolder, side: Side) -> Generator[Act, None, Identity]:
    """See that the folder says which databases belong to it.

    Returns:
        What it says; without an installation where that cannot be known.
    """
    path = folder.path
    try:
        identity = read_identity(path)
    except DamagedDataError:
        identity = None
    if identity is not None:
        return identity
    installations, parts = parts_of(folder)
    if len(installations) != 1:
        yield Act(
            "The file identity cannot be rewritten: the databases do not agree on which"
            " installation they are of.",
            remedy=_RESTORE,
        )
        return Identity("", parts)
    identity = Identity(installations.pop(), parts)
    if folder.identity.exists():
        side.keep(folder.identity)
    replace_identity(path, identity)
    yield Act(
        "The file identity was rewritten, as the databases say themselves.",
        "Had a journal been lost before, it would not be known any more.",
    )
    return identity
