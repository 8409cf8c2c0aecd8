"""A service of the internet, such as Slack, played on loopback: takes its host's name, gives the
variables with which a program reaches this instead of it, and keeps what came.

The program goes through a proxy, as it may have to in a company's network; the proxy answers in the
service's name, under a certificate of an authority that the variables say to trust.
"""

from __future__ import annotations

import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

__all__ = ["ServiceBehindProxy", "service_behind_proxy"]


@dataclass
class ServiceBehindProxy:
    """The service.

    Attributes:
        environment: variables with which a program reaches it.
        status, answer: what it answers.
        came: the path and the body of every post, in order.
        asked_for: host and port of every connection, in order.
    """

    environment: dict[str, str] = field(default_factory=dict)
    status: int = 200
    answer: bytes = b"ok"
    came: list[tuple[str, bytes]] = field(default_factory=list)
    asked_for: list[str] = field(default_factory=list)


@contextmanager
def service_behind_proxy(host: str, folder: Path) -> Iterator[ServiceBehindProxy]:
    """A service that is there meanwhile.

    Args:
        host: its name.
        folder: where its certificate is put.
    """
    certificate, key = _certified(host, folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    service = ServiceBehindProxy()
    handler = type("Handler", (_Proxy,), {"service": service, "context": context, "host": host})
    with _Server(("127.0.0.1", 0), handler) as server:
        service.environment = {
            "HTTPS_PROXY": f"http://127.0.0.1:{server.server_address[1]}",
            "REQUESTS_CA_BUNDLE": str(certificate),
            "NO_PROXY": "",
        }
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield service
        server.shutdown()
        thread.join()


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True


class _Proxy(BaseHTTPRequestHandler):
    service: ServiceBehindProxy
    context: ssl.SSLContext
    host: str

    def do_CONNECT(self) -> None:
        self.service.asked_for.append(self.path)
        if self.path != f"{self.host}:443":
            self.send_error(403)
            return
        self.send_response(200)
        self.end_headers()
        with self.context.wrap_socket(self.connection, server_side=True) as inside:
            _Service(inside, self.client_address, self.service)
        self.close_connection = True

    def log_message(self, *args: object) -> None:
        """Nothing."""


class _Service(BaseHTTPRequestHandler):
    def __init__(self, sock: ssl.SSLSocket, address: object, service: ServiceBehindProxy) -> None:
        self.service = service
        super().__init__(sock, address, None)  # type: ignore[arg-type]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.service.came.append((self.path, body))
        self.send_response(self.service.status)
        self.send_header("Content-Length", str(len(self.service.answer)))
        self.end_headers()
        self.wfile.write(self.service.answer)

    def log_message(self, *args: object) -> None:
        """Nothing."""


def _certified(host: str, folder: Path) -> tuple[Path, Path]:
    """A certificate of a host, which is its own authority, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=2))
        .not_valid_after(now + timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "service.crt", folder / "service.key"
    paths[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return paths
