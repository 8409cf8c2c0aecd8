"""`python -m bench.contest.apps.serve MODULE WORKERS`: an application on any free port.

Prints the port. Each worker has a listening socket of its own, so that the kernel deals connections
out evenly; uvicorn's own workers share one, of which the quickest takes most.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import os
import signal
import socket
import sys

_HOST = "127.0.0.1"
_BACKLOG = 1024
_PR_SET_PDEATHSIG = 1
# Longer than others have their turns.
_KEPT_ALIVE_S = 3600


def _bound(port: int) -> socket.socket:
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.bind((_HOST, port))
    return sock


def _work(module: str, number: int, port: int) -> None:
    import uvicorn

    # Ends with whoever started it, however that ends.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    os.environ["METER_WORKER"] = str(number)
    sock = _bound(port)
    sock.listen(_BACKLOG)
    config = uvicorn.Config(
        importlib.import_module(module).app, loop="uvloop", http="httptools",
        access_log=False, log_level="warning", lifespan="on", timeout_keep_alive=_KEPT_ALIVE_S,
    )  # fmt: skip
    uvicorn.Server(config).run(sockets=[sock])


def _main(module: str, workers: int) -> int:
    # Bound but never listening: it keeps the port, and gets no connections.
    kept = _bound(0)
    port = kept.getsockname()[1]
    children = []
    for number in range(workers):
        child = os.fork()
        if child == 0:
            _work(module, number, port)
            os._exit(0)
        children.append(child)

    def stop(*_: object) -> None:
        for each in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(each, signal.SIGTERM)

    signal.signal(signal.SIGTERM, stop)
    print(port, flush=True)
    # A worker that ends takes the others with it: fewer workers would be measured unseen.
    os.wait()
    stop()
    for _ in children[1:]:
        os.wait()
    kept.close()
    return 0


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1], int(sys.argv[2])))
