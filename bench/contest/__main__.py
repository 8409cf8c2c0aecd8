"""`python -m bench.contest`: runs the contest, shows its tables, and with --write keeps them."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from bench.contest import engines
from bench.contest.chart import draw
from bench.contest.contenders import ALL, Contender
from bench.contest.entrants import Entrant
from bench.contest.imports import PROGRAMS, Imported, Program, run_imports
from bench.contest.interrupts import catch_interrupts
from bench.contest.plan import FULL, QUICK, TINY, Plan
from bench.contest.progress import Progress
from bench.contest.rounds import Standing, run_rounds
from bench.contest.table import Outcome, document, show, summary, write_marked
from bench.contest.verdicts import loads
from bench.load import BenchError
from bench.machine import machine_notes, sync_seconds

__all__ = ["hold", "main"]

WORKERS = 2
_RESULTS = Path(__file__).parents[1] / "results"
_README = Path(__file__).parents[2] / "README.md"
_PIPE_COLUMNS = 200
# Of a contest's time: until when rounds of load begin, and rounds of imports.
_LOAD_SHARE, _SHARE = 0.7, 0.9


def hold(
    folder: Path, contenders: list[Contender], programs: list[Program], plan: Plan, said: Console
) -> Outcome:
    """Hold the contest.

    Args:
        folder: an empty folder, on the disk that is to be measured.
        contenders: who takes part, as far as they are installed.
        programs: the same of imports.
        plan: how long and how much.
        said: where what is running is told.
    """
    missing = {each.name: each.missing() for each in contenders}
    missing |= {each.name: each.missing() for each in programs}
    missing = {name: why for name, why in missing.items() if why}
    here = [each for each in contenders if each.name not in missing]
    importing = [each for each in programs if each.name not in missing]
    for name, why in missing.items():
        said.print(f"{name} does not take part: {why}", markup=False)
    notes = machine_notes(folder) | {"time of a sync": f"{sync_seconds(folder) * 1e3:.2f} ms"}
    if versions := engines.versions():
        notes["contenders"] = versions
    machine = (
        f"{notes['cores']} cores of {notes['processor']}, {notes['memory']}, {notes['file system']}"
    )
    average, began_s = os.getloadavg()[0], time.monotonic()
    with Progress(said, plan, len(here), len(importing)) as progress:
        standings = _load(folder, here, plan, progress, began_s)
        imported: dict[str, Imported] = {}
        if importing:
            imported = run_imports(
                folder, importing, plan, progress.step, began_s + plan.minutes * 60 * _SHARE
            )
    spread = loads(standings, imported)
    notes |= {
        "load": f"other programs took {spread.median:.0%} of the cores"
        f" ({spread.least:.0%} to {spread.greatest:.0%})",
        "load average": f"{average:.1f} before, {os.getloadavg()[0]:.1f} after",
        "form": f"{plan.name}, at most {plan.minutes} minutes: {_turns_held(standings)} turns of"
        f" {plan.turn_s:g} s of each shape, {_imports_held(imported)} imports of"
        f" {plan.records:,} records; {WORKERS} workers each",
        "length of the run": f"{time.monotonic() - began_s:.0f} s",
    }
    return Outcome(contenders, programs, standings, imported, missing, notes, machine)


def _turns_held(standings: dict[str, Standing]) -> int:
    return max(len(turns) for each in standings.values() for turns in each.turns.values())


def _imports_held(imported: dict[str, Imported]) -> int:
    return max((len(each.turns) for each in imported.values()), default=0)


def _load(
    folder: Path, contenders: list[Contender], plan: Plan, progress: Progress, began_s: float
) -> dict[str, Standing]:
    entrants: dict[str, Entrant] = {}
    failed: dict[str, Standing] = {}
    with ExitStack() as stack:
        for number, contender in enumerate(contenders):
            progress.step(f"{contender.name}: starting")
            own = folder / str(number)
            own.mkdir()
            own.chmod(0o711)  # PostgreSQL runs as a user of its own
            try:
                entrants[contender.name] = stack.enter_context(contender.start(own, WORKERS))
            except (BenchError, OSError) as error:
                failed[contender.name] = Standing(failed=" ".join(str(error).split())[:300])
        until_s = began_s + plan.minutes * 60 * _LOAD_SHARE
        return run_rounds(entrants, plan, progress.step, until_s) | failed


def main() -> int:
    """Run it from the command line.

    Returns:
        The exit status: 1 when Headcount's own counts were not exact, 130 after Ctrl-C.
    """
    parser = argparse.ArgumentParser(prog="python -m bench.contest", description=__doc__)
    forms = {"full": FULL, "quick": QUICK, "tiny": TINY}
    parser.add_argument("--form", choices=forms, default="full", help="15, 3 or less minutes")
    parser.add_argument(
        "--folder", type=Path, help="where data lies meanwhile; else a temporary one"
    )
    parser.add_argument("--only", default="", help="of others, those whose name contains this")
    parser.add_argument("--write", action="store_true", help="keep table and chart, dated")
    parser.add_argument("--readme", action="store_true", help="and put them into the README")
    parser.add_argument("--machine", help="what to call this machine there")
    options = parser.parse_args()
    # Whoever ends it by a signal has everything ended that it started, as with Ctrl-C.
    catch_interrupts()
    contenders = [each for each in ALL if each is ALL[0] or options.only in each.name]
    programs = [each for each in PROGRAMS if each is PROGRAMS[0] or options.only in each.name]
    said = Console(stderr=True)
    try:
        with tempfile.TemporaryDirectory(prefix="headcount-contest-", dir=options.folder) as name:
            Path(name).chmod(0o711)
            outcome = hold(Path(name), contenders, programs, forms[options.form], said)
    except KeyboardInterrupt:
        said.print("The contest was ended; so is everything that it started.")
        return 130
    except BenchError as error:
        said.print(f"The contest failed: {error}", style="red", markup=False)
        return 1
    if options.machine:
        outcome = replace(outcome, machine=options.machine)
    show(outcome, Console(width=None if sys.stdout.isatty() else _PIPE_COLUMNS))
    if options.write or options.readme:
        _keep(outcome, said, readme=options.readme)
    ours = [*(s.wrong or s.failed for n, s in outcome.standings.items() if n == ALL[0].name)]
    ours += [i.wrong or i.failed for n, i in outcome.imported.items() if n == PROGRAMS[0].name]
    return 1 if any(ours) else 0


def _keep(outcome: Outcome, said: Console, *, readme: bool) -> None:
    moment = datetime.now(UTC)
    name = f"{moment:%Y-%m-%dT%H%M}Z-contest"
    (_RESULTS / f"{name}.svg").write_text(draw(outcome), "utf-8")
    (_RESULTS / f"{name}.md").write_text(document(outcome, moment, f"{name}.svg"), "utf-8")
    said.print(f"written to bench/results/{name}.md and .svg")
    if readme:
        text = summary(outcome, moment, f"bench/results/{name}")
        done = write_marked(_README, text)
        said.print("and into README.md" if done else "README.md has no marks for it")


if __name__ == "__main__":
    sys.exit(main())
