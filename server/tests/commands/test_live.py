"""`headcount tail` and `headcount usage --watch`, as real programs that Ctrl-C ends."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import pytest

from support.program import PROGRAM, environment, now
from support.scripted_api import scripted
from support.server_fixture import Shop, serving

INTERRUPTED = 130


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with serving(tmp_path_factory.mktemp("live")) as server:
        yield server.shop("Shop", "web", "app")


def of(host: str, token: str) -> dict[str, str]:
    return environment(HEADCOUNT_HOST=host, HEADCOUNT_TOKEN=token)


@contextmanager
def going_on(
    folder: Path, env: dict[str, str], *arguments: str, stdout: int = subprocess.PIPE
) -> Iterator[subprocess.Popen[str]]:
    """A command that is ended by Ctrl-C, and ends as such programs do."""
    with subprocess.Popen(
        [*PROGRAM, *arguments],
        stdout=stdout, stderr=subprocess.PIPE, text=True, cwd=folder, env=env,
    ) as process:  # fmt: skip
        try:
            yield process
            process.send_signal(signal.SIGINT)
            assert process.wait() == INTERRUPTED
        finally:
            if process.poll() is None:
                process.kill()


def line_of(stream: IO[str] | None) -> str:
    assert stream is not None
    return stream.readline()


def until(stream: IO[str] | None, ending: str) -> None:
    """Read up to the line that ends so."""
    while not line_of(stream).endswith(ending):
        pass


def post(shop: Shop, source: str, *messages: dict[str, Any]) -> None:
    assert (
        shop.server.track("/v1/batch", {"batch": messages}, shop.write_keys[source]).status == 200
    )


def test_tail_shows_each_outcome_by_source(shop: Shop, tmp_path: Path) -> None:
    env = of(shop.server.api, shop.token)
    seen = {"type": "page", "anonymousId": "a1", "messageId": "seen before"}
    post(shop, "web", seen)
    shop.wait_until_counted()
    with (
        going_on(tmp_path, env, "tail") as people,
        going_on(tmp_path, env, "tail", "--json", "--source", "app") as program,
    ):
        for each in (people, program):
            assert "Ctrl-C ends" in line_of(each.stderr)
        post(shop, "web", seen, {"type": "page", "anonymousId": "a2"}, {"type": "page"})
        # One reading may fall between accepting and counting, so several lines may tell of it.
        told = ""
        while not all(
            word in told for word in ("accepted +1", "duplicate +1", "rejected no_user_")
        ):
            line = line_of(people.stdout)
            assert line.split("  ")[1] == "web"
            told += line
        post(shop, "app", {"type": "page", "anonymousId": "a1"})
        found = json.loads(line_of(program.stdout))
    assert found.pop("countedUntil") > "20"
    assert found == {
        "sourceId": shop.source_ids["app"], "sourceName": "app",
        "accepted": 1, "duplicate": 0, "rejected": 0, "rejectedByReason": {},
    }  # fmt: skip


def outcomes(until: str, accepted: int, *, of: str = "", **rejected: int) -> tuple[int, Any]:
    """What a server answers that has counted up to a moment of a month, or of the month after."""
    source = {
        "sourceId": "s1",
        "sourceName": "web",
        "outcomes": {"accepted": accepted, "duplicate": 0, "rejectedByReason": rejected},
    }
    period = of or f"{until[:7]}-01"
    return 200, {"period": period, "countedUntil": f"{until}Z", "sources": [source]}


def test_tail_misses_nothing_at_the_turn_of_a_month(tmp_path: Path) -> None:
    october = "2026-10-01"
    script = [
        outcomes("2026-10-31T23:59:58", 5, invalid_id=2),
        outcomes("2026-11-01T00:00:00", 3),
        outcomes("2026-11-01T00:00:00", 9, of=october, invalid_id=3),
        outcomes("2026-11-01T00:00:02", 3),
        outcomes("2026-11-01T00:00:02", 10, of=october, invalid_id=3),  # it was just being counted
        outcomes("2026-11-01T00:01:01", 4),
        outcomes("2026-11-01T00:01:01", 10, of=october, invalid_id=3),
        outcomes("2026-11-01T00:01:03", 6),
    ]
    with (
        scripted({"/headcount/v1/outcomes": script}) as server,
        going_on(tmp_path, of(server.url, "token"), "tail") as tail,
    ):
        assert [line_of(tail.stdout) for _ in range(5)] == [
            "00:00:00  web  accepted +4  rejected invalid_id +1\n",
            "00:00:00  web  accepted +3\n",
            "00:00:02  web  accepted +1\n",
            "00:01:01  web  accepted +1\n",
            "00:01:03  web  accepted +2\n",
        ]
    asked = [query for path, query in server.asked if path == "/headcount/v1/outcomes"]
    named = [query.get("period") for query in asked[:8]]
    assert named == [None, None, [october], None, [october], None, [october], None]


def test_tail_waits_for_a_server_that_went_away_and_not_for_a_token(tmp_path: Path) -> None:
    away = (503, None)
    once = outcomes("2026-11-28T10:00:00", 1)
    later = outcomes("2026-11-28T10:00:00", 4)
    with scripted({"/headcount/v1/outcomes": [once, *[away] * 4, later, (401, None)]}) as server:
        finished = subprocess.run(
            [*PROGRAM, "tail"],
            capture_output=True, text=True, cwd=tmp_path, env=of(server.url, "token"),
        )  # fmt: skip
    assert finished.returncode == 1
    assert finished.stdout == "10:00:00  web  accepted +3\n"
    assert finished.stderr.count("Trying on.") == 1
    assert "answers again" in finished.stderr
    assert "does not take the API token" in finished.stderr.splitlines()[-1]


def test_tail_refuses_what_it_cannot_show(shop: Shop, tmp_path: Path) -> None:
    def refusal(host: str, *arguments: str) -> tuple[int, str]:
        finished = subprocess.run(
            [*PROGRAM, "tail", *arguments],
            capture_output=True, text=True, cwd=tmp_path, env=of(host, shop.token),
        )  # fmt: skip
        assert finished.stdout == ""
        return finished.returncode, finished.stderr

    status, words = refusal(shop.server.api, "--source", "nope")
    assert (status, '"nope"' in words, "source list" in words) == (2, True, True)
    with scripted({}) as other:
        status, words = refusal(other.url)
    assert (status, "is not Headcount" in words) == (2, True)


def test_watching_into_a_pipe_writes_each_row_once_and_when_it_changes(
    shop: Shop, tmp_path: Path
) -> None:
    env = of(shop.server.api, shop.token)
    watch = ("usage", "--watch", "--metric", "api-calls", "--by", "source", "--last")
    post(shop, "web", {"type": "page", "anonymousId": "before"})
    shop.wait_until_counted()
    with (
        going_on(tmp_path, env, *watch, "--json") as json_lines,
        going_on(tmp_path, env, *watch, "--format", "csv") as csv_lines,
        going_on(tmp_path, env, *watch) as tables,
    ):
        known = {}
        heading = line_of(csv_lines.stdout)
        assert heading == "day,source_id,source_name,api_calls\n"
        while "web" not in known:
            row = json.loads(line_of(json_lines.stdout))
            known[row["sourceName"]] = row["apiCalls"]
        until(csv_lines.stdout, f",web,{known['web']}\n")
        post(shop, "web", {"type": "page", "anonymousId": "after"})
        # At midnight a row for the new day comes first, with the count as it was.
        while row["sourceName"] != "web" or row["apiCalls"] == known["web"]:
            row = json.loads(line_of(json_lines.stdout))
        assert row["apiCalls"] == known["web"] + 1
        until(csv_lines.stdout, f",web,{known['web'] + 1}\n")
        assert line_of(tables.stdout).split() == ["day", "source", "API", "calls"]


def test_watching_in_a_terminal_draws_a_table_without_colours_if_so_asked(
    shop: Shop, tmp_path: Path
) -> None:
    ours, theirs = pty.openpty()
    env = of(shop.server.api, shop.token) | {"NO_COLOR": "1", "TERM": "xterm-256color"}
    shown = ""
    try:
        with going_on(tmp_path, env, "usage", "--watch", "--metric", "mtu", stdout=theirs):
            while f"{now():%Y-%m-}" not in shown:
                shown += os.read(ours, 4096).decode()
    finally:
        os.close(theirs)
        with suppress(OSError):  # what Linux gives at the end of a terminal
            while os.read(ours, 4096):
                pass
        os.close(ours)
    assert "Ctrl-C ends" in shown
    assert "anonymous" in shown
    assert "\x1b[3" not in shown, "a colour"
