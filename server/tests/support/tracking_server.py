"""The tracking API on a real socket, with a sink that keeps what it gets, and a client for it."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Callable
from contextlib import closing
from typing import Any, NamedTuple

import uvicorn
import uvloop

from headcount.http.connection import Connection
from headcount.http.proxies import TrustedProxies
from headcount.intake import Forwards, Hosting, Limits, SourceRef, create_app
from support.intake import HASHER, NOW_MS, Keys, ListSink, Past

__all__ = ["Reply", "Tracking"]


class Reply(NamedTuple):
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        assert self.headers["Content-Type"] == "application/json"
        return json.loads(self.body)


class BrokenKeys(Keys):
    """Fails for one key, as a bug would, with the key in its message."""

    def lookup(self, write_key: str) -> SourceRef | None:
        if write_key == "bug-key":
            raise KeyError(write_key)
        return super().lookup(write_key)


class Tracking:
    """A server on a free port, and a client for it."""

    def __init__(
        self, limits: Limits, hosting: Hosting | None = None, forwards: Forwards | None = None
    ) -> None:
        self.sink = ListSink()
        self._connections: list[socket.socket] = []
        app = create_app(
            BrokenKeys(),
            Past(),
            self.sink,
            HASHER,
            lambda: NOW_MS,
            limits,
            forwards=forwards,
            hosting=hosting or Hosting(TrustedProxies()),
        )
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        config = uvicorn.Config(
            app, http=Connection, ws="none", lifespan="off", access_log=False, log_config=None,
            timeout_graceful_shutdown=2, proxy_headers=False,
        )  # fmt: skip
        self._server = uvicorn.Server(config)
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        self._loop.run_until_complete(self._server.serve([self._socket]))
        self._loop.close()

    def stop(self) -> None:
        for connection in self._connections:
            connection.close()
        self._server.should_exit = True
        self._thread.join()

    def soon(self, call: Callable[[], object]) -> None:
        """Have something called in the server's own thread."""
        self._loop.call_soon_threadsafe(call)

    def send(
        self, method: str, path: str, body: bytes | str | None = None, **headers: str
    ) -> Reply:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        with closing(connection):
            connection.request(method, path, body, named)
            with connection.getresponse() as response:
                return Reply(response.status, response.msg, response.read())

    def post(self, path: str, document: object, **headers: str) -> Reply:
        return self.send("POST", path, json.dumps(document), **headers)

    def raw(self, data: bytes) -> socket.socket:
        """A connection on which that was sent; it is closed with the server."""
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        self._connections.append(connection)
        connection.sendall(data)
        return connection
