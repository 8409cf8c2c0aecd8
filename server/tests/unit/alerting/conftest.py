"""What tests of telling people share: alerts that are due, and a receiver of webhooks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.delivering import AlertsTold
from support.scripted_receiver import ScriptedReceiver, scripted_receiver


@pytest.fixture
def alerts(tmp_path: Path) -> Iterator[AlertsTold]:
    made = AlertsTold(tmp_path)
    yield made
    made.deliverer.close()
    made.catalog.close()


@pytest.fixture
def receiver() -> Iterator[ScriptedReceiver]:
    with scripted_receiver() as made:
        yield made
