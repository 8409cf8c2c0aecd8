"""All connections of one process: how many they may be, what they may hold, and who goes first.

Takes connections as they begin and a look at them now and then; gives nothing, but hangs up on
some. A connection that asks nothing costs a descriptor and some memory, so any number may come, and
at the bound the one that has been silent for the longest makes room for the next: strangers cannot
keep anybody out by being there. Neither can they fill the memory, with heads that do not end,
requests behind requests, or answers that they do not read. Never hangs up on a request whose answer
is being made, as long as its client reads.
"""

from __future__ import annotations

import heapq
import resource
from collections import deque
from collections.abc import Collection
from typing import NamedTuple, Protocol

from headcount import telemetry
from headcount.config import DEFAULTS
from headcount.http.cycle import Cycle, FastPath
from headcount.http.entrance import Entrance
from headcount.http.pace import ProcessPace
from headcount.http.rounds import Rounds
from headcount.troubles import Troubles

__all__ = ["ConnectionBounds", "Crowd", "Member", "connections_max"]

_CONNECTIONS_MAX = 8192
# For journals, the store, the log, and connections that are accepted before any of them is told.
_DESCRIPTORS_KEPT_MIN = 64
# Whoever has just come gets a moment to ask before it counts as silent.
_GRACE_S = 2.0
_CANDIDATES = 64
# What TLS takes for a connection at least, and for each byte of the most that came at once.
_TLS_BYTES = 50 * 1024
_TLS_COPIES = 2
_CALM_AFTER_S = 10.0
# So many requests are answered late or turned away in a second before it is said.
_DELAYED_MIN = 100
# A few milliseconds of a round: bytes of what is expensive to parse.
_PARSED_IN_ROUND_BYTES = 32 * 1024


