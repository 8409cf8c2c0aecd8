"""Metering that somebody waits for: by the server that runs on a folder, or by ourselves."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

from headcount.datafolder import DataFolder, FolderLock
from headcount.errors import FolderBusyError
from headcount.wiring.meter import meter_until_drained

__all__ = ["metered_until"]

_LOOK_EVERY_S = 0.05


def metered_until(
    is_done: Callable[[], bool],
    folder: DataFolder,
    window_days: int,
    memory_bytes: int,
    command: str,
    waiting: Callable[[], None] = lambda: None,
    progress: Callable[[int], None] = lambda _: None,
) -> None:
    """Return once something is done that the meter of a folder does beside metering.

    The server may stop at any moment, and another command may meter meanwhile.

    Args:
        is_done: whether it is.
        folder: the data folder.
        window_days: the setting `dedup_window_days`.
        memory_bytes: the setting `memory`.
        command: who does it, for the error that others get.
        waiting: called now and then while somebody else meters.
        progress: called with the number of facts that are metered here by each step.

    Raises:
        DataFolderError, OperatorError, StorageUnavailableError: as for `meter_until_drained`.
    """
    while not is_done():
        if not FolderLock.held(folder.serve_lock):
            # Else somebody else meters, or a server begins or ends.
            with contextlib.suppress(FolderBusyError):
                with FolderLock(folder.serve_lock, command):
                    meter_until_drained(
                        folder, window_days, memory_bytes, progress, command=command
                    )
                continue
        time.sleep(_LOOK_EVERY_S)
        waiting()
