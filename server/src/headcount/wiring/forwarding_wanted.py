"""Whether a server needs a process that forwards: takes its data folder, looks at the catalog."""

from __future__ import annotations

import asyncio
import contextlib

from headcount.catalog import Catalog
from headcount.datafolder import DataFolder
from headcount.errors import DataFolderError
from headcount.spool.segment_files import sources_in

__all__ = ["forwarding_wanted"]


_LOOK_EVERY_S = 0.3


async def forwarding_wanted(folder: DataFolder, stopping: asyncio.Event) -> bool:
    """Wait until any source forwards; False where the server is told to stop before one does."""
    with contextlib.closing(_Catalog(folder)) as catalog:
        while not await asyncio.to_thread(catalog.has_forwardings):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), _LOOK_EVERY_S)
                return False
    return True


class _Catalog:
    """Looks whether any source has ever forwarded; asked a few times a second.

    Args:
        folder: the data folder.
    """

    def __init__(self, folder: DataFolder) -> None:
        self._folder = folder
        self._catalog: Catalog | None = None
        self._version = -1
        self._wanted = False

    def has_forwardings(self) -> bool:
        """Whether one has; what cannot be read now is read the next time."""
        try:
            if self._catalog is None:
                self._catalog = Catalog(self._folder.catalog, read_only=True)
            version = self._catalog.version()
            if version != self._version:
                # What a source has left that is gone is to go as well.
                left = sources_in(self._folder.spool)
                self._wanted = bool(left or self._catalog.forwardings())
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
