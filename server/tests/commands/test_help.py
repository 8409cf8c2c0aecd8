"""Every command explains itself, with an example, and `--help` stays light."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from headcount.cli.main import headcount
from headcount.config import SETTINGS
from support.program import Program


def commands(
    group: click.Group = headcount, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


@pytest.mark.parametrize(
    ("path", "command"), [pytest.param(*each, id=" ".join(each[0])) for each in commands()]
)
def test_a_command_explains_itself(path: tuple[str, ...], command: click.Command) -> None:
    name = " ".join(("headcount", *path))
    assert command.help
    assert command.help.strip().endswith(".")
    assert f"  {name}" in (command.epilog or ""), "an example that can be copied"
    options = {option for each in command.params for option in each.opts}
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{parameter.name} is not explained"
    # The demo has a folder of its own and prints for people; a completion script is for a shell.
    if path not in (("demo",), ("completion",)):
        assert {"--config", "--json"} <= options
        # What is the cluster's is asked of its registry, whatever folder this machine has.
        assert options & ({"--data", "--cluster"} if path[0] == "cluster" else {"--data"})


def test_help_of_every_command_is_printed_by_the_real_program(tmp_path: Path) -> None:
    program = Program(data=tmp_path / "data", cwd=tmp_path)
    for path, command in commands():
        finished = program.run(*path, "--help")
        assert (finished.returncode, finished.stderr) == (0, ""), path
        assert finished.stdout.startswith(f"Usage: headcount {' '.join(path)} ")
        shown = " ".join(finished.stdout.split())
        assert " ".join(str(command.help).split(".")[0].split()) in shown
    assert not program.data.exists(), "asking for help makes nothing"


def test_every_command_refuses_what_it_does_not_know_and_points_to_its_help(tmp_path: Path) -> None:
    program = Program(data=tmp_path / "data", cwd=tmp_path)
    for path, _ in commands():
        finished = program.run(*path, "--no-such-option")
        assert (finished.returncode, finished.stdout) == (2, ""), path
        assert "No such option" in finished.stderr.splitlines()[-1], path
        assert f"'headcount {' '.join(path)} --help'" in finished.stderr, path
    assert not program.data.exists(), "a refusal makes nothing"


def test_serve_takes_every_setting_of_the_server() -> None:
    options = {option for each in headcount.commands["serve"].params for option in each.opts}
    for setting in SETTINGS.values():
        assert (setting.flag in options) != setting.reading


def test_help_loads_nothing_that_it_does_not_need() -> None:
    program = (
        "import sys, click\n"
        "from headcount.cli.main import headcount\n"
        "headcount.main(['--help'], standalone_mode=False)\n"
        "heavy = ['numpy', 'rich', 'apsw', 'uvicorn', 'msgspec', 'segment_public_api']\n"
        "print([name for name in heavy if name in sys.modules], file=sys.stderr)\n"
    )
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert finished.stderr == "[]\n"


def test_an_import_loads_nothing_that_only_others_need(tmp_path: Path) -> None:
    """Starting is what most of a small import takes."""
    program = Program(data=tmp_path / "data", cwd=tmp_path)
    program.run("workspace", "add", "Shop")
    program.run("source", "add", "web", "--workspace", "Shop")
    command = ["import", "-", "--workspace", "Shop", "--source", "web", "--data", str(program.data)]
    code = (
        "import sys\n"
        "from headcount.cli.main import headcount\n"
        f"headcount.main({command!r}, standalone_mode=False)\n"
        "others = ['asyncio', 'numpy.ma', 'rich', 'pyarrow', 'segment_public_api',\n"
        "          'headcount.cli.usage', 'headcount.intake.app', 'headcount.cluster.address',\n"
        "          'headcount.store.partition']\n"
        "print([name for name in others if name in sys.modules], file=sys.stderr)\n"
    )
    record = (
        b'{"type": "page", "userId": "u", "messageId": "m", "receivedAt": "2021-02-03T10:00:00Z"}'
    )
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, input=record)
    assert b"admitted  1\n" in finished.stdout
    assert finished.stderr.decode().splitlines()[-1] == "[]"
