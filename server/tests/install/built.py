"""Builds wheels and source distributions of the tree, and environments that hold them."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from support.program import environment
from tidy.sources import ROOT

__all__ = ["OTHERS", "PROJECTS", "Built", "build", "environment_with", "ran", "wheel_of"]

PROJECTS = {"headcount_client": ROOT / "sdk", "headcount": ROOT / "server"}
"""The name in a wheel's file name, and where the project is."""

OTHERS = {"PYTHONWARNINGS": "default"}
"""For programs that are not ours: their warnings are theirs."""

BUILD = Path(sys.prefix) / "build"


@dataclass(frozen=True)
class Built:
    """Files of both projects, by the names of `PROJECTS`."""

    wheels: dict[str, Path]
    sources: dict[str, Path]


def ran(command: Sequence[str | Path], cwd: Path, **extra: str) -> subprocess.CompletedProcess[str]:
    """Run a program that must succeed, away from this tree."""
    done = subprocess.run(
        [str(each) for each in command],
        capture_output=True, text=True, cwd=cwd, env=environment(**extra),
    )  # fmt: skip
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done


def wheel_of(project: Path, folder: Path) -> Path:
    """The wheel that the project's own build tool makes of a tree, in a folder of its own."""
    return _hatched(project, folder, "wheel")


def _hatched(project: Path, folder: Path, target: str) -> Path:
    assert BUILD.is_dir(), f"{BUILD} holds what builds; run: make setup"
    command = [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", folder]
    ran(command, project, PYTHONPATH=str(BUILD), **OTHERS)
    (file,) = folder.iterdir()
    return file


def build(folder: Path) -> Built:
    """Both projects as wheels and as source distributions, below a folder."""

    def each(target: str) -> dict[str, Path]:
        return {
            name: _hatched(project, folder / f"{name}-{target}", target)
            for name, project in PROJECTS.items()
        }

    return Built(each("wheel"), each("sdist"))


def environment_with(wheels: Sequence[Path], folder: Path) -> Path:
    """A new environment that holds these wheels, and beside them what this one's packages need.

    Returns:
        Its folder of programs.
    """
    ran([sys.executable, "-m", "venv", "--without-pip", folder], ROOT)
    programs = folder / "bin"
    pip = [sys.executable, "-m", "pip", "--python", programs / "python", "--quiet"]
    ran([*pip, "install", "--no-index", "--no-deps", *wheels], ROOT, **OTHERS)
    # A folder in a .pth file is searched, and the .pth files in it are not read: the two projects
    # themselves, which this environment holds as links to the tree, are not found through it.
    there = sysconfig.get_path("purelib", vars={"base": str(folder), "platbase": str(folder)})
    Path(there, "dependencies.pth").write_text(sysconfig.get_path("purelib") + os.linesep)
    return programs
