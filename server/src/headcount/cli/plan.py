"""`headcount plan`: sets and shows what a workspace's plan includes in a month."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import click

from headcount.cli.lookup import found_workspace, opened_catalog
from headcount.cli.options import as_json_option, settings_options, workspace_option
from headcount.counting.metrics import HEADLINES, Metric
from headcount.errors import UsageError
from headcount.terminal import print_json, print_record

if TYPE_CHECKING:
    from headcount.catalog import PlanLimits
    from headcount.config import Settings

__all__ = ["plan"]

_DIGITS_MAX = 15


def _limit_options(command: Callable[..., None]) -> Callable[..., None]:
    for metric in reversed(HEADLINES):  # the decorator that is applied last comes first
        words = f"{metric.title} that the plan includes in a month; none for no limit."
        command = click.option(f"--{metric.option}", metavar="N", help=words)(command)
    return command


@click.group()
def plan() -> None:
    """Say what a workspace's plan includes in a month.

    A limit changes nothing about counting: usage is shown against it.
    """


@plan.command(
    name="set",
    epilog="""\b
Examples:
  headcount plan set --workspace Shop --mtu 10000
  headcount plan set --workspace Shop --mtu none --api-calls 2500000""",
)
@workspace_option()
@_limit_options
@settings_options("data")
@as_json_option
def set_(settings: Settings, workspace: str, as_json: bool, **wanted: str | None) -> None:
    """Set one limit or more; one that is not named stays as it is."""
    given = {name: text for name, text in wanted.items() if text is not None}
    if not given:
        options = " nor ".join(f"--{metric.option}" for metric in HEADLINES)
        raise UsageError(f"Neither {options} is given.", "Give at least one of them.")
    changed = {metric.name: _limit(metric, given) for metric in HEADLINES if metric.name in given}
    with opened_catalog(settings) as catalog:
        number = found_workspace(catalog, workspace).number
        limits = catalog.plan_limits(number) | changed
        catalog.set_plan_limits(number, limits)
    _print_limits(limits, as_json)


@plan.command(
    epilog="""\b
Example:
  headcount plan show --workspace Shop --json"""
)
@workspace_option()
@settings_options("data")
@as_json_option
def show(settings: Settings, workspace: str, as_json: bool) -> None:
    """Show the limits of a workspace's plan."""
    with opened_catalog(settings) as catalog:
        limits = catalog.plan_limits(found_workspace(catalog, workspace).number)
    _print_limits(limits, as_json)


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


def _print_limits(limits: PlanLimits, as_json: bool) -> None:
    if as_json:
        print_json({metric.wire: limits[metric.name] for metric in HEADLINES})
        return
    shown = {metric.label: limits[metric.name] for metric in HEADLINES}
    print_record(
        {label: "no limit" if limit is None else f"{limit:,}" for label, limit in shown.items()}
    )
