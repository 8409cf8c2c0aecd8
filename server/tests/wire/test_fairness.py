"""One source that floods hinders no other, and fills nobody's memory: on a real server."""

from __future__ import annotations

import http.client
import itertools
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
import urllib3

from support.server_fixture import Server, Shop, eventually, serving

_LITTLE_MEMORY = "128M"
_MIB = 1 << 20
_MANY = 100
# Of a thousand messages with three new ids each: a twentieth of what so little memory holds.
_BATCHES_UNSEEN = 20


BodyOf = Callable[[int], tuple[bytes, int]]
"""The body of a request by its number, and how many messages it has."""


class Flood:
    """Clients that send as fast as they are answered, and heed no Retry-After.

    Attributes:
        statuses: answers by status and code.
        acknowledged: messages that were acknowledged.
    """

    def __init__(
        self,
        server: Server,
        write_key: str,
        body_of: Callable[[int], tuple[bytes, int]],
        *,
        by: int,
    ) -> None:
        self._place = urlsplit(server.tracking).netloc
        self._headers = urllib3.make_headers(basic_auth=f"{write_key}:")
        self._body_of = body_of
        self._numbers = itertools.count()
        self._ends = threading.Event()
        self._lock = threading.Lock()
        self.statuses: Counter[tuple[int, str]] = Counter()
        self.acknowledged = 0
        self._threads = [threading.Thread(target=self.send) for _ in range(by)]

    def __enter__(self) -> Flood:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        for thread in self._threads:
            thread.join()

    def send(self, requests: int | None = None) -> None:
        """Send so many requests, or for as long as it is entered, over one connection."""
        connection = http.client.HTTPConnection(self._place, timeout=60)
        for _ in itertools.count() if requests is None else range(requests):
            if self._ends.is_set():
                break
            body, messages = self._body_of(next(self._numbers))
            try:
                connection.request("POST", "/v1/batch", body, self._headers)
                answer = connection.getresponse()
                document = json.loads(answer.read())
            except OSError:  # cut off while it was sending: that is an answer too
                connection.close()
                with self._lock:
                    self.statuses[0, "hung up"] += 1
                continue
            with self._lock:
                self.statuses[answer.status, document.get("code", "")] += 1
                if answer.status == 200:
                    self.acknowledged += messages
        connection.close()

    def refused(self, code: str) -> int:
        """How many requests were answered 429 under a code."""
        return self.statuses[429, code]


def aliases(tag: str, messages: int) -> BodyOf:
    """Batches in which every id is new: three to a message."""

    def body_of(number: int) -> tuple[bytes, int]:
        items = ",".join(
            f'{{"type":"alias","userId":"u{tag}-{number}-{n}","previousId":"p{tag}-{number}-{n}",'
            f'"anonymousId":"a{tag}-{number}-{n}"}}'
            for n in range(messages)
        )
        return f'{{"batch":[{items}]}}'.encode(), messages

    return body_of


def post(shop: Shop, source: str, user: str) -> int:
    message = {"userId": user, "event": "e"}
    return shop.server.track("/v1/track", message, shop.write_keys[source]).status


def post_many(shop: Shop, source: str, tag: str) -> int:
    """Post a batch that is large enough to wait for a place."""
    batch = [{"type": "page", "userId": tag, "name": "y" * 1_000} for _ in range(_MANY)]
    return shop.server.track("/v1/batch", {"batch": batch}, shop.write_keys[source]).status


def outcomes(shop: Shop) -> dict[str, int]:
    totals: dict[str, int] = shop.ask("/headcount/v1/outcomes").data["totals"]
    return totals


def answers(server: Server, status: str, reason: str) -> float:
    """How many requests the metrics say were answered so."""
    wanted = f'headcount_requests_total{{reason="{reason}",status="{status}"}} '
    lines = server.ask("/metrics").body.decode().splitlines()
    return sum(float(line.removeprefix(wanted)) for line in lines if line.startswith(wanted))


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    with serving(tmp_path, "--workers", "1") as server:
        yield server.shop("acme", "flooded", "modest")


def test_a_modest_source_is_taken_while_another_floods(shop: Shop) -> None:
    filler = "x" * 3_000
    large = json.dumps(
        {"batch": [{"type": "page", "userId": f"u{n}", "name": filler} for n in range(1_000)]}
    ).encode()
    with Flood(shop.server, shop.write_keys["flooded"], lambda _: (large, 1_000), by=40) as flood:
        eventually(lambda: flood.refused("source_over_share") > 20, "the flood to be refused")
        modest = [post(shop, "modest", f"user {n}") for n in range(30)]
        modest += [post_many(shop, "modest", f"user {n}") for n in range(10)]
        healthy = [shop.server.send("GET", f"{shop.server.tracking}/healthz").status] * 5
    assert Counter(modest) == {200: 40}
    assert healthy == [200] * 5
    # The flood is served too, as far as there is time.
    assert flood.statuses[200, ""] > 0
    shop.wait_until_counted()
    usage = shop.usage()
    assert usage[shop.source_ids["modest"]].api_calls == 30 + 10 * _MANY
    assert usage[shop.source_ids["flooded"]].api_calls == flood.acknowledged
    refused = flood.refused("source_over_share")
    eventually(
        lambda: answers(shop.server, "429", "source_over_share") >= refused, "refusals in metrics"
    )


