"""Opens a cluster's log and registry by the address of their engine, whichever engine that is.

What another try does not fix is refused here, in words; an engine that is only away is not: a node
starts without it, and its calls say so.
"""

from __future__ import annotations

import contextlib
import importlib
from typing import TYPE_CHECKING

from headcount.engines.engine_address import Engine, engine_of, require_name, shown_address
from headcount.engines.registry import Registry
from headcount.errors import EngineAwayError, OperatorError
from headcount.extras import install_command

if TYPE_CHECKING:
    from headcount.engines.nats_log import NatsLog
    from headcount.engines.nats_registry import NatsRegistry
    from headcount.engines.postgres_log import PostgresLog
    from headcount.engines.postgres_registry import PostgresRegistry

__all__ = ["LOG_DAYS", "NAME", "open_log", "open_registry", "warnings_of_engine"]

NAME = "headcount"
"""Under which a cluster has its own place in an engine, unless told otherwise."""

LOG_DAYS = 3
"""For how long an engine keeps entries that nobody trims, where it does that by itself."""

_CLIENTS = {Engine.POSTGRESQL: "psycopg", Engine.NATS: "nats"}


def open_log(
    address: str, *, name: str = NAME, timeout_s: float = 5.0, days: int = LOG_DAYS
) -> PostgresLog | NatsLog:
    """The log at an address; what it stands in is made when missing.

    Args:
        address: `postgresql://…`, of one host or several, or `nats://…`.
        name: of the cluster, within the engine.
        timeout_s: how long an answer is waited for.
        days: for how long NATS keeps entries; PostgreSQL until `trim`.

    Raises:
        OperatorError: the address, a right, the engine's version or what is installed is wrong.
    """
    log: PostgresLog | NatsLog
    if _checked(address, name) is Engine.POSTGRESQL:
        from headcount.engines.postgres_log import PostgresLog

        log = PostgresLog(address, name, timeout_s)
    else:
        from headcount.engines.nats_log import NatsLog

        log = NatsLog(address, name, timeout_s, days)
    try:
        with contextlib.suppress(EngineAwayError):
            log.connect()
    except OperatorError:
        log.close()
        raise
    return log


def open_registry(
    address: str, *, name: str = NAME, timeout_s: float = 5.0, make: bool = True
) -> Registry:
    """The registry at an address.

    Args:
        address: as for `open_log`.
        name: of the cluster, within the engine.
        timeout_s: how long an answer is waited for.
        make: whether what it stands in is made when missing; whoever only reads refuses it then.

    Raises:
        OperatorError: the address, a right, the engine's version or what is installed is wrong.
    """
    registry: PostgresRegistry | NatsRegistry
    if _checked(address, name) is Engine.POSTGRESQL:
        from headcount.engines.postgres_registry import PostgresRegistry

        registry = PostgresRegistry(address, name, timeout_s, make=make)
    else:
        from headcount.engines.nats_registry import NatsRegistry

        registry = NatsRegistry(address, name, timeout_s)
    try:
        with contextlib.suppress(EngineAwayError):
            registry.connect()
    except OperatorError:
        registry.close()
        raise
    return registry


def warnings_of_engine(address: str, *, name: str = NAME, timeout_s: float = 5.0) -> list[str]:
    """What an operator should know of an engine that works: what it would lose, and when.

    Returns:
        Sentences; none where nothing is amiss that can be seen from here.

    Raises:
        OperatorError: as `open_log`.
        EngineAwayError: the engine cannot be asked.
    """
    log = open_log(address, name=name, timeout_s=timeout_s)
    try:
        return log.warnings()
    finally:
        log.close()


def _checked(address: str, name: str) -> Engine:
    engine = engine_of(address)
    require_name(name)
    try:
        importlib.import_module(_CLIENTS[engine])
    except ImportError as error:
        raise OperatorError(
            f"{shown_address(address)} needs {_CLIENTS[engine]}, which is not installed.",
            f"Run: {install_command('cluster')}",
        ) from error
    return engine
