"""Deliveries go on as the catalog says, and what a disk has refused is tried again."""

from __future__ import annotations

from pathlib import Path

from headcount.catalog import Catalog
from headcount.clock import now_ms
from headcount.datafolder import open_data_folder
from headcount.forwarding import DeliveryLimits
from headcount.spool.segment_files import folder_of_source
from headcount.spool.spool_key import spool_key_place
from headcount.troubles import Troubles
from headcount.wiring.deliveries import _Deliveries

VENDOR = "http://127.0.0.1:9"


def test_a_source_whose_folder_cannot_be_made_is_tried_again(tmp_path: Path) -> None:
    folder = open_data_folder(tmp_path / "data", create=True)
    folder.spool.mkdir(mode=0o700)
    troubles = Troubles(None, "forward", now_ms)
    with Catalog(folder.catalog) as catalog:
        workspace = catalog.add_workspace("Web", now_ms())
        source = catalog.add_source(workspace.number, "site", now_ms())
        deliveries = _Deliveries(
            folder, catalog, 1, spool_key_place(folder, None), DeliveryLimits(days=1), troubles
        )
        in_the_way = folder_of_source(folder.spool, source.number)
        in_the_way.write_bytes(b"")
        catalog.set_forwarding(source.number, VENDOR, "key", "refuse", now_ms(), by_token=False)
        for _ in range(2):
            deliveries.look()
            assert [trouble.kind for trouble in troubles.now()] == ["keys"]
        in_the_way.unlink()
        deliveries.look()
        assert list(deliveries._running) == [source.number]
        assert not troubles.now()
        assert in_the_way.is_dir()
        deliveries.end()
