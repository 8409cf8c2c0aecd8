"""`headcount import` in trouble, run as the real program: full disks, and lines without an end."""

from __future__ import annotations

import json
import os
import re
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import zstandard

from headcount.counting.calendar import parse_period
from headcount.counting.metrics import ADMITTED, API_CALLS
from headcount.datafolder import DataFolder, FolderLock
from headcount.journal import JournalDirectory
from headcount.store.opening import open_store
from support.program import PROGRAM, Program, environment, program_with_source
from support.server_fixture import eventually

RECORDS = 45_000
CHUNK = 10_000


@pytest.fixture
def program(tmp_path: Path) -> Program:
    return program_with_source(tmp_path)


def line(number: int) -> str:
    return json.dumps(
        {"type": "page", "messageId": f"m{number}", "anonymousId": f"a{number % 7}",
         "receivedAt": f"2021-02-{1 + number % 28:02d}T12:00:00Z"}
    )  # fmt: skip


def totals(program: Program) -> tuple[int, int]:
    """API calls and deliveries of February 2021."""
    with closing(open_store(program.data / "store.sqlite")) as store:
        month = store.read_usage(1, parse_period("2021-02-01")).workspace_totals()[-1]
    return int(month[API_CALLS]), int(month[ADMITTED])


def command(file: str) -> list[str]:
    return [*PROGRAM, "import", file, "--workspace", "Shop", "--source", "web", "--json"]


def run_limited(program: Program, largest_kib: int) -> subprocess.CompletedProcess[str]:
    """Import where no file can become larger: what a full disk is to a program."""
    return subprocess.run(
        ["sh", "-c", f'ulimit -f {2 * largest_kib}; exec "$@"', "sh", *command("f.ndjson")],
        capture_output=True, text=True, cwd=program.cwd,
        env=environment(HEADCOUNT_DATA=str(program.data)),
    )  # fmt: skip


@pytest.mark.parametrize("largest_kib", [100, 700, 2_000])
def test_a_disk_that_fills_half_way_keeps_what_was_read_and_the_rest_follows(
    program: Program, largest_kib: int
) -> None:
    (program.cwd / "f.ndjson").write_text("\n".join(map(line, range(RECORDS))))
    refused = run_limited(program, largest_kib)
    assert refused.returncode == 1, refused.stderr
    assert refused.stdout == ""
    [said] = refused.stderr.splitlines()
    assert re.match(r"Error: .*/journals/.* did not take an entry: ", said)
    assert "run the same command again" in said
    assert "what was read so far is kept" in said
    again = json.loads(
        subprocess.run(
            command("f.ndjson"), capture_output=True, text=True, cwd=program.cwd, check=True,
            env=environment(HEADCOUNT_DATA=str(program.data)),
        ).stdout
    )  # fmt: skip
    assert again["records"] == RECORDS
    assert again["earlier"] % CHUNK == 0
    # Neither lost, nor counted twice, nor even delivered twice.
    assert totals(program) == (RECORDS, RECORDS)


def test_a_disk_that_fills_while_it_counts_loses_nothing(program: Program) -> None:
    (program.cwd / "f.ndjson").write_text("\n".join(map(line, range(RECORDS))))
    folder = DataFolder(program.data)

    def marks() -> int:
        with closing(JournalDirectory(folder.journals)) as journals:
            found = 0
            for path in journals.paths():
                with closing(journals.open(path)) as journal:
                    found += len(journal.checkpoints())
            return found

    # Everything is read and durable, and nothing is counted, when it is killed.
    with (
        FolderLock(folder.meter_lock, "test"),
        subprocess.Popen(
            command("f.ndjson"), cwd=program.cwd, stdout=subprocess.DEVNULL,
            env=environment(HEADCOUNT_DATA=str(program.data)),
        ) as process,
    ):  # fmt: skip
        eventually(lambda: marks() == -(-RECORDS // CHUNK), "the file to be read")
        process.kill()
    marks()  # whoever closes a journal last leaves nothing of it to be written anew
    refused = run_limited(program, 200)
    assert refused.returncode == 1, refused.stderr
    [said] = refused.stderr.splitlines()
    assert said.startswith("Error: the store did not take ")
    assert "run the same command again" in said
    again = program.json(*command("f.ndjson")[len(PROGRAM) : -1])
    assert (again["records"], again["earlier"]) == (RECORDS, RECORDS)
    assert totals(program) == (RECORDS, RECORDS)


def test_an_import_that_was_refused_beside_a_server_goes_on_there(program: Program) -> None:
    (program.cwd / "f.ndjson").write_text("\n".join(map(line, range(RECORDS))))
    with program.serving():
        refused = run_limited(program, 1_000)
        assert refused.returncode == 1, refused.stderr
        assert program.json(*command("f.ndjson")[len(PROGRAM) : -1])["records"] == RECORDS
    assert totals(program) == (RECORDS, RECORDS)


def peak_kib(program: Program, file: str) -> int:
    """The most memory that an import took."""
    with subprocess.Popen(
        [*command(file), "--max-rejected", "1"], cwd=program.cwd,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        env=environment(HEADCOUNT_DATA=str(program.data)),
    ) as process:  # fmt: skip
        assert process.stderr is not None
        process.stderr.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0
    return used.ru_maxrss


@pytest.mark.parametrize("ending", ["", ".zst"])
def test_a_line_of_100_mb_takes_no_memory(program: Program, ending: str) -> None:
    (program.cwd / "short.ndjson").write_text(f"{line(1)}\nx\n{line(2)}\n")
    path = program.cwd / f"long.ndjson{ending}"
    compressor: Any = zstandard.ZstdCompressor().compressobj() if ending else None
    with path.open("wb") as file:
        for piece in (line(3).encode() + b"\n", *[b"x" * 1_000_000] * 100, b"\n", line(4).encode()):
            file.write(compressor.compress(piece) if compressor else piece)
        if compressor:
            file.write(compressor.flush())
    short = peak_kib(program, "short.ndjson")
    assert peak_kib(program, path.name) < short + 30_000
    assert totals(program) == (4, 4)
