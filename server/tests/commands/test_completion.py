"""Completion scripts: each shell gets one that it understands, and bash completes with it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.program import Program, environment


@pytest.fixture
def program(tmp_path: Path) -> Program:
    return Program(data=tmp_path / "data", cwd=tmp_path)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_a_script(program: Program, shell: str) -> None:
    finished = program.run("completion", shell)
    assert (finished.returncode, finished.stderr) == (0, "")
    assert "_HEADCOUNT_COMPLETE" in finished.stdout
    assert f"{shell}_complete" in finished.stdout


def test_bash_completes_commands_and_options(program: Program) -> None:
    script = program.run("completion", "bash").stdout
    ask = f"""{script}
COMP_WORDS=(headcount usa); COMP_CWORD=1; _headcount_completion headcount; echo "${{COMPREPLY[@]}}"
COMPREPLY=(); COMP_WORDS=(headcount usage --wa); COMP_CWORD=2; _headcount_completion headcount
echo "${{COMPREPLY[@]}}"
"""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    finished = subprocess.run(
        ["bash", "-c", ask], capture_output=True, text=True, env=environment(PATH=path)
    )
    assert finished.stdout.split() == ["usage", "--watch"], finished.stderr


def test_another_shell_is_refused(program: Program) -> None:
    finished = program.run("completion", "cmd")
    assert finished.returncode == 2
    assert "'bash', 'zsh', 'fish'" in finished.stderr
