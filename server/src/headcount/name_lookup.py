"""Looking names of machines up within a limit of time: takes a name, gives its addresses.

The system's lookup has no limit that a caller can set, and where its name servers are away it may
take longer than all of what it is for. It is left to a thread of its own, which nobody waits for
once the time is over; how many of these there are is bounded.
"""

from __future__ import annotations

import ipaddress
import queue
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

__all__ = ["LOOKUP_WITHIN_S", "Address", "addresses_of", "own_name"]

Address = tuple[socket.AddressFamily, socket.SocketKind, int, str, Any]

LOOKUP_WITHIN_S = 15.0
"""For how long a lookup is waited for where nothing else says: three name servers' patience."""

# Those that hang too, as long as the system lets them: some ten seconds for each name server.
_AT_ONCE_MAX = 256
_NOT_IN_TIME = "its name was not looked up in time"
# What programs say of themselves to a mail server where their machine has no name.
_NAMELESS = "[127.0.0.1]"

_turns = threading.BoundedSemaphore(_AT_ONCE_MAX)
_Found = TypeVar("_Found")


def addresses_of(host: str, port: int, within_s: float = LOOKUP_WITHIN_S) -> list[Address]:
    """The addresses of a host for connections, as `socket.getaddrinfo` gives them.

    Args:
        host, port: where it is.
        within_s: for how long this may take, in seconds.

    Raises:
        OSError: it has none, or nobody said in time.
        UnicodeError: it is no name of a machine.
    """

    def look_up() -> list[Address]:
        return [*socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]

    return look_up() if _is_address(host) else _within(look_up, within_s)


def own_name(within_s: float) -> str:
    """What this machine is called, for a mail server that it says hello to.

    Args:
        within_s: for how long this may take, in seconds; then it has no name.
    """
    try:
        name = _within(socket.getfqdn, within_s)
    except (OSError, UnicodeError):  # not said in time, or no name that could be looked up
        return _NAMELESS
    return name if "." in name and name.isascii() else _NAMELESS


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _within(look_up: Callable[[], _Found], within_s: float) -> _Found:
    until_s = time.monotonic() + within_s
    if not _turns.acquire(timeout=within_s):
        raise socket.gaierror(socket.EAI_AGAIN, _NOT_IN_TIME)
    answers: queue.SimpleQueue[tuple[_Found | None, Exception | None]] = queue.SimpleQueue()

    def look() -> None:
        try:
            answers.put((look_up(), None))
        except Exception as error:
            answers.put((None, error))
        finally:
            _turns.release()

    try:
        # A daemon, so that a process which is told to end does not wait for it either.
        threading.Thread(target=look, name="name-lookup", daemon=True).start()
    except RuntimeError:
        _turns.release()
        raise OSError(None, "there are too many threads to look its name up") from None
    with suppress(queue.Empty):
        found, error = answers.get(timeout=max(0.001, until_s - time.monotonic()))
        if error is None:
            return found  # type: ignore[return-value]
        raise error
    # Outside of what it comes from, which people would be told of in its place.
    raise socket.gaierror(socket.EAI_AGAIN, _NOT_IN_TIME)
