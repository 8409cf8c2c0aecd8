"""The process that delivers on: takes what sources that forward have in the spool, gives it to
their vendors; tells the other processes how far it is.

It writes nothing that is counted. Killed at any moment, the next one goes on where it was; what it
had posted and not noted is posted again, under the same message ids.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Iterable
from contextlib import ExitStack, closing, suppress
from pathlib import Path

from headcount import telemetry
from headcount.catalog import Catalog, Forwarding
from headcount.clock import now_ms
from headcount.cluster.catalogs import catalog_for_changes
from headcount.datafolder import DataFolder, open_data_folder
from headcount.errors import DataFolderError
from headcount.folderlock import errors_named
from headcount.forwarding import Delivery, DeliveryLimits
from headcount.forwarding_status import ForwardingStatus
from headcount.journal.view import journal_view
from headcount.runfiles import write_whole
from headcount.spool.boots import epoch_of
from headcount.spool.segment_files import SEGMENT_SUFFIX, folder_of_source, segments_of, sources_in
from headcount.spool.settling import settle
from headcount.spool.source_spool import SourceSpool
from headcount.spool.spool_key import read_spool_key, spool_key_place
from headcount.spool.stops import read_stop
from headcount.troubles import Troubles
from headcount.wiring.errors_explained import explained
from headcount.wiring.lifetime import Child
from headcount.wiring.task import Task
from headcount.wiring.telling import tell

__all__ = ["run"]

_LOOK_EVERY_S = 0.2
_REPORT_EVERY_S = 0.5
_SETTLE_EVERY_S = 5.0
_STOP_WITHIN_S = 2.0
# A vendor that is away for less is nothing to report.
_BEHIND_AFTER_MS = 30_000
_REFUSALS = 3
# Whoever began a request before its source forwarded no more has ended it by then.
_LAST_AFTER_MS = 60_000
_SPOOL = "forward_spool"


def run(task: Task, child: Child) -> None:
    """Deliver until told to stop.

    Raises:
        DataFolderError: the data folder cannot be used as it is.
    """
    settings = task.settings()
    folder = open_data_folder(settings.data, create=False)
    with ExitStack() as stack:
        troubles = stack.enter_context(closing(Troubles(folder.troubles, "forward", now_ms)))
        catalog = stack.enter_context(catalog_for_changes(folder, settings.cluster))
        with errors_named(folder.spool):
            folder.spool.mkdir(mode=0o700, exist_ok=True)
            epoch = epoch_of(folder.spool)
        place = spool_key_place(folder, settings.hash_key)
        limits = DeliveryLimits(days=settings.forward_days)
        deliveries = _Deliveries(folder, catalog, epoch, place, limits, troubles)
        stack.callback(deliveries.end)
        deliveries.look()
        child.ready()
        reported_s = settled_s = 0.0
        while not child.stopping.wait(_LOOK_EVERY_S):
            deliveries.look()
            now_s = time.monotonic()
            if now_s - reported_s >= _REPORT_EVERY_S:
                deliveries.report()
                reported_s = now_s
            if now_s - settled_s >= _SETTLE_EVERY_S:
                settle_left(folder)
                settled_s = now_s


class _Deliveries:
    """One delivery for each source that forwards, or has something left to deliver."""

    def __init__(
        self,
        folder: DataFolder,
        catalog: Catalog,
        epoch: int,
        key_place: Path,
        limits: DeliveryLimits,
        troubles: Troubles,
    ) -> None:
        self._folder = folder
        self._catalog = catalog
        self._epoch = epoch
        self._key_place = key_place
        self._limits = limits
        self._troubles = troubles
        self._version = -1
        self._running: dict[int, Delivery] = {}
        self._forwardings: dict[int, Forwarding] = {}
        self._names: dict[int, tuple[str, str]] = {}

    def look(self) -> None:
        """Go on as the catalog says now."""
        try:
            version = self._catalog.version()
            if version != self._version:
                # Before the rows are read: what has a folder then has a row too, or had one.
                folders = sources_in(self._folder.spool)
                found = {each.source: each for each in self._catalog.forwardings()}
                sources = self._catalog.sources()
                self._names = {each.number: (each.id, each.name) for each in sources}
                self._forwardings = found
                self._apply(folders)
                self._version = version  # what a disk has refused is tried again
        except DataFolderError as error:
            tell(self._troubles, "keys", f"Forwarding goes on as it was set last: {error.problem}")
        else:
            self._troubles.end("keys")

    def _apply(self, folders: Iterable[int]) -> None:
        for number in set(self._running) - (self._forwardings.keys() & self._names.keys()):
            delivery = self._running.pop(number)
            delivery.stop()
            delivery.join(_STOP_WITHIN_S)
        for number, forwarding in self._forwardings.items():
            if number not in self._names:
                continue
            if number in self._running:
                self._running[number].change(forwarding)
                continue
            folder = folder_of_source(self._folder.spool, number)
            with errors_named(folder):
                folder.mkdir(mode=0o700, exist_ok=True)
            spool = SourceSpool(self._folder.spool, number, self._epoch, self._journal_end)
            delivery = Delivery(forwarding, spool, self._key, now_ms, self._limits)
            self._running[number] = delivery
            delivery.start()
        for number in folders:
            if number not in self._running:  # its source is gone, and what it sent goes with it
                shutil.rmtree(folder_of_source(self._folder.spool, number), ignore_errors=True)

    def _key(self) -> bytes:
        # One that is missing is not made: what waits was sealed under another.
        return read_spool_key(self._key_place)

    def _journal_end(self, uuid: str) -> int | None:
        return journal_end(self._folder, uuid)

    def report(self) -> None:
        """Tell the other processes, and say what is wrong."""
        statuses = []
        for number, delivery in self._running.items():
            forwarding = self._forwardings[number]
            stop = None
            if forwarding.state == "on":
                place = folder_of_source(self._folder.spool, number)
                stop = read_stop(place, forwarding.changes)
            status = delivery.status(None if stop is None else stop.stopped_at_ms)
            if status is None:
                continue
            statuses.append(status)
            self._note_if_ended(forwarding, status)
            self._measure(self._names[number][0], delivery, status)
        write_whole(self._folder.forwarding, statuses)
        self._say(statuses)

    def _note_if_ended(self, forwarding: Forwarding, status: ForwardingStatus) -> None:
        """Switch off what was to be delivered to its end, once it is."""
        late_ms = status.at_ms - forwarding.changed_at_ms
        if forwarding.state != "ending" or late_ms < _LAST_AFTER_MS or status.waiting_messages:
            return
        if not segments_of(folder_of_source(self._folder.spool, forwarding.source)):
            # A disk that refuses now is asked again.
            with suppress(DataFolderError):
                self._catalog.note_forwarding_ended(
                    forwarding.source, forwarding.changes, status.at_ms
                )

    @staticmethod
    def _measure(source_id: str, delivery: Delivery, status: ForwardingStatus) -> None:
        answers, delivery.answers = delivery.answers, []
        for answer in answers:
            telemetry.FORWARD_ANSWERS.labels(source_id, str(answer or "none")).inc()
        for outcome, tally in status.tallies.items():
            telemetry.FORWARD_REQUESTS.labels(source_id, outcome).set(tally.requests)
            telemetry.FORWARD_MESSAGES.labels(source_id, outcome).set(tally.messages)
        telemetry.FORWARD_WAITING_MESSAGES.labels(source_id).set(status.waiting_messages)
        telemetry.FORWARD_WAITING_BYTES.labels(source_id).set(status.waiting_bytes)
        telemetry.FORWARD_LAG_SECONDS.labels(source_id).set(status.behind_ms / 1000)

    def _say(self, statuses: list[ForwardingStatus]) -> None:
        behind = [
            f"{self._names[each.source][1]}: {each.sentence}"
            for each in statuses
            if each.behind_ms >= _BEHIND_AFTER_MS
        ]
        tell(
            self._troubles,
            "forwarding_behind",
            f"Sources are behind in what they forward. {' '.join(behind)}" if behind else "",
            "It goes on by itself when the vendor does; everything is counted meanwhile.",
        )
        refused = [
            f"{self._names[number][1]} ({_last_refusal(delivery)})"
            for number, delivery in self._running.items()
            if delivery.refusals >= _REFUSALS
        ]
        tell(
            self._troubles,
            "forwarding_refused",
            "The vendor refuses what is forwarded, which is counted and not delivered: source"
            f" {', '.join(refused)}."
            if refused
            else "",
            "See what it says of the key and the address: headcount source forward SOURCE --show",
        )
        faults = {str(each.fault): each.fault for each in self._running.values() if each.fault}
        said, remedy = "", ""
        for fault in faults.values():
            said, remedy = explained(fault)
        tell(
            self._troubles, _SPOOL, f"What waits cannot be forwarded: {said}" if said else "",
            remedy,
        )  # fmt: skip

    def end(self) -> None:
        """End all, and tell how far they came."""
        for delivery in self._running.values():
            delivery.stop()
        within_s = time.monotonic() + _STOP_WITHIN_S
        for delivery in self._running.values():
            delivery.join(max(0.0, within_s - time.monotonic()))
        self.report()


def _last_refusal(delivery: Delivery) -> str:
    return f"refused {delivery.refusals:,} times in a row, last with {delivery.last_refusal}"


def journal_end(folder: DataFolder, uuid: str) -> int | None:
    """The id of the last entry of a journal; None where there is no such journal any more.

    Raises:
        DataFolderError: a journal cannot be read, so that nobody can say.
    """
    for path in folder.journal_files():
        with journal_view(path) as journal:
            if journal.uuid == uuid:
                return journal.last_id
    return None


def settle_left(folder: DataFolder) -> None:
    """Close what the writers of journals have left open that nobody writes to any more.

    A server with fewer workers than the one before it leaves journals alone, and what their last
    writers were killed over would wait for one that never comes.
    """
    if not any(folder.spool.glob(f"*/*{SEGMENT_SUFFIX}")):
        return
    for path in folder.journal_files():
        # A journal that is written to is its writer's; and a disk that refuses is asked again.
        with suppress(DataFolderError, OSError):
            _settle_behind(folder, path)


def _settle_behind(folder: DataFolder, path: Path) -> None:
    descriptor = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with journal_view(path) as journal:
            uuid, last_id = journal.uuid, journal.last_id
        settle(folder.spool, uuid, last_id)
    finally:
        os.close(descriptor)
