"""Every kind of trouble is listed once, so that its series of metrics begins with zero."""

from __future__ import annotations

import ast

from headcount.troubles import KINDS
from tidy.sources import ROOT

# Where in the arguments of what says a trouble its kind stands.
_PLACES = {"begin": 0, "_tell_of": 0, "tell": 1, "Duty": 3}
# Made of a process's role or of what an import reads, as `Endings` and `CatalogHistory` do.
_MADE = {"api_ends", "forward_ends", "intake_ends", "meter_ends", "imports_months",
         "imports_tokens"}  # fmt: skip
_SOURCES = sorted((ROOT / "server/src/headcount").rglob("*.py"))


def kinds_said() -> set[str]:
    trees = [ast.parse(path.read_text("utf-8")) for path in _SOURCES]
    constants = {
        target.id: node.value.value
        for tree in trees
        for node in tree.body
        if isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    found = set()
    for tree in trees:
        # A name of one file may stand for something else in another.
        own = {
            node.targets[0].id: node.value.value
            for node in tree.body
            if isinstance(node, ast.Assign)
            and isinstance(node.targets[0], ast.Name)
            and isinstance(node.value, ast.Constant)
        }
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call):
                continue
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            of_troubles = name != "begin" or "troubles" in ast.unparse(node.func)
            if name not in _PLACES or not of_troubles or len(node.args) <= _PLACES[name]:
                continue
            given = node.args[_PLACES[name]]
            if isinstance(given, ast.Name):
                said = own.get(given.id, constants.get(given.id))
            else:
                said = given.value if isinstance(given, ast.Constant) else None
            if isinstance(said, str) and said.isidentifier():
                found.add(said)
    return found


def test_every_kind_that_is_said_is_listed_and_no_other() -> None:
    assert kinds_said() == KINDS - _MADE
