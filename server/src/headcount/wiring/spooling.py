"""What an intake worker does for sources that forward: which they are, whether there is room, and
the spool beside its journal.

Takes the catalog and the spool's folder. A worker none of whose sources forward opens nothing, and
loads nothing that seals.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headcount.catalog import Catalog, Forwarding
from headcount.errors import DataFolderError, SpoolUnavailableError
from headcount.folderlock import errors_named
from headcount.intake import Forwards
from headcount.journal import JournalFile
from headcount.spool.segment_files import folder_of_source
from headcount.spool.sizes import bytes_of
from headcount.spool.spool_key import load_spool_key
from headcount.spool.stops import Stop, read_stop, write_stop
from headcount.troubles import Troubles
from headcount.wiring.telling import tell

if TYPE_CHECKING:
    from headcount.spool.writer import SpoolWriter

__all__ = ["ForwardedSources", "JournalSpool"]

_STOPPED = "forwarding_stopped"
_FULL = "forwarding_full"


class ForwardedSources:
    """Keeps what intake knows of sources that forward.

    Args:
        catalog: where it is set.
        spool: the spool's folder.
        bytes_max: how much the segments of one source may take.
        forwards: what intake looks at; kept up to date.
        clock_ms: the time, in milliseconds since 1970.
        troubles: where it is said that there is no room.
    """

    def __init__(
        self,
        catalog: Catalog,
        spool: Path,
        bytes_max: int,
        forwards: Forwards,
        clock_ms: Callable[[], int],
        troubles: Troubles,
    ) -> None:
        self._catalog = catalog
        self._spool = spool
        self._bytes_max = bytes_max
        self._forwards = forwards
        self._clock_ms = clock_ms
        self._troubles = troubles
        self._version = -1
        self._on: list[Forwarding] = []
        self._stopped: set[int] = set()
        self.refresh()

    def refresh(self) -> None:
        """Look at the catalog, if it has changed, and at how much room there is.

        Raises:
            DataFolderError: the catalog cannot be read; all stays as it was read last.
        """
        version = self._catalog.version()
        if version != self._version:
            self._on = [each for each in self._catalog.forwardings() if each.state == "on"]
            self._stopped = {each.source for each in self._on if self._is_stopped(each)}
            self._version = version
        if self._on or self._forwards.sources:
            self._look()

    def _look(self) -> None:
        sources: dict[int, bool] = {}
        full: list[int] = []
        for each in self._on:
            if each.source in self._stopped:
                continue
            has_room = bytes_of(self._spool, each.source) < self._bytes_max
            if not has_room:
                full.append(each.source)
                # Another worker may have seen it before.
                if each.when_full == "stop" and (self._is_stopped(each) or self._stop(each)):
                    self._stopped.add(each.source)
                    continue
            sources[each.source] = has_room
        if sources != self._forwards.sources:
            self._forwards.sources = sources
        self._say(full)

    def _is_stopped(self, forwarding: Forwarding) -> bool:
        return read_stop(self._folder(forwarding), forwarding.changes) is not None

    def _stop(self, forwarding: Forwarding) -> bool:
        """Stop forwarding; where that cannot be written down, nobody would know, and it refuses."""
        with contextlib.suppress(OSError):
            stop = Stop(forwarding.changes, self._clock_ms())
            write_stop(self._folder(forwarding), stop)
            return True
        return False

    def _folder(self, forwarding: Forwarding) -> Path:
        return folder_of_source(self._spool, forwarding.source)

    def _say(self, full: Sequence[int]) -> None:
        stopped = sorted(self._stopped)
        refused = [number for number in full if number not in self._stopped]
        names = {}
        if stopped or refused:
            names = {source.number: source.name for source in self._catalog.sources()}

        def named(numbers: Sequence[int]) -> str:
            return ", ".join(names.get(number, f"number {number}") for number in numbers)

        tell(
            self._troubles,
            _FULL,
            "What waits to be forwarded takes all the room it may, and messages are refused (429):"
            f" source {named(refused)}."
            if refused
            else "",
            "See why the vendor takes nothing: headcount source forward SOURCE --show; or give it"
            " more room with --forward-spool.",
        )
        tell(
            self._troubles,
            _STOPPED,
            "What waits to be forwarded took all the room it may, so messages are counted and"
            f" forwarded no more: source {named(stopped)}."
            if stopped
            else "",
            "Once the vendor takes messages again, let it go on:"
            " headcount source forward SOURCE --start",
        )


class JournalSpool:
    """The spool beside one journal, opened when something is first forwarded.

    Args:
        spool: the spool's folder, which may be missing.
        key_place: where the spool's key lies; made when it is first needed.
        journal: the journal, locked for this process; what former writers of it have left open is
            settled.
    """

    def __init__(self, spool: Path, key_place: Path, journal: JournalFile) -> None:
        self._spool = spool
        self._key_place = key_place
        self._journal = journal.uuid
        self._writer: SpoolWriter | None = None

    @property
    def must_undo(self) -> bool:
        """Whether something is left of an entry that did not become durable."""
        return self._writer is not None and self._writer.must_undo

    def write(self, posted: Sequence[Any], entry: int) -> None:
        """Make records durable for the journal's next entry.

        Raises:
            SpoolUnavailableError: nothing of them was kept.
        """
        if self._writer is None:
            self._writer = self._opened()
        self._writer.write(posted, entry)

    def _opened(self) -> SpoolWriter:
        from headcount.spool.writer import SpoolWriter

        try:
            key = load_spool_key(self._key_place)
            with errors_named(self._spool):
                return SpoolWriter(self._spool, key, self._journal)
        except DataFolderError as error:
            raise SpoolUnavailableError(error.problem.rstrip(".")) from error

    def committed(self, entry: int) -> None:
        """The entry is durable."""
        if self._writer is not None:
            self._writer.committed(entry)

    def undo(self) -> None:
        """It is not.

        Raises:
            StorageUnavailableError: what was written for it is still there.
        """
        if self._writer is not None:
            self._writer.undo()

    @property
    def is_open(self) -> bool:
        """Whether there is anything to tend."""
        return self._writer is not None

    def tend(self) -> None:
        """Close segments that have stood for long enough."""
        if self._writer is not None:
            self._writer.tend()

    def close(self) -> None:
        """Close all segments; idempotent."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
