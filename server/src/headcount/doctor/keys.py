"""The store's file and its runs: whether every byte is as it was written, and whether each run that
the store names is there. Takes a moment of the store and the folder of run files."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from headcount.datafolder import DataFolder
from headcount.doctor.findings import REPAIR, Finding, ok, problem, warning
from headcount.sqlite.reading import damage
from headcount.store.runs import Run
from headcount.store.view import StoreView, store_view
from headcount.wording import number_of

__all__ = ["check_rows", "check_runs", "check_store", "run_files"]

_RESTORE = "Restore the data folder from a backup, and keep this one elsewhere."
_SETTLED_AFTER_S = 1.0
_FAULTS_MAX = 10


def check_store(moment: StoreView[Run]) -> Finding:
    """Read the store's file whole."""
    if found := damage(moment.connection):
        return problem("store", f"The store is damaged: {found}.", REPAIR)
    return ok("store", "The store's file is intact.")


def check_rows(moment: StoreView[Run]) -> Iterator[Finding]:
    """Hold every row of the store against its checksum, and their number against what was kept."""
    for fault in islice(moment.faults(), _FAULTS_MAX):
        yield problem("store", f"The store is damaged: {fault}.", REPAIR)


def run_files(folder: DataFolder) -> set[str]:
    """Names of the files in the folder of runs."""
    keys = folder.keys
    return {path.name for path in keys.iterdir()} if keys.is_dir() else set()


def check_runs(
    moment: StoreView[Run], folder: DataFolder, found_before: set[str], *, serving: bool
) -> Iterator[Finding]:
    """Read every run whole, and look for files that nobody knows of.

    Args:
        moment: the store.
        folder: the data folder.
        found_before: what `run_files` gave before the moment.
        serving: whether a server runs, which writes files and names them a little later.
    """
    faulty = False
    for run in moment.runs:
        fault = run.refusal
        if run.opened is not None and not run.opened.intact():
            fault = f"{run.name} is damaged: its checksum is another than when it was written."
        if fault:
            faulty = True
            yield problem("runs", fault, _RESTORE, file=run.name)
    unknown = found_before - {run.name for run in moment.runs}
    if serving and unknown:
        time.sleep(_SETTLED_AFTER_S)
        unknown &= run_files(folder) - _named(folder)
        unknown = {name for name in unknown if not name.endswith(".draft")}
    if unknown:
        faulty = True
        yield warning(
            "runs",
            f"{number_of(len(unknown), 'file')} of keys belong to nothing that was counted, such"
            f" as {min(unknown)}.",
            "An interrupted step has left them: the next start of the server puts them away.",
            files=sorted(unknown),
        )
    if not faulty:
        keys = sum(run.opened.keys for run in moment.runs if run.opened is not None)
        yield ok(
            "runs",
            f"Intact: {number_of(len(moment.runs), 'file')} of {number_of(keys, 'key')}.",
            runs=len(moment.runs),
            keys=keys,
        )


def _named(folder: DataFolder) -> set[str]:
    def path_itself(path: Path) -> Path:
        return path

    with store_view(folder.store, path_itself) as moment:
        return {run.name for run in moment.runs}
