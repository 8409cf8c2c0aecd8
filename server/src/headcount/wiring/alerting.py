"""The process that tells people: takes what the meter has found to be told, sends it to channels.

A process of its own, and only where there is a channel: it waits for other people's servers, opens
what is sealed, and loads what draws and what knows a hundred services, none of which the processes
that take, count and answer should have to do with. Killed at any moment, the next one goes on where
it was; what it had sent and not noted is sent again, under the same name.

In a cluster each node has one, and the node that owns the first partition tells, under its lease;
the others wait for its partition to become theirs. Which of them has found something does not
matter: the catalog, which they have in common, knows what was told (`catalog.told`).
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, closing
from functools import partial

from headcount import telemetry
from headcount.alerting.deliverer import Deliverer
from headcount.alerting.digest_pictures import Drawings
from headcount.alerting.digests import Digests
from headcount.alerting.shared_quotas import SharedQuotas
from headcount.alerting.written_down import written_down
from headcount.catalog import NO_CHANNEL, WAITING_MAX, Catalog
from headcount.clock import now_ms
from headcount.cluster.catalogs import catalog_for_changes, membership_of
from headcount.cluster.channel_keys import channel_key
from headcount.cluster.placement import DECIDES, Leases
from headcount.datafolder import DataFolder, open_data_folder
from headcount.errors import DataFolderError, StorageUnavailableError
from headcount.store.opening import open_store, open_whole_sums
from headcount.troubles import Troubles
from headcount.wiring.errors_explained import explained
from headcount.wiring.lifetime import Child
from headcount.wiring.task import Task
from headcount.wiring.telling import tell

__all__ = ["AlertRounds", "run"]

_Wrong = tuple[str, str] | None

_LOOK_EVERY_S = 0.5
_REPORT_EVERY_S = 1.0
_TIDY_EVERY_S = 600.0
# A receiver may take its time, and a server that is told to stop does not.
_ENDS_WITHIN_S = 1.0
_FAILURES = 3
_NAMED_MAX = 5
_OF_CHANNELS = (
    "Each alert is tried for three days; `headcount alert log` shows every try. Remove a channel"
    " that is gone, or switch it on again."
)
_OF_UNTOLD = (
    "Add a channel: `headcount channel add`. What nobody was told is in `headcount alert log`, and"
    " is told by `headcount alert resend ID`."
)


def run(task: Task, child: Child) -> None:
    """Tell people until told to stop.

    Raises:
        DataFolderError: the data folder cannot be used as it is.
    """
    settings = task.settings()
    folder = open_data_folder(settings.data, create=False)
    is_node = membership_of(folder) is not None
    opened_store = open_whole_sums if is_node else open_store
    with ExitStack() as stack:
        troubles = stack.enter_context(closing(Troubles(folder.troubles, "alert", now_ms)))
        catalog = stack.enter_context(catalog_for_changes(folder, settings.cluster))
        store = stack.enter_context(closing(opened_store(folder.store)))
        may_tell: Callable[[], bool] = _Teller(folder) if is_node else _alone

        def key() -> bytes:
            # One that is missing is not made: channels were sealed under another.
            return channel_key(folder, settings.hash_key, catalog)

        deliverer = Deliverer(catalog, store.alerts, key, now_ms, may_tell=may_tell)
        stack.callback(deliverer.close, _ENDS_WITHIN_S)
        quotas = SharedQuotas(catalog, store.alerts, now_ms) if is_node else None
        digests = Digests(catalog, store, now_ms)
        rounds = AlertRounds(catalog, deliverer, digests, troubles, key)

        def share(quotas: SharedQuotas) -> None:
            quotas.look(store.state().last_metered_day)

        child.ready()
        while not child.stopping.wait(_LOOK_EVERY_S):
            if not may_tell():
                continue
            if quotas is not None:
                what = "Other nodes are not told of quotas for now"
                rounds.attempt("quotas_shared", what, partial(share, quotas))
            rounds.look()


class AlertRounds:
    """What is done again and again: each part of it, whatever becomes of the others.

    Args:
        catalog: open for changes.
        deliverer, digests: what tells.
        troubles: where it is said what fails.
        key: makes sure of the channels' key.
    """

    def __init__(
        self,
        catalog: Catalog,
        deliverer: Deliverer,
        digests: Digests,
        troubles: Troubles,
        key: Callable[[], bytes],
    ) -> None:
        self._catalog, self._deliverer, self._digests = catalog, deliverer, digests
        self._troubles, self._key = troubles, key
        self._reported_s = self._tidied_s = float("-inf")

    def look(self) -> None:
        """Send what is due, write digests, and, now and then, count what was sent and tidy up."""
        self.attempt("alerts_written", "Alerts are not sent for now", self._deliver)
        self.attempt("digests_written", "Digests are not written for now", self._write_digests)
        self.attempt("alerts_tidied", "What was told is not tidied up for now", self._tidy_up)

    def attempt(self, kind: str, what: str, work: Callable[[], _Wrong]) -> None:
        """Do something that may fail, and say how it stands.

        Args:
            kind: of the trouble.
            what: begins the sentence where it fails.
            work: does it; gives what is wrong though it was done, and the remedy.
        """
        try:
            said, remedy = work() or ("", "")
        except (DataFolderError, StorageUnavailableError, OSError) as error:
            problem, remedy = explained(error)
            said = f"{what}: {problem}"
        tell(self._troubles, kind, said, remedy)

    def _deliver(self) -> _Wrong:
        self._deliverer.look()
        damaged = self._deliverer.damaged
        if damaged is None:
            return None
        return f"New alerts are not sent for now: {damaged.problem}", damaged.remedy

    def _write_digests(self) -> _Wrong:
        self._digests.look()
        damaged = self._digests.damaged
        if not damaged:
            return None
        names = [each.name for each in self._catalog.workspaces() if each.number in damaged]
        named = ", ".join(names[:_NAMED_MAX])
        if (more := len(names) - _NAMED_MAX) > 0:
            named += f" and {more} more"
        first = next(iter(damaged.values()))
        return f"Digests of {named} cannot be written: {first.problem}", first.remedy

    def _tidy_up(self) -> _Wrong:
        now_s = time.monotonic()
        if now_s - self._reported_s >= _REPORT_EVERY_S:
            _report(self._catalog, self._deliverer, self._troubles)
            self._reported_s = now_s
        if now_s - self._tidied_s >= _TIDY_EVERY_S:
            _tidy(self._catalog, self._key)
            self._tidied_s = now_s
        return None


class _Teller:
    """Whether this node is the one of its cluster that tells; asked again and again.

    Args:
        folder: the node's.
    """

    def __init__(self, folder: DataFolder) -> None:
        self._leases = Leases(folder.leases)

    def __call__(self) -> bool:
        return DECIDES in self._leases.owned()


def _alone() -> bool:
    return True


def _tidy(catalog: Catalog, key: Callable[[], bytes]) -> None:
    """Forget what is old; in a cluster also keep the channels' key for a hash key that is new."""
    written_down(lambda: catalog.forget_deliveries(now_ms()))
    written_down(catalog.erase_removed_channels)
    if catalog.is_shared:
        written_down(lambda: catalog.forget_told(now_ms()))
        if catalog.channels():
            key()


