"""From which day on a source has rows."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from headcount.api.usage.scopes import source_scopes
from headcount.counting.metrics import ANONYMOUS, API_CALLS, KINDS


def test_a_source_has_rows_from_whatever_of_it_is_shown_first() -> None:
    """Partitions of ids may be mirrored before those of messages: no sum of sources is short."""
    sources = np.zeros((3, 31, len(KINDS)), np.int64)
    sources[0, 4, API_CALLS] = 1
    sources[1, 4, API_CALLS] = 1
    sources[1, 2, ANONYMOUS] = 1
    month: Any = SimpleNamespace(
        reading=SimpleNamespace(source_numbers=np.array([7, 8, 9]), sources=sources)
    )
    directory = SimpleNamespace(source_ids=lambda workspace, given: [f"s{n}" for n in given])
    caller: Any = SimpleNamespace(
        services=SimpleNamespace(directory=directory), workspace=SimpleNamespace(number=1)
    )
    assert source_scopes(caller, month).first_days.tolist() == [4, 2, 31]
