"""Several processes that decode and hash: takes lines, gives what becomes of them, later.

What one of them cannot do, because it has ended or could not be started, is done here instead; so
nothing depends on them but how long it takes.
"""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from queue import SimpleQueue

from headcount.counting.hashing import IdHasher
from headcount.importing.decoder import How, answer_of, send, written
from headcount.importing.plain_records import PlainLimits, PlainRecords, take_plain

__all__ = ["DecoderPool", "Decoders"]

# More of them would only wait for whoever makes facts of what they give durable.
_PROCESSES_MAX = 4
# So many chunks are decoded before other processes are started for it: most imports are small.
_CHUNKS_ALONE = 3
_CHUNKS_A_PROCESS = 2

_Process = subprocess.Popen[bytes]


class Decoders:
    """Takes lines in other processes.

    Args:
        hasher: hashes ids; of an installation that uses one key.
        limits: how long things may be.
        are_named: whether it matters how sources are called.
        processes: how many.

    Attributes:
        hasher: as given.
        ahead_max: how many chunks may wait for them.
    """

    def __init__(
        self,
        hasher: IdHasher,
        limits: PlainLimits,
        *,
        are_named: bool,
        processes: int,
    ) -> None:
        self.hasher = hasher
        self.ahead_max = _CHUNKS_A_PROCESS * processes
        self._how = How(hasher.key, hasher.number, limits, are_named)
        self._started: list[_Process] = []
        self._free: SimpleQueue[_Process | None] = SimpleQueue()
        for _ in range(processes):
            self._free.put(self._start())
        self._threads = ThreadPoolExecutor(processes, "decoder")

    def _start(self) -> _Process | None:
        try:
            process = subprocess.Popen(
                [sys.executable, "-m", "headcount.importing.decoder"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            )  # fmt: skip
        except OSError:
            return None
        self._started.append(process)
        with suppress(OSError):
            assert process.stdin is not None
            send(process.stdin, written(self._how))
        return process

    def take(self, lines: bytes, records: int) -> Future[PlainRecords]:
        """What `take_plain` gives, once it is there.

        Args:
            lines: joined by line feeds.
            records: how many lines these are.
        """
        return self._threads.submit(self._taken, lines, records)

    @property
    def pids(self) -> list[int]:
        """The ids of the processes that were started."""
        return [each.pid for each in self._started]

    def _taken(self, lines: bytes, records: int) -> PlainRecords:
        process = self._free.get()
        try:
            answer = None if process is None else _asked(process, lines, records)
            if answer is None:
                process = None
        finally:
            self._free.put(process)
        if answer is not None:
            return answer
        how = self._how
        return take_plain(lines, records, self.hasher, how.limits, are_named=how.are_named)

    def close(self) -> None:
        """End them; what was not answered never is."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        for process in self._started:
            process.kill()
        self._threads.shutdown()
        for process in self._started:
            with process:
                assert process.stdin is not None
                with suppress(OSError):  # what was not sent is not sent any more
                    process.stdin.close()


def _asked(process: _Process, lines: bytes, records: int) -> PlainRecords | None:
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        send(process.stdin, lines, records)
        return answer_of(process.stdout)
    except OSError:
        return None


class DecoderPool:
    """Starts decoders for an import once it turns out to be a long one.

    Args:
        processes: how many; as many as there are processors, within bounds, when None.
        chunks_alone: how many chunks there are before that.
    """

    def __init__(self, processes: int | None = None, chunks_alone: int = _CHUNKS_ALONE) -> None:
        self._processes = processes or min(len(os.sched_getaffinity(0)), _PROCESSES_MAX)
        self._chunks_left = chunks_alone
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
            self._decoders = Decoders(
                hasher, limits, are_named=are_named, processes=self._processes
            )
        return self._decoders

    @property
    def pids(self) -> list[int]:
        """The ids of the processes that were started."""
        return [] if self._decoders is None else self._decoders.pids

    def close(self) -> None:
        """End them; idempotent."""
        if self._decoders is not None:
            self._decoders.close()
            self._decoders = None
