"""The contest with everybody in it, at the smallest size: who counts right, and who is found out.

No time is asserted. What is planted: a meter that counts repeated messages, an import that forgets
what it was given before, and one that is not there.
"""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from bench.contest import engines
from bench.contest.__main__ import hold
from bench.contest.chart import draw
from bench.contest.contenders import ALL, HEADCOUNT, Contender
from bench.contest.entrants import contender
from bench.contest.imports import PROGRAMS, Import, Imported, Program
from bench.contest.plan import SIZES, TINY
from bench.contest.rounds import Standing, Turn
from bench.contest.table import Outcome, ahead, document, show, summary, write_marked
from rich.console import Console

from support.needed import lacking

ROOT = Path(__file__).parents[3]
MOMENT = datetime(2026, 11, 26, tzinfo=UTC)
CARELESS = Contender(
    "A careless meter",
    "no",
    "",
    contender("server.tests.processes.programs.careless_meter", None),
    lambda: "",
)
ABSENT = Contender("An absent meter", "yes", "", CARELESS.start, lambda: "its engine is not here")


def forgetful(file: Path, folder: Path) -> dict[str, Any]:
    """DuckDB's answer about one file, which knows nothing of what was before."""
    run = next(each for each in PROGRAMS if each.name == "DuckDB, count distinct").run
    return run(file, folder)


FORGETFUL = Program("A forgetful import", "keeps", forgetful, lambda: "")


@pytest.fixture(scope="module")
def outcome() -> Iterator[Outcome]:
    if not engines.PYTHON.exists():
        lacking("what contends is not here: make .venv/.contest")
    with tempfile.TemporaryDirectory(prefix="contest-test-") as name:
        folder = Path(name)
        folder.chmod(0o711)  # PostgreSQL runs as a user of its own, and must reach its folder
        contenders = [*ALL, CARELESS, ABSENT]
        yield hold(folder, contenders, [*PROGRAMS, FORGETFUL], TINY, Console(file=io.StringIO()))
        assert_nothing_runs_on(folder)


