"""One examination of a data folder: every check in turn, each on its own, so that what one cannot
read does not keep the others from looking."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TypeVar

from headcount.backlog import Backlog
from headcount.catalog.view import catalog_view
from headcount.cluster.membership import Membership, MembershipFile
from headcount.counting.calendar import Period
from headcount.counting.keys import Family
from headcount.datafolder import DataFolder, FolderLock
from headcount.doctor.clock import check_aside, check_clock
from headcount.doctor.counts import Recount, check_counts
from headcount.doctor.findings import ERRORS, REPAIR, Finding, Level, ok, problem, warning
from headcount.doctor.folder import check_disk, check_permissions, check_server, check_trash
from headcount.doctor.identity import check_catalog, check_hash_key, former_key_needed_until
from headcount.doctor.journals import check_journals, check_lag, unreadable
from headcount.doctor.keys import check_rows, check_runs, check_store, run_files
from headcount.doctor.loss_notes import check_losses
from headcount.doctor.partitions import check_backups, check_cluster, check_partitions
from headcount.doctor.parts import check_parts
from headcount.doctor.plans import check_plans
from headcount.doctor.spool import check_spool
from headcount.doctor.sums import check_sums
from headcount.doctor.troubles import check_troubles, endings_of
from headcount.errors import OperatorError
from headcount.identity import part_name, read_identity
from headcount.journal.view import JournalView, journal_view
from headcount.runfiles import ChildState, read_whole
from headcount.store.protocol import Month
from headcount.store.runs import Run
from headcount.store.view import StoreView, store_view
from headcount.troubles import read_troubles

__all__ = ["examine"]


T = TypeVar("T")


def examine(
    folder: DataFolder,
    hash_key: Path | None,
    now_ms: int,
    backups: Path | None = None,
) -> Iterator[Finding]:
    """Check a data folder, whether or not a server runs on it. Changes nothing.

    Args:
        folder: the folder, of a format that this version knows.
        hash_key: where the hash key lies; the folder's `hash.key` when None.
        now_ms: what the clock says, milliseconds since 1970.
        backups: where the backups of a node's partitions lie; None where they are not looked at.

    Yields:
        What was found, check by check.
    """
    place = hash_key or folder.hash_key
    yield from _guarded("server", lambda: [check_server(folder)])
    yield from _guarded("permissions", lambda: check_permissions(folder, place))
    yield from _guarded("parts", lambda: check_parts(folder))
    serving = _else(False, lambda: FolderLock.held(folder.serve_lock))
    yield from _guarded("troubles", lambda: check_troubles(read_troubles(folder.troubles)))
    meter = read_whole(folder.backlog, Backlog)
    endings = endings_of(read_whole(folder.state, list[ChildState]) or [], "meter")
    with ExitStack() as stack, ExitStack() as journal_stack:
        journals: list[JournalView] = []
        # Before the store: what the meter prunes later is then still there, or below a position.
        yield from _opened(folder, journals, journal_stack)
        found_before = _else(set[str](), lambda: run_files(folder))
        store: StoreView[Run] | None = None
        if _else(True, folder.store.exists):
            try:
                store = stack.enter_context(store_view(folder.store, Run))
                found = check_store(store)
            except ERRORS as error:
                found = _of_error("store", error)
            if found.level != Level.OK:
                store = None  # what its tables say cannot be relied on
            yield found
        elif not _knows(folder, folder.store):
            yield ok("store", "Nothing has been metered yet.")
        if _else(False, folder.cluster.exists):
            # What is counted, and how far, is known to partitions; the store here is their sum.
            yield from _of_node(folder, place, now_ms, store, journals, backups)
            return
        positions = {} if store is None else _else(dict[str, int](), store.positions)
        yield from _guarded("journals", lambda: check_journals(journals, positions))
        yield from _guarded(
            "lag",
            lambda: [
                check_lag(journals, positions, now_ms, meter, serving=serving, endings=endings)
            ],
        )
        # Recounting may take long, and the log of a journal cannot shrink while it is read.
        journal_stack.close()
        referred = (
            set() if store is None else _else(set[tuple[int, int]](), partial(_referred, store))
        )
        months = [] if store is None else _else(list[Month](), store.months)
        yield from _guarded("catalog", lambda: _identity(folder, place, referred, months))
        if store is not None:
            yield from _of_store(folder, store, found_before, now_ms, serving=serving)
    yield from _guarded("spool", lambda: check_spool(folder, hash_key, now_ms))
    yield from _guarded("trash", lambda: [check_trash(folder)])


def _opened(folder: DataFolder, journals: list[JournalView], stack: ExitStack) -> Iterator[Finding]:
    """Fill a list with the journals as they are now; gives those that cannot be read."""
    for path in _else(list[Path](), folder.journal_files):
        try:
            journals.append(stack.enter_context(journal_view(path)))
        except ERRORS as error:
            yield unreadable(path, error)


def _of_node(
    folder: DataFolder,
    hash_key: Path,
    now_ms: int,
    store: StoreView[Run] | None,
    journals: list[JournalView],
    backups: Path | None,
) -> Iterator[Finding]:
    """What is checked of a node of a cluster, besides what every folder has."""
    # Only what all partitions have on their disks is pruned; how far each is, others know.
    pruned = {journal.uuid: journal.pruned_id for journal in journals}
    yield from _guarded("journals", lambda: check_journals(journals, pruned))
    has_catalog = folder.catalog.exists() or _knows(folder, folder.catalog)
    if has_catalog:
        # What it counts may be of a workspace that this copy of the catalog will know later.
        yield from _guarded("catalog", lambda: _identity(folder, hash_key, set(), []))
    else:
        yield warning(
            "catalog",
            "This node has no copy of the cluster's catalog.",
            "The next start copies it.",
        )
    membership, unknown = _membership(folder)
    yield from unknown
    new_bytes: dict[int, float] = {}
    yield from _guarded("partitions", lambda: check_partitions(folder, membership, new_bytes))
    if backups is not None and membership is not None:
        yield from _guarded("backups", lambda: check_backups(backups, membership))
    elif backups is not None:
        yield warning(
            "backups",
            f"What lies in {backups} was not looked at: this node does not say which partitions it"
            " counts.",
            f"Restore {folder.cluster} from a backup of this folder, then run this again.",
        )
    if store is not None:
        yield from _guarded("sums", lambda: check_sums(store))
        if has_catalog:
            yield from _guarded("plan", lambda: _plans(folder, store, now_ms))
        yield from _guarded(
            "clock", lambda: [check_clock(store.watermarks(), store.months(), now_ms)]
        )
    yield from _guarded("cluster", lambda: [check_cluster(folder, now_ms)])
    yield from _guarded("losses", lambda: check_losses(folder, now_ms))
    if has_catalog:
        yield from _guarded("spool", lambda: check_spool(folder, hash_key, now_ms))
    yield from _guarded("trash", lambda: [check_trash(folder)])
    yield from _guarded("disk", lambda: [check_disk(folder, new_bytes, 0, now_ms)])


def _membership(folder: DataFolder) -> tuple[Membership | None, list[Finding]]:
    """Which node of which cluster this is; what keeps anybody from knowing."""
    try:
        return MembershipFile(folder.cluster).read(), []
    except ERRORS as error:
        return None, [_of_error("membership", error)]


def _of_store(
    folder: DataFolder,
    store: StoreView[Run],
    found_before: set[str],
    now_ms: int,
    *,
    serving: bool,
) -> Iterator[Finding]:
    recount = Recount()

    def recounted() -> list[Finding]:
        nonlocal recount
        recount = check_counts(store)
        return recount.findings

    yield from _guarded("store", lambda: check_rows(store))
    yield from _guarded("runs", lambda: check_runs(store, folder, found_before, serving=serving))
    yield from _guarded("counts", recounted)
    yield from _guarded("aside", lambda: _aside(folder, store))
    yield from _guarded("plan", lambda: _plans(folder, store, now_ms))
    yield from _guarded("clock", lambda: [check_clock(store.watermarks(), store.months(), now_ms)])
    yield from _guarded(
        "disk", lambda: [check_disk(folder, recount.new_bytes, _rewriting(store), now_ms)]
    )


def _knows(folder: DataFolder, path: Path) -> bool:
    """Whether a database that is not there should be."""
    try:
        identity = read_identity(folder.path)
    except OperatorError:
        return True
    return identity is not None and part_name(folder.path, path) in identity.parts


def _rewriting(store: StoreView[Run]) -> int:
    """Bytes of the runs that may be written anew at once: all of one month and family."""
    sizes: Counter[tuple[Period, Family]] = Counter()
    for run in store.runs:
        if run.opened is not None:
            sizes[run.period, run.family] += _size(run.opened.path)
    return max(sizes.values(), default=0)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # the meter has replaced it since
        return 0


def _identity(
    folder: DataFolder, hash_key: Path, referred: set[tuple[int, int]], months: list[Month]
) -> Iterator[Finding]:
    # After the store: whatever it refers to is then in the catalog.
    with catalog_view(folder.catalog) as catalog:
        yield from check_catalog(catalog, referred)
        keys = catalog.hash_keys()
        yield check_hash_key(keys, hash_key, former_key_needed_until(keys, months))


def _referred(store: StoreView[Run]) -> set[tuple[int, int]]:
    return {(row.workspace, row.source) for row in store.usage()} | store.rejected()


def _aside(folder: DataFolder, store: StoreView[Run]) -> Iterator[Finding]:
    with catalog_view(folder.catalog) as catalog:
        yield from check_aside(store.set_aside(), catalog.workspaces())


def _plans(folder: DataFolder, store: StoreView[Run], now_ms: int) -> Iterator[Finding]:
    last = store.watermarks().get("last_metered_day")
    with catalog_view(folder.catalog) as catalog:
        limits, names = catalog.dated_limits(), catalog.workspaces()
    yield from check_plans(store.usage(), limits, names, now_ms, last)


def _else(otherwise: T, look: Callable[[], T]) -> T:
    """What a look gives; something else where it fails, which the check of that part then says."""
    try:
        return look()
    except ERRORS:
        return otherwise


def _guarded(check: str, run: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    try:
        yield from run()
    except ERRORS as error:
        yield _of_error(check, error)


def _of_error(check: str, error: Exception) -> Finding:
    if isinstance(error, OperatorError):
        return problem(check, error.problem, error.remedy)
    return problem(check, f"The {check} could not be checked: {error}.", REPAIR)
