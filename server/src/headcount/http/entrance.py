"""Which requests begin next: takes them as they come, gives each a round of the event loop.

A loop serves all that is ready before it looks for what has come since. Where a thousand
connections ask something at once, whoever comes next would wait for all of them. Here a few
requests begin in a round, and owners take turns, one request each: whoever shows a token that is
valid is an owner, and strangers are one for each kind of thing that they ask for. So a reader waits
for one request of each other owner, however many strangers there are and however fast they ask.

Of each owner a bounded number of requests waits. What comes beyond that is given to an application
that refuses.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Mapping
from typing import Any, NamedTuple

from headcount.http.pace import is_large

__all__ = ["HEALTH_PATH", "Entrance", "Owner"]

HEALTH_PATH = "/healthz"
"""Answered ahead of all that waits, as long as it is not all that is asked."""

_IN_ROUND = 4
_HEALTH_IN_ROUND = 32
# Whoever is behind so many others of its owner waits only if it takes little memory.
_LARGE_MAX = 128


class Owner(NamedTuple):
    """Whose requests take turns with those of others.

    Attributes:
        name: tells owners apart.
        waiting_max: how many requests may wait.
    """

    name: Hashable
    waiting_max: int


class Entrance:
    """Lets the requests to one process begin.

    Args:
        owner_of: whose a request is, from its ASGI scope; asked only where requests wait.
        refuse: the ASGI application for a request that finds no place.
        in_round: how many requests begin in a round of the loop.

    Attributes:
        shed: how many requests found no place so far.
    """

    def __init__(
        self,
        owner_of: Callable[[Mapping[str, Any]], Owner],
        refuse: Any,
        *,
        in_round: int = _IN_ROUND,
    ) -> None:
        self.shed = 0
        self._owner_of = owner_of
        self._refuse = refuse
        self._in_round = in_round
        self._begun = 0
        self._health_begun = 0
        self._turns = False
        self._waiting: OrderedDict[Owner, deque[Callable[[], None]]] = OrderedDict()

    def enter(self, scope: Mapping[str, Any], begin: Callable[[Any], None], app: Any) -> None:
        """Let a request begin, now or in a later round.

        Args:
            scope: what it asks for, in ASGI's terms.
            begin: begins with it, given the application that is to answer.
            app: the application that it is meant for.
        """
        if scope["path"] == HEALTH_PATH and self._health_begun < _HEALTH_IN_ROUND:
            self._health_begun += 1
        elif self._begun >= self._in_round or self._waiting:
            self._join(scope, begin, app)
            return
        else:
            self._begun += 1
        self._go_on()
        begin(app)

    def _join(self, scope: Mapping[str, Any], begin: Callable[[Any], None], app: Any) -> None:
        owner = self._owner_of(scope)
        waiting_max = min(owner.waiting_max, _LARGE_MAX) if is_large(scope) else owner.waiting_max
        queue = self._waiting.setdefault(owner, deque())
        if len(queue) >= waiting_max:
            self.shed += 1
            begin(self._refuse)
        else:
            queue.append(lambda: begin(app))

    def _go_on(self) -> None:
        if not self._turns:
            self._turns = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        """Once a round, while there is anything: let those begin whose turn it is."""
        self._turns = False
        self._begun = self._health_begun = 0
        while self._waiting and self._begun < self._in_round:
            owner, queue = self._waiting.popitem(last=False)
            begin = queue.popleft()
            if queue:
                self._waiting[owner] = queue
            self._begun += 1
            begin()
        if self._begun:
            self._go_on()
