"""Renaming and deleting sources and workspaces while a server runs: what is shown, what is refused,
what stays counted, and what is left of a workspace that is erased.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from headcount.catalog import Catalog
from headcount.datafolder import DataFolder
from headcount.store.opening import open_store
from headcount.store.protocol import Change
from support.server_fixture import Shop, serving


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    with serving(tmp_path) as server:
        shop = server.shop("Shop", "web", "app")
        for source in ("web", "app"):
            post(shop, source, source)
        shop.wait_until_counted()
        yield shop


def post(shop: Shop, source: str, name: str) -> int:
    message = {"type": "page", "messageId": name, "anonymousId": name}
    return shop.server.track("/v1/page", message, shop.write_keys[source]).status


def run(shop: Shop, *arguments: str) -> Any:
    return shop.server.program.json(*arguments)


def names(shop: Shop) -> dict[str, str]:
    listed = shop.ask("/headcount/v1/sources").data["sources"]
    return {each["id"]: each["name"] for each in listed}


def healthy(shop: Shop) -> bool:
    done = shop.server.program.run("doctor", "--json")
    report = json.loads(done.stdout)
    assert done.returncode == 0, [each for each in report["findings"] if each["level"] != "ok"]
    return True


def test_names_change_everywhere_at_once(shop: Shop) -> None:
    run(shop, "source", "rename", "web", "Web shop", "--workspace", "Shop")
    run(shop, "workspace", "rename", "Shop", "Corner shop")
    assert names(shop)[shop.source_ids["web"]] == "Web shop"
    assert shop.ask("/headcount/v1/workspace").data["workspace"]["name"] == "Corner shop"
    listed = run(shop, "source", "list", "--workspace", "Corner shop")
    assert {each["name"] for each in listed} == {"Web shop", "app"}
    day = shop.ask("/headcount/v1/summary").data
    assert shop.source_ids["web"] in {each["sourceId"] for each in day["sources"]}
    assert post(shop, "web", "again") == 200  # its key stays

    def change(path: str, **body: object) -> Any:
        url = f"{shop.server.api}/headcount/v1{path}"
        bearer = {"Authorization": f"Bearer {shop.token}", "Content_Type": "application/json"}
        return shop.server.send("PATCH", url, json.dumps(body).encode(), **bearer)

    source = change(f"/sources/{shop.source_ids['app']}", name="Phone").data["source"]
    assert (source["name"], source["enabled"]) == ("Phone", True)
    assert change(f"/sources/{shop.source_ids['app']}", name="Web shop").status == 422
    assert change("/workspace", name="Kiosk").data["workspace"]["name"] == "Kiosk"
    taken = shop.server.program.run("source", "rename", "Phone", "Web shop")
    assert "already has a source" in taken.stderr


def test_a_deleted_source_is_refused_and_stays_counted(shop: Shop) -> None:
    before = shop.usage()
    deleted = run(shop, "source", "delete", "web", "--workspace", "Shop", "--yes")
    assert deleted["name"] == "web (deleted)"
    shop.await_key(shop.write_keys["web"], taken=False)
    assert shop.usage() == before
    assert names(shop)[shop.source_ids["web"]] == "web (deleted)"
    for arguments in (("enable",), ("rotate-key",), ("delete", "--yes")):
        done = shop.server.program.run("source", arguments[0], "web (deleted)", *arguments[1:])
        assert "There is no source" in done.stderr
    path = f"/headcount/v1/sources/{shop.source_ids['web']}"
    assert shop.server.ask(path, shop.token, "DELETE").status == 404

    fresh = run(shop, "source", "add", "web", "--workspace", "Shop")
    assert fresh["id"] not in shop.source_ids.values()
    path = f"/headcount/v1/sources/{fresh['id']}"
    record = shop.server.ask(path, shop.token, "DELETE").data["source"]
    assert record["name"] == "web (deleted 2)"
    assert "writeKey" not in record
    listed = run(shop, "source", "list", "--workspace", "Shop")
    assert [each["deletedAt"] is None for each in listed] == [False, True, False]
    assert healthy(shop)


def test_a_deleted_workspace_is_refused_and_can_be_taken_back(shop: Shop) -> None:
    program = shop.server.program
    refused = program.run("workspace", "delete", "Shop", "--confirm", "Sh0p")
    assert refused.returncode != 0
    assert "was not confirmed" in refused.stderr
    before = shop.usage()
    run(shop, "workspace", "delete", "Shop", "--confirm", "Shop")
    shop.await_key(shop.write_keys["app"], taken=False)
    assert shop.ask("/headcount/v1/workspace").status == 401
    assert run(shop, "workspace", "list") == []
    run(shop, "workspace", "undelete", "Shop")
    shop.await_key(shop.write_keys["app"])
    assert shop.usage() == before
    assert healthy(shop)


def test_an_erased_workspace_leaves_no_name_and_no_count_behind(shop: Shop) -> None:
    other = shop.server.shop("Other", "web")
    post(other, "web", "visitor")
    other.wait_until_counted()
    before = other.usage()
    folder = DataFolder(shop.server.program.data)
    run(shop, "workspace", "delete", "Shop", "--confirm", "Shop", "--now")
    assert shop.ask("/headcount/v1/workspace").status == 401
    with Catalog(folder.catalog, read_only=True) as catalog:
        assert [each.name for each in catalog.workspaces()] == ["Other"]
        assert catalog.tokens(1) == []
        assert {each.name for each in catalog.sources(1)} == {
            "deleted source 1",
            "deleted source 2",
        }
    again = shop.server.program.run("workspace", "undelete", "Shop")
    assert "no deleted workspace" in again.stderr
    assert other.usage() == before
    assert healthy(shop)
    fresh = run(shop, "workspace", "add", "Shop")
    assert fresh["id"] != shop.id

    # What its open month has counted goes with the month's keys.
    with closing(open_store(folder.store)) as store:
        months = {month.workspace: month for month in store.months()}
        assert (months[1].sealed, months[2].sealed) == (True, False)


def test_an_erased_workspace_goes_whole_once_keys_are_gone(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        shop = server.shop("Shop", "web")
        post(shop, "web", "visitor")
        shop.wait_until_counted()
    folder = DataFolder(server.program.data)
    with closing(open_store(folder.store)) as store:
        period = store.months()[0].period
        store.commit(Change(sealed=[(1, period)]))
        store.drop_keys(period, 0)
    run(shop, "workspace", "delete", "Shop", "--confirm", "Shop", "--now")
    with closing(open_store(folder.store)) as store:
        assert list(store.months()) == []
        assert store.read_usage(1, period).workspace.sum() == 0
    assert healthy(shop)
