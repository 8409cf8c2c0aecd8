"""The log through which the nodes of a cluster hand facts on: five verbs, and no promise but order.

`publish` and `follow` are durable, `tell` and `hear` are not, `trim` lets what is old go. What is
published stands in the log when `publish` returns, on as many servers as the engine was told to
wait for. Nobody counts by that alone, however: a log may be wiped, and a database that lagged
behind may be promoted. So a follower must expect, and an engine may deliver,

- repeats: one entry twice, or many again from an earlier point on;
- holes: entries that were published and never come;

but never two entries of one subject in another order than the one in which the log holds them.
Those who use it find holes by a chain inside what they publish, and drop repeats by ids.

**Synchronous.** Relays, meters and mirrors work in steps: take what there is, commit, tell, rest.
So all verbs are plain calls that return or raise within the log's `timeout_s`, and `take` gives
what is there without waiting for more; between steps, `wait` rests until there may be something.
An asynchronous process gives a log a thread of its own. A `FactLog`, with all that follows and
hears through it, belongs to one thread; a process opens as many as it has threads that need one.

**Away.** Where the engine cannot be reached, refuses or does not answer in time, the verbs raise
`EngineAwayError`, as often as they are called: it is the caller who tries again, rests in between
and says it (`troubles`). Connections are made anew by the next call, and followers go on where they
were. Whether something was published that was answered so is not known: publish it again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

__all__ = [
    "PUBLISH_BYTES_MAX",
    "TELL_BYTES_MAX",
    "FactLog",
    "Follower",
    "Hearer",
    "LogEntry",
]

PUBLISH_BYTES_MAX = 1_000_000
"""What `publish` takes at most: below what a NATS server takes unless told otherwise (1 MiB)."""

TELL_BYTES_MAX = 5_000
"""What `tell` takes at most: PostgreSQL notifies with fewer than 8,000 characters."""


class LogEntry(NamedTuple):
    """What was published once.

    Attributes:
        hint: where it stands, to go on from behind it with `follow(subject, hint)`. It only rises
            within a subject while the log is whole; after a wipe it may begin anew.
        data: what was published.
        at: when, by the engine's clock, microseconds since 1970: by it this entry is told from
            another one that was given its number after the log had lost it.
    """

    hint: int
    data: bytes
    at: int = 0


class Follower(Protocol):
    """Goes along one subject.

    Attributes:
        set_backs: how often the log was found to have lost what was read of it: wiped, rolled back,
            or put back to an older copy. Each time it is read from its beginning again.
    """

    set_backs: int

    def take(self, bytes_max: int = 4 << 20) -> list[LogEntry]:
        """The next entries, in order; none when there are no more at the moment.

        Args:
            bytes_max: after so much data no further entry is added; one is always given.

        Raises:
            EngineAwayError: the engine cannot be asked; nothing was skipped.
        """

    def close(self) -> None:
        """Stop following; idempotent."""


class Hearer(Protocol):
    """Hears what is told on one subject from now on."""

    def take(self) -> list[bytes]:
        """What was told since, in no promised order; some of it may be missing or come twice.

        Raises:
            EngineAwayError: the engine cannot be reached; what is told meanwhile is lost.
        """

    def close(self) -> None:
        """Stop hearing; idempotent."""


class FactLog(Protocol):
    """The log, as one thread of one process uses it.

    Subjects are words of small letters, digits and `_`, joined by dots, such as `facts.3`, and
    have at most 40 characters. Those of `publish` and of `tell` are apart from one another.
    """

    def publish(self, subject: str, data: bytes) -> None:
        """Put an entry at the end of a subject; it is durable when this returns.

        The same data published twice stands there twice.

        Args:
            subject: whose end.
            data: at most `PUBLISH_BYTES_MAX`.

        Raises:
            EngineAwayError: it may stand there, or not.
        """

    def publish_all(self, entries: Sequence[tuple[str, bytes]]) -> None:
        """`publish` several, waiting for them together; those of one subject in the order given.

        Args:
            entries: subjects and data.

        Raises:
            EngineAwayError: any of them may stand there, or not.
        """

    def follow(self, subject: str, hint: int | None = None, at: int = 0) -> Follower:
        """Go along a subject.

        Does not ask the engine yet, and so does not fail.

        Args:
            subject: what to follow.
            hint: of an entry that need not come again: begin behind it. None begins with the oldest
                that is kept, as does a hint that the log has not come to, because it was wiped.
            at: the entry's own `at`; 0 where it is not known, and a number is taken for enough.
        """

    def take_all(
        self, followers: Sequence[Follower], bytes_max: int = 4 << 20
    ) -> list[list[LogEntry]]:
        """`take` of several of this log's followers, asking the engine for them together.

        Args:
            followers: of this log.
            bytes_max: of each, as `Follower.take` has it.

        Raises:
            EngineAwayError: the engine cannot be asked of one; nothing was skipped of any.
        """

    def tell(self, subject: str, data: bytes) -> None:
        """Say something to those who hear at this moment; it may be lost, or come twice.

        Args:
            subject: where they hear.
            data: at most `TELL_BYTES_MAX`.

        Raises:
            EngineAwayError: the engine cannot be reached.
        """

    def tell_all(self, told: Sequence[tuple[str, bytes]]) -> None:
        """`tell` several at once.

        Args:
            told: subjects and data.

        Raises:
            EngineAwayError: the engine cannot be reached.
        """

    def hear(self, subject: str) -> Hearer:
        """Hear what is told on a subject from now on. Does not fail, as `follow`."""

    def trim(self, before_ms: int) -> None:
        """Let go of entries that are older; the engine may keep some of them for up to a day.

        Args:
            before_ms: by the engine's clock, milliseconds since 1970.

        Raises:
            EngineAwayError: the engine cannot be asked.
        """

    def wait(self, seconds: float) -> None:
        """Rest until something that is followed or heard through this log may have come.

        Returns at once where there was something since the last `take` that found nothing more. It
        may return too early, and late where notice of something was lost; never later than told.

        Args:
            seconds: for how long at most.
        """

    def close(self) -> None:
        """Give back connections and all that follows or hears; idempotent."""
