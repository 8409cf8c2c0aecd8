"""Every promise in docs/promises.md names the tests that break with it, and they exist."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tidy.sources import ROOT, tracked_files

PAGE = ROOT / "docs/promises.md"
A_TEST = re.compile(r"`((?:server|sdk)/tests/[\w/]+\.py)::(\w+)`")
A_PROGRAM = re.compile(r"`(bench/\w+\.py)`")


def rows() -> Iterator[tuple[str, str]]:
    """Each row of the page's tables: the promise, and what shows it."""
    for line in PAGE.read_text("utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if line.startswith("|") and not line.startswith(("|--", "| promise")):
            yield cells[0], cells[-1]


@cache
def runnable_tests(path: str) -> frozenset[str]:
    """The names of a file's test functions, in classes too, without those that are switched off."""
    tree = ast.parse((ROOT / path).read_bytes())
    return frozenset(
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
        and not any("skip" in ast.unparse(each) for each in node.decorator_list)
    )


@pytest.mark.parametrize(("promise", "shown_by"), list(rows()))
def test_a_promise_is_held_by_a_test_or_measured_by_a_program(promise: str, shown_by: str) -> None:
    tests = A_TEST.findall(shown_by)
    programs = A_PROGRAM.findall(shown_by)
    assert tests or programs, f"nothing shows: {promise}"
    for path, name in tests:
        assert name in runnable_tests(path), f"{path}::{name} is no test that runs"
    for path in programs:
        assert Path(path) in tracked_files(), f"{path} is no program of the repository"


def test_the_page_promises_something_in_every_section() -> None:
    sections = re.split(r"^## ", PAGE.read_text("utf-8"), flags=re.M)[1:]
    assert len(sections) >= 5
    for section in sections:
        assert "| promise |" in section, section.partition("\n")[0]
    assert len(list(rows())) > 30
