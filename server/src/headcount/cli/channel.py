"""`headcount channel`: says where alerts are told, tries it out, and changes secrets.

What is a secret (the address of a service, the password of a mail server) is better given in the
environment, or to the prompt that asks for it: others on a machine can see options.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import click

from headcount.cli.lookup import (
    found_channel,
    found_workspace,
    listed,
    opened_catalog,
)
from headcount.cli.options import as_json_option, settings_options, workspace_option
from headcount.clock import now_ms
from headcount.config import SERVICE_ENV, SMTP_ENV
from headcount.errors import OperatorError, UsageError
from headcount.terminal import moment_text, print_json, print_record, print_table, say

if TYPE_CHECKING:
    from collections.abc import Callable

    from headcount.alerting.channels import ChannelConfig
    from headcount.catalog import Catalog, Channel, Workspace
    from headcount.config import Settings

__all__ = ["channel", "sealing_key"]

_ROTATES_FOR_MS = 24 * 3_600_000
_DIGESTS = click.Choice(["none", "daily", "weekly"])


@click.group()
def channel() -> None:
    """Say where alerts are told: webhooks, e-mail, Slack and other services.

    A rule tells all channels of its workspace, unless it names some. A running server begins to
    tell a new channel within a second.
    """


@channel.command(
    epilog="""\b
Examples:
  headcount channel add ops --workspace Shop --webhook https://example.com/hooks/usage
  headcount channel add team --workspace Shop --email ops@example.com --digest weekly
  headcount channel add chat --workspace Shop --service"""
)
@click.argument("name")
@workspace_option()
@click.option("--webhook", metavar="URL", help="Post to this address, signed.")
@click.option(
    "--email", "emails", multiple=True, metavar="ADDRESS", help="Send e-mail; repeatable."
)
@click.option(
    "--service",
    is_flag=True,
    help="Tell a service that Apprise knows, such as Slack. Its address is taken from"
    f" {SERVICE_ENV}, or asked for.",
)
@click.option(
    "--smtp",
    metavar="URL",
    help="Mail server: smtp://user:password@host:587 (STARTTLS), smtps:// (TLS), or"
    f" smtp+plain://localhost. Default: {SMTP_ENV}, or asked for.",
)
@click.option(
    "--from", "sender", metavar="ADDRESS", help="Whose e-mail it is.  [default: the user]"
)
@click.option("--digest", type=_DIGESTS, default="none", show_default=True, help="E-mail a digest.")
@click.option(
    "--allow-private",
    is_flag=True,
    help="The webhook may be in a private network, and without TLS.",
)
@settings_options("data", "hash_key")
@as_json_option
def add(
    settings: Settings,
    name: str,
    workspace: str,
    webhook: str | None,
    emails: tuple[str, ...],
    service: bool,
    smtp: str | None,
    sender: str | None,
    digest: str,
    allow_private: bool,
    as_json: bool,
) -> None:
    """Add a channel called NAME; a webhook's secret is shown once."""
    from headcount.alerting.apprise_services import require_service
    from headcount.alerting.channels import (
        WebhookConfig,
        email_config,
        sealed,
        service_config,
        shown,
        webhook_config,
    )
    from headcount.catalog.entities import fresh_id

    if sum([webhook is not None, bool(emails), service]) != 1:
        raise UsageError(
            "It is not clear how the channel tells.",
            "Give one of --webhook, --email and --service.",
        )
    config: ChannelConfig
    if webhook is not None:
        config = webhook_config(webhook, by_token=False, allow_private=allow_private)
    elif emails:
        config = email_config(emails, smtp or _secret(SMTP_ENV, "Mail server"), sender)
    else:
        config = service_config(_secret(SERVICE_ENV, "Address of the service"))
        require_service(config)
    if digest != "none" and not emails:
        raise UsageError("A digest is sent by e-mail.", "Give --digest with --email.")
    with opened_catalog(settings) as catalog:
        owner = found_workspace(catalog, workspace)
        channel_id = fresh_id()
        key = sealing_key(settings, catalog, make=True)()
        made = catalog.add_channel(
            owner.number,
            channel_id=channel_id,
            name=name,
            kind="webhook" if webhook else "email" if emails else "apprise",
            shown=shown(config),
            sealed=sealed(key, channel_id, config),
            digest=digest,  # type: ignore[arg-type]
            now_ms=now_ms(),
        )
        untold = len(catalog.untold(owner.number))
    told = _told(made, owner)
    if isinstance(config, WebhookConfig):
        told["secret"] = config.secret
    _print(told | ({"untold": untold} if as_json else {}), as_json)
    if untold and not as_json:
        are = "alert was" if untold == 1 else "alerts were"
        say("", f"{untold} {are} told to nobody, for there was no channel: headcount alert log")
        say("Tell each with: headcount alert resend ID")
    if isinstance(config, WebhookConfig) and not as_json:
        say("", "Keep the secret now: it cannot be shown again. Receivers verify posts with it.")


def _secret(variable: str, what: str) -> str:
    given = os.environ.get(variable)
    if given is None and sys.stdin.isatty():
        given = str(click.prompt(what, hide_input=True, err=True))
    if not given:
        raise UsageError(f"{what} is missing.", f"Set {variable} to it.")
    return given


def sealing_key(settings: Settings, catalog: Catalog, *, make: bool = False) -> Callable[[], bytes]:
    """Gives the key that channels are sealed under, which is made where there is none yet."""
    from headcount.cluster.channel_keys import channel_key
    from headcount.datafolder import DataFolder

    folder = DataFolder(settings.data)
    return lambda: channel_key(folder, settings.hash_key, catalog, make=make)


