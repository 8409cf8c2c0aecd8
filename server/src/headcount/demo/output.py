"""What the demo prints: takes addresses, names and rows, gives tables and plain words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

import click

from headcount.counting.metrics import REPORTED
from headcount.demo.expected import Key, Usage
from headcount.demo.server import Addresses
from headcount.terminal import print_table

__all__ = ["print_heading", "print_next", "print_seen", "print_usage"]


def print_heading(number: int, words: str) -> None:
    """Begin a part."""
    click.secho(f"\n{number}. {words}", bold=True)


def print_usage(rows: Mapping[Key, Usage], months: Sequence[date], sources: Sequence[str]) -> None:
    """Print this month by day, then every month by source."""
    this_month = months[-1]
    click.echo(
        f"\nThe workspace in {this_month:%B %Y}, from the month's start to each day's end:\n"
    )
    print_table(
        ("day", *(f"{metric.label}#" for metric in REPORTED)),
        [
            (key.day.isoformat(), *(f"{getattr(usage, metric.name):,}" for metric in REPORTED))
            for key, usage in sorted(rows.items(), key=lambda row: row[0].day)
            if key.source is None and key.day >= this_month
        ],
    )
    click.echo("\nEach month by source, at its last day so far:\n")
    print_table(
        ("month", "source", "API calls#", "MTU#"),
        [line for month in months for line in _by_source(rows, month, sources)],
    )


def _by_source(
    rows: Mapping[Key, Usage], month: date, sources: Sequence[str]
) -> list[tuple[str, str, str, str]]:
    days = [key.day for key in rows if (key.day.year, key.day.month) == (month.year, month.month)]
    lines = []
    for source in (*sources, None):
        usage = rows.get(Key(max(days), source))
        if usage is not None:
            scope = source or "whole workspace"
            lines.append((f"{month:%Y-%m}", scope, f"{usage.api_calls:,}", f"{usage.mtu:,}"))
    return lines


def print_seen() -> None:
    """Say in plain words what the numbers show."""
    click.secho("\nWhat you just saw", bold=True)
    click.echo(
        """\
  - Messages that a tracking SDK posted were durable when it was told so, and were in the usage
    API a moment later.
  - A message that was delivered twice is one API call.
  - A visitor who signed up, on the web and in the app, is one tracked user: the devices that were
    anonymous before no longer count beside the user.
  - API calls of the sources add up to the workspace's. MTU does not: a user of the web site and
    the app is one user of the workspace.
  - Broken lines were named with their reasons, and cost nothing else."""
    )


def print_next(folder: Path, addresses: Addresses, write_key: str, token: str, today: date) -> None:
    """Say what to try, with addresses, keys and tokens that work."""
    click.secho("\nTry next, while this keeps running", bold=True)
    click.echo(
        f"""\
  Send a message and read the month again:
    curl -u {write_key}: {addresses.tracking}/v1/track \\
      -d '{{"userId": "you", "event": "Tried Headcount"}}'
    curl -H "Authorization: Bearer {token}" \\
      "{addresses.api}/usage/api-calls/daily?period={today.isoformat()}"

  Read it in Python:
    from segment_public_api import ApiClient, Configuration, MonthlyTrackedUsersApi
    client = ApiClient(Configuration(host="{addresses.api}",
                                     access_token="{token}"))
    print(MonthlyTrackedUsersApi(client).get_daily_workspace_mtu_usage("{today.isoformat()}"))

  See it all on one page, signed in with the token {token}:
    {addresses.api}/

  See the sources, or the whole API:
    headcount source list --data {folder}
    {addresses.api}/docs

  Then one of your own:
    headcount serve --data ./headcount-data

Press Ctrl-C to stop; the demo's folder is then removed."""
    )
