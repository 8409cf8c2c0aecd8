"""What is locked to run is what the two distributions need to run, and nothing else."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[3]
REQUIREMENTS = ROOT / "requirements"
OURS = {"headcount": frozenset({"demo", "plot", "cluster"}), "headcount-client": frozenset[str]()}
SOURCES = {"headcount": ROOT / "server", "headcount-client": ROOT / "sdk"}


def locked(name: str) -> set[str]:
    """The distributions that a lock file names."""
    text = (REQUIREMENTS / name).read_text()
    return {canonicalize_name(each) for each in re.findall(r"^([\w.-]+)==", text, re.MULTILINE)}


def declared(name: str, extras: frozenset[str]) -> list[Requirement]:
    """What a distribution says that it needs with some extras, on any system.

    Raises:
        PackageNotFoundError: it is not installed.
    """
    if name in SOURCES:
        # As the tree says it, which may be newer than what was installed from it.
        project = tomllib.loads((SOURCES[name] / "pyproject.toml").read_text("utf-8"))["project"]
        of_extras = project["optional-dependencies"]
        lists = [project["dependencies"], *(of_extras[each] for each in sorted(extras))]
        return [Requirement(text) for texts in lists for text in texts]
    found = []
    for text in distribution(name).requires or []:
        requirement = Requirement(text)
        of_extra = re.search(r"extra\s*==\s*[\"']([^\"']+)", str(requirement.marker or ""))
        if of_extra is None or canonicalize_name(of_extra[1]) in extras:
            found.append(requirement)
    return found


def needs(name: str, extras: frozenset[str], *, here: bool) -> dict[str, frozenset[str]]:
    """What a distribution needs, and with which extras.

    Args:
        name: of the distribution.
        extras: those that are wanted of it.
        here: whether to leave out what only another system or Python needs.
    """
    try:
        requirements = declared(name, extras)
    except PackageNotFoundError:
        return {}  # for another system only
    found: dict[str, frozenset[str]] = {}
    for requirement in requirements:
        marker = requirement.marker
        if here and marker and not any(marker.evaluate({"extra": e}) for e in {"", *extras}):
            continue
        wanted = frozenset(map(canonicalize_name, requirement.extras))
        other = canonicalize_name(requirement.name)
        found[other] = found.get(other, frozenset()) | wanted
    return found


def closure(*, here: bool = False) -> dict[str, set[str]]:
    """All that is needed to run, each with what needs it."""
    known: dict[str, set[str]] = {}
    done: set[tuple[str, frozenset[str]]] = set()
    left = list(OURS.items())
    while left:
        if (step := left.pop()) in done:
            continue
        done.add(step)
        for name, extras in needs(*step, here=here).items():
            known.setdefault(name, set()).add(step[0])
            left.append((name, extras))
    return {name: by for name, by in known.items() if name not in OURS}


def test_nothing_is_locked_to_run_that_does_not_run() -> None:
    assert locked("run.txt") - closure().keys() == set()
    build = locked("build.txt")
    assert {"hatchling", "editables", "pluggy", "pathspec", "trove-classifiers"} <= build
    # What builds is not installed among what runs.
    assert build & locked("run.txt") == set()


def test_all_that_is_needed_is_locked() -> None:
    assert closure(here=True).keys() - locked("run.txt") == set()


def test_what_comes_along_is_named_with_what_brings_it() -> None:
    text = (REQUIREMENTS / "README.md").read_text()
    rows = dict(re.findall(r"^\| `([^`]+)` \| (.+?) \|$", text, re.MULTILINE))
    by = closure()
    direct = {name for name in locked("run.txt") if by[name] & OURS.keys()}
    assert rows.keys() == locked("run.txt") - direct
    for name, bringing in rows.items():
        assert set(re.findall(r"`([^`]+)`", bringing)) == by[name] & locked("run.txt"), name


def test_what_is_depended_on_by_its_inside_has_an_upper_bound() -> None:
    # uvicorn's protocol is built on, httptools is asked for a head a second time, the files of
    # prometheus-client are reserved in its form, and Litestar's next major version changes much.
    inside = {"uvicorn", "httptools", "prometheus-client", "litestar"}
    bounded = {
        requirement.name
        for requirement in declared("headcount", frozenset())
        if any(each.operator in ("<", "<=", "==", "~=") for each in requirement.specifier)
    }
    assert inside <= bounded
