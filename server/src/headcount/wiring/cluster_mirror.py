"""The mirror's process: keeps, in this node's store, the sums of what all partitions count.

It also judges what people are to hear of those sums, and which sources this node refuses past their
quotas. On the node that owns the first partition it decides which months are closed for good: by
what all partitions say of imports and days, and by freshness: it names the day that is over
everywhere.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from contextlib import closing

from headcount.catalog import Catalog
from headcount.clock import now_ms
from headcount.cluster.placement import DECIDES, Leases, names_of, partitions_of
from headcount.counting.calendar import day_of_ms
from headcount.datafolder import FolderLock, open_data_folder
from headcount.engines import FactLog
from headcount.quotas import QuotaReport
from headcount.stages.counts_less import CountsLess
from headcount.stages.hosts import MirrorHost
from headcount.stages.mirror import Mirror
from headcount.stages.mirror_watch import MirrorWatch
from headcount.stages.sealing_orders import publish_orders, seal_orders
from headcount.store.opening import open_mirror_store
from headcount.store.partition_protocol import MirrorStore
from headcount.troubles import Troubles
from headcount.wiring.alert_setup import CatalogAlerts
from headcount.wiring.cluster_erasing import ErasedWorkspaces
from headcount.wiring.cluster_losing import loss_of_less, note_loss
from headcount.wiring.cluster_steps import IDLE_S, known_cluster, log_of, step_until_stopped
from headcount.wiring.lifetime import Child
from headcount.wiring.task import Task

__all__ = ["run"]

_MIRRORING, _MISSING, _BEHIND = "cluster_mirror", "cluster_counts", "cluster_behind"
_BEHIND_MS = 10_000
_DECIDE_EVERY_S = 60.0
# A node that starts hears within some seconds of everybody, more of them on a busy machine.
_STARTS_WITHIN_S = 60.0


def run(task: Task, child: Child) -> None:
    """Mirror counts until told to stop.

    Raises:
        DataFolderError: the data folder cannot be used as it is.
    """
    settings = task.settings()
    folder = open_data_folder(settings.data, create=False)
    cluster = known_cluster(folder).cluster
    names = [str(each) for each in partitions_of(cluster.facts, cluster.keys)]
    with (
        FolderLock(folder.meter_lock, "serve"),
        closing(Troubles(folder.troubles, "mirror", now_ms)) as troubles,
        closing(open_mirror_store(folder.store)) as store,
        Catalog(folder.catalog, read_only=True) as catalog,
        log_of(settings.cluster, settings.log_days) as log,
    ):
        watch = MirrorWatch(store, CatalogAlerts(catalog), now_ms, troubles)

        def note(less: CountsLess) -> None:
            note_loss(folder, loss_of_less(less, now_ms()))

        erased = ErasedWorkspaces(catalog)
        mirror = Mirror(store, log, names, now_ms, watch=watch, on_less=note, erased=erased.numbers)
        quotas = QuotaReport(folder.quotas)
        host = MirrorHost(mirror, log)
        keeper = _Keeper(mirror, store, log, Leases(folder.leases), cluster.facts)

        began_s = time.monotonic()

        def tend() -> None:
            _tell(mirror, troubles, began_s + _STARTS_WITHIN_S - time.monotonic())
            if not mirror.missing():
                watch.look(mirror.until_ms())
                quotas.tell(watch.over_quota())
            keeper.look()
            erased.erase_shown(mirror)

        child.ready()
        failing = "What partitions count is not shown on this node"
        step_until_stopped(
            child, log, troubles, host.step, tend, kind=_MIRRORING, failing=failing, idle_s=IDLE_S
        )
        host.close()
        mirror.close()


def _tell(mirror: Mirror, troubles: Troubles, starts_s: float) -> None:
    """Say why usage cannot be read here, or is older than it should be.

    Args:
        mirror: what is shown.
        troubles: where it is said.
        starts_s: for how long that is what any start brings, and is not logged.
    """
    logged_after_s = max(0.0, starts_s)
    if missing := mirror.missing():
        troubles.begin(
            _MISSING,
            f"Usage cannot be read on this node: what {names_of(missing)} {_has(missing)} counted"
            " is not here yet.",
            "It comes by itself once a node that counts it runs; see `headcount cluster status`.",
            logged_after_s=logged_after_s,
        )
        return
    troubles.end(_MISSING)
    late = {
        name: moment
        for name, moment in mirror.moments().items()
        if moment is None or now_ms() - moment > _BEHIND_MS
    }
    if not late:
        troubles.end(_BEHIND)
        return
    message = (
        f"Usage is not up to date: {names_of(late)} {_has(late)} not"
        " counted all that was taken. What is shown is older, and right for then."
    )
    remedy = "See `headcount cluster status` for who is waited for."
    if any(each.kind == _BEHIND for each in troubles.now()):
        troubles.restate(_BEHIND, message, remedy, hinders=False)
    else:
        troubles.begin(_BEHIND, message, remedy, hinders=False, logged_after_s=logged_after_s)


def _has(names: Collection[str]) -> str:
    return "has" if len(names) == 1 else "have"


class _Keeper:
    """Decides which months are closed, for all partitions.

    Args:
        mirror: what all partitions say.
        store: of the mirror.
        log: where partitions are told.
        leases: whether this node decides.
        facts: how many partitions of messages there are.
    """

    def __init__(
        self, mirror: Mirror, store: MirrorStore, log: FactLog, leases: Leases, facts: int
    ) -> None:
        self._mirror = mirror
        self._store = store
        self._log = log
        self._leases = leases
        self._facts = facts
        self._looked_at_s = float("-inf")

    def _sealed_by(self) -> dict[str, set[tuple[int, int]]]:
        none: dict[str, set[tuple[int, int]]] = {
            f"facts-{number}": set() for number in range(self._facts)
        }
        return none | self._mirror.sealed_by()

    def look(self) -> None:
        """Look, about once a minute; what is not done yet is told again.

        Raises:
            EngineAwayError: nothing was told.
        """
        now_s, until_ms = time.monotonic(), self._mirror.until_ms()
        if now_s - self._looked_at_s < _DECIDE_EVERY_S or until_ms is None:
            return
        if DECIDES not in self._leases.owned():
            return
        self._looked_at_s = now_s
        orders = seal_orders(
            self._store.months(),
            self._store.state().trusted_day,
            day_of_ms(min(until_ms, now_ms())),
            self._sealed_by(),
        )
        publish_orders(self._log, orders)
