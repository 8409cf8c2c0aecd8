"""Serving an ASGI application on an inherited socket until the process is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Generator
from typing import Any, Protocol

import uvicorn

from headcount.clock import now_ms
from headcount.config import DEFAULTS
from headcount.http.accepting import Listener
from headcount.http.certificates import Certificates
from headcount.http.connection import Connection
from headcount.http.crowd import ConnectionBounds, Crowd, connections_max
from headcount.http.cycle import FastPath
from headcount.http.entrance import Entrance
from headcount.http.front import Front
from headcount.http.handshakes import TlsListener, handshakes_max
from headcount.http.pace import ProcessPace
from headcount.troubles import Troubles

__all__ = ["Lifetime", "serve_http"]

_STOP_WITHIN_S = 4
_BODIES_WITHIN_S = 3
# uvicorn counts time in ticks.
_TICK_S = 0.1
_LOOK_EVERY_TICKS = 10


class Lifetime(Protocol):
    """How whoever serves learns that it should stop, and says that it serves."""

    @property
    def stopping(self) -> threading.Event:
        """Is set once it should stop."""

    def on_stop(self, callback: Callable[[], None], /) -> None:
        """Call back, in another thread, when it should stop."""

    def ready(self) -> None:
        """Hear that the socket is served."""


class _UvicornServer(uvicorn.Server):
    """uvicorn, without its own signal handlers: the process has them, and knows its supervisor."""

    def __init__(
        self,
        config: uvicorn.Config,
        lifetime: Lifetime,
        bounds: ConnectionBounds,
        address: str,
        troubles: Troubles | None,
        certificates: Certificates | None,
        entrance: Entrance | None,
        pace: ProcessPace | None,
        fast_path: FastPath | None,
    ) -> None:
        super().__init__(config)
        self._lifetime = lifetime
        self._certificates = certificates
        members: Any = self.server_state.connections
        self._crowd = Crowd(members, bounds, address, troubles, entrance, pace, fast_path)
        self.server_state.crowd = self._crowd  # type: ignore[attr-defined]

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._crowd.tick(asyncio.get_running_loop().time())
        await super().startup([])
        listeners: list[Any] = [self._listener(sock) for sock in sockets or ()]
        self.servers = listeners
        self._lifetime.ready()

    def _listener(self, sock: socket.socket) -> Listener | TlsListener:
        if self._certificates is None:
            return Listener(sock, self._connection)
        return TlsListener(
            sock, self._certificates, self._connection, self._crowd.address, handshakes_max()
        )

    def _connection(self) -> Connection:
        return Connection(
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        asyncio.get_running_loop().call_later(_BODIES_WITHIN_S, self._hang_up)
        await super().shutdown(sockets)

    def _hang_up(self) -> None:
        """End the requests that are still to come; their clients send them again."""
        for connection in list(self.server_state.connections):
            # Silent are those that were accepted while the others were told to end.
            if isinstance(connection, Connection) and (
                connection.is_silent or connection.cycle.more_body or connection.unsent_bytes
            ):
                connection.hang_up()

    async def on_tick(self, counter: int) -> bool:
        now_s = asyncio.get_running_loop().time()
        self._crowd.tick(now_s, now_s - self._crowd.now_s - _TICK_S)
        if counter % _LOOK_EVERY_TICKS == 0:
            self._crowd.look()
            if self._certificates is not None:
                self._certificates.look()
        return await super().on_tick(counter)

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


async def serve_http(
    app: Any,
    listen_fd: int,
    lifetime: Lifetime,
    *,
    address: str = "tracking",
    idle_timeout_s: float = DEFAULTS.idle_timeout_s,
    troubles: Troubles | None = None,
    proxy_headers: bool = False,
    front: Front | None = None,
    entrance: Entrance | None = None,
    pace: ProcessPace | None = None,
    fast_path: FastPath | None = None,
) -> None:
    """Accept and answer until told to stop; then finish what is under way.

    Args:
        app: the ASGI application.
        listen_fd: a listening socket that this process inherited.
        lifetime: says when to stop, and is told when the socket is served.
        address: which one it is, `"tracking"` or `"api"`.
        idle_timeout_s: how long a connection may be silent after a request.
        troubles: is told when there are too many connections.
        proxy_headers: whether trusted proxies may say how the client came to them, which costs a
            microsecond a request.
        front: which proxies these are, and the certificate for TLS, if any.
        entrance: lets requests begin; None where the application bounds what is under way.
        pace: is told how far this process is behind, and used for what is no HTTP.
        fast_path: is asked first for a request that came whole, and answers what it can.

    Raises:
        SettingError: the certificate cannot be used.
    """
    front = front or Front()
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
        forwarded_allow_ips=front.proxies.as_texts(),
        timeout_graceful_shutdown=_STOP_WITHIN_S,
        backlog=2048,
    )
    bounds = ConnectionBounds(connections_max(), idle_timeout_s)
    certificates = None
    if front.certificate is not None and front.key is not None:
        # All processes read the same files; one says what is wrong with them.
        told = troubles if address == "api" else None
        certificates = Certificates(front.certificate, front.key, told, now_ms)
    server = _UvicornServer(
        config, lifetime, bounds, address, troubles, certificates, entrance, pace, fast_path
    )
    loop = asyncio.get_running_loop()

    def stop() -> None:
        loop.call_soon_threadsafe(setattr, server, "should_exit", True)

    lifetime.on_stop(stop)
    if not lifetime.stopping.is_set():
        await server.serve(sockets=[socket.socket(fileno=listen_fd)])
