"""A small registry that all nodes of a cluster agree upon: values by key, changed by comparison.

Whoever changes a value says which revision of it they have seen, and is refused where somebody else
was faster. What is read was durable, and may be a moment old where another server answers than the
one that was changed: it is the comparison that decides. It holds the catalog, nodes, owners of
partitions and leases: hundreds of values, changed some times a second, not counts.

Synchronous and of one thread, as the log is (`headcount.engines.log`), and `EngineAwayError` means
the same: the change may have been made, or not; read again before trying again.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

__all__ = ["REGISTRY_VALUE_BYTES_MAX", "Registry", "RegistryEntry"]

REGISTRY_VALUE_BYTES_MAX = 500_000
"""The largest value."""


class RegistryEntry(NamedTuple):
    """A value as it was read.

    Attributes:
        value: what was put.
        revision: of the change that put it; a later change of any key has a greater one, while the
            registry is not wiped.
    """

    value: bytes
    revision: int


class Registry(Protocol):
    """The registry, as one thread of one process uses it.

    Keys are words of letters, digits, `_` and `-`, joined by dots, such as `node.n1`, and have at
    most 200 characters. `EngineAwayError` may be raised by every verb but `close`.
    """

    def get(self, key: str) -> RegistryEntry | None:
        """The value of a key; None where there is none."""

    def put(self, key: str, value: bytes, expected: int | None) -> int:
        """Change a value if nobody else has.

        Args:
            key: which.
            value: at most `REGISTRY_VALUE_BYTES_MAX`.
            expected: the revision that was read; 0: there must be none; None: whatever is there.

        Returns:
            The value's revision now.

        Raises:
            RegistryConflictError: there is another revision, or none.
        """

    def delete(self, key: str, expected: int | None = None) -> None:
        """Remove a value; nothing happens where there is none.

        Args:
            key: which.
            expected: the revision that was read; None: whatever is there.

        Raises:
            RegistryConflictError: there is another revision.
        """

    def list(self, prefix: str = "") -> dict[str, RegistryEntry]:
        """All values whose key begins so, by key, in order of keys; all of one moment."""

    def version(self) -> int:
        """The revision of the latest change, also of one that removed something; 0 at first."""

    def wait(self, seen: int, seconds: float) -> int:
        """Rest until `version()` is no longer the one that was seen.

        Args:
            seen: what `version()` or this gave before.
            seconds: for how long at most.

        Returns:
            `version()`: another one than seen, unless the time is over.
        """

    def close(self) -> None:
        """Give back connections; idempotent."""
