"""Group commit: concurrent requests share one durable transaction.

Takes the facts of many requests on one event loop, writes what has gathered while the transaction
before was under way, and lets each request go on once its own facts are durable. The first request
after a pause waits for no company, and is written at once.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextvars import Context
from typing import Any, Protocol

from headcount import telemetry
from headcount.counting.facts import Rejection, WideFacts, fact_bytes
from headcount.counting.libraries import LibraryUse, tallies_of
from headcount.journal.file import JournalFile

__all__ = ["Companion", "GroupCommit"]

# A commit costs about as much however many messages it has. Where one follows another, those go
# with it who come in the next rounds of the loop; under load a round is a fraction of a
# millisecond, and else it is next to nothing.
_ROUNDS_MAX = 4


class Companion(Protocol):
    """What is written beside the journal, and stands only if its entry does.

    All of it is called where the journal is written, one call at a time.
    """

    @property
    def must_undo(self) -> bool:
        """Whether something is left of an entry that did not become durable."""
        ...

    def write(self, posted: Sequence[Any], entry: int) -> None:
        """Make something durable for the entry of that id, which is appended next.

        Raises:
            StorageUnavailableError: nothing of it was kept.
        """
        ...

    def committed(self, entry: int) -> None:
        """The entry of that id is durable."""
        ...

    def undo(self) -> None:
        """The entry is not: take back what was written for it.

        Raises:
            StorageUnavailableError: it is still there, and no entry may be appended.
        """
        ...

    def close(self) -> None:
        """End writing; idempotent."""
        ...


Waiting = tuple[
    bytes, Sequence[Rejection], "asyncio.Future[None]", Sequence[Any], Sequence[LibraryUse]
]


class GroupCommit:
    """Appends to one journal on behalf of many concurrent callers of one event loop.

    Args:
        journal: the journal, whose lock this process holds.
        clock_ms: the time, in milliseconds since 1970.
        executor: where the journal is written, one transaction at a time; it is shut down with
            this. A thread of its own when None.
        insist: called in there after each transaction; where it raises, nobody is told that what
            the transaction brought is durable.
        beside: what takes the part of a request that does not go into the journal; None where
            nothing ever has such a part.

    Attributes:
        pending_bytes: bytes of facts handed in and not durable yet.
    """

    def __init__(
        self,
        journal: JournalFile,
        clock_ms: Callable[[], int],
        executor: Executor | None = None,
        insist: Callable[[], None] = lambda: None,
        beside: Companion | None = None,
    ) -> None:
        self._journal = journal
        self._insist = insist
        self._beside = beside
        self._clock_ms = clock_ms
        # One thread: SQLite releases the interpreter while it waits for the disk.
        self._executor = executor or ThreadPoolExecutor(1, thread_name_prefix="journal")
        self._waiting: list[Waiting] = []
        self._writer: asyncio.Task[None] | None = None
        self.pending_bytes = 0
        # Once, since finding them takes some microseconds.
        self._commit_seconds = telemetry.COMMIT_SECONDS.labels("journal")
        self._admitted = telemetry.MESSAGES.labels("admitted", "")

    async def append(
        self,
        facts: bytes,
        rejections: Sequence[Rejection] = (),
        posted: Sequence[Any] = (),
        libraries: Sequence[LibraryUse] = (),
    ) -> None:
        """Return once facts, tallies and what goes beside them are durable.

        Raises:
            StorageUnavailableError: they are not, and nothing of them was kept.
        """
        durable: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((facts, rejections, durable, posted, libraries))
        self.pending_bytes += len(facts)
        if self._writer is None:
            # For many requests, and of none of them.
            self._writer = asyncio.create_task(self._write(), context=Context())
        await durable

    async def _write(self) -> None:
        loop = asyncio.get_running_loop()
        follows = False
        while self._waiting:
            if follows:
                await self._gather()
            follows = True
            group, self._waiting = _of_one_size(self._waiting)
            if self._beside is not None and any(item[3] for item in group):
                group = await self._write_beside(group)
                if not group:
                    continue
            failure: Exception | None = None
            try:
                facts = _joined(group)
                rejections = _sum(item[1] for item in group)
                tallies = rejections + tallies_of(use for item in group for use in item[4])
                with self._commit_seconds.time():
                    await loop.run_in_executor(
                        self._executor, self._append, facts, tallies, self._clock_ms()
                    )
                self._report(len(facts) // fact_bytes(facts), rejections)
            except Exception as error:  # whatever it is, each caller must hear of it
                failure = error
            self._answer(group, failure)
        self._writer = None

    def _answer(self, group: Iterable[Waiting], failure: Exception | None) -> None:
        """Let requests go on, whose facts are durable unless something failed."""
        for facts, _, durable, *_ in group:
            self.pending_bytes -= len(facts)
            if durable.done():  # its client has gone; the facts stand all the same
                continue
            if failure is None:
                durable.set_result(None)
            else:
                durable.set_exception(failure)

    def _append(self, facts: bytes, tallies: list[Rejection], now_ms: int) -> None:
        beside = self._beside
        if beside is not None and beside.must_undo:
            beside.undo()
        try:
            entry = self._journal.append(facts, tallies, now_ms)
        except BaseException:
            if beside is not None:
                beside.undo()
            raise
        if beside is not None:
            beside.committed(entry)
        self._insist()

    async def _write_beside(self, group: list[Waiting]) -> list[Waiting]:
        """Write what goes beside the journal; those are left for whom that did not fail."""
        assert self._beside is not None
        beside, journal = self._beside, self._journal
        with_part = [item for item in group if item[3]]
        posted = [each for item in with_part for each in item[3]]
        try:
            await asyncio.get_running_loop().run_in_executor(
                self._executor, lambda: beside.write(posted, journal.next_id())
            )
        except Exception as error:  # the others have nothing to do with it
            self._answer(with_part, error)
            return [item for item in group if not item[3]]
        return group

    async def run_between(self, act: Callable[[], None]) -> None:
        """Call something where the journal is written, between two transactions."""
        await asyncio.get_running_loop().run_in_executor(self._executor, act)

    async def _gather(self) -> None:
        """Wait a few rounds of the loop, while each brings somebody."""
        for _ in range(_ROUNDS_MAX):
            gathered = len(self._waiting)
            await asyncio.sleep(0)
            if len(self._waiting) == gathered:
                return

    def _report(self, admitted: int, rejections: list[Rejection]) -> None:
        self._admitted.inc(admitted)
        for rejection in rejections:
            telemetry.MESSAGES.labels("rejected", rejection.reason).inc(rejection.messages)

    async def close(self) -> None:
        """Finish what is under way and release the journal."""
        if self._writer is not None:
            await self._writer
        if self._beside is not None:
            await self.run_between(self._beside.close)
        self._executor.shutdown()
        self._journal.close()


def _of_one_size(waiting: list[Waiting]) -> tuple[list[Waiting], list[Waiting]]:
    """Those at the front whose facts have one size, and the others.

    Facts become wide, or narrow again, when the keys under which ids are hashed change.
    """
    sizes = {type(item[0]) for item in waiting if item[0]}
    if len(sizes) < 2:
        return waiting, []
    front = next(type(item[0]) for item in waiting if item[0])
    end = next(at for at, item in enumerate(waiting) if item[0] and type(item[0]) is not front)
    return waiting[:end], waiting[end:]


def _joined(group: list[Waiting]) -> bytes:
    facts = b"".join(item[0] for item in group)
    return WideFacts(facts) if any(isinstance(item[0], WideFacts) for item in group) else facts


def _sum(groups: Iterable[Sequence[Rejection]]) -> list[Rejection]:
    tallies: Counter[tuple[int, int, int, str]] = Counter()
    for group in groups:
        for workspace, source, day, reason, messages in group:
            tallies[workspace, source, day, reason] += messages
    return [Rejection(*place, messages) for place, messages in tallies.items()]
