"""What the machine is and what a process used of it: takes ids, reads Linux's /proc."""

from __future__ import annotations

import os
import platform
import resource
import statistics
import time
from pathlib import Path
from typing import NamedTuple

__all__ = [
    "Memory",
    "Neighbours",
    "busy_seconds",
    "children_of",
    "cpu_seconds",
    "delayed_seconds",
    "machine_notes",
    "memory_of",
    "run_seconds",
    "sync_seconds",
    "whole_cpu_seconds",
]

_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
_FILE_SYSTEM_FIELD = 2
_SYNCS = 40


def machine_notes(folder: Path) -> dict[str, str]:
    """The machine in a few words.

    Args:
        folder: where the data will lie, for the kind of its file system.
    """
    cores = len(os.sched_getaffinity(0))
    memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cores": str(cores),
        "processor": _processor(),
        "memory": f"{memory_bytes / 2**30:.0f} GiB",
        "kernel": f"{platform.system()} {platform.release().split('-')[0]}",
        "file system": _file_system(folder),
        "Python": platform.python_version(),
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _file_system(folder: Path) -> str:
    best, kind = Path("/"), "unknown"
    for line in Path("/proc/mounts").read_text().splitlines():
        fields = line.split()
        mount = Path(fields[1])
        if folder.resolve().is_relative_to(mount) and len(mount.parts) >= len(best.parts):
            best, kind = mount, fields[_FILE_SYSTEM_FIELD]
    return kind


def sync_seconds(folder: Path) -> float:
    """Time that a small write and its sync to the disk of a folder take; a median."""
    took_s = []
    with (folder / "synced").open("wb", buffering=0) as file:
        for _ in range(_SYNCS):
            file.write(b"x" * 100)
            began_s = time.perf_counter()
            os.fdatasync(file.fileno())
            took_s.append(time.perf_counter() - began_s)
    (folder / "synced").unlink()
    return statistics.median(took_s)


class Neighbours:
    """How much of the cores other programs took since this was made."""

    def __init__(self) -> None:
        self._began_s = time.perf_counter()
        self._busy_s, self._own_s = busy_seconds(), _own_seconds()

    def share(self) -> float:
        """Their part of all cores' time, 0 to 1; all of our own processes must have ended."""
        others_s = busy_seconds() - self._busy_s - (_own_seconds() - self._own_s)
        whole_s = (time.perf_counter() - self._began_s) * len(os.sched_getaffinity(0))
        return max(0.0, others_s / whole_s)


def busy_seconds() -> float:
    """Time that all cores together have worked for anybody, other guests of the host included."""
    user, nice, system, _, _, irq, soft_irq, steal = map(
        int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
    )
    return (user + nice + system + irq + soft_irq + steal) / _TICKS_A_SECOND


def _own_seconds() -> float:
    own, ended = (
        resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return own.ru_utime + own.ru_stime + ended.ru_utime + ended.ru_stime


def cpu_seconds(pid: int) -> float:
    """Processor time that a process has used so far, its own and the kernel's for it."""
    # The name stands in parentheses and may hold spaces; what follows it has fixed places.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_A_SECOND


def whole_cpu_seconds(pid: int) -> float:
    """What `cpu_seconds` gives, with that of its children that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / _TICKS_A_SECOND


def run_seconds(pid: int) -> float:
    """What `cpu_seconds` gives, to the nanosecond, of the threads that still run."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def delayed_seconds(pid: int) -> float:
    """Time that a process's threads that still run were ready to work and had no core."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[1]) for task in tasks) / 1e9


class Memory(NamedTuple):
    """Memory of a process, in bytes: its own pages, and its share of those that it shares.

    Attributes:
        pss_bytes: all of it.
        mapped_bytes: the part that is pages of files, which the kernel may take back any time.
    """

    pss_bytes: int
    mapped_bytes: int


def memory_of(pid: int) -> Memory:
    """What the kernel says that a process takes."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    sizes = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines}
    return Memory(sizes["Pss"], sizes["Pss_File"])


def children_of(pid: int) -> dict[int, list[str]]:
    """The children of a process, with their command lines."""
    numbers = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return {
        int(number): Path(f"/proc/{number}/cmdline").read_text().rstrip("\0").split("\0")
        for number in numbers
    }
