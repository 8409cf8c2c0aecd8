"""`headcount import` run as the real program, beside a real server and without one."""

from __future__ import annotations

import gzip
import json
import subprocess
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from headcount.metering.calendar import parse_period
from headcount.metering.usage import ADMITTED, ANONYMOUS, API_CALLS, IDENTIFIED
from headcount.store.sqlite import SqliteStore
from program import PROGRAM, Program, environment

FEBRUARY = "2021-02-01"


@pytest.fixture
def program(tmp_path: Path) -> Program:
    program = Program(data=tmp_path / "data", cwd=tmp_path)
    program.json("workspace", "add", "Shop")
    return program


@pytest.fixture
def web(program: Program) -> Any:
    return program.json("source", "add", "web", "--workspace", "Shop")


def line(number: int, **extra: Any) -> str:
    message = {
        "type": "page",
        "messageId": f"m{number}",
        "anonymousId": f"a{number % 7}",
        "receivedAt": f"2021-02-{1 + number % 28:02d}T12:00:00Z",
    }
    return json.dumps(message | extra)


def totals(program: Program, period: str = FEBRUARY) -> tuple[int, int, int, int]:
    """API calls, identified, anonymous and admitted of the first workspace in a period."""
    with closing(SqliteStore(program.data / "store.sqlite")) as store:
        month = store.read_usage(1, parse_period(period)).workspace_totals()[-1]
    api_calls, identified, anonymous, admitted = (
        int(month[kind]) for kind in (API_CALLS, IDENTIFIED, ANONYMOUS, ADMITTED)
    )
    return api_calls, identified, anonymous, admitted


def kept_names(data: Path) -> list[str]:
    """What lies in a data folder, without the files that SQLite keeps beside an open one."""
    return sorted(each.name for each in data.iterdir() if not each.name.endswith(("-shm", "-wal")))


def test_a_file_is_counted_without_a_server_and_again_changes_nothing(
    program: Program, web: Any
) -> None:
    file = program.cwd / "february.ndjson"
    file.write_text("\n".join(line(number) for number in range(100)) + "\n")
    command = ("import", str(file), "--workspace", "Shop", "--source", "web")
    first = program.json(*command)
    assert first == {
        "files": 1, "unreadable": 0, "records": 100, "earlier": 0, "admitted": 100, "rejected": 0,
        "reasons": {}, "dryRun": False,
    }  # fmt: skip
    assert totals(program) == (100, 0, 7, 100)
    renamed = program.cwd / "again.ndjson.gz"
    renamed.write_bytes(gzip.compress(file.read_bytes()))
    program.json("import", str(renamed), "--workspace", "Shop", "--source", "web")
    assert totals(program) == (100, 0, 7, 200)


def test_a_running_server_counts_what_is_imported(program: Program, web: Any) -> None:
    file = program.cwd / "february.ndjson"
    file.write_text("\n".join(line(number, writeKey=web["writeKey"]) for number in range(50)))
    with program.serving():
        finished = program.json("import", "february.ndjson", "--workspace", "Shop")
        assert finished["admitted"] == 50
        assert totals(program) == (50, 0, 7, 50)


def test_lines_name_their_source_unless_the_command_does(program: Program, web: Any) -> None:
    app = program.json("source", "add", "app", "--workspace", "Shop")
    program.json("workspace", "add", "Other")
    foreign = program.json("source", "add", "web", "--workspace", "Other")
    lines = [
        line(1, writeKey=web["writeKey"]),
        line(2, sourceId=app["id"]),
        line(3, writeKey=foreign["writeKey"]),
        line(4, sourceId=foreign["id"]),
        line(5),
    ]
    (program.cwd / "mixed.ndjson").write_text("\n".join(lines))
    by_line = program.run("import", "mixed.ndjson", "--workspace", "Shop")
    assert by_line.returncode == 0
    assert "mixed.ndjson:3-5: unknown_source\n" in by_line.stderr
    assert totals(program) == (2, 0, 2, 2)
    by_command = program.json("import", "mixed.ndjson", "--workspace", "Shop", "--source", "app")
    assert by_command["rejected"] == 0
    # The same message id in another source is another call; in the same source it is not.
    assert totals(program) == (6, 0, 5, 7)


def test_bad_lines_are_named_and_cost_nothing_else(program: Program, web: Any) -> None:
    lines = [
        line(1),
        "{not json",
        "",
        json.dumps({"type": "page", "userId": "u"}),
        line(2, receivedAt="2021-02-03T10:00:00"),
        line(3, receivedAt="2999-01-01T00:00:00Z"),
        "x" * 40_000,
        "[]",
        line(4),
    ]
    (program.cwd / "bad.ndjson").write_text("\n".join(lines))
    finished = program.run("import", "bad.ndjson", "--workspace", "Shop", "--source", "web")
    assert finished.returncode == 0
    named = [each for each in finished.stderr.splitlines() if each.startswith("bad.ndjson:")]
    assert named == [
        "bad.ndjson:2: malformed_json",
        "bad.ndjson:4: no_received_at",
        "bad.ndjson:5: received_at_without_zone",
        "bad.ndjson:6: received_at_in_future",
        "bad.ndjson:7: message_too_large",
        "bad.ndjson:8: not_an_object",
    ]
    assert "no_received_at: An imported record needs" in finished.stderr
    assert finished.stdout.splitlines()[:4] == [
        "files                       1",
        "records                     8",
        "admitted                    2",
        "rejected                    6",
    ]
    assert totals(program)[0] == 2


