"""The README's first steps work as they are written, in any month."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from support.program import Program, environment, now
from support.server_fixture import eventually
from tidy.sources import ROOT

README = (ROOT / "README.md").read_text("utf-8")
USE_IT = README.split("\n## Use it\n")[1].split("\n## ")[0]


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", USE_IT, re.M | re.S)


def test_the_commands_and_both_programs_run(tmp_path: Path) -> None:
    """The commands as they stand; then a message is posted, and read in the current month."""
    (shell,) = blocks("sh")
    posting, reading = blocks("python")
    program = Program(data=tmp_path / "headcount-data", cwd=tmp_path)
    lines = [line.partition("#")[0].split() for line in shell.splitlines()]
    assert lines[0][:2] == ["make", "install"]
    assert lines[1] == ["export", "HEADCOUNT_DATA=./headcount-data"]
    assert lines[-1] == ["headcount", "serve"]
    printed = [program.run(*words[1:]) for words in lines[2:-1]]
    assert [each.returncode for each in printed] == [0] * len(printed)
    said = "".join(each.stdout for each in printed)
    (key,) = re.findall(r"write key:?\s+(\S+)", said, re.I)
    (token,) = re.findall(r"(hct_\S+)", said)
    with program.serving() as where:

        def ran(code: str) -> str:
            for port, name in (("8080", "tracking"), ("8081", "api")):
                code = code.replace(f"http://127.0.0.1:{port}", where[name])
            code = code.replace("YOUR_WRITE_KEY", key)
            done = subprocess.run(
                [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path,
                env=environment(BEARER_TOKEN=token),
            )  # fmt: skip
            assert (done.returncode, done.stderr) == (0, "")
            return done.stdout

        ran(posting)
        today = f"{now():%Y-%m-%d} 1 identified and 0 never identified"
        eventually(lambda: today in ran(reading), "the message that was posted")


def test_no_example_names_a_month_that_passes() -> None:
    assert re.findall(r"\b20\d\d-\d\d", USE_IT) == []
