"""What the nodes of a cluster share, on an engine that users run: a log of facts, and a registry.

Takes the address of a PostgreSQL database or of NATS servers; gives a `FactLog` and a `Registry`,
whichever engine it is. Owns neither facts nor what they mean: those who follow the log know by a
chain of their own whether anything is missing.
"""

from headcount.engines.log import (
    PUBLISH_BYTES_MAX,
    TELL_BYTES_MAX,
    FactLog,
    Follower,
    Hearer,
    LogEntry,
)
from headcount.engines.registry import REGISTRY_VALUE_BYTES_MAX, Registry, RegistryEntry

__all__ = [
    "PUBLISH_BYTES_MAX",
    "REGISTRY_VALUE_BYTES_MAX",
    "TELL_BYTES_MAX",
    "FactLog",
    "Follower",
    "Hearer",
    "LogEntry",
    "Registry",
    "RegistryEntry",
]
