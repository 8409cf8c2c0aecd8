"""The data folder: takes its path, gives the places in it and its hash key.

A folder is made when first needed, readable by its owner alone, and brought to this version's
format (`headcount.folderformat`) by whoever writes to it. Refuses folders that cannot be used, and
another hash key than the one that the counts were made under.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from collections.abc import Iterable
from pathlib import Path

from headcount.catalog import Catalog
from headcount.counting.hashing import HASH_KEY_BYTES, IdHasher, KeyPlan, KeyRing
from headcount.durable import put_new, read_small
from headcount.errors import DamagedDataError, DataFolderError, FolderBusyError
from headcount.folderformat import (
    FORMAT_VERSION,
    mark_data_folder,
    require_format,
)
from headcount.folderlock import FolderLock, errors_named
from headcount.identity import begin_identity
from headcount.layout import DataFolder
from headcount.privacy import close_to_others

__all__ = [
    "FORMAT_VERSION",
    "DataFolder",
    "FolderLock",
    "hash_key_lines",
    "load_hash_key",
    "load_key_ring",
    "mark_data_folder",
    "open_data_folder",
    "read_hash_keys",
]

# The first format whose folders say which parts belong to them.
_WITH_IDENTITY = 2


def open_data_folder(
    path: Path, *, create: bool, write: bool | None = None, require_existing: bool = False
) -> DataFolder:
    """The data folder at a path.

    Args:
        path: the folder.
        create: make it, or take an empty one, when there is none yet; and insist that it can be
            written.
        write: whether whoever asks writes to it, which brings a folder of the former format to
            this version's; as `create` when None.
        require_existing: refuse a folder that would have to be made, though create is True.

    Raises:
        DataFolderError: there is none (create is False), it is not Headcount's, it is newer than
            this version, or it cannot be read or written.
    """
    folder = DataFolder(path)
    with errors_named(path):
        version = require_format(path)
        if version is None:
            if require_existing:
                raise DataFolderError(
                    f"There is no data folder of Headcount at {path}, and one must exist"
                    " (--require-existing).",
                    "Mount or restore the one that was there; for a first start, make it:"
                    f" headcount workspace add NAME --data {path}",
                )
            if not create:
                raise DataFolderError(
                    f"There is no data folder of Headcount at {path}.",
                    "Name yours with --data or HEADCOUNT_DATA; `headcount serve` and"
                    " `headcount workspace add` make a new one.",
                )
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            begin_identity(path)
            mark_data_folder(path)
            version = FORMAT_VERSION
        writes = create if write is None else write
        if version >= _WITH_IDENTITY and not folder.identity.is_file():
            raise DamagedDataError(
                f"{folder.identity} is missing or no file, which says what the data folder holds.",
                "Restore the data folder from a backup, or let it be rewritten"
                f"{'' if version == FORMAT_VERSION else ' by the version that made it'}:"
                " headcount doctor --repair",
            )
        if version < FORMAT_VERSION:
            _upgrade(folder, version, write=writes)
        elif writes and folder.former.is_dir():
            # What is left of an upgrade that is done can wait.
            with contextlib.suppress(OSError, DataFolderError):
                _upgrade(folder, version, write=True)
        if writes:
            close_to_others(path)
        if create:
            folder.journals.mkdir(mode=0o700, exist_ok=True)
            if not os.access(path, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    return folder


def _upgrade(folder: DataFolder, version: int, *, write: bool) -> None:
    """Bring a folder of the former format to this version's, once nobody else uses it."""
    if not write:
        raise DataFolderError(
            f"{folder.path} has format {version}, and this version of Headcount reads"
            f" format {FORMAT_VERSION}.",
            "The next `headcount serve` upgrades it, as does any command that writes.",
        )
    try:
        lock = FolderLock(folder.serve_lock, "upgrade")
    except FolderBusyError:
        if require_format(folder.path) == FORMAT_VERSION:
            return  # another process has upgraded it meanwhile, and may run on it
        raise
    # Loaded by those alone who need it: intake, above all, is to stay small.
    from headcount.upgrade import upgrade_folder

    try:
        with lock:
            upgrade_folder(folder.path, mark_data_folder)
    except OSError as error:
        raise DataFolderError(
            f"{folder.path} is to be upgraded from format {version} to {FORMAT_VERSION}, and the"
            f" disk refuses: {error.strerror or error}.",
            "Make room on the disk, or let the data folder be written, then try again; what is"
            " there still counts.",
        ) from error


def load_hash_key(folder: DataFolder, catalog: Catalog, file: Path | None = None) -> bytes:
    """The secret key under which this installation hashes ids; made at the first start.

    While two are in use, the one that serves the later months; otherwise as `load_key_ring`.
    """
    return _load_keys(folder, catalog, file)[1][-1]


def load_key_ring(folder: DataFolder, catalog: Catalog, file: Path | None = None) -> KeyRing:
    """The secret keys under which this installation hashes ids; the first is made at a first start.

    Args:
        folder: the data folder.
        catalog: the folder's catalog, which remembers the keys' fingerprints and months.
        file: where the keys lie; the folder's `hash.key` when None.

    Raises:
        DataFolderError: a key is missing, unreadable or damaged, or it is another one than the
            counts in this folder were made under.
    """
    return KeyRing(*_load_keys(folder, catalog, file))


def _load_keys(
    folder: DataFolder, catalog: Catalog, file: Path | None
) -> tuple[KeyPlan, list[bytes]]:
    place = file or folder.hash_key
    # Read before the file: a key is in there before the catalog names it.
    held = catalog.hash_keys()
    wanted = held.fingerprints
    with errors_named(place):
        if not wanted and not place.exists():
            put_new(place, hash_key_lines([secrets.token_bytes(HASH_KEY_BYTES)]))
    found = read_hash_keys(place)
    if not wanted:
        # Written at the first start only: the disk may be full later, and the catalog open for
        # reading.
        catalog.set_hash_key_fingerprint(list(found)[-1])
        held = catalog.hash_keys()
        wanted = held.fingerprints
    if not set(wanted) <= set(found):
        if catalog.hash_keys() != held:
            # The former key was retired meanwhile.
            return _load_keys(folder, catalog, file)
        raise DataFolderError(
            f"{place} holds another hash key than the one under which {folder.path} was counted,"
            " and every tracked user would be counted again.",
            "Put the former key back from a backup, or name its place with --hash-key.",
        )
    return held.plan, [found[fingerprint] for fingerprint in wanted]


def hash_key_lines(keys: Iterable[bytes]) -> bytes:
    """The content of a file of hash keys, in the order of the months that they serve."""
    return b"".join(key.hex().encode() + b"\n" for key in keys)


def read_hash_keys(place: Path) -> dict[str, bytes]:
    """The hash keys in a file by their fingerprints, in its order; at least one.

    Raises:
        DataFolderError: the file is missing or unreadable, or holds something else.
    """
    with errors_named(place):
        try:
            text = read_small(place)
        except FileNotFoundError:
            raise DataFolderError(
                f"The hash key {place} is missing, and without it ids seen before would be"
                " counted again.",
                "Put it back from a backup, or name its place with --hash-key.",
            ) from None
    try:
        keys = [bytes.fromhex(line) for line in text.decode("ascii").split()]
        found = {IdHasher(key).fingerprint: key for key in keys}
    except ValueError:
        found = {}
    if not found:
        raise DataFolderError(
            f"{place} does not hold a hash key ({2 * HASH_KEY_BYTES} hexadecimal digits).",
            "Put the key back from a backup, or name its place with --hash-key.",
        )
    return found
