"""Bringing history into a data folder: takes files of records, gives facts that are metered.

Works beside a running server, whose meter then does the counting, and without one. Refuses
nothing by itself: what is wrong with a record is in the chunk that it came in.

Each chunk of a file leaves a checkpoint in the journal, in the transaction that makes it durable.
After an interruption the next import passes over what has one, whatever the file is called by then
and however it is compressed; so nothing is delivered, or tallied as rejected, a second time. Counts
do not depend on it. When an import has come to its end its checkpoints go.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace

from headcount import __version__
from headcount.catalog import Catalog, Source, Workspace
from headcount.clock import now_ms
from headcount.cluster.catalogs import membership_of
from headcount.config import Settings
from headcount.counting.attributes import attribute_tallies
from headcount.counting.hashing import HASH_KEY_BYTES, IdHasher, Keys
from headcount.datafolder import DataFolder, FolderLock
from headcount.errors import OperatorError
from headcount.importing.archive_sources import ArchiveSources
from headcount.importing.chunks import CHUNK_RECORDS, Context, ImportChunk, import_chunks
from headcount.importing.decoder_processes import DecoderProcesses
from headcount.importing.decoders import DecoderPool
from headcount.importing.line_files import Line
from headcount.intake import FindSource, Limits, SourceRef
from headcount.journal import JournalDirectory, JournalFile
from headcount.spool.settling import settle
from headcount.store.opening import open_store
from headcount.store.sealed import SealedMonths
from headcount.wiring.keys_in_use import CatalogHashKeys
from headcount.wiring.metered import metered_until

__all__ = ["HistoryImport", "checked_chunks"]

_POLL_S = 0.05


class HistoryImport:
    """One import: its journal, and the circumstances under which it takes records.

    Args:
        folder: the data folder.
        catalog: its catalog, open.
        settings: for the hash key, the deduplication window and the memory that counting may take.
        workspace: whose records they are.
        source: the source of all records; when None, each record names its own.
        sources: finds the source that a record names; those of the workspace when None.
        decoders: processes that may decode a long import; ended with this.
        clock: the present moment, in milliseconds since 1970.
        chunk_records: how many records become durable together.
        limits: bounds on what is taken in, as at the tracking address.

    Raises:
        DataFolderError: the folder or its hash key cannot be used as it is.
    """

    def __init__(
        self,
        folder: DataFolder,
        catalog: Catalog,
        settings: Settings,
        workspace: Workspace,
        source: Source | None,
        sources: ArchiveSources | None = None,
        *,
        decoders: DecoderProcesses | None = None,
        clock: Callable[[], int] = now_ms,
        chunk_records: int = CHUNK_RECORDS,
        limits: Limits = Limits(),  # noqa: B008 (it is frozen)
    ) -> None:
        self._folder = folder
        self._window_days = settings.dedup_window_days
        self._memory_bytes = settings.memory
        self._clock = clock
        self._chunk_records = chunk_records
        self._months = SealedMonths(folder.store)
        keys = CatalogHashKeys(folder, catalog, settings.hash_key)
        sources = sources or ArchiveSources(catalog, workspace, {})
        named = replace(limits, event_names=not settings.no_event_names)
        self._context = _context(workspace, source, sources, keys, self._months, clock, named)
        self._journals = JournalDirectory(
            folder.journals,
            # What is imported is not forwarded, and must not make anything else be.
            on_claim=lambda journal: settle(folder.spool, journal.uuid, journal.last_id()),
        )
        self._pool = DecoderPool(decoders)
        self._journal: JournalFile | None = None
        self._known_checkpoints: set[bytes] | None = None
        self._checkpoints: set[bytes] = set()

    def chunks(self, lines: Iterable[Line]) -> Iterator[ImportChunk]:
        """Append the records of one whole file; a chunk is durable when it is given.

        Args:
            lines: the records, with their numbers, in order.

        Raises:
            StorageUnavailableError: the chunk did not become durable; those before it are.
        """
        if self._known_checkpoints is None:
            with self._opened_journals() as journals:
                self._known_checkpoints = {
                    checkpoint for each in journals.values() for checkpoint in each.checkpoints()
                }
        chunks = import_chunks(
            lines,
            self._context,
            known_checkpoints=self._known_checkpoints,
            chunk_records=self._chunk_records,
            pool=self._pool,
        )
        for chunk in chunks:
            if not chunk.is_passed_over:
                if self._journal is None:
                    self._journal = self._journals.claim()
                tallies = chunk.rejections + attribute_tallies(chunk.attributes)
                self._journal.append(chunk.facts, tallies, self._clock(), chunk.checkpoint)
            if chunk.checkpoint is not None:
                self._checkpoints.add(chunk.checkpoint)
            yield chunk

    def meter(self, waiting: Callable[[int], None] = lambda _: None) -> None:
        """Return once everything in the journals is metered, by the server or by ourselves.

        All journals, because what was passed over may lie in one that a killed import has left.

        Args:
            waiting: called now and then with the number of facts that are still to be metered.

        Raises:
            DataFolderError: the data folder cannot be used as it is.
            StorageUnavailableError: the disk refused; everything stays in the journals.
        """
        if (membership := membership_of(self._folder)) is not None:
            self._wait_for_partitions(membership.node, waiting)
            return
        with self._opened_journals() as journals, closing(open_store(self._folder.store)) as store:
            last_ids = {uuid: journal.last_id() for uuid, journal in journals.items()}

            self._pool.close()  # all is read

            def lag_facts() -> int:
                positions = store.state().positions
                return sum(
                    each.lag_facts(positions.get(uuid, 0)) for uuid, each in journals.items()
                )

            waiting(lag_facts())
            metered_until(
                lambda: not _is_behind(store.state().positions, last_ids),
                self._folder,
                self._window_days,
                self._memory_bytes,
                "import",
                lambda: waiting(lag_facts()),
                lambda _: waiting(lag_facts()),
            )

    def _wait_for_partitions(self, node: str, waiting: Callable[[int], None]) -> None:
        """Return once the partitions of a cluster have counted all, and this node shows it."""
        self._pool.close()  # all is read
        read_ms = self._clock()
        with self._opened_journals() as journals, closing(open_store(self._folder.store)) as store:
            while store.state().counted_until_ms <= read_ms:
                if not FolderLock.held(self._folder.serve_lock):
                    raise OperatorError(
                        f'The server of node "{node}" has stopped before everything was counted.'
                        " What was read is kept in its journals, and counted once it runs.",
                        "Start it; to see it counted, run the same command again, which counts"
                        " nothing twice.",
                    )
                # What every partition has is deleted from a journal.
                waiting(sum(each.lag_facts(each.pruned()[0]) for each in journals.values()))
                time.sleep(_POLL_S)

    def finish(self) -> None:
        """Take away the checkpoints of what was read; to be called when all of it is metered.

        Raises:
            StorageUnavailableError: the disk refused; those that stay do no harm.
        """
        with self._opened_journals() as journals:
            for journal in journals.values():
                if ours := journal.checkpoints() & self._checkpoints:
                    journal.drop_checkpoints(ours)

    @contextmanager
    def _opened_journals(self) -> Iterator[dict[str, JournalFile]]:
        """Every journal there is, by its UUID."""
        with ExitStack() as stack:
            journals = [
                stack.enter_context(closing(self._journals.open(path)))
                for path in self._journals.paths()
            ]
            yield {journal.uuid: journal for journal in journals}

    def close(self) -> None:
        """Release the journal and the store; idempotent."""
        self._pool.close()
        if self._journal is not None:
            self._journal.close()
            self._journal = None
        self._journals.close()
        self._months.close()


def _is_behind(positions: Mapping[str, int], last_ids: Mapping[str, int]) -> bool:
    return any(positions.get(uuid, 0) < last_id for uuid, last_id in last_ids.items())


def checked_chunks(
    folder: DataFolder,
    workspace: Workspace,
    source: Source | None,
    sources: ArchiveSources,
    lines: Iterable[Line],
) -> Iterator[ImportChunk]:
    """What `HistoryImport.chunks` would give for a file, with nothing written anywhere.

    Args:
        folder: the data folder.
        workspace: whose records they would be.
        source: the source of all records; when None, each record names its own.
        sources: finds the source that a record names.
        lines: the records, with their numbers, in order.
    """
    # The hashes go nowhere, so any key will do, and the secret one need not be there.
    hasher = IdHasher(os.urandom(HASH_KEY_BYTES))
    with closing(SealedMonths(folder.store)) as months:
        context = _context(workspace, source, sources, hasher, months, now_ms, Limits())
        yield from import_chunks(lines, context)


def _context(
    workspace: Workspace,
    source: Source | None,
    sources: ArchiveSources,
    hash_keys: Keys,
    months: SealedMonths,
    clock: Callable[[], int],
    limits: Limits,
) -> Context:
    # Whatever decides about a record beside its own bytes; of what is missing here, a checkpoint
    # would hide the change. Months are: one that is closed stays so. And sources, since checkpoints
    # hold for those that records were found to be of.
    parts = [__version__, hash_keys.ring().fingerprint, workspace.number, source and source.number]
    parts += [limits.record_bytes_max]
    find_source: FindSource = sources.find
    if source is not None:
        only = SourceRef(source.workspace, source.number, source.enabled)
        find_source = lambda _key, _id, _project: only  # noqa: E731
    return Context(
        find_source=find_source,
        sealed=months.of,
        hash_keys=hash_keys,
        clock=clock,
        name=repr(parts).encode(),
        record_bytes_max=limits.record_bytes_max,
        are_sources_named=source is None,
        event_names=limits.event_names,
    )