def _report(catalog: Catalog, deliverer: Deliverer, troubles: Troubles) -> None:
    """Count what was sent, and say which channels fail."""
    channels = {each.number: each for each in catalog.channels()}
    answers, deliverer.answers = deliverer.answers, []
    for number, outcome in answers:
        if number in channels or number == NO_CHANNEL:
            channel = channels[number].id if number in channels else "none"
            telemetry.ALERT_DELIVERIES.labels(channel, outcome).inc()
    for number, waiting in deliverer.waiting.items():
        if number in channels:
            telemetry.ALERT_WAITING.labels(channels[number].id).set(waiting)
    _report_drawings(deliverer.drawings, troubles)
    failing = [
        f"{channels[number].name} ({health.said})"
        for number, health in deliverer.health.items()
        if number in channels and channels[number].state == "on" and health.failures >= _FAILURES
    ]
    gone = [f"{each.name} ({each.said})" for each in channels.values() if each.state == "gone"]
    said = [f"Channels of alerts fail: {', '.join(failing)}."] if failing else []
    said += [f"Channels of alerts are gone: {', '.join(gone)}."] if gone else []
    full = [
        channels[number].name
        for number, waiting in deliverer.waiting.items()
        if number in channels and waiting >= WAITING_MAX
    ]
    said += [f"{WAITING_MAX:,} alerts wait for {', '.join(full)}: no more can."] if full else []
    remedies = [_OF_CHANNELS] if said else []
    if untold := _untold(catalog):
        said += untold
        remedies.append(_OF_UNTOLD)
    tell(troubles, "alerts_failing", " ".join(said), " ".join(remedies))


def _report_drawings(drawings: Drawings, troubles: Troubles) -> None:
    """Count the digests that went without charts, and say why, until charts are drawn again."""
    without, drawings.went_without = drawings.went_without, 0
    telemetry.ALERT_CHARTS_MISSING.inc(without)
    missing = drawings.missing
    tell(
        troubles,
        "charts",
        f"Digests are sent without charts: {missing}." if missing else "",
        "Install what is missing, or give the machine more room; it is tried again with the next"
        " digest.",
    )


def _untold(catalog: Catalog) -> list[str]:
    """Which workspaces have alerts that nobody was told, and still no channel."""
    told = {each.workspace for each in catalog.channels()}
    counts = Counter(each.workspace for each in catalog.untold() if each.workspace not in told)
    if not counts:
        return []
    names = {each.number: each.name for each in catalog.workspaces()}
    listed = [f"{names[n]} ({count})" for n, count in counts.items() if n in names]
    if not listed:
        return []
    return [f"Nobody is told of alerts, for there is no channel: {', '.join(listed)}."]
