"""What only some tests need, such as a browser: skips them by name where it is missing.

In CI, which has everything, they fail instead, so that no test is left out unseen.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import NoReturn

import pytest

__all__ = ["CI", "NODE", "lacking", "needed_node", "needed_program", "node_is_here"]

NODE = str(Path(sys.executable).with_name("node"))
_NODE_MODULES = Path(__file__).parents[1] / "clients/node_modules"

CI = bool(os.environ.get("CI"))
"""Whether this is the run that decides whether a change lands."""


def needed_program(program: str, remedy: str) -> str:
    """Where a program is, by its name or path; skips the test if it is nowhere, in CI fails it."""
    found = shutil.which(program)
    return found or lacking(f"{program} is not here: {remedy}")


def lacking(words: str) -> NoReturn:
    """Skip the test with these words; in CI fail it."""
    if CI:
        pytest.fail(f"{words}; CI must have it")
    pytest.skip(words)


def node_is_here() -> bool:
    """Whether tests may count on Node and its tracking SDKs: in CI they must."""
    return CI or _node_is_whole()


def _node_is_whole() -> bool:
    return shutil.which(NODE) is not None and _NODE_MODULES.is_dir()


def needed_node() -> str:
    """Node, with the tracking SDKs that run on it; skips the test where they are missing."""
    if not _node_is_whole():
        lacking("Node or its tracking SDKs are not here: scripts/setup-node.sh")
    return NODE
