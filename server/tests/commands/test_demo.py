"""The demo: its made traffic, its naive count, and the whole of it as the real program."""

from __future__ import annotations

import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from headcount.demo.expected import Key, Usage, expected_usage
from headcount.demo.readback import differences
from headcount.demo.traffic import APP, SERVER, SOURCES, WEB, Sent, made_traffic
from headcount.demo.trying import typed_program
from support.program import PROGRAM, environment

NOW = datetime(2026, 3, 10, 15, 30, tzinfo=UTC)
KEYS = {source: f"key-{number}" for number, source in enumerate(SOURCES)}


def test_made_traffic_is_the_same_every_time_and_never_of_the_future() -> None:
    traffic = made_traffic(NOW, KEYS)
    assert traffic == made_traffic(NOW, KEYS)
    lines = traffic.history
    sent = [line.sent for line in lines if line.sent is not None]
    assert {message.source for message in sent} == set(SOURCES)
    moments = [json.loads(line.text)["receivedAt"] for line in lines if line.sent is not None]
    assert max(moments) < NOW.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert moments == sorted(moments)
    assert max(message.day for message in sent) == NOW.date()


@pytest.mark.parametrize(
    ("now", "first_day"),
    [
        (NOW, date(2025, 3, 1)),
        (datetime(2025, 1, 1, 0, 1, tzinfo=UTC), date(2024, 1, 1)),
        (datetime(2024, 2, 29, 12, tzinfo=UTC), date(2023, 2, 1)),
        (datetime(2026, 12, 31, 23, 59, tzinfo=UTC), date(2025, 12, 1)),
    ],
)
def test_made_traffic_has_something_to_compare(now: datetime, first_day: date) -> None:
    traffic = made_traffic(now, KEYS)
    sent = [line.sent for line in traffic.history if line.sent is not None]
    days = {message.day for message in sent}
    yesterday = now.date() - timedelta(days=1)
    every_day = {first_day + timedelta(days=n) for n in range((yesterday - first_day).days + 1)}
    assert every_day <= days <= every_day | {now.date()}, "whole months, and none before them"
    months = Counter(f"{message.day:%Y-%m}" for message in sent)
    whole = [months[month] for month in sorted(months) if month != f"{now:%Y-%m}"]
    assert len(whole) == 12
    assert 1.5 < whole[-1] / whole[0] < 4, "it grows, and did not begin with nothing"
    by_weekday = Counter(message.day.weekday() >= 5 for message in sent)
    assert by_weekday[True] / 2 < 0.8 * by_weekday[False] / 5, "weekends are quieter"
    assert len({f"{message.day:%Y-%m}" for message in traffic.this_month}) == 1
    assert set(traffic.this_month) >= {m for m in sent if m.day >= now.date().replace(day=1)}


def test_made_traffic_shows_what_the_demo_speaks_of() -> None:
    lines = made_traffic(NOW, KEYS).history
    sent = [line.sent for line in lines if line.sent is not None]
    deliveries = Counter(message.message_id for message in sent)
    assert set(deliveries.values()) == {1, 2}, "some are delivered twice"
    assert sum(line.sent is None for line in lines) >= 5, "some are broken"
    unknown = {message.anonymous_id for message in sent if message.user_id is None}
    known = {message.anonymous_id for message in sent if message.user_id is not None}
    assert unknown & known - {None}, "visitors become users"
    sources_of_user: dict[str, set[str]] = {}
    for message in sent:
        if message.user_id is not None:
            sources_of_user.setdefault(message.user_id, set()).add(message.source)
    assert set(SOURCES) in sources_of_user.values(), "on two devices"


def test_the_naive_count_by_hand() -> None:
    first, second, later = date(2026, 1, 31), date(2026, 2, 1), date(2026, 2, 2)
    sent = [
        Sent(first, WEB, "m1", None, "a"),
        Sent(first, WEB, "m1", None, "a"),
        Sent(second, WEB, "m2", None, "a"),
        Sent(second, APP, "m2", "u", "b"),
        Sent(later, WEB, "m3", "u", "a"),
        Sent(later, SERVER, "m4", "u", None),
    ]
    rows = expected_usage(sent, later)
    assert rows[Key(first, None)] == rows[Key(first, WEB)] == Usage.counted(1, 0, 1, 0)
    assert rows[Key(second, WEB)] == Usage.counted(1, 0, 1, 0)
    assert rows[Key(second, None)] == Usage.counted(2, 1, 2, 1)
    assert rows[Key(second, None)].mtu == 2
    assert rows[Key(later, WEB)] == Usage.counted(2, 1, 1, 1)
    assert rows[Key(later, APP)] == Usage.counted(1, 1, 1, 1)
    assert rows[Key(later, None)] == Usage.counted(4, 1, 2, 2)
    assert rows[Key(later, None)].mtu == 1
    # The workspace has a row for each day of January; a source from its first day on.
    assert len([key for key in rows if key.source is None]) == 31 + 2
    assert Key(second, SERVER) not in rows


