"""Turns of imports, one program after the other: takes a plan, gives rates, costs and verdicts."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bench.contest.contenders import HEADCOUNT
from bench.contest.engines import PYTHON, ROOT
from bench.contest.files import MONTH, Truth, make_file
from bench.contest.interrupts import held, raise_if_interrupted
from bench.contest.plan import Plan
from bench.load import BenchError
from bench.machine import busy_seconds
from headcount.counting.calendar import parse_period
from headcount.counting.metrics import ANONYMOUS, ANONYMOUS_IDENTIFIED, API_CALLS, IDENTIFIED
from headcount.store.opening import open_store

__all__ = ["HEADCOUNT_IMPORT", "PROGRAMS", "Import", "Imported", "Program", "run_imports"]

HEADCOUNT_IMPORT = f"{HEADCOUNT} import"
_FIRST, _AGAIN = "", "again"


@dataclass(frozen=True)
class Program:
    """One of those that import.

    Attributes:
        name: what it is called in tables.
        kind: `keeps` its result and lets no message count twice, whenever it came; `forgets` what
            it has counted; `decodes` and counts nothing.
        run: takes a file and a folder, gives what was counted.
        missing: what it lacks on this machine; empty if nothing.
        prepare: makes ready what is not part of an import, in the folder.
    """

    name: str
    kind: str
    run: Callable[[Path, Path], dict[str, Any]]
    missing: Callable[[], str]
    prepare: Callable[[Path], None] = lambda _: None


@dataclass(frozen=True, slots=True)
class Import:
    """One import of the file.

    Attributes:
        rate: records a second, the program's start and end included.
        cpu_us: processor time for a record.
        load: share of the cores that others used meanwhile.
    """

    rate: float
    cpu_us: float
    load: float


@dataclass(slots=True)
class Imported:
    """What a program has shown.

    Attributes:
        turns: its imports.
        wrong: the first difference between what the file holds and what was counted, in words.
        failed: why it takes part no longer; empty while it does.
    """

    turns: list[Import] = field(default_factory=list)
    wrong: str = ""
    failed: str = ""


def _prepare_headcount(folder: Path) -> None:
    _command(folder, "workspace", "add", "Shop")
    _command(folder, "source", "add", "web", "--workspace", "Shop")


def _command(folder: Path, *arguments: str) -> None:
    environ = os.environ | {"HEADCOUNT_DATA": str(folder / "data")}
    _run([sys.executable, "-m", "headcount", *arguments], environ)


def _headcount(file: Path, folder: Path) -> dict[str, Any]:
    _command(folder, "import", str(file), "--workspace", "Shop", "--source", "web")
    with closing(open_store(folder / "data" / "store.sqlite")) as store:
        reading = store.read_usage(1, parse_period(f"{MONTH}-01"))
    totals = reading.workspace_totals()[-1]
    new = enumerate(np.asarray(reading.workspace[:, API_CALLS]), 1)
    return {
        "calls": {f"{MONTH}-{day:02d}": int(count) for day, count in new if count},
        "identified": int(totals[IDENTIFIED]),
        "anonymous": int(totals[ANONYMOUS]),
        "joined": int(totals[ANONYMOUS_IDENTIFIED]),
    }


def _peer(name: str) -> Callable[[Path, Path], dict[str, Any]]:
    def run(file: Path, folder: Path) -> dict[str, Any]:
        said = _run(
            [str(PYTHON), "-m", "bench.contest.importers", name, str(file), str(folder)],
            os.environ | {"PYTHONPATH": str(ROOT)},
        )
        found: dict[str, Any] = json.loads(said)
        return found

    return run


def _run(command: list[str], environ: dict[str, str]) -> str:
    # Of a session of its own, so that Ctrl-C reaches nobody but the contest, which ends it.
    with held():
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environ,
            start_new_session=True,
        )  # fmt: skip
    with process:
        try:
            raise_if_interrupted()
            said, complained = process.communicate()
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    if process.returncode:
        raise BenchError(f"{' '.join(command[1:4])} failed: {complained.strip()[-300:]}")
    return said


def _missing() -> str:
    return "" if PYTHON.exists() else "its packages are not installed (`make contest` does)"


PROGRAMS = (
    Program(HEADCOUNT_IMPORT, "keeps", _headcount, lambda: "", _prepare_headcount),
    Program("DuckDB, tables", "keeps", _peer("duckdb_keeps"), _missing),
    Program("Polars, Parquet", "keeps", _peer("polars_keeps"), _missing),
    Program("ClickHouse, rows", "keeps", _peer("clickhouse_keeps"), _missing),
    Program("DuckDB, count distinct", "forgets", _peer("duckdb_counts"), _missing),
    Program("Polars, n_unique", "forgets", _peer("polars_counts"), _missing),
    Program("json.loads in a loop", "decodes", _peer("json_loads"), _missing),
)


def run_imports(
    folder: Path,
    programs: list[Program],
    plan: Plan,
    tell: Callable[[str], None],
    until_s: float,
) -> dict[str, Imported]:
    """Give everybody turns on one file.

    Args:
        folder: for the file and what is kept.
        programs: who takes part.
        plan: how many turns on how many records.
        tell: called before each step with what it is.
        until_s: when the last round begins at the latest, as with rounds of load.

    Returns:
        What each has shown. One that fails takes part no longer, and says why.
    """
    tell("making a file to import")
    file = folder / f"{MONTH}.ndjson"
    truth = make_file(file, plan.records)
    shown = {program.name: Imported() for program in programs}
    for number in range(plan.imports):
        if number and time.monotonic() > until_s:
            break
        for program in programs[:: -1 if number % 2 else 1]:
            tell(f"{program.name}: importing, round {number + 1} of {plan.imports}")
            if not shown[program.name].failed:
                _take_turn(folder / "import", program, file, truth, shown[program.name])
    return shown


def _take_turn(folder: Path, program: Program, file: Path, truth: Truth, shown: Imported) -> None:
    folder.mkdir()
    try:
        program.prepare(folder)
        busy_before_s, cpu_before_s, began_s = busy_seconds(), _cpu_s(), time.perf_counter()
        found = program.run(file, folder)
        elapsed_s, cpu_s = time.perf_counter() - began_s, _cpu_s() - cpu_before_s
        others_s = busy_seconds() - busy_before_s - cpu_s
        load = max(0.0, others_s / (elapsed_s * len(os.sched_getaffinity(0))))
        _compare(program, found, truth, shown, _FIRST)
        if program.kind == "keeps" and not shown.turns:
            # Who keeps knows the same file again: nothing counts twice.
            _compare(program, program.run(file, folder), truth, shown, _AGAIN)
        shown.turns.append(Import(truth.records / elapsed_s, cpu_s / truth.records * 1e6, load))
    except (BenchError, OSError, ValueError) as error:
        shown.failed = " ".join(str(error).split())[:300]
    finally:
        shutil.rmtree(folder)


def _compare(
    program: Program, found: dict[str, Any], truth: Truth, shown: Imported, when: str
) -> None:
    expected = {name: each for name, each in asdict(truth).items() if name != "records"}
    if program.kind == "decodes" or shown.wrong or found == expected:
        return
    differing = next(name for name in expected if found.get(name) != expected[name])
    calls, sent = (sum(each["calls"].values()) for each in (found, expected))
    said = (
        f"{calls:,} API calls counted, the file holds {sent:,}, or on other days"
        if differing == "calls"
        else f"{differing}: {found.get(differing)} counted, the file holds {expected[differing]}"
    )
    shown.wrong = f"{said}{', when it was imported again' if when else ''}"


def _cpu_s() -> float:
    own, ended = (
        resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return own.ru_utime + own.ru_stime + ended.ru_utime + ended.ru_stime
