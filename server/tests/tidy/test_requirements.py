"""What is locked to run is what the two distributions need to run, and nothing else."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[3]
REQUIREMENTS = ROOT / "requirements"
OURS = {"headcount": frozenset({"demo"}), "segment-public-api": frozenset[str]()}


def locked(name: str) -> set[str]:
    """The distributions that a lock file names."""
    text = (REQUIREMENTS / name).read_text()
    return {canonicalize_name(each) for each in re.findall(r"^([\w.-]+)==", text, re.MULTILINE)}


def needs(name: str, extras: frozenset[str]) -> dict[str, frozenset[str]]:
    """What a distribution needs on some system, and with which extras; nothing if not installed."""
    try:
        requirements = distribution(name).requires or []
    except PackageNotFoundError:
        return {}  # for another system only
    found: dict[str, frozenset[str]] = {}
    for text in requirements:
        requirement = Requirement(text)
        of_extra = re.search(r"extra\s*==\s*[\"']([^\"']+)", str(requirement.marker or ""))
        if of_extra is None or canonicalize_name(of_extra[1]) in extras:
            wanted = frozenset(map(canonicalize_name, requirement.extras))
            other = canonicalize_name(requirement.name)
            found[other] = found.get(other, frozenset()) | wanted
    return found


def closure() -> dict[str, set[str]]:
    """All that is needed to run, each with what needs it."""
    known: dict[str, set[str]] = {}
    done: set[tuple[str, frozenset[str]]] = set()
    left = list(OURS.items())
    while left:
        if (step := left.pop()) in done:
            continue
        done.add(step)
        for name, extras in needs(*step).items():
            known.setdefault(name, set()).add(step[0])
            left.append((name, extras))
    return {name: by for name, by in known.items() if name not in OURS}


def test_nothing_is_locked_to_run_that_does_not_run() -> None:
    assert locked("run.txt") - closure().keys() == set()
    build = locked("build.txt")
    assert {"hatchling", "editables", "pluggy", "pathspec", "trove-classifiers"} <= build
    assert build & locked("run.txt") == set()


def test_all_that_is_needed_is_locked() -> None:
    # What is needed by an older Python, or by none of those that are installed, may be left out.
    from packaging.markers import default_environment

    needed = set()
    for name, by in closure().items():
        for other in by:
            for text in distribution(other).requires or []:
                requirement = Requirement(text)
                if canonicalize_name(requirement.name) == name and (
                    requirement.marker is None
                    or requirement.marker.evaluate({**default_environment(), "extra": "demo"})
                ):
                    needed.add(name)
    assert needed - locked("run.txt") == set()


def test_what_comes_along_is_named_with_what_brings_it() -> None:
    text = (REQUIREMENTS / "README.md").read_text()
    rows = dict(re.findall(r"^\| `([^`]+)` \| (.+?) \|$", text, re.MULTILINE))
    by = closure()
    direct = {name for name in locked("run.txt") if by[name] & OURS.keys()}
    assert rows.keys() == locked("run.txt") - direct
    for name, bringing in rows.items():
        assert set(re.findall(r"`([^`]+)`", bringing)) == by[name] & locked("run.txt"), name
