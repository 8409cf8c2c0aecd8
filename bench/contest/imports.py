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
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.contest.contenders import HEADCOUNT
from bench.contest.engines import PYTHON, ROOT
from bench.contest.files import MONTH, WHOLE, Counts, Truth, make_files
from bench.contest.interrupts import held, raise_if_interrupted
from bench.contest.plan import Plan
from bench.load import BenchError
from bench.machine import busy_seconds
from headcount.catalog import Catalog
from headcount.counting.calendar import parse_period
from headcount.counting.metrics import ANONYMOUS, ANONYMOUS_IDENTIFIED, API_CALLS, IDENTIFIED
from headcount.store.opening import open_store

__all__ = ["HEADCOUNT_IMPORT", "PROGRAMS", "Import", "Imported", "Program", "run_imports"]

HEADCOUNT_IMPORT = f"{HEADCOUNT} import"
_UNCOMPILED = "PYTHONDONTWRITEBYTECODE"
_FIRST, _FURTHER, _AGAIN = "", ", with a further archive on top", ", when it was imported again"


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
        turns: its imports of a first archive, into nothing.
        further: its imports of a further one, on top of the first.
        wrong: the first difference between what the file holds and what was counted, in words.
        failed: why it takes part no longer; empty while it does.
    """

    turns: list[Import] = field(default_factory=list)
    further: list[Import] = field(default_factory=list)
    wrong: str = ""
    failed: str = ""


def _prepare_headcount(folder: Path) -> None:
    _command(folder, "workspace", "add", "Shop")
    # A program that is installed is compiled, as the others are; a source tree is when it has run.
    _command(folder, "import", os.devnull, "--workspace", "Shop")


def _command(folder: Path, *arguments: str) -> None:
    environ = {name: each for name, each in os.environ.items() if name != _UNCOMPILED} | {
        "PYTHONPYCACHEPREFIX": str(folder.parent / "compiled"),
        "HEADCOUNT_DATA": str(folder / "data"),
    }
    _run([sys.executable, "-m", "headcount", *arguments], environ)


def _headcount(file: Path, folder: Path) -> dict[str, Any]:
    _command(folder, "import", str(file), "--workspace", "Shop", "--make-sources")
    data = folder / "data"
    with closing(open_store(data / "store.sqlite")) as store:
        reading = store.read_usage(1, parse_period(f"{MONTH}-01"))
    with Catalog(data / "catalog.sqlite", read_only=True) as catalog:
        names = {each.number: each.name for each in catalog.sources()}
    scopes = [WHOLE, *(names[number] for number in reading.source_numbers.tolist())]
    return {
        scope: {
            kind: {f"{MONTH}-{day:02d}": int(new) for day, new in enumerate(counts, 1) if new}
            for kind, counts in zip(_KINDS, of_scope[:, _COLUMNS].T, strict=True)
        }
        for scope, of_scope in zip(scopes, [reading.workspace, *reading.sources], strict=True)
    }


_KINDS = ("calls", "identified", "anonymous", "joined")
_COLUMNS = [API_CALLS, IDENTIFIED, ANONYMOUS, ANONYMOUS_IDENTIFIED]


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
    """Give everybody turns on a first archive, and those that keep it on a further one.

    Args:
        folder: for the file and what is kept.
        programs: who takes part.
        plan: how many turns on how many records.
        tell: called before each step with what it is.
        until_s: when the last round begins at the latest, as with rounds of load.

    Returns:
        What each has shown. One that fails takes part no longer, and says why.
    """
    tell("making archives to import")
    files = folder / f"{MONTH}.ndjson", folder / f"{MONTH}-further.ndjson"
    truths = make_files(*files, plan.records)
    archives = list(zip(files, truths, strict=True))
    shown = {program.name: Imported() for program in programs}
    for number in range(plan.imports):
        if number and time.monotonic() > until_s:
            break
        for program in programs[:: -1 if number % 2 else 1]:
            tell(f"{program.name}: importing, round {number + 1} of {plan.imports}")
            if not shown[program.name].failed:
                _take_turn(folder / "import", program, archives, shown[program.name])
    return shown


def _take_turn(
    folder: Path, program: Program, archives: list[tuple[Path, Truth]], shown: Imported
) -> None:
    (first, truth), (further, truth_of_both) = archives
    folder.mkdir()
    try:
        program.prepare(folder)
        turn = _timed(folder, program, first, truth, shown, _FIRST)
        if program.kind == "keeps":
            on_top = _timed(folder, program, further, truth_of_both, shown, _FURTHER)
            if not shown.turns:
                # Who keeps knows the same file again: nothing counts twice.
                _compare(program, program.run(first, folder), truth_of_both, shown, _AGAIN)
            shown.further.append(on_top)
        shown.turns.append(turn)
    except (BenchError, OSError, ValueError) as error:
        shown.failed = " ".join(str(error).split())[:300]
    finally:
        shutil.rmtree(folder)


def _timed(
    folder: Path, program: Program, file: Path, truth: Truth, shown: Imported, when: str
) -> Import:
    busy_before_s, cpu_before_s, began_s = busy_seconds(), _cpu_s(), time.perf_counter()
    found = program.run(file, folder)
    elapsed_s, cpu_s = time.perf_counter() - began_s, _cpu_s() - cpu_before_s
    others_s = busy_seconds() - busy_before_s - cpu_s
    load = max(0.0, others_s / (elapsed_s * len(os.sched_getaffinity(0))))
    _compare(program, found, truth, shown, when)
    return Import(truth.records / elapsed_s, cpu_s / truth.records * 1e6, load)


def _compare(program: Program, found: Counts, truth: Truth, shown: Imported, when: str) -> None:
    if program.kind == "decodes" or shown.wrong or found == truth.counts:
        return
    for scope, kinds in truth.counts.items():
        for kind, expected in kinds.items():
            counted = found.get(scope, {}).get(kind, {})
            if counted != expected:
                whose = scope or "the workspace"
                shown.wrong = (
                    f"{kind} of {whose}: {sum(counted.values()):,} counted, there are"
                    f" {sum(expected.values()):,}, or they are of other days{when}"
                )
                return
    shown.wrong = f"something was counted that is not there{when}"


def _cpu_s() -> float:
    own, ended = (
        resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return own.ru_utime + own.ru_stime + ended.ru_utime + ended.ru_stime
