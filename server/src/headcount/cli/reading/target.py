"""Where data goes: takes the name of a file, the address of an object or "-", gives a stream.

A file, or an object, appears whole or not at all. Refuses to fill a terminal with bytes that it
cannot show.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from headcount.errors import OperatorError, UsageError
from headcount.privacy import as_the_person_has_it

__all__ = ["STDOUT", "whole_target"]

STDOUT = "-"


@contextmanager
def whole_target(name: str, *, binary: bool) -> Iterator[BinaryIO]:
    """A stream into a file, or to standard output.

    Args:
        name: path of the file, which is replaced if there is one; an address such as
            `s3://bucket/usage.csv`; `"-"` for standard output.
        binary: whether the data is no text.

    Raises:
        UsageError: binary data for a terminal, or an address of no object.
        OperatorError: the file, or the object, cannot be written.
    """
    if "://" in name:
        from headcount.importing.objects import object_target

        target = object_target(name)
        # Sent once all of it is there: what is broken off half-way leaves no object.
        with tempfile.TemporaryFile() as draft:
            yield draft
            draft.seek(0)
            target.put(draft)
    elif name != STDOUT:
        with _whole_file(Path(name)) as file:
            yield file
    elif not binary:
        yield sys.stdout.buffer
    elif sys.stdout.isatty():
        raise UsageError(
            "A terminal cannot show this format.", "Redirect the output, as in: … > usage.parquet"
        )
    else:
        # A pipe cannot be asked where it stands, which writers of such formats want to know.
        with tempfile.TemporaryFile() as draft:
            yield draft
            draft.seek(0)
            shutil.copyfileobj(draft, sys.stdout.buffer)


@contextmanager
def _whole_file(path: Path) -> Iterator[BinaryIO]:
    draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
    try:
        if path.exists() and not path.is_file():
            # A device or a named pipe is written to, not replaced.
            with path.open("wb") as device:
                yield device
            return
        try:
            with as_the_person_has_it():
                file = draft.open("wb")
            with file:
                yield file
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise OperatorError(
            f"{path} cannot be written: {error.strerror or error}.",
            "Name another place, or fix its permissions or its disk.",
        ) from error
