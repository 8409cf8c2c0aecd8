"""The folder `run` of a data folder before a server uses it: leaves it empty and ready."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

from headcount.allowances import reserve_allowances
from headcount.datafolder import DataFolder
from headcount.folderlock import errors_named

__all__ = ["prepare_run_folder"]


def prepare_run_folder(folder: DataFolder, workers: int) -> None:
    """Make room for what the processes of a server tell each other.

    Args:
        folder: the data folder; the caller holds its serve lock.
        workers: how many intake processes there will be.

    Raises:
        DataFolderError: the disk, or the permissions of something there, refused.
    """
    with errors_named(folder.metrics.parent):
        # Nothing that counts lies there, so whatever stands in the way goes.
        _remove_unless_folder(folder.metrics.parent)
        # What the server before us announced holds no longer.
        for path in (
            folder.listening,
            folder.backlog,
            folder.state,
            folder.allowances,
            folder.forwarding,
            folder.cluster_status,
            folder.leases,
            folder.partition_reports,
            folder.relay_report,
            folder.handed_on,
        ):
            if path.is_dir():
                shutil.rmtree(path)
            path.unlink(missing_ok=True)
        for path in (folder.metrics, folder.troubles):
            _remove_unless_folder(path)
            shutil.rmtree(path, ignore_errors=True)
        folder.metrics.mkdir(parents=True)
    with contextlib.suppress(OSError):  # a full disk must not keep readers waiting
        reserve_allowances(folder.allowances, workers)
    # Read by prometheus-client in every child, when it is imported.
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder.metrics.absolute())


def _remove_unless_folder(path: Path) -> None:
    if os.path.lexists(path) and not path.is_dir():
        path.unlink()
