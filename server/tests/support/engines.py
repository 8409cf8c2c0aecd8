"""Every log and registry under a name, for the tests that run over all of them.

What opens one opens the same one once more with every call, as another process would.
"""

from __future__ import annotations

from collections.abc import Callable

from headcount.engines.log import FactLog
from headcount.engines.registry import Registry
from support.memory_log import MemoryLogServer
from support.memory_registry import MemoryRegistryServer

__all__ = ["LOGS", "REGISTRIES", "OpenLog", "OpenRegistry"]

OpenLog = Callable[[], FactLog]
OpenRegistry = Callable[[], Registry]

LOGS: dict[str, Callable[[], OpenLog]] = {
    "memory": lambda: MemoryLogServer().open,
}

REGISTRIES: dict[str, Callable[[], OpenRegistry]] = {
    "memory": lambda: MemoryRegistryServer().open,
}
