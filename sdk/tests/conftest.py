"""Fixtures of the client's tests: the two clients behind one face, and servers to ask."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

import segment_public_api
from sdk_scripted_server import Reply, ScriptedServer
from segment_public_api import Configuration, aio

Call = Callable[..., Any]

API_BY_METHOD = {"api_calls": "APICallsApi", "mtu": "MonthlyTrackedUsersApi"}


def api_name(method: str) -> str:
    return next(api for part, api in API_BY_METHOD.items() if part in method)


def call_sync(configuration: Configuration, method: str, *args: Any, **kwargs: Any) -> Any:
    with segment_public_api.ApiClient(configuration) as client:
        api = getattr(segment_public_api, api_name(method))(client)
        return getattr(api, method)(*args, **kwargs)


def call_async(configuration: Configuration, method: str, *args: Any, **kwargs: Any) -> Any:
    async def run() -> Any:
        async with aio.ApiClient(configuration) as client:
            api = getattr(aio, api_name(method))(client)
            return await getattr(api, method)(*args, **kwargs)

    return asyncio.run(run())


@pytest.fixture(params=[call_sync, call_async], ids=["sync", "async"])
def call(request: pytest.FixtureRequest) -> Call:
    """`call(configuration, method, *arguments)` through one of the two clients."""
    return request.param


@pytest.fixture
def scripted() -> Iterator[Callable[..., ScriptedServer]]:
    """Start servers that answer as told; all of them end with the test."""
    with contextlib.ExitStack() as stack:

        def start(*replies: Reply) -> ScriptedServer:
            return stack.enter_context(ScriptedServer(*replies))

        yield start


@dataclass(frozen=True)
class Headcount:
    """A running server and what was imported into it.

    Attributes:
        host: address of its usage API.
        token: reads the workspace.
        messages: (source id, day of February 2021, user id, anonymous id) of each message.
    """

    host: str
    token: str
    messages: list[tuple[str, int, str | None, str | None]]

    @property
    def sources(self) -> list[str]:
        return sorted({source for source, *_ in self.messages})


def headcount(*arguments: str) -> Any:
    """Run the server's command line; what it prints, decoded."""
    command = [sys.executable, "-m", "headcount", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def february(source: str, seed: int) -> list[tuple[str, int, str | None, str | None]]:
    """A month of one source: known users, visitors, and visitors who become known."""
    chance = random.Random(seed)
    return [
        (
            source,
            day,
            chance.choice([None, *(f"user-{n}" for n in range(9))]),
            f"device-{chance.randrange(12)}",
        )
        for day in range(1 + seed, 29)
        for _ in range(chance.randrange(6))
    ]


@pytest.fixture(scope="session")
def headcount_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Headcount]:
    """A real server that holds February 2021 of two sources."""
    folder = tmp_path_factory.mktemp("headcount")
    data = ("--data", str(folder / "data"), "--json")
    headcount("workspace", "add", "Shop", *data)
    token = headcount("token", "add", "--workspace", "Shop", *data)["token"]
    messages = []
    for seed, name in enumerate(("web", "phone"), start=1):
        source = headcount("source", "add", name, "--workspace", "Shop", *data)["id"]
        rows = february(source, seed)
        messages += rows
        path = folder / f"{name}.ndjson"
        with path.open("w") as file:
            for number, (_, day, user_id, anonymous_id) in enumerate(rows):
                record = {
                    "type": "track",
                    "event": "Seen",
                    "messageId": f"{name}-{number}",
                    "userId": user_id,
                    "anonymousId": anonymous_id,
                    "receivedAt": f"2021-02-{day:02}T12:00:00Z",
                }
                file.write(json.dumps(record) + "\n")
        headcount("import", str(path), "--workspace", "Shop", "--source", name, *data)
    command = [sys.executable, "-m", "headcount", "serve", *data, "--workers", "1"]
    command += ["--tracking", "127.0.0.1:0", "--api", "127.0.0.1:0"]
    command += ["--rate-limit-per-minute", "100000"]
    with (
        (folder / "serve.err").open("w") as errors,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True) as process,
    ):
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line, (folder / "serve.err").read_text()
            yield Headcount(json.loads(line)["api"], token, messages)
        finally:
            process.terminate()
            process.wait()
