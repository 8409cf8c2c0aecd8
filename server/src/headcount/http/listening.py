"""Listening sockets: takes an address, gives sockets that outlive the processes that accept.

The supervisor keeps every socket open, so connections that wait in the queue of a worker that died
are served by the next one. Refuses an address that anybody else uses.
"""

from __future__ import annotations

import errno
import socket

from headcount.config import Address
from headcount.errors import OperatorError

__all__ = ["listen", "url_of"]

_BACKLOG = 2048


def listen(address: Address, count: int, option: str) -> list[socket.socket]:
    """Sockets that listen on one address, between which the kernel spreads connections.

    Args:
        address: host and port; port 0 lets the system choose one for all of them.
        count: how many processes will accept.
        option: the flag that names this address, for the error.

    Raises:
        OperatorError: the address is in use, or not one of this machine.
    """
    sockets: list[socket.socket] = []
    try:
        found = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        family, kind, protocol, _, place = found[0]
        # Without sharing first: another server of the same user that shares its port would
        # otherwise take half of our connections and nobody would be told.
        with socket.socket(family, kind, protocol) as alone:
            alone.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            alone.bind(place)
            place = alone.getsockname()
        for _ in range(count):
            sock = socket.socket(family, kind, protocol)
            sockets.append(sock)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            sock.bind(place)
            sock.listen(_BACKLOG)
            sock.setblocking(False)
    except OSError as error:
        for sock in sockets:
            sock.close()
        raise OperatorError(
            f"{address} cannot be listened on: {error.strerror}.", _remedy(error, option)
        ) from error
    return sockets


def _remedy(error: OSError, option: str) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return f"Stop the program that uses it, or choose another address with {option}."
        case errno.EACCES:
            return f"Ports below 1024 need privileges: choose a higher one with {option}."
        case _:
            return f"Name an address of this machine with {option}, such as 127.0.0.1:8080."


def url_of(sock: socket.socket, scheme: str) -> str:
    """Where a socket listens, as the beginning of a URL."""
    host, port = sock.getsockname()[:2]
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
