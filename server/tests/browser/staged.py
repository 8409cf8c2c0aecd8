"""The page over an installation that a test has filled, with a clock that the test sets.

Takes an installation as the API's tests make them, gives the address of its page, served over a
socket. For what no test can wait for: large numbers, many sources, a given day of the month.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from headcount.page import Sessions, create_page
from unit.api.support import Installation

__all__ = ["TRACKING_URL", "page_of"]

TRACKING_URL = "https://tracking.example.com"


@contextmanager
def page_of(place: Installation, port: int = 0) -> Iterator[str]:
    """The address of an installation's page, until the block ends.

    Args:
        place: the installation.
        port: where it is served; any free one when 0.
    """
    app: Any = create_page(
        api=place.app,
        sessions=Sessions(place.clock),
        clock=place.clock,
        tracking_url=TRACKING_URL,
    )
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
