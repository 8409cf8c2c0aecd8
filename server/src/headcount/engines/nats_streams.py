"""Streams of a cluster in JetStream: made when missing, on three servers, for as long as wanted."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

from nats.aio.client import Client
from nats.errors import NoRespondersError

from headcount.engines.nats_connection import ApiError, Nats

__all__ = ["NOT_FOUND", "REPLICAS", "Stream"]

_log = logging.getLogger(__name__)

REPLICAS = 3
NOT_FOUND = 10059
_NOT_CLUSTERED = 10074
_NAME_IN_USE = 10058
_NO_MESSAGE = 10037
_REST_S = 0.02

_ALWAYS = {
    "storage": "file",
    "retention": "limits",
    "discard": "old",
    "num_replicas": REPLICAS,
    # No de-duplication: what is sent again must get through.
    "duplicate_window": 10**9,
}


class Stream:
    """A stream, made when something is put into it and it is not there.

    Args:
        servers: which are asked.
        config: its configuration, but for what all streams of a cluster have in common.
    """

    def __init__(self, servers: Nats, config: dict[str, Any]) -> None:
        self.name: str = config["name"]
        self._servers = servers
        self._config = _ALWAYS | config
        self._making = asyncio.Lock()
        self._is_made = self._was_there = False

    async def put(
        self, client: Client, subject: str, data: bytes, headers: dict[str, str] | None = None
    ) -> dict[str, Any]:
        """Put something into it; gives the answer, when it is durable.

        Raises:
            ApiError: it is refused.
            nats.errors.Error: the servers cannot be asked, or had no leader for so long.
        """
        until_s = time.monotonic() + self._servers.timeout_s
        rest_s = _REST_S
        while True:
            await self._make(client)
            try:
                return await self._servers.ask(client, subject, data, headers)
            except NoRespondersError:
                # It is gone, or has no leader now, or not all servers have heard of it yet.
                self._is_made = False
                if time.monotonic() > until_s:
                    raise
            await asyncio.sleep(rest_s)
            rest_s *= 1.5

    async def _make(self, client: Client) -> None:
        async with self._making:
            if not self._is_made:
                await self._make_if_missing(client)
                self._is_made = self._was_there = True

    async def _make_if_missing(self, client: Client) -> None:
        said = await self.info(client)
        if said is None:
            await self._create(client)
            return
        config = said["config"]
        if config["max_age"] != self._config.get("max_age", 0):
            config["max_age"] = self._config.get("max_age", 0)
            await self._servers.api(client, f"STREAM.UPDATE.{self.name}", config)

    async def info(self, client: Client, asked: Any = None) -> dict[str, Any] | None:
        """What its leader says of it; None where there is no such stream. Raises as `put`."""
        try:
            return await self._servers.api(client, f"STREAM.INFO.{self.name}", asked)
        except ApiError as error:
            if error.code != NOT_FOUND:
                raise
            return None

    async def entry(self, client: Client, number: int) -> tuple[str, str] | None:
        """Subject and moment of an entry, as its leader says; None where it has none of that
        number. Raises as `put`."""
        try:
            said = await self._servers.api(client, f"STREAM.MSG.GET.{self.name}", {"seq": number})
        except ApiError as error:
            if error.code not in (_NO_MESSAGE, NOT_FOUND):
                raise
            return None
        return said["message"]["subject"], said["message"]["time"]

    async def _create(self, client: Client) -> None:
        subject = f"STREAM.CREATE.{self.name}"
        try:
            await self._servers.api(client, subject, self._config)
        except ApiError as error:
            if error.code == _NAME_IN_USE:
                return  # another node was faster
            if error.code != _NOT_CLUSTERED:
                raise
            await self._servers.api(client, subject, self._config | {"num_replicas": 1})
            _log.warning(
                "stream %s stands on one server: what it acknowledged is lost with its disk",
                self.name,
            )
        if self._was_there:
            _log.warning("the cluster's stream %s is gone, and is made anew", self.name)
        else:
            _log.info("the cluster's stream %s is made", self.name)
