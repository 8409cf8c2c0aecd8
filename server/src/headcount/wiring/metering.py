"""The meter's process: one step after the other while the server runs, or until nothing is left.

Holds the lock of the folder's meter; whoever cannot have it leaves the store alone.
"""

from __future__ import annotations

import ctypes
import logging
import math
import threading
import time
from collections.abc import Callable
from contextlib import closing

from headcount.clock import now_ms
from headcount.datafolder import DataFolder, FolderLock, open_data_folder
from headcount.errors import StorageUnavailableError
from headcount.journal import JournalDirectory
from headcount.meter import Meter
from headcount.store.sqlite import SqliteStore
from headcount.wiring.backlog import BacklogReport
from headcount.wiring.child import Child, Task

__all__ = ["meter_until_drained", "run"]

_log = logging.getLogger(__name__)

_PAUSE_LEAST_S, _PAUSE_MOST_S = 0.02, 0.2
_RETRY_S = 0.5
_REPORT_EVERY_S = 1.0
_DRAIN_WITHIN_S = 1.5


def run(task: Task, child: Child) -> None:
    """Meter until told to stop; then meter what is left, for a few seconds at most.

    Raises:
        DataFolderError: the data folder cannot be used as it is.
    """
    folder = open_data_folder(task.folder, create=True)
    with FolderLock(folder.meter_lock, "serve"), closing(SqliteStore(folder.store)) as store:
        journals = JournalDirectory(folder.journals)
        with closing(Meter(store, journals, now_ms, task.dedup_window_days)) as meter:
            child.ready()
            _meter(meter, BacklogReport(meter, folder), child.stopping)


def _meter(meter: Meter, backlog: BacklogReport, stopping: threading.Event) -> None:
    reported_at_s = -math.inf
    while not stopping.is_set():
        # Before a step, so that it is known from when on nothing more is said if a step never ends.
        if time.monotonic() - reported_at_s >= _REPORT_EVERY_S:
            meter.report_sizes()
            backlog.report()
            _give_back_memory()
            reported_at_s = time.monotonic()
        began_s = time.monotonic()
        step = _try_step(meter)
        took_s = time.monotonic() - began_s
        if step is None:
            stopping.wait(_RETRY_S)
        elif step:
            # A rest about as long as the work lets facts gather: a busy server makes large steps,
            # which cost less a message, and a quiet one few commits.
            stopping.wait(min(max(took_s, _PAUSE_LEAST_S), _PAUSE_MOST_S))
    # Facts in journals are safe without this, but counts are then up to date for readers.
    began_s = time.monotonic()
    while _try_step(meter) is False and time.monotonic() - began_s < _DRAIN_WITHIN_S:
        pass


def _give_back_memory() -> None:
    """Let the system have what lies free between the tables, where the C library can do that.

    Tables are replaced by larger ones all the time, and glibc keeps the holes: half as much again
    as the index itself.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _try_step(meter: Meter) -> bool | None:
    """Whether everything is metered; None when the disk refused."""
    try:
        return meter.step().drained
    except StorageUnavailableError as error:
        _log.error("%s; what is acknowledged stays in the journals and is tried again", error)
        return None


def meter_until_drained(
    folder: DataFolder, window_days: int, progress: Callable[[int], None] = lambda _: None
) -> None:
    """Meter everything that the journals of a folder hold, with no server running.

    Args:
        folder: the data folder; the caller holds its serve lock.
        window_days: the setting `dedup_window_days`.
        progress: called with the number of facts metered by each step.

    Raises:
        DataFolderError: the data folder cannot be used as it is.
        StorageUnavailableError: the disk refused; everything stays in the journals.
    """
    with FolderLock(folder.meter_lock, "import"), closing(SqliteStore(folder.store)) as store:
        journals = JournalDirectory(folder.journals)
        with closing(Meter(store, journals, now_ms, window_days)) as meter:
            drained = False
            while not drained:
                facts, drained = meter.step()
                progress(facts)
