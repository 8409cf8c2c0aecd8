"""The files of an import: takes paths, folders and "-", gives readers that never raise half-way.

Refuses, before anything is read, what is not there and what it cannot decompress.
"""

from __future__ import annotations

import gzip
import io
import sys
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from headcount.errors import UsageError

__all__ = ["Input", "Reading", "found_inputs"]

_ENDINGS = (".ndjson", ".jsonl", ".json", ".ndjson.gz", ".jsonl.gz", ".json.gz")


class Reading(io.RawIOBase):
    """A file that ends where it breaks, and then says how.

    Attributes:
        failure: why it could not be read to its end; None if it could.
    """

    def __init__(self, raw: BinaryIO, decoded: BinaryIO | gzip.GzipFile) -> None:
        self._raw = raw
        self._decoded = decoded
        self._seekable = raw.seekable()
        self.failure: str | None = None

    @property
    def bytes_read(self) -> int:
        """How far it was read, in bytes of the file itself, compressed or not."""
        return self._raw.tell() if self._seekable and not self._raw.closed else 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        try:
            piece = self._decoded.read(len(buffer))
        except (OSError, EOFError, zlib.error) as error:
            self.failure = f"cannot be read to its end: {error}"
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
        path: where it lies; None for standard input.
        size_bytes: its size; None where nobody knows.
    """

    name: str
    path: Path | None
    size_bytes: int | None

    def opened(self) -> Reading:
        """The file's decompressed bytes, from its beginning."""
        raw: BinaryIO = sys.stdin.buffer
        if self.path is not None:
            try:
                raw = self.path.open("rb")
            except OSError as error:
                broken = Reading(io.BytesIO(), io.BytesIO())
                broken.failure = f"cannot be opened: {error.strerror}"
                return broken
        if self.name.endswith(".gz"):
            return Reading(raw, gzip.GzipFile(fileobj=raw))
        return Reading(raw, raw)


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
    for ending, program in ((".zst", "zstd"), (".bz2", "bzip2"), (".xz", "xz")):
        if name.endswith(ending):
            raise UsageError(
                f"{name} is compressed with {program}, and only .gz is read directly.",
                f"Use: {program} -dc {name} | headcount import - ...",
            )
