"""What the machine is and what a process used of it: takes ids, reads Linux's /proc."""

from __future__ import annotations

import os
import platform
from pathlib import Path

__all__ = ["children_of", "cpu_seconds", "machine_notes", "pss_bytes"]

_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
_FILE_SYSTEM_FIELD = 2


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
        "load average at the start": f"{os.getloadavg()[0]:.1f}",
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


def cpu_seconds(pid: int) -> float:
    """Processor time that a process has used so far, its own and the kernel's for it."""
    # The name stands in parentheses and may hold spaces; what follows it has fixed places.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_A_SECOND


def pss_bytes(pid: int) -> int:
    """Memory of a process: its own pages, and its share of those that it shares."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    raise ValueError(f"/proc/{pid}/smaps_rollup names no Pss")


def children_of(pid: int) -> dict[int, list[str]]:
    """The children of a process, with their command lines."""
    numbers = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return {
        int(number): Path(f"/proc/{number}/cmdline").read_text().rstrip("\0").split("\0")
        for number in numbers
    }
