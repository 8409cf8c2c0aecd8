"""Ports on loopback for programs that must be told one, and that come back to it after a kill."""

from __future__ import annotations

import os
import random
import socket

__all__ = ["free_port"]

# Below those that the system gives to connections: one of these could take a killed server's port.
_FIRST, _LAST = 20_000, 32_000
# Processes that run tests side by side share them out: each would take another's killed server's.
_SHARES = 4
_share = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % _SHARES
_given: set[int] = set()


def free_port() -> int:
    """One that nobody has at this moment, and that this process has not given out before."""
    while True:
        port = random.randrange(_FIRST + _share, _LAST, _SHARES)
        if port in _given:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _given.add(port)
        return port
