"""One part of a folder is put back as it was earlier, with all that bears its name: the next start
refuses it, and names a remedy that works."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from crash.damages import AT_REST_S
from support.program import Program
from support.server_fixture import Server, Shop, serving

LINES_MAX = 6
ON_FREE_PORTS = ("--tracking", "127.0.0.1:0", "--api", "127.0.0.1:0")


def post(shop: Shop, tag: str, messages: int) -> None:
    batch = [
        {"type": "page", "messageId": f"{tag}-{n}", "userId": f"u{n}"} for n in range(messages)
    ]
    answer = shop.server.track("/v1/batch", {"batch": batch}, shop.write_keys["web"])
    assert answer.status == 200, answer


def files_of(data: Path, pattern: str) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in data.glob(pattern) if path.is_file()}


def put_back(former: dict[Path, bytes], data: Path, pattern: str) -> None:
    for path in data.glob(pattern):
        path.unlink()
    for path, content in former.items():
        path.write_bytes(content)


def assert_refused(program: Program, words: str) -> None:
    """Serve and doctor say so; the repair that they name is done, and says what is lost."""
    for _ in range(2):  # the first refusal has made nothing anew
        done = program.run("serve", *ON_FREE_PORTS)
        assert done.returncode == 1, done
        assert words in done.stderr
        assert "headcount doctor --repair" in done.stderr
        assert len(done.stderr.splitlines()) <= LINES_MAX
    assert program.run("doctor").returncode == 1


def repaired(program: Program) -> list[str]:
    """What a repair says is lost; all is well afterwards."""
    done = program.run("doctor", "--repair", "--yes", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    return [act["lost"] for act in json.loads(done.stdout)["repair"] if act["lost"]]


def counted_with(tmp_path: Path, work: Callable[[Server, Shop], None]) -> Shop:
    with serving(tmp_path, "--workers", "1") as server:
        shop = server.shop("Shop", "web")
        post(shop, "counted", 10)
        shop.wait_until_counted()
        work(server, shop)
    return shop


def test_a_journal_whose_messages_were_not_counted_yet(tmp_path: Path) -> None:
    former: dict[Path, bytes] = {}
    data = tmp_path / "data"

    def work(server: Server, shop: Shop) -> None:
        time.sleep(AT_REST_S)
        [meter] = server.children("meter")
        meter.suspend()
        post(shop, "copied", 20)
        former.update(files_of(data, "journals/*"))
        post(shop, "lost", 40)
        post(shop, "lost too", 2)
        server.end()  # killed, all of it

    shop = counted_with(tmp_path, work)
    put_back(former, data, "journals/*")
    program = Program(data, tmp_path)
    assert_refused(program, "its last 2 entries are gone, with 42 acknowledged messages")
    assert any("42 messages" in lost for lost in repaired(program))
    with serving(tmp_path, "--workers", "1") as server:
        again = Shop(server, shop.name, shop.id, shop.token, shop.write_keys, shop.source_ids)
        again.wait_until_counted()
        assert again.usage()[""].api_calls == 30
        post(again, "after", 5)
        again.wait_until_counted()
        assert again.usage()[""].api_calls == 35


def test_a_catalog_that_was_changed_while_no_server_ran(tmp_path: Path) -> None:
    counted_with(tmp_path, lambda *_: None)
    data = tmp_path / "data"
    program = Program(data, tmp_path)
    former = files_of(data, "catalog*")
    [token] = program.json("token", "list", "--workspace", "Shop")
    program.json("token", "revoke", token["id"])
    put_back(former, data, "catalog*")
    assert_refused(program, "its last change is gone")
    # No command writes to it either.
    assert program.run("workspace", "add", "Stranger").returncode == 1
    assert any("made or changed last" in lost for lost in repaired(program))
    with serving(tmp_path, "--workers", "1"):
        pass


def test_a_store_whose_journals_still_hold_what_it_lacks(tmp_path: Path) -> None:
    shop = counted_with(tmp_path, lambda *_: None)
    data = tmp_path / "data"
    program = Program(data, tmp_path)
    former = files_of(data, "store*") | files_of(data, "keys/*")
    with serving(tmp_path, "--workers", "1") as server:
        again = Shop(server, shop.name, shop.id, shop.token, shop.write_keys, shop.source_ids)
        post(again, "later", 7)
        again.wait_until_counted()
    put_back(former, data, "store*")
    assert_refused(program, "store.sqlite holds less than was confirmed")


def test_a_folder_that_is_older_as_a_whole_is_a_restored_one(tmp_path: Path) -> None:
    shop = counted_with(tmp_path, lambda *_: None)
    data = tmp_path / "data"
    shutil.copytree(data, tmp_path / "copy")
    with serving(tmp_path, "--workers", "1") as server:
        again = Shop(server, shop.name, shop.id, shop.token, shop.write_keys, shop.source_ids)
        post(again, "later", 7)
        again.wait_until_counted()
    shutil.rmtree(data)
    (tmp_path / "copy").rename(data)
    with serving(tmp_path, "--workers", "1") as server:
        again = Shop(server, shop.name, shop.id, shop.token, shop.write_keys, shop.source_ids)
        again.wait_until_counted()
        assert again.usage()[""].api_calls == 10
