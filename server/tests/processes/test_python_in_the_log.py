"""What Python says by itself is in the log of a process, as its other lines are."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

from headcount.logs import FORMATS

HEAD = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z meter (INFO|WARNING|ERROR|CRITICAL)"

PROGRAM = """
import sys, threading, warnings
from headcount.logs import log_to_stderr
log_to_stderr("meter", sys.argv[1])
warnings.warn("older\\nthan it looks")
thread = threading.Thread(target=lambda: 1 / 0)
thread.start(); thread.join()
class Ends:
    def __del__(self): raise KeyError("at the end")
Ends()
raise SystemError("nobody\\ncaught this")
"""


@pytest.mark.parametrize("log_format", FORMATS)
def test_whatever_python_says_is_in_the_log(log_format: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, log_format], capture_output=True, text=True
    )
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    if log_format == "json":
        told = [json.loads(line) for line in lines]
        assert [each["level"] for each in told] == ["warning", "critical", "error", "critical"]
        messages = [each["message"] + each.get("exception", "") for each in told]
    else:
        assert all(re.match(HEAD + " ", line) for line in lines), done.stderr
        messages = [done.stderr] * 4
    for message, words in zip(
        messages, ("than it looks", "ZeroDivisionError", "at the end", "caught this"), strict=True
    ):
        assert words in message
