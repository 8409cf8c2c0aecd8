"""An application under the very HTTP server of the product, in the process of the tests."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from headcount.http.serving import serve_http

__all__ = ["Told", "plainly_served", "served"]


class Told:
    """Stands where a child process learns that it shall stop."""

    def __init__(self) -> None:
        self.stopping = threading.Event()
        self.served = threading.Event()
        self.stop: Callable[[], None] = lambda: None

    def ready(self) -> None:
        self.served.set()

    def on_stop(self, callback: Callable[[], None]) -> None:
        self.stop = callback


@contextmanager
def served(app: Callable[..., Awaitable[None]], **options: object) -> Iterator[tuple[Told, int]]:
    """An application served in this process; its port, and how to stop it before the end.

    Args:
        app: the application.
        options: of `serve_http`.
    """
    told = Told()
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    thread = threading.Thread(
        target=lambda: asyncio.run(
            serve_http(app, listening.detach(), told, **options)  # type: ignore[arg-type]
        )
    )
    thread.start()
    told.served.wait()
    try:
        yield told, port
    finally:
        told.stop()
        thread.join()


@contextmanager
def plainly_served(app: Any, port: int = 0) -> Iterator[str]:
    """The address of an application under uvicorn's own protocol, until the block ends.

    Args:
        app: the application.
        port: where it is served; any free one when 0.
    """
    with socket.create_server(("127.0.0.1", port)) as listener:
        config = uvicorn.Config(app, log_config=None, lifespan="off", server_header=False)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(30)
            assert not thread.is_alive()
