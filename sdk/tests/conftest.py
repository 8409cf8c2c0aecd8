"""Fixtures of the client's tests: the two clients behind one face, and servers to ask."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from sdk_callers import call_async, call_sync
from sdk_headcount import Headcount, running
from sdk_scripted_server import Reply, ScriptedServer


@pytest.fixture(params=[call_sync, call_async], ids=["sync", "async"])
def call(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """`call(configuration, method, *arguments)` through one of the two clients."""
    return request.param


@pytest.fixture
def scripted() -> Iterator[Callable[..., ScriptedServer]]:
    """Start servers that answer as told; all of them end with the test."""
    with contextlib.ExitStack() as stack:

        def start(*replies: Reply) -> ScriptedServer:
            return stack.enter_context(ScriptedServer(*replies))

        yield start


@pytest.fixture(scope="session")
def headcount_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Headcount]:
    """A real server that holds February 2021 of two sources."""
    with running(tmp_path_factory.mktemp("headcount")) as server:
        yield server
