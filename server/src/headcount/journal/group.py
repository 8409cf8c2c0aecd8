"""Group commit: concurrent requests share one durable transaction.

Takes the facts of many requests on one event loop, writes what has gathered while the transaction
before was under way, and calls each request back once its own facts are durable. The first request
after a pause waits for no company, and is written at once.
"""

from __future__ import annotations

import asyncio
import logging
import os
import traceback
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from contextvars import copy_context
from functools import partial
from threading import Thread
from time import perf_counter
from typing import Any, Protocol

from headcount import telemetry, tracing
from headcount.counting.facts import Rejection, WideFacts, fact_bytes
from headcount.counting.libraries import Told, tallies_of
from headcount.journal.file import JournalFile

__all__ = ["Companion", "Done", "GroupCommit"]

_log = logging.getLogger(__name__)

# A commit costs about as much however many messages it has. Where one follows another, those go
# with it who come in the next rounds of the loop; under load a round is a fraction of a
# millisecond, and else it is next to nothing.
_ROUNDS_MAX = 4
# Of commits that follow one another without a pause, so many are reported at once: that takes some
# microseconds, for one as for many.
_REPORTED_AT_ONCE = 32


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


Done = Callable[[Exception | None], None]
"""Is called with None once facts are durable, or with the reason for which nothing was kept."""

Waiting = tuple[bytes, Sequence[Rejection], Done, Sequence[Any], Sequence[Told]]
Outcome = tuple[Sequence[Waiting], Exception | None]


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
        failed: called in the loop once for each transaction that failed, before its callers.

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
        failed: Callable[[Exception], None] = lambda _: None,
    ) -> None:
        self._journal = journal
        self._insist = insist
        self._beside = beside
        self._failed = failed
        self._clock_ms = clock_ms
        # One thread: SQLite releases the interpreter while it waits for the disk.
        self._executor: Executor | _Thread = executor or _Thread()
        self._waiting: list[Waiting] = []
        # While anything is to be written; set when all of it is.
        self._idle: asyncio.Future[None] | None = None
        self.pending_bytes = 0
        # Once, since finding them takes some microseconds.
        self._commit_seconds = telemetry.COMMIT_SECONDS.labels("journal")
        self._admitted = telemetry.MESSAGES.labels("admitted", "")
        # How long commits took and what they admitted, since that was reported.
        self._took_s: list[float] = []
        self._admitted_messages = 0

    def hand_in(
        self,
        facts: bytes,
        rejections: Sequence[Rejection],
        done: Done,
        posted: Sequence[Any] = (),
        libraries: Sequence[Told] = (),
    ) -> None:
        """Keep facts and tallies, with those of others; to be called in the event loop.

        Args:
            facts: packed facts.
            rejections: tallies.
            done: is called in a later round of the loop. It must raise nothing.
            posted: what goes beside the journal.
            libraries: who sent the facts.
        """
        self._waiting.append((facts, rejections, done, posted, libraries))
        self.pending_bytes += len(facts)
        if self._idle is None:
            loop = asyncio.get_running_loop()
            self._idle = loop.create_future()
            # For many requests, and of none of them; all else of the caller's context stays.
            context = copy_context()
            context.run(tracing.begin, None)
            loop.call_soon(self._write, loop, context=context)

    async def append(
        self,
        facts: bytes,
        rejections: Sequence[Rejection] = (),
        posted: Sequence[Any] = (),
        libraries: Sequence[Told] = (),
    ) -> None:
        """Return once facts, tallies and what goes beside them are durable.

        Raises:
            StorageUnavailableError: they are not, and nothing of them was kept.
        """
        durable: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.hand_in(facts, rejections, partial(_settle, durable), posted, libraries)
        await durable

    def _gather(self, loop: asyncio.AbstractEventLoop, gathered: int, rounds: int) -> None:
        """Wait a few rounds of the loop, while each brings somebody; then write."""
        if len(self._waiting) > gathered and rounds < _ROUNDS_MAX:
            loop.call_soon(self._gather, loop, len(self._waiting), rounds + 1)
        else:
            self._write(loop)

    def _write(self, loop: asyncio.AbstractEventLoop) -> None:
        group, self._waiting = _of_one_size(self._waiting)
        try:
            self._executor.submit(partial(self._keep, loop, group, self._clock_ms()))
        except Exception as error:
            self._answer([(group, error)], [], 0)

    def _keep(self, loop: asyncio.AbstractEventLoop, group: list[Waiting], now_ms: int) -> None:
        """Write a group, where the journal is written, and tell its callers in their loop."""
        outcomes: list[Outcome] = []
        took_s: list[float] = []
        admitted = 0
        if self._beside is not None and (with_part := [item for item in group if item[3]]):
            try:
                posted = [each for item in with_part for each in item[3]]
                self._beside.write(posted, self._journal.next_id())
            except Exception as error:  # the others have nothing to do with it
                outcomes.append((with_part, error))
                group = [item for item in group if not item[3]]
        if group:
            failure: Exception | None = None
            try:
                facts = _joined(group)
                rejections = _sum([item[1] for item in group if item[1]])
                tallies = rejections + tallies_of([use for item in group for use in item[4]])
                began_s = perf_counter()
                try:
                    self._append(facts, tallies, now_ms)
                finally:
                    took_s.append(perf_counter() - began_s)
                admitted = len(facts) // fact_bytes(facts)
                for each in rejections:
                    telemetry.MESSAGES.labels("rejected", each.reason).inc(each.messages)
            except Exception as error:  # whatever it is, each caller must hear of it
                failure = error
            outcomes.append((group, failure))
        if not loop.is_closed():
            loop.call_soon_threadsafe(self._answer, outcomes, took_s, admitted)

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

    def _answer(self, outcomes: list[Outcome], took_s: list[float], admitted: int) -> None:
        """Tell callers what became of theirs, and go on with those who came meanwhile."""
        self._took_s += took_s
        self._admitted_messages += admitted
        if not self._waiting or len(self._took_s) >= _REPORTED_AT_ONCE:
            try:
                self._report()  # before anybody is told, who might look
            except Exception:  # a number that nobody sees keeps nobody waiting
                _log.exception("commits cannot be counted for the metrics")
        for items, failure in outcomes:
            self.pending_bytes -= sum([len(item[0]) for item in items])
            if failure is not None:
                self._failed(failure)
            for item in items:
                try:
                    item[2](failure)
                except Exception as error:  # those who come after it must hear of theirs
                    trace = {"trace": "".join(traceback.format_tb(error.__traceback__))}
                    _log.error("%s in a caller of the journal", type(error).__name__, extra=trace)
        if self._waiting:
            self._gather(asyncio.get_running_loop(), 0, 0)
        else:
            assert self._idle is not None
            self._idle.set_result(None)
            self._idle = None

    async def run_between(self, act: Callable[[], None]) -> None:
        """Call something where the journal is written, between two transactions."""
        over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def run() -> None:
            failure: Exception | None = None
            try:
                act()
            except Exception as error:
                failure = error
            over.get_loop().call_soon_threadsafe(_settle, over, failure)

        self._executor.submit(run)
        await over

    def _report(self) -> None:
        took_s, self._took_s = self._took_s, []
        self._commit_seconds.observe_all(took_s)
        self._admitted.inc(self._admitted_messages)
        self._admitted_messages = 0

    async def close(self) -> None:
        """Finish what is under way and release the journal."""
        if self._idle is not None:
            await self._idle
        if self._beside is not None:
            await self.run_between(self._beside.close)
        self._executor.shutdown()
        self._journal.close()


