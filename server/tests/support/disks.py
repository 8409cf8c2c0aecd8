"""Disks that refuse, for tests: a small one that can be filled, and a mount for reading only.

Both need the right to mount. A test that asks for one is skipped by name where that is not given,
except where the environment variable CI says that all tests have to run.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

__all__ = ["SmallDisk", "read_only", "small_disk"]


class SmallDisk:
    """A disk of a few megabytes.

    Args:
        path: where it is mounted.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._ballast = path / "ballast"

    def fill(self) -> None:
        """Leave no room at all."""
        with self._ballast.open("ab", 0) as file:
            size = 1 << 20
            while size:
                try:
                    file.write(bytes(size))
                except OSError:
                    size //= 2

    def empty(self) -> None:
        """Give the room back."""
        self._ballast.unlink()


def _mount(*arguments: str) -> None:
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True)
    if done.returncode:
        reason = f"nothing can be mounted here: {done.stderr.strip()}"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)


def _unmount(path: Path) -> None:
    # A process that has not ended yet must not keep the test from leaving nothing behind.
    subprocess.run(["umount", "--lazy", str(path)], check=True)


@contextmanager
def small_disk(path: Path, megabytes: int = 8) -> Iterator[SmallDisk]:
    """A disk of its own at a new folder, until the block ends."""
    path.mkdir()
    _mount("-t", "tmpfs", "-o", f"size={megabytes}m,mode=700", "none", str(path))
    try:
        yield SmallDisk(path)
    finally:
        _unmount(path)


@contextmanager
def read_only(folder: Path, place: Path) -> Iterator[Path]:
    """A folder, seen at another place where it cannot be written, until the block ends."""
    place.mkdir()
    _mount("--bind", str(folder), str(place))
    try:
        _mount("-o", "remount,ro,bind", str(place))
        yield place
    finally:
        _unmount(place)
