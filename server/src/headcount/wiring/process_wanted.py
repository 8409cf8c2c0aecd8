"""Whether a server needs a process that not every one has: takes its data folder, looks at the
catalog.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from headcount.catalog import Catalog
from headcount.cluster.catalogs import membership_of
from headcount.datafolder import DataFolder
from headcount.errors import DataFolderError
from headcount.spool.segment_files import sources_in

__all__ = ["Wanted", "has_alerts", "has_forwardings", "wanted"]


_LOOK_EVERY_S = 0.3

Wanted = Callable[[DataFolder, Catalog], bool]
"""Says whether a process is wanted, as the catalog is now."""


def has_forwardings(folder: DataFolder, catalog: Catalog) -> bool:
    """Whether any source forwards, or ever has: what it has left is to go as well."""
    return bool(sources_in(folder.spool) or catalog.forwardings())


def has_alerts(folder: DataFolder, catalog: Catalog) -> bool:
    """Whether anybody is told anything, or is to be: what nobody is told is written down too.

    In a cluster also whether nodes have to agree on that.
    """
    if catalog.channels() or catalog.alert_rules():
        return True
    return membership_of(folder) is not None and bool(catalog.quotas())


async def wanted(folder: DataFolder, stopping: asyncio.Event, is_wanted: Wanted) -> bool:
    """Wait until a process is wanted; False where the server is told to stop before it is."""
    with contextlib.closing(_Looking(folder, is_wanted)) as looking:
        while not await asyncio.to_thread(looking.look):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), _LOOK_EVERY_S)
                return False
    return True


class _Looking:
    """Looks whether a process is wanted; asked a few times a second.

    Args:
        folder: the data folder.
        is_wanted: what is asked of the catalog when that has changed.
    """

    def __init__(self, folder: DataFolder, is_wanted: Wanted) -> None:
        self._folder = folder
        self._is_wanted = is_wanted
        self._catalog: Catalog | None = None
        self._version = -1
        self._wanted = False

    def look(self) -> bool:
        """Whether it is; what cannot be read now is read the next time."""
        try:
            if self._catalog is None:
                self._catalog = Catalog(self._folder.catalog, read_only=True)
            version = self._catalog.version()
            if version != self._version:
                self._wanted = self._is_wanted(self._folder, self._catalog)
                self._version = version
        except DataFolderError:
            self.close()
        return self._wanted

    def close(self) -> None:
        """Close the catalog; idempotent."""
        if self._catalog is not None:
            self._catalog.close()
            self._catalog = None
            self._version = -1
