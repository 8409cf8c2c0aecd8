"""How both addresses face the network: takes settings, gives what the front processes need to know.

Refuses plain HTTP on an address that other machines reach, unless the operator said that this is
meant, and a certificate that cannot be used.
"""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass, field
from pathlib import Path

from headcount.config import Address, Settings
from headcount.errors import SettingError
from headcount.http.proxies import TrustedProxies

__all__ = ["Front", "check_front", "front_of"]


@dataclass(frozen=True, slots=True)
class Front:
    """What a process that accepts connections knows of the network around it.

    Attributes:
        proxies: whose forwarded headers are believed.
        certificate, key: files of the certificate and its key; None without TLS.
    """

    proxies: TrustedProxies = field(default_factory=TrustedProxies)
    certificate: Path | None = None
    key: Path | None = None

    @property
    def scheme(self) -> str:
        """How the URL of an address begins."""
        return "http" if self.certificate is None else "https"


def front_of(settings: Settings) -> Front:
    """The front of a server under some settings."""
    return Front(TrustedProxies(settings.trusted_proxies), settings.tls_cert, settings.tls_key)


def check_front(settings: Settings) -> None:
    """Refuse settings under which keys and messages would be open to others, or no TLS spoken.

    Raises:
        SettingError: other machines reach the server by plain HTTP and nobody said so, or the
            certificate or its key cannot be used.
    """
    if settings.tls_cert is not None:
        assert settings.tls_key is not None, "both or none, as load_settings sees to"
        from headcount.http.certificates import context_of

        context_of(settings.tls_cert, settings.tls_key)
    elif settings.trusted_proxies is None and not settings.allow_http:
        for name, address in (("tracking", settings.tracking), ("API", settings.api)):
            if _beyond_loopback(address):
                raise SettingError(
                    f"The {name} address {address} is reached from other machines, and keys, tokens"
                    " and messages would pass unencrypted.",
                    "Give --tls-cert and --tls-key; or name the proxy that has TLS with"
                    " --trusted-proxies; or say --allow-http if the network in between is trusted.",
                )


def _beyond_loopback(address: Address) -> bool:
    """Whether other machines reach an address; one that cannot be found is refused later on."""
    try:
        found = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except OSError:
        return False
    # The first one is what is listened on.
    place = ipaddress.ip_address(found[0][4][0])
    mapped = getattr(place, "ipv4_mapped", None)
    return not (mapped or place).is_loopback
