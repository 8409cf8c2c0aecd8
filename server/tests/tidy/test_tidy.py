"""What keeps the repository tidy: documented, reachable, and free of one machine's traces."""

from __future__ import annotations

import importlib
import inspect
import os
import re
import subprocess
import sys
import types
from collections.abc import Iterator
from pathlib import Path

import pytest

from headcount.store.protocol import MeterStore
from support.program import environment
from tidy.sources import (
    ROOT,
    imported_names,
    module_name,
    python_files,
    text_of,
    tracked_files,
)

# Put together here, so that this file does not hold what it looks for.
FORBIDDEN = {
    "a package index": re.compile(
        "|".join(
            re.escape(".".join(parts))
            for parts in (
                ("pypi", "org"),
                ("files", "pythonhosted", "org"),
                ("registry", "npmjs", "org"),
                ("registry", "yarnpkg", "com"),
                ("deb", "debian", "org"),
                ("proxy", "golang", "org"),
            )
        )
    ),
    "a folder of one machine": re.compile(
        r"(?<![\w.~-])/(?:"
        + "|".join(("wo" + "rk", "ro" + "ot", r"home/[a-z]\w*", r"Users/\w+"))
        + ")/"
    ),
    "work left undone": re.compile(
        r"\b(?:" + "|".join(("TO" + "DO", "FIX" + "ME", "X" * 3)) + r")\b"
    ),
    "code left out": re.compile(r"\bNot" + r"ImplementedError\b"),
}

# Files that nobody imports because somebody runs them: by name, as scripts or with -m.
STARTED = {
    "server/src/headcount/__main__.py",
    "bench/__main__.py",
    # By the contest's own interpreter, by their names.
    "bench/contest/apps/clickhouse.py",
    "bench/contest/apps/postgres.py",
    "bench/contest/apps/redis.py",
    "scripts/damages.py",
    "scripts/pictures.py",
    "scripts/audit.py",
    "scripts/reference.py",
    "scripts/synchronous.py",
    "scripts/version.py",
    "server/tests/install/sandbox.py",
    "server/tests/drill/__main__.py",
    "server/tests/sim/__main__.py",
    "server/tests/moved_clock/sitecustomize.py",  # by Python itself
}
PICTURE_BYTES_MAX = 200_000
PACKAGES = ("server/src", "sdk/src")


def test_the_pages_about_commands_and_settings_say_what_the_program_says() -> None:
    finished = subprocess.run(
        [sys.executable, str(ROOT / "scripts/reference.py"), "--check"],
        capture_output=True, text=True, env=environment(),
    )  # fmt: skip
    assert finished.returncode == 0, finished.stderr


def test_every_command_option_and_setting_is_explained() -> None:
    """The pages are made of what the code says; here it has to say something."""
    commands = (ROOT / "docs/commands.md").read_text("utf-8")
    settings = (ROOT / "docs/settings.md").read_text("utf-8")
    for page in (commands, settings):
        assert not re.search(r"^- `[^`]+`:\s*(\[|Required|$)", page, re.M), (
            "an option without words"
        )
    sections = re.split(r"^## ", commands, flags=re.M)[1:]
    assert len(sections) > 20
    for section in sections:
        name, _, body = section.partition("\n")
        assert body.strip().strip("`").strip(), f"{name} is not explained"
        is_group = "```" not in body
        assert is_group or f"\n{name}" in body.partition("xample")[2], f"{name} has no example"


def test_links_in_the_documents_lead_somewhere_and_pictures_are_small() -> None:
    """Every relative link and picture of a Markdown file is a tracked file, or a folder of some."""
    tracked = {str(name) for name in tracked_files()}
    for name in map(Path, tracked):
        if name.suffix != ".md":
            continue
        text = re.sub(r"^```.*?^```", "", text_of(name) or "", flags=re.M | re.S)
        for link in re.findall(r'\]\(([^)#\s]+)[^)]*\)|(?:src|srcset)="([^"]+)"', text):
            target = "".join(link)
            if re.match(r"[a-z]+:", target):
                continue
            place = os.path.normpath(name.parent / target)
            assert any(each == place or each.startswith(f"{place}/") for each in tracked), (
                f"{name} links to {target}, which is not there"
            )
            if Path(place).suffix in (".png", ".svg"):
                assert (ROOT / place).stat().st_size < PICTURE_BYTES_MAX, target


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_tracked_file_holds(what: str) -> None:
    found = [
        f"{name}:{number}: {line.strip()[:100]}"
        for name in tracked_files()
        for number, line in enumerate((text_of(name) or "").splitlines(), 1)
        if FORBIDDEN[what].search(line)
    ]
    assert found == []


