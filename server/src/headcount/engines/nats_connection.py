"""A connection to NATS servers, for plain calls: its client's event loop runs in a thread beside.

The client connects again by itself for as long as it takes; calls fail meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, NoReturn, TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg

from headcount.engines.engine_address import shown_address
from headcount.engines.log import PUBLISH_BYTES_MAX
from headcount.errors import EngineAwayError, OperatorError

__all__ = ["OLDEST_VERSION", "ApiError", "Nats", "Subscribed"]

OLDEST_VERSION = (2, 12)
_T = TypeVar("_T")
_PARAMETERS = ("ca", "credentials")
_REFUSED_WORDS = ("authorization violation", "authentication", "permissions violation")


class ApiError(Exception):
    """What JetStream answered instead of doing it.

    Attributes:
        code: of the error, as JetStream's documentation lists them.
    """

    def __init__(self, code: int, description: str) -> None:
        super().__init__(description)
        self.code = code


class Subscribed:
    """What came on a subject since it was last asked; the oldest is lost if that is long."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []

    def take(self) -> list[bytes]:
        """What came since."""
        heard, self.heard = self.heard, []
        return heard


class Nats:
    """NATS servers, asked by one thread.

    Args:
        address: `nats://[USER:PASSWORD@]HOST:PORT,…`, `tls://…`, with `?credentials=FILE&ca=FILE`.
        timeout_s: for each answer.

    Raises:
        OperatorError: the address cannot be read.
    """

    def __init__(self, address: str, timeout_s: float) -> None:
        self.timeout_s = timeout_s
        self.connected = 0
        """How many connections there were so far."""
        self._address = address
        self._options = _options_of(address)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="nats", daemon=True)
        self._thread.start()
        self._client: Client | None = None
        self._something = threading.Event()
        self._refused = ""
        self._denied = asyncio.Event()
        self._back = asyncio.Event()
        self._wanted: dict[str, list[Subscribed]] = {}
        self._listened: set[str] = set()

    def __str__(self) -> str:
        return shown_address(self._address)

    def connect(self) -> None:
        """Connect now.

        Raises:
            OperatorError: something is wrong that another try does not fix.
            EngineAwayError: the servers cannot be asked at present.
        """
        self._run(self._connected())

    def run(self, ask: Callable[[Client], Coroutine[Any, Any, _T]]) -> _T:
        """What is asked for, over the connection.

        Args:
            ask: asks, and waits for `timeout_s` at most each time.

        Raises:
            EngineAwayError: the servers cannot be asked, or refuse.
        """

        async def asked() -> _T:
            return await ask(await self._connected())

        try:
            return self._run(asked())
        except OperatorError as error:
            raise EngineAwayError(error.problem) from error

    def _run(self, asking: Coroutine[Any, Any, _T]) -> _T:
        future = asyncio.run_coroutine_threadsafe(asking, self._loop)
        try:
            return future.result()
        except BaseException as error:
            future.cancel()
            self.fail(error)

    def fail(self, error: BaseException) -> NoReturn:
        """Raise what was met while asking, as `run` does.

        Raises:
            EngineAwayError: the servers cannot be asked, or refuse.
        """
        if isinstance(error, (nats.errors.Error, ApiError, OSError, TimeoutError)):
            raise EngineAwayError(f"{self} cannot be asked: {_words(error)}.") from error
        raise error

    async def _connected(self) -> Client:
        if self._client is None:
            self._client = await self._new_client()
        elif not self._client.is_connected:
            # It tries again by itself, which takes a moment where another server is there.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(1.0, self.timeout_s)):
                    await self._back.wait()
            if not self._client.is_connected:
                raise EngineAwayError(f"{self} cannot be reached{self._refused}.")
        return self._client

    async def _new_client(self) -> Client:
        client = Client()
        self._refused, self._denied = "", asyncio.Event()
        self._listened.clear()
        connecting = asyncio.ensure_future(
            client.connect(
                **self._options,
                name="headcount",
                max_reconnect_attempts=-1,
                reconnect_time_wait=0.25,  # type: ignore[arg-type]  # seconds
                connect_timeout=max(1, round(self.timeout_s)),
                ping_interval=5,
                max_outstanding_pings=2,
                error_cb=self._heed,
                disconnected_cb=self._lost,
                reconnected_cb=self._again,
            )
        )
        denied = asyncio.ensure_future(self._denied.wait())
        try:
            # It would try for ever.
            await asyncio.wait(
                (connecting, denied),
                timeout=self.timeout_s,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if self._denied.is_set():
                raise OperatorError(
                    f"{self} does not let us in{self._refused}.", "Look at its user and password."
                )
            if not connecting.done() or connecting.exception() or not client.is_connected:
                raise EngineAwayError(f"{self} cannot be reached{self._refused}.")
            self._require_version(client)
            for subject in list(self._wanted):
                await self._listen(client, subject)
        except BaseException:
            connecting.cancel()
            with contextlib.suppress(Exception):
                await client.close()
            raise
        finally:
            denied.cancel()
        self.connected += 1
        return client

    def _require_version(self, client: Client) -> None:
        version = client.connected_server_version
        if (version.major, version.minor) < OLDEST_VERSION:
            raise OperatorError(
                f"{self} runs NATS {version.major}.{version.minor}, too old for a cluster.",
                f"Take NATS {OLDEST_VERSION[0]}.{OLDEST_VERSION[1]} or newer on every server.",
            )

        if not client._server_info.get("jetstream"):
            raise OperatorError(
                f"{self} runs NATS without JetStream, which the log stands in.",
                "Have a block jetstream { sync_interval: always } in the configuration of every"
                " server.",
            )
        if client.max_payload < PUBLISH_BYTES_MAX:
            raise OperatorError(
                f"{self} takes messages of {client.max_payload:,} bytes at most, and a cluster's"
                f" have up to {PUBLISH_BYTES_MAX:,}.",
                "Set max_payload to 1MB in the configuration of every server.",
            )

    async def _heed(self, error: Exception) -> None:
        self._refused = f": {_words(error)}"
        if any(each in self._refused.lower() for each in _REFUSED_WORDS):
            self._denied.set()

    async def _lost(self) -> None:
        self._back.clear()

    async def _again(self) -> None:
        self._back.set()
        self.connected += 1
        self._refused = ""
        self._something.set()

    def subscribe(self, subject: str) -> Subscribed:
        """Hear what comes on a subject, as soon as there is a connection."""
        subscribed = Subscribed()
        others = self._wanted.setdefault(subject, [])
        others.append(subscribed)
        if len(others) == 1:
            with contextlib.suppress(EngineAwayError, OperatorError):
                self.run(lambda client: self._listen(client, subject))
        return subscribed

    async def _listen(self, client: Client, subject: str) -> None:
        # The client itself goes on with it after a connection was lost.
        if subject in self._listened:
            return
        self._listened.add(subject)

        async def came(message: Msg) -> None:
            for subscribed in self._wanted.get(subject, []):
                subscribed.heard.append(message.data)
                del subscribed.heard[:-10_000]
            self._something.set()

        await client.subscribe(subject, cb=came)
        await client.flush(max(1, round(self.timeout_s)))

    def unsubscribe(self, subject: str, subscribed: Subscribed) -> None:
        """Hear it no longer; idempotent."""
        with contextlib.suppress(ValueError):
            self._wanted.get(subject, []).remove(subscribed)

    def look(self) -> None:
        """Connect where there is no connection, and raise as `run` where none can be made."""
        if self._client is None or not self._client.is_connected:
            self.run(_nothing)

    def keep_awake(self) -> None:
        """Let the next `wait` return at once: there may be more."""
        self._something.set()

    def wait(self, seconds: float) -> None:
        """Rest until something comes on a subject, or the time is over."""
        self._something.wait(seconds)
        self._something.clear()

    async def api(self, client: Client, subject: str, asked: Any = None) -> dict[str, Any]:
        """What JetStream answers.

        Raises:
            ApiError: it did not do it.
            nats.errors.Error: it cannot be asked.
        """
        text = b"" if asked is None else json.dumps(asked).encode()
        return await self.ask(client, f"$JS.API.{subject}", text)

    async def ask(
        self, client: Client, subject: str, data: bytes, headers: dict[str, str] | None = None
    ) -> dict[str, Any]:
        """What is answered on a subject by JetStream; raises as `api`."""
        answer = await client.request(
            subject, data, timeout=self.timeout_s, headers=headers or None
        )
        said: dict[str, Any] = json.loads(answer.data)
        if "error" in said:
            error = said["error"]
            raise ApiError(int(error.get("err_code", 0)), str(error.get("description", "")))
        return said

    def close(self) -> None:
        """Give the connection and the thread back; idempotent."""
        if self._loop.is_closed():
            return
        ending = asyncio.run_coroutine_threadsafe(self._end(), self._loop)
        with contextlib.suppress(Exception):
            ending.result(3 * self.timeout_s)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end(self) -> None:
        # While it connects again, the client forgets tasks of its former connection, and lets one
        # fail whose end nobody waits for.
        tasks = asyncio.all_tasks()
        if self._client is not None:
            with contextlib.suppress(Exception):
                async with asyncio.timeout(self.timeout_s):
                    await self._client.close()
        tasks = (tasks | asyncio.all_tasks()) - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.timeout_s):
                await asyncio.gather(*tasks, return_exceptions=True)


