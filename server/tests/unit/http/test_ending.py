"""A connection's last answer: sent where somebody is there to read it."""

from __future__ import annotations

from typing import Any
from unittest.mock import MagicMock

import uvicorn
from uvicorn.server import ServerState

from headcount.http.connection import Connection


class _Transport:
    """One whose client can leave, and which then takes nothing more."""

    def __init__(self) -> None:
        self.sent = b""
        self.is_open = True

    def write(self, data: bytes) -> None:
        if not self.is_open:
            raise RuntimeError("the handler is closed")
        self.sent += data

    def close(self) -> None:
        self.is_open = False

    def is_closing(self) -> bool:
        return not self.is_open

    def get_extra_info(self, _name: str, default: object = None) -> object:
        return default

    def __getattr__(self, _name: str) -> Any:
        return MagicMock(return_value=False)


def connected() -> tuple[Connection, _Transport]:
    config = uvicorn.Config(MagicMock(), http=Connection, ws="none", log_config=None)
    config.load()
    connection = Connection(config=config, server_state=ServerState(), app_state={})
    transport = _Transport()
    connection.connection_made(transport)
    return connection, transport


async def test_what_is_no_request_is_answered_unless_its_client_has_left_meanwhile() -> None:
    connection, transport = connected()
    connection.send_400_response("This is not HTTP.")
    assert transport.sent.startswith(b"HTTP/1.1 400 ")
    for is_told in (True, False):
        connection, transport = connected()
        transport.close()
        if is_told:
            connection.connection_lost(None)
        connection.send_400_response("This is not HTTP.")
        assert transport.sent == b""
