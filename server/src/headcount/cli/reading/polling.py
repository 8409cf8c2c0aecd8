"""Asking again and again: takes something to ask, gives its answer, or None where waiting may help.

Says once that a server went away, and once that it is back. Refuses to go on after a refusal that
waiting does not fix, such as a revoked token.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from headcount.cli.reading.api_connection import explain_refusal
from headcount.terminal import say

if TYPE_CHECKING:
    from headcount.cli.reading.api_connection import ApiConnection

__all__ = ["Poller"]

_SECONDS_A_REQUEST = 1.5  # 40 a minute, of the 60 that a token has by default

Answer = TypeVar("Answer")


class Poller:
    """One command that asks until it is ended.

    Args:
        connection: whom it asks.
    """

    def __init__(self, connection: ApiConnection) -> None:
        self._connection = connection
        self._answered = False
        self._away = False

    def answer(self, ask: Callable[[], Answer]) -> Answer | None:
        """What `ask` gives, or None if the server is away for now.

        Raises:
            ApiException: waiting will not help, or there has never been an answer.
        """
        from segment_public_api.exceptions import (
            ConnectionException,
            ServiceException,
            TooManyRequestsException,
        )

        try:
            answer = ask()
        except (ConnectionException, ServiceException, TooManyRequestsException) as error:
            if not self._answered:
                raise
            if not self._away:
                say(f"{explain_refusal(error, self._connection).problem} Trying on.")
            self._away = True
            return None
        if self._away:
            say(f"{self._connection.host} answers again.")
        self._answered, self._away = True, False
        return answer

    @staticmethod
    def pause(requests: int) -> None:
        """Wait as long as leaves others with the same token their part of its budget."""
        time.sleep(requests * _SECONDS_A_REQUEST)
