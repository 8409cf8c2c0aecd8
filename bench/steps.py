"""Work in numbers that no other program changes: steps of SQLite, and calls of Python functions."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any, Self

import apsw

__all__ = ["StepCounter", "Steps"]

_STEPS = "SQLITE_STMTSTATUS_VM_STEP"


@dataclass(slots=True)
class Steps:
    """How many there were.

    Attributes:
        sqlite: instructions of SQLite's virtual machine.
        python: calls, of functions in Python and in C.
    """

    sqlite: int = 0
    python: int = 0


class StepCounter:
    """Counts the steps of this thread and of all connections opened while it is entered."""

    def __init__(self) -> None:
        self._connections: list[apsw.Connection] = []

    def __enter__(self) -> Self:
        apsw.connection_hooks.append(self._connections.append)
        return self

    def __exit__(self, *_: object) -> None:
        apsw.connection_hooks.remove(self._connections.append)

    @contextmanager
    def counted(self) -> Iterator[Steps]:
        """Count, for as long as it is entered."""
        steps = Steps()

        def ended(told: dict[str, Any]) -> None:
            steps.sqlite += told["stmt_status"][_STEPS]

        def called(_frame: FrameType, event: str, _argument: object) -> None:
            steps.python += event in ("call", "c_call")

        for connection in self._connections:
            _trace(connection, ended)
        before = sys.getprofile()
        sys.setprofile(called)
        try:
            yield steps
        finally:
            sys.setprofile(before)
            for connection in self._connections:
                _trace(connection, None)


def _trace(connection: apsw.Connection, ended: Any) -> None:
    try:
        connection.trace_v2(apsw.SQLITE_TRACE_PROFILE if ended else 0, ended)
    except apsw.ConnectionClosedError:
        return
