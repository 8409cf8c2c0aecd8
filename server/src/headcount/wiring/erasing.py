"""Erasing deleted workspaces once that is due: takes the catalog and a meter, has both forget them.

The store first: a workspace whose counts are gone and whose name is not is erased again, one the
other way round would be nobody's.
"""

from __future__ import annotations

import logging
import time

from headcount.catalog import Catalog
from headcount.clock import now_ms
from headcount.datafolder import DataFolder
from headcount.errors import DataFolderError, StorageUnavailableError
from headcount.meter import Meter
from headcount.troubles import Troubles
from headcount.wiring.errors_explained import explained

__all__ = ["ERASED_AFTER_DAYS", "Erasing"]

_log = logging.getLogger(__name__)

ERASED_AFTER_DAYS = 30
"""How long a deleted workspace can be taken back."""

_LOOK_EVERY_S, _LOOK_AT_LEAST_EVERY_S = 0.5, 60.0


class Erasing:
    """Erases the deleted workspaces of one folder.

    Args:
        folder: the data folder.
        troubles: where it is said that this fails; None to let it fail.
    """

    def __init__(self, folder: DataFolder, troubles: Troubles | None = None) -> None:
        self._folder = folder
        self._troubles = troubles
        self._catalog: Catalog | None = None
        self._version = -1
        self._asked_at_s = self._looked_at_s = float("-inf")

    def look(self, meter: Meter) -> None:
        """Erase what is due, about once a minute; every journal must be drained."""
        now_s = time.monotonic()
        if now_s - self._asked_at_s < _LOOK_EVERY_S:
            return
        self._asked_at_s = now_s
        try:
            self._erase(meter, now_s)
        except (DataFolderError, StorageUnavailableError) as error:
            if self._troubles is None:
                raise
            said, remedy = explained(error)
            message = f"Deleted workspaces are not erased yet: {said}"
            self._troubles.begin("erasing", message, remedy, hinders=False)
        else:
            if self._troubles is not None:
                self._troubles.end("erasing")

    def _erase(self, meter: Meter, now_s: float) -> None:
        if self._catalog is None:
            self._catalog = Catalog(self._folder.catalog, read_only=True)
        version = self._catalog.version()
        if version == self._version and now_s - self._looked_at_s < _LOOK_AT_LEAST_EVERY_S:
            return
        moment = now_ms()
        due = [each for each in self._catalog.deletions() if moment >= each.erase_from_ms]
        if due:
            meter.erase({each.number for each in due})
        fresh = [each.number for each in due if each.erased_at_ms is None]
        if fresh:
            with Catalog(self._folder.catalog) as catalog:
                for number in fresh:
                    catalog.erase_workspace(number, moment)
                    _log.info("workspace %d was deleted, and is erased", number)
        self._version, self._looked_at_s = version, now_s

    def close(self) -> None:
        """Release the catalog; idempotent."""
        if self._catalog is not None:
            self._catalog.close()
            self._catalog = None
