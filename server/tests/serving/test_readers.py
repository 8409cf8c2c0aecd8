"""Readers beside two busy intake workers: what they see only grows, and is of one moment.

Posters send batches into several sources at once while readers ask. Whatever a reader was told,
nobody who asks afterwards may be told less; and the parts of one answer must fit together.
"""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import segment_public_api
from segment_public_api import iter_pages
from support.server_fixture import Shop, serving

SOURCES = ("web", "app", "shop")
POSTERS = 2
MESSAGES = 20  # in a batch
MOMENTS = 100  # different states that readers must have met
SETS = ("identified", "anonymous", "anonymousIdentified")
SEED = 11


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with serving(tmp_path_factory.mktemp("readers"), "--workers", "2") as server:
        yield server.shop("Shop", *SOURCES)


class Floor:
    """The most that anybody has been told; an answer to whoever asks later may not be below."""

    def __init__(self) -> None:
        self._told: dict[tuple[str, ...], int] = {}
        self._lock = threading.Lock()

    def now(self) -> dict[tuple[str, ...], int]:
        with self._lock:
            return dict(self._told)

    def check_and_raise(
        self, before: dict[tuple[str, ...], int], told: dict[tuple[str, ...], int]
    ) -> None:
        """Compare an answer with what was known before it was asked for."""
        for name, value in told.items():
            assert value >= before.get(name, 0), f"{name} fell from {before[name]} to {value}"
        with self._lock:
            for name, value in told.items():
                self._told[name] = max(value, self._told.get(name, 0))


def post(shop: Shop, poster: int, enough: threading.Event) -> int:
    """Send batches, each over a connection of its own, so that both workers get their share.

    Returns:
        How many messages were acknowledged.
    """
    chance = random.Random(f"{SEED} {poster}")
    batches = 0
    while not enough.is_set():
        messages = []
        for number in range(MESSAGES):
            message: dict[str, Any] = {
                "type": "page",
                "messageId": f"{poster} {batches} {number}",
                "anonymousId": f"device {chance.randrange(5000)}",
            }
            if chance.random() < 0.3:
                message["userId"] = f"user {chance.randrange(2000)}"
            messages.append(message)
        key = shop.write_keys[chance.choice(SOURCES)]
        answer = shop.server.track("/v1/batch", {"batch": messages}, key, Connection="close")
        assert answer.status == 200, answer.body
        batches += 1
    return batches * MESSAGES


def read_summary(shop: Shop) -> dict[tuple[str, ...], int]:
    """Counts of one summary, whose parts must be of one moment."""
    data = shop.ask("/headcount/v1/summary").data
    whole = data["month"]["totals"]
    parts = [source["totals"] for source in data["sources"]]
    assert whole["apiCalls"] == sum(part["apiCalls"] for part in parts)
    assert whole["mtu"] == whole["identified"] + whole["neverIdentified"]
    for kind in SETS:
        values = [part[kind] for part in parts]
        assert max(values, default=0) <= whole[kind] <= sum(values)
    told = {("", kind): whole[kind] for kind in ("apiCalls", *SETS)}
    for source in data["sources"]:
        told |= {(source["sourceId"], k): source["totals"][k] for k in ("apiCalls", *SETS)}
    return told


def read_outcomes(shop: Shop) -> dict[tuple[str, ...], int]:
    """Outcomes of one answer: workspace, days and sources must agree."""
    data = shop.ask("/headcount/v1/outcomes").data
    accepted = data["totals"]["accepted"]
    assert data["totals"]["duplicate"] == data["totals"]["rejected"] == 0
    assert accepted == sum(day["outcomes"]["accepted"] for day in data["days"])
    assert accepted == sum(source["outcomes"]["accepted"] for source in data["sources"])
    return {("", "apiCalls"): accepted}


def read_workspace_days(shop: Shop) -> dict[tuple[str, ...], int]:
    """The usage API's own rows, which must not fall from one day to the next either."""
    period = shop.month()
    told: dict[tuple[str, ...], int] = {}
    for path, name, kinds in (
        ("/usage/api-calls/daily", "dailyWorkspaceAPICallsUsage", ("apiCalls",)),
        ("/usage/mtu/daily", "dailyWorkspaceMTUUsage", SETS),
    ):
        rows = shop.ask(f"{path}?period={period}").data[name]
        for kind in kinds:
            values = [int(row[kind]) for row in rows]
            assert values == sorted(values)
            told["", kind] = values[-1]
        if "neverIdentified" in rows[-1]:
            last = rows[-1]
            never = int(last["anonymous"]) - int(last["anonymousIdentified"])
            assert int(last["neverIdentified"]) == never
    return told


