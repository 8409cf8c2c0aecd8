"""`headcount plan`: sets and shows what a workspace's plan includes in a month."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from headcount.cli.folder import found_workspace, opened_catalog
from headcount.cli.options import as_json_option, settings_options, workspace_option
from headcount.errors import UsageError
from headcount.terminal import print_json, print_record

if TYPE_CHECKING:
    from headcount.catalog import PlanLimits
    from headcount.config import Settings

__all__ = ["plan"]

_DIGITS_MAX = 15


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
@click.option("--mtu", metavar="N", help="Monthly tracked users; none for no limit.")
@click.option("--api-calls", metavar="N", help="API calls a month; none for no limit.")
@settings_options("data")
@as_json_option
def set_(
    settings: Settings, workspace: str, mtu: str | None, api_calls: str | None, as_json: bool
) -> None:
    """Set one limit or both; one that is not named stays as it is."""
    from headcount.catalog import PlanLimits

    if mtu is None and api_calls is None:
        raise UsageError("Neither --mtu nor --api-calls is given.", "Give at least one of them.")
    mtu_wanted = _limit("--mtu", mtu)
    api_calls_wanted = _limit("--api-calls", api_calls)
    with opened_catalog(settings) as catalog:
        number = found_workspace(catalog, workspace).number
        former = catalog.plan_limits(number)
        limits = PlanLimits(
            mtu=former.mtu if mtu is None else mtu_wanted,
            api_calls=former.api_calls if api_calls is None else api_calls_wanted,
        )
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


def _limit(option: str, text: str | None) -> int | None:
    if text is None or text == "none":
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= _DIGITS_MAX):
        raise UsageError(
            f'{option} is "{text}".',
            f"Give a whole number of at most {_DIGITS_MAX} digits, or none for no limit.",
        )
    return int(text)


def _print_limits(limits: PlanLimits, as_json: bool) -> None:
    if as_json:
        print_json({"mtu": limits.mtu, "apiCalls": limits.api_calls})
        return
    print_record(
        {
            "MTU": "no limit" if limits.mtu is None else f"{limits.mtu:,}",
            "API calls": "no limit" if limits.api_calls is None else f"{limits.api_calls:,}",
        }
    )
