"""Every store, one after the other, for the tests of their common contract."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from headcount.store.protocol import MeterStore
from support.stores import STORES, OpenStore


@pytest.fixture(params=STORES)
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OpenStore]:
    """Opens the same data once more with every call; closes everything at the end."""
    opened: list[MeterStore] = []
    open_store = STORES[request.param](tmp_path)

    def open_one() -> MeterStore:
        opened.append(open_store())
        return opened[-1]

    yield open_one
    for store in opened:
        store.close()


@pytest.fixture
def store(open_store: OpenStore) -> MeterStore:
    return open_store()
