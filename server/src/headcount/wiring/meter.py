"""The meter's process: one step after the other while the server runs, or until nothing is left.

Holds the lock of the folder's meter; whoever cannot have it leaves the store alone.
"""

from __future__ import annotations

import contextlib
import ctypes
import math
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing

import apsw

from headcount.allowances import Allowances
from headcount.catalog import Catalog
from headcount.clock import now_ms
from headcount.cluster.catalogs import require_single_machine
from headcount.datafolder import DataFolder, FolderLock, open_data_folder
from headcount.errors import DataFolderError, OperatorError, StorageUnavailableError
from headcount.journal import JournalDirectory
from headcount.meter import Meter, MeterLimits, Step
from headcount.meter.memory import MemoryLevel, bytes_at_start
from headcount.quotas import QuotaReport
from headcount.remedies import remedy_for
from headcount.sqlite.unwritable import is_refusal
from headcount.store.opening import open_store
from headcount.store.protocol import Change, MeterStore
from headcount.troubles import Troubles
from headcount.wiring.alert_setup import CatalogAlerts
from headcount.wiring.backlog import BacklogReport
from headcount.wiring.erasing import Erasing
from headcount.wiring.forget_requests import ForgetRequests
from headcount.wiring.keys_in_use import CatalogKeyPlan, FormerKey
from headcount.wiring.lifetime import Child
from headcount.wiring.memory import MemoryGuard
from headcount.wiring.storage import STORAGE
from headcount.wiring.task import Task

__all__ = ["meter_until_drained", "run"]

_PAUSE_LEAST_S, _PAUSE_MOST_S = 0.02, 0.2
# After a step that counted something.
_REST_LEAST_S = 0.05
_RETRY_S = 0.5
_REPORT_EVERY_S = 1.0
_DRAIN_WITHIN_S = 1.5
# What a process takes besides that has read and decoded files before it meters.
_IMPORTER_BYTES = 96 << 20


def run(task: Task, child: Child) -> None:
    """Meter until told to stop; then meter what is left, for a few seconds at most.

    Raises:
        DataFolderError: the data folder cannot be used as it is.
    """
    settings = task.settings()
    folder = open_data_folder(settings.data, create=False)
    with (
        FolderLock(folder.meter_lock, "serve"),
        closing(Troubles(folder.troubles, "meter", now_ms)) as troubles,
        ExitStack() as stack,
    ):
        allowances = stack.enter_context(closing(Allowances(folder.allowances)))
        ids_asked = settings.source_ids_per_minute is not None
        guard = MemoryGuard(settings.memory, allowances, troubles, ids_asked=ids_asked)
        meter = None
        while meter is None and not child.stopping.is_set():
            meter = _try_open(folder, settings.dedup_window_days, stack, troubles, guard)
            if guard.level is MemoryLevel.USED_UP:
                child.ready()
                child.stopping.wait()
            elif meter is None:
                child.stopping.wait(_RETRY_S)
        if meter is not None:
            child.ready()
            former_key = FormerKey(folder, settings.hash_key, troubles)
            backlog = BacklogReport(meter, folder)
            forgetting = ForgetRequests(folder, troubles)
            erasing = stack.enter_context(closing(Erasing(folder, troubles)))

            quotas = QuotaReport(folder.quotas)

            def tend() -> None:
                quotas.tell(meter.over_quota())
                former_key.look(meter.is_former_key_done)
                erasing.look(meter)

            _meter(meter, backlog, child.stopping, troubles, guard, forgetting, tend)


def _sources_of(catalog: Catalog) -> Callable[[], Mapping[int, int]]:
    return lambda: {source.number: source.workspace for source in catalog.sources()}


class _CatalogSeen:
    """Tells the store how far the catalog has come.

    An older catalog that is put back, together with what confirms it, is known by that: in it, a
    token that was revoked would be valid again.
    """

    def __init__(self, catalog: Catalog, store: MeterStore) -> None:
        self._catalog = catalog
        self._store = store
        self._version = -1

    def note(self) -> None:
        """Tell it, if anything has changed.

        Raises:
            StorageUnavailableError: the disk refused; it is told next time.
        """
        # What is wrong with the catalog is said by those who look up keys and tokens in it.
        with contextlib.suppress(DataFolderError):
            version = self._catalog.version()
            if version != self._version:
                self._store.commit(Change(catalog_generation=self._catalog.generation()))
                self._version = version


def _opened(
    folder: DataFolder,
    window_days: int,
    stack: ExitStack,
    troubles: Troubles | None,
    limits: MeterLimits | None = None,
) -> Meter:
    """A meter, closed with the stack, as is all that it works with."""
    catalog = stack.enter_context(Catalog(folder.catalog, read_only=True))
    store = stack.enter_context(closing(open_store(folder.store)))
    journals = JournalDirectory(folder.journals)
    sources = _sources_of(catalog)
    meter = Meter(
        store,
        journals,
        now_ms,
        window_days,
        limits,
        sources=sources,
        troubles=troubles,
        key_plan=CatalogKeyPlan(catalog),
        alerts=CatalogAlerts(catalog),
    )
    meter.before_step = _CatalogSeen(catalog, store).note
    return stack.enter_context(closing(meter))


