"""One intake worker: the tracking application on a socket, writing to a journal of its own."""

from __future__ import annotations

import asyncio
import sys
from contextlib import AsyncExitStack, closing

import uvloop

from headcount import telemetry
from headcount.allowances import Allowances
from headcount.catalog import Catalog
from headcount.clock import now_ms
from headcount.config import Settings
from headcount.datafolder import open_data_folder
from headcount.http.front import front_of
from headcount.http.pace import ProcessPace
from headcount.http.serving import serve_http
from headcount.intake import Budgets, Forwards, Limits, RequestTally, create_app
from headcount.intake.bots import prepare_bots
from headcount.journal import JournalDirectory, JournalFile
from headcount.quotas import OverQuota
from headcount.spool.settling import settle
from headcount.spool.spool_key import spool_key_place
from headcount.store.sealed import SealedMonths
from headcount.troubles import Troubles
from headcount.wiring.duties import Duty
from headcount.wiring.hosting import hosting_of
from headcount.wiring.import_access import CatalogHistory
from headcount.wiring.journal_sink import JournalSink
from headcount.wiring.keys_in_use import CatalogHashKeys
from headcount.wiring.lifetime import Child
from headcount.wiring.log_acknowledged import LogAcknowledgement
from headcount.wiring.sources import CatalogSources
from headcount.wiring.spooling import ForwardedSources, JournalSpool
from headcount.wiring.task import Task

__all__ = ["run"]

_REFRESH_EVERY_S = 0.2
_SWITCH_EVERY_S = 0.002
_KEYS_STAY = (
    "Write keys cannot be read again, so that those which were read last are used, and what was"
    " added or disabled since then is not known:"
)


def run(task: Task, child: Child) -> None:
    """Take tracking requests until told to stop.

    Raises:
        DataFolderError: the data folder cannot be used as it is.
    """
    # The thread that writes the journal needs the interpreter for an instant between its waits for
    # the disk. Under load it would wait for it for 5 ms each time, and everybody for their answers.
    sys.setswitchinterval(_SWITCH_EVERY_S)
    uvloop.run(_run(task, child))


async def _run(task: Task, child: Child) -> None:
    # Beside opening the folder and the journal, which waits for the disk.
    preparing = asyncio.create_task(asyncio.to_thread(prepare_bots))
    settings = task.settings()
    front = front_of(settings)
    folder = open_data_folder(settings.data, create=False)
    troubles = Troubles(folder.troubles if task.reading is None else None, "intake", now_ms)
    with (
        Catalog(folder.catalog, read_only=True) as catalog,
        closing(SealedMonths(folder.store)) as months,
        closing(troubles),
        closing(Allowances(folder.allowances, worker=True)) as allowances,
    ):
        hash_keys = CatalogHashKeys(folder, catalog, settings.hash_key)
        sources = CatalogSources(catalog)
        history = CatalogHistory(catalog, sources, months, troubles)
        answered, forwards = RequestTally(telemetry.REQUEST_SECONDS_BOUNDS), Forwards()
        forwarded = ForwardedSources(
            catalog, folder.spool, settings.forward_spool, forwards, now_ms, troubles
        )
        spool_key = spool_key_place(folder, settings.hash_key)

        def settled(journal: JournalFile) -> None:
            settle(folder.spool, journal.uuid, journal.last_id())

        async with AsyncExitStack() as stack:
            journals = stack.enter_context(
                closing(JournalDirectory(folder.journals, on_claim=settled))
            )
            sink = JournalSink(
                journals.claim, now_ms, troubles, insist=not task.again,
                spool_beside=lambda journal: JournalSpool(folder.spool, spool_key, journal),
                handed_on=LogAcknowledgement(folder.handed_on) if settings.ack == "log" else None,
            )  # fmt: skip
            stack.push_async_callback(sink.close)
            if task.reading is None:
                await sink.open()

            over_quota = OverQuota(folder.quotas, now_ms)

            async def refresh() -> bool:
                _count_answers(answered)
                sources.refresh()
                hash_keys.refresh()
                forwarded.refresh()
                over_quota.refresh()
                await sink.tend()
                return False

            refreshing = Duty(refresh, _REFRESH_EVERY_S, troubles, "keys", _KEYS_STAY)
            stack.push_async_callback(refreshing.end)
            budgets = _budgets(settings, allowances, over_quota)
            pace = ProcessPace("tracking")
            app = create_app(
                sources, history, sink, hash_keys, now_ms,
                Limits(event_names=not settings.no_event_names), budgets, answered, forwards,
                hosting_of(settings, front, troubles), pace.delay_s,
            )  # fmt: skip
            await preparing
            await serve_http(
                app,
                task.listen_fd,
                child,
                address="tracking",
                idle_timeout_s=settings.idle_timeout_s,
                troubles=troubles,
                front=front,
                pace=pace,
                fast_path=app.fast_path,
            )


def _budgets(settings: Settings, allowances: Allowances, over_quota: OverQuota) -> Budgets:
    return Budgets(
        allowances,
        now_ms,
        messages_a_minute_max=settings.source_messages_per_minute,
        new_ids_a_minute_max=settings.source_ids_per_minute,
        over_quota=over_quota,
    )


def _count_answers(answered: RequestTally) -> None:
    for (status, reason), requests in answered.take().items():
        telemetry.REQUESTS.labels(str(status), reason).inc(requests)
    telemetry.REQUEST_SECONDS.add(*answered.take_times())
