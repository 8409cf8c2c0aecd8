"""What a backup says of itself: takes and gives JSON, refuses what is not a whole backup, what a
newer version took, and paths that lead out of the folder."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from headcount.datafolder import FORMAT_VERSION, DataFolder
from headcount.durable import put_whole
from headcount.errors import DataFolderError

__all__ = ["CopiedFile", "HashKey", "Manifest", "read_manifest", "write_manifest"]

BACKUP_FORMAT = 1
_PLACES = DataFolder(Path())
_PATH = re.compile(
    "|".join(re.escape(str(each)) for each in (_PLACES.catalog, _PLACES.store, _PLACES.hash_key))
    + rf"|{_PLACES.journals}/[\w-]+\.sqlite|{_PLACES.keys}/[\w-]+\.keys",
    re.ASCII,
)


class CopiedFile(msgspec.Struct, frozen=True):
    """One file.

    Attributes:
        path: relative to the backup, and to the data folder.
        bytes: its size.
        blake2b: its checksum, 32 bytes as hexadecimal digits.
    """

    path: str
    bytes: int
    blake2b: str


class HashKey(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """The key under which ids were hashed, or the two where one follows the other.

    Attributes:
        fingerprint: by which it is known.
        included: whether it is in the backup.
        next_fingerprint: of the key that serves from a later month on; None where there is none.
    """

    fingerprint: str
    included: bool
    next_fingerprint: str | None = None

    @property
    def fingerprints(self) -> list[str]:
        """Of all of them, in the order of the months that they serve."""
        return [each for each in (self.fingerprint, self.next_fingerprint) if each is not None]


class Manifest(msgspec.Struct, frozen=True, rename="camel"):
    """The whole of it.

    Attributes:
        backup_format: version of this form.
        data_format: version of the data folder's.
        headcount: version of the program that took it.
        taken_at: when it began, RFC 3339: what was acknowledged before is in it.
        hash_key: None if no server had ever run on the folder.
        files: all files but this one.
    """

    backup_format: int
    data_format: int
    headcount: str
    taken_at: str
    hash_key: HashKey | None
    files: list[CopiedFile]

    @property
    def total_bytes(self) -> int:
        """Size of all files."""
        return sum(file.bytes for file in self.files)


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest, durably; the backup is whole from then on.

    Raises:
        OSError: the disk refused.
    """
    content = msgspec.json.format(msgspec.json.encode(manifest)) + b"\n"
    put_whole(DataFolder(folder).manifest, content)


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a backup whose files are all there, in the sizes that it says.

    Raises:
        DataFolderError: the folder is not a whole backup, or a newer version took it.
    """
    place = DataFolder(folder).manifest
    try:
        manifest = msgspec.json.decode(place.read_bytes(), type=Manifest)
    except (FileNotFoundError, NotADirectoryError):
        raise DataFolderError(
            f"{folder} is not a backup of Headcount, or one that was not finished.",
            "Name the folder that `headcount backup` made.",
        ) from None
    except (OSError, msgspec.DecodeError) as error:
        raise DataFolderError(f"{place} cannot be read: {error}.", "Use another backup.") from error
    if min(manifest.backup_format, manifest.data_format) < 1:
        raise DataFolderError(
            f"{place} names a format that no version of Headcount has made.", "Use another backup."
        )
    if manifest.backup_format > BACKUP_FORMAT or manifest.data_format > FORMAT_VERSION:
        raise DataFolderError(
            f"{folder} was taken by a newer version of Headcount ({manifest.headcount}).",
            "Install that version or a later one.",
        )
    for file in manifest.files:
        if not _PATH.fullmatch(file.path):
            raise DataFolderError(
                f"{place} names a file that no backup has: {file.path!r}.", "Use another backup."
            )
        found = folder / file.path
        if not found.is_file() or found.stat().st_size != file.bytes:
            raise DataFolderError(
                f"{found} is missing, or has another size than when the backup was taken.",
                "Copy the backup again from where it came, or use another one.",
            )
    return manifest
