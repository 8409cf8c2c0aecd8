"""Where an intake worker's facts become durable, on a disk that may refuse.

Takes facts, hands them to the journal that this worker claims. A worker takes requests whether or
not its journal can be written: what it cannot keep it refuses, and says once that it does; about
once a second it tries by itself whether that is over, so that it is known without anybody posting.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from headcount.counting.facts import Rejection
from headcount.counting.libraries import Told
from headcount.errors import DataFolderError, SpoolUnavailableError, StorageUnavailableError
from headcount.journal import Done, GroupCommit, JournalFile
from headcount.spool.letters import Posted
from headcount.sqlite.unwritable import is_refusal
from headcount.troubles import Troubles
from headcount.wiring.duties import Duty
from headcount.wiring.errors_explained import explained
from headcount.wiring.log_acknowledged import LogAcknowledgement
from headcount.wiring.spooling import JournalSpool
from headcount.wiring.storage import STORAGE, WatchedFile

__all__ = ["JournalSink"]

_TRY_EVERY_S = 1.0
_SPOOL = "spool"


class JournalSink:
    """The sink of one worker; `open` it before use.

    Args:
        claim: gives a journal that is locked for this process; called again after it has failed.
        clock_ms: the time, in milliseconds since 1970.
        troubles: where it is said that the disk refuses.
        spool_beside: gives the spool beside a journal that was just claimed; None for none.
        handed_on: what a cluster's log has; None where nobody waits for it.
        insist: whether a journal that is damaged, or of another version, keeps this worker from
            starting; otherwise requests are refused, since somebody waits for an answer.
    """

    def __init__(
        self,
        claim: Callable[[], JournalFile],
        clock_ms: Callable[[], int],
        troubles: Troubles,
        *,
        insist: bool,
        spool_beside: Callable[[JournalFile], JournalSpool] | None = None,
        handed_on: LogAcknowledgement | None = None,
    ) -> None:
        self._handed_on = handed_on
        self._claim = claim
        self._clock_ms = clock_ms
        self._troubles = troubles
        self._insist = insist
        self._spool_beside = spool_beside
        self._spool: JournalSpool | None = None
        self._journal: GroupCommit | None = None
        self._trying: Duty | None = None
        self._refused_lately = False

    @property
    def pending_bytes(self) -> int:
        """Bytes of facts handed in and not durable yet."""
        return 0 if self._journal is None else self._journal.pending_bytes

    async def open(self) -> None:
        """Claim a journal; where the disk refuses that, begin to refuse requests.

        Raises:
            DataFolderError: the journals cannot be used as they are.
        """
        try:
            await self._open()
        except DataFolderError as error:
            if self._insist and not is_refusal(error.__cause__):
                raise
            self._refused(error)

    async def _open(self) -> None:
        # In a thread: a disk that does not answer must not keep others waiting for theirs.
        claimed = await asyncio.to_thread(self._claim)
        place = WatchedFile(claimed.path)
        if self._spool_beside is not None:
            self._spool = self._spool_beside(claimed)

        def insist() -> None:
            if fault := place.fault():
                # What went into a file that nobody will find again is not acknowledged.
                raise StorageUnavailableError(fault.rstrip("."))
            if self._handed_on is not None:
                self._handed_on.wait(claimed.uuid, claimed.last_id())

        self._journal = GroupCommit(
            claimed, self._clock_ms, insist=insist, beside=self._spool, failed=self._commit_failed
        )

    async def append(
        self,
        facts: bytes,
        rejections: Sequence[Rejection] = (),
        posted: Sequence[Posted] = (),
        libraries: Sequence[Told] = (),
    ) -> None:
        """Return once facts, tallies and what is to be forwarded are durable.

        Raises:
            StorageUnavailableError: they are not, and nothing of them was kept.
        """
        await self._opened().append(facts, rejections, posted, libraries)
        if posted:
            self._troubles.end(_SPOOL)

    def hand_in(
        self,
        facts: bytes,
        rejections: Sequence[Rejection],
        libraries: Sequence[Told],
        done: Done,
    ) -> None:
        """Keep facts and tallies; `done` is called once they are durable, or with why they are not.

        Raises:
            StorageUnavailableError: there is no journal; `done` is not called.
        """
        (self._journal or self._opened()).hand_in(facts, rejections, done, (), libraries)

    def _opened(self) -> GroupCommit:
        if self._journal is None:
            self._refused_lately = True
            raise StorageUnavailableError("no journal can be written")
        return self._journal

    def _commit_failed(self, error: Exception) -> None:
        if isinstance(error, SpoolUnavailableError):
            said, remedy = explained(error)
            self._troubles.begin(
                _SPOOL,
                f"Messages of sources that forward are refused: {said}",
                remedy,
                hinders=False,
            )
        elif isinstance(error, StorageUnavailableError):
            self._refused(error)

    async def tend(self) -> None:
        """Do what the spool needs from time to time."""
        if self._journal is not None and self._spool is not None and self._spool.is_open:
            await self._journal.run_between(self._spool.tend)

    def _refused(self, error: DataFolderError | StorageUnavailableError) -> None:
        self._refused_lately = True
        said, remedy = explained(error)
        self._troubles.begin(STORAGE, f"Messages are refused: {said}", remedy)
        if self._trying is None:
            self._trying = Duty(
                self._try, _TRY_EVERY_S, self._troubles, "journal", "No journal could be tried:"
            )

    async def _try(self) -> bool:
        """End the trouble once the disk takes an entry, and none was refused for a while."""
        refused, self._refused_lately = self._refused_lately, False
        try:
            if self._journal is None:
                await self._open()
            elif refused:
                return False  # those who post have tried already
            assert self._journal is not None
            # An entry without facts: as durable as any, and of no consequence.
            await self._journal.append(b"")
        except (DataFolderError, StorageUnavailableError) as error:
            self._refused(error)
            self._refused_lately = False
            return False
        self._troubles.end(STORAGE)
        self._trying = None
        return True

    async def close(self) -> None:
        """Finish what is under way and release the journal."""
        if self._trying is not None:
            await self._trying.end()
        if self._journal is not None:
            await self._journal.close()
