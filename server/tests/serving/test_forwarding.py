"""A source that forwards, on a whole server: what its vendor gets, and what is told of it."""

from __future__ import annotations

import base64
import gzip
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from support.scripted_vendor import Doing, ScriptedVendor, scripted_vendor
from support.server_fixture import Shop, eventually, serving


def forward(shop: Shop, name: str, *options: str) -> Any:
    return shop.server.program.json("source", "forward", name, *options)


def start(shop: Shop, name: str, vendor: ScriptedVendor, *options: str) -> None:
    """Let a source forward, and wait until the one worker knows that it does."""
    forward(shop, name, "--to", vendor.url, "--write-key", "theirs", *options)
    begun, came = f"{time.monotonic()}", 0

    def known() -> bool:
        nonlocal came
        came += 1
        vendor.probes.add(f"probe-{begun}-{came}")
        probe(shop, name, f"probe-{begun}-{came}")
        time.sleep(0.2)
        held = {each["messageId"] for each in vendor.messages("theirs")}
        return any(f"probe-{begun}-{number}" in held for number in range(came + 1))

    eventually(known, f"the worker to forward {name}")
    eventually(
        lambda: forward(shop, name, "--show")["waitingMessages"] == 0, "all probes to be delivered"
    )


def probe(shop: Shop, name: str, message_id: str) -> None:
    message = {"event": "probe", "userId": "probe", "messageId": message_id}
    answer = shop.server.track("/v1/track", message, shop.write_keys[name])
    assert answer.status == 200, answer.body


@contextmanager
def forwarding(
    folder: Path, vendor: ScriptedVendor, *options: str, serve: tuple[str, ...] = ()
) -> Iterator[Shop]:
    with serving(folder, "--workers", "1", *serve) as server:
        shop = server.shop("Shop", "web", "apart")
        start(shop, "web", vendor, *options)
        yield shop


def delivered(shop: Shop, vendor: ScriptedVendor) -> list[dict[str, Any]]:
    """What the vendor holds once nothing waits; it is what was counted."""

    def done() -> bool:
        told = forward(shop, "web", "--show")
        return told["waitingMessages"] == 0 and told["waitingBytes"] == 0

    eventually(done, "everything to be delivered")
    shop.wait_until_counted()
    held = vendor.distinct("theirs")
    too_early = vendor.probes - {each["messageId"] for each in held}
    assert len(held) == shop.usage()[shop.source_ids["web"]].api_calls - len(too_early)
    return [each for each in held if each.get("event") != "probe"]


