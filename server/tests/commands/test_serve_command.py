"""`headcount serve` as an operator meets it: what stops it, and how changes reach it."""

from __future__ import annotations

import base64
import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from support.program import PROGRAM, Program, environment, now

ANY_PORT = ("--tracking", "127.0.0.1:0", "--api", "127.0.0.1:0")


@pytest.fixture
def program(tmp_path: Path) -> Program:
    program = Program(data=tmp_path / "data", cwd=tmp_path)
    program.json("workspace", "add", "Shop")
    return program


def refused(program: Program, arguments: tuple[str, ...], *words: str) -> None:
    """The server does not start, and says why and what to do in one line."""
    finished = program.run("serve", *arguments)
    assert finished.returncode == 1
    assert finished.stdout == ""
    [line] = finished.stderr.splitlines()
    for word in words:
        assert word in line


def status_of(request: urllib.request.Request) -> int:
    try:
        with urllib.request.urlopen(request) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


def becomes(request: urllib.request.Request, status: int) -> None:
    """Ask until the answer has that status; a change that never comes ends in the time limit."""
    while status_of(request) != status:
        time.sleep(0.05)


def message(tracking: str, write_key: str) -> urllib.request.Request:
    key = base64.b64encode(f"{write_key}:".encode()).decode()
    return urllib.request.Request(
        f"{tracking}/v1/track",
        json.dumps({"userId": "u", "event": "e"}).encode(),
        {"Authorization": f"Basic {key}"},
    )


def test_changes_from_the_command_line_reach_a_running_server(program: Program) -> None:
    with program.serving() as at:
        web = program.json("source", "add", "web", "--workspace", "Shop")
        becomes(message(at["tracking"], web["writeKey"]), 200)
        program.json("source", "disable", web["id"])
        becomes(message(at["tracking"], web["writeKey"]), 401)
        rotated = program.json("source", "rotate-key", web["id"])
        program.json("source", "enable", web["id"])
        becomes(message(at["tracking"], rotated["writeKey"]), 200)
        assert status_of(message(at["tracking"], web["writeKey"])) == 401
        token = program.json("token", "add", "--workspace", "Shop")
        usage = urllib.request.Request(
            f"{at['api']}/usage/mtu/daily?period={now():%Y-%m-%d}",
            headers={"Authorization": f"Bearer {token['token']}"},
        )
        becomes(usage, 200)
        program.json("token", "revoke", token["id"])
        becomes(usage, 401)


def test_a_new_source_is_told_where_its_server_listens(program: Program) -> None:
    def told(name: str, **extra: str) -> str:
        finished = program.run("source", "add", name, "--workspace", "Shop", **extra)
        return next(line for line in finished.stderr.splitlines() if "Post messages to" in line)

    assert "http://127.0.0.1:8080/v1/track" in told("before")
    with program.serving() as at:
        assert f"{at['tracking']}/v1/track" in told("web")
        public = told("till", HEADCOUNT_TRACKING_URL="https://track.example.com/hc/")
    assert "https://track.example.com/hc/v1/track" in public


def test_a_new_token_and_a_new_link_are_told_where_their_server_answers(program: Program) -> None:
    def told() -> tuple[str, str]:
        made = program.run("token", "add", "--workspace", "Shop").stderr
        return made[made.index("curl") :], program.json("link", "add", "--workspace", "Shop")[
            "link"
        ]

    with program.serving() as at:
        tried, link = told()
    assert f'"{at["api"]}/usage/mtu/daily' in tried
    assert link.startswith(f"{at['api']}/page/view/")
    assert '"http://127.0.0.1:8081/usage/mtu/daily' in told()[0]


def test_a_second_server_on_one_folder_is_refused(program: Program) -> None:
    with program.serving():
        refused(program, ANY_PORT, "Another headcount serve (pid ", "Stop it first")


def test_a_port_in_use_is_refused_and_leaves_the_folder_free(program: Program) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        refused(
            program, ("--tracking", address, "--api", "127.0.0.1:0"), address, "use", "--tracking"
        )
        refused(program, ("--tracking", "127.0.0.1:0", "--api", address), address, "use", "--api")
    with program.serving():
        pass


