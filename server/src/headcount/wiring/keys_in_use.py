"""The keys under which ids are hashed, in a process that takes messages in.

Takes the catalog, which says which key serves which month, and the file of the keys; answers at
once.

Workers learn of a next key at different moments, and of one message a copy may come to each. So a
next key serves from a month on that is at least a day away, and who has not been able to ask for
nearly as long takes nothing in: what its message's month is hashed under would be a guess.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable
from pathlib import Path

from headcount.catalog import Catalog, HashKeys
from headcount.counting.hashing import KeyPlan, KeyRing
from headcount.datafolder import DataFolder, hash_key_lines, load_key_ring, read_hash_keys
from headcount.durable import put_whole
from headcount.errors import DataFolderError, StorageUnavailableError
from headcount.troubles import Troubles
from headcount.wiring.errors_explained import explained

__all__ = ["NOTICE_S", "CatalogHashKeys", "CatalogKeyPlan", "FormerKey", "drop_unused_keys"]

_log = logging.getLogger(__name__)

NOTICE_S = 24 * 3600.0
"""How long before its first month a next key is named, at least."""

_KNOWN_FOR_S = NOTICE_S - 3600.0
_ASK_EVERY_S = 1.0
_LOOK_EVERY_S = 60.0


class CatalogHashKeys:
    """The keys in use, as of the last refresh.

    Args:
        folder: the data folder.
        catalog: its catalog, open.
        file: where the keys lie; the folder's `hash.key` when None.
        clock_s: seconds that never run backwards.

    Raises:
        DataFolderError: the keys cannot be used as they are.
    """

    def __init__(
        self,
        folder: DataFolder,
        catalog: Catalog,
        file: Path | None,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = folder
        self._catalog = catalog
        self._file = file
        self._clock_s = clock_s
        self._version = -1
        self._ring: KeyRing = load_key_ring(folder, catalog, file)
        self._asked_at_s = clock_s()

    def refresh(self) -> None:
        """Ask the catalog, and read the keys anew if there are others.

        Raises:
            DataFolderError: they cannot be read; all stays as it was read last.
        """
        asked_at_s = self._clock_s()
        version = self._catalog.version()
        if version != self._version:
            if self._catalog.hash_keys().plan != self._ring.plan:
                self._ring = load_key_ring(self._folder, self._catalog, self._file)
            self._version = version
        self._asked_at_s = asked_at_s

    def ring(self) -> KeyRing:
        """The keys in use.

        Raises:
            StorageUnavailableError: for too long nobody could say.
        """
        if self._clock_s() - self._asked_at_s > _ASK_EVERY_S:
            # A worker asks by itself, and says why it cannot; an import asks here.
            with contextlib.suppress(DataFolderError):
                self.refresh()
            if self._clock_s() - self._asked_at_s > _KNOWN_FOR_S:
                raise StorageUnavailableError("which hash key serves this month cannot be read")
        return self._ring


class CatalogKeyPlan:
    """Which key serves which month, as the catalog has it at the moment; needs no key.

    Args:
        catalog: open.
        clock_s: seconds that never run backwards.
    """

    def __init__(self, catalog: Catalog, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._catalog = catalog
        self._clock_s = clock_s
        self._version = -1
        self._plan = catalog.hash_keys().plan
        self._asked_at_s = clock_s()

    def __call__(self) -> KeyPlan:
        """The plan.

        Raises:
            StorageUnavailableError: for too long nobody could say.
        """
        asked_at_s = self._clock_s()
        try:
            version = self._catalog.version()
            if version != self._version:
                self._plan, self._version = self._catalog.hash_keys().plan, version
            self._asked_at_s = asked_at_s
        except DataFolderError as error:
            if asked_at_s - self._asked_at_s > _KNOWN_FOR_S:
                raise StorageUnavailableError(error.problem.rstrip(".")) from error
        return self._plan


def drop_unused_keys(folder: DataFolder, catalog: Catalog) -> bool:
    """Take keys under which nothing is hashed any more out of the folder's own file of keys.

    A file elsewhere may be another installation's too; who owns it is told by doctor.

    Returns:
        Whether there were any.

    Raises:
        DataFolderError: the catalog or the file cannot be used as they are.
        OSError: the disk refused.
    """
    dropped = False

    def drop(keys: HashKeys) -> None:
        nonlocal dropped
        found = read_hash_keys(folder.hash_key)
        if keys.fingerprints and set(keys.fingerprints) < set(found):
            put_whole(folder.hash_key, hash_key_lines(found[each] for each in keys.fingerprints))
            dropped = True

    catalog.while_unchanged(drop)
    return dropped


class FormerKey:
    """Retires the former of two keys once nothing is left that was hashed under it.

    Args:
        folder: the data folder.
        file: where the settings place the keys; None for the folder's own file, out of which the
            former key is then taken.
        troubles: where it is said that this fails.
        clock_s: seconds that never run backwards.
    """

    def __init__(
        self,
        folder: DataFolder,
        file: Path | None,
        troubles: Troubles,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = folder
        self._file = file
        self._troubles = troubles
        self._clock_s = clock_s
        self._looked_at_s: float | None = None

    def look(self, is_done: Callable[[], bool]) -> None:
        """Retire it if that is due, about once a minute; every journal must be drained."""
        is_first = self._looked_at_s is None
        if not is_first and self._clock_s() - (self._looked_at_s or 0.0) < _LOOK_EVERY_S:
            return
        self._looked_at_s = self._clock_s()
        try:
            if is_done():
                with Catalog(self._folder.catalog) as catalog:
                    keys = catalog.retire_hash_key()
                _log.info("the former hash key is retired; %s serves all months", keys.fingerprint)
                is_first = True
            # One whose last step was interrupted may still be in the file.
            if is_first and self._file is None:
                with Catalog(self._folder.catalog) as catalog:
                    drop_unused_keys(self._folder, catalog)
        except (DataFolderError, OSError) as error:
            said, remedy = explained(error)
            message = (
                f"The former hash key is not needed any more, and could not be retired: {said}"
            )
            self._troubles.begin("hash_key", message, remedy, hinders=False)
            self._looked_at_s = None
        else:
            self._troubles.end("hash_key")
