"""A `Registry` in memory, for tests of what stands on one; away when told to be."""

from __future__ import annotations

from headcount.engines.registry import REGISTRY_VALUE_BYTES_MAX, RegistryEntry
from headcount.errors import EngineAwayError, RegistryConflictError

__all__ = ["MemoryRegistry", "MemoryRegistryServer"]


class MemoryRegistryServer:
    """What the registries of all nodes in a test have in common."""

    def __init__(self) -> None:
        self.away = False
        self.values: dict[str, RegistryEntry] = {}
        self.version = 0

    def open(self) -> MemoryRegistry:
        """A registry as one process uses it."""
        return MemoryRegistry(self)

    def wipe(self) -> None:
        """Lose everything, revisions too."""
        self.values.clear()
        self.version = 0


class MemoryRegistry:
    """A `Registry` on a `MemoryRegistryServer`."""

    def __init__(self, server: MemoryRegistryServer) -> None:
        self._server = server

    def _look(self) -> MemoryRegistryServer:
        if self._server.away:
            raise EngineAwayError("The registry in memory is away.")
        return self._server

    def get(self, key: str) -> RegistryEntry | None:
        return self._look().values.get(key)

    def put(self, key: str, value: bytes, expected: int | None) -> int:
        assert len(value) <= REGISTRY_VALUE_BYTES_MAX
        server = self._look()
        self._compare(key, expected)
        server.version += 1
        server.values[key] = RegistryEntry(bytes(value), server.version)
        return server.version

    def delete(self, key: str, expected: int | None = None) -> None:
        server = self._look()
        if key in server.values:
            self._compare(key, expected)
            del server.values[key]
            server.version += 1

    def _compare(self, key: str, expected: int | None) -> None:
        there = self._server.values.get(key)
        if expected is not None and expected != (there.revision if there else 0):
            raise RegistryConflictError(f"{key} was changed meanwhile.")

    def list(self, prefix: str = "") -> dict[str, RegistryEntry]:
        values = self._look().values
        return {key: values[key] for key in sorted(values) if key.startswith(prefix)}

    def version(self) -> int:
        return self._look().version

    def wait(self, seen: int, seconds: float) -> int:
        """Returns at once, as if the time were over."""
        return self._look().version

    def close(self) -> None:
        pass
