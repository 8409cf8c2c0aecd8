"""The command that is printed for a missing library can be run as it stands."""

from __future__ import annotations

import subprocess

from headcount.extras import install_command


def test_the_command_runs_as_it_is_printed() -> None:
    """In an environment that has the libraries, it finds that nothing is left to do."""
    command = f"{install_command('plot')} --no-index --dry-run"
    done = subprocess.run(command, shell=True, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "already satisfied: vl-convert-python" in done.stdout
