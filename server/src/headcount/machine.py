"""What the machine says: how much memory this process may use, and which processes live."""

from __future__ import annotations

import contextlib
import os
import resource
from pathlib import Path

__all__ = ["lives", "memory_bytes"]

_CGROUP_ROOT = Path("/sys/fs/cgroup")
_CGROUP_OF_PROCESS = Path("/proc/self/cgroup")


def memory_bytes(root: Path = _CGROUP_ROOT, of_process: Path = _CGROUP_OF_PROCESS) -> int:
    """The machine's memory, or the lowest limit of this process or its groups, if that is lower.

    Args:
        root: where the system shows control groups.
        of_process: where it says which ones this process is in.
    """
    found = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for limit in (resource.RLIMIT_AS, resource.RLIMIT_DATA):
        soft, _ = resource.getrlimit(limit)
        if soft != resource.RLIM_INFINITY:
            found.append(soft)
    for folder in _groups(root, of_process):
        for name in ("memory.max", "memory.limit_in_bytes"):
            # No limit is the word "max", or a number beyond any memory.
            with contextlib.suppress(OSError, ValueError):
                found.append(int((folder / name).read_text()))
    return min(found)


def lives(pid: int) -> bool:
    """Whether there is a process of a number, whoever owns it."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _groups(root: Path, of_process: Path) -> set[Path]:
    """The folders of a process's groups and of those around them; the root's in a container."""
    folders = {root, root / "memory"}
    with contextlib.suppress(OSError, ValueError):
        for line in of_process.read_text().splitlines():
            _, _, path = line.split(":", 2)
            for base in (root, root / "memory"):
                inside = base / path.lstrip("/")
                folders |= {each for each in (inside, *inside.parents) if base in each.parents}
    return folders
