"""What the tracking application is given by whoever starts it: keys, a sink, a clock, limits."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from headcount.counting.calendar import Period
from headcount.counting.facts import Rejection
from headcount.counting.libraries import Told
from headcount.spool.letters import Posted

__all__ = ["Clock", "FactSink", "History", "Limits", "SourceRef", "TokenRef", "WriteKeys"]

Clock = Callable[[], int]
"""The present moment, in milliseconds since 1970, UTC."""

_KIB = 1024
_MIB = 1024 * 1024


class SourceRef(NamedTuple):
    """A source as intake needs it: the numbers that facts carry, and whether it takes messages.

    Its id, by which the usage API names it, is empty where nobody needs it. Known bots are counted
    like anybody, unless it refuses them.
    """

    workspace: int
    source: int
    enabled: bool
    id: str = ""
    refuses_bots: bool = False


class WriteKeys(Protocol):
    """Finds sources by write key; asked several times for each request, so it answers at once."""

    def lookup(self, write_key: str) -> SourceRef | None:
        """The source with that write key, disabled ones too; None when there is none."""
        ...


class TokenRef(NamedTuple):
    """An API token as intake needs it: the workspace that it opens, and whether it may import."""

    workspace: int
    is_admin: bool


class History(Protocol):
    """What is asked about imports over HTTP, a few times for each request."""

    def token(self, secret: str, now_ms: int) -> TokenRef | None:
        """The token of that secret; None when there is none, or it is expired or revoked."""
        ...

    def source(
        self, workspace: int, write_key: str | None, source_id: str | None
    ) -> SourceRef | None:
        """A workspace's source by write key, or, where that is None, by id; None for no such."""
        ...

    def sealed(self, workspace: int) -> Collection[Period]:
        """The months of a workspace that are closed for good.

        Raises:
            StorageUnavailableError: nobody can say.
        """
        ...


class FactSink(Protocol):
    """Where facts and rejection tallies become durable."""

    @property
    def pending_bytes(self) -> int:
        """Bytes of facts that were handed in and are not yet durable."""
        ...

    async def append(
        self,
        facts: bytes,
        rejections: Sequence[Rejection] = (),
        posted: Sequence[Posted] = (),
        libraries: Sequence[Told] = (),
    ) -> None:
        """Keep facts (whole records, any number), tallies of what was rejected and of who sent what
        was not, and what is to be forwarded; return once all of it is durable.

        Raises:
            StorageUnavailableError: nothing of it was kept.
        """
        ...

    def hand_in(
        self,
        facts: bytes,
        rejections: Sequence[Rejection],
        libraries: Sequence[Told],
        done: Callable[[Exception | None], None],
    ) -> None:
        """Do what `append` does, and call back: with None, or with why nothing was kept.

        Raises:
            StorageUnavailableError: nothing can be kept now; nobody is called back.
        """
        ...


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on what one worker takes in.

    Attributes:
        body_bytes_max: a body, compressed and decompressed alike.
        message_bytes_max: the raw JSON of one message.
        record_bytes_max: the raw JSON of an imported record, which is a message as it was taken and
            what was added to it since. It may also have been written anew with all but ASCII in
            escapes, which makes three bytes of one; so the bound leaves room for both.
        batch_messages_max: messages in one batch; far above what clients send, it bounds the
            memory that a body of nothing but tiny items can take.
        body_bytes_in_flight_max: what has come of bodies that are still coming, of all requests
            together whose head shows a known key.
        slow_bodies_max: how many such requests may wait for more of their bodies.
        keyless_body_bytes_in_flight_max, keyless_slow_bodies_max: the same of requests whose head
            shows none; a small part, so that strangers turn away nobody else.
        requests_in_flight_max: requests whose bodies are whole and being written.
        work_waiting_max: bodies that are whole and wait for the turn of their source, 5 KiB a
            request added; about half a second of work.
        pending_fact_bytes_max: facts that wait for the disk.
        body_timeout_s: how long a client may take to send a body.
        request_steps_max: work of the tolerant decoder for one request; see `work`.
        event_names: whether the names of events are told apart.
    """

    body_bytes_max: int = 4 * _MIB
    message_bytes_max: int = 32 * _KIB
    record_bytes_max: int = 128 * _KIB
    batch_messages_max: int = 100_000
    body_bytes_in_flight_max: int = 16 * _MIB
    slow_bodies_max: int = 2048
    keyless_body_bytes_in_flight_max: int = 8 * _MIB
    keyless_slow_bodies_max: int = 512
    requests_in_flight_max: int = 1024
    work_waiting_max: int = 16 * _MIB
    pending_fact_bytes_max: int = 8 * _MIB
    body_timeout_s: float = 30.0
    request_steps_max: int = 200_000
    event_names: bool = True