def processes_of(folder: Path) -> list[str]:
    """Whatever runs on a folder, by its arguments or its variables."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            said = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
        except OSError:
            continue
        if str(folder).encode() in said and process.name != str(os.getpid()):
            found.append((process / "cmdline").read_text().replace("\0", " "))
    return found


def assert_nothing_runs_on(folder: Path) -> None:
    """What was ended may need a moment to be gone."""
    patience = time.monotonic() + 30
    while left := processes_of(folder):
        assert time.monotonic() < patience, left
        time.sleep(0.1)


@pytest.mark.timeout(900)
def test_everybody_who_is_here_counts_exactly(outcome: Outcome) -> None:
    for name, why in outcome.missing.items():
        if name != ABSENT.name:
            lacking(f"{name}: {why}; scripts/setup-contest.sh")
    for each in ALL:
        standing = outcome.standings[each.name]
        assert (standing.wrong, standing.failed) == ([], ""), each.name
        assert all(standing.turns[size] for size in SIZES)
        assert standing.messages > 0
        assert standing.reading_s
    for program in PROGRAMS:
        imported = outcome.imported[program.name]
        assert (imported.wrong, imported.failed) == ("", ""), program.name
        assert imported.turns


@pytest.mark.timeout(900)
def test_a_fast_wrong_answer_is_marked_wrong_and_ahead_of_nobody(outcome: Outcome) -> None:
    careless = outcome.standings[CARELESS.name]
    assert careless.turns[100], "it took part to the end"
    assert re.match(r"API calls of the workspace: [\d,]+ counted, [\d,]+ sent$", careless.wrong[0])
    assert outcome.imported[FORGETFUL.name].wrong.endswith("with a further archive on top")
    text = document(outcome, MOMENT, "picture.svg")
    wrong = [line for line in text.splitlines() if "**WRONG**" in line]
    assert len(wrong) == len(SIZES) + 1
    assert all(
        line.startswith(("| A careless meter |", "| A forgetful import |")) for line in wrong
    )
    assert not any(each in sentence for sentence in ahead(outcome) for each in ("careless", "forg"))


@pytest.mark.timeout(900)
def test_the_document_names_machine_load_and_who_is_not_installed(outcome: Outcome) -> None:
    text = document(outcome, MOMENT, "picture.svg")
    load = r"^- load: other programs took \d+% of the cores \(\d+% to \d+%\)$"
    assert re.search(load, text, re.M)
    assert re.search(r"^- processor: \S", text, re.M)
    assert "| An absent meter | not installed: its engine is not here |" in text
    assert "| no: up to a second is lost | exact |" in text
    picture = draw(outcome)
    assert "A careless meter (WRONG)" in picture
    assert picture.startswith("<svg")
    screen = io.StringIO()
    show(outcome, Console(file=screen, width=300))
    assert "WRONG: API calls of the workspace" in screen.getvalue()


@pytest.mark.timeout(900)
def test_the_place_in_a_page_is_written_and_nothing_else_of_it(
    outcome: Outcome, tmp_path: Path
) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- contest: begin -->\nold\n<!-- contest: end -->\nafter\n")
    text = summary(replace(outcome, machine="a machine"), MOMENT, "bench/results/x-contest")
    assert write_marked(page, text)
    written = page.read_text()
    assert written.startswith("before\n<!-- contest: begin -->\n`make contest` on a machine, 2026-")
    assert written.endswith("\n<!-- contest: end -->\nafter\n")
    assert "old" not in written
    page.write_text("a page without marks")
    assert not write_marked(page, text)
    assert page.read_text() == "a page without marks"


def test_whoever_is_ahead_is_named_unless_wrong() -> None:
    slow = Turn(100.0, 100.0, 10.0, 1.0, (0.1, 0.2), 0.0)
    fast = replace(slow, counted=200.0, cpu_us=5.0, latency_s=(0.1, 0.1))
    standings = {
        HEADCOUNT: Standing({size: [slow] * 3 for size in SIZES}, reading_s=[1.0]),
        "Fast": Standing({100: [slow] * 3, 1: [fast] * 3}, reading_s=[2.0]),
        "Wrong": Standing({size: [fast] * 3 for size in SIZES}, ["5 counted, 4 sent"], "", [0.1]),
    }
    imported = {
        PROGRAMS[0].name: Imported([Import(10.0, 2.0, 0.0)], [Import(10.0, 2.0, 0.0)]),
        PROGRAMS[1].name: Imported([Import(30.0, 3.0, 0.0)], [Import(5.0, 1.0, 0.0)]),
        "DuckDB, count distinct": Imported([Import(90.0, 0.5, 0.0)]),
    }
    outcome = Outcome(ALL, PROGRAMS, standings, imported, {}, {"load": ""}, "")
    assert ahead(outcome) == [
        "Fast counts 2.00 times as many messages a second in single posts.",
        "Fast takes 0.50 of the processor time a message in single posts.",
        "Fast answers 99 % of requests within 0.50 of the time in single posts.",
        f"{PROGRAMS[1].name} imports 3.00 times as many records a second.",
        f"{PROGRAMS[1].name} takes 0.50 of the processor time a record of a further archive on top"
        " of the first.",
    ]
    standings[HEADCOUNT].wrong = ["it"]
    assert ahead(outcome)[0].startswith("Headcount itself counted wrong")


def test_ctrl_c_ends_everything_that_was_started() -> None:
    with tempfile.TemporaryDirectory(prefix="contest-test-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        started = subprocess.Popen(
            [sys.executable, "-m", "bench.contest", "--form", "tiny", "--only", "PostgreSQL",
             "--folder", name],
            cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        with started:
            assert started.stderr is not None
            # The application's: everything else has started before.
            while not any(folder.rglob("app.log" if engines.PYTHON.exists() else "serve.log")):
                assert started.poll() is None, started.stderr.read()
                time.sleep(0.02)
            started.send_signal(signal.SIGINT)
            said = started.stderr.read()
            assert started.wait() == 130, said
        assert "so is everything that it started" in said
        assert list(folder.iterdir()) == []
        assert_nothing_runs_on(folder)
