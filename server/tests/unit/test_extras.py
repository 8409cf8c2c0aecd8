"""What is said about a missing library can be pasted as it was printed."""

from __future__ import annotations

import importlib.util
import shlex
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from headcount.extras import install_command

PROJECT = Path(__file__).parents[2] / "pyproject.toml"
EXTRAS = tomllib.loads(PROJECT.read_text("utf-8"))["project"]["optional-dependencies"]


@pytest.mark.parametrize("anew", [False, True])
@pytest.mark.parametrize("extra", sorted(EXTRAS.keys() - {"all"}))
def test_the_command_names_this_python_and_what_the_extra_needs(extra: str, anew: bool) -> None:
    words = shlex.split(install_command(extra, anew=anew))
    assert words[:4] == [sys.executable, "-m", "pip", "install"]
    named = {str(Requirement(each)) for each in words[4:] if not each.startswith("-")}
    assert named == {str(Requirement(each)) for each in EXTRAS[extra]}
    assert ("--force-reinstall" in words) == anew


def test_an_environment_without_pip_is_told_of_uv(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "pip" else found(name)
    )
    words = shlex.split(install_command("parquet"))
    assert words[:5] == ["uv", "pip", "install", "--python", sys.executable]
    assert [Requirement(word).name for word in words[5:]] == ["pyarrow"]
