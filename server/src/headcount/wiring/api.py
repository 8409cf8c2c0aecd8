"""The api process: usage API, own API, documents and the page on the API address."""

from __future__ import annotations

import gc
import os
from contextlib import closing

import msgspec
import uvloop
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Receive, Scope, Send

from headcount.catalog import Catalog
from headcount.clock import now_ms
from headcount.datafolder import DataFolder, open_data_folder
from headcount.metering.backlog import Backlog
from headcount.runfiles import read_whole
from headcount.store.sqlite import SqliteStore
from headcount.wiring.child import Child, Task
from headcount.wiring.http import serve_http

__all__ = ["run"]

# An open page asks once a second and makes itself anew, out of some seven questions, as often as
# every second under steady traffic: room for a dozen of them with one token.
_PAGE_REQUESTS_PER_MINUTE = 6_000


class _State(msgspec.Struct):
    """One child, as the supervisor describes it."""

    role: str
    ready: bool


def run(task: Task, child: Child) -> None:
    """Answer readers until told to stop.

    Raises:
        DataFolderError: the data folder cannot be used as it is.
    """
    # The other processes share their metrics in files; this one adds them up, and keeps its own
    # numbers to itself. prometheus-client looks at the variable when it is imported.
    os.environ.pop("PROMETHEUS_MULTIPROC_DIR", None)
    from headcount.api import ApiSettings, create_app
    from headcount.page import create_page, is_of_page

    folder = open_data_folder(task.folder, create=True)
    with Catalog(folder.catalog) as catalog, closing(SqliteStore(folder.store)) as store:

        def api(requests_per_minute: int) -> ASGIApp:
            return create_app(
                store=store,
                catalog=catalog,
                clock=now_ms,
                not_ready=lambda: _not_ready(folder),
                backlog=lambda: read_whole(folder.backlog, Backlog),
                server_metrics=lambda: _server_metrics(folder),
                settings=ApiSettings(requests_per_minute=requests_per_minute),
            )

        programs = api(task.rate_limit_per_minute)
        page = create_page(
            api=api(_PAGE_REQUESTS_PER_MINUTE), clock=now_ms, tracking_url=task.tracking_url
        )

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            of_page = scope["type"] == ScopeType.HTTP and is_of_page(scope["path"])
            await (page if of_page else programs)(scope, receive, send)

        # What stands now stands for good: the collector need not walk it during a request.
        gc.collect()
        gc.freeze()
        # The page asks for cookies that only travel by TLS, if that is how the browser came.
        uvloop.run(serve_http(app, task.listen_fd, child, proxy_headers=True))


def _not_ready(folder: DataFolder) -> list[str]:
    states = read_whole(folder.state, list[_State])
    if states is None:
        return ["The server is starting."]
    what = {
        "intake": "A process that takes messages is not running.",
        "meter": "The meter is starting: messages are taken and will be counted.",
    }
    return sorted({what[s.role] for s in states if not s.ready and s.role in what})


def _server_metrics(folder: DataFolder) -> str:
    from prometheus_client import CollectorRegistry, generate_latest
    from prometheus_client.multiprocess import MultiProcessCollector

    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=str(folder.metrics))  # type: ignore[no-untyped-call]
    return generate_latest(registry).decode()