def test_every_way_in_leads_to_the_vendor_and_is_counted_once(tmp_path: Path) -> None:
    with scripted_vendor() as vendor, forwarding(tmp_path, vendor) as shop:
        server, key = shop.server, shop.write_keys["web"]
        other = shop.write_keys["apart"]
        one = {"event": "x", "userId": "u", "properties": {"n": 1}}
        assert server.track("/v1/track", one | {"messageId": "single"}, key).status == 200
        assert server.track("/v1/t", one | {"messageId": "short"}, key).status == 200
        assert (
            server.track("/v1/identify", {"userId": "u", "traits": {"a": [1]}}, key).status == 200
        )
        of_body = json.dumps(one | {"messageId": "body-key", "writeKey": key}).encode()
        assert server.send("POST", f"{server.tracking}/v1/track", of_body).status == 200
        packed = gzip.compress(
            json.dumps({"batch": [one | {"type": "track", "messageId": "gz"}]}).encode()
        )
        basic = "Basic " + base64.b64encode(f"{key}:".encode()).decode()
        assert server.send(
            "POST", f"{server.tracking}/v1/batch", packed,
            Authorization=basic, Content_Encoding="gzip",
        ).status == 200  # fmt: skip
        mixed = {
            "batch": [
                one | {"type": "track", "messageId": "mixed-1", "writeKey": key},
                one | {"type": "track", "messageId": "mixed-not", "writeKey": other},
                {"type": "page", "writeKey": key},
                one | {"type": "track", "messageId": "mixed-2", "writeKey": key},
            ]
        }
        body = json.dumps(mixed).encode()
        assert server.send("POST", f"{server.tracking}/v1/batch", body).status == 200
        merge = {"userId": "u", "messageId": "merge", "mergeProperties": []}
        assert server.track("/v1/merge", merge, key).status == 200
        data = base64.b64encode(json.dumps(one | {"messageId": "pixel", "writeKey": key}).encode())
        url = f"{server.tracking}/v1/pixel/track?data={data.decode()}"
        assert server.send("GET", url).status == 200
        beacon = json.dumps({"batch": [one | {"type": "track", "messageId": "beacon"}]}).encode()
        url = f"{server.tracking}/beacon/v1/batch?writeKey={key}"
        assert server.send("POST", url, beacon).status == 200
        hook = json.dumps([one | {"type": "track", "messageId": "hook"}, one | {"type": "track"}])
        url = f"{server.tracking}/v1/webhook?writeKey={key}"
        assert server.send("POST", url, hook.encode()).status == 200
        event = {
            "specversion": "1.0", "id": "e1", "source": "/s", "type": "com.example.track",
            "data": one,
        }  # fmt: skip
        assert server.send("POST", url, json.dumps(event).encode()).status == 200
        batch = {"batch": [one | {"type": "track", "messageId": "by-import"}]}
        assert server.track("/v1/import", batch, key).status == 200
        past = {
            "writeKey": key,
            "batch": [
                one | {"type": "track", "messageId": "past", "receivedAt": "2026-01-02T03:04:05Z"}
            ],
        }
        token = {"Authorization": f"Bearer {shop.token}"}
        url = f"{server.tracking}/v1/import"
        assert server.send("POST", url, json.dumps(past).encode(), **token).status == 200
        assert server.track("/v1/track", one | {"messageId": "not-ours"}, other).status == 200
        assert server.track("/v1/track", {"userId": "no event"}, key).status == 400
        held = delivered(shop, vendor)
        named = [each["messageId"] for each in held]
        ours = [name for name in named if not name.startswith(("headcount-", "CloudEvent "))]
        assert ours == [
            "single", "short", "body-key", "gz", "mixed-1", "mixed-2", "merge", "pixel", "beacon",
            "hook", "by-import",
        ]  # fmt: skip
        assert len(named) == len(ours) + 3, (
            "an identify, an item and an event had none of their own"
        )
        assert all(key.encode() not in each.body for each in vendor.came)
        paths = {each.path for each in vendor.came}
        assert paths == {"/v1/track", "/v1/identify", "/v1/batch", "/v1/merge"}


def test_what_the_vendor_refuses_for_good_is_tallied_by_status_and_holds_up_nothing(
    tmp_path: Path,
) -> None:
    with scripted_vendor() as vendor, forwarding(tmp_path, vendor) as shop:
        begun = len(vendor.came)
        vendor.script = lambda n: Doing((413, 400, 200)[(n - begun) % 3])
        key = shop.write_keys["web"]
        for number in range(6):
            message = {"event": "x", "userId": "u", "messageId": f"m{number}"}
            assert shop.server.track("/v1/track", message, key).status == 200
        eventually(
            lambda: (
                forward(shop, "web", "--show")["outcomes"].get("refused", {}).get("requests") == 4
            ),
            "four to be refused",
        )
        told = forward(shop, "web", "--show")
        assert told["refusedByStatus"] == [
            {"status": 400, "requests": 2, "messages": 2},
            {"status": 413, "requests": 2, "messages": 2},
        ]

        # The page and the API tell the same, a little later.
        def told_by_api() -> Any:
            [record] = shop.ask("/headcount/v1/forwarding").data["forwarding"]
            return record

        eventually(
            lambda: told_by_api()["outcomes"]["refused"] == {"requests": 4, "messages": 4},
            "the API to tell it",
        )
        assert "theirs" not in json.dumps(told_by_api())
        assert told_by_api()["sourceName"] == "web"
        text = shop.server.ask("/metrics").body.decode()
        source_id = shop.source_ids["web"]
        line = f'headcount_forward_requests{{outcome="refused",source="{source_id}"}} 4.0'
        assert line in text
        assert f'headcount_forward_answers_total{{source="{source_id}",status="413"}} 2.0' in text
        shop.wait_until_counted()
        counted = shop.usage()[source_id].api_calls
        too_early = vendor.probes - {each["messageId"] for each in vendor.distinct("theirs")}
        assert counted == len(vendor.distinct("theirs")) + 4 + len(too_early)


