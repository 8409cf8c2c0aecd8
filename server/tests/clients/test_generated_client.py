"""A client that a well-kept generator makes from /openapi.json pages through a real server."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

import segment_public_api
from segment_public_api import iter_rows
from support.server_fixture import Shop, serving

FEBRUARY = date(2021, 2, 1)
SOURCES = ("web", "app", "shop")
PAGE_ROWS = 7


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A workspace whose sources were used every other day of a February long past."""
    with serving(tmp_path_factory.mktemp("server"), "--workers", "1") as server:
        shop = server.shop("Shop", *SOURCES)
        batch = [
            {
                "type": "page",
                "anonymousId": f"a{day % 5}",
                "messageId": f"{name}-{day}",
                "receivedAt": f"2021-02-{day:02d}T12:00:00Z",
                "sourceId": shop.source_ids[name],
            }
            for first, name in enumerate(SOURCES, 1)
            for day in range(first, 29, 2)
        ]
        token = {"Authorization": f"Bearer {shop.token}"}
        body = json.dumps({"batch": batch}).encode()
        answer = server.send("POST", f"{server.tracking}/v1/import", body, **token)
        assert (answer.status, answer.json()) == (200, {"success": True})
        shop.wait_until_counted()
        yield shop


@pytest.fixture(scope="module")
def generated(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The name of the package that was generated, of which nothing was left out."""
    folder = tmp_path_factory.mktemp("generated")
    description = folder / "openapi.json"
    description.write_bytes(shop.server.ask("/openapi.json").body)
    # It tidies up what it made with a program that stands beside this Python.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    finished = subprocess.run(
        [
            sys.executable, "-m", "openapi_python_client", "generate", "--path", str(description),
            "--output-path", str(folder / "generated_usage"), "--meta", "none", "--fail-on-warning",
        ],
        capture_output=True, text=True, env=os.environ | {"PATH": path},
    )  # fmt: skip
    assert finished.returncode == 0, finished.stdout + finished.stderr
    sys.path.insert(0, str(folder))
    yield "generated_usage"
    sys.path.remove(str(folder))


def client_of(generated: str, shop: Shop, token: str | None = None) -> Any:
    return importlib.import_module(generated).AuthenticatedClient(
        base_url=shop.server.api, token=token or shop.token
    )


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("get_daily_workspace_api_calls_usage", "daily_workspace_api_calls_usage"),
        ("get_daily_per_source_api_calls_usage", "daily_per_source_api_calls_usage"),
        ("get_daily_workspace_mtu_usage", "daily_workspace_mtu_usage"),
        ("get_daily_per_source_mtu_usage", "daily_per_source_mtu_usage"),
    ],
)
def test_it_pages_forward_and_back(shop: Shop, generated: str, name: str, rows: str) -> None:
    operation = importlib.import_module(f"{generated}.api.usage.{name}")
    unset = importlib.import_module(f"{generated}.types").UNSET

    def walked(client: Any, cursor: Any, onward: str) -> list[Any]:
        pages = []
        while True:
            data = operation.sync(
                client=client,
                period=FEBRUARY,
                paginationcount=PAGE_ROWS,
                paginationcursor=cursor,
            ).data
            pages.append([row.to_dict() for row in getattr(data, rows)])
            assert len(pages[-1]) <= PAGE_ROWS
            total.add(data.pagination.total_entries)
            cursor = getattr(data.pagination, onward)
            if not isinstance(cursor, str):
                assert cursor is unset
                last.append(data.pagination.current)
                return pages

    total: set[int] = set()
    last: list[str] = []
    with client_of(generated, shop) as client:
        pages = walked(client, unset, "next_")
        found = [row for page in pages for row in page]
        back = walked(client, last[0], "previous")
    assert [row for page in reversed(back) for row in page] == found
    assert total == {len(found)}
    assert len(pages) > 2
    assert found == documented_rows(shop, name)


def documented_rows(shop: Shop, name: str) -> list[dict[str, Any]]:
    """All rows as the documented client reads them, in one page."""
    configuration = segment_public_api.Configuration(host=shop.server.api, access_token=shop.token)
    with segment_public_api.ApiClient(configuration) as client:
        kind = "APICallsApi" if "api_calls" in name else "MonthlyTrackedUsersApi"
        method = getattr(getattr(segment_public_api, kind)(client), name)
        return [json.loads(row.to_json()) for row in iter_rows(method, FEBRUARY)]


def test_it_reads_what_the_server_refuses(shop: Shop, generated: str) -> None:
    name = "get_daily_workspace_mtu_usage"
    operation = importlib.import_module(f"{generated}.api.usage.{name}")
    with client_of(generated, shop, "hct_nobody") as client:
        refused = operation.sync_detailed(client=client, period=FEBRUARY)
    assert refused.status_code == 401
    assert refused.parsed.errors[0].type_ == "unauthorized"
    with client_of(generated, shop) as client:
        refused = operation.sync_detailed(client=client, period=FEBRUARY, paginationcount=2_000)
    assert refused.status_code == 422
    assert refused.parsed.errors[0].field == "pagination.count"


def test_it_asks_for_several_sources_in_one_request(shop: Shop, generated: str) -> None:
    operation = importlib.import_module(f"{generated}.api.reports.get_daily")
    with client_of(generated, shop) as client:
        wanted = [shop.source_ids[name] for name in ("app", "web")]
        data = operation.sync(client=client, period=FEBRUARY, source_id=wanted).data
    assert [each.source_name for each in data.sources] == ["app", "web"]
    assert [each.totals.api_calls[-1] for each in data.sources] == [14, 14]
