"""`headcount explain`: why a count moved, by where its ids came from, and likely causes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from headcount.cli.options import as_json_option
from headcount.cli.reading.api_connection import connected, reading_options
from headcount.cli.reading.own import require_own, source_names
from headcount.cli.reading.usage_rows import period_named
from headcount.counting.metrics import HEADLINES
from headcount.errors import UsageError
from headcount.terminal import print_json, print_table, say
from headcount.wording import number_of

if TYPE_CHECKING:
    from headcount.cli.reading.api_connection import ApiConnection
    from headcount.config import Settings

__all__ = ["explain"]


@click.command(
    epilog="""\b
Examples:
  headcount explain --token-file token
  headcount explain --period 2026-11 --against 2026-10 --by source,library,version
  headcount explain --rank surprise --json"""
)
@click.option("--period", metavar="MONTH", help="Month such as 2026-11. Default: the current one.")
@click.option("--against", metavar="MONTH", help="Month beside it. Default: the one before.")
@click.option("--metric", metavar="NAME", help="mtu or api-calls. Default: mtu.")
@click.option("--source", metavar="S", help="Explain this source's own count, by id or name.")
@click.option(
    "--by",
    metavar="LIST",
    help="What to tell apart: some of source,library,version,type,event,bot. Default: all.",
)
@click.option(
    "--rank", type=click.Choice(["share", "surprise"]), help="What comes first. Default: share."
)
@click.option("--limit", type=click.IntRange(1, 1000), help="How many contributions. Default: 20.")
@reading_options
@as_json_option
def explain(
    settings: Settings,
    period: str | None,
    against: str | None,
    metric: str | None,
    source: str | None,
    by: str | None,
    rank: str | None,
    limit: int | None,
    as_json: bool,
) -> None:
    """Show why a count moved: contributions that add up to the change, and likely causes.

    Each id is attributed once, to the message that first put it in its set: to its source, library
    and version, type, event, and whether it came from a known bot. Of a month that runs, and the
    other, the same days are compared. Reads Headcount over HTTP with an API token.
    """
    months = {
        "period": period and str(period_named(period, "--period")),
        "against": against and str(period_named(against, "--against")),
    }
    with connected(settings) as connection:
        asked = months | {
            "metric": metric,
            "sourceId": source and _source_id(connection, source),
            "by": by,
            "rank": rank,
            "limit": str(limit or 20),
        }
        query = {name: value for name, value in asked.items() if value}
        told = require_own(connection, "explain", **query)
        if told is None:
            raise UsageError(
                f"{connection.host} is Segment's, which explains nothing.",
                "Name a Headcount server with --host.",
            )
    if as_json:
        print_json(told)
        return
    _print(told)


def _number(number: float) -> str:
    return f"{number:,.0f}" if number == int(number) else f"{number:.3g}"


def _source_id(connection: ApiConnection, id_or_name: str) -> str:
    names = source_names(connection)
    found = [each for each, name in names.items() if name == id_or_name]
    if id_or_name in names or not names:
        return id_or_name
    if len(found) != 1:
        raise UsageError(
            f'{len(found)} sources are named "{id_or_name}".'
            if found
            else f'There is no source "{id_or_name}".',
            "Give --source an id: `headcount source list` has them.",
        )
    return found[0]


def _print(told: dict[str, Any]) -> None:
    period, against = told["period"][:7], told["against"][:7]
    label = next(each.label for each in HEADLINES if each.wire == told["metric"])
    if told["wholeMonths"]:
        now, before = f"in the whole month {period}", f"in the whole month {against}"
    else:
        now, before = (
            f"after {number_of(told['days'], 'day')} of {period}",
            f"after as many of {against}",
        )
    say(
        f"{label} {now}: {told['now']:,}; {before}: {told['before']:,}."
        f" Change: {told['change']:+,}."
    )
    for note in told["notes"]:
        say(f"Note: {note}")
    if told["causes"] and told["metric"] != "mtu":
        say("Likely causes are looked for in tracked users, whichever count is explained:")
    for number, cause in enumerate(told["causes"], 1):
        library = f"{cause['library']} {cause['libraryVersion']}".strip()
        where = " / ".join(part for part in (cause["sourceName"], library) if part)
        say(
            f"{number}. {cause['title']}{f' ({where})' if where else ''}: about"
            f" {cause['effect']:,} {cause['unit']}",
            f"   {cause['evidence'].capitalize()}: {_number(cause['now'])} in {period}; going by"
            f" {against} it would be {_number(cause['before'])}.",
            f"   {cause['remedy']}",
        )
    if not told["causes"] and told["contributions"]:
        say("None of the causes that are looked for shows in these numbers.")
    rows: list[tuple[str, ...]] = [
        (
            f"{row['change']:+,}",
            f"{row['share']:+.1%}",
            f"{row['surprise']:+.1f}",
            row["kindWords"],
            row["sourceName"],
            row["origin"],
        )
        for row in told["contributions"]
    ]
    if rest := told["rest"]["rows"]:
        rows.append(
            (f"{told['rest']['change']:+,}", "", "", f"{number_of(rest, 'more row')}", "", "")
        )
    if rows:
        say(
            f"Contributions to {label}: they add up to the change. A share is of all that changed,"
            " whichever way; a surprise is how far a row is from its share of the other month, in"
            " standard deviations."
        )
        heads = ("change #", "share #", "surprise #", "what", "source", "from")
        print_table(heads, rows)
    else:
        say("Nothing changed.")
