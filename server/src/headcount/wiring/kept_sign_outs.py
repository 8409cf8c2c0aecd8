"""Who has signed out of the page while other nodes could not be told, in a file of one line each.

Holds hashes, which open nothing. It is for the process that comes after one that was ended; what a
machine that loses power has not put on its disk yet is lost.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Collection
from pathlib import Path

import msgspec

from headcount.durable import read_small
from headcount.page.sealed_sessions import EndedSession

__all__ = ["KeptSignOuts"]

_log = logging.getLogger(__name__)


class KeptSignOuts:
    """The file; it is not there where everybody knows everything.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._is_refused = False

    def read(self, now_ms: int) -> list[EndedSession]:
        """What can still be used elsewhere; a line that was not written to its end is left out."""
        found = []
        try:
            lines = read_small(self._path).splitlines()
        except FileNotFoundError:
            return []
        except OSError as error:
            self._say(error)
            return []
        for line in lines:
            try:
                ended = msgspec.json.decode(line, type=EndedSession)
            except ValueError:
                continue
            if ended.until_ms > now_ms:
                found.append(ended)
        self.replace(found)
        return found

    def add(self, ended: EndedSession) -> None:
        """Keep one more."""
        self._write(self._path, os.O_APPEND, [ended])

    def replace(self, ended: Collection[EndedSession]) -> None:
        """Keep these alone."""
        draft = self._path.with_suffix(".draft")
        try:
            if not ended:
                self._path.unlink(missing_ok=True)
            elif self._write(draft, os.O_TRUNC, ended):
                draft.replace(self._path)
        except OSError as error:
            self._say(error)

    def _write(self, path: Path, how: int, ended: Collection[EndedSession]) -> bool:
        data = b"".join(msgspec.json.encode(each) + b"\n" for each in ended)
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | how, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
        except OSError as error:
            self._say(error)
            return False
        self._is_refused = False
        return True

    def _say(self, error: OSError) -> None:
        """Once: nobody stays signed in for it here, and what waits is told unless this ends."""
        if not self._is_refused:
            self._is_refused = True
            _log.warning(
                "%s cannot be used (%s): who signs out while the registry is away stays signed in"
                " on other nodes if this process ends before it is back",
                self._path,
                error.strerror,
            )
