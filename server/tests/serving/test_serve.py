"""`headcount serve` in good and bad times: health, metrics, a disk that refuses, folders it cannot
use, and how it ends.

A full disk is made by forbidding the server's processes to write to any file, for a while; the
limit is the system's own, so everything below the server fails as it would.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import resource
import shutil
import signal
import socket
import sqlite3
import subprocess
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

from support.program import PROGRAM, Program, environment
from support.server_fixture import Server, Shop, eventually, serving

ANY_PORT = ("--tracking", "127.0.0.1:0", "--api", "127.0.0.1:0")


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    with serving(tmp_path, "--workers", "1") as server:
        yield server.shop("Shop", "web")


def send(shop: Shop, number: int) -> int:
    """Post one message of its own; the status."""
    message = {"event": "Bought", "userId": f"user {number}", "messageId": f"m{number}"}
    return shop.server.track("/v1/track", message, shop.write_keys["web"]).status


@contextmanager
def no_writing(processes: Iterable[psutil.Process], beyond_bytes: int = 0) -> Iterator[None]:
    """Forbid processes, and those that they start, to write to files beyond a place in them."""
    former = {process: process.rlimit(resource.RLIMIT_FSIZE) for process in processes}
    for process, (_, hard) in former.items():
        process.rlimit(resource.RLIMIT_FSIZE, (beyond_bytes, hard))
    try:
        yield
    finally:
        for process, limits in former.items():
            if process.is_running():
                process.rlimit(resource.RLIMIT_FSIZE, limits)


def empty_log(journal: Path) -> None:
    """Wait until a journal is counted to its end, and let its next commit begin a new log."""
    with closing(sqlite3.connect(journal)) as database:

        def pruned() -> bool:
            return database.execute("SELECT count(*) FROM entry").fetchone() == (0,)

        def emptied() -> bool:
            busy, *_ = database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            return busy == 0

        eventually(pruned, "the journal to be pruned")
        eventually(emptied, "the journal's log to be empty")


def restarted(server: Server, role: str) -> psutil.Process:
    """Kill the process of a role; the one that the supervisor starts in its place."""
    [former] = server.children(role)
    former.kill()

    def replaced() -> bool:
        return any(child.pid != former.pid for child in server.children(role))

    eventually(replaced, f"another {role} process")
    [fresh] = [child for child in server.children(role) if child.pid != former.pid]
    return fresh


def sample(metrics: str, name: str, **labels: str) -> float:
    """The sum over a metric's samples that carry certain labels."""
    found = [
        float(value)
        for shown, value in re.findall(rf"^{name}({{[^}}]*}})? (\S+)$", metrics, re.MULTILINE)
        if all(f'{label}="{wanted}"' in shown for label, wanted in labels.items())
    ]
    assert found, f"{name} {labels} is not in the metrics"
    return sum(found)


def test_health_readiness_and_metrics_need_no_token(shop: Shop) -> None:
    server = shop.server
    assert server.send("GET", f"{server.tracking}/healthz").json() == {"status": "ok"}
    assert server.ask("/healthz").json() == {"status": "ok"}
    eventually(lambda: server.ask("/readyz").status == 200, "the server to be ready")
    assert [send(shop, number) for number in (1, 2, 2)] == [200, 200, 200]
    assert server.track("/v1/track", {"userId": "u"}, shop.write_keys["web"]).status == 400
    shop.wait_until_counted()

    def reported() -> bool:
        """The meter reports sizes about once a second."""
        metrics = server.ask("/metrics").body.decode()
        lag = sample(metrics, "headcount_journal_lag_messages")
        return lag == 0 and sample(metrics, "headcount_index_keys", family="message") == 2

    eventually(reported, "lag and index to be reported")
    answer = server.ask("/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain")
    metrics = answer.body.decode()
    messages = "headcount_messages_total"
    assert sample(metrics, messages, outcome="admitted") == 3
    assert sample(metrics, messages, outcome="accepted") == 2
    assert sample(metrics, messages, outcome="duplicate") == 1
    assert sample(metrics, messages, outcome="rejected", reason="event_not_string") == 1
    for place in ("journal", "store"):
        assert sample(metrics, "headcount_commit_seconds_count", to=place) > 0
    assert sample(metrics, "headcount_index_bytes", family="tracked") > 0
    assert shop.token not in metrics
    assert shop.write_keys["web"] not in metrics


def test_messages_are_taken_while_the_meter_cannot_run(shop: Shop) -> None:
    server = shop.server
    with (server.program.data / "meter.lock").open("r+") as lock:
        [meter] = server.children("meter")
        server.process.send_signal(signal.SIGSTOP)  # it would start another one at once
        meter.kill()
        fcntl.flock(lock, fcntl.LOCK_EX)  # waits until the dead meter has let go
        server.process.send_signal(signal.SIGCONT)
        eventually(lambda: server.ask("/readyz").status == 503, "the server to miss its meter")
        [error] = server.ask("/readyz").json()["errors"]
        assert "meter" in error["message"]
        assert send(shop, 1) == 200
        assert shop.usage()[""].api_calls == 0
    eventually(lambda: server.ask("/readyz").status == 200, "the meter to be back")
    shop.wait_until_counted()
    assert shop.usage()[""].api_calls == 1