@pytest.mark.parametrize("field", Usage._fields)
def test_the_check_sees_any_wrong_number_and_any_wrong_row(field: str) -> None:
    key = Key(date(2026, 2, 1), None)
    other = Key(date(2026, 2, 1), WEB)
    right = {key: Usage.counted(5, 4, 3, 2)}
    assert list(differences(right, dict(right))) == []
    wrong = {key: right[key]._replace(**{field: 99})}
    [line] = differences(right, wrong)
    assert line.startswith("2026-02-01 workspace: expected")
    assert len(list(differences(right, {}))) == 1
    assert len(list(differences(right, right | {other: Usage.counted(0, 0, 0, 0)}))) == 1


@pytest.fixture
def taken_ports() -> Iterator[list[int]]:
    """The usual ports, so that the demo has to choose others; save those that others have taken.

    Whoever has them may let go of them at any time.
    """
    taken = []
    with ExitStack() as stack:
        for port in (8080, 8081):
            with suppress(OSError):
                stack.enter_context(socket.create_server(("127.0.0.1", port)))
                taken.append(port)
        yield taken


def test_the_check_passes(tmp_path: Path, taken_ports: list[int]) -> None:
    finished = subprocess.run(
        [*PROGRAM, "demo", "--check"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment(TMPDIR=str(tmp_path), HEADCOUNT_DATA="not-for-the-demo"),
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    for port in taken_ports:
        assert f"127.0.0.1:{port} is in use" in finished.stdout
    assert re.search(r"All \d+ rows are what a naive count", finished.stdout)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("taken_ports")
def test_what_it_says_to_try_works_as_printed_and_ctrl_c_leaves_nothing_behind(
    tmp_path: Path,
) -> None:
    with _started(tmp_path) as process:
        assert process.stdout is not None
        said = ""
        for line in process.stdout:
            said += line
            if "Press Ctrl-C" in line:
                break
        token = re.search(r"Bearer (\S+)\"", said)
        usage = re.search(r"\"(http://\S+/usage/api-calls/daily\S+)\"", said)
        page = re.search(r"\n  address  (http://\S+/)\n  token    (\S+)\n", said)
        assert token is not None, said
        assert usage is not None
        assert page is not None
        assert page[2] == token[1]
        request = urllib.request.Request(usage[1], headers={"Authorization": f"Bearer {token[1]}"})
        with urllib.request.urlopen(request) as answer:
            assert json.load(answer)["data"]["dailyWorkspaceAPICallsUsage"]
        with urllib.request.urlopen(page[1]) as answer:
            assert b"Headcount" in answer.read()
        *to_try, to_serve = _commands(said)
        assert len(to_try) == 5, to_try
        for command in to_try:
            # Whoever pastes it into a machine without curl is told so by the shell.
            if not command.startswith("curl ") or shutil.which("curl"):
                _paste(command, tmp_path)
        process.send_signal(signal.SIGINT)
        assert "Stopping the server" in process.stdout.read()
    assert process.returncode == 0
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(OSError, match="refused"), urllib.request.urlopen(request):
        pass
    _serve(to_serve, tmp_path)


@contextmanager
def _started(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """The demo, which also ends when the test fails."""
    with subprocess.Popen(
        [*PROGRAM, "demo"],
        stdout=subprocess.PIPE,
        text=True,
        cwd=folder,
        env=environment(TMPDIR=str(folder)),
    ) as process:
        try:
            yield process
        except BaseException:
            process.terminate()
            raise


def _commands(said: str) -> list[str]:
    """What can be pasted: all that is indented by four, with the lines that it goes on in."""
    _, _, suggested = said.partition("Try next")
    return re.findall(r"^    (\S(?:.*\\\n)*.*)$", suggested, re.MULTILINE)


def _paste(command: str, folder: Path) -> None:
    # A shell that knows nothing of where the program was installed.
    done = subprocess.run(
        ["/bin/sh", "-c", command],
        capture_output=True,
        text=True,
        cwd=folder,
        env=environment(PATH="/usr/bin:/bin"),
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    assert done.stdout, command
    assert not re.search(r"[Ee]rror", done.stdout), done.stdout


def _serve(command: str, folder: Path) -> None:
    anywhere = {"HEADCOUNT_TRACKING": "127.0.0.1:0", "HEADCOUNT_API": "127.0.0.1:0"}
    with subprocess.Popen(
        ["/bin/sh", "-c", f"exec {command}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=folder,
        env=environment(PATH="/usr/bin:/bin", **anywhere),
    ) as server:
        assert server.stdout is not None
        said = "".join(server.stdout.readline() for _ in range(4))
        server.send_signal(signal.SIGTERM)
    assert re.search(r"^page +http://127\.0\.0\.1:\d+/$", said, re.MULTILINE), said


def test_the_program_is_named_as_it_can_be_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, others, linked = (tmp_path / name for name in ("our own", "others", "linked"))
    for folder in (ours, others, linked):
        folder.mkdir()
    for file in (ours / "python", ours / "headcount", others / "headcount"):
        file.touch(0o755)
    (linked / "headcount").symlink_to(ours / "headcount")
    monkeypatch.setattr(sys, "executable", str(ours / "python"))
    for path, typed in (
        (ours, "headcount"),
        (linked, "headcount"),
        (others, f"'{ours}/headcount'"),
        (tmp_path, f"'{ours}/headcount'"),
    ):
        monkeypatch.setenv("PATH", str(path))
        assert typed_program() == typed
    (ours / "headcount").unlink()
    assert typed_program() == f"'{ours}/python' -m headcount"
