"""After a fork, each process reads the answers to its own questions, and leaves the others theirs.

The programs run as processes of their own, since a fork of a test process would copy its threads.
"""

from __future__ import annotations

import copy
import json
import pickle
import re
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import segment_public_api as sdk
from sdk_scripted_server import ScriptedServer, answer, workspace_page
from sdk_tls import TlsServer, self_signed

ENDS_WITHIN_S = 60


def echo(connection: socket.socket, server: ScriptedServer) -> bool:
    """Answers with the number of rows that was asked for: each answer shows whose it is."""
    # Of this connection's requests the last; the list is everybody's.
    asked = re.search(r"count%22%3A(?:%20|\+)?(\d+)", _target_of(connection, server))
    assert asked is not None
    # Children that share a connection have all asked before the first answer is out.
    server.stopping.wait(0.002)
    return answer(workspace_page([int(asked[1])]))(connection, server)


def _target_of(connection: socket.socket, server: ScriptedServer) -> str:
    port = connection.getpeername()[1]
    return next(seen.target for seen in reversed(server.requests) if seen.port == port)


@pytest.fixture(params=["http", "https"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, str]]:
    """The address of a server that echoes, and the file of who vouches for it, if that matters."""
    if request.param == "http":
        with ScriptedServer(echo) as plain:
            yield plain.host, ""
    else:
        files = self_signed(tmp_path)
        with TlsServer(files, echo) as tls:
            yield tls.host, str(files[0])


BEGINNING = """
import asyncio, json, os, sys, threading
import segment_public_api as s
from segment_public_api import aio

def configuration():
    return s.Configuration(
        host=sys.argv[1], ssl_ca_cert=sys.argv[2] or None, access_token="token-of-a-test",
        retries=0, request_timeout=(5, 5),
    )

def ask(api, n):
    page = api.get_daily_workspace_api_calls_usage("2021-02-01", s.PaginationInput(count=n))
    return "right" if page.rows[0].api_calls_int == n else "ANOTHER'S ANSWER"

def in_children(numbers, ask, end=os._exit):
    said = []
    for n in numbers:
        reading, writing = os.pipe()
        if (child := os.fork()) == 0:
            try:
                word = ask(n)
            except BaseException as error:
                word = f"{type(error).__name__}: {error}"
            os.write(writing, word.encode())
            end(0)
        os.close(writing)
        said.append((child, reading))
    words = []
    for child, reading in said:
        words.append(os.read(reading, 500).decode())
        assert os.waitpid(child, 0)[1] == 0
    return words
"""


