"""Strangers who hold connections by TLS, each of which takes much more memory than a plain one."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import pytest
import urllib3

from attack.support import MIB, connect, measured
from sdk_tls import self_signed
from support.server_fixture import Server, Shop, serving

BODY_BYTES = {"tracking": 300_000, "api": 100_000}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("attack")
    certificate, key = self_signed(folder)
    options = ("--workers", "1", "--tls-cert", str(certificate), "--tls-key", str(key))
    with serving(folder, *options) as server:
        server.http = urllib3.PoolManager(ca_certs=str(certificate), retries=False, timeout=60)
        yield server


@pytest.fixture(scope="module")
def shop(server: Server) -> Shop:
    return server.shop("Shop", "web")


@pytest.mark.parametrize("address", ["tracking", "api"])
def test_connections_that_have_sent_much_and_stay_fill_no_memory(
    server: Server, shop: Shop, address: str
) -> None:
    size = BODY_BYTES[address]
    request = b"POST /v1/m HTTP/1.1\r\nHost: t\r\nContent-Length: %d\r\n\r\n" % size + b" " * size
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    url = getattr(server, address).replace("https", "http")
    with measured(server) as memory, ExitStack() as stack:
        session, answered = None, 0
        for _ in range(600):
            shown = context.wrap_socket(stack.enter_context(connect(url)), session=session)
            stack.callback(shown.close)
            session = session or shown.session
            with suppress(OSError):
                shown.sendall(request)
                answered += shown.recv(4096).startswith(b"HTTP/1.1 ")
        # Nobody is hung up on while it asks: those that have been answered make room.
        assert answered == 600
        assert server.track("/v1/page", {"userId": "u"}, shop.write_keys["web"]).status == 200
        assert server.send("GET", f"{server.api}/healthz").status == 200
    assert memory.grown() < 160 * MIB