def test_a_vendor_that_is_away_or_limits_holds_up_no_counting_and_gets_all_in_order(
    tmp_path: Path,
) -> None:
    with scripted_vendor() as vendor, forwarding(tmp_path, vendor) as shop:
        key = shop.write_keys["web"]
        vendor.die()
        for number in range(20):
            message = {"event": "x", "userId": "u", "messageId": f"m{number}"}
            assert shop.server.track("/v1/track", message, key).status == 200
        shop.wait_until_counted()
        # What waits is counted with each try, and tries are further and further apart.
        eventually(
            lambda: "20 messages wait for the vendor" in forward(shop, "web", "--show")["sentence"],
            "all of them to wait",
        )
        assert forward(shop, "web", "--show")["waitingMessages"] == 20
        limited = len(vendor.came)
        vendor.script = lambda n: (
            Doing(429, headers=(("Retry-After", "1"),)) if n == limited else Doing()
        )
        vendor.start()
        held = delivered(shop, vendor)
        assert [each["messageId"] for each in held] == [f"m{n}" for n in range(20)]


def test_a_full_spool_refuses_its_source_or_stops_as_was_said_and_says_so(tmp_path: Path) -> None:
    with (
        scripted_vendor() as vendor,
        forwarding(tmp_path, vendor, serve=("--forward-spool", "16M")) as shop,
    ):
        server, key = shop.server, shop.write_keys["web"]
        vendor.die()
        stuff = "x" * 30_000
        batch = {
            "batch": [
                {"type": "page", "userId": "u", "name": stuff, "messageId": ""} for _ in range(100)
            ]
        }

        def post() -> int:
            return server.track("/v1/batch", batch, key).status

        eventually(lambda: post() == 429, "the source to be refused")
        assert (
            server.track(
                "/v1/track", {"event": "x", "userId": "u"}, shop.write_keys["apart"]
            ).status
            == 200
        )
        health = json.dumps(server.ask("/readyz").json())
        assert "all the room it may" in health
        forward(shop, "web", "--to", vendor.url, "--write-key", "theirs", "--when-full", "stop")
        eventually(lambda: post() == 200, "messages to be taken again")
        told = forward(shop, "web", "--show")
        assert told["state"] == "stopped"
        [record] = shop.ask("/headcount/v1/forwarding").data["forwarding"]
        eventually(
            lambda: shop.ask("/headcount/v1/forwarding").data["forwarding"][0]["state"] == "full",
            "the API to say that it has stopped",
        )
        assert record["whenFull"] == "stop"
        vendor.start()
        eventually(lambda: forward(shop, "web", "--show")["waitingBytes"] == 0, "what waits to go")
        came = len(vendor.came)
        assert post() == 200
        forward(shop, "web", "--start")
        start(shop, "web", vendor)
        assert len(vendor.came) > came


def test_stopping_delivers_what_waits_and_dropping_does_not(tmp_path: Path) -> None:
    with scripted_vendor() as vendor, forwarding(tmp_path, vendor) as shop:
        key = shop.write_keys["web"]
        vendor.die()
        message = {"event": "x", "userId": "u"}
        assert shop.server.track("/v1/track", message | {"messageId": "waits"}, key).status == 200
        forward(shop, "web", "--stop")
        time.sleep(1)
        assert shop.server.track("/v1/track", message | {"messageId": "later"}, key).status == 200
        vendor.start()
        eventually(
            lambda: "waits" in {m["messageId"] for m in vendor.messages("theirs")},
            "what waited to be delivered",
        )
        forward(shop, "web", "--start")
        start(shop, "web", vendor)
        vendor.die()
        assert shop.server.track("/v1/track", message | {"messageId": "drops"}, key).status == 200
        told = forward(shop, "web", "--drop")
        assert told["state"] == "off"
        eventually(
            lambda: (
                forward(shop, "web", "--show")["outcomes"].get("dropped", {}).get("messages") == 1
            ),
            "it to be dropped",
        )
        vendor.start()
        held = {each["messageId"] for each in vendor.messages("theirs")}
        assert held & {"later", "drops"} == set()


