"""Fixtures of the client's tests: the two clients behind one face, and servers to ask."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
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
