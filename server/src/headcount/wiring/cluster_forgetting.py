"""Forgetting people in a cluster, as the node's own process does it: takes requests that lie in the
data folder, has all partitions carry them out, and says in the request what was found.

A request becomes an order in the registry, under a number. Every node gives the orders to its
process that counts partitions (`PendingOrders`), and puts what its partitions have found beside
them. A request is done once every partition has carried its order out; a registry that has
forgotten an order gets it again from the request, under another number.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from headcount.cluster.control import Seen
from headcount.cluster.forget_records import (
    ForgetDocument,
    ForgetReport,
    FoundId,
    behind,
    forget_key,
    found_key,
    read_forgets,
)
from headcount.cluster.membership_records import NodeRecord, decoded
from headcount.cluster.risks import names_and_owners
from headcount.datafolder import DataFolder
from headcount.engines import REGISTRY_VALUE_BYTES_MAX, FactLog, Registry
from headcount.errors import DataFolderError, RegistryConflictError
from headcount.runfiles import read_whole, write_whole
from headcount.stages.forget_orders import ForgetOrder, OrderPublishing, PendingOrder, encoded_order
from headcount.troubles import Troubles
from headcount.wiring.errors_explained import explained
from headcount.wiring.forget_files import (
    ForgetRequest,
    id_hashes,
    joined_findings,
    read_request,
    request_files,
    tidy_request,
    write_request,
)

if TYPE_CHECKING:
    from headcount.stages.partition_meter import PartitionMeter

__all__ = ["ForgetDesk", "ForgetGiver"]

_log = logging.getLogger(__name__)

_LOOK_EVERY_BEATS = 3
_CLOCKS_SEEN_WITHIN_MS = 3_000
_DAY_MS = 86_400_000
_SECRET_BYTES = 32


class ForgetDesk:
    """A node's part in forgetting.

    Args:
        registry: the cluster's.
        folder: the node's data folder.
        node: its name.
        log_days: how long the cluster's log keeps what was handed on.
        troubles: where it is said that a request cannot be read.
    """

    def __init__(
        self, registry: Registry, folder: DataFolder, node: str, log_days: int, troubles: Troubles
    ) -> None:
        self._registry = registry
        self._folder = folder
        self._node = node
        self._log_days = log_days
        self._troubles = troubles
        self._said_found: set[tuple[int, str]] = set()
        self._looked_at_beat = -_LOOK_EVERY_BEATS
        self.documents: dict[int, ForgetDocument] = {}

    def say_found(self) -> None:
        """Put what this node's partitions have found where whoever asked sees it.

        To be called before it is said that they have carried an order out.

        Raises:
            EngineAwayError: the registry cannot be asked.
        """
        report = read_whole(self._folder.forget_report, ForgetReport) or ForgetReport()
        for number, by_partition in report.found.items():
            for partition, found in by_partition.items():
                if (number, partition) in self._said_found:
                    continue
                with contextlib.suppress(RegistryConflictError):
                    self._registry.put(found_key(number, partition), _value_of(found), 0)
                self._said_found.add((number, partition))

    def look(self, seen: Seen, beat: int, now_ms: int) -> None:
        """Hand in what was asked for here, and see how far everything is.

        Raises:
            EngineAwayError: the registry cannot be asked.
        """
        requests = self._requests()
        if not requests and beat - self._looked_at_beat < _LOOK_EVERY_BEATS:
            return
        self._looked_at_beat = beat
        self.documents = read_forgets(self._registry)
        self._let_go(now_ms)
        try:
            for place, request in requests.items():
                self._see_to(place, request, seen, now_ms)
        except OSError as error:
            self._tell(error)
        pending = [PendingOrder(e.number, e.behind_ms, e.order) for e in self.documents.values()]
        write_whole(self._folder.forget_orders, pending)

    def _see_to(self, place: Path, request: ForgetRequest, seen: Seen, now_ms: int) -> None:
        if request.state in ("done", "refused"):
            tidy_request(place, time.time())
        elif request.number in self.documents or (
            request.number and not behind(request.number, seen.nodes, seen.placement)
        ):
            self._follow(place, request, seen)
        else:
            self._hand_in(place, request, seen, now_ms)

    def _requests(self) -> dict[Path, ForgetRequest]:
        found: dict[Path, ForgetRequest] = {}
        failed: Exception | None = None
        for place in request_files(self._folder):
            try:
                found[place] = read_request(place)
            except FileNotFoundError:
                continue  # whoever asked has taken it away
            except (DataFolderError, OSError) as error:
                failed = error
        self._tell(failed)
        return found

    def _tell(self, failed: Exception | None) -> None:
        if failed is None:
            self._troubles.end("forgetting")
            return
        said, remedy = explained(failed)
        message = f"What is to be forgotten is not forgotten yet: {said}"
        self._troubles.begin("forgetting", message, remedy, hinders=False)

    def _hand_in(self, place: Path, request: ForgetRequest, seen: Seen, now_ms: int) -> None:
        number = 1 + max([request.number, *self.documents, *_reported(seen.nodes.values())])
        # Another node's clock may be ahead: what it took before now it says to be of later.
        ahead_ms = max([0, *(each.clock_ms - now_ms for each in seen.nodes.values())])
        expires_at_ms = now_ms + (self._log_days + 1) * _DAY_MS
        order = ForgetOrder(
            number,
            expires_at_ms,
            seen.cluster.keys,
            secrets.token_bytes(_SECRET_BYTES),
            id_hashes(request),
            request.workspaces,
        )
        document = ForgetDocument(
            number,
            self._node,
            now_ms,
            now_ms + ahead_ms + _CLOCKS_SEEN_WITHIN_MS,
            expires_at_ms,
            encoded_order(order),
        )
        try:
            self._registry.put(forget_key(number), msgspec.json.encode(document), 0)
        except RegistryConflictError:
            return  # another node has just handed one in: the next look takes a later number
        self.documents[number] = document
        write_request(place, msgspec.structs.replace(request, number=number))

    def _follow(self, place: Path, request: ForgetRequest, seen: Seen) -> None:
        """Say in a request how far it is."""
        waiting = behind(request.number, seen.nodes, seen.placement)
        if waiting:
            said = [f"Not carried out yet by {names_and_owners(waiting)}."]
            said += [
                f'What node "{name}" has taken is counted first, and it has said nothing for'
                f" {round(silent_s)} s."
                for name, silent_s in seen.silent_s.items()
                if silent_s > _CLOCKS_SEEN_WITHIN_MS / 1000 and seen.nodes[name].state == "serving"
            ]
            write_whole(self._folder.forget_waits, {place.name: said})
            return
        values = self._registry.list(found_key(request.number)).values()
        found = [each for entry in values for each in decoded(entry.value, list[FoundId])]
        done = msgspec.structs.replace(request, state="done", hashes={}, found=_in_all(found))
        write_request(place, done)
        _log.info("what was known of ids is replaced in all partitions, as was asked for")

    def _let_go(self, now_ms: int) -> None:
        for number in [n for n, each in self.documents.items() if each.expires_at_ms <= now_ms]:
            for key in self._registry.list(found_key(number)):
                self._registry.delete(key)
            self._registry.delete(forget_key(number))
            del self.documents[number]


def _reported(nodes: Iterable[NodeRecord]) -> list[int]:
    return [each.forgotten for node in nodes for each in node.partitions.values()]


def _in_all(found: Iterable[FoundId]) -> list[FoundId]:
    """What all partitions have found: messages wait in one of them each."""
    found = list(found)
    waiting: dict[tuple[int, int, bool], int] = {}
    for each in found:
        place = each.workspace, each.period, each.is_anonymous
        waiting[place] = waiting.get(place, 0) + each.waiting
    return [
        msgspec.structs.replace(
            each, waiting=waiting[each.workspace, each.period, each.is_anonymous]
        )
        for each in joined_findings(found)
    ]


def _value_of(found: Sequence[FoundId]) -> bytes:
    """What was found, as it stands in the registry; without names of sources where it is much."""
    value = msgspec.json.encode(found)
    if len(value) > REGISTRY_VALUE_BYTES_MAX:
        bare = [msgspec.structs.replace(each, sources=each.sources[:1]) for each in found]
        value = msgspec.json.encode(bare[:1_000])
    return value


class ForgetGiver:
    """Gives orders to the partitions of messages that this node counts.

    Args:
        folder: the node's data folder.
        log: the cluster's.
    """

    def __init__(self, folder: DataFolder, log: FactLog) -> None:
        self._folder = folder
        self._log = log
        self._giving: dict[str, OrderPublishing] = {}

    def look(self, meters: Mapping[str, PartitionMeter], owned: Iterable[str]) -> None:
        """Give what is due, and report what was found; about once a second.

        Args:
            meters: of the partitions that are counted here, by name.
            owned: those of them that this node may publish for.

        Raises:
            EngineAwayError: it is tried again.
        """
        self._report(meters)
        pending = read_whole(self._folder.forget_orders, list[PendingOrder]) or []
        for name in owned:
            meter = meters.get(name)
            if meter is not None and meter.STAGE == "facts":
                giving = self._giving.setdefault(name, OrderPublishing(name, self._log))
                done, until_ms = meter.forgetting.number, meter.until_ms()
                giving.look(pending, done, until_ms, time.monotonic())

    def _report(self, meters: Mapping[str, PartitionMeter]) -> None:
        found: dict[int, dict[str, list[FoundId]]] = {}
        for name, meter in meters.items():
            for number, ids in meter.forgetting.known().items():
                if ids and number <= meter.forgetting.number:
                    found.setdefault(number, {})[name] = [
                        FoundId(each[0], each[1].number, *each[2:]) for each in ids
                    ]
        write_whole(self._folder.forget_report, ForgetReport(found))
