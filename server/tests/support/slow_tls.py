"""A server whose TLS is real, and as slow as a test says: it says nothing, or trickles."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

__all__ = ["SlowTls", "slow_tls"]

_PAUSE_S = 0.05


class SlowTls:
    """The server.

    Attributes:
        port: where it listens.
        sent: how many bytes it has sent, of all connections.
        done: how many of its answers have gone out whole.
        connections: how many it has taken.
    """

    def __init__(
        self,
        files: tuple[Path, Path],
        *,
        greeting: Sequence[bytes],
        answer: bytes,
        mute: bool,
        slow_handshake: bool,
        slow_answer: bool,
    ) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(*files)
        self._greeting, self._answer = greeting, answer
        self._mute, self._slow = mute, {"handshake": slow_handshake, "answer": slow_answer}
        self.port = self.sent = self.done = self.connections = 0
        self.over = threading.Event()

    def serve(self, connection: socket.socket) -> None:
        """Serve one connection until it ends."""
        self.connections += 1
        with connection, contextlib.suppress(OSError):
            connection.settimeout(60)
            for said in self._greeting:
                connection.sendall(said)
                if said is not self._greeting[-1]:
                    connection.recv(4096)
            if self._mute:
                while not self.over.wait(_PAUSE_S):
                    connection.setblocking(False)
                    with contextlib.suppress(BlockingIOError):
                        if not connection.recv(4096):
                            return
                return
            self._converse(connection)
            self.done += 1
            # What comes still is read: else the connection would be reset, answer and all.
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65_536):
                pass

    def _converse(self, connection: socket.socket) -> None:
        came, going = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = self._context.wrap_bio(came, going, server_side=True)
        self._step(connection, tls.do_handshake, came, going, "handshake")
        self._step(connection, lambda: tls.read(65_536), came, going, "handshake")
        self._step(connection, lambda: tls.write(self._answer), came, going, "answer")

    def _step(
        self,
        connection: socket.socket,
        act: Callable[[], object],
        came: ssl.MemoryBIO,
        going: ssl.MemoryBIO,
        what: str,
    ) -> None:
        while True:
            try:
                act()
            except ssl.SSLWantReadError:
                self._send(connection, going.read(), what)
                data = connection.recv(65_536)
                if not data:
                    raise OSError("it has left") from None
                came.write(data)
            else:
                self._send(connection, going.read(), what)
                return

    def _send(self, connection: socket.socket, data: bytes, what: str) -> None:
        if not self._slow[what]:
            connection.sendall(data)
            return
        for at in range(len(data)):
            if self.over.wait(_PAUSE_S):
                raise OSError("the test is over")
            connection.sendall(data[at : at + 1])
            self.sent += 1


@contextmanager
def slow_tls(
    files: tuple[Path, Path],
    *,
    greeting: Sequence[bytes] = (),
    answer: bytes = b"HTTP/1.1 204 No Content\r\n\r\n",
    mute: bool = False,
    slow_handshake: bool = False,
    slow_answer: bool = False,
) -> Iterator[SlowTls]:
    """A server that runs meanwhile.

    Args:
        files: its certificate and key.
        greeting: what it says in the clear before TLS, as a mail server does; all but the last are
            answered by its client.
        answer: what it answers, by TLS, to whatever it is sent.
        mute: whether it takes connections and says nothing.
        slow_handshake: whether its handshake comes byte by byte.
        slow_answer: whether its answer does.
    """
    made = SlowTls(
        files, greeting=greeting, answer=answer, mute=mute, slow_handshake=slow_handshake,
        slow_answer=slow_answer,
    )  # fmt: skip
    threads: list[threading.Thread] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:
        made.port = listening.getsockname()[1]
        listening.settimeout(0.1)

        def accept() -> None:
            while not made.over.is_set():
                try:
                    connection, _ = listening.accept()
                except OSError:
                    continue
                threads.append(threading.Thread(target=made.serve, args=(connection,), daemon=True))
                threads[-1].start()

        accepting = threading.Thread(target=accept, daemon=True)
        accepting.start()
        try:
            yield made
        finally:
            made.over.set()
            accepting.join(60)
            for each in threads:
                each.join(60)