def test_every_python_file_is_imported_or_started_by_somebody() -> None:
    imported = {
        # Whoever imports a module imports the packages that it lies in.
        each.rsplit(".", levels)[0]
        for name in python_files()
        for each in imported_names(name)
        for levels in range(each.count(".") + 1)
    }
    started = {
        match
        for name in tracked_files()
        for match in re.findall(r"-m\W+([\w.]+\w)", text_of(name) or "")
    }
    unused = [
        str(name)
        for name in python_files()
        if module_name(name) not in imported | started
        and str(name) not in STARTED
        and not _found_by_name(name)
    ]
    assert unused == []


def _found_by_name(name: Path) -> bool:
    """Whether pytest finds a file, or a test runs the files of its folder one by one."""
    if name.name == "conftest.py":
        return True
    if "tests" not in name.parts:
        return False
    is_program = {"examples", "programs", "typing"} & set(name.parts)
    return name.name.startswith("test_") or bool(is_program)


def exported() -> Iterator[tuple[str, object]]:
    """Every class and function that a module of the two packages exports."""
    for name in python_files():
        if not str(name).startswith(PACKAGES) or name.name == "__main__.py":
            continue
        module = importlib.import_module(module_name(name))
        for each in getattr(module, "__all__", ()):
            value = getattr(module, each)
            if isinstance(value, type | types.FunctionType) and value.__module__ == module.__name__:
                yield f"{module.__name__}.{each}", value


def test_everything_exported_is_documented() -> None:
    bare = []
    for name, value in exported():
        if not _own_docstring(value):
            bare.append(name)
        if isinstance(value, type):
            bare.extend(
                f"{name}.{member}"
                for member, each in vars(value).items()
                if not member.startswith("_") and _is_code(each) and not _inherited(value, member)
                if not inspect.getdoc(each)
            )
    assert bare == []


def _own_docstring(value: object) -> bool:
    text = getattr(value, "__doc__", None)
    # What dataclasses and named tuples make up by themselves explains nothing.
    made_up = isinstance(value, type) and (text or "").startswith(f"{value.__name__}(")
    return bool(text) and not made_up


def _is_code(member: object) -> bool:
    return isinstance(member, types.FunctionType | property | classmethod | staticmethod)


def _inherited(owner: type, member: str) -> bool:
    return any(member in vars(base) for base in owner.__mro__[1:])


def test_every_module_says_what_it_is_for() -> None:
    bare = [
        str(name)
        for name in python_files()
        if (text := (text_of(name) or "").lstrip()) and not text.startswith(('"""', 'r"""', "#!"))
    ]
    assert bare == []


def test_one_factory_names_the_embedded_store() -> None:
    # Whoever opens it by its name would have to be changed for a second engine.
    may = {
        "server/src/headcount/store/opening.py",
        # What a cluster's partitions keep is of this engine too.
        "server/src/headcount/store/partition.py",
        "server/tests/unit/store/test_sqlite.py",
    }
    named = {
        str(name)
        for name in python_files()
        if "headcount.store.sqlite" in " ".join(imported_names(name))
    }
    assert named == may


def test_what_a_store_is_for_is_said_in_nine_verbs_at_most() -> None:
    # What an engine needs beside them is for a protocol of its own.
    said = [name for each in MeterStore.__mro__ for name, what in vars(each).items()
            if inspect.isfunction(what) and not name.startswith("_")]  # fmt: skip
    assert len(said) <= 9
