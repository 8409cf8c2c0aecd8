"""Which format a data folder has: takes its path, gives what its file `format` says.

Refuses folders of somebody else, and those of a format that this version neither knows nor can
upgrade; one that has only lost the file is told from both.
"""

from __future__ import annotations

import re
from pathlib import Path

from headcount.durable import DRAFT_PREFIX, put_new, put_whole, read_small
from headcount.errors import DamagedDataError, DataFolderError
from headcount.layout import DataFolder

__all__ = [
    "FORMAT_VERSION",
    "UPGRADED_VERSIONS",
    "mark_data_folder",
    "require_format",
    "stated_format",
]

FORMAT_VERSION = 4
"""The format that this version reads and writes."""

UPGRADED_VERSIONS = (1, 2, 3)
"""The former ones, which it can upgrade."""

_WORDS = "Headcount data folder, format "
_NUMBER = re.compile(r"[0-9]{1,9}")
_WRITE_ANEW = "If it is yours, let the file be rewritten: headcount doctor --repair --data"


def mark_data_folder(path: Path, version: int = FORMAT_VERSION) -> None:
    """Say in a folder that it is a data folder of a format, durably.

    Raises:
        OSError: the disk refused.
    """
    content = f"{_WORDS}{version}\n".encode()
    folder = DataFolder(path)
    if folder.format.exists():
        put_whole(folder.format, content)
    else:
        put_new(folder.format, content)


def stated_format(path: Path) -> int | None:
    """The number that a folder's file `format` says; None where it says none, or is not there.

    Raises:
        OSError: it cannot be read.
    """
    try:
        text = read_small(DataFolder(path).format).decode("utf-8", "replace")
    except FileNotFoundError:
        return None
    number = text.removeprefix(_WORDS).strip()
    return int(number) if text.startswith(_WORDS) and _NUMBER.fullmatch(number) else None


def require_format(path: Path) -> int | None:
    """The format of a folder, which this version knows or can upgrade; None where none is yet.

    Raises:
        DataFolderError: it is somebody else's, or has another format; DamagedDataError: its file
            `format` is missing or says nothing.
        OSError: it cannot be read.
    """
    if not DataFolder(path).is_made and _is_nothing_yet(path):
        return None
    version = stated_format(path)
    if version is None:
        raise DamagedDataError(
            f"{DataFolder(path).format} does not say which format the data folder has.",
            f"{_WRITE_ANEW} {path}; else name another one with --data.",
        )
    if version > FORMAT_VERSION:
        raise DataFolderError(
            f"{path} was made by a newer version of Headcount (format {version}; this version"
            f" knows {FORMAT_VERSION}).",
            "Install that version or a later one.",
        )
    if version not in (*UPGRADED_VERSIONS, FORMAT_VERSION):
        raise DataFolderError(
            f"{path} has format {version}, which no version of Headcount has made.",
            f"{_WRITE_ANEW} {path}",
        )
    return version


def _is_nothing_yet(path: Path) -> bool:
    """Whether there is nothing of anybody's where a folder is to be made, nor being made."""
    if not path.exists():
        return True
    # A mounted disk is born with lost+found, and an interrupted start may have left drafts.
    found = {entry.name for entry in path.iterdir() if not entry.name.startswith(DRAFT_PREFIX)}
    folder = DataFolder(path)
    if not found - {"lost+found", folder.identity.name}:
        return True
    if folder.format.name in found:
        return False  # another process has made it meanwhile
    ours = (folder.catalog, folder.store, folder.journals, folder.hash_key)
    if folder.is_copy:
        raise DataFolderError(
            f"{path} is not a data folder of Headcount, but a backup, or one or a restore that has"
            " not ended.",
            "Restore a backup that is whole into a new folder: headcount restore",
        )
    if found & {each.name for each in ours}:
        raise DamagedDataError(
            f"{DataFolder(path).format} is missing, which says that {path} is a data folder of"
            " Headcount; other files of one are there.",
            f"{_WRITE_ANEW} {path}",
        )
    raise DataFolderError(
        f"{path} is not a data folder of Headcount, and not empty.",
        "Name a new or an empty folder with --data.",
    )
