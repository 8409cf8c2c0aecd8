"""`headcount alert`: says what people are to be told of, tries it out, and shows what was told."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

import click

from headcount.cli.alert_names import AlertNames
from headcount.cli.channel import sealing_key
from headcount.cli.lookup import (
    found_channel,
    found_rule,
    found_source,
    found_workspace,
    listed,
    opened_catalog,
)
from headcount.cli.options import as_json_option, settings_options, workspace_option
from headcount.clock import now_ms
from headcount.counting.alerts import ALERT_METRICS, QUIET_HOURS_MAX
from headcount.errors import OperatorError, UsageError
from headcount.terminal import print_json, print_record, print_table, say

if TYPE_CHECKING:
    from collections.abc import Mapping

    from headcount.config import Settings

__all__ = ["alert"]

_KINDS = ("count", "forecast", "unusual", "silent")
_BY_OPTION = {each.option: name for name, each in ALERT_METRICS.items()}
_LABELS = {each.wire: each.label for each in ALERT_METRICS.values()}
_OPTIONS = {each.wire: each.option for each in ALERT_METRICS.values()}
_DIGITS_MAX = 15


@click.group()
def alert() -> None:
    """Tell people before the bill does.

    A rule is about a workspace, or one of its sources. What it finds is written down with the
    counts that it comes of, once for each rule, threshold and month, and told to channels:
    `headcount channel add`.
    """


@alert.command(
    epilog="""\b
Examples:
  headcount alert add --workspace Shop --metric mtu --at 80% --at 100% --at 120%
  headcount alert add --workspace Shop --kind forecast --metric api-calls --at 100%
  headcount alert add --workspace Shop --source web --kind silent --hours 6
  headcount alert add --workspace Shop --metric rejected-share --at 5%"""
)
@workspace_option()
@click.option("--source", metavar="S", help="Only this source, by id or name.")
@click.option(
    "--kind",
    type=click.Choice(_KINDS),
    default="count",
    show_default=True,
    help="What it looks at: the month's count so far; where the month will end; a day with far more"
    " API calls than its weekday usually has; whether nothing arrives.",
)
@click.option(
    "--metric",
    type=click.Choice(list(_BY_OPTION)),
    help=f"What thresholds are of.  [default: {next(iter(_BY_OPTION))}]",
)
@click.option(
    "--at",
    "thresholds",
    multiple=True,
    metavar="N",
    help="Threshold; repeatable. A number such as 12000, or a share of the plan's limit such as 80%"
    " or 120%; of a share of messages, percent.",
)
@click.option(
    "--hours",
    type=click.IntRange(1, QUIET_HOURS_MAX),
    default=24,
    show_default=True,
    help="For how long nothing must have come.",
)
@click.option("--channel", "names", multiple=True, help="Tell only this channel; repeatable.")
@click.option("--name", default="", help="What people call it.")
@settings_options("data")
@as_json_option
def add(
    settings: Settings,
    workspace: str,
    source: str | None,
    kind: str,
    metric: str | None,
    thresholds: tuple[str, ...],
    hours: int,
    names: tuple[str, ...],
    name: str,
    as_json: bool,
) -> None:
    """Add a rule."""
    from headcount.alerting.rules import checked_rule

    rule = checked_rule(kind, _BY_OPTION[metric] if metric else "", thresholds)
    with opened_catalog(settings) as catalog:
        owner = found_workspace(catalog, workspace)
        of = None if source is None else found_source(catalog, source, owner.id)
        channels = [found_channel(catalog, each, owner.id)[1].number for each in names]
        made = catalog.add_alert_rule(
            owner.number,
            source=None if of is None else of.number,
            name=name.strip() or rule.name(None if of is None else of.name),
            kind=rule.kind,
            metric=rule.metric,
            thresholds=rule.thresholds,
            quiet_hours=hours,
            channels=channels,
            now_ms=now_ms(),
        )
        told = AlertNames(catalog).told(owner, made)
        has_channel = bool(catalog.channels(owner.number))
    _print(told, as_json)
    if not has_channel and not as_json:
        say("", "Nobody is told yet: headcount channel add")


@alert.command(
    epilog="""\b
