"""A catalog or closed months that cannot be read while the server runs: what goes on, what is said.

Rows are changed behind the server's back, so that they no longer are what was written.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from headcount.counting.calendar import parse_period
from headcount.store.opening import open_store
from headcount.store.protocol import Change
from support.server_fixture import Answer, Server, Shop, eventually, serving

KEYS = "Write keys cannot be read"
MESSAGE = {"type": "page", "userId": "u"}
RECORD = {"type": "page", "userId": "u", "receivedAt": "2021-02-03T04:05:06.789Z"}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with serving(tmp_path, "--workers", "1") as server:
        yield server


def changed(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        assert database.execute(statement).rowcount


def noted(server: Server, words: str) -> list[str]:
    """What `/readyz` says with some words in it, whether or not the server is ready."""
    document: dict[str, list[dict[str, Any]]] = server.ask("/readyz").json()
    said = [*document.get("errors", []), *document.get("troubles", [])]
    return [each["message"] for each in said if words in each["message"]]


def imported(shop: Shop) -> Answer:
    body = json.dumps({"batch": [{**RECORD, "sourceId": shop.source_ids["web"]}]}).encode()
    url = f"{shop.server.tracking}/v1/import"
    return shop.server.send("POST", url, body, Authorization=f"Bearer {shop.token}")


def test_known_keys_stay_known_while_the_catalog_cannot_be_read_and_new_ones_follow(
    server: Server,
) -> None:
    shop = server.shop("Shop", "web")
    catalog = server.program.data / "catalog.sqlite"
    changed(catalog, "UPDATE source SET name = 'other'")
    eventually(lambda: noted(server, KEYS) != [], "the fault to be said")
    assert "catalog.sqlite" in noted(server, KEYS)[0]
    assert server.track("/v1/page", MESSAGE, shop.write_keys["web"]).status == 200
    changed(catalog, "UPDATE source SET name = 'web'")
    eventually(lambda: noted(server, KEYS) == [], "the fault to be over")
    shop.add_source("another")
    assert server.track("/v1/page", MESSAGE, shop.write_keys["another"]).status == 200
    # Said once when it began and once when it ended, however often it was met.
    assert sum(KEYS in line for line in server.log) == 2
    server.stop()


def test_a_server_that_cannot_read_its_catalog_ends_well(server: Server) -> None:
    shop = server.shop("Shop", "web")
    changed(server.program.data / "catalog.sqlite", "UPDATE source SET name = 'other'")
    eventually(lambda: noted(server, KEYS) != [], "the fault to be said")
    assert server.track("/v1/page", MESSAGE, shop.write_keys["web"]).status == 200
    server.stop()
    assert not any("A process that takes messages" in line for line in server.log)


@pytest.mark.parametrize(
    ("file", "damage", "mending"),
    [
        (
            "store",
            "UPDATE month SET sealed = 7 WHERE sealed",
            "UPDATE month SET sealed = 1 WHERE sealed",
        ),
        ("catalog", "UPDATE token SET expires_at_ms = 7", "UPDATE token SET expires_at_ms = NULL"),
    ],
)
def test_an_import_is_told_to_come_again_while_its_months_or_its_token_cannot_be_read(
    server: Server, file: str, damage: str, mending: str
) -> None:
    shop = server.shop("Shop", "web")
    assert imported(shop).status == 200
    shop.wait_until_counted()
    with closing(open_store(server.program.data / "store.sqlite")) as store:
        store.commit(Change(sealed=[(1, parse_period("2021-01-01"))]))
    path = server.program.data / f"{file}.sqlite"
    changed(path, damage)
    answer = imported(shop)
    assert (answer.status, answer.json()["code"]) == (503, "storage_unavailable")
    assert int(answer.headers["Retry-After"]) >= 1
    eventually(lambda: noted(server, "Imports over HTTP") != [], "the fault to be said")
    changed(path, mending)
    assert imported(shop).status == 200
    eventually(lambda: noted(server, "Imports over HTTP") == [], "the fault to be over")
