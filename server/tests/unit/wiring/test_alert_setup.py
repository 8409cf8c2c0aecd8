"""Which rules a meter judges by: those that are on, of what is there."""

from __future__ import annotations

from pathlib import Path

from headcount.catalog import Catalog
from headcount.wiring.alert_setup import CatalogAlerts


def test_nobody_hears_of_the_silence_of_a_deleted_source(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path / "catalog.sqlite")
    catalog.add_workspace("Shop", 0)
    source = catalog.add_source(1, "web", 0)
    for of in (source.number, None):
        catalog.add_alert_rule(
            1, source=of, name="quiet", kind="silent", metric="api_calls", thresholds=(),
            quiet_hours=24, channels=(), now_ms=0,
        )  # fmt: skip
    setup = CatalogAlerts(catalog)
    assert [each.source for each in setup().rules] == [source.number, 0]
    catalog.delete_source(source.number, 1)
    assert [each.source for each in setup().rules] == [0]
    catalog.close()


def test_a_quota_is_called_by_its_source_and_workspace(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path / "catalog.sqlite")
    catalog.add_workspace("Shop", 0)
    source = catalog.add_source(1, "web", 0)
    catalog.set_quota(source.number, "api_calls", 5, "mark", 0)
    [quota] = CatalogAlerts(catalog)().quotas
    assert (quota.workspace, quota.source, quota.amount) == (1, source.number, 5)
    assert quota.name == "web of Shop"
    catalog.close()
