"""What documents tell people to run exists: commands, their options, variables and programs."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from headcount.cli.main import headcount
from headcount.config import Settings
from tidy.sources import python_files, text_of, tracked_files

PAGES = [
    name
    for name in tracked_files()
    if name.suffix == ".md" and name.parts[0] in ("docs", "README.md")
]
CLUSTER = Path("docs/cluster.md")
# Of the programs of NATS and of systemd, which the page runs too.
OTHERS = {"--name", "--now"}
VARIABLE = r"\bHEADCOUNT_[A-Z_]*[A-Z]\b"


def pieces_of_code(text: str) -> Iterator[str]:
    """Lines of blocks, those that go on joined, and what stands between backticks in prose."""
    prose = re.sub(r"^ *```.*?^ *```", "", text, flags=re.M | re.S)
    for block in re.findall(r"^ *```\w*\n(.*?)^ *```", text, re.M | re.S):
        yield from block.replace("\\\n", " ").splitlines()
    for inline in re.findall(r"`([^`]+)`", prose):
        yield " ".join(inline.split())


def commands(text: str) -> Iterator[str]:
    """What is run of the program: its words behind `headcount`, up to where a shell ends them."""
    for piece in pieces_of_code(text):
        piece = re.sub(r"\$\(.*?\)", "", piece)
        before = r"(?:^|[\s/\"(=])"
        for found in re.finditer(
            rf"{before}headcount (?!headcount)([a-z][a-z-]*\b[^;&|\n#]*)", piece
        ):
            yield " ".join(found[1].partition(" headcount ")[0].split())


def unknown(said: str) -> str | None:
    """What a command line names that the program has not."""
    command: click.Command = headcount
    words = said.split()
    while words and isinstance(command, click.Group):
        if words[0].startswith("-"):
            break
        found = command.commands.get(words.pop(0).strip("\"'`,.:"))
        if found is None:
            return said
        command = found
    with click.Context(command) as context:
        options = {
            name for each in command.get_params(context) for name in each.opts + each.secondary_opts
        }
    named = {re.split(r"[=\]\"',)]", word.lstrip("["))[0] for word in words}
    missing = {name for name in named if re.match(r"--?[a-z]", name)} - options
    return f"{said}: {missing}" if missing else None


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_command_and_option_exists(page: Path) -> None:
    assert [each for each in map(unknown, commands(text_of(page) or "")) if each] == []


def variables_that_are_read() -> set[str]:
    """Settings, and what the sources name themselves."""
    ours = (text_of(each) or "" for each in python_files() if "src" in each.parts)
    named = {name for text in ours for name in re.findall(VARIABLE, text)}
    return named | {f"HEADCOUNT_{name.upper()}" for name in Settings.__dataclass_fields__}


def test_every_variable_is_read() -> None:
    named = {name for page in PAGES for name in re.findall(VARIABLE, text_of(page) or "")}
    assert {"HEADCOUNT_CLUSTER", "HEADCOUNT_NODE"} <= named
    assert named - variables_that_are_read() == set()


def options_of(command: click.Command) -> set[str]:
    """Its own, and those of all below it."""
    below = command.commands.values() if isinstance(command, click.Group) else ()
    own = {name for each in command.params for name in (*each.opts, *each.secondary_opts)}
    return own.union(*map(options_of, below))


def test_what_the_page_about_clusters_runs_is_there() -> None:
    text = text_of(CLUSTER) or ""
    found = list(commands(text))
    for each in ("init", "join", "status", "move", "takeover", "retire"):
        assert any(said.startswith(f"cluster {each}") for said in found), each
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text))
    assert named - options_of(headcount) - OTHERS == set()
    modules = re.findall(r"python -m ([\w.]+)", text)
    assert modules
    assert [each for each in modules if importlib.util.find_spec(each) is None] == []


def test_what_does_not_exist_is_seen() -> None:
    text = "```sh\nheadcount cluster init \\\n  --no-such 1\n```\nand `headcount clusters status`."
    assert [unknown(each) for each in commands(text)] == [
        "cluster init --no-such 1: {'--no-such'}",
        "clusters status",
    ]
