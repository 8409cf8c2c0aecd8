"""A mail server on loopback that takes mail, or refuses it as told, and keeps what came."""

from __future__ import annotations

import email
import email.policy
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

__all__ = ["MailServer", "mail_server"]


class MailServer:
    """The server.

    Attributes:
        port: where it listens.
        came: every mail that it took, in order.
        refuse_receiver: the address that nobody has; empty for none.
        refuse_data: what it answers to every mail instead of taking it; empty to take it.
        goodbye: what it answers to who leaves.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self.lock = threading.Lock()
        self.came: list[EmailMessage] = []
        self.refuse_receiver, self.refuse_data = "", ""
        self.goodbye = "221 Bye"

    @property
    def url(self) -> str:
        return f"smtp+plain://127.0.0.1:{self.port}"

    async def handle_RCPT(
        self, server: Any, session: Any, envelope: Any, address: str, options: Any
    ) -> str:
        if address == self.refuse_receiver:
            return "550 nobody of that name"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if self.refuse_data:
            return self.refuse_data
        content = email.message_from_bytes(envelope.content, policy=email.policy.default)
        assert isinstance(content, EmailMessage)
        with self.lock:
            self.came.append(content)
        return "250 OK"

    async def handle_QUIT(self, server: Any, session: Any, envelope: Any) -> str:
        return self.goodbye

    def titles(self) -> list[str]:
        """The subjects of what came, in order."""
        with self.lock:
            return [str(mail["Subject"]) for mail in self.came]


@contextmanager
def mail_server(*, other_letters: bool = True) -> Iterator[MailServer]:
    """A mail server that runs meanwhile; who signs in has the password `right`.

    Args:
        other_letters: whether it takes addresses with other letters than those of ASCII.
    """
    with socket.socket() as probe:  # it asks itself at the port that it was given, which 0 is not
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = MailServer(port)
    controller = Controller(
        server, hostname="127.0.0.1", port=port, auth_require_tls=False,
        enable_SMTPUTF8=other_letters,
        authenticator=lambda _s, _e, _v, _m, data: AuthResult(
            success=data.password == b"right", handled=False  # else it leaves the answer to others
        ),
    )  # fmt: skip
    controller.start()
    try:
        yield server
    finally:
        controller.stop()
