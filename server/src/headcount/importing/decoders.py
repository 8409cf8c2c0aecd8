"""Several processes that decode and hash: takes lines, gives what becomes of them, later.

What one of them cannot do, because it has ended or could not be started, is done here instead; so
nothing depends on them but how long it takes.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from queue import SimpleQueue

from headcount.counting.hashing import IdHasher
from headcount.importing.decoder import How, answer_of, send, written
from headcount.importing.decoder_processes import DecoderProcesses, Process
from headcount.importing.plain_records import PlainLimits, PlainRecords, take_plain

__all__ = ["DecoderPool", "Decoders"]

# So many chunks are decoded before other processes are started for it: most imports are small.
_CHUNKS_ALONE = 3
_CHUNKS_A_PROCESS = 2


class Decoders:
    """Takes lines in other processes.

    Args:
        hasher: hashes ids; of an installation that uses one key.
        limits: how long things may be.
        processes: those that do it, just started; None for one that could not be.
        are_named: whether it matters how sources are called.

    Attributes:
        hasher: as given.
        ahead_max: how many chunks may wait for them; with more, who asks takes one itself.
    """

    def __init__(
        self,
        hasher: IdHasher,
        limits: PlainLimits,
        processes: Sequence[Process | None],
        *,
        are_named: bool,
    ) -> None:
        self.hasher = hasher
        self.ahead_max = _CHUNKS_A_PROCESS * len(processes)
        self._how = How(hasher.key, hasher.number, limits, are_named)
        self._free: SimpleQueue[Process | None] = SimpleQueue()
        for each in processes:
            if each is not None:
                with suppress(OSError):
                    assert each.stdin is not None
                    send(each.stdin, written(self._how))
            self._free.put(each)
        self._threads = ThreadPoolExecutor(len(processes), "decoder")

    def take(self, lines: bytes, records: int) -> Future[PlainRecords]:
        """What `take_plain` gives, once it is there.

        Args:
            lines: joined by line feeds.
            records: how many lines these are.
        """
        return self._threads.submit(self._taken, lines, records)

    def take_here(self, lines: bytes, records: int) -> PlainRecords:
        """The same, at once."""
        how = self._how
        return take_plain(lines, records, self.hasher, how.limits, are_named=how.are_named)

    def _taken(self, lines: bytes, records: int) -> PlainRecords:
        process = self._free.get()
        try:
            answer = None if process is None else _asked(process, lines, records)
            if answer is None:
                process = None
        finally:
            self._free.put(process)
        return answer or self.take_here(lines, records)

    def cancel(self) -> None:
        """Begin with nothing more; what was not answered never is."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def wait(self) -> None:
        """Return once nobody waits for the processes any more, which have ended."""
        self._threads.shutdown()


def _asked(process: Process, lines: bytes, records: int) -> PlainRecords | None:
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        send(process.stdin, lines, records)
        return answer_of(process.stdout)
    except OSError:
        return None


class DecoderPool:
    """Has an import decoded elsewhere once it turns out to be a long one.

    Args:
        processes: those that may do it, or how many; as for `DecoderProcesses`. Ended with this.
        chunks_alone: how many chunks there are before that, unless they have been started.
    """

    def __init__(
        self,
        processes: DecoderProcesses | int | None = None,
        chunks_alone: int = _CHUNKS_ALONE,
    ) -> None:
        if not isinstance(processes, DecoderProcesses):
            processes = DecoderProcesses(processes)
        self._processes = processes
        self._chunks_left = 0 if processes.started else chunks_alone
        self._decoders: Decoders | None = None

    def decoders(
        self, hasher: IdHasher, limits: PlainLimits, *, are_named: bool
    ) -> Decoders | None:
        """What is to take the next chunk; None where that is for who asks.

        Args:
            hasher, limits, are_named: as for `Decoders`; only those of the first chunk count that
                others are started for.
        """
        if self._chunks_left > 0:
            self._chunks_left -= 1
            return None
        if self._decoders is None:
            self._processes.start()
            started = self._processes.started
            self._decoders = Decoders(hasher, limits, started, are_named=are_named)
        return self._decoders

    @property
    def pids(self) -> list[int]:
        """The ids of the processes that were started."""
        return self._processes.pids

    def close(self) -> None:
        """End them; idempotent."""
        if self._decoders is not None:
            self._decoders.cancel()
            self._processes.kill()
            self._decoders.wait()
            self._decoders = None
        self._processes.close()
