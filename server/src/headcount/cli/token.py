"""`headcount token`: makes, lists and revokes the API tokens that read usage."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import click

from headcount.cli.addresses import api_url
from headcount.cli.expiry import EXPIRES_HELP, expiry_ms
from headcount.cli.lookup import found_workspace, listed, opened_catalog, selected_workspaces
from headcount.cli.options import as_json_option, settings_options, workspace_option
from headcount.clock import now_ms
from headcount.errors import UsageError
from headcount.terminal import moment_text, print_json, print_record, print_table, say

if TYPE_CHECKING:
    from headcount.catalog import Scope, Token, Workspace
    from headcount.config import Settings

__all__ = ["token"]


@click.group()
def token() -> None:
    """Make and revoke API tokens.

    A token reads the usage of one workspace. Changes reach a running server within a second.
    """


@token.command(
    epilog="""\b
Examples:
  headcount token add --workspace Shop
  headcount token add --workspace Shop --scope admin --expires 30d
  headcount token add --workspace Shop --expires 2027-01-01 --json"""
)
@workspace_option()
@click.option(
    "--scope",
    type=click.Choice(["read", "admin"]),
    default="read",
    show_default=True,
    help="read: usage. admin: also sources, tokens, and messages of past days.",
)
@click.option(
    "--expires",
    metavar="WHEN",
    help=EXPIRES_HELP.format("token"),
)
@settings_options("data")
@as_json_option
def add(settings: Settings, workspace: str, scope: str, expires: str | None, as_json: bool) -> None:
    """Make an API token and print it, once: only its hash is kept."""
    made_at_ms = now_ms()
    expires_at_ms = None if expires is None else expiry_ms(expires, made_at_ms)
    with opened_catalog(settings) as catalog:
        owner = found_workspace(catalog, workspace)
        made, secret = catalog.add_token(
            owner.number, cast("Scope", scope), made_at_ms, expires_at_ms
        )
    if as_json:
        print_json({"id": made.id, "token": secret})
        return
    print_record(
        {
            "id": made.id,
            "token": secret,
            "scope": made.scope,
            "expires": moment_text(made.expires_at_ms) or "never",
        }
    )
    say(
        "",
        "Keep the token now: it cannot be shown again.",
        f'Try: curl -H "Authorization: Bearer TOKEN" "{api_url(settings)}/usage/mtu/daily'
        f'?period={(moment_text(made_at_ms) or "")[:10]}"',
    )


@token.command(
    name="list",
    epilog="""\b
Example:
  headcount token list --workspace Shop --json""",
)
@workspace_option(required=False)
@settings_options("data")
@as_json_option
def list_(settings: Settings, workspace: str | None, as_json: bool) -> None:
    """List tokens, without their secrets."""
    found = listed(settings, workspace, lambda catalog, number: catalog.tokens(number))
    if as_json:
        print_json([_as_data(owner, each) for owner, each in found])
    elif found:
        print_table(
            ("id", "workspace", "scope", "created", "expires", "state"),
            [
                (
                    each.id,
                    owner.name,
                    each.scope,
                    moment_text(each.created_at_ms) or "",
                    moment_text(each.expires_at_ms) or "never",
                    _state(each),
                )
                for owner, each in found
            ],
        )
    else:
        say("There is no token yet. Make one with: headcount token add --workspace W")


@token.command(
    epilog="""\b
Example:
  headcount token revoke 4tTYPSxYMXbmpRjOGrFdhe"""
)
@click.argument("token_id", metavar="ID")
@workspace_option(required=False)
@settings_options("data")
@as_json_option
def revoke(settings: Settings, token_id: str, workspace: str | None, as_json: bool) -> None:
    """Revoke the token of that ID, for ever."""
    with opened_catalog(settings) as catalog:
        for owner in selected_workspaces(catalog, workspace):
            revoked = catalog.revoke_token(owner.number, token_id, now_ms())
            if revoked is not None:
                break
        else:
            raise UsageError(f'There is no token "{token_id}".', "See `headcount token list`.")
    if as_json:
        print_json(_as_data(owner, revoked))
    else:
        print_record({"id": revoked.id, "revoked": moment_text(revoked.revoked_at_ms) or ""})


def _as_data(owner: Workspace, token: Token) -> dict[str, str | None]:
    return {
        "id": token.id,
        "workspaceId": owner.id,
        "scope": token.scope,
        "state": _state(token),
        "createdAt": moment_text(token.created_at_ms),
        "expiresAt": moment_text(token.expires_at_ms),
        "revokedAt": moment_text(token.revoked_at_ms),
    }


def _state(token: Token) -> str:
    if token.revoked_at_ms is not None:
        return "revoked"
    return "valid" if token.valid_at(now_ms()) else "expired"