def test_what_a_full_disk_refuses_is_not_acknowledged_and_can_be_sent_again(shop: Shop) -> None:
    assert send(shop, 1) == 200
    with no_writing(shop.server.children("intake")):
        message = {"event": "Bought", "userId": "user 2", "messageId": "m2"}
        refused = shop.server.track("/v1/track", message, shop.write_keys["web"])
        assert (refused.status, refused.json()["code"]) == (503, "storage_unavailable")
        assert int(refused.headers["Retry-After"]) > 0
        assert send(shop, 3) == 503
        shop.wait_until_counted()
        assert shop.usage()[""].api_calls == 1
    assert [send(shop, number) for number in (2, 4)] == [200, 200]
    shop.wait_until_counted()
    assert shop.usage()[""].identified == 3


def test_what_is_acknowledged_is_counted_once_a_full_disk_has_room_again(shop: Shop) -> None:
    assert send(shop, 1) == 200
    shop.wait_until_counted()
    with no_writing(shop.server.children("meter")):
        assert send(shop, 2) == 200

        def refused() -> bool:
            return any("did not take a change" in line for line in shop.server.log)

        eventually(refused, "the meter to meet the full disk")
        assert shop.usage()[""].api_calls == 1
    shop.wait_until_counted()
    assert shop.usage()[""].api_calls == 2


def test_a_meter_that_falls_behind_says_so_everywhere_until_it_has_caught_up(shop: Shop) -> None:
    server = shop.server
    assert send(shop, 1) == 200
    shop.wait_until_counted()

    def logged(words: str) -> Callable[[], bool]:
        return lambda: any(words in line for line in server.log)

    with closing(sqlite3.connect(server.program.data / "store.sqlite")) as store:
        store.execute("BEGIN IMMEDIATE")  # nobody else can write now
        assert [send(shop, number) for number in (2, 3)] == [200, 200]
        eventually(logged("counting has fallen behind: 2 messages wait"), "the meter to say so")
        behind = server.ask("/readyz").json()["behind"]
        assert (behind["messages"], behind["caughtUpInSeconds"]) == (2, None)
        assert behind["seconds"] >= 5
        assert "not catching up" in behind["message"]
        metrics = server.ask("/metrics").body.decode()
        assert "headcount_journal_lag_messages 2.0" in metrics
        assert "headcount_catch_up_seconds +Inf" in metrics
        report = json.loads(server.program.run("doctor", "--json").stdout)
        [lag] = [each for each in report["findings"] if each["check"] == "lag"]
        assert (lag["level"], lag["details"]["catchingUp"]) == ("warning", False)
    eventually(logged("counting has caught up"), "the meter to have caught up")
    assert server.ask("/readyz").json() == {"status": "ok", "behind": None}
    assert "headcount_catch_up_seconds 0.0" in server.ask("/metrics").body.decode()
    shop.wait_until_counted()
    assert shop.usage()[""].api_calls == 3


def test_nobody_says_that_nothing_is_behind_while_the_meter_is_silent(shop: Shop) -> None:
    server = shop.server
    assert send(shop, 1) == 200
    shop.wait_until_counted()
    [meter] = server.children("meter")
    meter.suspend()  # as a disk that does not answer would
    try:
        assert send(shop, 2) == 200
        eventually(
            lambda: "meterSilentSeconds" in server.ask("/readyz").json(), "its silence to be told"
        )
        answer = server.ask("/readyz").json()
        assert answer.pop("meterSilentSeconds") > 10
        assert answer == {"status": "ok"}
    finally:
        meter.resume()
    shop.wait_until_counted()
    nothing_behind = {"status": "ok", "behind": None}
    eventually(lambda: server.ask("/readyz").json() == nothing_behind, "it to speak again")


def test_a_worker_that_finds_no_room_for_its_metrics_works_all_the_same(shop: Shop) -> None:
    server = shop.server
    assert send(shop, 1) == 200
    empty_log(*(server.program.data / "journals").glob("*.sqlite"))
    # Enough for a small commit to a journal, and less than the metrics of one process take.
    with no_writing([psutil.Process(server.process.pid)], beyond_bytes=60_000):
        worker = restarted(server, "intake")
        assert send(shop, 2) == 200
    assert any("metrics of this process are not shared" in line for line in server.log)
    assert server.ask("/metrics").status == 200
    assert server.children("intake") == [worker]
    shop.wait_until_counted()
    assert shop.usage()[""].api_calls == 2


def test_ctrl_c_ends_the_server_well(tmp_path: Path) -> None:
    with serving(tmp_path, "--workers", "1") as server:
        server.stop(signal.SIGINT)


