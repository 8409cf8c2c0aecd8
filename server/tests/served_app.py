"""An application under the very HTTP server of the product, in the process of the tests."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from headcount.http.serving import serve_http

__all__ = ["Told", "served"]


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
