"""Where a child process begins: `python -m headcount.wiring.child ROLE`, with its task on stdin.

Takes its `Task` as JSON, plays one role until it is told to stop, by SIGTERM or because the
supervisor is gone, and reports on standard output that it is ready. Ends with 0 when told to
stop; with an operator error's status when the data folder cannot be used, which it reports there
too, so that it is said once and not by every process; on any other failure with 1, which it
reports as well, leaving the trace in a file.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import traceback
from pathlib import Path

import msgspec

from headcount.config import DEFAULTS
from headcount.datafolder import DataFolder
from headcount.errors import OperatorError
from headcount.logs import log_to_stderr
from headcount.machine import lives
from headcount.privacy import keep_to_ourselves
from headcount.wiring.lifetime import Child, report
from headcount.wiring.task import Refusal, Role, Task

__all__ = ["main"]

_log = logging.getLogger(__name__)

# Names and size as prometheus-client has them: a larger file would stay empty, a smaller one grow.
_METRIC_KINDS = ("counter", "gauge_mostrecent", "gauge_livemax", "gauge_livesum", "histogram")
_METRICS_FILE_BYTES = 1 << 16
_SAID_MAX = 200


def _reserve_metrics() -> None:
    """Take the disk space in which this process shares its metrics, before it counts anything.

    prometheus-client writes them through mapped memory, and where a full disk has no room for such
    a write the system ends the process. Without room it keeps its numbers to itself, and works.

    It goes on with the files of a process that has ended, if there are any: their numbers are part
    of the sums, and there are no more files however often processes end.
    """
    folder = Path(os.environ["PROMETHEUS_MULTIPROC_DIR"])
    made: list[Path] = []
    try:
        for kind in _METRIC_KINDS:
            file = folder / f"{kind}_{os.getpid()}.db"
            if not _takes_over(folder, file):
                made.append(file)
                file.write_bytes(bytes(_METRICS_FILE_BYTES))
    except OSError as error:
        _log.warning("the metrics of this process are not shared: %s", error.strerror)
        del os.environ["PROMETHEUS_MULTIPROC_DIR"]
        for file in made:
            file.unlink(missing_ok=True)


def _takes_over(folder: Path, file: Path) -> bool:
    """Whether a file of its kind was there whose process is dead, and is this one's now."""
    kind = file.stem.rpartition("_")[0]
    if "live" in kind:
        return False  # what a process was holding counts no longer when it has ended
    for former in folder.glob(f"{kind}_*.db"):
        if not lives(int(former.stem.rpartition("_")[2])):
            # Another process that starts may be faster, and then the next one is looked at.
            with contextlib.suppress(FileNotFoundError):
                former.rename(file)
                return True
    return False


def main(role: Role) -> int:
    """Play a role until told to stop.

    Returns:
        The exit status.
    """
    keep_to_ourselves()
    log_to_stderr(role, DEFAULTS.log_format)
    try:
        task = msgspec.json.decode(sys.stdin.buffer.read(), type=Task)
    except msgspec.DecodeError:
        return 1  # the supervisor died before it had said what to do
    log_to_stderr(role, task.settings().log_format)
    child = Child(task.alive_fd)
    if role == "api":
        # The other processes share their metrics in files; this one adds them up, and keeps its own
        # to itself. prometheus-client looks at the variable when it is imported.
        os.environ.pop("PROMETHEUS_MULTIPROC_DIR", None)
    elif task.reading is None:
        _reserve_metrics()
    try:
        # Each process loads only what its role needs: intake, above all, no NumPy.
        if role == "intake":
            from headcount.wiring.intake import run
        elif role == "meter":
            from headcount.wiring.meter import run
        elif role == "forward":
            from headcount.wiring.deliveries import run
        elif role == "alert":
            from headcount.wiring.alerting import run
        elif role == "node":
            from headcount.wiring.cluster_node import run
        elif role == "relay":
            from headcount.wiring.cluster_relay import run
        elif role == "partitions":
            from headcount.wiring.cluster_partitions import run
        elif role == "mirror":
            from headcount.wiring.cluster_mirror import run
        else:
            from headcount.wiring.api import run
        run(task, child)
    except OperatorError as error:
        _refuse(error.problem, error.remedy, error)
        return error.exit_status
    except MemoryError as error:
        _refuse(
            f"The {role} process had too little memory.", "Give this machine more of it.", error
        )
        return 1
    except Exception as error:
        # It would be the end of a thousand lives if it keeps happening: said in a line by whoever
        # starts this process again, with the trace in a file for those who can fix it.
        place = _write_trace(DataFolder(task.settings().data), role, traceback.format_exc())
        said = f"{error}".strip().partition("\n")[0][:_SAID_MAX] or "without a word"
        _refuse(
            f"The {role} process failed: {said}.",
            f"This is a fault of Headcount: please report it{place}.",
            error,
        )
        return 1
    return 0


def _refuse(problem: str, remedy: str, error: Exception) -> None:
    refusal = Refusal(problem, remedy, type(error).__name__)
    report(msgspec.json.encode(refusal) + b"\n")


def _write_trace(folder: DataFolder, role: Role, trace: str) -> str:
    """Keep the trace of the last failure of a role; where it is, as a clause."""
    place = folder.failures / f"{role}.txt"
    try:
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        place.write_text(trace)
    except OSError:
        return ""
    return f", with {place}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
