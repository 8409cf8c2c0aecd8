"""What the tests of intake share: sources, a sink that keeps what it gets, and facts unpacked."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from headcount.counting.attributes import Attributes, NumberedAttributes
from headcount.counting.calendar import Period, parse_period
from headcount.counting.facts import ABSENT, FACT_BYTES, LIBRARIES, MESSAGE_TYPES, Rejection
from headcount.counting.hashing import IdHasher
from headcount.counting.libraries import LibraryUse, Told
from headcount.errors import StorageUnavailableError
from headcount.intake import SourceRef, TokenRef
from headcount.spool.letters import Posted

HASHER = IdHasher(bytes(range(32)))
NOW_MS = 1_795_478_400_000
"""2026-11-24T00:00:00Z."""
TODAY = NOW_MS // 86_400_000

WEB = SourceRef(workspace=1, source=2, enabled=True)
APP = SourceRef(workspace=1, source=3, enabled=True)
OFF = SourceRef(workspace=1, source=4, enabled=False)


class Keys:
    """Three sources, one of them disabled."""

    def lookup(self, write_key: str) -> SourceRef | None:
        return {"web-key": WEB, "app-key": APP, "off-key": OFF}.get(write_key)


class Past:
    """Three tokens and the same sources, by key and id; one month of the first workspace is closed.

    The token of another workspace opens none of these sources.
    """

    def token(self, secret: str, now_ms: int) -> TokenRef | None:
        tokens = {
            "admin-token": TokenRef(1, is_admin=True),
            "read-token": TokenRef(1, is_admin=False),
            "foreign-token": TokenRef(9, is_admin=True),
        }
        return tokens.get(secret)

    def source(
        self, workspace: int, write_key: str | None, source_id: str | None
    ) -> SourceRef | None:
        if write_key is not None:
            found = Keys().lookup(write_key)
        else:
            found = {"web": WEB, "app": APP}.get(source_id or "")
        return found if found is not None and found.workspace == workspace else None

    def sealed(self, workspace: int) -> Collection[Period]:
        return {parse_period("2026-01-01")} if workspace == 1 else set()


@dataclass
class ListSink:
    """Keeps facts and tallies in memory; refuses them while `broken`, waits while `held`."""

    pending_bytes: int = 0
    broken: bool = False
    held: asyncio.Event | None = None
    waiting: int = 0
    facts: bytes = b""
    rejections: list[Rejection] = field(default_factory=list)
    posted: list[Posted] = field(default_factory=list)
    libraries: list[LibraryUse] = field(default_factory=list)
    attributes: list[NumberedAttributes] = field(default_factory=list)

    async def append(
        self,
        facts: bytes,
        rejections: Sequence[Rejection] = (),
        posted: Sequence[Posted] = (),
        libraries: Sequence[Told] = (),
    ) -> None:
        if self.held is not None:
            self.waiting += 1
            await self.held.wait()
            self.waiting -= 1
        if self.broken:
            raise StorageUnavailableError("the disk is full")
        self.facts += facts
        self.rejections += rejections
        self.posted += posted
        self.libraries += uses_of(libraries)
        self.attributes += [each for each in libraries if isinstance(each, NumberedAttributes)]


def uses_of(told: Iterable[Told]) -> list[LibraryUse]:
    """The uses of libraries in what is told of senders."""
    return [each for each in told if isinstance(each, LibraryUse)]


def attributes_of(told: Iterable[Told]) -> list[Attributes]:
    """The attributes in what is told of senders, ascending."""
    return sorted(each.attributes for each in told if isinstance(each, NumberedAttributes))


class Fact(NamedTuple):
    """A fact's parts; an id that is absent is None."""

    received_at_ms: int
    workspace: int
    source: int
    message_type: str
    library: str
    flags: int
    message: bytes | None
    user: bytes | None
    anonymous: bytes | None
    previous: bytes | None


def unpack(facts: bytes | bytearray) -> list[Fact]:
    """All facts of a whole number of records."""
    assert len(facts) % FACT_BYTES == 0
    unpacked = []
    for moment, workspace, source, tags, flags, *hashes in struct.iter_unpack(
        "<qIIII8s8s8s8s", facts
    ):
        ids = [None if h == ABSENT else h for h in hashes]
        kind, library = MESSAGE_TYPES[tags & 0xFF], LIBRARIES[tags >> 8 & 0xFF]
        unpacked.append(Fact(moment, workspace, source, kind, library, flags, *ids))
    return unpacked