def told(program: str, server: tuple[str, str]) -> Any:
    """What a program prints, as JSON."""
    done = subprocess.run(
        [sys.executable, "-c", BEGINNING + textwrap.dedent(program), *server],
        capture_output=True,
        text=True,
        timeout=ENDS_WITHIN_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_children_read_their_own_answers_and_the_parent_its_own(server: tuple[str, str]) -> None:
    words = told(
        """
        words = []
        with s.ApiClient(configuration()) as client:
            api = s.APICallsApi(client)
            for turn in range(8):
                words.append(ask(api, 900 + turn))
                words += in_children(range(1, 5), lambda n: ask(api, n))
                words += in_children(range(1, 5), lambda n: client.close() or ask(api, n))
                words.append(ask(api, 950 + turn))
        print(json.dumps(words))
        """,
        server,
    )
    assert words == ["right"] * 80


@pytest.mark.parametrize("server", ["http"], indirect=True)
def test_a_fork_amid_other_threads_calls(server: tuple[str, str]) -> None:
    """Not by TLS: OpenSSL has locks of its own, and a thread that holds one at the fork leaves it
    locked in the child for good, whichever client uses it there."""
    words = told(
        """
        from concurrent.futures import ThreadPoolExecutor

        api = s.APICallsApi(s.ApiClient(configuration()))
        over = threading.Event()

        def steadily(n):
            words = []
            while not over.is_set():
                words.append(ask(api, n))
            return words

        assert ask(api, 99) == "right"  # what a first call brings into being is there
        with ThreadPoolExecutor(3) as threads:
            under_way = [threads.submit(steadily, 100 + n) for n in range(3)]
            words = [word for _ in range(8) for word in in_children(
                range(1, 4), lambda n: ask(api, n))]
            over.set()
            words += [word for future in under_way for word in future.result()]
        print(json.dumps([len(words) >= 24, sorted(set(words))]))
        """,
        server,
    )
    assert words == [True, ["right"]]


def test_locks_held_at_the_fork_hinder_no_child(server: tuple[str, str]) -> None:
    """A thread of the parent holds every lock of the pool at the fork; it does not exist in
    the child, which nevertheless asks, closes and ends as every program does."""
    words = told(
        """
        client = s.ApiClient(configuration())
        api = s.APICallsApi(client)
        words = [ask(api, 7)]
        [manager] = client.rest_client._pools.values()
        [key] = manager.pools.keys()
        queue = manager.pools[key].pool
        held, forked = threading.Event(), threading.Event()

        def hold():
            with queue.mutex, manager.pools.lock:
                held.set()
                forked.wait()

        thread = threading.Thread(target=hold)
        thread.start()
        held.wait()

        def ask_and_close(n):
            word = ask(api, n)
            client.close()
            return word

        children = []
        for n in range(1, 3):
            if (child := os.fork()) == 0:
                assert ask_and_close(n) == "right"
                sys.exit(0)
            children.append(child)
        words += [os.waitpid(child, 0)[1] for child in children]
        forked.set()
        thread.join()
        words.append(ask(api, 8))
        print(json.dumps(words))
        """,
        server,
    )
    assert words == ["right", 0, 0, "right"]


def test_the_asyncio_client_of_a_parent_says_so_and_leaves_its_connections(
    server: tuple[str, str],
) -> None:
    words = told(
        """
        async def aask(api, n):
            page = await api.get_daily_workspace_api_calls_usage(
                "2021-02-01", s.PaginationInput(count=n))
            return "right" if page.rows[0].api_calls_int == n else "ANOTHER'S ANSWER"

        async def anew(n):
            async with aio.ApiClient(configuration()) as client:
                return await aask(aio.APICallsApi(client), n)

        async def in_child(client, n):
            try:
                await aask(aio.APICallsApi(client), n)
                return "it was used"
            except s.ApiValueError as error:
                word = str(error)
            await client.close()
            return await anew(n) + ", after: " + word

        async def main():
            client = aio.ApiClient(configuration())
            unused = aio.ApiClient(configuration())
            api = aio.APICallsApi(client)
            words = [await aask(api, 900)]

            def asks(n):
                asyncio.events._set_running_loop(None)
                return asyncio.run(in_child(client, n))

            def uses_the_unused(n):
                asyncio.events._set_running_loop(None)
                return asyncio.run(aask(aio.APICallsApi(unused), n))

            words += in_children(range(1, 3), asks)
            words += in_children(range(1, 3), uses_the_unused)
            words.append(await aask(api, 901))
            await client.close()
            return words

        print(json.dumps(asyncio.run(main())))
        """,
        server,
    )
    assert [word.partition(",")[0] for word in words] == ["right"] * 6
    for word in words[1:3]:
        assert "used before the process was forked" in word
        assert "make a new one in the child" in word


def through_pickle(value: Any) -> Any:
    return pickle.loads(pickle.dumps(value))


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, through_pickle])
def test_copies_of_the_connections_open_their_own(copied: Any) -> None:
    with ScriptedServer(echo) as plain:
        configuration = sdk.Configuration(host=plain.host, access_token="abc", retries=0)
        with sdk.ApiClient(configuration) as client:
            api = sdk.APICallsApi(client)
            api.get_daily_workspace_api_calls_usage("2021-02-01", sdk.PaginationInput(count=1))
            with sdk.ApiClient(configuration) as twin:
                twin.rest_client = copied(client.rest_client)
                api = sdk.APICallsApi(twin)
                api.get_daily_workspace_api_calls_usage("2021-02-01", sdk.PaginationInput(count=1))
        assert len({seen.port for seen in plain.requests}) == 2
