"""Acknowledged-to-visible lag, measured as a user would: post a message, read usage until it rose.

A process of its own (`python -m bench.probe`, its task as JSON on standard input), so that the
load generator's work does not stretch what it sees; prints the lags as JSON. A lag runs from the
acknowledgement to the arrival of the first answer that counts the message.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
import uuid

from bench.load import BenchError
from bench.server import Client, Server, Tenant, basic

__all__ = ["Prober"]

_PAUSE_S = 0.01
_VISIBLE_WITHIN_S = 60.0


class Prober:
    """Starts a probe of one server beside whatever else goes on.

    Args:
        server: the server.
        tenant: a workspace that nobody else writes to.
        seconds: for how long markers are posted.
    """

    def __init__(self, server: Server, tenant: Tenant, seconds: float) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.probe"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self._process.stdin is not None
        task = [server.tracking, server.api, tenant.write_keys[0], tenant.token, seconds]
        self._process.stdin.write(json.dumps(task) + "\n")
        self._process.stdin.flush()

    def lags_s(self) -> list[float]:
        """Wait for the end; the lags in the order they were seen.

        Raises:
            BenchError: the probe failed.
        """
        text, _ = self._process.communicate()
        if self._process.returncode != 0:
            raise BenchError("the lag probe failed; what it said stands above")
        lags: list[float] = json.loads(text)
        return lags


def _main() -> None:
    tracking, api, write_key, token, seconds = json.loads(sys.stdin.readline())
    writer, reader = Client(tracking, basic(write_key)), Client(api, f"Bearer {token}")
    lags = []
    visible = reader.api_calls()
    until_s = time.perf_counter() + seconds
    while time.perf_counter() < until_s:
        marker = {"messageId": str(uuid.uuid4()), "userId": "prober", "event": "Probed"}
        writer.post("/v1/track", marker)
        acknowledged_s = time.perf_counter()
        visible += 1
        while reader.api_calls() < visible:
            if time.perf_counter() - acknowledged_s > _VISIBLE_WITHIN_S:
                raise BenchError("a message was acknowledged and never became visible")
            time.sleep(_PAUSE_S)
        lags.append(time.perf_counter() - acknowledged_s)
    print(json.dumps(lags))


if __name__ == "__main__":
    _main()
