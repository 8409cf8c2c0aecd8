"""The contest as a document: takes what was measured, gives tables for screens and Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from bench.contest.contenders import HEADCOUNT, Contender
from bench.contest.imports import HEADCOUNT_IMPORT, Import, Imported, Program
from bench.contest.plan import SIZES
from bench.contest.rounds import Standing
from bench.contest.verdicts import Spread, counts_of, imports_ahead, ratios, standings_ahead

__all__ = ["Outcome", "Section", "ahead", "document", "sections", "show", "summary", "write_marked"]

_WIDE_COLUMNS = 170
_BEGIN, _END = "<!-- contest: begin -->", "<!-- contest: end -->"
_APART = (
    "A first archive of a month goes into nothing; a further one of its last days, a tenth as long,"
    " on top of it: one in ten of its messages is in the first as well. Everybody gives what was"
    " new on each day, of each of five sources and of the workspace: API calls, identified,"
    " anonymous and anonymous identified ids. DuckDB, Polars and ClickHouse keep ids as they are,"
    " and take every record for a right one. Headcount keeps keyed hashes, checks each record, and"
    " says of each that it refuses why; what it keeps goes on from messages that were posted, and"
    " the month before and after is asked for copies as well."
)
_RULES = (
    "Everybody takes the same messages from the same generator, and counts by the same rules: API"
    " calls by day, each message id once a source; identified, anonymous and anonymous identified"
    " ids a month, of each source and of the workspace. Before its first turn everybody is examined"
    " with messages that have every twist of these rules, sent twice, at once and to two sources;"
    " after each turn its counts are held against what was sent. One request in fifty of the load"
    " is sent a second time. Turns are interleaved; figures are medians, with the least and the"
    " greatest in brackets. Generator, contender and its database share the cores. Processor time"
    " is that of all of a contender's processes, its database's included, until it is quiet again."
    " Where others use the machine, it is the figure to compare: rates then fall the more, the more"
    " often a contender waits for a process to have its turn."
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a contest came to.

    Attributes:
        contenders, programs: who was to take part.
        standings: of those that were sent load, by name.
        imported: of those that imported.
        missing: who could not take part, with what is missing.
        notes: the machine, its load, and how much was measured.
        machine: the machine in a few words.
    """

    contenders: Sequence[Contender]
    programs: Sequence[Program]
    standings: Mapping[str, Standing]
    imported: Mapping[str, Imported]
    missing: Mapping[str, str]
    notes: Mapping[str, str]
    machine: str


