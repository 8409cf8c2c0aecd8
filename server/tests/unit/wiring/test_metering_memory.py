"""Metering without a server stays within its memory too."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from headcount.catalog import Catalog
from headcount.clock import now_ms
from headcount.counting.facts import fact_head, tags_of
from headcount.datafolder import DataFolder, load_hash_key, open_data_folder
from headcount.errors import OperatorError
from headcount.journal import JournalDirectory
from headcount.store.opening import open_store
from headcount.wiring.meter import meter_until_drained

ENTRIES, FACTS = 40, 30_000
SMALL, ENOUGH = 128 << 20, 512 << 20


def filled_folder(path: Path) -> DataFolder:
    """A folder whose journal holds messages of more than a million ids that nobody has met."""
    folder = open_data_folder(path, create=True)
    with Catalog(folder.catalog) as catalog:
        load_hash_key(folder, catalog, None)
        workspace = catalog.add_workspace("Shop", 0)
        catalog.add_source(workspace.number, "web", 0)
    open_store(folder.store).close()
    head = fact_head(now_ms(), 1, 1, tags_of("page", "import"))
    with closing(JournalDirectory(folder.journals)) as journals, closing(journals.claim()) as made:
        for _ in range(ENTRIES):
            rows = np.zeros((FACTS, 56), np.uint8)
            rows[:, :24] = np.frombuffer(head, np.uint8)
            rows[:, 24:40] = np.frombuffer(os.urandom(FACTS * 16), np.uint8).reshape(FACTS, 16)
            made.append(rows.tobytes(), [], now_ms())
    return folder


def test_what_takes_more_than_it_may_have_waits_and_is_counted_with_more(tmp_path: Path) -> None:
    folder = filled_folder(tmp_path / "data")
    metered: list[int] = []
    for _ in range(2):  # again, it is refused before it is begun, or soon
        with pytest.raises(OperatorError, match="more than the 128 MiB") as refused:
            meter_until_drained(folder, 35, SMALL, metered.append)
        assert "--memory" in refused.value.remedy
    assert 0 < sum(metered) < ENTRIES * FACTS
    meter_until_drained(folder, 35, ENOUGH, metered.append)
    assert sum(metered) == ENTRIES * FACTS
    with closing(open_store(folder.store)) as store:
        [period] = {period for period, _ in store.state().key_periods}
        assert store.read_usage(1, period).workspace_totals()[-1].max() == ENTRIES * FACTS