def _settle(over: asyncio.Future[None], failure: Exception | None) -> None:
    if over.done():  # its client has gone; the facts stand all the same
        return
    if failure is None:
        over.set_result(None)
    else:
        over.set_exception(failure)


class _Thread:
    """A thread of one's own, to which a job is handed at less cost than to a pool's.

    It is woken by a pipe, whose writer lets go of the interpreter meanwhile. Whoever is woken by a
    lock's release gets the processor before the interpreter, and gives it back to get that.
    """

    def __init__(self) -> None:
        self._jobs: deque[Callable[[], None] | None] = deque()
        self._waits, self._wakes = os.pipe()
        self._thread = Thread(target=self._run, name="journal", daemon=True)
        self._thread.start()

    def submit(self, job: Callable[[], None] | None) -> None:
        """Do something after all that was submitted before; it must raise nothing."""
        self._jobs.append(job)
        os.write(self._wakes, b"!")

    def shutdown(self) -> None:
        """Do what was submitted, and end; idempotent."""
        if not self._thread.is_alive():
            return
        self.submit(None)
        self._thread.join()
        wakes, waits = self._wakes, self._waits
        # Their numbers may be another file's from now on: nothing is to be written there.
        self._wakes = self._waits = -1
        os.close(wakes)
        os.close(waits)

    def _run(self) -> None:
        while os.read(self._waits, 1) and (job := self._jobs.popleft()) is not None:
            job()
            # What it held of many requests is let go of where they were made, before this waits.
            job = None


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
    facts = b"".join([item[0] for item in group])
    return WideFacts(facts) if WideFacts in {type(item[0]) for item in group} else facts


def _sum(groups: Iterable[Sequence[Rejection]]) -> list[Rejection]:
    tallies: Counter[tuple[int, int, int, str]] = Counter()
    for group in groups:
        for workspace, source, day, reason, messages in group:
            tallies[workspace, source, day, reason] += messages
    return [Rejection(*place, messages) for place, messages in tallies.items()]