def test_a_dry_run_says_the_same_and_changes_nothing(program: Program, web: Any) -> None:
    (program.cwd / "f.ndjson").write_text(line(1) + "\n{}\n")
    before = kept_names(program.data)
    command = ("import", "f.ndjson", "--workspace", "Shop", "--source", "web")
    dry = program.json(*command, "--dry-run")
    assert kept_names(program.data) == before
    assert dry.pop("dryRun") is True
    wet = program.json(*command)
    assert wet.pop("dryRun") is False
    assert dry == wet


def test_folders_and_standard_input_are_read(program: Program, web: Any) -> None:
    folder = program.cwd / "archive" / "2021"
    folder.mkdir(parents=True)
    (folder / "one.ndjson").write_text(line(1))
    (folder / "two.jsonl.gz").write_bytes(gzip.compress(line(2).encode()))
    (folder / "notes.txt").write_text("not records")
    arguments = ("--workspace", "Shop", "--source", "web")
    assert program.json("import", "archive", *arguments)["files"] == 2
    piped = program.run("import", "-", *arguments, stdin=line(3) + "\nbad\n")
    assert piped.returncode == 0
    assert "standard input:2: malformed_json" in piped.stderr
    assert totals(program)[0] == 3


@pytest.mark.parametrize("damage", ["cut", "scrambled", "not gzip"])
def test_a_file_that_breaks_off_keeps_what_came_before(
    program: Program, web: Any, damage: str
) -> None:
    whole = gzip.compress("\n".join(line(number) for number in range(5000)).encode())
    broken = {
        "cut": whole[:-2000],
        "scrambled": whole[: len(whole) // 2] + b"\xff" * 3000,
        "not gzip": b"plain text",
    }[damage]
    (program.cwd / "broken.ndjson.gz").write_bytes(broken)
    (program.cwd / "good.ndjson").write_text(line(1_000_000))
    arguments = ("--workspace", "Shop", "--source", "web")
    finished = program.run("import", "broken.ndjson.gz", "good.ndjson", *arguments)
    assert finished.returncode == 1
    assert "broken.ndjson.gz: cannot be read to its end" in finished.stderr
    assert "Traceback" not in finished.stderr
    kept = totals(program)[0]
    assert kept == 1 if damage == "not gzip" else 1 < kept < 5001
    (program.cwd / "broken.ndjson.gz").write_bytes(whole)
    assert program.run("import", "broken.ndjson.gz", *arguments).returncode == 0
    assert totals(program)[0] == 5001


def test_an_import_that_was_killed_is_finished_by_the_next(program: Program, web: Any) -> None:
    file = program.cwd / "large.ndjson"
    file.write_text("\n".join(line(number) for number in range(60_000)))
    arguments = ("import", str(file), "--workspace", "Shop", "--source", "web")
    with subprocess.Popen(
        [*PROGRAM, *arguments],
        cwd=program.cwd,
        env=environment(HEADCOUNT_DATA=str(program.data)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        while not any((program.data / "journals").glob("*.sqlite")) and process.poll() is None:
            time.sleep(0.005)
        process.kill()
    program.json(*arguments)
    assert totals(program)[:3] == (60_000, 0, 7)


def test_what_cannot_be_imported_is_refused_before_anything_is_read(
    program: Program, web: Any
) -> None:
    (program.cwd / "a.ndjson").write_text(line(1))
    (program.cwd / "b.ndjson.xz").write_bytes(b"")
    (program.cwd / "empty").mkdir()
    shop = ("--workspace", "Shop", "--source", "web")
    for arguments, words in (
        (("a.ndjson", "missing.ndjson", *shop), "There is no file missing.ndjson"),
        (("a.ndjson", "b.ndjson.xz", *shop), "xz -dc b.ndjson.xz | headcount import -"),
        (("a.ndjson", "empty", *shop), "holds no file to import"),
        (("a.ndjson", "--workspace", "Nope"), 'no workspace "Nope"'),
        (("a.ndjson", "--workspace", "Shop", "--source", "nope"), 'no source "nope"'),
    ):
        finished = program.run("import", *arguments)
        assert finished.returncode == 2
        assert words in finished.stderr
        assert len(finished.stderr.splitlines()) == 1
    assert not (program.data / "store.sqlite").exists()


def test_another_hash_key_is_refused(program: Program, web: Any) -> None:
    (program.cwd / "a.ndjson").write_text(line(1))
    arguments = ("import", "a.ndjson", "--workspace", "Shop", "--source", "web")
    assert program.run(*arguments).returncode == 0
    (program.data / "hash.key").write_text("ab" * 32)
    finished = program.run(*arguments)
    assert finished.returncode == 1
    assert "another hash key" in finished.stderr
    assert "backup" in finished.stderr
