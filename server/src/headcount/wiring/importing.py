"""Bringing history into a data folder: takes files of records, gives facts that are metered.

Works beside a running server, whose meter then does the counting, and without one. Refuses
nothing by itself: what is wrong with a record is in the chunk that it came in.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import BinaryIO

from headcount.catalog import Catalog, Source, Workspace
from headcount.clock import now_ms
from headcount.config import Settings
from headcount.datafolder import DataFolder, FolderLock, load_hash_key
from headcount.intake import ImportChunk, SourceRef, import_chunks, read_lines
from headcount.journal import JournalDirectory, JournalFile
from headcount.metering.hashing import HASH_KEY_BYTES, IdHasher
from headcount.store.sqlite import SqliteStore
from headcount.wiring.metering import meter_until_drained

__all__ = ["HistoryImport", "checked_chunks"]

_POLL_S = 0.05


class HistoryImport:
    """One import: its journal, its hasher, and the sources that its records may belong to.

    Args:
        folder: the data folder.
        catalog: its catalog, open.
        settings: for the hash key and the deduplication window.
        workspace: whose records they are.
        source: the source of all records; when None, each record names its own.

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
    ) -> None:
        self._folder = folder
        self._window_days = settings.dedup_window_days
        self._hasher = IdHasher(load_hash_key(folder, catalog, settings.hash_key))
        self._find_source = _finder(catalog, workspace, source)
        self._journals = JournalDirectory(folder.journals)
        self._journal: JournalFile | None = None

    def chunks(self, file: BinaryIO) -> Iterator[ImportChunk]:
        """Append the records of one whole file; a chunk is durable when it is given.

        Args:
            file: newline-delimited JSON, from its beginning.

        Raises:
            StorageUnavailableError: the chunk did not become durable; those before it are.
        """
        chunks = import_chunks(
            read_lines(file), find_source=self._find_source, hasher=self._hasher, clock=now_ms
        )
        for chunk in chunks:
            if self._journal is None:
                self._journal = self._journals.claim()
            self._journal.append(bytes(chunk.facts), chunk.rejections, now_ms())
            yield chunk

    def meter(self, waiting: Callable[[int], None] = lambda _: None) -> None:
        """Return once everything that was appended is metered, by the server or by ourselves.

        Args:
            waiting: called now and then with the number of facts that are still to be metered.

        Raises:
            DataFolderError: the data folder cannot be used as it is.
            StorageUnavailableError: the disk refused; everything stays in the journals.
        """
        if self._journal is None:
            return
        last_id = self._journal.last_id()
        with closing(SqliteStore(self._folder.store)) as store:
            while (position := store.positions().get(self._journal.uuid, 0)) < last_id:
                waiting(self._journal.lag_facts(position))
                # The server may stop at any moment, and another import may end.
                if FolderLock.held(self._folder.serve_lock):
                    time.sleep(_POLL_S)
                    continue
                with FolderLock(self._folder.serve_lock, "import"):
                    meter_until_drained(
                        self._folder,
                        self._window_days,
                        lambda _: waiting(self._lag_facts(store)),
                    )

    def _lag_facts(self, store: SqliteStore) -> int:
        assert self._journal is not None, "metering begins after the journal"
        return self._journal.lag_facts(store.positions().get(self._journal.uuid, 0))

    def close(self) -> None:
        """Release the journal; idempotent."""
        if self._journal is not None:
            self._journal.close()
            self._journal = None
        self._journals.close()


def checked_chunks(
    catalog: Catalog, workspace: Workspace, source: Source | None, file: BinaryIO
) -> Iterator[ImportChunk]:
    """What `HistoryImport.chunks` would give for a file, with nothing written anywhere.

    Args:
        catalog: where records' sources are looked up.
        workspace: whose records they would be.
        source: the source of all records; when None, each record names its own.
        file: newline-delimited JSON, from its beginning.
    """
    return import_chunks(
        read_lines(file),
        find_source=_finder(catalog, workspace, source),
        # The hashes go nowhere, so any key will do, and the secret one need not be there.
        hasher=IdHasher(os.urandom(HASH_KEY_BYTES)),
        clock=now_ms,
    )


def _finder(
    catalog: Catalog, workspace: Workspace, source: Source | None
) -> Callable[[str | None, str | None], SourceRef | None]:
    if source is not None:
        only = _reference(source)
        return lambda _key, _id: only
    sources = catalog.sources(workspace.number)
    by_key = {each.write_key: _reference(each) for each in sources}
    by_id = {each.id: _reference(each) for each in sources}

    def find(write_key: str | None, source_id: str | None) -> SourceRef | None:
        if write_key is not None:
            return by_key.get(write_key)
        return None if source_id is None else by_id.get(source_id)

    return find


def _reference(source: Source) -> SourceRef:
    return SourceRef(source.workspace, source.number, source.enabled)
