"""Every kind of trouble is listed once, so that its series of metrics begins with zero."""

from __future__ import annotations

import ast

from headcount.troubles import KINDS
from tidy.sources import ROOT

# Where in the arguments of what says a trouble its kind stands.
_PLACES = {"begin": 0, "_tell_of": 0, "attempt": 0, "tell": 1, "Duty": 3}
# Made of a process's role or of what an import reads, as `Endings` and `CatalogHistory` do.
_ROLES = ("alert", "api", "forward", "intake", "meter", "mirror", "node", "partitions", "relay")
# And what a process of a cluster's node is for, as `step_until_stopped` is told.
_STEPS = {"cluster_counting", "cluster_mirror", "cluster_relay"}
_MADE = {"imports_months", "imports_tokens", *(f"{role}_ends" for role in _ROLES), *_STEPS}
_SOURCES = sorted((ROOT / "server/src/headcount").rglob("*.py"))


def constants_of(tree: ast.Module) -> dict[str, object]:
    """Names of a module to the constants that they stand for."""
    found: dict[str, object] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign):
            target = node.targets[0]
            pairs = (
                zip(target.elts, node.value.elts, strict=True)
                if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple)
                else [(target, node.value)]
            )
            for name, value in pairs:
                if isinstance(name, ast.Name) and isinstance(value, ast.Constant):
                    found[name.id] = value.value
    return found


def kinds_said() -> set[str]:
    trees = [ast.parse(path.read_text("utf-8")) for path in _SOURCES]
    everywhere: dict[str, object] = {}
    for tree in trees:
        everywhere |= constants_of(tree)
    found = set()
    for tree in trees:
        # A name of one file may stand for something else in another.
        named = everywhere | constants_of(tree)
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and (given := _kind_given(node)) is not None:
                said = named.get(given.id) if isinstance(given, ast.Name) else None
                if isinstance(given, ast.Constant):
                    said = given.value
                if isinstance(said, str):
                    found.add(said)
    return found


def _kind_given(call: ast.Call) -> ast.expr | None:
    """The argument of a call that names a kind of trouble, if it is such a call."""
    name = getattr(call.func, "attr", getattr(call.func, "id", ""))
    place = _PLACES.get(name)
    if place is None or len(call.args) <= place:
        return None
    told = {"begin": call.func, "tell": call.args[0]}.get(name)
    return None if told is not None and "troubles" not in ast.unparse(told) else call.args[place]


def test_every_kind_that_is_said_is_listed_and_no_other() -> None:
    assert kinds_said() == KINDS - _MADE
