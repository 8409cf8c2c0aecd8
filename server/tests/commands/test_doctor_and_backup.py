"""`headcount doctor`, `backup` and `restore` run as the real program, beside a real server."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from support.counted_folder import counted_folder
from support.program import PROGRAM, Program, environment
from support.server_fixture import Shop, serving

BATCH = 25
USERS = 60


class Poster:
    """Clients that post batches all the time, in a thread, and remember what was acknowledged.

    Attributes:
        acknowledged: numbers of the messages that the server has answered well.
    """

    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._post)
        self.acknowledged: list[int] = []
        self.failures: list[BaseException] = []

    def _post(self) -> None:
        try:
            while not self._done.is_set():
                first = len(self.acknowledged)
                numbers = range(first, first + BATCH)
                post(self._shop, numbers)
                self.acknowledged.extend(numbers)
        except BaseException as error:
            self.failures.append(error)

    def __enter__(self) -> Poster:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()
        assert self.failures == []


def message(number: int) -> dict[str, str]:
    return {
        "type": "track",
        "event": "e",
        "messageId": f"m{number}",
        "userId": f"u{number % USERS}",
    }


def post(shop: Shop, numbers: range) -> None:
    for source, write_key in shop.write_keys.items():
        batch = [message(n) for n in numbers if (n % 2 == 0) == (source == "web")]
        assert shop.server.track("/v1/batch", {"batch": batch}, write_key).status == 200


def doctor(program: Program, *options: str) -> Any:
    finished = program.run("doctor", "--json", *options)
    report = json.loads(finished.stdout)
    assert finished.returncode == (1 if report["status"] == "problem" else 0)
    return report


def problems(report: Any) -> list[Any]:
    return [finding for finding in report["findings"] if finding["level"] == "problem"]


def test_a_backup_while_clients_post_loses_nothing_and_repeats_nothing(tmp_path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    with serving(tmp_path / "first", "--workers", "2") as server:
        shop = server.shop("Shop", "web", "app")
        with Poster(shop) as poster:
            while len(poster.acknowledged) < 20 * BATCH:
                assert problems(doctor(server.program)) == []
            before = len(poster.acknowledged)
            taken = server.program.json("backup", str(tmp_path / "backup"))
            assert len(poster.acknowledged) > before, "posting went on"
        sent = len(poster.acknowledged)
        assert taken["hashKey"]["included"]

    second = Program(data=tmp_path / "second" / "data", cwd=tmp_path)
    restored = second.json("restore", str(tmp_path / "backup"))
    assert restored["files"] == taken["files"]
    report = doctor(second)
    assert problems(report) == []

    with serving(tmp_path / "second") as server:
        again = replace(shop, server=server)
        again.wait_until_counted()
        held = again.usage()[""].api_calls
        assert before <= held <= sent
        # Nothing is missing of what was acknowledged before: sent again, it changes nothing.
        post(again, range(before))
        again.wait_until_counted()
        assert again.usage()[""].api_calls == held
        # What came later is sent again by clients, and new messages come.
        post(again, range(before, sent + 50))
        again.wait_until_counted()
        usage = again.usage()
        assert usage[""].api_calls == sent + 50
        assert usage[""].identified == USERS
        assert usage[again.source_ids["web"]].api_calls == (sent + 51) // 2
        assert problems(doctor(server.program)) == []


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    counted_folder(tmp_path / "data")
    yield Program(data=tmp_path / "data", cwd=tmp_path)
    shutil.rmtree(tmp_path)


def test_doctor_tells_people_line_by_line_and_programs_by_status(program: Program) -> None:
    finished = program.run("doctor")
    assert finished.returncode == 0, finished.stdout
    assert finished.stderr == ""
    assert "counts         2 months (2 open)" in finished.stdout
    min((program.data / "keys").glob("*.keys")).unlink()
    finished = program.run("doctor")
    assert finished.returncode == 1
    assert "PROBLEM  runs" in finished.stdout
    assert "Remedy: Restore" in finished.stdout
    assert doctor(program)["status"] == "problem"


def test_doctor_names_a_folder_that_is_none(program: Program, tmp_path: Path) -> None:
    for arguments in (("doctor",), ("backup", "b")):
        finished = program.run(*arguments, "--data", str(tmp_path / "none"))
        assert finished.returncode == 1
        assert "There is no data folder" in finished.stderr
    assert not (tmp_path / "none").exists()


def test_the_clock_is_confirmed_by_hand(program: Program) -> None:
    def clock(*options: str) -> Any:
        [finding] = [f for f in doctor(program, *options)["findings"] if f["check"] == "clock"]
        return finding

    # The messages are of a day that was given, not of the day on which this test runs.
    before = clock()
    assert before["level"] in ("warning", "ok")
    assert clock("--confirm-clock")["details"]["trustedDay"] >= before["details"]["today"]


def test_backup_and_restore_say_what_they_did_and_what_is_next(
    program: Program, tmp_path: Path
) -> None:
    finished = program.run("backup", "copy", "--without-key")
    assert finished.returncode == 0
    assert "left out, fingerprint" in finished.stdout
    assert "headcount restore copy --data" in finished.stderr
    finished = program.run("restore", "copy", "--data", "new")
    assert finished.returncode == 2
    assert "--hash-key" in finished.stderr
    key = str(program.data / "hash.key")
    finished = program.run("restore", "copy", "--data", "new", "--hash-key", key)
    assert finished.returncode == 0
    assert f"headcount serve --data new --hash-key {key}" in finished.stderr
    finished = program.run("restore", "copy", "--hash-key", key)
    assert finished.returncode == 1
    assert "is not empty" in finished.stderr


def test_a_disk_that_takes_no_more_leaves_no_half_copy(program: Program, tmp_path: Path) -> None:
    program.json("backup", "whole")
    largest = max(path.stat().st_size for path in (tmp_path / "whole").rglob("*"))
    for command in (("backup", "half"), ("restore", "whole", "--data", "half")):
        # No file may become as large as the largest has to be.
        limited = ("sh", "-c", f'ulimit -f {largest // 1024 - 4}; exec "$@"', "sh")
        finished = subprocess.run(
            [*limited, *PROGRAM, *command],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env=environment(HEADCOUNT_DATA=str(program.data)),
        )
        assert finished.returncode == 1
        [line] = finished.stderr.splitlines()
        assert "what was written of it is removed" in line
        assert not (tmp_path / "half").exists()


def test_a_living_folder_is_never_written_over(tmp_path: Path) -> None:
    def files(path: Path) -> set[str]:
        return {str(each.relative_to(path)) for each in path.rglob("*") if each.is_file()}

    with serving(tmp_path) as server:
        shop = server.shop("Shop", "web")
        post(shop, range(0, 20, 2))
        shop.wait_until_counted()
        program = server.program
        program.json("backup", str(tmp_path / "backup"))
        kept = files(tmp_path / "backup")
        for arguments, status, words in (
            (("backup", str(program.data)), 2, "lies in the data folder"),
            (("backup", str(program.data / "backups")), 2, "lies in the data folder"),
            (("backup", str(tmp_path / "backup")), 1, "is not empty, and a backup never writes"),
            (("restore", str(tmp_path / "backup")), 1, "is not empty, and a restore never writes"),
            (("restore", str(program.data)), 2, "lie in one another"),
            (("restore", str(program.data), "--data", "new"), 1, "is not a backup"),
        ):
            finished = program.run(*arguments)
            assert (finished.returncode, finished.stdout) == (status, ""), finished
            [line] = finished.stderr.splitlines()
            assert words in line
        assert files(tmp_path / "backup") == kept
        post(shop, range(20, 30, 2))
        shop.wait_until_counted()
        assert shop.usage()[""].api_calls == 15
        assert problems(doctor(program)) == []