def test_what_readers_see_only_grows_and_is_of_one_moment(shop: Shop) -> None:
    floor = Floor()
    enough = threading.Event()
    seen: set[int] = set()

    def keep_reading(read: Callable[[Shop], dict[tuple[str, ...], int]]) -> None:
        while not enough.is_set():
            before = floor.now()
            told = read(shop)
            floor.check_and_raise(before, told)
            seen.add(told["", "apiCalls"])
            if len(seen) >= MOMENTS:
                enough.set()

    def until_enough(work: Callable[..., int | None], *arguments: Any) -> int | None:
        try:
            return work(*arguments)
        finally:
            enough.set()  # whoever failed must not leave the others at it for ever

    reads = (read_summary, read_summary, read_outcomes, read_workspace_days)
    with ThreadPoolExecutor(POSTERS + len(reads)) as pool:
        posting = [pool.submit(until_enough, post, shop, n, enough) for n in range(POSTERS)]
        reading = [pool.submit(until_enough, keep_reading, read) for read in reads]
        for each in reading:
            each.result()
        sent = sum(each.result() or 0 for each in posting)
    shop.wait_until_counted()
    assert read_summary(shop)["", "apiCalls"] == sent


def add_busy_sources(shop: Shop, names: list[str], history: list[str]) -> None:
    """Make sources and send each its first message; every other one gets days past as well."""
    for number, name in enumerate(names):
        made = shop.server.send(
            "POST", f"{shop.server.api}/headcount/v1/sources",
            json.dumps({"name": name}).encode(),
            Authorization=f"Bearer {shop.token}", Content_Type="application/json",
        ).data["source"]  # fmt: skip
        shop.await_key(made["writeKey"])
        message = {"type": "page", "anonymousId": "device", "messageId": "first"}
        assert shop.server.track("/v1/page", message, made["writeKey"]).status == 200
        if number % 2:
            past = message | {"messageId": "past", "receivedAt": f"{shop.month()}T00:00:00Z"}
            history.append(json.dumps(past | {"writeKey": made["writeKey"]}))


def test_pages_hold_every_row_once_while_rows_are_added(shop: Shop) -> None:
    """Two readers walk page by page while new sources get rows before and behind them."""
    first_names = [f"early {number}" for number in range(6)]
    past: list[str] = []
    add_busy_sources(shop, first_names, past)
    shop.wait_until_counted()
    period = shop.month()
    configuration = segment_public_api.Configuration(host=shop.server.api, access_token=shop.token)
    added = threading.Event()

    def walk(method_name: str, api: Any) -> int:
        """Walk until nothing is added any more; how many rows were added during walks."""
        grown = 0
        with segment_public_api.ApiClient(configuration) as client:
            method = getattr(api(client), method_name)
            ended = False
            while not ended:
                ended = added.is_set()
                before = _keys(method(period, {"count": 1000}))
                walked = [
                    key for page in iter_pages(method, period, count=2) for key in _keys(page)
                ]
                assert len(walked) == len(set(walked)), "a row was seen twice"
                assert set(before) <= set(walked), "a row was left out"
                grown += len(walked) - len(before)
        return grown

    def add() -> None:
        try:
            add_busy_sources(shop, [f"late {number}" for number in range(6)], past)
            history = shop.server.program.cwd / "past.ndjson"
            history.write_text("\n".join(past) + "\n")
            shop.server.program.json("import", str(history), "--workspace", shop.name)
        finally:
            added.set()

    with ThreadPoolExecutor(3) as pool:
        adding = pool.submit(add)
        walks = [
            pool.submit(
                walk, "get_daily_per_source_api_calls_usage", segment_public_api.APICallsApi
            ),
            pool.submit(
                walk, "get_daily_per_source_mtu_usage", segment_public_api.MonthlyTrackedUsersApi
            ),
        ]
        adding.result()
        assert sum(each.result() for each in walks) > 0, "nothing grew while pages were read"


def _keys(page: Any) -> list[tuple[str, str]]:
    return [(row.timestamp, row.source_id) for row in page.rows]
