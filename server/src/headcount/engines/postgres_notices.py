"""Notices of a PostgreSQL database (`LISTEN`), heard over a connection of their own.

A notice is lost where the connection breaks: who must not miss anything looks now and then.
"""

from __future__ import annotations

import contextlib
import time
from collections import deque

from psycopg import sql

from headcount.engines.postgres_connection import Database, Query
from headcount.errors import EngineAwayError

__all__ = ["Notices", "Subscription"]

_HELD_MAX = 10_000
# Thirty followers that are asked one after the other need not each look whether something came.
_LOOK_EVERY_S = 0.01


class Subscription:
    """What was said on one channel since it was last asked; the oldest is lost if that is long.

    Attributes:
        heard: what was said.
    """

    def __init__(self, notices: Notices, channel: str) -> None:
        self.heard: deque[str] = deque(maxlen=_HELD_MAX)
        self._notices = notices
        self._channel = channel

    def take(self) -> list[str]:
        """What was said since.

        Raises:
            EngineAwayError: nothing can be heard at present.
        """
        self._notices.listen()
        said = list(self.heard)
        self.heard.clear()
        return said

    def close(self) -> None:
        """Stop hearing; idempotent."""
        self._notices.stop(self._channel, self)


class Notices:
    """All that one thread hears.

    Args:
        address: a libpq address.
        timeout_s: how long an answer is waited for.
    """

    def __init__(self, address: str, timeout_s: float) -> None:
        self._database = Database(address, timeout_s, self._listen_again)
        self._subscriptions: dict[str, list[Subscription]] = {}
        self._listening: set[str] = set()
        self._awake = False
        self._looked_at_s = float("-inf")

    def subscribe(self, channel: str) -> Subscription:
        """Hear what is said on a channel, from the first `take` on."""
        subscription = Subscription(self, channel)
        self._subscriptions.setdefault(channel, []).append(subscription)
        return subscription

    def stop(self, channel: str, subscription: Subscription) -> None:
        """Hear it no longer."""
        left = self._subscriptions.get(channel, [])
        if subscription in left:
            left.remove(subscription)
            if not left:
                del self._subscriptions[channel]  # UNLISTEN is not worth failing for

    def keep_awake(self) -> None:
        """Let the next `wait` return at once: there may be more."""
        self._awake = True

    def listen(self) -> None:
        """Take in what was said, without waiting; what came a moment ago, with the next look.

        Raises:
            EngineAwayError: nothing can be heard.
        """
        if (
            time.monotonic() - self._looked_at_s >= _LOOK_EVERY_S
            or self._subscriptions.keys() - self._listening
        ):
            self._database.run(self._hear)
            self._looked_at_s = time.monotonic()

    def wait(self, seconds: float) -> None:
        """Rest until something is said, or the time is over."""
        if self._awake or any(
            each.heard for every in self._subscriptions.values() for each in every
        ):
            self._awake = False
            return
        until_s = time.monotonic() + seconds
        if self._subscriptions:
            with contextlib.suppress(EngineAwayError):
                self._database.run(lambda connection: self._hear(connection, seconds))
                return
        time.sleep(max(0, until_s - time.monotonic()))

    def _listen_again(self, _: Query) -> None:
        self._listening.clear()

    def _hear(self, connection: Query, seconds: float = 0) -> None:
        for channel in self._subscriptions.keys() - self._listening:
            connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
            self._listening.add(channel)
        for notice in connection.notifies(timeout=seconds, stop_after=1):
            for subscription in self._subscriptions.get(notice.channel, []):
                subscription.heard.append(notice.payload)

    def close(self) -> None:
        """Give the connection back; idempotent."""
        self._database.close()
