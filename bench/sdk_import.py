"""What importing the client costs, beside its two dependencies alone. Starts fresh interpreters."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass

from bench.report import Row, show

__all__ = ["importing"]

_REPEATS = 15
_PROMISE = 1.5
_PEER = "pydantic and urllib3"
_CASES = {
    "nothing": "pass",
    _PEER: "import pydantic, urllib3",
    # pydantic loads its core at the first use of a name; any program with models pays for it.
    "the same, and pydantic's BaseModel": "import pydantic, urllib3; pydantic.BaseModel",
    "the package": "import segment_public_api",
    "what a program with one call uses": (
        "import segment_public_api as s\n"
        "s.MonthlyTrackedUsersApi(s.ApiClient(s.Configuration()))\n"
        "s.PaginationInput, s.ApiException"
    ),
    "every name of it": "from segment_public_api import *",
}
_PROBE = """
import json, time
began = time.process_time()
{code}
spent = time.process_time() - began
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(json.dumps([spent * 1000, int(status["VmHWM"].split()[0]) / 1024]))
"""


@dataclass(frozen=True, slots=True)
class _Cost:
    """The cheapest of several runs: what the import itself needs, without the neighbours' noise."""

    cpu_ms: float
    peak_mib: float


def _run(code: str) -> tuple[float, float]:
    done = subprocess.run(
        [sys.executable, "-c", _PROBE.format(code=code)], capture_output=True, text=True, check=True
    )
    cpu_ms, peak_mib = json.loads(done.stdout)
    return cpu_ms, peak_mib


def importing(repeats: int = _REPEATS) -> list[Row]:
    """Measure imports, the cases taking turns so that all see the same machine.

    Args:
        repeats: interpreters started for each case.
    """
    runs: dict[str, list[tuple[float, float]]] = {name: [] for name in _CASES}
    for _ in range(repeats):
        for name, code in _CASES.items():
            runs[name].append(_run(code))
    costs = {
        name: _Cost(min(cpu_ms for cpu_ms, _ in seen), min(peak for _, peak in seen))
        for name, seen in runs.items()
    }
    peer, floor = costs[_PEER], costs["nothing"].peak_mib
    return [
        Row(
            "client: import",
            name,
            f"{cost.cpu_ms:.1f} ms of CPU, {cost.peak_mib - floor:.1f} MiB",
            f"{cost.cpu_ms / peer.cpu_ms:.2f} of the time of {_PEER},"
            f" {(cost.peak_mib - floor) / (peer.peak_mib - floor):.2f} of the memory",
            f"≤ {_PROMISE} of the time" if name == "the package" else "",
        )
        for name, cost in costs.items()
        if name != "nothing"
    ]


if __name__ == "__main__":
    show(importing())
