"""A single machine's folder, with its history, as the beginning of a cluster."""

from __future__ import annotations

import json
import urllib.request
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headcount.counting.calendar import parse_period
from headcount.counting.metrics import ADMITTED, API_CALLS, KINDS
from headcount.counting.usage import DAYS_MAX
from headcount.store.opening import open_partition_store
from headcount.store.protocol import Change
from support.cluster_programs import NodeProgram, eventually, fresh_address
from support.program import Program
from support.scripted_receiver import ScriptedReceiver, scripted_receiver

# Whole nodes: on a machine that others use as well, everything takes a multiple.
pytestmark = pytest.mark.timeout(1200)

LAST_MONTH, THIS_MONTH = 60, 30


def record(number: int, moment: str) -> dict[str, Any]:
    return {
        "type": "track",
        "event": "Bought",
        "messageId": f"m{number}",
        "userId": f"u{number % 17}",
        "anonymousId": f"a{number % 23}",
        "receivedAt": moment,
    }


def read(api: str, path: str, token: str) -> Any:
    request = urllib.request.Request(f"{api}{path}", headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.loads(answer.read())["data"]


def views(api: str, token: str) -> list[Any]:
    """Every snapshot of two months, of the workspace and its sources."""
    return [
        read(api, f"/usage/{kind}?period={period}&pagination.count=1000", token)
        for period in ("2026-10-01", "2026-11-01")
        for kind in (
            "api-calls/daily",
            "api-calls/sources/daily",
            "mtu/daily",
            "mtu/sources/daily",
        )
    ]


def test_every_snapshot_is_the_same_and_copies_of_old_messages_are_known(tmp_path: Path) -> None:
    single = Program(data=tmp_path / "single", cwd=tmp_path)
    single.json("workspace", "add", "Shop")
    for name in ("web", "app"):
        single.json("source", "add", name, "--workspace", "Shop")
    admin = single.json("token", "add", "--workspace", "Shop", "--scope", "admin")["token"]
    for name, offset in (("web", 0), ("app", 40)):
        past = tmp_path / f"{name}.jsonl"
        days = [f"2026-10-{1 + n % 28:02}T08:00:00Z" for n in range(LAST_MONTH)]
        days += [f"2026-11-{1 + n % 24:02}T08:00:00Z" for n in range(THIS_MONTH)]
        lines = [json.dumps(record(offset + n, day)) for n, day in enumerate(days)]
        past.write_text("\n".join(lines))
        single.json("import", str(past), "--workspace", "Shop", "--source", name)
    with single.serving() as where:
        before = views(where["api"], admin)
    node = NodeProgram(tmp_path, "a", fresh_address())
    joined = node.json(
        "cluster", "join", str(single.data), "--node", "a", "--facts", "2", "--keys", "2"
    )
    assert joined["scopes"] == 6
    assert joined["messageKeys"] == 2 * (LAST_MONTH + THIS_MONTH)
    node.start()
    try:
        api = node.where["api"]
        eventually(lambda: answered(api, admin))
        assert views(api, admin) == before
        # A message of before that comes again is no further API call, nor is its id a new one.
        web = next(each for each in node.json("source", "list") if each["name"] == "web")
        again = record(0, "2026-10-01T08:00:00Z") | {"sourceId": web["id"]}
        fresh = record(7777, "2026-10-02T08:00:00Z") | {"sourceId": web["id"], "userId": "u1"}
        body = json.dumps({"batch": [again, fresh]}).encode()
        request = urllib.request.Request(f"{node.where['tracking']}/v1/import", body)
        request.add_header("Authorization", f"Bearer {admin}")
        request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert answer.status == 200
        eventually(lambda: calls(api, admin) == calls_of(before) + 1)
        after = read(api, "/usage/mtu/daily?period=2026-10-01&pagination.count=1000", admin)
        [last, known] = [each["dailyWorkspaceMTUUsage"][-1] for each in (after, before[2])]
        assert last == known, "its ids were known"
        # Keys were shared out, and counts were not: each partition is recounted all the same.
        [recounted] = found_by_doctor(node, "partitions")
        assert recounted["level"] == "ok"
        assert recounted["details"]["partitions"] == 4
        assert recounted["details"]["notRecounted"] == [
            "messages and duplicates, which leave no keys"
        ]
        [summed] = found_by_doctor(node, "sums")
        assert summed["level"] == "ok"
    finally:
        node.stop()
    miscount(node.data / "partitions" / "facts-1" / "store.sqlite")
    [wrong, _] = found_by_doctor(node, "partitions")
    assert wrong["level"] == "problem"
    assert wrong["message"].startswith("Partition facts-1: ")


def found_by_doctor(node: NodeProgram, check: str) -> list[dict[str, Any]]:
    told = json.loads(node.run("doctor", "--json").stdout)
    return [each for each in told["findings"] if each["check"] == check]


def miscount(store: Path) -> None:
    """One API call more, of a message that is none."""
    counts = np.zeros((DAYS_MAX, len(KINDS)), np.int64)
    counts[0, [API_CALLS, ADMITTED]] = 1
    month = parse_period("2026-11-01")
    with closing(open_partition_store(store)) as opened:
        opened.commit(Change(counts={(month, 1, 0): counts, (month, 1, 1): counts}))


def test_what_was_told_is_told_by_no_cluster_again_and_channels_open_there(tmp_path: Path) -> None:
    with scripted_receiver() as receiver:
        single = Program(data=tmp_path / "single", cwd=tmp_path)
        single.json("workspace", "add", "Shop")
        key = single.json("source", "add", "web", "--workspace", "Shop")["writeKey"]
        single.json(
            "channel", "add", "ops", "--workspace", "Shop", "--webhook", receiver.url,
            "--allow-private",
        )  # fmt: skip
        rule = ("alert", "add", "--workspace", "Shop", "--metric", "api-calls")
        single.json(*rule, "--at", "2", "--at", "3", "--at", "5")
        with single.serving() as where:
            post(where["tracking"], key, 2)
            eventually(lambda: marks_told(receiver) == ["2"])
            post(where["tracking"], key, 4)
            eventually(lambda: marks_told(receiver) == ["2", "3"])
        node = NodeProgram(tmp_path, "a", fresh_address())
        node.json("cluster", "join", str(single.data), "--node", "a", "--facts", "1", "--keys", "1")
        node.start()
        try:
            post(node.where["tracking"], key, 6)
            eventually(lambda: "5" in marks_told(receiver))
            assert node.json("channel", "test", "ops")["taken"]
            assert marks_told(receiver) == ["2", "3", "5"]
        finally:
            node.stop()


def post(tracking: str, key: str, upto: int) -> None:
    """The first messages, up to a number."""
    batch = [record(n, "2026-11-01T08:00:00Z") for n in range(upto)]
    request = urllib.request.Request(
        f"{tracking}/v1/batch", json.dumps({"writeKey": key, "batch": batch}).encode()
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.status == 200


def marks_told(receiver: ScriptedReceiver) -> list[str]:
    """Thresholds that a receiver has taken."""
    told = [json.loads(posted.body)["data"] for posted in receiver.taken()]
    return sorted(each["threshold"] for data in told for each in data.get("crossings", ()))


def answered(api: str, token: str) -> bool:
    try:
        return bool(views(api, token))
    except OSError:
        return False


def calls_of(found: list[Any]) -> int:
    return int(found[0]["dailyWorkspaceAPICallsUsage"][-1]["apiCalls"])


def calls(api: str, token: str) -> int:
    return calls_of(
        [read(api, "/usage/api-calls/daily?period=2026-10-01&pagination.count=1000", token)]
    )


def test_what_is_not_counted_yet_or_not_new_is_refused(tmp_path: Path) -> None:
    node = NodeProgram(tmp_path, "a", fresh_address())
    assert node.run("cluster", "init", "--node", "a").returncode == 0
    again = node.run("cluster", "join", str(node.data), "--node", "b", "--data", "new")
    assert again.returncode == 2
    assert "belongs to a cluster already" in again.stderr
