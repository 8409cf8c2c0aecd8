"""The files of the repository: takes nothing, gives what git tracks and what imports what."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

__all__ = ["ROOT", "imported_names", "module_name", "python_files", "text_of", "tracked_files"]

ROOT = Path(__file__).parents[3]

PACKAGE_FOLDERS = (
    "server/src", "server/tests", "sdk/src", "sdk/tests", "scripts", ".",
)  # fmt: skip
"""Folders from which modules are imported, the most particular ones first."""

_IMPORTED_LATE = re.compile(r"([a-z_]+(?:\.[a-z_]+)+):[a-z_]+")


@cache
def tracked_files() -> tuple[Path, ...]:
    """Every file that git tracks and that is there, relative to the root."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True
    ).stdout
    names = [Path(name) for name in listed.split("\0") if name]
    return tuple(name for name in names if (ROOT / name).is_file())


def text_of(name: Path) -> str | None:
    """The text of a file; None of one that holds no text."""
    try:
        return (ROOT / name).read_text("utf-8")
    except UnicodeDecodeError:
        return None


def python_files() -> list[Path]:
    """Every tracked Python file."""
    return [name for name in tracked_files() if name.suffix == ".py"]


def module_name(name: Path) -> str:
    """How a Python file is imported."""
    for folder in PACKAGE_FOLDERS:
        if name.is_relative_to(folder):
            parts = list(name.relative_to(folder).with_suffix("").parts)
            return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    raise AssertionError(f"{name} lies in no folder")


def imported_names(name: Path) -> Iterator[str]:
    """Every module, or name in a module, that a file imports, at its top or inside of functions, or
    is told to import by a text such as `module:attribute`."""
    package = module_name(name).split(".")
    if name.name != "__init__.py":
        package = package[:-1]
    for node in ast.walk(ast.parse((ROOT / name).read_bytes())):
        if isinstance(node, ast.Import):
            for each in node.names:
                yield each.name
        elif isinstance(node, ast.ImportFrom):
            # One dot is the package itself, each further one its parent.
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield module
            for each in node.names:
                yield f"{module}.{each.name}"
        elif (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and (found := _IMPORTED_LATE.fullmatch(node.value))
        ):
            yield found[1]
