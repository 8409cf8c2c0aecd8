"""Whom to believe how a client came: takes addresses and networks, says whether a peer is in them.

Forwarded headers are written by whoever sends a request; only those of a proxy that the operator
named mean anything.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from headcount.setting_values import Network, networks

__all__ = ["TrustedProxies"]

_THIS_MACHINE = "127.0.0.0/8,::1"
_MAPPED_BITS = 96


class TrustedProxies:
    """Peers whose forwarded headers are believed.

    Args:
        trusted: their addresses and networks; this machine's own when None.
    """

    def __init__(self, trusted: Iterable[Network] | None = None) -> None:
        given = networks(_THIS_MACHINE) if trusted is None else tuple(trusted)
        # A socket for both versions of IP names peers of version 4 by addresses of version 6.
        mapped = [
            ipaddress.IPv6Network((f"::ffff:{each.network_address}", each.prefixlen + _MAPPED_BITS))
            for each in given
            if each.version == 4
        ]
        self._networks = (*given, *mapped)

    def __contains__(self, peer: object) -> bool:
        try:
            address = ipaddress.ip_address(str(peer))
        except ValueError:
            return False
        return any(address in each for each in self._networks)

    def as_texts(self) -> list[str]:
        """The networks as text, as uvicorn takes them."""
        return [str(each) for each in self._networks]
