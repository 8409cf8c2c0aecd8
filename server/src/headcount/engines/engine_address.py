"""Addresses of engines: which engine each is of, and how it is shown: without passwords."""

from __future__ import annotations

import re
from enum import StrEnum

from headcount.errors import SettingError

__all__ = ["NAME_MAX", "Engine", "engine_of", "require_name", "shown_address"]

NAME_MAX = 20
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_SCHEMES = {
    "postgresql": "postgresql",
    "postgres": "postgresql",
    "nats": "nats",
    "tls": "nats",
}
_SECRET = re.compile(r"(?i)\b((?:ssl)?password|token)=[^&\s]*")


class Engine(StrEnum):
    """What a cluster's log and registry can stand on."""

    POSTGRESQL = "postgresql"
    NATS = "nats"


def engine_of(address: str) -> Engine:
    """Which engine an address names.

    Raises:
        SettingError: it is none that a cluster can stand on.
    """
    scheme, found, _ = address.partition("://")
    if not found or scheme.lower() not in _SCHEMES:
        raise SettingError(
            f"{shown_address(address)!r} is no address of a cluster's engine.",
            "Name a PostgreSQL database, postgresql://USER@HOST:5432/DATABASE, or NATS servers,"
            " nats://HOST:4222,HOST:4222,HOST:4222.",
        )
    return Engine(_SCHEMES[scheme.lower()])


def shown_address(address: str) -> str:
    """An address for people: without users and passwords."""
    scheme, found, rest = address.partition("://")
    if not found:
        scheme, rest = "", address
    # A password may hold what ought to be written otherwise in it, such as @, a comma or a slash:
    # nothing is shown that stands before an @, and nothing of the hosts before the first.
    hosts = rest.split(",")
    named = next((place for place, each in enumerate(hosts) if "@" in each), 0)
    shown = ",".join(each.rpartition("@")[2] for each in hosts[named:])
    return _SECRET.sub(r"\1=…", scheme + found + shown)


def require_name(name: str) -> str:
    """The name under which a cluster has its own place in an engine.

    Raises:
        SettingError: it could not name a schema, a stream and a subject.
    """
    if not _NAME.fullmatch(name) or len(name) > NAME_MAX:
        raise SettingError(
            f"{name!r} cannot name a cluster within its engine.",
            f"Take at most {NAME_MAX} small letters, digits and _, beginning with a letter.",
        )
    return name
