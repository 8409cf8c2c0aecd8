"""A store that hands everything on to another, for those who watch it or change what it does."""

from __future__ import annotations

from typing import Any

from headcount.store.protocol import Change, MeterStore


class StoreBehind:
    """Hands on whatever it is asked.

    Args:
        store: to which.
    """

    def __init__(self, store: MeterStore) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def commit(self, change: Change) -> None:
        self._store.commit(change)
