"""Forgetting people on a single machine: the requests that lie in a folder, for whoever meters it.

The meter of the running server, or the command itself where none runs, waits until everything is
metered that was in the journals by then, puts random keys in the place of the person's, and says in
the file what was found. The file knows how far that is: whoever is killed leaves what the next
start goes on with, before anything else is metered.
"""

from __future__ import annotations

import logging
import time
from pathlib import Path

import msgspec

from headcount.counting.calendar import Period
from headcount.datafolder import DataFolder
from headcount.errors import DataFolderError, OperatorError, StorageUnavailableError
from headcount.meter import Meter
from headcount.meter.forgetting import Forgetting, IdHashes
from headcount.remedies import remedy_for
from headcount.troubles import Troubles
from headcount.wiring.forget_files import (
    id_hashes,
    joined_findings,
    read_request,
    request_files,
    tidy_request,
    write_request,
)

__all__ = ["ForgetRequests"]

_log = logging.getLogger(__name__)

_LOOK_EVERY_S = 0.5


class ForgetRequests:
    """The requests of one folder, for whoever meters it.

    Args:
        folder: the data folder.
        troubles: where it is said that one cannot be done; None to log it only.
    """

    def __init__(self, folder: DataFolder, troubles: Troubles | None = None) -> None:
        self._folder = folder
        self._troubles = troubles
        self._looked_at_s: float | None = None

    def look(self, meter: Meter) -> None:
        """Do what can be done, twice a second at most; nothing is being metered meanwhile."""
        now_s = time.monotonic()
        if (
            self._troubles is not None
            and self._looked_at_s is not None
            and now_s - self._looked_at_s < _LOOK_EVERY_S
        ):
            return
        self._looked_at_s = now_s
        failure: Exception | None = None
        for place in request_files(self._folder):
            try:
                self._do(place, meter)
            except FileNotFoundError:
                continue  # whoever asked has taken it away
            except (StorageUnavailableError, DataFolderError, OSError) as error:
                failure = error
        self._tell(failure)

    def _do(self, place: Path, meter: Meter) -> None:
        request = read_request(place)
        if request.state in ("done", "refused"):
            tidy_request(place, time.time())
            return
        if not meter.has_metered(request.up_to):
            return
        hashes = {number: IdHashes(*each) for number, each in id_hashes(request).items()}
        found = request.found

        def begins(forgetting: Forgetting) -> None:
            nonlocal found
            # Of one that was interrupted all is done already, or nothing.
            found = joined_findings(found, forgetting.found)
            write_request(place, msgspec.structs.replace(request, state="begun", found=found))

        try:
            meter.forget(hashes, request.workspaces, begins)
            if request.state == "begun":
                meter.forget_replaced({Period(each.period) for each in found})
        except (StorageUnavailableError, DataFolderError):
            raise
        except OperatorError as error:
            told = {"problem": error.problem, "remedy": error.remedy}
            write_request(
                place, msgspec.structs.replace(request, state="refused", hashes={}, **told)
            )
            return
        write_request(place, msgspec.structs.replace(request, state="done", hashes={}, found=found))
        _log.info("what was known of ids is replaced, as was asked in %s", place.name)

    def _tell(self, failure: Exception | None) -> None:
        if failure is None:
            if self._troubles is not None:
                self._troubles.end("forgetting")
            return
        if isinstance(failure, DataFolderError):
            said, remedy = failure.problem, failure.remedy
        else:
            said, remedy = f"{failure}.", remedy_for(failure.__cause__ or failure, tried_again=True)
        message = f"What is to be forgotten is not forgotten yet: {said}"
        if self._troubles is None:
            _log.error("%s %s", message, remedy)
        else:
            self._troubles.begin("forgetting", message, remedy, hinders=False)