def _try_open(
    folder: DataFolder,
    window_days: int,
    stack: ExitStack,
    troubles: Troubles,
    guard: MemoryGuard,
) -> Meter | None:
    """A meter, closed with the stack; None when the disk refused, or there is no memory for it."""
    with ExitStack() as opened:
        try:
            with closing(open_store(folder.store)) as store:
                if not guard.fits(store, window_days):
                    return None
            meter = _opened(folder, window_days, opened, troubles, guard.limits)
            meter.on_folded = guard.took
        except (DataFolderError, StorageUnavailableError, OSError) as error:
            cause = error if isinstance(error, OSError) else error.__cause__
            if not is_refusal(cause):
                raise
            _hindered(troubles, error, cause)
            return None
        stack.enter_context(opened.pop_all())
    return meter


def _meter(
    meter: Meter,
    backlog: BacklogReport,
    stopping: threading.Event,
    troubles: Troubles,
    guard: MemoryGuard,
    forgetting: ForgetRequests,
    tend: Callable[[], None],
) -> None:
    reported_at_s = -math.inf
    while not stopping.is_set():
        # Before a step, so that it is known from when on nothing more is said if a step never ends.
        if time.monotonic() - reported_at_s >= _REPORT_EVERY_S:
            meter.report_sizes()
            backlog.report()
            _give_back_memory()
            reported_at_s = time.monotonic()
        guard.look(meter)
        if guard.level is MemoryLevel.USED_UP:
            meter.indexes.upkeep()
            stopping.wait(_PAUSE_MOST_S)
            continue
        # Before a step: of one that was interrupted, nobody has come again since.
        forgetting.look(meter)
        began_s = time.monotonic()
        step = _try_step(meter, troubles)
        took_s = time.monotonic() - began_s
        if step is None:
            stopping.wait(_RETRY_S)
        elif step.drained:
            tend()
            # A rest about as long as the work lets facts gather: a busy server makes large steps,
            # which cost less a message, and a quiet one few commits. What comes after a pause of
            # its own is seen at once.
            least_s = _REST_LEAST_S if step.facts else _PAUSE_LEAST_S
            stopping.wait(min(max(took_s, least_s), _PAUSE_MOST_S))
    # Facts in journals are safe without this, but counts are then up to date for readers.
    began_s = time.monotonic()
    while time.monotonic() - began_s < _DRAIN_WITHIN_S:
        guard.look(meter)
        if guard.level is MemoryLevel.USED_UP:
            break
        step = _try_step(meter, troubles)
        if step is None or step.drained:
            break


def _give_back_memory() -> None:
    """Let the system have what lies free between the tables, where the C library can do that.

    Tables are replaced by larger ones all the time, and glibc keeps the holes: half as much again
    as the index itself.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _try_step(meter: Meter, troubles: Troubles) -> Step | None:
    """What a step did; None when the disk refused.

    A meter that has nothing to do says about once a second that it has not, which the disk must
    take as well: so a refusal is noticed, and its end, though nothing comes.
    """
    try:
        step = meter.step()
    except StorageUnavailableError as error:
        _hindered(troubles, error, error.__cause__)
        return None
    troubles.end(STORAGE)
    return step


def _hindered(troubles: Troubles, error: Exception, cause: BaseException | None) -> None:
    said = error.problem if isinstance(error, DataFolderError) else f"{error}."
    troubles.begin(
        STORAGE,
        f"Messages are not counted, and stay in the journals: {said}",
        remedy_for(cause, tried_again=True),
        # Who waits for another process falls behind, which is told in other words.
        hinders=not isinstance(cause, apsw.BusyError),
    )


def meter_until_drained(
    folder: DataFolder,
    window_days: int,
    memory_bytes: int,
    progress: Callable[[int], None] = lambda _: None,
    command: str = "import",
) -> None:
    """Meter everything that the journals of a folder hold, with no server running.

    What was to be forgotten is forgotten then.

    Args:
        folder: the data folder; the caller holds its serve lock.
        window_days: the setting `dedup_window_days`.
        memory_bytes: the setting `memory`.
        progress: called with the number of facts metered by each step.
        command: who does it, for the error that others get.

    Raises:
        DataFolderError: the data folder cannot be used as it is.
        OperatorError: the ids take more memory than that; what is not counted stays in the
            journals.
        StorageUnavailableError: the disk refused; everything stays in the journals.
    """
    require_single_machine(
        folder,
        f"A cluster does not {command} by a command",
        "its partitions count what a running node takes: post it to /v1/import of one.",
    )
    limits = MeterLimits.within(memory_bytes - _IMPORTER_BYTES)
    with FolderLock(folder.meter_lock, command), ExitStack() as stack:
        with closing(open_store(folder.store)) as store:
            needed = bytes_at_start(store, now_ms(), window_days, limits.filter_bytes_max)
            _require_room(limits, needed, memory_bytes)
        meter = _opened(folder, window_days, stack, None, limits)
        forgetting = ForgetRequests(folder)
        forgetting.look(meter)
        drained = False
        while not drained:
            facts, drained = meter.step()
            progress(facts)
            if not drained:
                held = sum(nbytes for _, nbytes in meter.indexes.sizes().values())
                _require_room(limits, held, memory_bytes)
        forgetting.look(meter)
        with closing(Erasing(folder)) as erasing:
            erasing.look(meter)


def _require_room(limits: MeterLimits, held_bytes: int, memory_bytes: int) -> None:
    assert limits.tables_bytes_max is not None
    if held_bytes > limits.tables_bytes_max:
        raise OperatorError(
            f"Counting takes more than the {memory_bytes / 2**20:,.0f} MiB of memory that it may"
            " have: what is read and not counted waits in the data folder's journals.",
            "Give it more with --memory (HEADCOUNT_MEMORY) and import the same files again, which"
            " counts nothing twice.",
        )
