"""The registry in NATS: a key-value bucket on three servers, as its other tools read it too.

Every read is answered by the leader of the bucket's stream; the number of a change is its place in
that stream.
"""

from __future__ import annotations

import asyncio
import base64
import time
from typing import Any

from nats.aio.client import Client

from headcount.engines.nats_connection import ApiError, Nats, Subscribed
from headcount.engines.nats_streams import NOT_FOUND, Stream
from headcount.engines.registry import REGISTRY_VALUE_BYTES_MAX, Registry, RegistryEntry
from headcount.errors import EngineAwayError, RegistryConflictError

__all__ = ["NatsRegistry"]

_NO_MESSAGE = 10037
_WRONG_LAST = (10071, 10164)
_LOOK_EVERY_S = 0.5
_ATTEMPTS = 10
_TOMBSTONE = "KV-Operation: DEL"


class NatsRegistry(Registry):
    """A `Registry` on NATS servers.

    Args:
        address: of the servers.
        name: of the cluster, and of its bucket.
        timeout_s: how long an answer is waited for.
    """

    def __init__(self, address: str, name: str, timeout_s: float) -> None:
        self.servers = Nats(address, timeout_s)
        self._stream = Stream(
            self.servers,
            {
                "name": f"KV_{name}",
                "subjects": [f"$KV.{name}.>"],
                "max_msgs_per_subject": 1,
                "allow_rollup_hdrs": True,
                "deny_delete": True,
                # A server that lags must not answer who compares.
                "allow_direct": False,
            },
        )
        self._prefix = f"$KV.{name}."
        self._wake = f"{name}.wake"
        self._changed: Subscribed | None = None

    def connect(self) -> None:
        """Connect now; raises as `NatsLog.connect`."""
        self.servers.connect()

    def get(self, key: str) -> RegistryEntry | None:
        return self.servers.run(lambda client: self._get(client, key))

    async def _get(self, client: Client, key: str) -> RegistryEntry | None:
        revision, value = await self._last(client, key)
        return None if value is None else RegistryEntry(value, revision)

    async def _last(self, client: Client, key: str) -> tuple[int, bytes | None]:
        """The number of the last change of a key, 0 for none, and its value; None if removed."""
        asked = {"last_by_subj": self._prefix + key}
        try:
            said = await self.servers.api(client, f"STREAM.MSG.GET.{self._stream.name}", asked)
        except ApiError as error:
            if error.code not in (_NO_MESSAGE, NOT_FOUND):
                raise
            return 0, None
        message = said["message"]
        headers = base64.b64decode(message.get("hdrs", "")).decode("latin-1")
        value = base64.b64decode(message.get("data", ""))
        return int(message["seq"]), None if _TOMBSTONE in headers else value

    def put(self, key: str, value: bytes, expected: int | None) -> int:
        assert len(value) <= REGISTRY_VALUE_BYTES_MAX

        async def ask(client: Client) -> int:
            last = expected
            if expected == 0:
                # What was removed has left a mark, which counts as nothing.
                last, there = await self._last(client, key)
                if there is not None:
                    raise _conflict(key)
            return await self._publish(client, key, value, last, {})

        return self.servers.run(ask)

    def delete(self, key: str, expected: int | None = None) -> None:
        async def ask(client: Client) -> None:
            last, there = await self._last(client, key)
            if there is None:
                return
            if expected is not None and expected != last:
                raise _conflict(key)
            await self._publish(client, key, b"", expected, {"KV-Operation": "DEL"})

        self.servers.run(ask)

    async def _publish(
        self, client: Client, key: str, value: bytes, last: int | None, headers: dict[str, str]
    ) -> int:
        if last is not None:
            headers = headers | {"Nats-Expected-Last-Subject-Sequence": str(last)}
        try:
            said = await self._stream.put(client, self._prefix + key, bytes(value), headers)
        except ApiError as error:
            if error.code in _WRONG_LAST:
                raise _conflict(key) from error
            raise
        await client.publish(self._wake, b"")
        return int(said["seq"])

    def list(self, prefix: str = "") -> dict[str, RegistryEntry]:
        async def ask(client: Client) -> dict[str, RegistryEntry]:
            for _ in range(_ATTEMPTS):
                before = await self._state(client, subjects=True)
                if before is None:
                    return {}
                found = await self._values(client, before, prefix)
                after = await self._state(client)
                if after is not None and after["last_seq"] == before["last_seq"]:
                    return found
            raise EngineAwayError(f"{self.servers} changes too quickly to be listed.")

        return self.servers.run(ask)

    async def _values(
        self, client: Client, state: dict[str, Any], prefix: str
    ) -> dict[str, RegistryEntry]:
        keys = sorted(
            subject.removeprefix(self._prefix)
            for subject in state.get("subjects") or {}
            if subject.startswith(self._prefix + prefix)
        )
        found = await asyncio.gather(*(self._get(client, key) for key in keys))
        return {key: each for key, each in zip(keys, found, strict=True) if each is not None}

    def version(self) -> int:
        async def ask(client: Client) -> int:
            state = await self._state(client)
            return int(state["last_seq"]) if state else 0

        return self.servers.run(ask)

    async def _state(self, client: Client, *, subjects: bool = False) -> dict[str, Any] | None:
        asked = {"subjects_filter": f"{self._prefix}>"} if subjects else None
        said = await self._stream.info(client, asked)
        return None if said is None else dict(said["state"])

    def wait(self, seen: int, seconds: float) -> int:
        until_s = time.monotonic() + seconds
        if self._changed is None:
            self._changed = self.servers.subscribe(self._wake)
        while True:
            self._changed.take()
            version = self.version()
            left_s = until_s - time.monotonic()
            if version != seen or left_s <= 0:
                return version
            self.servers.wait(min(left_s, _LOOK_EVERY_S))

    def close(self) -> None:
        self.servers.close()


def _conflict(key: str) -> RegistryConflictError:
    return RegistryConflictError(f"{key} was changed by somebody else meanwhile.")
