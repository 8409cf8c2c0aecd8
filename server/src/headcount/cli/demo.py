"""`headcount demo`: shows the whole way of a message, with real parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from headcount.cli.client import check_client
from headcount.cli.reading.api_connection import ApiConnection
from headcount.cli.reading.usage_rows import Query, month_rows, range_rows
from headcount.counting.calendar import parse_period

if TYPE_CHECKING:
    from datetime import date

    from headcount.cli.reading.usage_rows import Row, Scope
    from headcount.demo.readback import Rows

__all__ = ["demo"]


@click.command(
    epilog="""\b
Examples:
  headcount demo
  headcount demo --check"""
)
@click.option("--check", is_flag=True, help="Compare usage with what was sent, and stop.")
def demo(check: bool) -> int:
    """Count thirteen months of made traffic, and keep serving until Ctrl-C.

    Starts a server on a temporary folder, imports past messages, posts live ones with a real
    tracking SDK, prints usage read with segment_public_api, and says what to try next.

    With --check it exits with status 0 if every count is right, else 1.
    """
    check_client()
    from headcount.demo.command import run_demo

    return run_demo(check, _rows_of)


def _rows_of(host: str, token: str) -> Rows:
    """How every command reads usage, from one host."""
    from segment_public_api import ApiClient, Configuration

    client = ApiClient(Configuration(host=host, access_token=token))
    connection = ApiConnection(client, host, "the demo's server")

    def rows(by: Scope, first: date, last: date) -> list[Row]:
        query, period = Query(by, None), parse_period(str(last))
        told: list[Row] = []
        # Months that are over all at once: one after the other they would take most of what a
        # token may ask in a minute.
        if (since := parse_period(str(first))) < period:
            for _, month in range_rows(connection, query, since, period.shifted(-1)) or ():
                told += month
        return told + month_rows(connection, query, period, {})

    return rows
