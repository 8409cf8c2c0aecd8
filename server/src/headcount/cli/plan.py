"""`headcount plan`: sets, shows and takes back what a workspace's plan includes in a month.

A limit carries the day from which it is in force; what was in force before stays known.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import click

from headcount.cli.lookup import found_workspace, opened_catalog
from headcount.cli.options import as_json_option, settings_options, workspace_option
from headcount.clock import now_ms
from headcount.counting.metrics import HEADLINES, Metric
from headcount.errors import UsageError
from headcount.terminal import moment_text, print_json, print_record, print_table, say

if TYPE_CHECKING:
    from headcount.catalog import Catalog, DatedLimit
    from headcount.config import Settings

__all__ = ["plan"]

_DIGITS_MAX = 15
_BEGINNING = "beginning"
_METRICS = {metric.name: metric for metric in HEADLINES}


def _limit_options(command: Callable[..., None]) -> Callable[..., None]:
    for metric in reversed(HEADLINES):  # the decorator that is applied last comes first
        words = f"{metric.title} that the plan includes in a month; none for no limit."
        command = click.option(f"--{metric.option}", metavar="N", help=words)(command)
    return command


@click.group()
def plan() -> None:
    """Say what a workspace's plan includes in a month.

    A limit changes nothing about counting: usage is shown against it. It is in force from a day on:
    a month is judged by the limit of its last day, the month that runs by that of today.
    """


@plan.command(
    name="set",
    epilog="""\b
Examples:
  headcount plan set --workspace Shop --mtu 10000
  headcount plan set --workspace Shop --mtu none --api-calls 2500000
  headcount plan set --workspace Shop --mtu 8000 --from 2026-01-01""",
)
@workspace_option()
@_limit_options
@click.option(
    "--from",
    "from_text",
    metavar="DAY",
    help="First day on which it is in force, in the past or to come; beginning for all months that"
    " there are. Default: today.",
)
@settings_options("data")
@as_json_option
def set_(
    settings: Settings,
    workspace: str,
    from_text: str | None,
    as_json: bool,
    **wanted: str | None,
) -> None:
    """Set one limit or more from a day on; one that is not named stays as it is."""
    from headcount.counting.calendar import day_of_ms

    given = {name: text for name, text in wanted.items() if text is not None}
    if not given:
        options = " nor ".join(f"--{metric.option}" for metric in HEADLINES)
        raise UsageError(f"Neither {options} is given.", "Give at least one of them.")
    changed = {metric.name: _limit(metric, given) for metric in HEADLINES if metric.name in given}
    at_ms = now_ms()
    from_day = day_of_ms(at_ms) if from_text is None else _day(from_text)
    with opened_catalog(settings) as catalog:
        number = found_workspace(catalog, workspace).number
        catalog.set_plan_limits(number, changed, from_day=from_day, now_ms=at_ms)
        _print_limits(catalog, number, as_json)


@plan.command(
    epilog="""\b
Example:
  headcount plan show --workspace Shop --json"""
)
@workspace_option()
@settings_options("data")
@as_json_option
def show(settings: Settings, workspace: str, as_json: bool) -> None:
    """Show the limits of a workspace's plan, and the days from which they are in force."""
    with opened_catalog(settings) as catalog:
        _print_limits(catalog, found_workspace(catalog, workspace).number, as_json)


@plan.command(
    name="take-back",
    epilog="""\b
Examples:
  headcount plan take-back --workspace Shop --metric mtu --from 2026-11-01
  headcount plan take-back --workspace Shop --metric api-calls --from beginning""",
)
@workspace_option()
@click.option(
    "--metric",
    required=True,
    type=click.Choice([metric.option for metric in HEADLINES]),
    help="Whose limit.",
)
@click.option(
    "--from",
    "from_text",
    metavar="DAY",
    required=True,
    help="The day from which it was set, as `headcount plan show` names it.",
)
@settings_options("data")
@as_json_option
def take_back(
    settings: Settings, workspace: str, metric: str, from_text: str, as_json: bool
) -> None:
    """Undo the setting of a limit: the one before it is in force instead."""
    name = next(each.name for each in HEADLINES if each.option == metric)
    from_day = _day(from_text)
    with opened_catalog(settings) as catalog:
        number = found_workspace(catalog, workspace).number
        if catalog.take_back_limit(number, name, from_day) is None:
            raise UsageError(
                f"No limit of {_METRICS[name].label} was set from"
                f" {from_text.replace('beginning', 'the beginning')} on.",
                "See `headcount plan show` for those that were.",
            )
        _print_limits(catalog, number, as_json)


def _day(text: str) -> int:
    from headcount.catalog import FROM_THE_BEGINNING
    from headcount.counting.calendar import parse_day

    if text == _BEGINNING:
        return FROM_THE_BEGINNING
    try:
        return parse_day(text)
    except ValueError as error:
        raise UsageError(
            f'--from is "{text}".', f"Give a date such as 2026-11-01, or {_BEGINNING}."
        ) from error


def _limit(metric: Metric, given: Mapping[str, str]) -> int | None:
    text = given[metric.name]
    if text == "none":
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= _DIGITS_MAX):
        raise UsageError(
            f'--{metric.option} is "{text}".',
            f"Give a whole number of at most {_DIGITS_MAX} digits, or none for no limit.",
        )
    return int(text)


def _print_limits(catalog: Catalog, number: int, as_json: bool) -> None:
    from headcount.counting.calendar import day_of_ms

    limits = catalog.plan_limits(number, day_of_ms(now_ms()))
    dated = catalog.dated_limits(number)
    if as_json:
        in_force = {metric.wire: limits.get(metric.name) for metric in HEADLINES}
        print_json(in_force | {"dated": [_as_data(each) for each in dated]})
        return
    print_record({metric.label: _text(limits.get(metric.name)) for metric in HEADLINES})
    if dated:
        say("")
        print_table(
            ("limit of", "in force from", "a month#", "set at"),
            [
                (
                    _METRICS[each.metric].label,
                    _from_text(each),
                    _text(each.amount),
                    moment_text(each.set_at_ms) or "",
                )
                for each in dated
            ],
        )


def _text(limit: int | None) -> str:
    return "no limit" if limit is None else f"{limit:,}"


def _from_text(dated: DatedLimit) -> str:
    from headcount.catalog import FROM_THE_BEGINNING
    from headcount.counting.calendar import day_text

    return _BEGINNING if dated.from_day == FROM_THE_BEGINNING else day_text(dated.from_day)


def _as_data(dated: DatedLimit) -> dict[str, str | int | None]:
    return {
        "metric": _METRICS[dated.metric].wire,
        "limit": dated.amount,
        "inForceFrom": _from_text(dated),
        "setAt": moment_text(dated.set_at_ms),
    }
