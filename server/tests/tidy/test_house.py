"""One name, one thing; nothing longer than one reads at once; and every test in its room."""

from __future__ import annotations

import ast
import re
import tomllib
from collections import defaultdict
from pathlib import Path

from headcount.layout import DataFolder
from tidy.sources import ROOT, imported_names, python_files, text_of

SERVER = "server/src/headcount"
SOURCES = (SERVER, "sdk/src/segment_public_api")
LINES_A_FILE_MAX = 400
LINES_A_FUNCTION_MAX = 70

# The documented client takes its settings so, one parameter for each, and explains them there.
LONG_FUNCTIONS = {"sdk/src/segment_public_api/configuration.py:__init__"}

# What stands in several rooms and is one thing there, as each room has it.
SAME_THING = {
    "alerts": "what people are told of",
    "app": "the application that a room serves",
    "aside": "messages that are kept aside",
    "backlog": "what waits to be counted",
    "channels": "how people are told",
    "clock": "the time, and doctor's look at it",
    "cluster": "the cluster, by command and over the API",
    "counts": "the counts of a month, as stored and as checked",
    "files": "the files of a backup, of a store",
    "folder": "the data folder",
    "identity": "which parts belong to a folder",
    "journals": "the journals, as doctor checks and repairs them",
    "libraries": "which tracking libraries sent messages",
    "links": "links to views that need no token",
    "keys": "keys of messages and tracked ids",
    "memory": "the meter's memory",
    "merging": "merging runs of keys",
    "meter": "the meter, and its process",
    "telemetry": "what a process tells Prometheus",
    "opening": "opening a store, or a database",
    "parts": "the parts of a data folder",
    "plans": "what plans include in a month",
    "routes": "the paths that an application answers",
    "schema": "the tables of a database",
    "sealing": "closing a month",
    "sources": "the sources of a workspace",
    "sqlite": "what is kept in SQLite",
    "tables": "the tables of the store",
    "troubles": "what hinders a server",
    "usage": "counts of a month",
    "view": "a database as it is at one moment",
    "workspace": "a workspace",
}


def sources(*roots: str) -> list[Path]:
    return [name for name in python_files() if str(name).startswith(roots)]


def tree_of(name: Path) -> ast.Module:
    return ast.parse(text_of(name) or "")


def test_no_file_is_longer_than_one_reads_at_once() -> None:
    lengths = {str(name): (text_of(name) or "").count("\n") for name in sources(*SOURCES)}
    assert {name: each for name, each in lengths.items() if each > LINES_A_FILE_MAX} == {}


def test_no_function_is_longer_than_one_reads_at_once() -> None:
    found = {
        f"{name}:{node.name}": node.end_lineno - node.lineno + 1
        for name in sources(*SOURCES)
        for node in ast.walk(tree_of(name))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None
    }
    long = {name: lines for name, lines in found.items() if lines > LINES_A_FUNCTION_MAX}
    assert set(long) - LONG_FUNCTIONS == set(), long


def test_no_class_of_the_server_has_the_name_of_another() -> None:
    places = defaultdict(list)
    for name in sources(SERVER):
        for node in tree_of(name).body:
            if isinstance(node, ast.ClassDef):
                places[node.name].append(str(name))
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


def test_a_file_is_named_as_another_only_where_both_are_about_one_thing() -> None:
    places = defaultdict(list)
    for name in sources(SERVER):
        if not name.stem.startswith("__"):
            places[name.stem].append(str(name))
    twice = {name: found for name, found in places.items() if len(found) > 1}
    assert {name: found for name, found in twice.items() if name not in SAME_THING} == {}
    assert SAME_THING.keys() - twice.keys() == set(), "these stand once by now"


TESTS = "server/tests"
# Rooms whose tests alone use what lies in them; everybody else finds support in its own room.
ROOMS = {
    "unit",
    "contract",
    "wire",
    "commands",
    "serving",
    "processes",
    "attack",
    "browser",
    "clients",
    "install",
}
STARTING_PROGRAMS = ("subprocess", "support.program", "support.server_fixture")


