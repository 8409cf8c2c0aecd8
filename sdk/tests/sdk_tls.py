"""Certificates that sign themselves, made when tests run, and a scripted server behind TLS."""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import socket
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from sdk_scripted_server import Reply, ScriptedServer


def self_signed(folder: Path, *, days: float = 1, before: str = "") -> tuple[Path, Path]:
    """A certificate for usage.example and 127.0.0.1, and its key, in `folder`.

    Args:
        folder: where both files are made, or replaced.
        days: for how long the certificate holds.
        before: begins their names.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "usage.example")])
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.DNSName("usage.example"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate_file, key_file = folder / f"{before}cert.pem", folder / f"{before}key.pem"
    certificate_file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return certificate_file, key_file


class TlsServer(ScriptedServer):
    """A scripted server behind TLS; `client_names` are those of the certificates it was shown."""

    def __init__(self, files: tuple[Path, Path], reply: Reply, *, ask: bool = False) -> None:
        super().__init__(reply)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(*files)
        if ask:
            self.context.verify_mode = ssl.CERT_REQUIRED
            self.context.load_verify_locations(files[0])
        self.names_asked_for: list[str | None] = []
        self.context.sni_callback = lambda _s, name, _c: self.names_asked_for.append(name)
        self.host = self.host.replace("http:", "https:")

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            connection.settimeout(None)
            super()._serve(self.context.wrap_socket(connection, server_side=True))
        connection.close()