@dataclass(frozen=True, slots=True)
class Section:
    """A table.

    Attributes:
        title: what stands above it.
        columns, rows: the table.
        narrow: the columns that a narrow screen has room for.
        below: what stands below it.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    narrow: Sequence[int] = ()
    below: str = ""


def sections(outcome: Outcome) -> list[Section]:
    """All tables."""
    made = [_shape(outcome, size, shape) for size, shape in SIZES.items()]
    made.append(_kept(outcome))
    if outcome.imported:
        made.append(_imports(outcome))
    return made


def _shape(outcome: Outcome, size: int, shape: str) -> Section:
    columns = (
        "contender", "counted, messages/s", "acknowledged, messages/s", "CPU a message, µs",
        "99 % answered within", "Headcount beside it", "load by others", "durable on acknowledge",
        "counts",
    )  # fmt: skip
    rows = []
    ours = outcome.standings[HEADCOUNT].turns[size]
    for contender in outcome.contenders:
        standing = outcome.standings.get(contender.name)
        if standing is None:
            rows.append([contender.name, *_absent(outcome, contender.name, len(columns))])
            continue
        turns = standing.turns[size]
        verdict = counts_of(standing.wrong, standing.failed)
        if not turns:
            rows.append([contender.name, *[""] * (len(columns) - 2), verdict])
            continue
        beside = ""
        if contender.name != HEADCOUNT and ours:
            rate = ratios([t.counted for t in ours], [t.counted for t in turns])
            cpu = ratios([t.cpu_us for t in ours], [t.cpu_us for t in turns])
            beside = f"{rate:.2f} times the rate, {cpu:.2f} of the CPU"
        rows.append(
            [
                contender.name,
                Spread.of(t.counted for t in turns).told(",.0f"),
                Spread.of(t.acknowledged for t in turns).told(",.0f"),
                Spread.of(t.cpu_us for t in turns).told(".1f"),
                f"{statistics.median(t.latency_s[1] for t in turns) * 1e3:.0f} ms",
                beside,
                f"{statistics.median(t.load for t in turns):.0%}",
                contender.durable,
                verdict,
            ]
        )
    return Section(f"Taking messages: {shape}", columns, rows, (0, 1, 3, 5, 7, 8))


def _absent(outcome: Outcome, name: str, columns: int) -> list[str]:
    why = outcome.missing.get(name, "did not take part")
    return [f"not installed: {why}" if name in outcome.missing else why, *[""] * (columns - 2)]


def _kept(outcome: Outcome) -> Section:
    rows = []
    for contender in outcome.contenders:
        standing = outcome.standings.get(contender.name)
        if standing is None or not standing.reading_s:
            continue
        rows.append(
            [
                contender.name,
                Spread.of(each * 1e3 for each in standing.reading_s).told(".1f"),
                f"{standing.messages:,}",
                f"{standing.memory_bytes / 2**20:,.0f} MiB",
                f"{standing.disk_bytes / 2**20:,.0f} MiB",
                contender.apart,
            ]
        )
    columns = (
        "contender", "a month's daily series, ms", "after so many messages", "memory", "disk",
        "differs by its design",
    )  # fmt: skip
    return Section("Reading, and what is kept", columns, rows, (0, 1, 2, 3, 4))


def _imports(outcome: Outcome) -> Section:
    columns = (
        "program", "records/s", "CPU a record, µs", "Headcount beside it",
        "a further archive, records/s", "its CPU a record, µs", "Headcount beside that",
        "load by others", "keeps its result, each message id once", "counts",
    )  # fmt: skip
    rows = []
    ours = outcome.imported[HEADCOUNT_IMPORT]
    kept = {
        "keeps": "yes", "forgets": "**no**: the next file counts anew",
        "decodes": "**no**: decodes, and counts nothing",
    }  # fmt: skip
    for program in outcome.programs:
        imported = outcome.imported.get(program.name)
        if imported is None:
            rows.append([program.name, *_absent(outcome, program.name, len(columns))])
            continue
        turns = imported.turns
        verdict = counts_of(imported.wrong, imported.failed)
        if not turns:
            rows.append([program.name, *[""] * (len(columns) - 2), verdict])
            continue
        is_ours = program.name == HEADCOUNT_IMPORT
        rows.append(
            [
                program.name,
                *_of_turns(turns, [] if is_ours else ours.turns),
                *_of_turns(imported.further, [] if is_ours else ours.further),
                f"{statistics.median(t.load for t in turns):.0%}",
                kept[program.kind],
                verdict if program.kind != "decodes" else "none",
            ]
        )
    return Section("Importing archives", columns, rows, (0, 1, 2, 4, 5, 8, 9), _APART)


def _of_turns(turns: Sequence[Import], ours: Sequence[Import]) -> list[str]:
    """Rate, processor time, and Headcount's beside them; empty where there were none."""
    if not turns:
        return ["", "", ""]
    beside = ""
    if ours:
        rate = ratios([t.rate for t in ours], [t.rate for t in turns])
        cpu = ratios([t.cpu_us for t in ours], [t.cpu_us for t in turns])
        beside = f"{rate:.2f} times the rate, {cpu:.2f} of the CPU"
    return [
        Spread.of(t.rate for t in turns).told(",.0f"),
        Spread.of(t.cpu_us for t in turns).told(".2f"),
        beside,
    ]


def ahead(outcome: Outcome) -> list[str]:
    """Where somebody else is ahead of Headcount, in sentences."""
    keeping = {each.name for each in outcome.programs if each.kind == "keeps"}
    found = [*standings_ahead(outcome.standings), *imports_ahead(outcome.imported, keeping)]
    return found or ["Nobody whose counts are right is ahead of Headcount in any figure here."]


