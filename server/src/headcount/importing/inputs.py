"""The files of an import: takes paths, folders, addresses and "-", gives what is to be read and
what is not.

Refuses, before anything is read, what is not there and what it cannot decompress. Of a folder, and
of what lies below an address, every file is either taken or left out by name: none is passed over.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from headcount.errors import UsageError
from headcount.importing.contents import Reading
from headcount.importing.objects import RemoteObject, found_objects, is_address

__all__ = ["ENDINGS", "TABLE_ENDINGS", "FoundFiles", "Input", "LeftOut", "found_inputs"]

ENDINGS = (".ndjson", ".jsonl", ".json", ".csv", ".tsv", ".parquet", ".gz", ".zst")
"""What the name of a file ends in, in any case, that is taken out of a folder."""

TABLE_ENDINGS = (".csv", ".tsv", ".csv.gz", ".tsv.gz", ".csv.zst", ".tsv.zst")
"""How the names of tables in text end."""

_COMPRESSIONS = {".bz2": "bzip2", ".xz": "xz", ".lz4": "lz4"}
_ZIP = ".zip"


@dataclass(frozen=True, slots=True)
class Input:
    """One file of an import.

    Attributes:
        name: what messages call it.
        place: where it lies; None for standard input.
        size_bytes: its size; None where nobody knows.
    """

    name: str
    place: Path | RemoteObject | None
    size_bytes: int | None

    @property
    def path(self) -> str:
        """Its whole path or address, parts separated by "/"; empty for standard input."""
        if self.place is None:
            return ""
        if isinstance(self.place, RemoteObject):
            return self.place.name
        return self.place.absolute().as_posix()

    @property
    def is_table(self) -> bool:
        """Whether it is called like a table."""
        return self.name.lower().endswith((*TABLE_ENDINGS, ".parquet"))

    def opened(self) -> Reading:
        """The file's decompressed bytes, from its beginning.

        Raises:
            OSError: it cannot be opened.
        """
        place = self.place
        if place is None:
            # A second reader of the same file: closing it must not close standard input itself.
            return Reading(open(sys.stdin.fileno(), "rb", closefd=False), "")
        if isinstance(place, RemoteObject):
            return Reading(place.opened(), place.name)
        return Reading(place.open("rb"), place.name)


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A file of a folder that is not taken, and why."""

    name: str
    why: str


@dataclass(slots=True)
class FoundFiles:
    """What a command line names, the files of a folder in the order of their names."""

    inputs: list[Input] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    skipped: int = 0

    @property
    def files(self) -> int:
        """How many there are, whatever becomes of them."""
        return len(self.inputs) + len(self.left_out) + self.skipped


def found_inputs(names: Sequence[str], skip: Sequence[str] = ()) -> FoundFiles:
    """The files that a command line names.

    Args:
        names: paths, addresses, or "-".
        skip: patterns of names, or of whole paths, that are passed over inside of folders and
            below addresses, because somebody said so.

    Raises:
        UsageError: something is not there, is empty of records, or is compressed in a way that
            this version does not read.
    """
    found = FoundFiles()
    for name in names:
        path = Path(name)
        if name == "-":
            found.inputs.append(Input("standard input", None, None))
        elif is_address(name):
            _add_objects(name, skip, found)
        elif path.is_dir():
            _add_folder(path, skip, found)
        else:
            if not path.exists():
                raise UsageError(f"There is no file {name}.", "Check its path.")
            _refuse_unknown_compression(name)
            found.inputs.append(Input(name, path, _size_bytes(path)))
    return found


def _add_folder(folder: Path, skip: Sequence[str], found: FoundFiles) -> None:
    before = found.files
    files: list[Path] = []
    seen: set[tuple[int, int]] = set()

    def unread(error: OSError) -> None:
        found.left_out.append(LeftOut(str(error.filename), f"it cannot be read: {error.strerror}"))

    # Links are followed, each folder once, so that a link to what is around it ends.
    for place, folders, inside in os.walk(folder, onerror=unread, followlinks=True):
        status = Path(place).stat()
        if (status.st_dev, status.st_ino) in seen:
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        files += [Path(place) / name for name in inside]
    for each in sorted(files):
        if _matches(each.as_posix(), skip):
            found.skipped += 1
            continue
        why = _why_not(each.name)
        if why is None and not each.is_file():
            why = "it is no file, or a link to nothing"
        if why is None:
            found.inputs.append(Input(str(each), each, _size_bytes(each)))
        else:
            found.left_out.append(LeftOut(str(each), why))
    if found.files == before:
        raise UsageError(
            f"The folder {folder} holds no file to import.",
            f"Name files one by one, or let their names end in {ENDINGS[0]} or the like.",
        )


def _add_objects(address: str, skip: Sequence[str], found: FoundFiles) -> None:
    named, below = found_objects(address)
    found.inputs.extend(Input(each.name, each, each.size_bytes) for each in named)
    for each in below:
        if _matches(each.name, skip):
            found.skipped += 1
            continue
        why = _why_not(each.path.rpartition("/")[2])
        if why is None:
            found.inputs.append(Input(each.name, each, each.size_bytes))
        else:
            found.left_out.append(LeftOut(each.name, why))
    if not named and not below:
        raise UsageError(f"There is nothing to import at {address}.", "Check the address.")


def _matches(path: str, patterns: Sequence[str]) -> bool:
    name = path.rpartition("/")[2]
    return any(fnmatchcase(name, each) or fnmatchcase(path, each) for each in patterns)


def _why_not(name: str) -> str | None:
    """Why a file of that name is not taken out of a folder; None where it is."""
    lowered = name.lower()
    if lowered.endswith(ENDINGS):
        return None
    ending = PurePosixPath(lowered).suffix
    if program := _COMPRESSIONS.get(ending):
        return f"it is compressed with {program}; use: {program} -dc FILE | headcount import -"
    if ending == _ZIP:
        return "it is a zip file; unpack it first"
    return "its name says of no form that is read; if it holds messages, name it on its own"


def _size_bytes(path: Path) -> int | None:
    # A pipe or a device has no size that says anything about its end.
    return path.stat().st_size if path.is_file() else None


def _refuse_unknown_compression(name: str) -> None:
    program = _COMPRESSIONS.get(PurePosixPath(name.lower()).suffix)
    if program is not None:
        raise UsageError(
            f"{name} is compressed with {program}; only .gz and .zst are read directly.",
            f"Use: {program} -dc {name} | headcount import - ...",
        )
