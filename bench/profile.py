"""`python -m bench.profile`: where an intake worker's time goes, drawn as flame graphs.

Starts a real server with one worker, posts single messages and then batches, and lets `py-spy` look
at the worker a thousand times a second while it is at work. py-spy is a program of its own, which
has to be installed (`pip install py-spy`), and may need the rights to look into another process.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from signal import SIGCONT, SIGSTOP

from bench.flames import flame_graph
from bench.load import BenchError, Load
from bench.server import Server, add_tenant
from bench.traffic import Population

__all__ = ["main"]

_SHAPES = {1: "single-posts", 100: "batches"}
_WARM_UP_S = 1.0
_RESULTS = Path(__file__).parent / "results"


def _draw(pid: int, load: Load, place: Path, seconds: int, program: str) -> None:
    with tempfile.TemporaryDirectory(prefix="headcount-profile-") as name:
        raw = Path(name) / "stacks"
        command = [
            program, "record", "--gil", "--nonblocking", "--function", "--rate", "1000",
            "--duration", str(seconds), "--format", "raw", "--output", str(raw), "--pid", str(pid),
        ]  # fmt: skip
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as spying:
            load.run(seconds + 1.0)
            _, said = spying.communicate()
        if spying.returncode:
            raise BenchError(f"py-spy failed: {said.decode().strip()}")
        stacks: Counter[tuple[str, ...]] = Counter()
        for line in raw.read_text(errors="replace").splitlines():
            if not line.isprintable():
                continue  # looked at while it was changing: it is not stopped meanwhile
            frames, _, seen = line.rpartition(" ")
            stacks[_from_here(frames.split(";"))] += int(seen)
    title = f"Where an intake worker's time goes: {place.stem.removeprefix('profile-')}"
    place.write_text(flame_graph(stacks, title))


def _from_here(frames: list[str]) -> tuple[str, ...]:
    """Without what is below the event loop, or the journal's thread."""
    for at, frame in enumerate(frames):
        if frame.startswith(("Runner.run ", "_Thread._run ")):
            return tuple(frames[at:])
    return tuple(frames)


def main() -> int:
    """Draw a picture for each shape of traffic.

    Returns:
        The exit status: 1 where py-spy is not there or may not look.
    """
    parser = argparse.ArgumentParser(prog="python -m bench.profile", description=__doc__)
    parser.add_argument("--seconds", type=int, default=10, help="how long to look, for each")
    parser.add_argument("--py-spy", default="py-spy", help="the program")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="headcount-profile-") as name:
        data = Path(name) / "data"
        tenant = add_tenant(data, "load")
        with Server(data, 1) as server:
            server.wait_announced().signal_meter(SIGSTOP)
            try:
                for size, shape in _SHAPES.items():
                    load = Load(server.tracking, tenant.write_keys[0], size, Population())
                    place = _RESULTS / f"profile-{shape}.svg"
                    load.run(_WARM_UP_S)  # what is done once is no part of the picture
                    [pid] = server.pids("intake")
                    _draw(pid, load, place, options.seconds, options.py_spy)
                    load.close()
                    print(f"written to {place}")
            except (BenchError, OSError) as error:
                print(f"Nothing was drawn: {error}", file=sys.stderr)
                return 1
            finally:
                server.signal_meter(SIGCONT)
    return 0


if __name__ == "__main__":
    sys.exit(main())
