"""A `FactLog` in memory that loses, repeats, delays, rolls back and forgets, by a seed.

It is the double for tests of what stands on a log, and does everything that the protocol allows an
engine to do, far more often than one would; without faults it does what a good engine does. Time is
a number of steps that the test turns: nothing sleeps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from headcount.engines.log import PUBLISH_BYTES_MAX, TELL_BYTES_MAX, LogEntry
from headcount.errors import EngineAwayError

__all__ = ["NO_FAULTS", "WILD", "LogFaults", "MemoryLog", "MemoryLogServer"]


@dataclass(frozen=True, slots=True)
class LogFaults:
    """How often, of one, each thing happens.

    Attributes:
        lost: an entry was acknowledged and is not there.
        lost_unacknowledged: publishing fails, and the entry is not there.
        published_and_away: publishing fails, and the entry is there all the same.
        repeated: an entry is there twice.
        late: a follower is not given what is there, this time.
        back: a follower begins again at an earlier entry.
        hole: a follower passes over an entry.
        away: a verb fails and does nothing.
        told_lost: what is told does not come.
        told_repeated: what is told comes twice.
        told_late: what is told comes with a later `take`.
        rolled_back: with a publication, the last entries of all subjects vanish, as many as
            `rolled_back_most`, and their numbers are given again.
        forgotten: with a publication, the oldest half of a subject is let go.
        wiped: with a publication, everything vanishes.
    """

    lost: float = 0
    lost_unacknowledged: float = 0
    published_and_away: float = 0
    repeated: float = 0
    late: float = 0
    back: float = 0
    hole: float = 0
    away: float = 0
    told_lost: float = 0
    told_repeated: float = 0
    told_late: float = 0
    rolled_back: float = 0
    rolled_back_most: int = 5
    forgotten: float = 0
    wiped: float = 0


NO_FAULTS = LogFaults()

WILD = LogFaults(
    lost=0.05,
    lost_unacknowledged=0.05,
    published_and_away=0.05,
    repeated=0.1,
    late=0.2,
    back=0.05,
    hole=0.05,
    away=0.03,
    told_lost=0.2,
    told_repeated=0.1,
    told_late=0.2,
    rolled_back=0.03,
    forgotten=0.02,
    wiped=0.005,
)


class _Stored(bytes):
    """An entry, and which of all that were ever published it is."""

    at: int


@dataclass(slots=True)
class _Subject:
    first: int = 1
    entries: list[_Stored] = field(default_factory=list)

    @property
    def end(self) -> int:
        """The number that the next entry gets."""
        return self.first + len(self.entries)


class MemoryLogServer:
    """What the logs of all nodes in a test have in common.

    Args:
        seed: decides every fault; the same calls in the same order meet the same ones.
        faults: how often there are any; may be changed at any time, such as to `NO_FAULTS` for the
            end of a test, when everything must arrive.
    """

    def __init__(self, seed: int = 0, faults: LogFaults = NO_FAULTS) -> None:
        self.random = Random(seed)
        self.faults = faults
        self.away = False
        self.now_ms = 0
        self._published = 0
        self._subjects: dict[str, _Subject] = {}
        self._hearers: dict[str, list[_MemoryHearer]] = {}

    def open(self) -> MemoryLog:
        """A log as one process uses it."""
        return MemoryLog(self)

    def meets(self, chance: float) -> bool:
        """Whether a fault that is so frequent happens now."""
        return chance > 0 and self.random.random() < chance

    def look(self) -> None:
        """Fail if the engine is away."""
        if self.away or self.meets(self.faults.away):
            raise EngineAwayError("The log in memory is away.")

    def subject(self, name: str) -> _Subject:
        return self._subjects.setdefault(name, _Subject())

    def stored(self, data: bytes) -> _Stored:
        """An entry, told from all others."""
        stored = _Stored(data)
        self._published += 1
        stored.at = self._published
        return stored

    def entries(self, name: str) -> list[bytes]:
        """What a subject holds at this moment."""
        return list(self.subject(name).entries)

    def roll_back(self, most: int) -> None:
        """Lose the last entries of each subject, as when a standby that lagged is promoted."""
        for subject in self._subjects.values():
            lost = self.random.randint(0, most)
            if lost:
                del subject.entries[-lost:]

    def forget(self, name: str, count: int) -> None:
        """Let the oldest entries of a subject go."""
        subject = self.subject(name)
        kept = min(count, len(subject.entries))
        del subject.entries[:kept]
        subject.first += kept

    def forget_all(self, of: str = "") -> None:
        """Let all entries of subjects go that begin so; what comes is numbered on."""
        for name, subject in self._subjects.items():
            if name.startswith(of):
                self.forget(name, len(subject.entries))

    def wipe(self) -> None:
        """Lose everything, numbers too."""
        self._subjects.clear()

    def hearers(self, name: str) -> list[_MemoryHearer]:
        return self._hearers.setdefault(name, [])


class MemoryLog:
    """A `FactLog` on a `MemoryLogServer`."""

    def __init__(self, server: MemoryLogServer) -> None:
        self._server = server
        self._hearing: list[_MemoryHearer] = []

    def publish(self, subject: str, data: bytes) -> None:
        assert len(data) <= PUBLISH_BYTES_MAX
        server, faults = self._server, self._server.faults
        server.look()
        if server.meets(faults.lost_unacknowledged):
            raise EngineAwayError("The log in memory went away before publishing.")
        if not server.meets(faults.lost):
            times = 2 if server.meets(faults.repeated) else 1
            server.subject(subject).entries.extend(server.stored(data) for _ in range(times))
        if server.meets(faults.rolled_back):
            server.roll_back(faults.rolled_back_most)
        if server.meets(faults.forgotten):
            server.forget(subject, len(server.subject(subject).entries) // 2)
        if server.meets(faults.wiped):
            server.wipe()
        if server.meets(faults.published_and_away):
            raise EngineAwayError("The log in memory went away after publishing.")

    def publish_all(self, entries: Sequence[tuple[str, bytes]]) -> None:
        failed: EngineAwayError | None = None
        for subject, data in entries:
            try:
                self.publish(subject, data)
            except EngineAwayError as error:
                failed = error
        if failed is not None:
            raise failed

    def follow(self, subject: str, hint: int | None = None, at: int = 0) -> _MemoryFollower:
        return _MemoryFollower(self._server, subject, hint, at)

    def take_all(self, followers: Sequence[Any], bytes_max: int = 4 << 20) -> list[list[LogEntry]]:
        at = [each.at for each in followers]
        try:
            return [each.take(bytes_max) for each in followers]
        except EngineAwayError:
            for each, place in zip(followers, at, strict=True):
                each.at = place
            raise

    def tell(self, subject: str, data: bytes) -> None:
        assert len(data) <= TELL_BYTES_MAX
        server, faults = self._server, self._server.faults
        server.look()
        for hearer in server.hearers(subject):
            if not server.meets(faults.told_lost):
                times = 2 if server.meets(faults.told_repeated) else 1
                hearer.told.extend([bytes(data)] * times)

    def tell_all(self, told: Sequence[tuple[str, bytes]]) -> None:
        for subject, data in told:
            self.tell(subject, data)

    def hear(self, subject: str) -> _MemoryHearer:
        hearer = _MemoryHearer(self._server, subject)
        self._server.hearers(subject).append(hearer)
        self._hearing.append(hearer)
        return hearer

    def trim(self, before_ms: int) -> None:
        """Lets everything go that was published, if that was before, by the clock of the server."""
        self._server.look()
        if before_ms > self._server.now_ms:
            self._server.forget_all()

    def wait(self, seconds: float) -> None:
        """Returns at once, as a log may."""

    def close(self) -> None:
        for hearer in self._hearing:
            hearer.close()


class _MemoryFollower:
    def __init__(self, server: MemoryLogServer, subject: str, hint: int | None, at: int) -> None:
        self.set_backs = 0
        self._read = (hint or 0, at)
        self._server = server
        self.name = subject
        self.at = 0 if hint is None else hint + 1

    def take(self, bytes_max: int = 4 << 20) -> list[LogEntry]:
        server, faults = self._server, self._server.faults
        server.look()
        if server.meets(faults.late):
            return []
        subject = server.subject(self.name)
        if self._has_lost(subject):
            self.at, self._read, self.set_backs = 0, (0, 0), self.set_backs + 1
        if self.at > subject.end or self.at < subject.first:
            self.at = subject.first
        if server.meets(faults.back):
            self.at = server.random.randint(subject.first, max(subject.first, self.at))
        taken: list[LogEntry] = []
        size = 0
        while self.at < subject.end and size < bytes_max:
            number, self.at = self.at, self.at + 1
            if server.meets(faults.hole):
                continue
            data = subject.entries[number - subject.first]
            if taken and size + len(data) > bytes_max:
                self.at = number
                break
            taken.append(LogEntry(number, data, data.at))
            size += len(data)
            self._read = (number, data.at)
        return taken

    def _has_lost(self, subject: _Subject) -> bool:
        """Whether what was read last is not there any more, or another one has its number."""
        number, at = self._read
        if number >= subject.end:
            return number > 0
        if number < subject.first or not at:
            return False
        return subject.entries[number - subject.first].at != at

    def close(self) -> None:
        pass


class _MemoryHearer:
    def __init__(self, server: MemoryLogServer, subject: str) -> None:
        self._server = server
        self._name = subject
        self.told: list[bytes] = []

    def take(self) -> list[bytes]:
        server, faults = self._server, self._server.faults
        server.look()
        late = [data for data in self.told if server.meets(faults.told_late)]
        taken = [data for data in self.told if data not in late]
        self.told = late
        return taken

    def close(self) -> None:
        hearers = self._server.hearers(self._name)
        if self in hearers:
            hearers.remove(self)
