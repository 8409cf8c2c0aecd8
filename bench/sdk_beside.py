"""`python -m bench.sdk_beside --against NAME=FOLDER …`: what a call costs, beside other clients.

Each folder holds another `segment_public_api`: a former version of ours, or the documented client
itself. Each client runs in an interpreter of its own; all call the same server, which answers with
a fixed body, in turns. Gives the processor time of a call, its median, and the median of the ratios
of turns that were measured one after the other. Beside them the floor: urllib3's request, read, and
pydantic's validation of the body, with nothing of a client around them.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from bench.machine import Neighbours, machine_notes
from bench.report import Row, tell
from bench.sdk_calls import answer_for_ever, users_body

__all__ = ["main"]

_OURS = "this client"
_FLOOR = "urllib3 and pydantic alone"
# Takes a number of calls a line; gives the seconds that they took of the processor.
_LOOP = """
import sys, time
for line in sys.stdin:
    began = time.process_time()
    for _ in range(int(line)):
        call()
    print(time.process_time() - began, flush=True)
"""
_CLIENT = """
import sys
import segment_public_api as sdk
configuration = sdk.Configuration(host=sys.argv[1], access_token="bench")
client = sdk.ApiClient(configuration)
users, calls = sdk.MonthlyTrackedUsersApi(client), sdk.APICallsApi(client)
page = sdk.PaginationInput(count=1000)
def call_USERS():
    data = users.get_daily_per_source_mtu_usage(period="2021-02-01", pagination=page).data
    return data.daily_per_source_mtu_usage
def call_CALLS():
    data = calls.get_daily_workspace_api_calls_usage(period="2021-02-01", pagination=page).data
    return data.daily_workspace_api_calls_usage
call = {"users": call_USERS, "calls": call_CALLS}[sys.argv[2]]
assert len(call()) == int(sys.argv[3])
"""
_ALONE = """
import sys
import segment_public_api as sdk, urllib3
pool = urllib3.PoolManager()
path, model = {
    "users": ("/usage/mtu/sources/daily", sdk.GetDailyPerSourceMTUUsage200Response),
    "calls": ("/usage/api-calls/daily", sdk.GetDailyWorkspaceAPICallsUsage200Response),
}[sys.argv[2]]
url = f"{sys.argv[1]}{path}?period=2021-02-01&pagination=%7B%22count%22%3A%201000%7D"
headers = {"Authorization": "Bearer bench", "Accept": "application/vnd.segment.v1+json",
    "User-Agent": "bench"}
validate = model.model_validate_json
def call():
    return validate(pool.request("GET", url, headers=headers).data)
call()
"""


def _calls_body(rows: int) -> bytes:
    days = [
        {"apiCalls": str(1000 * day), "timestamp": f"2021-03-{day + 1:02}T00:00:00.000Z"}
        for day in range(rows)
    ]
    page = {"current": "MA==", "totalEntries": rows}
    answer = {"data": {"dailyWorkspaceAPICallsUsage": days, "pagination": page}}
    return json.dumps(answer, separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True)
class _Case:
    """One call: which it is, what it is answered, and how often a turn makes it."""

    name: str
    kind: str
    body: bytes
    rows: int
    calls: int


class _Side:
    """One client in its interpreter, with a server of its own kind and what its turns cost."""

    def __init__(self, program: str, folder: Path, case: _Case, python: str) -> None:
        here, there = multiprocessing.Pipe()
        self._server = multiprocessing.get_context("spawn").Process(
            target=answer_for_ever, args=(case.body, there), daemon=True
        )
        self._server.start()
        self._client = subprocess.Popen(
            [
                python, "-c", program + _LOOP,
                f"http://127.0.0.1:{here.recv()}", case.kind, str(case.rows),
            ],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=os.environ | {"PYTHONPATH": str(folder), "PYTHONHASHSEED": "0"},
        )  # fmt: skip
        self.costs_us: list[float] = []

    def turn_us(self, calls: int) -> float:
        """Call so often; microseconds of the processor for each."""
        assert self._client.stdin
        assert self._client.stdout
        self._client.stdin.write(f"{calls}\n")
        self._client.stdin.flush()
        said = self._client.stdout.readline()
        if not said:
            raise RuntimeError("a client failed; what it said stands above")
        return float(said) / calls * 1e6

    def end(self) -> None:
        """End both processes."""
        assert self._client.stdin
        assert self._client.stdout
        self._client.stdin.close()
        self._client.wait()
        self._client.stdout.close()
        self._server.terminate()
        self._server.join()


def _measured(
    programs: dict[str, tuple[str, Path]], case: _Case, turns: int, python: str
) -> list[Row]:
    sides: dict[str, _Side] = {}
    try:
        for name, (program, folder) in programs.items():
            sides[name] = _Side(program, folder, case, python)
        for side in sides.values():
            side.turn_us(case.calls)
        for turn in range(turns):
            for side in list(sides.values())[:: -1 if turn % 2 else 1]:
                side.costs_us.append(side.turn_us(case.calls))
    finally:
        for side in sides.values():
            side.end()
    ours = sides[_OURS].costs_us
    made = []
    for name, side in sides.items():
        ratios = [mine / theirs for mine, theirs in zip(ours, side.costs_us, strict=True)]
        beside = "" if name == _OURS else f"this client costs {statistics.median(ratios):.2f} of it"
        cost, least = statistics.median(side.costs_us), min(side.costs_us)
        made.append(Row(case.name, name, f"{cost:.0f} µs of CPU (least {least:.0f})", beside))
    return made


def _cases() -> list[_Case]:
    return [
        _Case("31 days of a workspace's API calls", "calls", _calls_body(31), 31, 150),
        _Case("tracked users of 31 sources", "users", users_body(31), 31, 150),
        _Case("tracked users of 1,000 sources", "users", users_body(1000), 1000, 20),
    ]


def main() -> int:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.sdk_beside", description=__doc__)
    parser.add_argument(
        "--against", action="append", default=[], metavar="NAME=FOLDER",
        help="a folder that holds another segment_public_api",
    )  # fmt: skip
    parser.add_argument(
        "--python", default=sys.executable, help="an interpreter that has what all of them need"
    )
    parser.add_argument("--turns", type=int, default=15, help="of each client")
    parser.add_argument("--write", action="store_true", help="keep the table, dated")
    options = parser.parse_args()
    ours = Path(__file__).parents[1] / "sdk" / "src"
    programs = {_OURS: (_CLIENT, ours), _FLOOR: (_ALONE, ours)}
    for given in options.against:
        name, _, folder = given.partition("=")
        programs[name] = (_CLIENT, Path(folder).resolve())
    notes = machine_notes(Path.cwd()) | {"load average": f"{os.getloadavg()[0]:.1f}"}
    neighbours = Neighbours()
    table = []
    for case in _cases():
        table += _measured(programs, case, options.turns, options.python)
    notes["taken by other programs meanwhile"] = f"{neighbours.share():.0%} of the cores"
    return tell(table, notes, write=options.write)


if __name__ == "__main__":
    sys.exit(main())
