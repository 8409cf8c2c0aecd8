"""Every store under a name, for the tests that run over all of them.

Takes a folder, gives what opens the same data there once more with every call.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from headcount.store.opening import open_store
from headcount.store.protocol import MeterStore
from support.memory_store import Held, MemoryStore

OpenStore = Callable[[], MeterStore]


def _in_memory(_: Path) -> OpenStore:
    held = Held()
    return lambda: MemoryStore(held)


STORES: dict[str, Callable[[Path], OpenStore]] = {
    "sqlite": lambda folder: lambda: open_store(folder / "store.sqlite"),
    "memory": _in_memory,
}

WITH_FILES = ("sqlite",)
"""Those that keep keys in files of their own, which want care."""
