"""A hundred million keys: `python -m bench.millions` builds them, starts on them, checks, copies.

Takes a number of messages, each of a visitor nobody has seen, so that it leaves five keys; gives
what building, reading and starting cost, and what `doctor`, `backup` and `restore` take. A wrong
count, a finding of doctor's or a failed command fails the run.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.capacity import capacity
from bench.load import BenchError
from bench.machine import machine_notes
from bench.report import Row, tell
from bench.volume import KEYS_A_FACT

__all__ = ["main"]

_FACTS = 20_000_000
_HEADCOUNT = (sys.executable, "-m", "headcount")


def main() -> int:
    """Run it.

    Returns:
        The exit status: 1 when anything was not as it should be.
    """
    parser = argparse.ArgumentParser(prog="python -m bench.millions", description=__doc__)
    parser.add_argument("--messages", type=int, default=_FACTS)
    parser.add_argument("--write", action="store_true", help="add the table to bench/results")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="headcount-millions-") as name:
        folder = Path(name)
        notes = machine_notes(folder)
        try:
            rows = capacity(folder, options.messages, 1)
            rows += _keeping(folder / "capacity", folder, options.messages * KEYS_A_FACT)
        except BenchError as error:
            print(f"The run failed: {error}", file=sys.stderr)
            return 1
    return tell(rows, notes, write=options.write)


def _keeping(data: Path, folder: Path, keys: int) -> list[Row]:
    backup, restored = folder / "backup", folder / "restored"
    commands = {
        "doctor": ("doctor", "--data", str(data)),
        "backup, verified": ("backup", str(backup), "--data", str(data)),
        "restore, verified": ("restore", str(backup), "--data", str(restored)),
        "doctor, on what was restored": ("doctor", "--data", str(restored)),
    }
    scenario = f"keeping {keys / 1e6:,.0f} M keys"
    return [Row(scenario, name, *_timed(command)) for name, command in commands.items()]


def _timed(command: tuple[str, ...]) -> tuple[str, str]:
    """Wall time of a command, and its processor time and peak of memory."""
    began_s = time.perf_counter()
    process = subprocess.Popen(
        [*_HEADCOUNT, *command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    assert process.stderr is not None
    said = process.stderr.read().decode()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise BenchError(f"headcount {command[0]} ended with {process.returncode}: {said}")
    cpu_s = usage.ru_utime + usage.ru_stime
    return (
        f"{time.perf_counter() - began_s:.1f} s",
        f"{cpu_s:.1f} s of CPU, peak {usage.ru_maxrss / 1024:,.0f} MiB",
    )


if __name__ == "__main__":
    sys.exit(main())