def show(outcome: Outcome, console: Console) -> None:
    """Print all of it."""
    for name, value in outcome.notes.items():
        console.print(f"{name}: {value}", markup=False, highlight=False)
    for section in sections(outcome):
        console.print(f"\n{section.title}", style="bold")
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        wide = console.width >= _WIDE_COLUMNS
        shown = range(len(section.columns)) if wide else section.narrow
        for number in shown:
            table.add_column(section.columns[number], min_width=12 if number == 0 else None)
        for row in section.rows:
            table.add_row(*(row[number].replace("**", "") for number in shown))
        console.print(table)
        if section.below:
            console.print(section.below, markup=False, highlight=False)
    console.print("\nWhere others are ahead:", style="bold")
    for sentence in ahead(outcome):
        console.print(f"- {sentence}", markup=False, highlight=False)


def document(outcome: Outcome, moment: datetime, picture: str) -> str:
    """The results as a file.

    Args:
        outcome: what there is to tell.
        moment: when it ended.
        picture: name of the chart's file, beside this one.
    """
    lines = [f"# Contest of {moment:%Y-%m-%d %H:%M} UTC", ""]
    lines += [f"- {name}: {value}" for name, value in outcome.notes.items()]
    lines += ["", _RULES, "", f"![Messages and records a second]({picture})"]
    for section in sections(outcome):
        lines += ["", f"## {section.title}", "", *_table(section)]
        lines += ["", section.below] if section.below else []
    lines += ["", "## Where others are ahead", "", *(f"- {each}" for each in ahead(outcome))]
    return "\n".join(lines) + "\n"


def _table(section: Section) -> list[str]:
    return [
        f"| {' | '.join(section.columns)} |",
        f"|{'---|' * len(section.columns)}",
        *(f"| {' | '.join(row)} |" for row in section.rows),
    ]


def summary(outcome: Outcome, moment: datetime, results: str) -> str:
    """The contest in a few lines, for a page that is about something else.

    Args:
        outcome: what there is to tell.
        moment: when it ended.
        results: the folder of the results with the name of this one's files, without their ends.
    """
    rows = []
    for contender in outcome.contenders:
        standing = outcome.standings.get(contender.name)
        cells = []
        for size in SIZES:
            turns = standing.turns[size] if standing else []
            cells.append(f"{statistics.median(t.counted for t in turns):,.0f}" if turns else "")
            cells.append(f"{statistics.median(t.cpu_us for t in turns):.1f} µs" if turns else "")
        said = counts_of(standing.wrong, standing.failed) if standing else "not installed"
        rows.append([contender.name, *cells, contender.durable, said])
    columns = (
        "", "batches, messages/s", "CPU", "single posts, messages/s", "CPU",
        "durable on acknowledge", "counts",
    )  # fmt: skip
    lines = [
        f"`make contest` on {outcome.machine}, {moment:%Y-%m-%d}; {outcome.notes['load']}:",
        "",
        *_table(Section("", columns, rows)),
        "",
        *_imports_in_short(outcome),
        f"![Messages and records a second]({results}.svg)",
        "",
        f"Where others are ahead ([the whole table]({results}.md)): {' '.join(ahead(outcome))}",
    ]
    return "\n".join(lines)


def _imports_in_short(outcome: Outcome) -> list[str]:
    keeping = [each.name for each in outcome.programs if each.kind == "keeps"]
    rates = [
        f"{name} {statistics.median(turn.rate for turn in imported.turns):,.0f}"
        for name, imported in outcome.imported.items()
        if name in keeping and imported.turns and not imported.wrong
    ]
    said = "Importing a file, each message id once and the result kept, records a second: "
    return [f"{said}{'; '.join(rates)}.", ""] if rates else []


def write_marked(page: Path, text: str) -> bool:
    """Put text between the marks of a page; whether it has any."""
    before, begin, rest = page.read_text("utf-8").partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not (begin and end):
        return False
    page.write_text(f"{before}{begin}\n{text}\n{end}{after}", "utf-8")
    return True
