"""`headcount forget` beside a running server and without one: what it says, what it changes, and
that nothing of the id is left in any file of the folder."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from headcount.datafolder import DataFolder
from support.program import Program
from support.server_fixture import Server, Shop, serving

ANN, PHONE = "ann@example.org", "phone-5f2c77"


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    with serving(tmp_path) as server:
        yield server.shop("Shop", "web", "app")


def visit(shop: Shop, name: str, *sources: str) -> None:
    for source in sources:
        message = {"type": "identify", "messageId": f"{name} {source}"}
        message |= {"userId": ANN, "anonymousId": PHONE}
        answer = shop.server.track("/v1/identify", message, shop.write_keys[source])
        assert answer.status == 200
    shop.wait_until_counted()


def doctor(program: Program) -> Any:
    done = program.run("doctor", "--json")
    report = json.loads(done.stdout)
    assert done.returncode == 0, report
    return {each["check"]: each for each in report["findings"]}


def test_a_person_is_forgotten_beside_a_running_server(shop: Shop) -> None:
    program = shop.server.program
    visit(shop, "first", "web", "app")
    before = shop.usage()
    said = program.json("forget", "--user-id", ANN)
    month = shop.month()
    assert [(each["period"], each["workspace"], each["id"]) for each in said["found"]] == [
        (month, "Shop", "userId")
    ]
    assert set(said["found"][0]["sourceIds"]) == set(shop.source_ids.values())
    assert shop.usage() == before
    assert doctor(program)["counts"]["level"] == "ok"
    assert program.json("forget", "--user-id", ANN)["found"] == []

    visit(shop, "again", "web")
    assert shop.usage()[""].identified == before[""].identified + 1
    assert shop.usage()[""].anonymous == before[""].anonymous
    assert doctor(program)["counts"]["level"] == "ok"
    shown = program.run("forget", "--user-id", "-", "--anonymous-id", PHONE, stdin=f"{ANN}\n")
    assert shown.returncode == 0, shown.stderr
    assert "userId" in shown.stdout
    assert "anonymousId" in shown.stdout
    assert "count anew" in shown.stderr
    assert "Backups" in shown.stderr
    nothing = program.run("forget", "--user-id", ANN)
    assert "Nothing was found" in nothing.stderr
    assert not list(DataFolder(program.data).forgetting.iterdir())


def test_a_person_is_forgotten_while_no_server_runs(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        shop = server.shop("Shop", "web")
        other = server.shop("Other", "web")
        for each in (shop, other):
            visit(each, "first", "web")
        before = shop.usage()
    program = server.program
    said = program.json("forget", "--anonymous-id", PHONE, "--workspace", "Shop")
    assert [each["workspace"] for each in said["found"]] == ["Shop"]
    assert doctor(program)["counts"]["level"] == "ok"
    with serving(tmp_path) as server:
        shop.server = other.server = server
        assert shop.usage() == before
        for each in (shop, other):
            visit(each, "again", "web")
        assert shop.usage()[""].anonymous == 2
        assert other.usage()[""].anonymous == 1
        visible = [*logged(server), *(path.read_bytes() for path in files(program.data))]
    for content in visible:
        assert ANN.encode() not in content
        assert PHONE.encode() not in content


def logged(server: Server) -> list[bytes]:
    return [line.encode() for line in server.log]


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "Say whom to forget"),
        (("--user-id", ""), "1 to 1,024 characters"),
        (("--user-id", "x" * 1025), "1 to 1,024 characters"),
        (("--user-id", "x", "--workspace", "Nobody's"), "There is no workspace"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    program = Program(data=tmp_path / "data", cwd=tmp_path)
    program.json("workspace", "add", "Shop")
    done = program.run("forget", *arguments)
    assert done.returncode != 0
    assert words in done.stderr
