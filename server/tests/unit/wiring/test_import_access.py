"""What an import over HTTP is told when the store cannot be asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from headcount.catalog import Catalog
from headcount.clock import now_ms
from headcount.errors import StorageUnavailableError
from headcount.store.sealed import SealedMonths
from headcount.troubles import Troubles
from headcount.wiring.import_access import CatalogHistory
from headcount.wiring.sources import CatalogSources


def test_a_store_that_cannot_be_opened_is_an_outage_and_no_mistake_of_ours(tmp_path: Path) -> None:
    store = tmp_path / "store.sqlite"
    store.mkdir()
    with Catalog(tmp_path / "catalog.sqlite") as catalog:
        troubles = Troubles(None, "intake", now_ms)
        months = SealedMonths(store)
        history = CatalogHistory(catalog, CatalogSources(catalog), months, troubles)
        with pytest.raises(StorageUnavailableError, match=r"store\.sqlite is no file"):
            history.sealed(1)
        assert [each.kind for each in troubles.now()] == ["imports_months"]
