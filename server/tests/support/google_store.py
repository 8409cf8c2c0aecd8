"""The part of Google's XML API that writing needs, on loopback: stores what is put.

Takes a dict, gives an address. Says like the service what it stored (ETag, generation), without
which its clients take an object for not written.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

__all__ = ["google"]


@contextmanager
def google(objects: dict[str, bytes]) -> Iterator[str]:
    """A server with one bucket, `bucket`; gives the address.

    Args:
        objects: what is stored there is put into it, by name.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_PUT(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            objects[unquote(urlsplit(self.path).path).removeprefix("/bucket/")] = content
            self.send_response(200)
            self.send_header("ETag", '"one"')
            self.send_header("x-goog-generation", "1")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
