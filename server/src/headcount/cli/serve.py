"""`headcount serve`: hands the settings to the server and its exit status back."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

import click

from headcount import __version__
from headcount.cli.options import as_json_option, settings_options
from headcount.config import SETTINGS
from headcount.errors import OperatorError
from headcount.terminal import print_json_line, print_record

if TYPE_CHECKING:
    from headcount.config import Settings
    from headcount.wiring.supervisor import Listening

__all__ = ["serve"]

_log = logging.getLogger("headcount")


def _warn(settings: Settings, warning: str) -> None:
    """Say what is no setting as a line of the server's log."""
    from headcount.logs import log_to_stderr

    log_to_stderr("supervisor", settings.log_format)
    _log.warning("%s", warning)


@click.command(
    epilog="""\b
Examples:
  headcount serve
  headcount serve --data /var/lib/headcount --workers 4
  headcount serve --tracking 0.0.0.0:443 --tls-cert chain.pem --tls-key key.pem

Every option may also stand in headcount.toml, for instance: workers = 4"""
)
@settings_options(*(name for name, setting in SETTINGS.items() if not setting.reading), warn=_warn)
@as_json_option
def serve(settings: Settings, as_json: bool) -> int:
    """Take messages from tracking SDKs, count them, and answer usage.

    Says on standard output where it listens, once it is ready. Ctrl-C or SIGTERM lets it finish
    what is in flight and end with status 0; a second one ends it at once.
    """
    from headcount.logs import log_to_stderr
    from headcount.wiring.hosting import check_library
    from headcount.wiring.supervisor import serve as run

    log_to_stderr("supervisor", settings.log_format)

    def announce(listening: Listening) -> None:
        if as_json:
            print_json_line({"tracking": listening.tracking, "api": listening.api})
        else:
            print_record(
                {
                    "headcount": f"{__version__}, ready",
                    "tracking": f"{listening.tracking}/v1/track and the like",
                    "usage": f"{listening.api}/usage/mtu/daily and the like; see /docs",
                    "page": f"{listening.api}/",
                }
            )
        sys.stdout.flush()

    try:
        check_library(settings)
        return run(settings, announce)
    except OperatorError as error:
        # As a line of its log: whoever collects that wants to know why a server did not start.
        _log.error("%s", f"{error.problem} {error.remedy}".strip())
        return error.exit_status
