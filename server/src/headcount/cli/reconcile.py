"""`headcount reconcile`: holds our count of a month against the vendor's, or against an archive."""

from __future__ import annotations

import os
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from headcount.cli.options import settings_options, workspace_option
from headcount.cli.reading.api_connection import connected, connected_to, token_in
from headcount.cli.reading.own import get_own, source_names
from headcount.cli.reading.usage_rows import Query, month_rows, period_named
from headcount.clock import now_ms
from headcount.config import THEIRS_TOKEN_ENV
from headcount.counting.metrics import BY_NAME
from headcount.counting.months import current_period
from headcount.errors import OperatorError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from headcount.cli.reading.api_connection import ApiConnection
    from headcount.cli.reconciled import Reconciled
    from headcount.config import Settings
    from headcount.counting.calendar import Period
    from headcount.reconciling.causes import Known
    from headcount.reconciling.counts import CountedMonth

__all__ = ["reconcile"]

_OUTSIDE = 3


@click.command(
    epilog="""\b
Examples:
  headcount reconcile --theirs us --theirs-token-file segment-token --period 2026-10
  headcount reconcile --theirs invoice.csv --period 2026-10 --tolerance 0.5
  headcount reconcile --theirs us --sources sources.toml --plot october.png
  headcount reconcile --archive s3://bucket/segment-logs/ --workspace Shop --ids ids.csv

Status 0 says that all is within the tolerance, 3 that something is not."""
)
@click.option("--period", metavar="MONTH", help="Month such as 2026-10. Default: the current one.")
@click.option(
    "--theirs",
    metavar="WHERE",
    help="The other count: us or eu for Segment's, the address of a server that answers its usage"
    " API, or a CSV file of an invoice or of an export.",
)
@click.option(
    "--theirs-token-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File with the API token for it. The token itself may also be the variable"
    f" {THEIRS_TOKEN_ENV}.",
)
@click.option(
    "--new", "are_new", is_flag=True, help="A day in the CSV has what was new on it alone."
)
@click.option(
    "--archive",
    "archives",
    metavar="FILE",
    multiple=True,
    help="Messages as they were sent, as `headcount import` reads them: they are counted and held"
    " against the data folder, down to ids. May be given several times.",
)
@workspace_option(required=False)
@click.option("--source", metavar="S", help="With --archive: source of all its messages.")
@click.option(
    "--map",
    "map_",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="With --archive: which column or member is what, as for `headcount import`.",
)
@click.option(
    "--sources",
    "sources_file",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="TOML file that says which source of theirs is which of ours; made with what is proposed"
    " where there is none.",
)
@click.option(
    "--tolerance",
    metavar="PERCENT",
    type=click.FloatRange(0, 100),
    default=1.0,
    show_default=True,
    help="By how much theirs may differ, of ours.",
)
@click.option(
    "--format",
    "file_format",
    type=click.Choice(["table", "csv", "json"]),
    default="table",
    show_default=True,
    help="How to print differences.",
)
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option(
    "--plot", metavar="FILE", help="Also draw both counts into a .png, .svg or .pdf file."
)
@click.option("--dark", is_flag=True, help="With --plot: for a dark surround.")
@click.option(
    "--ids",
    "ids_file",
    metavar="FILE",
    help="With --archive: write the ids that one side has alone into this CSV file.",
)
@settings_options("host", "token_file", "data", "hash_key", "memory")
def reconcile(
    settings: Settings,
    period: str | None,
    theirs: str | None,
    theirs_token_file: Path | None,
    are_new: bool,
    archives: tuple[str, ...],
    workspace: str | None,
    source: str | None,
    map_: Path | None,
    sources_file: Path | None,
    tolerance: float,
    file_format: str,
    as_json: bool,
    plot: str | None,
    dark: bool,
    ids_file: str | None,
) -> int:
    """Hold our count of a month against theirs, and say where it differs, and what may be why.

    Ours is read over HTTP with an API token, as by `headcount usage`. Sources are matched by id, by
    name, and by how much alike their days are; --sources says it, or keeps what was proposed for
    you to change. Of the month that runs, the days that are over are compared.

    An archive is counted by our own rules in a temporary folder, and compared with the data folder
    on this machine: which ids are on both sides, and which on one alone. Ids are kept as hashes
    here, so those that are ours alone stay hashes.
    """
    from headcount.cli.reading.drawing import check_plot
    from headcount.cli.reconciled import print_reconciled

    month = current_period(now_ms()) if period is None else period_named(period, "--period")
    if bool(archives) == (theirs is not None):
        raise UsageError(
            "Ours is held against one other count.", "Give either --theirs or --archive."
        )
    if ids_file is not None and not archives:
        raise UsageError("--ids goes with --archive: only messages have ids.", "Leave --ids out.")
    drawn_as = None if plot is None else check_plot(plot)
    exact = Fraction(str(tolerance)) / 100
    if theirs is not None:
        with connected(settings) as connection:
            found = _against_theirs(
                connection, month, theirs, theirs_token_file, are_new, sources_file, exact
            )
    else:
        from headcount.cli.reconciling_archive import against_archive

        found = against_archive(settings, month, archives, workspace, source, map_, exact, ids_file)
    print_reconciled(found, "json" if as_json else file_format)
    if plot is not None and drawn_as is not None:
        from headcount.cli.reconciled import draw_reconciled

        draw_reconciled(found, plot, drawn_as, dark=dark)
    return 0 if found.within else _OUTSIDE


