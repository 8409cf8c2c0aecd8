"""`headcount demo`: shows the whole way of a message, with real parts."""

from __future__ import annotations

import click

from headcount.cli.client import check_client

__all__ = ["demo"]


@click.command(
    epilog="""\b
Examples:
  headcount demo
  headcount demo --check"""
)
@click.option("--check", is_flag=True, help="Compare usage with what was sent, and stop.")
def demo(check: bool) -> int:
    """Count a month and a half of made traffic, and keep serving until Ctrl-C.

    Starts a server on a temporary folder, imports past messages, posts live ones with a real
    tracking SDK, prints usage read with segment_public_api, and says what to try next.

    With --check it exits with status 0 if every count is right, else 1.
    """
    check_client()
    from headcount.demo.command import run_demo

    return run_demo(check)
