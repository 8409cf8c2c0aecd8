"""What the demo prints: takes names and rows, gives tables and plain words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

import click

from headcount.counting.metrics import REPORTED
from headcount.demo.expected import Key, Usage
from headcount.terminal import print_table
from headcount.wording import month_text

__all__ = ["print_heading", "print_seen", "print_usage"]


def print_heading(number: int, words: str) -> None:
    """Begin a part."""
    click.secho(f"\n{number}. {words}", bold=True)


def print_usage(rows: Mapping[Key, Usage], months: Sequence[date], sources: Sequence[str]) -> None:
    """Print this month by day and by source, then every month of the workspace."""
    this_month = months[-1]
    click.echo(
        f"\nThe workspace in {month_text(this_month.isoformat())}, from the month's start to each"
        " day's end:\n"
    )
    print_table(
        ("day", *(f"{metric.label}#" for metric in REPORTED)),
        [
            (key.day.isoformat(), *(f"{getattr(usage, metric.name):,}" for metric in REPORTED))
            for key, usage in sorted(rows.items(), key=lambda row: row[0].day)
            if key.source is None and key.day >= this_month
        ],
    )
    click.echo("\nIts sources, and the whole of it:\n")
    last_day = max(key.day for key in rows)
    print_table(
        ("source", "API calls#", "MTU#"),
        [
            (source or "whole workspace", f"{usage.api_calls:,}", f"{usage.mtu:,}")
            for source in (*sources, None)
            if (usage := rows.get(Key(last_day, source))) is not None
        ],
    )
    click.echo("\nEach month, at its last day so far:\n")
    print_table(
        ("month", "API calls#", "MTU#"),
        [_month(rows, month) for month in months],
    )


def _month(rows: Mapping[Key, Usage], month: date) -> tuple[str, str, str]:
    days = [key.day for key in rows if key.day.replace(day=1) == month]
    usage = rows[Key(max(days), None)]
    return f"{month:%Y-%m}", f"{usage.api_calls:,}", f"{usage.mtu:,}"


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