def test_a_backup_holds_no_raw_message_and_a_restored_server_delivers_nothing_twice(
    tmp_path: Path,
) -> None:
    with scripted_vendor() as vendor:
        with forwarding(tmp_path, vendor) as shop:
            key = shop.write_keys["web"]
            vendor.die()
            message = {"event": "x", "userId": "ada@example.com", "messageId": "m"}
            assert shop.server.track("/v1/track", message, key).status == 200
            done = shop.server.program.run("backup", str(tmp_path / "backup"))
            assert done.returncode == 0, done.stderr
            findings = shop.server.program.json("doctor")
            said = [each["message"] for each in findings["findings"] if each["check"] == "spool"]
            assert any("1 message to forward" in each for each in said), said
        names = {path.name for path in (tmp_path / "backup").rglob("*")}
        assert "spool" not in names
        assert "spool.key" not in names
        data = tmp_path / "again"
        data.mkdir()
        done = shop.server.program.run(
            "restore", str(tmp_path / "backup"), "--data", str(data / "data")
        )
        assert done.returncode == 0, done.stderr
        came = len(vendor.came)
        vendor.start()
        with serving(data, "--workers", "1") as server:
            again = Shop(server, shop.name, shop.id, shop.token, shop.write_keys, shop.source_ids)
            again.wait_until_counted()
            time.sleep(1)
            assert len(vendor.came) == came
            start(again, "web", vendor)


def test_a_token_sets_public_addresses_only_and_reads_no_key(tmp_path: Path) -> None:
    with serving(tmp_path, "--workers", "1") as server:
        shop = server.shop("Shop", "web")
        path = f"/headcount/v1/sources/{shop.source_ids['web']}/forwarding"
        token = {"Authorization": f"Bearer {shop.token}", "Content_Type": "application/json"}

        def put(to: str) -> Any:
            body = json.dumps({"to": to, "writeKey": "their-secret"}).encode()
            return server.send("PUT", f"{server.api}{path}", body, **token)

        for private in ("https://127.0.0.1:8081", "https://169.254.169.254", "http://1.1.1.1"):
            answer = put(private)
            assert answer.status == 422
            assert answer.json()["errors"][0]["field"] == "to"
        answer = put("https://1.1.1.1")
        assert answer.status == 200
        assert b"their-secret" not in answer.body
        told = shop.ask("/headcount/v1/forwarding")
        assert b"their-secret" not in told.body
        assert told.data["forwarding"][0]["to"] == "https://1.1.1.1"
        body = json.dumps({"state": "off"}).encode()
        answer = server.send("PATCH", f"{server.api}{path}", body, **token)
        assert answer.data["forwarding"]["state"] == "off"


def test_the_key_is_taken_from_file_and_environment_and_shown_nowhere(tmp_path: Path) -> None:
    with serving(tmp_path, "--workers", "1") as server:
        server.shop("Shop", "web")
        file = tmp_path / "vendor.key"
        file.write_text("from-file-4711\n")
        said = []
        for options, environ in (
            (("--write-key-file", str(file)), {}),
            ((), {"HEADCOUNT_FORWARD_WRITE_KEY": "from-env-4711"}),
        ):
            done = server.program.run(
                "source", "forward", "web", "--to", "segment", *options, **environ
            )
            assert done.returncode == 0, done.stderr
            said.append(done.stdout + done.stderr)
        done = server.program.run("source", "forward", "web", "--to", "segment")
        assert done.returncode == 2
        assert "--write-key-file" in done.stderr
        done = server.program.run("source", "forward", "web", "--drop")
        assert done.returncode == 0
        said += [done.stdout, "".join(server.log)]
        assert not any("4711" in each for each in said)
        assert (tmp_path / "data" / "spool.key").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("lost", ["spool"])
def test_a_folder_without_a_spool_opens(tmp_path: Path, lost: str) -> None:
    with scripted_vendor() as vendor:
        with forwarding(tmp_path, vendor) as shop:
            delivered(shop, vendor)
        for path in sorted((tmp_path / "data" / lost).rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        (tmp_path / "data" / lost).rmdir()
        with serving(tmp_path, "--workers", "1") as server:
            again = Shop(server, shop.name, shop.id, shop.token, shop.write_keys, shop.source_ids)
            again.await_key(shop.write_keys["web"])
            start(again, "web", vendor)
