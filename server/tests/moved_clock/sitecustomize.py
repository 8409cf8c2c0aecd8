"""Moves the clock of a Python program that a test starts: Python imports this before anything else.

The program itself runs as it is; only what the system's clock tells it is earlier or later, by as
many nanoseconds as a file says at the moment.
"""

import mmap
import os
import time
from pathlib import Path

_real_ns = time.time_ns
with Path(os.environ["TESTS_CLOCK"]).open("rb") as file:
    _distance = mmap.mmap(file.fileno(), 8, access=mmap.ACCESS_READ)


def _moved_ns() -> int:
    return _real_ns() + int.from_bytes(_distance[:], "little", signed=True)


time.time_ns = _moved_ns
time.time = lambda: _moved_ns() / 1e9
