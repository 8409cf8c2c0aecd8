"""Storage that refuses is said, and what can be read is read: full disks and read-only mounts."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from support.disks import SmallDisk, read_only, small_disk
from support.program import Program
from support.server_fixture import Server, Shop, eventually, serving

MESSAGES = 50


def post(shop: Shop, tag: str) -> int:
    """Post a batch; gives the status."""
    batch = [
        {"type": "page", "messageId": f"{tag}-{n}", "userId": f"u{n}"} for n in range(MESSAGES)
    ]
    answer = shop.server.track("/v1/batch", {"batch": batch}, shop.write_keys["web"])
    if answer.status == 503:
        assert answer.json()["code"] == "storage_unavailable"
        assert int(answer.headers["Retry-After"]) >= 1
    return answer.status


def is_ready(server: Server) -> bool:
    return server.ask("/readyz").status == 200


def refusal(server: Server) -> str:
    """Why the server says that it is not ready."""
    answer = server.ask("/readyz")
    assert answer.status == 503
    return str(answer.json()["errors"][0]["message"])


def metric(server: Server, name: str) -> float:
    """The sum of a metric of storage, over all processes."""
    lines = server.ask("/metrics").body.decode().splitlines()
    return sum(
        float(line.split()[-1]) for line in lines if line.startswith(f'{name}{{kind="storage"')
    )


def said(server: Server, words: str) -> int:
    """In how many lines of the log something is said."""
    return sum(words in line for line in server.log)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path / "disk") as disk:
        yield disk


def test_a_full_disk_is_said_while_it_lasts_and_forgotten_by_itself(disk: SmallDisk) -> None:
    with serving(disk.path, "--workers", "1") as server:
        shop = server.shop("Shop", "web")
        assert post(shop, "before") == 200
        shop.wait_until_counted()
        assert metric(server, "headcount_trouble") == 0
        disk.fill()
        eventually(lambda: post(shop, "full") == 503, "the disk to be full")
        eventually(lambda: not is_ready(server), "/readyz to say so")
        assert "full" in refusal(server)
        assert metric(server, "headcount_trouble") >= 1
        assert metric(server, "headcount_troubles_met_total") >= 1
        # What is there can be read, and examined.
        assert shop.usage()[""].api_calls >= MESSAGES
        report = json.loads(server.program.run("doctor", "--json").stdout)
        problems = {f["check"] for f in report["findings"] if f["level"] == "problem"}
        assert problems <= {"disk", "server", "troubles"}
        disk.empty()
        # Nobody posts any more: the server itself notices.
        eventually(lambda: is_ready(server), "the server to be well again")
        assert metric(server, "headcount_trouble") == 0
        assert post(shop, "full") == 200
        assert post(shop, "after") == 200
        shop.wait_until_counted()
        assert shop.usage()[""].api_calls == 3 * MESSAGES
        assert said(server, "Messages are refused") == 2  # its beginning and its end
        assert said(server, "Messages are not counted") in (0, 2)


@pytest.mark.parametrize("role", ["intake", "meter", "api"])
def test_a_process_that_starts_again_on_a_full_disk_lets_nobody_wait(
    role: str, disk: SmallDisk
) -> None:
    with serving(disk.path, "--workers", "1") as server:
        shop = server.shop("Shop", "web")
        assert post(shop, "before") == 200
        shop.wait_until_counted()
        disk.fill()
        eventually(lambda: post(shop, "full") == 503, "the disk to be full")
        [process] = server.children(role)
        process.send_signal(signal.SIGKILL)
        eventually(lambda: process not in server.children(role), "the process to end")
        eventually(lambda: server.children(role) != [], "another to begin")
        # Or taken, where what was moved out of a log has left room in it; they are the same.
        assert post(shop, "full") in (200, 503)
        assert shop.usage()[""].api_calls >= MESSAGES
        disk.empty()
        eventually(lambda: is_ready(server), "the server to be well again")
        assert post(shop, "full") == 200
        shop.wait_until_counted()
        assert shop.usage()[""].api_calls == 2 * MESSAGES


def test_a_start_on_a_full_disk_is_for_reading_until_there_is_room(disk: SmallDisk) -> None:
    with serving(disk.path, "--workers", "1") as server:
        shop = server.shop("Shop", "web")
        assert post(shop, "before") == 200
        shop.wait_until_counted()
    disk.fill()
    with serving(disk.path, "--workers", "1") as server:
        again = replace(shop, server=server)
        assert "full" in refusal(server)
        assert said(server, "messages are refused") == 1
        assert metric(server, "headcount_trouble") == 1
        assert post(again, "full") == 503
        assert again.usage()[""].api_calls == MESSAGES
        assert server.ask("/healthz").status == 200
        disk.empty()
        eventually(lambda: is_ready(server), "the server to take messages")
        eventually(lambda: post(again, "full") == 200, "messages to be taken")
        again.wait_until_counted()
        assert again.usage()[""].api_calls == 2 * MESSAGES
        assert said(server, "messages are refused") == 2


def test_a_folder_that_cannot_be_written_is_served_for_reading(tmp_path: Path) -> None:
    (tmp_path / "rw").mkdir()
    with serving(tmp_path / "rw", "--workers", "1") as server:
        shop = server.shop("Shop", "web")
        assert post(shop, "before") == 200
        shop.wait_until_counted()
    with read_only(tmp_path / "rw", tmp_path / "ro") as place:
        read(shop, place)


def test_what_a_killed_server_left_in_its_logs_is_read_where_nothing_can_be_written(
    tmp_path: Path,
) -> None:
    (tmp_path / "rw").mkdir()
    with serving(tmp_path / "rw", "--workers", "1") as server:
        shop = server.shop("Shop", "web")
        assert post(shop, "before") == 200
        shop.wait_until_counted()
        (tmp_path / "copy").mkdir()
        # A copy of the files, as they lie there, is what a killed server leaves.
        shutil.copytree(tmp_path / "rw" / "data", tmp_path / "copy" / "data")
    assert (tmp_path / "copy" / "data" / "store.sqlite-wal").stat().st_size
    for shared in (tmp_path / "copy" / "data").rglob("*-shm"):
        shared.unlink()
    with read_only(tmp_path / "copy", tmp_path / "ro") as place:
        read(shop, place)


def read(shop: Shop, place: Path) -> None:
    """All that can be done with a folder without writing to it, at a place that takes nothing."""
    program = Program(place / "data", place.parent)
    report = json.loads(program.run("doctor", "--json").stdout)
    assert {f["check"] for f in report["findings"] if f["level"] == "problem"} <= {"disk"}
    program.json("backup", str(place.parent / "backup"))
    with serving(place, "--workers", "1") as server:
        again = replace(shop, server=server)
        assert "reading only" in refusal(server)
        assert said(server, "reading only") == 1
        assert post(again, "refused") == 503
        assert again.usage()[""].api_calls == MESSAGES
        assert server.ask("/docs").status == 200
        assert metric(server, "headcount_trouble") == 1