@channel.command(name="list", epilog="\b\nExample:\n  headcount channel list --json")
@workspace_option(required=False)
@settings_options("data")
@as_json_option
def list_(settings: Settings, workspace: str | None, as_json: bool) -> None:
    """List the channels."""
    found = listed(settings, workspace, lambda catalog, number: catalog.channels(number))
    if as_json:
        print_json([_told(each, owner) for owner, each in found])
        return
    print_table(
        ("name", "workspace", "how", "where to", "digest", "state"),
        [
            (each.name, owner.name, each.kind, each.shown, each.digest, _state(each))
            for owner, each in found
        ],
    )


@channel.command(epilog="\b\nExample:\n  headcount channel show ops")
@click.argument("name")
@workspace_option(required=False)
@settings_options("data")
@as_json_option
def show(settings: Settings, name: str, workspace: str | None, as_json: bool) -> None:
    """Show the channel NAME (an id or a name)."""
    with opened_catalog(settings) as catalog:
        owner, found = found_channel(catalog, name, workspace)
    _print(_told(found, owner), as_json)


@channel.command(epilog="\b\nExample:\n  headcount channel test ops")
@click.argument("name")
@workspace_option(required=False)
@settings_options("data", "hash_key")
@as_json_option
def test(settings: Settings, name: str, workspace: str | None, as_json: bool) -> None:
    """Tell the channel NAME that this is a test, and say what became of it."""
    from headcount.alerting.tell_channels import try_now, try_out

    with opened_catalog(settings) as catalog:
        owner, found = found_channel(catalog, name, workspace)
        new = try_out((owner.id, owner.name), found, "", now_ms())
        answer = try_now(catalog, sealing_key(settings, catalog), found, new, now_ms)
    if as_json:
        print_json({"taken": answer.taken, "status": answer.status or None, "said": answer.said})
    else:
        say(f"{found.name}: {answer.said.rstrip('.')}.")
    if not answer.taken:
        raise OperatorError(
            f'The channel "{found.name}" did not take the test.', "What it said stands above."
        )


@channel.command(
    epilog="""\b
Examples:
  headcount channel change team --digest daily
  headcount channel change ops --on
  headcount channel change ops --rotate-secret"""
)
@click.argument("name")
@workspace_option(required=False)
@click.option("--on/--off", "is_on", default=None, help="Tell it, or keep what is to be told.")
@click.option("--digest", type=_DIGESTS, help="How often it is sent a digest.")
@click.option(
    "--rotate-secret",
    is_flag=True,
    help="Sign a webhook with a new secret, and for a day with the former one as well.",
)
@settings_options("data", "hash_key")
@as_json_option
def change(
    settings: Settings,
    name: str,
    workspace: str | None,
    is_on: bool | None,
    digest: str | None,
    rotate_secret: bool,
    as_json: bool,
) -> None:
    """Change the channel NAME: on or off, its digest, or its secret."""
    from headcount.alerting.channels import rotated, sealed

    if is_on is None and digest is None and not rotate_secret:
        raise UsageError(
            "Nothing is to be changed.", "Give --on, --off, --digest or --rotate-secret."
        )
    with opened_catalog(settings) as catalog:
        owner, found = found_channel(catalog, name, workspace)
        changes: dict[str, Any] = {}
        if is_on is not None:
            changes |= {"state": "on" if is_on else "off", "said": ""}
        if digest is not None:
            if found.kind != "email" and digest != "none":
                raise UsageError("A digest is sent by e-mail.", "Name a channel that is e-mail.")
            changes["digest"] = digest
        secret = None
        if rotate_secret:
            key = sealing_key(settings, catalog)()
            config = rotated(key, found, now_ms() + _ROTATES_FOR_MS)
            changes["sealed"] = sealed(key, found.id, config)
            secret = config.secret
        told = _told(catalog.change_channel(found.number, now_ms(), **changes), owner)
    if secret is not None:
        told["secret"] = secret
    _print(told, as_json)


@channel.command(epilog="\b\nExample:\n  headcount channel remove ops")
@click.argument("name")
@workspace_option(required=False)
@settings_options("data")
@as_json_option
def remove(settings: Settings, name: str, workspace: str | None, as_json: bool) -> None:
    """Remove the channel NAME; what waits for it is told to nobody."""
    with opened_catalog(settings) as catalog:
        _, found = found_channel(catalog, name, workspace)
        catalog.change_channel(found.number, now_ms(), removed_at_ms=now_ms())
    if as_json:
        print_json({"id": found.id, "name": found.name, "removed": True})
    else:
        say(f"{found.name} is removed.")


def _state(channel: Channel) -> str:
    return f"gone: {channel.said}" if channel.state == "gone" else channel.state


def _told(channel: Channel, owner: Workspace) -> dict[str, Any]:
    return {
        "id": channel.id,
        "name": channel.name,
        "workspace": owner.name,
        "kind": channel.kind,
        "shown": channel.shown,
        "digest": channel.digest,
        "state": channel.state,
        "said": channel.said,
        "createdAt": moment_text(channel.created_at_ms),
    }


def _print(told: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(told)
        return
    words = {"kind": "how", "shown": "where to", "createdAt": "added"}
    print_record({words.get(name, name): str(each) for name, each in told.items() if each})
