"""Whole nodes of a cluster on a real PostgreSQL: one catalog, and what a node is refused for."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest

from headcount.cluster.membership_records import (
    CLUSTER_FORMAT,
    CLUSTER_KEY,
    ClusterDocument,
    decoded,
    encoded,
)
from headcount.engines.opening import open_registry
from moved_clock import MovedClock
from support.cluster_programs import (
    NodeProgram,
    database_server,
    eventually,
    fresh_address,
    nodes_of_a_cluster,
)

# Whole nodes: on a machine that others use as well, everything takes a multiple.
pytestmark = pytest.mark.timeout(1200)


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[list[NodeProgram]]:
    with nodes_of_a_cluster(tmp_path, "a", "b") as found:
        yield found


def asked(url: str, **headers: str) -> tuple[int, str]:
    return sent("GET", url, None, **headers)


def sent(method: str, url: str, body: Any, **headers: str) -> tuple[int, str]:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, headers, method=method)
    request.add_header("Content-Type", "application/json")
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def posted(node: NodeProgram, write_key: str) -> int:
    basic = "Basic " + b64encode(f"{write_key}:".encode()).decode()
    message = {"userId": "u", "event": "Bought"}
    return sent("POST", f"{node.where['tracking']}/v1/track", message, Authorization=basic)[0]


def test_nodes_have_one_catalog_whoever_changes_it(nodes: list[NodeProgram]) -> None:
    a, b = nodes
    a.start()
    b.start()
    a.json("workspace", "add", "Shop")
    web = a.json("source", "add", "web", "--workspace", "Shop")
    eventually(lambda: posted(b, web["writeKey"]) == 200)
    eventually(lambda: posted(a, web["writeKey"]) == 200)
    # By the API of one node, with a token that the other has made.
    secret = b.json("token", "add", "--workspace", "Shop", "--scope", "admin")["token"]
    bearer = {"Authorization": f"Bearer {secret}"}
    url = f"{a.where['api']}/headcount/v1/sources"
    eventually(lambda: asked(url, **bearer)[0] == 200)
    status, _ = sent("POST", url, {"name": "app"}, **bearer)
    assert status == 201
    found = eventually(lambda: [each for each in b.json("source", "list") if each["name"] == "app"])
    eventually(lambda: posted(b, found[0]["writeKey"]) == 200)
    # What is refused on one node is refused on all.
    b.run("source", "disable", "web")
    eventually(lambda: posted(a, web["writeKey"]) in (400, 401, 403))
    told = a.json_status()
    assert [each["name"] for each in told["nodes"]] == ["a", "b"]
    assert {each["state"] for each in told["nodes"]} == {"serving"}
    assert {each["node"] for each in told["partitions"]} == {"a"}


def test_without_the_registry_known_keys_are_taken_and_nothing_is_changed(
    nodes: list[NodeProgram],
) -> None:
    a, b = nodes
    a.json("workspace", "add", "Shop")
    web = a.json("source", "add", "web", "--workspace", "Shop")
    secret = a.json("token", "add", "--workspace", "Shop", "--scope", "admin")["token"]
    bearer = {"Authorization": f"Bearer {secret}"}
    a.start()
    b.start()
    primary = database_server().primary
    primary.kill()
    try:
        assert posted(a, web["writeKey"]) == 200
        assert posted(b, web["writeKey"]) == 200
        url = f"{b.where['api']}/headcount/v1/sources"
        status, said = sent("POST", url, {"name": "app"}, **bearer)
        assert status == 503
        assert "the catalog cannot be changed" in said
        refused = a.run("source", "add", "app", "--workspace", "Shop")
        assert refused.returncode == 1
        assert "the catalog cannot be changed" in refused.stderr
        assert "Known write keys are taken meanwhile" in refused.stderr
        # A node that knows its cluster also starts without it.
        b.stop()
        b.start()
        assert posted(b, web["writeKey"]) == 200
    finally:
        primary.start()
    eventually(lambda: sent("POST", url_of(b), {"name": "app"}, **bearer)[0] == 201)
    eventually(lambda: [each for each in a.json("source", "list") if each["name"] == "app"])


def url_of(node: NodeProgram) -> str:
    return f"{node.where['api']}/headcount/v1/sources"


def refused(node: NodeProgram, *words: str, **extra: str) -> None:
    node.start(**extra)
    status, log = node.ended()
    assert status in (1, 2), log
    assert not [word for word in words if word not in log], log
    assert "Traceback" not in log


def test_a_node_with_another_hash_key_is_refused(nodes: list[NodeProgram]) -> None:
    _, b = nodes
    (b.cwd / "b.key").write_text("ab" * 32 + "\n")
    refused(b, "does not hold the cluster's hash key", "Copy the hash key")
    (b.cwd / "b.key").unlink()
    refused(b, "does not hold the cluster's hash key")
    assert not (b.data / "hash.key").exists(), "it must not make one of its own"


def test_two_nodes_of_one_name_are_refused(nodes: list[NodeProgram], tmp_path: Path) -> None:
    a, _ = nodes
    a.start()
    (tmp_path / "elsewhere").mkdir()
    other = NodeProgram(tmp_path / "elsewhere", "a", a.address)
    other.take_key_of(a)
    refused(other, 'a node "a" already', "--node")
    assert asked(f"{a.where['api']}/healthz")[0] == 200


def test_the_address_of_another_cluster_is_refused(nodes: list[NodeProgram]) -> None:
    a, _ = nodes
    here = a.address
    a.address = fresh_address()
    refused(a, "was wiped, or is another one", "headcount cluster init --again")
    other = NodeProgram(a.cwd, "x", a.address)
    assert other.run("cluster", "init", "--node", "x").returncode == 0
    refused(a, "and this node belongs to cluster")
    a.address = here
    a.start()
    assert asked(f"{a.where['api']}/healthz")[0] == 200


def test_a_version_that_hands_on_another_format_is_refused(nodes: list[NodeProgram]) -> None:
    a, b = nodes
    with closing(open_registry(a.address)) as registry:
        found = registry.get(CLUSTER_KEY)
        assert found is not None
        cluster = decoded(found.value, ClusterDocument)
        later = msgspec.structs.replace(cluster, format=CLUSTER_FORMAT + 1)
        registry.put(CLUSTER_KEY, encoded(later), found.revision)
        refused(b, f"uses format {later.format}", "Install the version that the other nodes run")
        registry.put(CLUSTER_KEY, encoded(cluster), None)
    b.start()
    assert asked(f"{b.where['api']}/healthz")[0] == 200


def test_a_clock_that_is_an_hour_off_is_refused_and_the_others_go_on(
    nodes: list[NodeProgram], tmp_path: Path
) -> None:
    a, b = nodes
    a.start()
    clock = MovedClock(tmp_path / "clock", datetime.now(UTC) - timedelta(hours=1))
    refused(b, "behind that of", "time synchronisation", **clock.environment())
    # One that is set while it serves stops by itself.
    clock.set(datetime.now(UTC))
    b.start(**clock.environment())
    assert asked(f"{b.where['api']}/healthz")[0] == 200
    clock.set(datetime.now(UTC) + timedelta(hours=1))
    status, log = b.ended()
    assert status == 1, log
    assert "ahead of that of" in log
    assert "Traceback" not in log
    assert asked(f"{a.where['api']}/healthz")[0] == 200


def test_a_folder_of_a_cluster_is_not_served_as_a_single_machine(nodes: list[NodeProgram]) -> None:
    a, _ = nodes
    done = a.run("serve", "--tracking", "127.0.0.1:0", "--api", "127.0.0.1:0", HEADCOUNT_CLUSTER="")
    assert done.returncode == 2
    assert 'is node "a" of a cluster' in done.stderr
    changed = a.run("workspace", "add", "Shop", HEADCOUNT_CLUSTER="")
    assert changed.returncode == 1
    assert "HEADCOUNT_CLUSTER" in changed.stderr


def test_a_registry_that_was_lost_is_written_anew_from_a_node(nodes: list[NodeProgram]) -> None:
    a, b = nodes
    a.json("workspace", "add", "Shop")
    a.start()
    b.start()
    eventually(lambda: b.json("workspace", "list"))
    a.stop()
    b.stop()
    a.address = b.address = fresh_address()
    refused(b, "was wiped")
    again = b.run("cluster", "init", "--again")
    assert again.returncode == 0, again.stderr
    a.start()
    b.start()
    assert [each["name"] for each in b.json("workspace", "list")] == ["Shop"]
    assert {each["node"] for each in a.json_status()["partitions"]} == {"a"}


def test_a_look_at_an_empty_database_makes_nothing_there(tmp_path: Path) -> None:
    stranger = NodeProgram(tmp_path, "x", fresh_address())
    done = stranger.run("cluster", "status")
    assert done.returncode == 1
    assert "its database is empty. Begin one with headcount cluster init" in done.stderr
    with psycopg.connect(stranger.address) as database:
        made = database.execute("SELECT nspname FROM pg_namespace WHERE nspname ~ 'headcount'")
        assert made.fetchall() == []


def test_what_waits_for_a_node_that_never_served_is_said_once_with_the_remedy(
    nodes: list[NodeProgram],
) -> None:
    a, _ = nodes
    done = a.run("cluster", "status")
    assert done.returncode == 1
    assert list(filter(None, done.stderr.splitlines())) == [
        'Partitions facts-0, facts-1, keys-0, keys-1, each: waits for node "a", which has never'
        " served: start it there with headcount serve --node a."
    ]


def test_a_node_whose_key_file_is_missing_ends_with_a_status(nodes: list[NodeProgram]) -> None:
    a, _ = nodes
    refused(a, "nokey does not hold the cluster's hash key", HEADCOUNT_HASH_KEY="nokey")


def test_who_lives_is_neither_taken_over_nor_retired(nodes: list[NodeProgram]) -> None:
    a, b = nodes
    a.start()
    b.start()
    for command in (("takeover", "a", "--to", "b"), ("retire", "b", "--yes")):
        done = a.run("cluster", *command)
        assert done.returncode == 2, done.stderr
    a.kill()
    over = b.run("cluster", "takeover", "a", "--to", "b")
    assert over.returncode == 0, over.stderr
    assert "No backup is known of facts-0, facts-1, keys-0, keys-1" in over.stderr
    told = b.json_status()
    assert {each["node"] for each in told["partitions"]} == {"b"}
    assert [each["state"] for each in told["nodes"]] == ["silent", "serving"]
    assert any('Node "a" has said nothing' in each for each in told["missing"])
    assert b.run("cluster", "retire", "a", "--yes").returncode == 0
    refused(a, 'Node "a" was retired')


def test_a_node_takes_over_by_itself_when_it_is_told_to(nodes: list[NodeProgram]) -> None:
    a, b = nodes
    a.start()
    b.start("--take-over-after", "4")
    a.kill()
    eventually(lambda: {each["node"] for each in b.json_status()["partitions"]} == {"b"})


def test_a_node_says_how_the_cluster_does_by_its_api(nodes: list[NodeProgram]) -> None:
    a, b = nodes
    a.json("workspace", "add", "Shop")
    secret = a.json("token", "add", "--workspace", "Shop", "--scope", "admin")["token"]
    b.start()
    url = f"{b.where['api']}/headcount/v1/cluster"
    bearer = {"Authorization": f"Bearer {secret}"}
    told = eventually(lambda: json.loads(asked(url, **bearer)[1]).get("data", {}).get("cluster"))
    assert told["seenBy"] == "b"
    assert told["countedUntil"] is None
    assert any("keys-1" in each for each in told["missing"])
    assert "facts-0" in asked(f"{b.where['api']}/readyz")[1]


def test_what_only_a_single_machine_does_is_refused_in_a_cluster(
    nodes: list[NodeProgram],
) -> None:
    a, _ = nodes
    done = a.run("rotate-hash-key")
    assert done.returncode == 2, (done.stdout, done.stderr)
    assert 'is node "a" of one' in done.stderr
    assert "begin a new cluster with it at the turn of a month" in done.stderr


def test_what_a_node_could_not_count_on_is_not_moved_to_it(
    nodes: list[NodeProgram], tmp_path: Path
) -> None:
    a, b = nodes
    move = ("cluster", "move", "keys-0", "keys-1", "--to", "b")
    b.start()
    never = b.run(*move)
    assert never.returncode == 2
    assert 'Node "a" has never served, so there is nothing of keys-0 that "b"' in never.stderr
    assert "headcount serve --node a" in never.stderr
    a.start()
    untold = b.run(*move)
    assert untold.returncode == 2
    assert 'Node "b" is not told where backups lie' in untold.stderr
    a.stop()
    b.stop()
    backups = ("--backups", str(tmp_path / "kept"))
    b.start(*backups)
    lacking = b.run(*move)
    assert lacking.returncode == 2
    assert 'There is no backup of keys-0 from which "b" could count on.' in lacking.stderr
    assert {each["node"] for each in b.json_status()["partitions"]} == {"a"}
    # One that is about to be made is waited for; and what was counted is counted on.
    a.start(*backups)
    moved = b.run(*move)
    assert moved.returncode == 0, moved.stderr
    eventually(lambda: all(each["countedUntil"] for each in b.json_status()["partitions"]))
    owners = {each["name"]: each["node"] for each in b.json_status()["partitions"]}
    assert owners == {"facts-0": "a", "facts-1": "a", "keys-0": "b", "keys-1": "b"}
