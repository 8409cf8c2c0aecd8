"""The page's nginx that mirrors: the vendor is first, and Headcount counts a copy.

A real nginx with the page's own code, a vendor that is a script on loopback, a real Headcount;
ports and certificates are the test's. Headcount hangs and dies meanwhile, and the vendor's path is
as it was.
"""

from __future__ import annotations

import contextlib
import json
import re
import signal
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
import urllib3

from install.test_proxies import certified, running
from support.needed import needed_program
from support.ports import free_port
from support.server_fixture import PATIENCE_S, Server, serving
from tidy.sources import ROOT

PAGE = (ROOT / "docs/mirroring.md").read_text("utf-8")
ANSWER = b'{"success": true, "by": "the vendor"}'
VENDOR_KEY = "the-key-of-the-vendor"


class Vendor(ThreadingHTTPServer):
    """Takes whatever is posted, keeps it, and answers in its own words."""

    daemon_threads = True

    def __init__(self, certificate: Path, key: Path) -> None:
        self.bodies: list[bytes] = []
        vendor = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                vendor.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(200)
                self.send_header("Content-Length", str(len(ANSWER)))
                self.end_headers()
                self.wfile.write(ANSWER)

            def log_message(self, *_: object) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self.socket = context.wrap_socket(self.socket, server_side=True)


@contextlib.contextmanager
def vendor_of(certificate: Path, key: Path) -> Iterator[Vendor]:
    with Vendor(certificate, key) as vendor:
        thread = threading.Thread(target=vendor.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield vendor
        finally:
            vendor.shutdown()
            thread.join()


def basic_of(write_key: str) -> str:
    return str(urllib3.make_headers(basic_auth=f"{write_key}:")["authorization"])


@contextlib.contextmanager
def mirroring(folder: Path, server: Server, vendor: Vendor, write_key: str) -> Iterator[str]:
    """The page's nginx before both, with Headcount's write key; the beginning of its URLs."""
    program = needed_program("nginx", "apt-get install nginx-light")
    (code,) = re.findall(r"^```nginx\n(.*?)^```", PAGE, re.M | re.S)
    port = free_port()
    live = "/etc/letsencrypt/live/example.com"
    for words, own in (
        (f"{live}/fullchain.pem", str(folder / "chain.pem")),
        (f"{live}/privkey.pem", str(folder / "key.pem")),
        ("listen 443 ssl", f"listen 127.0.0.1:{port} ssl"),
        ("server api.segment.io:443", f"server 127.0.0.1:{vendor.server_port}"),
        ("127.0.0.1:8080", urlsplit(server.tracking).netloc),
        ("Basic BASE64_OF_KEY_AND_COLON", basic_of(write_key)),
    ):  # fmt: skip
        assert words in code
        code = code.replace(words, own)
    settings = folder / "nginx.conf"
    settings.write_text(
        f"daemon off; pid {folder}/pid; error_log {folder}/error.log;\n"
        "events {}\n"
        f"http {{ access_log off; client_body_temp_path {folder}/bodies;"
        f" proxy_temp_path {folder}/proxied; fastcgi_temp_path {folder}/f;"
        f" uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;\n{code}\n}}\n"
    )
    with running([program, "-c", str(settings), "-e", f"{folder}/early.log"], folder, port):
        yield f"https://127.0.0.1:{port}"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with serving(tmp_path, "--workers", "1") as server:
        yield server


def test_the_vendor_is_first_and_headcount_counts_a_copy(tmp_path: Path, server: Server) -> None:
    folder = tmp_path / "front"
    folder.mkdir()
    chain, key = certified(folder)
    shop = server.shop("Shop", "web")
    web = shop.write_keys["web"]
    basic = {"Authorization": basic_of(VENDOR_KEY)}
    http = urllib3.PoolManager(
        ca_certs=str(chain), assert_hostname="track.example.com", retries=False, timeout=PATIENCE_S
    )
    with vendor_of(chain, key) as vendor, mirroring(folder, server, vendor, web) as home:

        def post(number: int, *, size: int = 0, close: bool = False) -> bytes:
            message = {"type": "page", "userId": f"user {number}", "messageId": f"m {number}"}
            batch = [{**message, "x": "y" * size}]
            # Some senders name the vendor's key in the body, and some as HTTP Basic.
            body = json.dumps({"batch": batch, "writeKey": VENDOR_KEY}).encode()
            headers = {"Connection": "close"} if close else {}
            headers |= basic if number % 3 else {}
            answer = http.request("POST", f"{home}/v1/batch", body=body, headers=headers)
            assert (answer.status, answer.data) == (200, ANSWER)
            return body

        # Small ones, those that a buffer does not hold, and those that come again.
        posted = [post(number, size=20_000 * (number % 2)) for number in range(30)]
        posted += [post(number) for number in range(5)]
        assert vendor.bodies == posted
        shop.wait_until_counted()
        usage = shop.usage()[""]
        assert (usage.api_calls, usage.identified) == (30, 30)

        # A Headcount that hangs keeps no sender from the vendor, and none of its answers away.
        stopped = [psutil.Process(server.process.pid), *server.children("intake")]
        for process in stopped:
            process.send_signal(signal.SIGSTOP)
        posted += [post(number, close=True) for number in range(100, 110)]
        for process in reversed(stopped):
            process.send_signal(signal.SIGCONT)
        # One that is not there does neither.
        server.stop()
        posted += [post(number) for number in range(200, 230)]
        assert vendor.bodies == posted
