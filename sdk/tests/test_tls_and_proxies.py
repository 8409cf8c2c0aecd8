"""Certificates and proxies, with both clients, against real handshakes."""

from __future__ import annotations

import contextlib
import socket
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import urllib3

import segment_public_api as sdk
from sdk_scripted_server import ScriptedServer, answer, dead_host, workspace_page
from sdk_tls import TlsServer, self_signed

WORKSPACE = "get_daily_workspace_api_calls_usage"
GOOD = answer(workspace_page([1]))


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for usage.example and 127.0.0.1 that signs itself, and its key."""
    return self_signed(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def tls_server(certificate: tuple[Path, Path]) -> Iterator[TlsServer]:
    with TlsServer(certificate, GOOD) as server:
        yield server


def test_an_unknown_authority_is_refused(call: Any, tls_server: TlsServer) -> None:
    configuration = sdk.Configuration(host=tls_server.host, access_token="abc", retries=0)
    with pytest.raises(sdk.TlsException) as caught:
        call(configuration, WORKSPACE, "2021-02-01")
    assert isinstance(caught.value, urllib3.exceptions.SSLError)
    assert "certificate" in str(caught.value).lower()
    assert tls_server.requests == []


@pytest.mark.parametrize("how", ["file", "text", "off"])
def test_ways_to_trust(
    call: Any, tls_server: TlsServer, certificate: tuple[Path, Path], how: str
) -> None:
    options: dict[str, Any] = {
        "file": {"ssl_ca_cert": str(certificate[0])},
        "text": {"ca_cert_data": certificate[0].read_text()},
        "off": {"verify_ssl": False},
    }[how]
    # Whoever turns verification off is told so by urllib3; here it is meant.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", urllib3.exceptions.InsecureRequestWarning)
        configuration = sdk.Configuration(host=tls_server.host, **options)
        assert call(configuration, WORKSPACE, "2021-02-01").rows


def test_the_environment_names_authorities(
    call: Any,
    tls_server: TlsServer,
    certificate: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    assert call(sdk.Configuration(host=tls_server.host), WORKSPACE, "2021-02-01").rows


@pytest.mark.parametrize(
    ("host", "options", "good"),
    [
        ("localhost", {}, False),
        ("localhost", {"assert_hostname": False}, True),
        ("localhost", {"assert_hostname": "usage.example"}, True),
        ("localhost", {"tls_server_name": "usage.example"}, True),
        ("127.0.0.1", {"assert_hostname": "other.example"}, False),
    ],
)
def test_the_name_is_compared(
    call: Any,
    tls_server: TlsServer,
    certificate: tuple[Path, Path],
    host: str,
    options: dict[str, Any],
    good: bool,
) -> None:
    configuration = sdk.Configuration(
        host=f"https://{host}:{tls_server.port}",
        ssl_ca_cert=str(certificate[0]),
        retries=0,
        **options,
    )
    if good:
        assert call(configuration, WORKSPACE, "2021-02-01").rows
    else:
        with pytest.raises(sdk.TlsException):
            call(configuration, WORKSPACE, "2021-02-01")
    if "tls_server_name" in options:
        assert tls_server.names_asked_for[-1] == "usage.example"


def test_a_certificate_of_ones_own(call: Any, certificate: tuple[Path, Path]) -> None:
    trusted = {"ssl_ca_cert": str(certificate[0]), "retries": 0}
    own = {"cert_file": str(certificate[0]), "key_file": str(certificate[1])}
    with TlsServer(certificate, GOOD, ask=True) as server:
        assert call(sdk.Configuration(host=server.host, **trusted, **own), WORKSPACE, "x").rows
        with pytest.raises(sdk.ConnectionException):
            call(sdk.Configuration(host=server.host, **trusted), WORKSPACE, "x")


def test_a_proxy_is_asked_for_plain_http(call: Any, scripted: Callable[..., Any]) -> None:
    proxy = scripted(GOOD)
    configuration = sdk.Configuration(
        host="http://localhost:9", proxy=proxy.host, proxy_headers={"X-Proxy": "1"}
    )
    assert call(configuration, WORKSPACE, "2021-02-01").rows
    (request,) = proxy.requests
    assert request.target == "http://localhost:9/usage/api-calls/daily?period=2021-02-01"
    assert request.headers["x-proxy"] == "1"


class Tunnel(ScriptedServer):
    """A proxy that connects https through to where the client wants to go."""

    def __init__(self) -> None:
        super().__init__(self._tunnel)

    def _tunnel(self, connection: socket.socket, server: ScriptedServer) -> bool:
        host, port = self.requests[-1].target.split(":")
        with socket.create_connection((host, int(port))) as onward:
            connection.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
            back = threading.Thread(target=self._pass_on, args=(onward, connection))
            back.start()
            self._pass_on(connection, onward)
            back.join()
        return False

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        source.settimeout(None)
        with contextlib.suppress(OSError):
            while piece := source.recv(65536):
                target.sendall(piece)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)


def test_a_proxy_passes_https_through(
    call: Any, tls_server: TlsServer, certificate: tuple[Path, Path]
) -> None:
    with Tunnel() as proxy:
        configuration = sdk.Configuration(
            host=tls_server.host,
            access_token="tok-Zx81Secret",
            ssl_ca_cert=str(certificate[0]),
            proxy=proxy.host,
        )
        assert call(configuration, WORKSPACE, "2021-02-01").rows
        (request,) = proxy.requests
        assert (request.method, request.target) == ("CONNECT", f"127.0.0.1:{tls_server.port}")
        assert "authorization" not in request.headers


def test_a_dead_proxy(call: Any) -> None:
    with dead_host() as proxy, pytest.raises(sdk.ConnectFailedException):
        call(
            sdk.Configuration(host="http://localhost:9", proxy=proxy, retries=0),
            WORKSPACE,
            "2021-02-01",
        )


def test_the_environments_proxies_are_not_asked(
    call: Any, scripted: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere, server = scripted(GOOD), scripted(GOOD)
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, elsewhere.host)
    assert call(sdk.Configuration(host=server.host), WORKSPACE, "2021-02-01").rows
    assert elsewhere.requests == []


def test_a_socks_proxy_needs_something_else(call: Any) -> None:
    configuration = sdk.Configuration(host="http://localhost:9", proxy="socks5://127.0.0.1:1")
    with pytest.raises(sdk.ApiValueError, match="SOCKS"):
        call(configuration, WORKSPACE, "2021-02-01")


def test_socket_options_reach_the_socket(call: Any, scripted: Callable[..., Any]) -> None:
    server = scripted(GOOD)
    options = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
    configuration = sdk.Configuration(host=server.host, socket_options=options)
    assert call(configuration, WORKSPACE, "2021-02-01").rows
    broken = sdk.Configuration(host=server.host, socket_options=[(-1, -1, -1)], retries=0)
    with pytest.raises(sdk.ConnectionException):
        call(broken, WORKSPACE, "2021-02-01")
