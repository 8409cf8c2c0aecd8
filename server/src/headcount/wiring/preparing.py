"""The folder `run` of a data folder before a server uses it: leaves it empty and ready."""

from __future__ import annotations

import contextlib
import os
import shutil

from headcount.allowances import reserve_allowances
from headcount.datafolder import DataFolder

__all__ = ["prepare_run_folder"]


def prepare_run_folder(folder: DataFolder, workers: int) -> None:
    """Make room for what the processes of a server tell each other.

    Args:
        folder: the data folder; the caller holds its serve lock.
        workers: how many intake processes there will be.

    Raises:
        OSError: the disk refused.
    """
    # What the server before us announced holds no longer.
    folder.listening.unlink(missing_ok=True)
    folder.backlog.unlink(missing_ok=True)
    folder.state.unlink(missing_ok=True)
    shutil.rmtree(folder.metrics, ignore_errors=True)
    shutil.rmtree(folder.troubles, ignore_errors=True)
    folder.metrics.mkdir(parents=True)
    with contextlib.suppress(OSError):  # a full disk must not keep readers waiting
        reserve_allowances(folder.allowances, workers)
    # Read by prometheus-client in every child, when it is imported.
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder.metrics.absolute())
