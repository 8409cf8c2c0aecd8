"""The part of Azure's Blob service that is needed, on loopback: lists, serves, stores, checks keys.

Takes a key and blobs, gives an address. Refuses requests that the key did not sign, as the service
does ("Authorize with Shared Key" in its documentation).
"""

from __future__ import annotations

import base64
import hmac
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, unquote, urlsplit

__all__ = ["azure"]


@contextmanager
def azure(key: bytes, blobs: dict[str, bytes]) -> Iterator[str]:
    """A server with one container, `bucket`, of the account `account`; gives the address.

    Args:
        key: the account's.
        blobs: what lies in the container, by name; what is stored there is put into it.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            query = dict(parse_qsl(parts.query))
            if not self.is_signed(parts.path, query):
                self.answer(403, b"<Error><Code>AuthenticationFailed</Code></Error>")
            elif query.get("comp") == "list" and parts.path == "/bucket":
                self.answer(200, listing(query.get("prefix", "")))
            else:
                content = blobs.get(unquote(parts.path).removeprefix("/bucket/"))
                if content is None:
                    self.answer(404, b"<Error><Code>BlobNotFound</Code></Error>")
                else:
                    self.answer(200, content)

        def do_PUT(self) -> None:
            parts = urlsplit(self.path)
            content = self.rfile.read(int(self.headers["Content-Length"]))
            if not self.is_signed(parts.path, dict(parse_qsl(parts.query))):
                self.answer(403, b"<Error><Code>AuthenticationFailed</Code></Error>")
            else:
                blobs[unquote(parts.path).removeprefix("/bucket/")] = content
                self.answer(201, b"")

        def do_HEAD(self) -> None:
            self.do_GET()

        def is_signed(self, path: str, query: dict[str, str]) -> bool:
            given = {name.lower(): value for name, value in self.headers.items()}
            named = ("encoding", "language", "length", "md5", "type")
            plain = [given.get(f"content-{name}", "") for name in named]
            plain = ["" if each == "0" else each for each in plain]
            conditions = ("date", "if-modified-since", "if-match", "if-none-match",
                          "if-unmodified-since", "range")  # fmt: skip
            plain += [given.get(name, "") for name in conditions]
            own = [f"{name}:{given[name]}" for name in sorted(given) if name.startswith("x-ms-")]
            asked = [f"{name}:{query[name]}" for name in sorted(query)]
            signed = "\n".join([self.command, *plain, *own, f"/account{path}", *asked])
            digest = hmac.digest(key, signed.encode(), "sha256")
            expected = f"SharedKey account:{base64.b64encode(digest).decode()}"
            return given.get("authorization") == expected

        def answer(self, status: int, content: bytes) -> None:
            self.send_response(status)
            self.send_header("ETag", '"one"')
            self.send_header("Last-Modified", "Wed, 25 Nov 2026 10:00:00 GMT")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    def listing(prefix: str) -> bytes:
        listed = "".join(
            f"<Blob><Name>{name}</Name><Properties>"
            "<Last-Modified>Wed, 25 Nov 2026 10:00:00 GMT</Last-Modified><Etag>one</Etag>"
            "<Content-Type>application/octet-stream</Content-Type>"
            f"<Content-Length>{len(content)}</Content-Length></Properties></Blob>"
            for name, content in sorted(blobs.items())
            if name.startswith(prefix)
        )
        head = '<?xml version="1.0" encoding="utf-8"?><EnumerationResults ContainerName="bucket">'
        return f"{head}<Blobs>{listed}</Blobs><NextMarker/></EnumerationResults>".encode()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