async def _nothing(_: Client) -> None:
    """What is asked to find out whether anything can be."""


def _options_of(address: str) -> dict[str, Any]:
    """What the client is told: `nats://a:4222,b:4222` names servers that let in the same user."""
    parts = urlsplit(address)
    user, _, hosts = parts.netloc.rpartition("@")
    servers = [f"nats://{host.rpartition('@')[2]}" for host in hosts.split(",") if host]
    parameters = dict(parse_qsl(parts.query))
    if not servers or parameters.keys() - set(_PARAMETERS) or parts.path not in ("", "/"):
        raise OperatorError(
            f"{shown_address(address)} is no address of NATS servers.",
            "Write it as nats://USER:PASSWORD@HOST:4222,HOST:4222,HOST:4222, with"
            " ?credentials=FILE or ?ca=FILE behind it where they are needed.",
        )
    options: dict[str, Any] = {"servers": servers}
    name, colon, password = user.partition(":")
    if colon:
        options |= {"user": unquote(name), "password": unquote(password)}
    elif name:
        options["token"] = unquote(name)
    try:
        if "credentials" in parameters:
            options["user_credentials"] = parameters["credentials"]
            Path(parameters["credentials"]).read_bytes()
        if parts.scheme.lower() == "tls" or "ca" in parameters:
            options["tls"] = ssl.create_default_context(cafile=parameters.get("ca"))
    except OSError as error:
        raise OperatorError(
            f"{shown_address(address)} names a file that cannot be read: {error.strerror}.",
            "Look at its path and permissions.",
        ) from error
    return options


def _words(error: BaseException) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0].removeprefix("nats: ").rstrip(".")
