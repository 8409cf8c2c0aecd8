"""Serving an ASGI application on an inherited socket until the process is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Generator
from typing import Any

import uvicorn

from headcount.wiring.child import Child
from headcount.wiring.connection import Connection

__all__ = ["serve_http"]

_STOP_WITHIN_S = 4
_BODIES_WITHIN_S = 3
# uvicorn counts time in ticks of a tenth of a second.
_LOOK_EVERY_TICKS = 10


class _Server(uvicorn.Server):
    """uvicorn, without its own signal handlers: `Child` has them, and knows of the supervisor."""

    def __init__(self, config: uvicorn.Config, child: Child) -> None:
        super().__init__(config)
        self._child = child

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._child.ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        asyncio.get_running_loop().call_later(_BODIES_WITHIN_S, self._hang_up)
        await super().shutdown(sockets)

    def _hang_up(self) -> None:
        """End the requests that are still to come; their clients send them again."""
        for connection in list(self.server_state.connections):
            if isinstance(connection, Connection):
                # None on a connection that was accepted while the others were told to end.
                cycle = connection.cycle
                if cycle is None or cycle.more_body:
                    connection.transport.close()

    async def on_tick(self, counter: int) -> bool:
        if counter % _LOOK_EVERY_TICKS == 0:
            now_s = asyncio.get_running_loop().time()
            for connection in list(self.server_state.connections):
                if isinstance(connection, Connection):
                    connection.end_if_late(now_s)
        return await super().on_tick(counter)

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


async def serve_http(
    app: Any, listen_fd: int, child: Child, *, proxy_headers: bool = False
) -> None:
    """Accept and answer until told to stop; then finish what is under way.

    Args:
        app: the ASGI application.
        listen_fd: a listening socket that this process inherited.
        child: says when to stop, and is told when the socket is served.
        proxy_headers: whether a proxy on this machine may say how the client came to it, which
            costs a microsecond a request.
    """
    config = uvicorn.Config(
        app,
        loop="none",
        http=Connection,
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=proxy_headers,
        timeout_graceful_shutdown=_STOP_WITHIN_S,
        backlog=2048,
    )
    server = _Server(config, child)
    loop = asyncio.get_running_loop()

    def stop() -> None:
        loop.call_soon_threadsafe(setattr, server, "should_exit", True)

    child.on_stop(stop)
    if not child.stopping.is_set():
        await server.serve(sockets=[socket.socket(fileno=listen_fd)])