@contextmanager
def begun(url: str, path: str, authorization: str) -> Iterator[socket.socket]:
    """A connection on which a request has begun whose body never ends."""
    address = urlsplit(url)
    head = f"POST {path} HTTP/1.1\r\nHost: t\r\nAuthorization: {authorization}\r\n"
    with socket.create_connection((address.hostname, address.port), timeout=20) as connection:
        connection.sendall(f"{head}Expect: 100-continue\r\nContent-Length: 99\r\n\r\n".encode())
        # The server asks for the body once it is about to read it.
        asked = b"HTTP/1.1 100 Continue\r\n\r\n"
        assert connection.recv(len(asked), socket.MSG_WAITALL) == asked
        connection.sendall(b"{")
        yield connection


def refuses(url: str) -> bool:
    """Whether nobody listens there."""
    address = urlsplit(url)
    try:
        socket.create_connection((address.hostname, address.port), timeout=20).close()
    except ConnectionRefusedError:
        return True
    return False


def unexpected(log: list[str]) -> list[str]:
    """Lines of the log besides the folder's making, and posts that came before keys were known."""
    return [
        line
        for line in log
        if "no data folder" not in line and "answered 401 unknown_write_key" not in line
    ]


def test_a_server_that_stops_refuses_whoever_comes_and_waits_for_no_body(shop: Shop) -> None:
    server, bearer = shop.server, f"Bearer {shop.token}"
    with (
        begun(server.tracking, "/v1/import", bearer) as tracking,
        begun(server.api, "/headcount/v1/sources", bearer) as api,
    ):
        server.process.send_signal(signal.SIGTERM)
        for url in (server.tracking, server.api):
            eventually(lambda url=url: refuses(url), "the server to refuse connections")
        assert server.process.poll() is None, "it ended before the bodies could have come"
        assert server.process.wait() == 0
        assert tracking.recv(1) == api.recv(1) == b""
    assert not unexpected(server.log)


def test_a_client_that_leaves_in_the_middle_of_a_body_is_no_error(shop: Shop) -> None:
    with begun(shop.server.api, "/headcount/v1/sources", f"Bearer {shop.token}"):
        pass

    def answered() -> bool:
        metrics = shop.server.ask("/metrics").body.decode()
        return 'headcount_api_requests_total{route="/headcount/v1/sources",status="400"}' in metrics

    eventually(answered, "the request to be given up")
    assert not unexpected(shop.server.log)


@pytest.fixture(scope="module")
def used_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which a server has run."""
    folder = tmp_path_factory.mktemp("used")
    with serving(folder, "--workers", "1"):
        pass
    return folder / "data"


@pytest.fixture
def program(used_folder: Path, tmp_path: Path) -> Program:
    """The program on a data folder that has been used before."""
    shutil.copytree(used_folder, tmp_path / "data")
    return Program(data=tmp_path / "data", cwd=tmp_path)


def refused(ended: subprocess.CompletedProcess[str], status: int, *words: str) -> None:
    """A server did not start, and has said in one line what is wrong and what to do."""
    assert (ended.returncode, ended.stdout) == (status, ""), ended.stderr
    [line] = ended.stderr.splitlines()
    for word in words:
        assert word in line
    assert line.count(". ") >= 1, "the remedy is missing"


@pytest.mark.parametrize("file", ["catalog.sqlite", "store.sqlite", "a journal"])
def test_files_of_a_newer_version_are_refused(program: Program, file: str) -> None:
    [journal, *_] = (program.data / "journals").glob("*.sqlite")
    path = journal if file == "a journal" else program.data / file
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    refused(program.run("serve", *ANY_PORT), 1, path.name, "format 99", "newer")


def test_a_folder_that_cannot_be_written_is_refused(program: Program) -> None:
    program.data.chmod(0o500)
    # Root may write anywhere, unless it lets go of that power.
    powerless = ("setpriv", "--bounding-set=-dac_override", "--") if os.geteuid() == 0 else ()
    ended = subprocess.run(
        [*powerless, *PROGRAM, "serve", *ANY_PORT],
        capture_output=True,
        text=True,
        cwd=program.cwd,
        env=environment(HEADCOUNT_DATA=str(program.data)),
    )
    program.data.chmod(0o700)
    refused(ended, 1, str(program.data), "able to write")


def test_a_file_where_the_folder_should_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("not a folder")
    for data in (tmp_path / "data", tmp_path / "data" / "below"):
        refused(Program(data, tmp_path).run("serve", *ANY_PORT), 1, str(data))


@pytest.mark.parametrize(
    ("arguments", "variables", "words"),
    [
        (("--workers", "0"), {}, ("--workers", '"0"')),
        (("--api", "127.0.0.1:99999"), {}, ("--api", "65535")),
        ((), {"HEADCOUNT_WORKERS": "many"}, ("HEADCOUNT_WORKERS", "many")),
        (("--tracking", "127.0.0.1:81", "--api", "127.0.0.1:81"), {}, ("--tracking", "--api")),
    ],
)
def test_settings_that_cannot_be_used_are_refused(
    tmp_path: Path, arguments: tuple[str, ...], variables: dict[str, str], words: tuple[str, ...]
) -> None:
    program = Program(tmp_path / "data", tmp_path)
    refused(program.run("serve", *arguments, **variables), 2, *words)
    assert not program.data.exists()
