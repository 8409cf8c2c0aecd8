"""When a connection reads on: uvicorn's flow control, which must not hurry what still waits."""

from __future__ import annotations

from typing import Any

from uvicorn.protocols.http.flow_control import FlowControl

__all__ = ["Flow"]


class Flow(FlowControl):
    """Goes on reading only when nothing that was read still waits.

    Args:
        connection: whose it is.
    """

    def __init__(self, connection: Any) -> None:
        super().__init__(connection.transport)
        self._connection = connection

    def resume_reading(self) -> None:
        """Read on, if the connection can use it."""
        if self.read_paused and not self._connection.is_held:
            super().resume_reading()