def test_tests_take_what_they_are_made_with_from_their_own_room_or_from_support() -> None:
    found = [
        f"{name} imports {each}"
        for name in sources(TESTS)
        for each in imported_names(name)
        if each.partition(".")[0] in ROOMS - {name.relative_to(TESTS).parts[0]}
    ]
    assert found == []


def test_no_unit_test_starts_a_program_and_no_contract_is_of_the_wire() -> None:
    found = [
        f"{name} imports {each}"
        for room in ("unit", "contract")
        for name in sources(f"{TESTS}/{room}")
        for each in imported_names(name)
        if each.startswith(STARTING_PROGRAMS)
    ]
    assert found == []


def test_what_a_room_says_is_in_it_is_there() -> None:
    gone = []
    for name in sources(SERVER):
        doc = ast.get_docstring(tree_of(name), clean=False) if name.stem == "__init__" else None
        for line in (doc or "").splitlines():
            if found := re.match(r" {0,4}([a-z_0-9]+(?:, [a-z_0-9]+)*) {2,}\S", line):
                for each in found[1].split(", "):
                    place = ROOT / name.parent / each
                    if not (place.with_suffix(".py").exists() or place.is_dir()):
                        gone.append(str(name.parent / each))
    assert gone == []


# Rooms that a contract does not name, since it is about them, and files that may know rooms.
NOT_NAMED = {
    "The server's layers point one way": {"openapi", "sqlite"},
    "Only the command line and its demo know the client, and the client knows nothing of the"
    " server": {"cli", "demo", "reconciling"},
    "One factory knows which store there is": {"store"},
    "What every process may use knows nothing of any": {
        "__init__", "__main__", "datafolder", "integrity",
    },
}  # fmt: skip


def test_contracts_name_every_room() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    contracts = {each["name"]: each for each in project["tool"]["importlinter"]["contracts"]}
    files = [name.relative_to(SERVER) for name in sources(SERVER)]
    rooms = {name.parts[0] for name in files if len(name.parts) > 1}
    beside = {name.stem for name in files if len(name.parts) == 1}
    for contract, without in NOT_NAMED.items():
        told = contracts[contract]
        listed = told.get("layers") or told["source_modules"]
        named = {each.strip().split(".")[1] for line in listed for each in line.split("|")}
        wanted = beside if contract.startswith("What every process") else rooms
        assert wanted - without - named == set(), contract


def test_only_the_layout_names_places_in_a_data_folder() -> None:
    layout = DataFolder(Path())
    of_folder = vars(DataFolder).items()
    made = [getattr(layout, name) for name, each in of_folder if isinstance(each, property)]
    places = {each.name for each in made if isinstance(each, Path)}
    found = [
        f"{name}:{node.lineno} {end}"
        for name in sources(SERVER)
        if name.name != "layout.py"
        for node in ast.walk(tree_of(name))
        for each in ([node.right] if isinstance(node, ast.BinOp) else [node])
        if isinstance(each, ast.Constant) and isinstance(each.value, str)
        for end in [each.value.rpartition("/")[2]]
        # Examples of commands name files anywhere.
        if end in places and "\n" not in each.value and (each is not node or "." in end)
    ]
    assert found == []


# What is made in one place, by what it is known, and where.
MADE_ONCE = {
    re.compile(r"</[a-z][a-z0-9]*>"): set(),  # HTML: in templates, which escape what they are given
    re.compile("%B %Y"): {"wording.py"},
    re.compile("%Y-%m-%dT"): {"counting/calendar.py", "logs.py"},  # a record's time is its own
}


def test_pages_and_moments_are_made_in_one_way() -> None:
    for made, places in MADE_ONCE.items():
        found = {
            str(name.relative_to(SERVER))
            for name in sources(SERVER)
            for node in ast.walk(tree_of(name))
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
            if made.search(node.value)
        }
        assert found == places
