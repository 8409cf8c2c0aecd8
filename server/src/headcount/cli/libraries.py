"""`headcount libraries`: which tracking libraries sent the messages of a month, by source."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from headcount.cli.options import as_json_option
from headcount.cli.reading.api_connection import connected, reading_options
from headcount.cli.reading.own import get_own
from headcount.cli.reading.usage_rows import period_named
from headcount.errors import UsageError
from headcount.terminal import print_json, print_table, say

if TYPE_CHECKING:
    from headcount.config import Settings

__all__ = ["libraries"]


@click.command(
    epilog="""\b
Examples:
  headcount libraries --token-file token
  headcount libraries --period 2026-10 --json"""
)
@click.option("--period", metavar="MONTH", help="Month such as 2026-10. Default: the current one.")
@reading_options
@as_json_option
def libraries(settings: Settings, period: str | None, as_json: bool) -> None:
    """Show which tracking libraries sent the messages of a month, by source.

    A library is what a message says in context.library, else the request's User-Agent. Messages
    that were taken live are in here once, duplicates too; what was imported is not. Reads Headcount
    over HTTP with an API token.
    """
    query = {} if period is None else {"period": str(period_named(period, "--period"))}
    with connected(settings) as connection:
        told = get_own(connection, "libraries", **query)
        if told is None:
            raise UsageError(
                f"{connection.host} tells no libraries of {period or 'this month'}.",
                "Ask a Headcount server, for a month in which it had usage.",
            )
    if as_json:
        print_json(told)
        return
    rows = [
        (each["sourceName"], library["name"], f"{library['messages']:,}")
        for each in told["sources"]
        for library in each["libraries"]
    ]
    if rows:
        print_table(("source", "library", "messages #"), rows)
    else:
        say("No library has sent anything in this month.")
