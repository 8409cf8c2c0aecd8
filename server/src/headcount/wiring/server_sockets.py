"""The sockets that a server listens on: takes settings, gives them open, and their addresses."""

from __future__ import annotations

import contextlib
import socket
from typing import NamedTuple

from headcount.config import Settings
from headcount.http.front import front_of
from headcount.http.listening import listen, url_of

__all__ = ["ServerSockets", "sockets_of"]


class ServerSockets(NamedTuple):
    """Where a server listens; they outlive the processes that accept."""

    tracking: list[socket.socket]
    api: socket.socket

    def urls(self, settings: Settings) -> tuple[str, str]:
        """The beginnings of URLs of the tracking and the API address."""
        scheme = front_of(settings).scheme
        return url_of(self.tracking[0], scheme), url_of(self.api, scheme)


def sockets_of(settings: Settings, stack: contextlib.ExitStack) -> ServerSockets:
    """The sockets of a server, closed with the stack.

    Raises:
        OperatorError: an address cannot be used.
    """
    tracking = listen(settings.tracking, settings.workers, "--tracking")
    for sock in tracking:
        stack.enter_context(sock)
    [api] = listen(settings.api, 1, "--api")
    return ServerSockets(tracking, stack.enter_context(api))
