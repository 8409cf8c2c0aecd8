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

from headcount import telemetry
from headcount.counting.facts import FACT_BYTES, Rejection
from headcount.journal.file import JournalFile

__all__ = ["GroupCommit"]

# A commit costs about as much however many messages it has. Where one follows another, those go
# with it who come in the next rounds of the loop; under load a round is a fraction of a
# millisecond, and else it is next to nothing.
_ROUNDS_MAX = 4

Waiting = tuple[bytes, Sequence[Rejection], "asyncio.Future[None]"]


class GroupCommit:
    """Appends to one journal on behalf of many concurrent callers of one event loop.

    Args:
        journal: the journal, whose lock this process holds.
        clock_ms: the time, in milliseconds since 1970.
        executor: where the journal is written, one transaction at a time; it is shut down with
            this. A thread of its own when None.
        insist: called in there after each transaction; where it raises, nobody is told that what
            the transaction brought is durable.

    Attributes:
        pending_bytes: bytes of facts handed in and not durable yet.
    """

    def __init__(
        self,
        journal: JournalFile,
        clock_ms: Callable[[], int],
        executor: Executor | None = None,
        insist: Callable[[], None] = lambda: None,
    ) -> None:
        self._journal = journal
        self._insist = insist
        self._clock_ms = clock_ms
        # One thread: SQLite releases the interpreter while it waits for the disk.
        self._executor = executor or ThreadPoolExecutor(1, thread_name_prefix="journal")
        self._waiting: list[Waiting] = []
        self._writer: asyncio.Task[None] | None = None
        self.pending_bytes = 0
        # Once, since finding them takes some microseconds.
        self._commit_seconds = telemetry.COMMIT_SECONDS.labels("journal")
        self._admitted = telemetry.MESSAGES.labels("admitted", "")

    async def append(self, facts: bytes, rejections: Sequence[Rejection] = ()) -> None:
        """Return once facts and tallies are durable.

        Raises:
            StorageUnavailableError: they are not, and nothing of them was kept.
        """
        durable: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((facts, rejections, durable))
        self.pending_bytes += len(facts)
        if self._writer is None:
            self._writer = asyncio.create_task(self._write())
        await durable

    async def _write(self) -> None:
        loop = asyncio.get_running_loop()
        follows = False
        while self._waiting:
            if follows:
                await self._gather()
            follows = True
            group, self._waiting = self._waiting, []
            failure: Exception | None = None
            try:
                facts = b"".join(item[0] for item in group)
                rejections = _sum(item[1] for item in group)
                with self._commit_seconds.time():
                    await loop.run_in_executor(
                        self._executor, self._append, facts, rejections, self._clock_ms()
                    )
                self._report(len(facts) // FACT_BYTES, rejections)
            except Exception as error:  # whatever it is, each caller must hear of it
                failure = error
            self.pending_bytes -= sum(len(item[0]) for item in group)
            for _, _, durable in group:
                if durable.done():  # its client has gone; the facts stand all the same
                    continue
                if failure is None:
                    durable.set_result(None)
                else:
                    durable.set_exception(failure)
        self._writer = None

    def _append(self, facts: bytes, rejections: list[Rejection], now_ms: int) -> None:
        self._journal.append(facts, rejections, now_ms)
        self._insist()

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
        self._executor.shutdown()
        self._journal.close()


def _sum(groups: Iterable[Sequence[Rejection]]) -> list[Rejection]:
    tallies: Counter[tuple[int, int, int, str]] = Counter()
    for group in groups:
        for workspace, source, day, reason, messages in group:
            tallies[workspace, source, day, reason] += messages
    return [Rejection(*place, messages) for place, messages in tallies.items()]
