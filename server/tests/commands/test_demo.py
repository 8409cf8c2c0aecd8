"""The demo: its made traffic, its naive count, and the whole of it as the real program."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from headcount.demo.expected import Key, Usage, expected_usage
from headcount.demo.readback import differences
from headcount.demo.traffic import APP, DAYS, SERVER, SOURCES, WEB, Sent, made_traffic
from support.program import PROGRAM, environment

NOW = datetime(2026, 3, 10, 15, 30, tzinfo=UTC)
KEYS = {source: f"key-{number}" for number, source in enumerate(SOURCES)}


def test_made_traffic_is_the_same_every_time_and_never_of_the_future() -> None:
    lines = list(made_traffic(NOW, KEYS))
    assert lines == list(made_traffic(NOW, KEYS))
    sent = [line.sent for line in lines if line.sent is not None]
    assert {message.source for message in sent} == set(SOURCES)
    assert min(message.day for message in sent) == NOW.date() - timedelta(days=DAYS - 1)
    moments = [json.loads(line.text)["receivedAt"] for line in lines if line.sent is not None]
    assert max(moments) < NOW.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert max(message.day for message in sent) == NOW.date()


def test_made_traffic_shows_what_the_demo_speaks_of() -> None:
    lines = list(made_traffic(NOW, KEYS))
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
def test_what_it_says_to_try_works_and_ctrl_c_leaves_nothing_behind(tmp_path: Path) -> None:
    with subprocess.Popen(
        [*PROGRAM, "demo"],
        stdout=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env=environment(TMPDIR=str(tmp_path)),
    ) as process:
        assert process.stdout is not None
        said = ""
        for line in process.stdout:
            said += line
            if "Press Ctrl-C" in line:
                break
        token = re.search(r"Bearer (\S+)\"", said)
        usage = re.search(r"\"(http://\S+/usage/api-calls/daily\S+)\"", said)
        assert token is not None, said
        assert usage is not None
        request = urllib.request.Request(usage[1], headers={"Authorization": f"Bearer {token[1]}"})
        with urllib.request.urlopen(request) as answer:
            assert json.load(answer)["data"]["dailyWorkspaceAPICallsUsage"]
        process.send_signal(signal.SIGINT)
        assert "Stopping the server" in process.stdout.read()
    assert process.returncode == 0
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(OSError, match="refused"), urllib.request.urlopen(request):
        pass
