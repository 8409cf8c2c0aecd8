"""Every log and registry under a name, for the tests that run over all of them.

What opens one opens the same one once more with every call, as another process would. Servers are
started once for all tests of a process, each of which has a name of its own on them.
"""

from __future__ import annotations

import atexit
import functools
import itertools
import os
from collections.abc import Callable

from headcount.engines.log import FactLog
from headcount.engines.opening import open_log, open_registry
from headcount.engines.registry import Registry
from support.memory_log import MemoryLogServer
from support.memory_registry import MemoryRegistryServer
from support.nats_servers import NatsServers
from support.postgresql import PostgresServers

__all__ = ["LOGS", "REGISTRIES", "OpenLog", "OpenRegistry", "shared_nats", "shared_postgresql"]

OpenLog = Callable[[], FactLog]
OpenRegistry = Callable[[], Registry]
_names = (f"test_{os.getpid()}_{number}" for number in itertools.count())


@functools.cache
def shared_postgresql() -> PostgresServers:
    """A primary and its standby, which end with this process."""
    servers = PostgresServers()
    atexit.register(servers.close)
    servers.start()
    return servers


@functools.cache
def shared_nats() -> NatsServers:
    """Three servers, which end with this process."""
    servers = NatsServers()
    atexit.register(servers.close)
    servers.start()
    return servers


def _logs_on(address: Callable[[], str]) -> Callable[[], OpenLog]:
    return lambda: functools.partial(open_log, address(), name=next(_names))


def _registries_on(address: Callable[[], str]) -> Callable[[], OpenRegistry]:
    return lambda: functools.partial(open_registry, address(), name=next(_names))


LOGS: dict[str, Callable[[], OpenLog]] = {
    "memory": lambda: MemoryLogServer().open,
    "postgresql": _logs_on(lambda: shared_postgresql().address),
    "nats": _logs_on(lambda: shared_nats().address),
}

REGISTRIES: dict[str, Callable[[], OpenRegistry]] = {
    "memory": lambda: MemoryRegistryServer().open,
    "postgresql": _registries_on(lambda: shared_postgresql().address),
    "nats": _registries_on(lambda: shared_nats().address),
}