def connections_max() -> int:
    """How many connections this process may hold: what its limit of descriptors leaves room for.

    The soft limit is raised to the hard one; beyond some thousands, memory is what bounds.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard == resource.RLIM_INFINITY:
        return _CONNECTIONS_MAX
    return max(1, min(_CONNECTIONS_MAX, hard - max(_DESCRIPTORS_KEPT_MIN, hard // 4)))


class ConnectionBounds(NamedTuple):
    """What the connections of one process may take.

    Attributes:
        connections_max: how many there may be.
        idle_s: how long one may be silent after a request that was answered.
        unread_s: how long a client may read nothing of an answer that waits for it.
        held_bytes_max: of heads that are not whole yet, of requests behind others, and of large
            heads of requests that are under way.
        tls_bytes_max: of what TLS holds for connections, whatever they ask.
        unread_bytes_max: of answers that wait to be read.
    """

    connections_max: int = _CONNECTIONS_MAX
    idle_s: float = DEFAULTS.idle_timeout_s
    unread_s: float = 10.0
    held_bytes_max: int = 16 << 20
    tls_bytes_max: int = 100 << 20
    unread_bytes_max: int = 32 << 20


class Member(Protocol):
    """A connection, as the crowd sees it."""

    since_s: float
    """When it last began a request, or was last given an answer to its end."""

    @property
    def is_silent(self) -> bool:
        """Whether no request of it is under way."""
        ...

    @property
    def is_idle(self) -> bool:
        """Whether it is silent between two requests, and has had an answer."""
        ...

    @property
    def unsent_bytes(self) -> int:
        """What of its answers waits in this process."""
        ...

    def end_if_late(self, now_s: float) -> None:
        """Hang up if what is waited for does not come."""
        ...

    def abort(self) -> None:
        """End it at once, whatever was still to be sent."""
        ...


class _Unread:
    """An answer that waits to be read: how much of it, and since when it is so much."""

    __slots__ = ("since_s", "size")

    def __init__(self, size: int, since_s: float) -> None:
        self.size = size
        self.since_s = since_s


class Crowd:
    """The connections of one process.

    Args:
        members: those that there are.
        bounds: what they may take.
        address: which one they came to, `"tracking"` or `"api"`; a metric's label.
        troubles: is told when there are too many, and when that is over.
        entrance: lets requests begin; None where the application bounds that.
        pace: says how soon those are answered who bring nothing.
        fast_path: answers requests that are whole, in the place of the application.

    Attributes:
        address, entrance, pace, fast_path: as given.
        now_s: the loop's time as of the last tick, which is exact enough and costs nothing.
        parsing: how many bytes of what is expensive to parse are parsed in a round of the loop.
    """

    def __init__(
        self,
        members: Collection[Member],
        bounds: ConnectionBounds,
        address: str = "tracking",
        troubles: Troubles | None = None,
        entrance: Entrance | None = None,
        pace: ProcessPace | None = None,
        fast_path: FastPath | None = None,
    ) -> None:
        self.bounds = bounds
        self.now_s = 0.0
        self.parsing = Rounds(_PARSED_IN_ROUND_BYTES)
        self.entrance = entrance
        self.pace = pace or ProcessPace(address)
        self.fast_path = fast_path
        self._members = members
        self.address = address
        self._troubles = troubles
        # Hung up on, and members until the loop comes round.
        self._leaving: set[Member] = set()
        self._silent: deque[tuple[Member, float]] = deque()
        self._held: dict[Member, int] = {}
        self._held_bytes = 0
        self._tls: dict[Member, int] = {}
        self._tls_bytes = 0
        self._heaviest: deque[tuple[Member, int]] = deque()
        self._unread: dict[Member, _Unread] = {}
        self._unread_bytes = 0
        self._dropped_at_s: float | None = None
        self._delayed = 0
        self._delayed_at_s: float | None = None
        self._told: set[str] = set()

    def admit(self, newcomer: Member) -> None:
        """A connection has begun; it is among the members already."""
        while len(self._members) - len(self._leaving) > self.bounds.connections_max:
            self._dropped_at_s = self.now_s
            goes = self._longest_silent() or newcomer
            self._abort(goes, "crowded")
            if goes is newcomer:
                return

    def _longest_silent(self) -> Member | None:
        """The next to go; None where everybody has a request under way."""
        for _ in range(2):
            while self._silent:
                member, since_s = self._silent.popleft()
                if member.is_silent and member.since_s == since_s and self._stays(member):
                    return member
            self._silent.extend(
                (member, member.since_s)
                for member in heapq.nsmallest(
                    _CANDIDATES,
                    [m for m in self._members if m.is_silent and self._stays(m)],
                    self._order,
                )
            )
        return None

    def _stays(self, member: Member) -> bool:
        return member in self._members and member not in self._leaving

    def _order(self, member: Member) -> tuple[int, float]:
        """First who never asked anything or stays in the middle of it, then who is idle."""
        if member.is_idle:
            return 1, member.since_s
        return (0 if self.now_s - member.since_s >= _GRACE_S else 2), member.since_s

    def hold(self, member: Member, size: int) -> None:
        """A connection holds so many bytes of what is not answered yet; 0 for none any more."""
        self._held_bytes += size - self._held.pop(member, 0)
        if size:
            self._held[member] = size
        while self._held_bytes > self.bounds.held_bytes_max:
            largest = max(self._held, key=self._held.__getitem__)
            self.hold(largest, 0)
            self._abort(largest, "held")

    def hold_tls(self, member: Member, came_bytes: int) -> None:
        """A connection is one of TLS, which keeps room for as many bytes as came at once."""
        size = _TLS_BYTES + _TLS_COPIES * came_bytes
        self._tls_bytes += size - self._tls.pop(member, 0)
        self._tls[member] = size
        while self._tls_bytes > self.bounds.tls_bytes_max:
            goes = self._next_heaviest()
            self._tls_bytes -= self._tls.pop(goes)
            self._abort(goes, "tls")

    def _next_heaviest(self) -> Member:
        """Of those that hold most the one that is silent for the longest."""
        while self._heaviest:
            member, size = self._heaviest.popleft()
            if self._tls.get(member) == size:
                return member
        heaviest = heapq.nsmallest(
            _CANDIDATES,
            self._tls,
            lambda member: (
                -self._tls[member],
                self._order(member) if member.is_silent else (3, member.since_s),
            ),
        )
        self._heaviest.extend((member, self._tls[member]) for member in heaviest)
        return self._heaviest.popleft()[0]

    def unread(self, member: Member) -> None:
        """A connection's client does not read as fast as it is answered."""
        self.read(member)
        self._unread[member] = unread = _Unread(member.unsent_bytes, self.now_s)
        self._unread_bytes += unread.size
        if self._unread_bytes > self.bounds.unread_bytes_max:
            self._look_at_unread()

    def read(self, member: Member) -> None:
        """A connection's client has read nearly all."""
        if (unread := self._unread.pop(member, None)) is not None:
            self._unread_bytes -= unread.size

    def leave(self, member: Member) -> None:
        """A connection has ended."""
        self.hold(member, 0)
        self._tls_bytes -= self._tls.pop(member, 0)
        self.read(member)
        self._leaving.discard(member)

    def tick(self, now_s: float, late_s: float = 0.0) -> None:
        """Take the time; to be called several times a second.

        Args:
            now_s: the loop's time.
            late_s: by how much that is later than was wanted.
        """
        self.now_s = now_s
        self.pace.tick(late_s)

    def look(self) -> None:
        """Hang up on those that are late; to be called about once a second."""
        for member in list(self._members):
            member.end_if_late(self.now_s)
        self._look_at_unread()
        self._tell()
        Cycle.refusals.tell_rest()

    def _look_at_unread(self) -> None:
        bounds = self.bounds
        for member, unread in self._unread.items():
            size = member.unsent_bytes
            if size < unread.size:
                unread.since_s = self.now_s
            self._unread_bytes += size - unread.size
            unread.size = size
        for member, unread in sorted(self._unread.items(), key=lambda item: item[1].since_s):
            is_late = self.now_s - unread.since_s > bounds.unread_s
            if not is_late and self._unread_bytes <= bounds.unread_bytes_max:
                break
            self.read(member)
            self._abort(member, "unread")

    def _tell(self) -> None:
        telemetry.CONNECTIONS.labels(self.address).set(len(self._members))
        self._tell_of(
            "connections",
            self._dropped_at_s,
            f"More than {self.bounds.connections_max:,} connections at once came to the"
            f" {self.address} address: those that are silent are dropped, so that others are"
            " answered.",
            "If they are your clients', raise the limit of open files (ulimit -n) or"
            " --workers; else let the proxy or firewall in front block whoever opens them.",
        )
        delayed = self.pace.delayed + (self.entrance.shed if self.entrance else 0)
        if delayed - self._delayed >= _DELAYED_MIN:
            self._delayed_at_s = self.now_s
        self._delayed = delayed
        self._tell_of(
            "unauthenticated",
            self._delayed_at_s,
            f"More is asked of the {self.address} address, without a key or token that is known,"
            " than can be answered at once: such requests are delayed or refused, so that others"
            " are served.",
            "Let the proxy or firewall in front block them; headcount_requests_total and"
            " headcount_api_requests_total say what they ask.",
        )

    def _tell_of(self, kind: str, at_s: float | None, message: str, remedy: str) -> None:
        """Say that something goes on, if it happened lately, or that it is over."""
        lately = at_s is not None and self.now_s - at_s <= _CALM_AFTER_S
        if self._troubles is None or lately == (kind in self._told):
            return
        if lately:
            self._told.add(kind)
            self._troubles.begin(kind, message, remedy, hinders=False)
        else:
            self._told.discard(kind)
            self._troubles.end(kind)

    def _abort(self, member: Member, why: str) -> None:
        telemetry.CONNECTIONS_DROPPED.labels(self.address, why).inc()
        self._leaving.add(member)
        member.abort()
