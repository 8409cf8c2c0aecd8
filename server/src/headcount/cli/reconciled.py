"""What a reconciliation found, for people, programs and spreadsheets: takes differences, prints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from headcount.charts import BothTotals, difference_charts
from headcount.cli.reading.drawing import in_one_picture
from headcount.cli.reading.showing import month_words
from headcount.cli.reading.target import STDOUT, whole_target
from headcount.counting.calendar import Period, day_text
from headcount.errors import OperatorError
from headcount.reconciling.aligning import Pair
from headcount.reconciling.causes import Known, causes_of
from headcount.reconciling.counts import CountedMonth
from headcount.reconciling.differing import Difference, share_of
from headcount.spreadsheets import csv_line
from headcount.terminal import print_json, print_table, say
from headcount.wording import number_of

__all__ = ["IdsOfSource", "Reconciled", "draw_reconciled", "print_reconciled"]

_STATES = {
    "matched": "equal",
    "differs": "differs",
    "unknown": "cannot be compared",
    "theirs-only": "theirs only",
    "ours-only": "ours only",
}
_CSV = (
    "name", "theirs_id", "ours_id", "metric", "day", "ours", "theirs", "difference", "percent",
    "added", "state", "within",
)  # fmt: skip
_BY = {"usage": "by usage", "name": "by name"}


@dataclass(frozen=True, slots=True)
class IdsOfSource:
    """Ids of one kind in one source, as an archive and the data folder have them.

    Attributes:
        name: the source's.
        kind: of the ids.
        both: how many both have.
        other_day: how many of these were first seen on different days.
        theirs_only, ours_only: how many one side has alone, by the day on which it has them first.
    """

    name: str
    kind: str
    both: int
    other_day: int
    theirs_only: Mapping[int, int]
    ours_only: Mapping[int, int]


@dataclass(slots=True)
class Reconciled:
    """What was found.

    Attributes:
        period: the month.
        last_day: up to which sides were compared, from 0.
        tolerance: the share of ours that a difference may be.
        where: the other side, in words.
        pairs: which sources are the same.
        differences: all of them.
        known: what is known of our side, by source; of the workspace under the empty id.
        ours, theirs: both sides.
        ids: of an archive.
        notes: what else is to be said.
        is_whole: whether all of the other side could be read.
        by_our_rules: whether theirs are messages that were counted here.
    """

    period: Period
    last_day: int
    tolerance: Fraction
    where: str
    pairs: Sequence[Pair]
    differences: Sequence[Difference]
    known: Mapping[str, Known]
    ours: CountedMonth
    theirs: CountedMonth
    ids: Sequence[IdsOfSource] = ()
    notes: list[str] = field(default_factory=list)
    is_whole: bool = True
    by_our_rules: bool = False

    @property
    def within(self) -> bool:
        """Whether all differences are known, and within the tolerance."""
        return self.is_whole and all(each.within for each in self.differences)

    @property
    def unknown(self) -> int:
        """How many counts cannot be compared."""
        return sum(each.state == "unknown" for each in self.differences)

    def causes(self, difference: Difference) -> list[str]:
        """What may have caused a difference."""
        known = self.known.get(difference.ours_id or "", Known())
        return causes_of(difference, known, by_our_rules=self.by_our_rules)


def print_reconciled(found: Reconciled, file_format: str) -> None:
    """Print all of it.

    Args:
        found: it.
        file_format: `"table"`, `"csv"` or `"json"`.
    """
    if file_format == "json":
        print_json(_as_data(found))
    elif file_format == "csv":
        with whole_target(STDOUT, binary=False) as stream:
            stream.write(csv_line(_CSV) + b"".join(map(csv_line, _csv_rows(found))))
    else:
        _print_tables(found)
    _say_rest(found)


def _print_tables(found: Reconciled) -> None:
    first, last = (day_text(found.period.first_day + day) for day in (0, found.last_day))
    say(
        f"{month_words(found.period)}, UTC: ours against {found.where}, {first} to {last};"
        f" {_percent(100 * float(found.tolerance))} of ours may differ."
    )
    print_table(
        ("of", "count", "ours#", "theirs#", "difference#", "of ours#", "state", "tolerance"),
        [
            (
                each.name,
                each.metric.label,
                _count(each.ours),
                _count(each.theirs),
                _signed(_difference(each)),
                _percent(_share(each), sign=True),
                _STATES[each.state],
                "within" if each.within else "OUTSIDE",
            )
            for each in found.differences
        ],
    )
    for each in found.differences:
        if each.ours_id == "" and any(day.difference for day in each.days):
            say("", f"{each.metric.label} of the workspace, day by day:")
            print_table(
                ("day", "ours#", "theirs#", "difference#", "of ours#", "that day#"),
                [
                    (
                        day_text(found.period.first_day + day.day),
                        _count(day.ours),
                        _count(day.theirs),
                        _signed(day.difference),
                        _percent(share_of(day.difference, day.ours), sign=True),
                        _signed(day.added),
                    )
                    for day in each.days
                ],
            )
    if found.ids:
        say("", "Ids, by the source:")
        print_table(
            ("source", "id", "both#", "theirs only#", "ours only#", "other day#", "days"),
            [
                (
                    each.name,
                    each.kind,
                    _count(each.both),
                    _count(sum(each.theirs_only.values())),
                    _count(sum(each.ours_only.values())),
                    _count(each.other_day),
                    _days_text(each),
                )
                for each in found.ids
            ],
        )


def _days_text(ids: IdsOfSource) -> str:
    days = sorted({*ids.theirs_only, *ids.ours_only})
    shown = ", ".join(str(day + 1) for day in days[:8])
    return f"{shown} and {len(days) - 8} more" if len(days) > 8 else shown


def _say_rest(found: Reconciled) -> None:
    guessed = [pair for pair in found.pairs if pair.why in _BY]
    for pair in guessed:
        theirs, ours = found.theirs.sources[pair.theirs], found.ours.sources[pair.ours]
        say(
            f'Taken for the same ({_BY[pair.why]}, {pair.alike:.0%} alike): theirs "{theirs.name}"'
            f' and ours "{ours.name}". --sources FILE keeps that, for you to change.'
        )
    for each in found.differences:
        for cause in found.causes(each):
            of = "the workspace" if each.ours_id == "" else each.name
            say(f"{each.metric.label} of {of}: {cause}")
    for note in found.notes:
        say(note)
    unknown = found.unknown
    outside = sum(not each.within for each in found.differences) - unknown
    if unknown:
        say(f"{number_of(unknown, 'count')} cannot be compared: the status is 3.")
    if outside:
        say(f"{number_of(outside, 'count', 'is', 'are')} outside the tolerance: the status is 3.")
    elif not found.is_whole:
        say(f"Not all of {found.where} could be read, so more may differ: the status is 3.")
    elif not unknown:
        say("All is within the tolerance.")


def draw_reconciled(found: Reconciled, file: str, file_format: str, *, dark: bool) -> None:
    """Draw both counts of the workspace, or of the source that differs most where there are none.

    Raises:
        OperatorError: there is no day to draw, or drawing failed.
    """
    shown = [each for each in found.differences if each.ours_id == "" and each.days]
    shown = shown or [each for each in found.differences if each.days][:1]
    if not shown:
        raise OperatorError("There is nothing to draw: no day is known to both sides.", "")
    title = f"ours and theirs, {month_words(found.period)}"
    if found.unknown:
        title += f"; {number_of(found.unknown, 'count')} cannot be compared"
    charts = [
        chart
        for each in shown
        for chart in difference_charts(
            _both_totals(found, each),
            unit=each.metric.label,
            days=found.period.length,
            title=f"{each.metric.label}, {title}",
        )
    ]
    with whole_target(file, binary=True) as stream:
        stream.write(in_one_picture(charts, file_format, dark=dark))
    say(f"Both counts are drawn in {file}.")


def _both_totals(found: Reconciled, of: Difference) -> list[BothTotals]:
    """What either side knows up to the last day: theirs may have the month alone."""
    ours, theirs = (
        (side.sources[source].days if source else side.workspace)[of.metric.name]
        for side, source in ((found.ours, of.ours_id), (found.theirs, of.theirs_id))
    )
    pairs = list(zip(ours, theirs, strict=True))[: found.last_day + 1]
    return [
        BothTotals(day, *pair)
        for day, pair in enumerate(pairs, 1)
        if any(each is not None for each in pair)
    ]


def _csv_rows(found: Reconciled) -> Iterator[Sequence[object]]:
    for each in found.differences:
        fixed = each.name, each.theirs_id, each.ours_id, each.metric.name
        last = _state_cells(each)
        if not each.days:
            counts = each.ours, each.theirs, _difference(each)
            yield (*fixed, None, *counts, _plain(_share(each)), None, *last)
        for day in each.days:
            share = share_of(day.difference, day.ours)
            text = day_text(found.period.first_day + day.day)
            yield (
                *fixed,
                text,
                day.ours,
                day.theirs,
                day.difference,
                _plain(share),
                day.added,
                *last,
            )


def _state_cells(difference: Difference) -> tuple[str, str]:
    return difference.state, "true" if difference.within else "false"


def _as_data(found: Reconciled) -> dict[str, Any]:
    return {
        "period": str(found.period),
        "lastDay": day_text(found.period.first_day + found.last_day),
        "tolerancePercent": float(100 * found.tolerance),
        "theirs": found.where,
        "within": found.within,
        "sources": [pair._asdict() for pair in found.pairs],
        "differences": [
            {
                "name": each.name,
                "theirsId": each.theirs_id,
                "oursId": each.ours_id,
                "metric": each.metric.wire,
                "ours": each.ours,
                "theirs": each.theirs,
                "difference": _difference(each),
                "percent": _share(each),
                "state": each.state,
                "within": each.within,
                "causes": found.causes(each),
                "days": [
                    {
                        "day": day_text(found.period.first_day + day.day),
                        "ours": day.ours,
                        "theirs": day.theirs,
                        "difference": day.difference,
                        "added": day.added,
                    }
                    for day in each.days
                ],
            }
            for each in found.differences
        ],
        "ids": [
            {
                "name": each.name,
                "kind": each.kind,
                "both": each.both,
                "otherDay": each.other_day,
                "theirsOnly": _by_day(found.period, each.theirs_only),
                "oursOnly": _by_day(found.period, each.ours_only),
            }
            for each in found.ids
        ],
        "notes": found.notes,
    }


def _by_day(period: Period, counts: Mapping[int, int]) -> dict[str, int]:
    return {day_text(period.first_day + day): count for day, count in sorted(counts.items())}


def _count(count: int | None) -> str:
    return "" if count is None else f"{count:,}"


def _difference(of: Difference) -> int | None:
    return None if of.state == "unknown" else of.difference


def _share(of: Difference) -> float | None:
    return None if of.state == "unknown" else share_of(of.difference, of.ours)


def _signed(count: int | None) -> str:
    if count is None:
        return ""
    return f"{count:+,}" if count else "0"


def _percent(share: float | None, *, sign: bool = False) -> str:
    if share is None:
        return ""
    return f"{share:+.2f} %" if sign and share else f"{share:.2f} %"


def _plain(share: float | None) -> float | None:
    return None if share is None else round(share, 4)
