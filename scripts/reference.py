"""Writes docs/commands.md and docs/settings.md out of the program itself.

Takes nothing, or `--check` to write nothing and end with status 1 if either file says something
else than the program. What a command or setting is for stands in the code alone, so the help of
the program and these pages cannot disagree.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from headcount.cli.main import headcount
from headcount.config import CONFIG_ENV, SETTINGS, TOKEN_ENV, Setting

__all__ = ["commands_page", "main", "settings_page"]

DOCS = Path(__file__).parent.parent / "docs"

COMMANDS_INTRO = f"""\
# Commands

Every command, with its options and examples; `headcount COMMAND --help` says the same. (This page
is written by `scripts/reference.py`.)

- Data goes to standard output, everything else to standard error. Progress bars show in terminals
  only; `NO_COLOR` switches colours off.
- `--json` prints data for programs.
- Exit status: 0 done; 1 it could not be done, or not all of it; 2 it was asked for in a way that
  cannot be; 130 ended by Ctrl-C. An error is one line that says what is wrong and what to do; one
  about how a command was written comes with a line on how to ask for its help.
- Most options may also be variables or stand in a file: see [settings](settings.md).
- `usage`, `export` and `tail` read over HTTP with an API token, as any other program would, and
  never look into a data folder for counts. Which server they ask is decided in this order:
  `--host`, `HEADCOUNT_HOST` or `host` in the settings file; the server that runs on the data
  folder; the API address of the settings. The token is taken from `--token-file`, else from the
  variable `{TOKEN_ENV}`, else from `HEADCOUNT_TOKEN_FILE` or `token_file` in the settings file.
  `--host us` and `--host eu` read Segment's own usage.
- Shells complete commands and options: see [completion](#headcount-completion).
"""

SETTINGS_INTRO = f"""\
# Settings

Every setting is a flag of the commands that need it, a variable, and a key of the settings file:
a flag goes before a variable, a variable before the file. (This page is written by
`scripts/reference.py`.)

The settings file is `headcount.toml` in the working folder, or the one that `--config` or
`{CONFIG_ENV}` names. In it, paths are taken from where it lies:

```toml
data = "/var/lib/headcount"
tracking = "0.0.0.0:8080"
trusted_proxies = "10.0.0.5"
workers = 4
```

An API token itself is not a setting, so that none stands in a file that others read: commands take
it from a file of its own or from the variable `{TOKEN_ENV}`.
"""


def commands_page() -> str:
    """docs/commands.md."""
    parts = [COMMANDS_INTRO]
    with click.Context(headcount, info_name="headcount") as context:
        for name, command in headcount.commands.items():
            parts.extend(_command(command, context, name))
    return "\n".join(parts)


def settings_page() -> str:
    """docs/settings.md."""
    server = [each for each in SETTINGS.values() if not each.reading]
    reading = [each for each in SETTINGS.values() if each.reading]
    parts = [SETTINGS_INTRO, "## The server\n", *map(_setting, server)]
    return "\n".join([*parts, "## Reading usage\n", *map(_setting, reading)])


def _command(command: click.Command, parent: click.Context, name: str) -> Iterator[str]:
    with click.Context(command, info_name=name, parent=parent) as context:
        path = context.command_path
        yield f"## {path}\n"
        if isinstance(command, click.Group):
            yield f"{_prose(command.help)}\n"
            for child_name, child in command.commands.items():
                yield from _command(child, context, child_name)
            return
        yield f"```\n{path} {' '.join(command.collect_usage_pieces(context))}\n```\n"
        yield f"{_prose(command.help)}\n"
        for parameter in command.get_params(context):
            if isinstance(parameter, click.Option) and "--help" not in parameter.opts:
                yield f"- `{_shape(parameter, context)}`: {_meaning(parameter)}"
        yield f"\n{_examples(command.epilog)}\n"


def _shape(option: click.Option, context: click.Context) -> str:
    name = ", ".join([*option.opts, *option.secondary_opts])
    return name if option.is_flag else f"{name} {option.make_metavar(context)}"


def _meaning(option: click.Option) -> str:
    words = (option.help or "").strip()
    if option.show_default and option.default is not None:
        words += f" Default: {option.default}."
    return words + (" Required." if option.required else "")


def _prose(text: str | None) -> str:
    return inspect.cleandoc(text or "").replace("\b\n", "")


def _examples(epilog: str | None) -> str:
    """An epilog, its indented lines as blocks of code."""
    text = _prose(epilog)
    blocks = re.sub(
        r"((?:^  .*\n?)+)", lambda match: f"\n```\n{match[1].rstrip()}\n```\n", text, flags=re.M
    )
    return re.sub(r"\n{3,}", "\n\n", re.sub(r"^  (?=\S)", "", blocks, flags=re.M)).strip()


def _setting(setting: Setting) -> str:
    lines = [f"### {setting.name}\n", f"{setting.doc}\n"]
    lines.append(f"- Flag: `{f'{setting.flag} {setting.metavar}'.rstrip()}`")
    lines.append(f"- Variable: `{setting.env}`")
    if setting.default_text is not None:
        lines.append(f"- Default: `{setting.default_text}`")
    return "\n".join(lines) + "\n"


def main(arguments: list[str]) -> int:
    """Write both pages, or compare them.

    Returns:
        The exit status.
    """
    status = 0
    for name, text in (("commands.md", commands_page()), ("settings.md", settings_page())):
        page = DOCS / name
        if "--check" not in arguments:
            page.write_text(text, "utf-8")
        elif not page.exists() or page.read_text("utf-8") != text:
            status = 1
            sys.stderr.write(f"{page.name} is out of date; run: python scripts/reference.py\n")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