Examples:
  headcount alert change "MTU of the workspace" --at 90% --at 100%
  headcount alert change 4kQ2 --off"""
)
@click.argument("rule")
@workspace_option(required=False)
@click.option("--at", "thresholds", multiple=True, metavar="N", help="The thresholds from now on.")
@click.option(
    "--hours", type=click.IntRange(1, QUIET_HOURS_MAX), help="For how long nothing must come."
)
@click.option("--channel", "names", multiple=True, help="Tell only these; all for all there are.")
@click.option("--name", help="What people call it.")
@click.option("--on/--off", "is_on", default=None, help="Whether it is judged by.")
@settings_options("data")
@as_json_option
def change(
    settings: Settings,
    rule: str,
    workspace: str | None,
    thresholds: tuple[str, ...],
    hours: int | None,
    names: tuple[str, ...],
    name: str | None,
    is_on: bool | None,
    as_json: bool,
) -> None:
    """Change RULE (an id or a name); what it has told of this month it does not tell again."""
    from headcount.alerting.rules import checked_rule

    with opened_catalog(settings) as catalog:
        owner, found = found_rule(catalog, rule, workspace)
        changes: dict[str, Any] = {}
        if thresholds:
            changes["thresholds"] = checked_rule(found.kind, found.metric, thresholds).thresholds
        if hours is not None:
            changes["quiet_hours"] = hours
        if names:
            everybody = names == ("all",)
            numbers = [] if everybody else [found_channel(catalog, n, owner.id)[1] for n in names]
            changes["channels"] = tuple(each.number for each in numbers)
        if name is not None:
            changes["name"] = name
        if is_on is not None:
            changes["enabled"] = is_on
        if not changes:
            raise UsageError("Nothing is to be changed.", "Give --at, --channel, --on or another.")
        told = AlertNames(catalog).told(owner, catalog.change_alert_rule(found.number, **changes))
    _print(told, as_json)


@alert.command(name="list", epilog="\b\nExample:\n  headcount alert list --json")
@workspace_option(required=False)
@settings_options("data")
@as_json_option
def list_(settings: Settings, workspace: str | None, as_json: bool) -> None:
    """List the rules."""
    found = listed(
        settings,
        workspace,
        lambda catalog, number: [
            (each, AlertNames(catalog)) for each in catalog.alert_rules(number)
        ],
    )
    told = [names.told(owner, each) for owner, (each, names) in found]
    if as_json:
        print_json(told)
        return
    print_table(
        ("id", "name", "workspace", "about", "looks at", "at", "tells", "on"),
        [
            (
                each["id"], each["name"], each["workspace"], each["source"] or "the workspace",
                each["kind"] + (f", {_LABELS[each['metric']]}" if each["thresholds"] else ""),
                _reaches(each), ", ".join(each["channels"]) or "all channels",
                "yes" if each["enabled"] else "no",
            )
            for each in told
        ],
    )  # fmt: skip


@alert.command(epilog="\b\nExample:\n  headcount alert show 4kQ2")
@click.argument("rule")
@workspace_option(required=False)
@settings_options("data")
@as_json_option
def show(settings: Settings, rule: str, workspace: str | None, as_json: bool) -> None:
    """Show RULE (an id or a name)."""
    with opened_catalog(settings) as catalog:
        owner, found = found_rule(catalog, rule, workspace)
        _print(AlertNames(catalog).told(owner, found), as_json)


@alert.command(epilog="\b\nExample:\n  headcount alert remove 4kQ2")
@click.argument("rule")
@workspace_option(required=False)
@settings_options("data")
@as_json_option
def remove(settings: Settings, rule: str, workspace: str | None, as_json: bool) -> None:
    """Remove RULE (an id or a name)."""
    with opened_catalog(settings) as catalog:
        _, found = found_rule(catalog, rule, workspace)
        catalog.remove_alert_rule(found.number, now_ms())
    if as_json:
        print_json({"id": found.id, "name": found.name, "removed": True})
    else:
        say(f"{found.name} is removed.")


@alert.command(epilog="\b\nExample:\n  headcount alert test 4kQ2")
@click.argument("rule")
@workspace_option(required=False)
@settings_options("data", "hash_key")
@as_json_option
def test(settings: Settings, rule: str, workspace: str | None, as_json: bool) -> None:
    """Tell the channels of RULE that this is a test, and say what became of it."""
    from headcount.alerting.tell_channels import try_now, try_out

    with opened_catalog(settings) as catalog:
        owner, found = found_rule(catalog, rule, workspace)
        channels = [
            each
            for each in catalog.channels(owner.number)
            if not found.channels or each.number in found.channels
        ]
        if not channels:
            raise UsageError("There is no channel to tell.", "Add one: headcount channel add")
        key = sealing_key(settings, catalog)
        answers = []
        for each in channels:
            new = try_out((owner.id, owner.name), each, found.name, now_ms())
            answers.append((each, try_now(catalog, key, each, new, now_ms)))
    if as_json:
        print_json(
            [
                {"channel": each.name, "taken": answer.taken, "said": answer.said}
                for each, answer in answers
            ]
        )
    else:
        for each, answer in answers:
            say(f"{each.name}: {answer.said.rstrip('.')}.")
    if not all(answer.taken for _, answer in answers):
        raise OperatorError("A channel did not take the test.", "What it said stands above.")


@alert.command(
    epilog="""\b
