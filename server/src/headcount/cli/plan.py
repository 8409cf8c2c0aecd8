"""`headcount plan`: sets, shows and takes back what a workspace's plan includes in a month, and
what it charges beyond that.

A limit or a price carries the day from which it is in force; what was in force before stays known.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import click

from headcount.cli.lookup import found_workspace, opened_catalog
from headcount.cli.options import as_json_option, settings_options, workspace_option
from headcount.clock import now_ms
from headcount.counting.metrics import HEADLINES, Metric
from headcount.errors import UsageError
from headcount.terminal import moment_text, print_json, print_record, print_table, say

if TYPE_CHECKING:
    from headcount.catalog import Catalog, DatedLimit, DatedPrice
    from headcount.config import Settings
    from headcount.counting.cost import Price

__all__ = ["plan"]

_DIGITS_MAX = 15
_BEGINNING = "beginning"
_METRICS = {metric.name: metric for metric in HEADLINES}
_BY_OPTION = {metric.option: metric for metric in HEADLINES}


def _limit_options(command: Callable[..., None]) -> Callable[..., None]:
    for metric in reversed(HEADLINES):  # the decorator that is applied last comes first
        words = f"{metric.title} that the plan includes in a month; none for no limit."
        command = click.option(f"--{metric.option}", metavar="N", help=words)(command)
    return command


def _metric_option(words: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    choice = click.Choice(list(_BY_OPTION))
    return click.option("--metric", required=True, type=choice, help=words)


_from_option = click.option(
    "--from",
    "from_text",
    metavar="DAY",
    help="First day on which it is in force, in the past or to come; beginning for all months that"
    " there are. Default: today.",
)


@click.group()
def plan() -> None:
    """Say what a workspace's plan includes in a month, and what it charges beyond that.

    A limit changes nothing about counting: usage is shown against it. It is in force from a day on:
    a month is judged by the limit of its last day, the month that runs by that of today. The same
    holds for prices.
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
@_from_option
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
        _print_plan(catalog, number, as_json)


@plan.command(
    epilog="""\b
Example:
  headcount plan show --workspace Shop --json"""
)
@workspace_option()
@settings_options("data")
@as_json_option
def show(settings: Settings, workspace: str, as_json: bool) -> None:
    """Show the limits and prices of a workspace's plan, and from which days they are in force."""
    with opened_catalog(settings) as catalog:
        _print_plan(catalog, found_workspace(catalog, workspace).number, as_json)


@plan.command(
    epilog="""\b
Examples:
  headcount plan price 12.50 --workspace Shop --metric mtu --per 1000 --currency USD
  headcount plan price none --workspace Shop --metric mtu --from 2027-01-01"""
)
@click.argument("amount")
@workspace_option()
@_metric_option("Beyond whose limit it is charged.")
@click.option("--per", "step", type=click.IntRange(1), help="For how many it is, such as 1000.")
@click.option("--currency", metavar="CODE", help="Three letters, such as USD.")
@_from_option
@settings_options("data")
@as_json_option
def price(
    settings: Settings,
    amount: str,
    workspace: str,
    metric: str,
    step: int | None,
    currency: str | None,
    from_text: str | None,
    as_json: bool,
) -> None:
    """Charge AMOUNT (or none) for each step beyond a limit; one that is begun is charged whole.

    Use beyond the limit is shown in money then: on the page, by `headcount usage`, and with
    `headcount usage --format focus` day by day. Without a limit nothing is beyond it: set a limit
    of 0 to have all use charged.
    """
    from headcount.counting.calendar import day_of_ms

    at_ms = now_ms()
    from_day = day_of_ms(at_ms) if from_text is None else _day(from_text)
    with opened_catalog(settings) as catalog:
        number = found_workspace(catalog, workspace).number
        wanted = _price(amount, step, currency)
        name = _BY_OPTION[metric].name
        catalog.set_plan_price(number, name, wanted, from_day=from_day, now_ms=at_ms)
        _print_plan(catalog, number, as_json)


@plan.command(
    name="take-back",
    epilog="""\b
Examples:
  headcount plan take-back --workspace Shop --metric mtu --from 2026-11-01
  headcount plan take-back --workspace Shop --metric api-calls --from beginning
  headcount plan take-back --workspace Shop --metric mtu --from 2026-11-01 --price""",
)
@workspace_option()
@_metric_option("Whose limit or price.")
@click.option(
    "--from",
    "from_text",
    metavar="DAY",
    required=True,
    help="The day from which it was set, as `headcount plan show` names it.",
)
@click.option("--price", "of_price", is_flag=True, help="Take back a price, not a limit.")
@settings_options("data")
@as_json_option
def take_back(
    settings: Settings, workspace: str, metric: str, from_text: str, of_price: bool, as_json: bool
) -> None:
    """Undo the setting of a limit or a price: the one before it is in force instead."""
    name = _BY_OPTION[metric].name
    from_day = _day(from_text)
    with opened_catalog(settings) as catalog:
        number = found_workspace(catalog, workspace).number
        undo = catalog.take_back_price if of_price else catalog.take_back_limit
        if undo(number, name, from_day) is None:
            raise UsageError(
                f"No {'price' if of_price else 'limit'} of {_METRICS[name].label} was set from"
                f" {from_text.replace('beginning', 'the beginning')} on.",
                "See `headcount plan show` for those that were.",
            )
        _print_plan(catalog, number, as_json)


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


def _price(amount: str, step: int | None, currency: str | None) -> Price | None:
    from decimal import Decimal, InvalidOperation

    from headcount.counting.cost import Price

    if amount == "none":
        return None
    if step is None or currency is None:
        raise UsageError(
            "A price is an amount of a currency for so many.", "Give --per and --currency too."
        )
    try:
        return Price(Decimal(amount), step, currency.upper())
    except InvalidOperation:
        raise UsageError(
            f'"{amount}" is not an amount of money.', "Give one such as 12 or 12.50, or none."
        ) from None


def _print_plan(catalog: Catalog, number: int, as_json: bool) -> None:
    from headcount.counting.calendar import day_of_ms

    limits = catalog.plan_limits(number, day_of_ms(now_ms()))
    dated, prices = catalog.dated_limits(number), catalog.dated_prices(number)
    if as_json:
        in_force: dict[str, Any] = {metric.wire: limits.get(metric.name) for metric in HEADLINES}
        told = {
            "dated": [_as_data(each) for each in dated],
            "prices": [_price_as_data(each) for each in prices],
        }
        print_json(in_force | told)
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

    if prices:
        say("")
        print_table(
            ("price of", "in force from", "beyond the limit", "set at"),
            [
                (
                    _METRICS[each.metric].label,
                    _from_text(each),
                    _price_text(each.price),
                    moment_text(each.set_at_ms) or "",
                )
                for each in prices
            ],
        )


def _price_text(price: Price | None) -> str:
    from headcount.counting.cost import money_text

    if price is None:
        return "no price"
    return f"{money_text(price.amount, price.currency)} for each {price.step:,}"


def _price_as_data(dated: DatedPrice) -> dict[str, Any]:
    price = dated.price
    return {
        "metric": _METRICS[dated.metric].wire,
        "price": price
        and {"amount": f"{price.amount:f}", "step": price.step, "currency": price.currency},
        "inForceFrom": _from_text(dated),
        "setAt": moment_text(dated.set_at_ms),
    }


def _text(limit: int | None) -> str:
    return "no limit" if limit is None else f"{limit:,}"


def _from_text(dated: DatedLimit | DatedPrice) -> str:
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
