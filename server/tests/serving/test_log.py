"""The log of a whole server: every line of every process, and each refusal under its id."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from headcount.logs import FORMATS
from support.server_fixture import PROGRAM, Server, eventually, serving
from tidy.sources import ROOT

LINE = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (?P<process>supervisor|intake|meter|api)"
    r" (?P<level>INFO|WARNING|ERROR|CRITICAL)(?: \[(?P<id>[A-Za-z0-9._-]{1,128})\])?"
    r" (?P<message>.+)"
)
FIELDS = {"time", "level", "process", "pid", "logger", "message"}


@pytest.fixture(params=FORMATS, scope="module")
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("log"), "--workers", "2", "--log-format", request.param,
                 PYTHONWARNINGS="always") as server:  # fmt: skip
        yield server


def read(line: str) -> tuple[str, str | None, str]:
    """Process, request's id and message of one line, which must be whole."""
    assert line.endswith("\n")
    assert line[:-1].isprintable()
    if line.startswith("{"):
        fields = json.loads(line)
        assert FIELDS <= set(fields) <= FIELDS | {"requestId", "exception"}
        return fields["process"], fields.get("requestId"), fields["message"]
    match = LINE.fullmatch(line[:-1])
    assert match is not None, line
    return match["process"], match["id"], match["message"]


def test_the_operators_page_shows_a_line_as_it_is() -> None:
    section = (ROOT / "docs/operations.md").read_text("utf-8").partition("## The log")[2]
    shown = section.partition("```\n")[2].partition("```")[0]
    process, request_id, message = read(shown)
    assert (process, request_id is not None) == ("intake", True)
    assert message.startswith("answered 400 ")


def not_http(url: str) -> str:
    place = urlsplit(url)
    with socket.create_connection((place.hostname, place.port), timeout=20) as connection:
        connection.sendall(b"no HTTP at all\r\n\r\n")
        answer = b""
        while part := connection.recv(4096):
            answer += part
    found = re.search(rb"x-request-id: (\S+)", answer)
    assert found is not None
    return found[1].decode()


def test_whoever_is_told_an_error_is_found_in_the_log_by_its_id(server: Server) -> None:
    shop = server.shop("Shop", "web")
    key = shop.write_keys["web"]
    forged = {"X_Request_ID": "a\x1b[31m", "traceparent": "00-forged"}
    large = b" " * 200_000
    answers = [
        server.track("/v1/track", {"userId": "u", "event": 5}, key),
        server.track("/v1/batch", {"batch": 5}, key, **forged),
        server.track("/v1/track", {"userId": "u"}, "NoSuchKey", X_Request_ID="brought-1"),
        server.send("GET", f"{server.tracking}/v1/projects/NoSuchKey/settings"),
        server.send("GET", f"{server.tracking}/users/ada@example.com"),
        server.send("PUT", f"{server.tracking}/v1/track"),
        server.ask("/usage/mtu/daily"),
        server.ask("/usage/mtu/daily?period=x&secret=s", shop.token),
        server.ask("/users/ada@example.com", shop.token),
        server.ask("/page/no-such-page"),
        server.send("POST", f"{server.api}/page/sign-in", large),
    ]  # fmt: skip
    assert [answer.status for answer in answers] == [400, 400, 401, 401, 404, 405, 401, 422, 404,
                                                     404, 413]  # fmt: skip
    told = {answer.headers["X-Request-Id"]: str(answer.status) for answer in answers}
    assert len(told) == len(answers)
    assert told["brought-1"] == "401"
    told |= dict.fromkeys((not_http(server.api), not_http(server.tracking)), "400")

    def found() -> bool:
        lines = [read(line) for line in list(server.log)]
        return set(told) <= {request_id for _, request_id, _ in lines}

    eventually(found, "a line for each")
    for line in list(server.log):
        _, request_id, message = read(line)
        if request_id in told:
            assert f"answered {told.pop(request_id)}" in message
        # What may be anybody's is in no line, whoever sent it.
        for secret in ("ada@example.com", "NoSuchKey", "secret=s", key, shop.token, "no HTTP"):
            assert secret not in line
    assert told == {}


def test_successes_carry_an_id_and_are_not_logged(server: Server) -> None:
    shop = server.shop("Well", "web")
    before = len(server.log)
    answers = [
        server.track("/v1/track", {"userId": "u", "event": "e"}, shop.write_keys["web"],
                     X_Request_ID=name)
        for name in ("first", "second", "", "a b")
    ]  # fmt: skip
    answers += [shop.ask("/headcount/v1/summary"), server.ask("/healthz"), server.ask("/metrics")]
    assert {answer.status for answer in answers} == {200}
    ids = [answer.headers["X-Request-Id"] for answer in answers]
    assert ids[:2] == ["first", "second"]
    assert len(set(ids)) == len(ids)
    assert [answer.headers.getlist("x-request-id") for answer in answers] == [[id_] for id_ in ids]
    shop.wait_until_counted()
    assert [line for line in server.log[before:] if "answered 2" in line] == []
    assert not [line for line in server.log[before:] if any(f"{id_}" in line for id_ in ids)]


def test_every_process_logs_in_the_same_way(server: Server) -> None:
    for role in ("intake", "meter", "api"):
        [victim, *_] = server.children(role)
        victim.send_signal(signal.SIGKILL)
    eventually(
        lambda: sum("has ended once" in line for line in list(server.log)) == 3, "three endings"
    )
    eventually(lambda: server.ask("/readyz").status == 200, "the server to be ready")
    assert {read(line)[0] for line in list(server.log)} >= {"supervisor", "intake", "api"}


@pytest.mark.parametrize("log_format", FORMATS)
def test_a_setting_that_is_none_is_a_line_of_the_log(tmp_path: Path, log_format: str) -> None:
    variables = {"HEADCOUNT_WORKER": "2", "HEADCOUNT_LOG_FORMAT": log_format}
    with serving(tmp_path, "--workers", "1", **variables) as server:
        eventually(lambda: any("HEADCOUNT_WORKER" in line for line in server.log), "a warning")
        assert {read(line)[0] for line in list(server.log)} == {"supervisor"}


@pytest.mark.parametrize("log_format", FORMATS)
def test_why_a_server_does_not_start_is_a_line_of_its_log(server: Server, log_format: str) -> None:
    command = [*PROGRAM, "serve", "--data", str(server.program.data), "--log-format", log_format,
               "--tracking", "127.0.0.1:0", "--api", "127.0.0.1:0"]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    [line] = done.stderr.splitlines(keepends=True)
    assert "Another headcount serve" in read(line)[2]
    assert line.startswith("{") == (log_format == "json")