def test_another_hash_key_and_a_newer_folder_are_refused(program: Program) -> None:
    with program.serving():
        pass
    key = (program.data / "hash.key").read_text()
    (program.data / "hash.key").write_text("ab" * 32)
    refused(program, ANY_PORT, "another hash key", "backup")
    (program.data / "hash.key").unlink()
    refused(program, ANY_PORT, "is missing", "backup")
    (program.data / "hash.key").write_text(key)
    (program.data / "format").write_text("Headcount data folder, format 99\n")
    refused(program, ANY_PORT, "newer version", "Install")


@pytest.mark.parametrize("how", ["flag", "variable", "file"])
def test_a_first_start_can_be_refused(tmp_path: Path, how: str) -> None:
    program = Program(data=tmp_path / "data", cwd=tmp_path)
    flags = ["--require-existing"] if how == "flag" else []
    extra = {"HEADCOUNT_REQUIRE_EXISTING": "true"} if how == "variable" else {}
    if how == "file":
        (tmp_path / "headcount.toml").write_text("require_existing = true\n")
    finished = program.run("serve", *ANY_PORT, *flags, **extra)
    assert finished.returncode == 1
    [line] = finished.stderr.splitlines()
    assert "one must exist" in line
    assert not program.data.exists()


def test_a_first_start_is_said_in_one_line(tmp_path: Path) -> None:
    program = Program(data=tmp_path / "data", cwd=tmp_path)
    with subprocess.Popen(
        [*PROGRAM, "serve", *ANY_PORT],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
        env=environment(HEADCOUNT_DATA=str(program.data), HEADCOUNT_WORKERS="1"),
        text=True,
    ) as server:
        assert server.stdout is not None
        assert "ready" in server.stdout.readline()
        server.send_signal(signal.SIGTERM)
        _, said = server.communicate()
    assert said.count("there was no data folder at") == 1


def test_bots_are_prepared_for_before_a_worker_is_ready_and_stop_no_message(
    tmp_path: Path,
) -> None:
    """A list that cannot be used shows when it is read: the first message would have to wait."""
    (package := tmp_path / "path" / "crawleruseragents").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "crawler-user-agents.json").write_text('[{"pattern": "(?!not"}]')
    program = Program(data=tmp_path / "data", cwd=tmp_path)
    program.json("workspace", "add", "Shop")
    web = program.json("source", "add", "web", "--workspace", "Shop")
    path = os.pathsep.join(filter(None, (str(package.parent), os.environ.get("PYTHONPATH"))))
    with (
        (log := tmp_path / "log").open("w") as errors,
        subprocess.Popen(
            [*PROGRAM, "serve", "--json", *ANY_PORT],
            stdout=subprocess.PIPE,
            stderr=errors,
            cwd=tmp_path,
            env=environment(
                HEADCOUNT_DATA=str(program.data), HEADCOUNT_WORKERS="1", PYTHONPATH=path
            ),
            text=True,
        ) as server,
    ):
        assert server.stdout is not None
        at = json.loads(server.stdout.readline())
        before = log.read_text()
        status = status_of(message(at["tracking"], web["writeKey"]))
        server.send_signal(signal.SIGTERM)
        assert server.wait() == 0
    assert "no bot is recognised" in before
    assert status == 200
    assert log.read_text().count("no bot is recognised") == 1


def test_a_folder_that_has_lost_a_part_is_refused_in_a_line(program: Program) -> None:
    with program.serving():
        pass
    (program.data / "store.sqlite").rename(program.data.parent / "store.sqlite")
    refused(program, ANY_PORT, "store.sqlite is missing", "restore")
    (program.data.parent / "store.sqlite").rename(program.data / "store.sqlite")
    (program.data / "catalog.sqlite").unlink()
    for command in (("serve", *ANY_PORT), ("workspace", "add", "Stranger")):
        finished = program.run(*command)
        assert finished.returncode == 1
        assert "catalog.sqlite is missing" in finished.stderr
        assert "Traceback" not in finished.stderr
