"""Options that commands share: takes settings from the table, gives decorators.

A settings option arrives at its command as a field of one `Settings`, read by the one rule: flag,
then variable, then file.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import Any

import click

from headcount.config import SETTINGS, Settings
from headcount.counting.metrics import HEADLINES
from headcount.loading import load_settings
from headcount.terminal import say

__all__ = ["as_json_option", "query_options", "settings_options", "workspace_option"]

Command = Callable[..., Any]


def _say_warning(_settings: Settings, warning: str) -> None:
    say(f"Warning: {warning}")


def settings_options(
    *names: str, warn: Callable[[Settings, str], None] = _say_warning
) -> Callable[[Command], Command]:
    """Give a command the options of these settings, and `settings` as an argument.

    Args:
        names: fields of `Settings`; the others still come from variables and the file.
        warn: is told what is no setting.
    """

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def with_settings(config: str | None, **arguments: Any) -> Any:
            flags = {name: arguments.pop(name) for name in names}
            settings, warnings = load_settings(flags, os.environ, config)
            for warning in warnings:
                warn(settings, warning)
            return command(settings=settings, **arguments)

        decorated: Command = click.option(
            "--config",
            metavar="FILE",
            help="Settings file. [env: HEADCOUNT_CONFIG; default: headcount.toml, if there is one]",
        )(with_settings)
        for name in reversed(names):
            setting = SETTINGS[name]
            text = setting.default_text
            default = "" if text is None else f"; default: {text}"
            # What a switch was given as is text too, as from a variable or the file.
            kind: dict[str, Any] = (
                {"is_flag": True, "flag_value": "true", "default": None}
                if setting.is_switch
                else {"metavar": setting.metavar}
            )
            decorated = click.option(
                setting.flag,
                name,
                help=f"{setting.doc} [env: {setting.env}{default}]",
                **kind,
            )(decorated)
        return decorated

    return decorate


def workspace_option(*, required: bool = True) -> Callable[[Command], Command]:
    """Give a command `--workspace`, by id or name."""
    what = "Workspace, by id or name." if required else "Only this workspace, by id or name."
    return click.option("--workspace", "workspace", metavar="W", required=required, help=what)


def query_options(command: Command) -> Command:
    """Give a command `--by` and `--metric`: which rows of usage it is about."""
    choices = click.Choice([metric.option for metric in HEADLINES])
    of_metric = click.option("--metric", type=choices, help="Only this one. Default: all.")
    by = click.option(
        "--by",
        type=click.Choice(["workspace", "source"]),
        default="workspace",
        show_default=True,
        help="A row a day for the whole workspace, or one for each source.",
    )
    decorated: Command = by(of_metric(command))
    return decorated


as_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
"""Give a command `--json`, as the argument `as_json`."""
