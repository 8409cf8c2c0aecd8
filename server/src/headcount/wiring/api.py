"""The api process: usage API, own API, documents and the page on the API address."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING

import uvloop
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Receive, Scope, Send

from headcount import tracing
from headcount.backlog import Backlog
from headcount.catalog import Catalog
from headcount.clock import now_ms
from headcount.cluster.catalogs import catalog_for_changes, membership_of
from headcount.cluster.channel_keys import channel_key
from headcount.cluster.losses import LossFolder
from headcount.cluster.overview import ClusterStatus
from headcount.datafolder import DataFolder, load_hash_key, open_data_folder
from headcount.forwarding_status import ForwardingStatus
from headcount.http.entrance import Entrance
from headcount.http.front import front_of
from headcount.http.pace import ProcessPace
from headcount.http.proxies import TrustedProxies
from headcount.http.serving import serve_http
from headcount.runfiles import ChildState, read_whole
from headcount.store.opening import open_store, open_whole_sums
from headcount.store.protocol import MeterStore
from headcount.troubles import Trouble, Troubles, read_troubles
from headcount.wiring.lifetime import Child
from headcount.wiring.storage import STORAGE, WatchedDatabases
from headcount.wiring.task import Task
from headcount.wiring.whole_bodies import WholeBodies

if TYPE_CHECKING:
    from headcount.config import Settings
    from headcount.page import Sessions
    from headcount.wiring.signing_out import SignedOutEverywhere

__all__ = ["run"]

# An open page asks once a second and makes itself anew, out of some seven questions, as often as
# every second under steady traffic: room for a dozen of them with one token.
_PAGE_REQUESTS_PER_MINUTE = 6_000

# Health must be said within a second, whoever asks for it all the time.
_HEALTH_DELAYED_MOST_S = 0.3


def run(task: Task, child: Child) -> None:
    """Answer readers until told to stop.

    Raises:
        DataFolderError: the data folder cannot be used as it is.
    """
    from headcount.api import ApiSettings, Links, create_app
    from headcount.intake.description import tracking_document
    from headcount.page import create_page
    from headcount.wiring.callers import Callers, turning_away
    from headcount.wiring.exposition import Exposition

    reading = task.reading is not None
    settings = task.settings()
    folder = open_data_folder(settings.data, create=False)
    with (
        _catalog(folder, settings.cluster, reading=reading) as catalog,
        closing(_store(folder, settings.cluster, reading=reading)) as store,
    ):
        troubles = Troubles(None if reading else folder.troubles, "api", now_ms)
        places = WatchedDatabases(folder)
        places.fault()  # remembers what is there now
        if task.reading is not None:
            troubles.begin(STORAGE, task.reading)
        exposition = Exposition(folder, shared=not reading)

        def api(requests_per_minute: int) -> ASGIApp:
            return create_app(
                store=store,
                catalog=catalog,
                clock=now_ms,
                not_ready=lambda: [task.reading] if task.reading else _not_ready(folder, places),
                troubles=lambda: [] if reading else _troubles(folder, troubles),
                backlog=lambda: read_whole(folder.backlog, Backlog),
                server_metrics=exposition.text,
                forwarding=lambda: read_whole(folder.forwarding, list[ForwardingStatus]) or [],
                cluster=lambda: read_whole(folder.cluster_status, ClusterStatus),
                losses=LossFolder(folder.losses).noted,
                channel_key=lambda: channel_key(folder, settings.hash_key, catalog, make=True),
                settings=ApiSettings(requests_per_minute, TrustedProxies(settings.metrics_from)),
            )

        programs = api(settings.rate_limit_per_minute)
        sessions, signed_out = _sessions(folder, settings, catalog, troubles)
        page = create_page(
            api=api(_PAGE_REQUESTS_PER_MINUTE),
            sessions=sessions,
            links=Links(catalog, now_ms),
            clock=now_ms,
            tracking_url=task.tracking_url,
            tracking_document=tracking_document(),
        )
        callers, pace = Callers(catalog, sessions, now_ms), ProcessPace("api")
        # What stands now stands for good: the collector need not walk it during a request.
        gc.collect()
        gc.freeze()
        # The page asks for cookies that only travel by TLS, if that is how the browser came.
        serving = serve_http(
            WholeBodies(_routed(page, programs, pace), is_known=callers.is_known),
            task.listen_fd,
            child,
            address="api",
            idle_timeout_s=settings.idle_timeout_s,
            troubles=troubles,
            proxy_headers=True,
            front=front_of(settings),
            entrance=Entrance(callers.owner_of, turning_away(pace.delay_s)),
            pace=pace,
        )
        uvloop.run(_begun(signed_out, serving))


def _store(folder: DataFolder, cluster: str | None, *, reading: bool) -> MeterStore:
    open_it = open_store if cluster is None else open_whole_sums
    return open_it(folder.store, read_only=reading)


def _catalog(folder: DataFolder, cluster: str | None, *, reading: bool) -> Catalog:
    if reading:
        return Catalog(folder.catalog, read_only=True)
    return catalog_for_changes(folder, cluster)


async def _begun(signed_out: SignedOutEverywhere | None, serving: Awaitable[None]) -> None:
    if signed_out is not None:
        signed_out.begin()
    await serving


def _sessions(
    folder: DataFolder, settings: Settings, catalog: Catalog, troubles: Troubles
) -> tuple[Sessions, SignedOutEverywhere | None]:
    """Who is signed in, on a single machine in memory, in a cluster by cookies; who signed out."""
    from headcount.page import MemorySessions, SealedSessions, session_key
    from headcount.wiring.signing_out import SignedOutEverywhere

    name_of = partial(_name_of, catalog)
    if membership_of(folder) is None:
        return MemorySessions(now_ms, name_of), None
    key = load_hash_key(folder, catalog, settings.hash_key)
    opened = partial(catalog_for_changes, folder, settings.cluster)
    signed_out = SignedOutEverywhere(catalog, opened, troubles, now_ms, folder.signed_out)
    return SealedSessions(session_key(key), signed_out, now_ms, name_of), signed_out


def _name_of(catalog: Catalog, workspace_id: str) -> str | None:
    workspace = catalog.workspace(workspace_id)
    return None if workspace is None else workspace.name


def _routed(page: ASGIApp, programs: ASGIApp, pace: ProcessPace) -> ASGIApp:
    """The page where it is asked for, else the API."""
    from headcount.page import is_of_page
    from headcount.wiring.callers import HEALTH_PATHS

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        tracing.begin(scope)
        of_page = scope["type"] == ScopeType.HTTP and is_of_page(scope["path"])
        if scope["type"] == ScopeType.HTTP and scope["path"] in HEALTH_PATHS:
            await asyncio.sleep(min(_HEALTH_DELAYED_MOST_S, pace.delay_s(scope)))
        await (page if of_page else programs)(scope, receive, send)

    return app


def _troubles(folder: DataFolder, troubles: Troubles) -> list[Trouble]:
    """What hinders anybody, after a look at whether the disk takes what this process says."""
    if refusal := troubles.refusal():
        remedy = "Check the disk and its mount; it goes on by itself once that takes writes."
        troubles.begin(STORAGE, f"{folder.path} cannot be written: {refusal}.", remedy)
    else:
        troubles.end(STORAGE)
    everybody = (*read_troubles(folder.troubles), *troubles.now())
    return list({(each.kind, each.message): each for each in everybody}.values())


def _not_ready(folder: DataFolder, places: WatchedDatabases) -> list[str]:
    if fault := places.fault():
        return [fault]
    states = read_whole(folder.state, list[ChildState])
    if states is None:
        return ["The server is starting."]
    what = {
        "intake": "A process that takes messages is starting.",
        "meter": "The meter is starting: messages are taken and will be counted.",
        "relay": "The relay is starting: messages are taken and will be handed on.",
        "partitions": "Partitions are starting to be counted.",
        "mirror": "What partitions have counted is being fetched.",
    }
    # One that has ended is not starting: how often it has, and why, is what there is to say.
    return sorted({s.said or what[s.role] for s in states if not s.ready and s.role in what})