def _against_theirs(
    connection: ApiConnection,
    month: Period,
    where: str,
    token_file: Path | None,
    are_new: bool,
    sources_file: Path | None,
    tolerance: Fraction,
) -> Reconciled:
    from headcount.cli.reconciled import Reconciled
    from headcount.reconciling.aligning import aligned, read_mapping, unheeded, write_mapping
    from headcount.reconciling.differing import differences

    ours = _read_side(connection, month)
    theirs = _their_side(month, where, token_file, are_new)
    said: dict[str, str] = {}
    if sources_file is not None and sources_file.exists():
        said = read_mapping(sources_file)
    pairs = aligned(ours, theirs, said)
    if sources_file is not None and not sources_file.exists():
        write_mapping(sources_file, pairs, ours, theirs)
    last_day = min(ours.last_known, theirs.last_known)
    if month == current_period(now_ms()):
        # Today goes on, and they may be behind.
        last_day = min(last_day, _today_of(month) - 1)
    if last_day < 0:
        raise UsageError(
            f"There is no day of {str(month)[:7]} that both sides have counted whole.",
            "Name another month with --period.",
        )
    found = differences(ours, theirs, pairs, last_day, tolerance)
    if all(each.state == "unknown" for each in found):
        raise UsageError(
            f"Nothing of {str(month)[:7]} can be compared: up to day {last_day + 1} no count is"
            " known to both sides.",
            "Name a month that is over with --period, or give theirs by day.",
        )
    known = _known(connection, month)
    result = Reconciled(month, last_day, tolerance, where, pairs, found, known, ours, theirs)
    result.notes += theirs.notes
    result.notes += unheeded(said, pairs, ours, theirs)
    return result


def _today_of(month: Period) -> int:
    from headcount.counting.calendar import day_of_ms

    return day_of_ms(now_ms()) - month.first_day


def _read_side(connection: ApiConnection, month: Period) -> CountedMonth:
    from headcount.reconciling.counts import CountedMonth

    names = source_names(connection)
    workspace = month_rows(connection, Query("workspace", None), month, {})
    by_source = month_rows(connection, Query("source", None), month, names)
    for row in (*workspace, *by_source):
        if f"{row['day']:%Y-%m}" != str(month)[:7]:
            raise OperatorError(
                f"{connection.host} ({connection.how}) told of {row['day']} where it was asked for"
                f" {str(month)[:7]}; nothing was compared.",
                "Ask whoever runs it: it does not answer as a usage API does.",
            )
    return CountedMonth.of_rows(month, workspace, by_source)


def _their_side(month: Period, where: str, token_file: Path | None, are_new: bool) -> CountedMonth:
    from headcount.reconciling.statement import read_statement

    if where not in ("us", "eu") and "://" not in where:
        return read_statement(Path(where), month, are_new=are_new)
    with _their_connection(where, token_file) as connection:
        return _read_side(connection, month)


@contextmanager
def _their_connection(where: str, token_file: Path | None) -> Iterator[ApiConnection]:
    if token_file is not None:
        token = token_in(token_file, "--theirs-token-file")
    elif not (token := os.environ.get(THEIRS_TOKEN_ENV, "").strip()):
        raise UsageError(
            "There is no API token to read theirs with.",
            f"Name the file that holds it with --theirs-token-file, or set {THEIRS_TOKEN_ENV}.",
        )
    with connected_to(where, "as --theirs names it", token, is_theirs=True) as connection:
        yield connection


def _known(connection: ApiConnection, month: Period) -> dict[str, Known]:
    """What became of messages here, by source; of the workspace under the empty id."""
    from headcount.reconciling.causes import Known

    told = get_own(connection, "outcomes", period=str(month))
    if told is None:
        return {}
    summary = get_own(connection, "summary", period=str(month)) or {"sources": []}
    users = BY_NAME["mtu"]
    # Anonymous ids that are left out of tracked users, since their users became known.
    known = next(left_out.wire for part in users.plus for left_out in part.minus)
    later = {each["sourceId"]: each["totals"][known] for each in summary["sources"]}
    found: dict[str, Any] = {
        each["sourceId"]: Known.of_outcomes(
            each["outcomes"], known_later=later.get(each["sourceId"], 0)
        )
        for each in told["sources"]
    }
    found[""] = Known.of_outcomes(
        told["totals"],
        known_later=summary["month"]["totals"][known] if "month" in summary else 0,
        summed_mtu=sum(each["totals"][users.wire] for each in summary["sources"]),
    )
    return found