@pytest.mark.timeout(240)
def test_new_ids_beyond_the_memory_are_refused_and_all_that_was_taken_is_counted(
    tmp_path: Path,
) -> None:
    with serving(tmp_path, "--workers", "1", "--memory", _LITTLE_MEMORY) as server:
        shop = server.shop("acme", "flooded", "modest")
        [meter] = server.children("meter")
        most_mib = 0.0
        # The meter refuses by what it knows: it is let catch up now and then, or a machine
        # on which it stands still for a second has no room left for anybody when it looks again.
        flood = Flood(server, shop.write_keys["flooded"], aliases("f", 1_000), by=0)
        while flood.refused("memory_short") < 5:
            flood.send(_BATCHES_UNSEEN)
            assert post(shop, "modest", "always the same") == 200
            most_mib = max(most_mib, meter.memory_full_info().pss / _MIB)
            assert flood.acknowledged < 1_000_000, "nobody was refused"
            eventually(lambda: outcomes(shop)["accepted"] >= flood.acknowledged, "the meter")
        # The source that brought them is refused, and the other one goes on.
        assert post(shop, "flooded", "one more") == 429
        modest = [post(shop, "modest", "always the same") for _ in range(20)]
        assert modest == [200] * 20
        assert server.ask("/readyz").status == 200
        # In the end there is no more memory for anybody, and nobody dies of it.
        with Flood(server, shop.write_keys["modest"], aliases("m", 1_000), by=2) as second:
            while second.refused("memory_short") < 5:
                most_mib = max(most_mib, meter.memory_full_info().pss / _MIB)
                assert second.acknowledged < 1_000_000, "nobody was refused"
                time.sleep(0.01)
        taken = flood.acknowledged + second.acknowledged
        eventually(
            lambda: outcomes(shop)["accepted"] >= taken, "all that was acknowledged to be counted"
        )
        usage = shop.usage()
        flooded = usage[shop.source_ids["flooded"]]
        assert flooded.api_calls == flooded.identified == flood.acknowledged
        assert flooded.anonymous == 2 * flood.acknowledged
        assert usage[shop.source_ids["modest"]].identified == second.acknowledged + 1
        assert [process.pid for process in server.children("meter")] == [meter.pid]
        assert most_mib < 128
        assert sum("meter uses" in line for line in server.log) == 1
        trouble = 'headcount_trouble{kind="memory"} 1.0'
        assert trouble in server.ask("/metrics").body.decode().splitlines()


def test_with_too_little_memory_for_what_is_stored_the_server_reads_and_says_so(
    tmp_path: Path,
) -> None:
    with serving(tmp_path, "--workers", "1") as server:
        shop = server.shop("acme", "flooded")
        with Flood(server, shop.write_keys["flooded"], aliases("f", 1_000), by=2) as flood:
            eventually(lambda: flood.acknowledged > 260_000, "many ids")
        shop.wait_until_counted()
        before = shop.usage()
    again = serving(tmp_path, "--workers", "1", "--memory", _LITTLE_MEMORY)
    with again as server:
        shop = replace(shop, server=server)
        [meter] = server.children("meter")
        eventually(lambda: post(shop, "flooded", "more") == 429, "posts to be refused")
        assert shop.usage() == before
        said = "the ids of the month need about"
        eventually(lambda: any(said in line for line in server.log), "a word in the log")
        assert [process.pid for process in server.children("meter")] == [meter.pid]
        assert isinstance(meter, psutil.Process)


def test_a_budget_of_messages_is_kept_over_all_workers(tmp_path: Path) -> None:
    options = ("--workers", "2", "--source-messages-per-minute", "50")
    with serving(tmp_path, *options) as server:
        shop = server.shop("acme", "flooded", "modest")
        began_minute = time.time() // 60
        fresh = {"Connection": "close"}
        statuses = Counter(
            server.track("/v1/page", {"userId": "u"}, shop.write_keys["flooded"], **fresh).status
            for _ in range(90)
        )
        minutes = int(time.time() // 60 - began_minute) + 1
        assert set(statuses) == {200, 429}
        assert 50 <= statuses[200] <= 50 * minutes
        assert post(shop, "modest", "u") == 200
        eventually(
            lambda: answers(server, "429", "source_over_budget") == statuses[429], "the metrics"
        )
        shop.wait_until_counted()
        assert shop.usage()[shop.source_ids["flooded"]].api_calls == statuses[200]


def test_a_budget_of_new_ids_is_kept_as_soon_as_they_are_counted(tmp_path: Path) -> None:
    options = ("--workers", "2", "--source-ids-per-minute", "30")
    with serving(tmp_path, *options) as server:
        shop = server.shop("acme", "flooded", "modest")
        numbers = itertools.count()

        def refused() -> bool:
            return post(shop, "flooded", f"new {next(numbers)}") == 429

        eventually(refused, "new ids to be refused")
        assert next(numbers) >= 30
        assert {post(shop, "modest", "the same") for _ in range(60)} == {200}
