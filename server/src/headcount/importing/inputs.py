"""The files of an import: takes paths, folders, addresses and "-", gives readers that never raise
half-way.

Refuses, before anything is read, what is not there and what it cannot decompress.
"""

from __future__ import annotations

import io
import sys
from dataclasses import dataclass
from pathlib import Path

from headcount.errors import UsageError
from headcount.importing.compression import Damaged, Pieces, decompressed
from headcount.importing.objects import RemoteObject, found_objects, is_address

__all__ = ["Input", "Reading", "found_inputs"]

_KINDS = (".ndjson", ".jsonl", ".json")
_ENDINGS = tuple(kind + how for kind in _KINDS for how in ("", ".gz", ".zst"))


class Reading(io.RawIOBase):
    """What is in a file, decompressed; it ends where the file breaks, and then says how.

    Attributes:
        failure: why it could not be read to its end; None if it could.
    """

    def __init__(self, raw: io.BufferedReader, name: str) -> None:
        self._raw = raw
        self._name = name
        self._pieces: Pieces | None = None
        self.failure: str | None = None

    @property
    def bytes_read(self) -> int:
        """How far it was read, in bytes of the file itself, compressed or not."""
        try:
            return 0 if self._raw.closed else self._raw.tell()
        except OSError:
            return 0  # a pipe does not know where it stands

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        try:
            if self._pieces is None:
                self._pieces = decompressed(self._raw, self._name)
            piece = self._pieces.read1(len(buffer))
        except Damaged as error:
            self.failure = f"cannot be read to its end: {error}."
            return 0
        except OSError as error:
            self.failure = f"cannot be read to its end: {error.strerror or error}."
            return 0
        buffer[: len(piece)] = piece
        return len(piece)

    def close(self) -> None:
        self._raw.close()
        super().close()


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

    def opened(self) -> Reading:
        """The file's decompressed bytes, from its beginning."""
        place = self.place
        if place is None:
            # A second reader of the same file: closing it must not close standard input itself.
            return Reading(open(sys.stdin.fileno(), "rb", closefd=False), "")
        if isinstance(place, RemoteObject):
            return Reading(place.opened(), place.name)
        try:
            return Reading(place.open("rb"), place.name)
        except OSError as error:
            broken = Reading(io.BufferedReader(io.BytesIO()), "")
            broken.failure = f"cannot be opened: {error.strerror}."
            return broken


def found_inputs(names: tuple[str, ...]) -> list[Input]:
    """The files that a command line names, those inside of folders in the order of their names.

    Raises:
        UsageError: something is not there, is empty of records, or is compressed in a way that
            this version does not read.
    """
    inputs: list[Input] = []
    for name in names:
        path = Path(name)
        if name == "-":
            inputs.append(Input("standard input", None, None))
        elif is_address(name):
            objects = found_objects(name, _ENDINGS)
            inputs.extend(Input(each.name, each, each.size_bytes) for each in objects)
        elif path.is_dir():
            inside = sorted(
                each for each in path.rglob("*") if each.name.endswith(_ENDINGS) and each.is_file()
            )
            if not inside:
                raise UsageError(
                    f"The folder {name} holds no file to import.",
                    f"Name its files one by one, or let their names end in {_ENDINGS[0]}.",
                )
            inputs.extend(Input(str(each), each, _size_bytes(each)) for each in inside)
        else:
            if not path.exists():
                raise UsageError(f"There is no file {name}.", "Check its path.")
            _refuse_unknown_compression(name)
            inputs.append(Input(name, path, _size_bytes(path)))
    return inputs


def _size_bytes(path: Path) -> int | None:
    # A pipe or a device has no size that says anything about its end.
    return path.stat().st_size if path.is_file() else None


def _refuse_unknown_compression(name: str) -> None:
    for ending, program in ((".bz2", "bzip2"), (".xz", "xz"), (".lz4", "lz4")):
        if name.endswith(ending):
            raise UsageError(
                f"{name} is compressed with {program}; only .gz and .zst are read directly.",
                f"Use: {program} -dc {name} | headcount import - ...",
            )