Examples:
  headcount alert log --workspace Shop
  headcount alert log --tries --json"""
)
@workspace_option(required=False)
@click.option("--tries", is_flag=True, help="Every try, as far as it is kept.")
@click.option(
    "--most",
    type=click.IntRange(1, 1000),
    default=50,
    show_default=True,
    metavar="N",
    help="How many of them, the latest first.",
)
@settings_options("data")
@as_json_option
def log(settings: Settings, workspace: str | None, tries: bool, most: int, as_json: bool) -> None:
    """Show what was told to whom, the latest first, and what became of it."""
    found = listed(
        settings,
        workspace,
        lambda catalog, number: [
            (each, AlertNames(catalog)) for each in catalog.deliveries(number, most=most)
        ],
    )
    told = [names.delivery(owner, each) for owner, (each, names) in found]
    if as_json:
        print_json(told)
        return
    print_table(
        ("id#", "when", "workspace", "channel", "what", "state", "tries#", "last"),
        [
            (
                str(each["id"]), each["at"], each["workspace"], each["channel"], each["title"],
                each["state"], str(each["attempts"]), _last_said(each),
            )
            for each in told
        ],
    )  # fmt: skip
    if tries:
        for each in told:
            for one in each["tries"]:
                say(f"{each['id']}: {one['at']} {one['said']} ({one['tookMs']} ms)")


@alert.command(epilog="\b\nExample:\n  headcount alert resend 17")
@click.argument("delivery")
@settings_options("data")
@as_json_option
def resend(settings: Settings, delivery: str, as_json: bool) -> None:
    """Tell DELIVERY, an id of the log, once more, under the name that it had.

    What nobody was told, for there was no channel, is told to those that are there now. A running
    server does it within a second.
    """
    from headcount.alerting.telling_again import tell_again

    plain = delivery.isascii() and delivery.isdigit() and len(delivery) <= _DIGITS_MAX
    with opened_catalog(settings) as catalog:
        found = catalog.delivery(int(delivery)) if plain else None
        if found is None:
            raise UsageError(
                f"There is no delivery {delivery!r:.40}.",
                "Give the number of one that `headcount alert log` shows.",
            )
        again = tell_again(catalog, found, now_ms())
        names = {each.number: each.name for each in catalog.channels()}
    if as_json:
        print_json({"id": again.id, "event": again.event, "state": again.state})
    else:
        say(f"{delivery} is told {'again ' if found.channel else ''}to {names[again.channel]}.")


def _last_said(told: Mapping[str, Any]) -> str:
    return str(told["tries"][-1]["said"]) if told["tries"] else ""


def _reaches(told: Mapping[str, Any]) -> str:
    lacking = " (the plan sets no limit)" if told["needsLimit"] else ""
    return ", ".join(told["thresholds"]) + lacking


def _print(told: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(told)
        return
    shown = {
        "id": told["id"],
        "name": told["name"],
        "workspace": told["workspace"],
        "about": told["source"] or "the whole workspace",
        "looks at": told["kind"],
        "metric": _LABELS[told["metric"]],
        "at": _reaches(told),
        "hours": str(told["quietHours"] or ""),
        "tells": ", ".join(told["channels"]) or "all channels",
        "on": "yes" if told["enabled"] else "no",
    }
    print_record({name: each for name, each in shown.items() if each})
    if told["needsLimit"]:
        shares, metric = ", ".join(told["needsLimit"]), told["metric"]
        say("", f"{shares} cannot be reached yet: the plan sets no limit of {_LABELS[metric]}.")
        say(
            f"Set one: headcount plan set --workspace {shlex.quote(told['workspace'])}"
            f" --{_OPTIONS[metric]} N"
        )
