"""A meter that keeps ending: it is said, by everybody who is asked, and forgotten when it lives."""

from __future__ import annotations

import contextlib
import json
import signal
from pathlib import Path

import psutil

from support.server_fixture import Server, eventually, serving

ENDINGS = 3


def meter_of(server: Server) -> psutil.Process | None:
    found = server.children("meter")
    return found[0] if found else None


def kill_meter(server: Server, times: int) -> None:
    """End the meter again and again, each time as soon as there is one."""
    for _ in range(times):
        eventually(lambda: meter_of(server) is not None, "a meter")
        meter = meter_of(server)
        assert meter is not None
        with contextlib.suppress(psutil.NoSuchProcess):
            meter.kill()
        eventually(lambda pid=meter.pid: not psutil.pid_exists(pid), "the meter to be gone")


def doctor(server: Server) -> tuple[int, str]:
    ran = server.program.run("doctor", "--json")
    report = json.loads(ran.stdout)
    return ran.returncode, json.dumps([f for f in report["findings"] if f["level"] == "problem"])


def test_a_meter_that_keeps_ending_is_said_with_number_cause_and_place(tmp_path: Path) -> None:
    with serving(tmp_path, "--workers", "1") as server:
        shop = server.shop("Shop", "web")
        body = {"userId": "u", "messageId": "m"}
        assert server.track("/v1/page", body, shop.write_keys["web"]).status == 200
        shop.wait_until_counted()
        kill_meter(server, ENDINGS)
        said = f"The meter has ended {ENDINGS} times since"
        eventually(lambda: said in server.ask("/readyz").body.decode(), "/readyz to say so")
        answer = server.ask("/readyz")
        assert answer.status == 503
        message = answer.json()["errors"][0]["message"]
        assert "SIGKILL" in message
        assert "everything in the journals is counted" in message
        assert "starting" not in message
        metrics = server.ask("/metrics").body.decode()
        assert f'headcount_process_endings{{role="meter"}} {ENDINGS}' in metrics
        status, problems = doctor(server)
        assert status == 1
        assert said in problems
        # What comes meanwhile is taken, and its place is named.
        server.process.send_signal(signal.SIGSTOP)
        try:
            body["messageId"] = "m2"
            meter = meter_of(server)
            if meter is not None:
                meter.kill()
            assert server.track("/v1/page", body, shop.write_keys["web"]).status == 200
            status, problems = doctor(server)
            assert status == 1
            assert "caught up" not in problems
        finally:
            server.process.send_signal(signal.SIGCONT)
        eventually(lambda: server.ask("/readyz").status == 200, "the meter to have lived a little")
        [noted] = server.ask("/readyz").json()["troubles"]
        assert noted["kind"] == "meter_ends"
        assert noted["message"].endswith("It runs again now.")
        # What has ended so often may end again: that it runs for a little says nothing.
        status, problems = doctor(server)
        assert status == 1
        assert "It runs again now." in problems
        assert "it passes by itself" not in problems
        shop.wait_until_counted()
        assert shop.usage()[""].api_calls == 2
        lines = [line for line in server.log if "The meter has ended" in line]
        assert len(lines) <= ENDINGS + 1
    status, problems = doctor(server)
    assert status == 0, problems


def test_a_meter_that_was_killed_once_is_no_problem_for_a_nightly_job(tmp_path: Path) -> None:
    with serving(tmp_path, "--workers", "1") as server:
        shop = server.shop("Shop", "web")
        meter = meter_of(server)
        assert meter is not None
        meter.kill()
        body = {"userId": "u", "messageId": "m"}
        assert server.track("/v1/page", body, shop.write_keys["web"]).status == 200
        status, problems = doctor(server)
        assert status == 0, problems
        shop.wait_until_counted()
        # That it has ended is forgotten once it has lived: a night later it is no news.
        state = server.program.data / "run" / "state.json"
        eventually(lambda: '"endings":1' in state.read_text(), "the state to say so")
        eventually(lambda: '"passes":true' in state.read_text(), "the meter to have lived a little")
        status, problems = doctor(server)
        assert status == 0, problems
