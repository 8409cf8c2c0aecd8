"""`headcount source quota`: says what a source may use in a month, and what happens past it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from headcount.cli.lookup import found_source, opened_catalog
from headcount.cli.options import as_json_option, settings_options, workspace_option
from headcount.clock import now_ms
from headcount.counting.metrics import BY_NAME, HEADLINES
from headcount.errors import UsageError
from headcount.terminal import print_json, print_table, say

if TYPE_CHECKING:
    from headcount.catalog import Catalog, Source
    from headcount.config import Settings

__all__ = ["quota"]


def _amount_options(command: Callable[..., None]) -> Callable[..., None]:
    for metric in HEADLINES:  # the decorator that is applied last comes first
        words = f"{metric.label} a month; none for no quota."
        command = click.option(f"--{metric.option}", metavar="N", help=words)(command)
    return command


@click.command(
    epilog="""\b
Examples:
  headcount source quota web --api-calls 1000000 --past refuse
  headcount source quota web --mtu 5000 --past mark
  headcount source quota web --past refuse
  headcount source quota web --api-calls none
  headcount source quota web"""
)
@click.argument("source")
@_amount_options
@click.option(
    "--past",
    type=click.Choice(["refuse", "mark"]),
    help="Refuse messages past it with 429, which senders send again; or take them, and mark in"
    " outcomes and charts where it began. Default: as it is; of a new quota mark.",
)
@workspace_option(required=False)
@settings_options("data")
@as_json_option
def quota(
    settings: Settings,
    source: str,
    past: str | None,
    workspace: str | None,
    as_json: bool,
    **wanted: str | None,
) -> None:
    """Set what SOURCE (an id or a name) may use in a month, or show it.

    A quota is reached when the counts say so, so what was taken until then is counted. Nothing that
    was acknowledged is ever dropped. A running server takes this up within seconds.
    """
    with opened_catalog(settings) as catalog:
        found = found_source(catalog, source, workspace)
        amounts: dict[str, int | None] = {
            metric.name: _amount(metric.option, text)
            for metric in HEADLINES
            if (text := wanted[metric.name]) is not None
        }
        held = {each.metric: each for each in catalog.quotas() if each.source == found.number}
        if past is not None and not amounts:
            amounts = {name: each.amount for name, each in held.items()}
            if not amounts:
                raise UsageError(
                    f"{found.name} has no quota that --past could be about.",
                    "Give its amount too, such as --api-calls 1000000.",
                )
        for name, amount in amounts.items():
            now = past or (held[name].past if name in held else "mark")
            catalog.set_quota(found.number, name, amount, now, now_ms())
        told = _told(catalog, found)
    if as_json:
        print_json({"sourceId": found.id, "quotas": told})
    elif told:
        print_table(
            ("quota of", "a month#", "past it"),
            [
                (metric.label, f"{each['amount']:,}", each["past"])
                for metric in HEADLINES
                for each in told
                if each["metric"] == metric.wire
            ],
        )
    else:
        say(f"{found.name} has no quota.")


def _amount(option: str, text: str) -> int | None:
    if text == "none":
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 15 and int(text)):
        raise UsageError(f'--{option} is "{text}".', "Give a whole number from 1 on, or none.")
    return int(text)


def _told(catalog: Catalog, source: Source) -> list[dict[str, Any]]:
    return [
        {"metric": BY_NAME[each.metric].wire, "amount": each.amount, "past": each.past}
        for each in catalog.quotas()
        if each.source == source.number
    ]
