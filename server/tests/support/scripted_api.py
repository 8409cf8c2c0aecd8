"""A usage API that answers what a test writes down: takes paths and answers, keeps what was asked.

For what a real server does not show on demand: Segment, which has no endpoints of Headcount's own,
the turn of a month, and a server that goes away.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

__all__ = ["Scripted", "scripted"]


class Scripted:
    """What the server answers, by path: each answer once, the last one for ever.

    Attributes:
        url: beginning of its URL.
        answers: path to statuses and `data`; a path that is missing is a 404.
        asked: paths and queries, in order.
    """

    def __init__(self, url: str, answers: dict[str, Sequence[tuple[int, Any]]]) -> None:
        self.url = url
        self.answers = {path: list(each) for path, each in answers.items()}
        self.asked: list[tuple[str, dict[str, list[str]]]] = []

    def answer(self, target: str) -> tuple[int, bytes]:
        """The next answer to a request."""
        parts = urlsplit(target)
        self.asked.append((parts.path, parse_qs(parts.query)))
        script = self.answers.get(parts.path, [(404, None)])
        status, data = script.pop(0) if len(script) > 1 else script[0]
        if status == 200:
            return status, json.dumps({"data": data}).encode()
        error = {"type": "scripted", "message": f"The script says {status}."}
        return status, json.dumps({"errors": [error]}).encode()


@contextmanager
def scripted(answers: dict[str, Sequence[tuple[int, Any]]]) -> Iterator[Scripted]:
    """Such a server on loopback, until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = script.answer(self.path)
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    script = Scripted(f"http://127.0.0.1:{server.server_port}", answers)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield script
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
