"""The page on privacy names all that a data folder may hold, and every command that erases."""

from __future__ import annotations

import re
from pathlib import Path

from headcount.cli.main import headcount
from headcount.counting.attributes import Attributes
from headcount.layout import DataFolder
from headcount.page.visits import SESSION_COOKIE
from headcount.spool.spool_key import spool_key_place
from headcount.wiring.erasing import ERASED_AFTER_DAYS
from tidy.sources import ROOT

PAGE = (ROOT / "docs/privacy.md").read_text("utf-8")


def kinds_of_files() -> set[str]:
    """The first name, below the folder, of each place that the layout knows."""
    folder = DataFolder(Path("/data"))
    places = [
        getattr(folder, name)
        for name, what in vars(DataFolder).items()
        if isinstance(what, property)
    ]
    inside = [place for place in places if isinstance(place, Path) and place != folder.path]
    inside.append(spool_key_place(folder, None))
    return {place.relative_to(folder.path).parts[0] for place in inside}


def test_every_kind_of_file_is_named() -> None:
    kinds = kinds_of_files()
    assert {"journals", "store.sqlite", "hash.key", "spool", "trash"} <= kinds
    assert {kind for kind in kinds if f"`{kind}" not in PAGE} == set()


def test_what_is_kept_of_a_message_besides_ids_is_named() -> None:
    words = {
        "library": "its library's name",
        "version": "and version",
        "type": "its type",
        "event": "name of a track's event",
        "bot": "a known bot's",
    }
    assert set(words) == set(Attributes._fields)
    kept = next(line for line in PAGE.splitlines() if line.startswith(f"| {words['type']}"))
    assert [each for each in words.values() if each not in kept] == []
    assert "`--no-event-names`" in kept


def test_wherever_anything_is_sent_is_named() -> None:
    leaving = PAGE.partition("## What leaves the machine")[2].partition("##")[0]
    places = ("forwards", "object store", "/metrics", "alert", "webhook", "mailbox", "cluster")
    assert [each for each in places if each not in leaving] == []


def test_every_command_that_is_named_is_there() -> None:
    named = re.findall(r"headcount ((?:[a-z][a-z-]*)(?: [a-z]+)?)", PAGE)
    assert {"forget", "rotate-hash-key", "workspace delete", "source delete"} <= {
        each if each in ("source delete", "workspace delete") else each.split()[0] for each in named
    }
    for each in named:
        command = headcount.commands.get(each.split()[0])
        assert command is not None, each
        if each.split()[0] in ("workspace", "source"):
            assert each.split()[1] in command.commands, each  # type: ignore[attr-defined]


def test_the_cookie_and_the_days_are_those_of_the_code() -> None:
    assert f"`{SESSION_COOKIE}`" in PAGE
    assert f"For {ERASED_AFTER_DAYS}\ndays" in PAGE
