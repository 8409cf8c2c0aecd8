"""Imports mixed into live traffic, out of order, repeated and broken off, count as the oracle says.

Files go through the real path: compressed, decompressed, decoded, marked, appended, metered.
"""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from headcount.catalog import Catalog
from headcount.config import Settings
from headcount.counting.batch import facts_from_bytes
from headcount.counting.calendar import MS_PER_DAY, Period, day_text, parse_period
from headcount.counting.facts import FACT_BYTES
from headcount.datafolder import open_data_folder
from headcount.importing.chunks import ImportChunk
from headcount.importing.columns_map import ColumnsMap
from headcount.importing.forms import Records
from headcount.importing.history import HistoryImport
from headcount.importing.inputs import Input
from headcount.intake import Reason
from headcount.meter import MeterLimits
from headcount.store.protocol import Change, sealed_months
from support.oracle import Oracle, PlainFact
from support.rig import Rig, assert_equal_to_oracle, pack

FIRST_DAY = parse_period("2026-03-01").first_day
HASH_KEY = bytes(range(32))  # the rig's
NOON_MS = 43_200_000

IDS = st.sampled_from([None, "a", "b", "c"])
MESSAGE_IDS = st.sampled_from([None, None, "m1", "m2", "m3", "m4"])
SOURCES = st.sampled_from([1, 2])
COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {
    ".json": lambda content: content, ".gz": gzip.compress, ".zst": zstandard.compress,
}  # fmt: skip
# Records of the months before the first day and of the weeks after it.
RECORD_DAYS = st.sampled_from([-60, -32, -31, -1, 0, 1, 5, 29, 31, 40])
RECORDS = st.tuples(SOURCES, MESSAGE_IDS, IDS, IDS, RECORD_DAYS)
# Of few different lines each, so that equal ones stand far apart.
FILE = st.lists(RECORDS, min_size=1, max_size=4).flatmap(
    lambda records: st.lists(st.sampled_from(records), min_size=1, max_size=9)
)
FILES = st.lists(FILE, min_size=1, max_size=3)
LIVE = st.lists(st.tuples(SOURCES, MESSAGE_IDS, IDS, IDS), min_size=1, max_size=4)
ACTIONS = st.one_of(
    st.tuples(st.just("import"), st.integers(0, 2), st.sampled_from(sorted(COMPRESSIONS))),
    st.tuples(st.just("begin"), st.integers(0, 2), st.integers(1, 4)),
    st.tuples(st.just("live"), LIVE, st.none()),
    st.tuples(st.just("drain"), st.none(), st.none()),
    st.tuples(st.just("restart"), st.none(), st.none()),
    # Clock steps among them, forward and back.
    st.tuples(st.just("days"), st.sampled_from([1, 2, 20, 40, -1, -40]), st.none()),
    st.tuples(st.just("confirm"), st.none(), st.none()),
    st.tuples(st.just("weeks"), st.none(), st.none()),
)


class World:
    """A data folder, an oracle, and what each packed fact means."""

    def __init__(self, path: Path, files: list[list[Any]]) -> None:
        self.now_ms = (FIRST_DAY + 10) * MS_PER_DAY + NOON_MS
        self.folder = open_data_folder(path / "data", create=True)
        self.folder.hash_key.write_text(HASH_KEY.hex())
        self.catalog = Catalog(self.folder.catalog)
        self.workspace = self.catalog.add_workspace("Shop", 0)
        keys = [self.catalog.add_source(1, name, 0).write_key for name in ("web", "app")]
        self.files = [[self._record(keys, *record) for record in file] for file in files]
        self.place = path
        self.oracle = Oracle()
        self.meaning: dict[bytes, PlainFact] = {}
        self.rig = Rig(self.folder.path, lambda: self.now_ms)
        self.live = self.rig.journal()
        self.fresh = 0

    @staticmethod
    def _record(
        keys: list[str], source: int, message: str | None, user: str | None,
        anonymous: str | None, day: int,
    ) -> tuple[bytes, PlainFact]:  # fmt: skip
        """A line, and what it means, but for the id of one that brings none."""
        moment_ms = (FIRST_DAY + day) * MS_PER_DAY + NOON_MS
        record = {
            "type": "page", "messageId": message, "userId": user, "anonymousId": anonymous,
            "receivedAt": f"{day_text(FIRST_DAY + day)}T12:00:00Z", "writeKey": keys[source - 1],
        }  # fmt: skip
        plain = PlainFact(moment_ms, 1, source, message or "", user, anonymous, imported=True)
        return json.dumps(record).encode(), plain

    def importing(self, number: int, ending: str) -> Iterator[None]:
        """Import a file, chunk by chunk; each chunk must hold what the rules make of its lines."""
        records = self.files[number % len(self.files)]
        path = self.place / f"{number}{ending}"
        path.write_bytes(COMPRESSIONS[ending](b"\n".join(line for line, _ in records)))
        seen = Counter[bytes]()
        expected: list[PlainFact | Reason] = []
        for line, plain in records:
            if not plain.message:
                seen[line] += 1
                named = f"made for {line!r}, number {seen[line]}"
                plain = PlainFact(**{**_fields(plain), "message": named})
            expected.append(self._verdict(plain))
        history = HistoryImport(
            self.folder, self.catalog, Settings(), self.workspace, None,
            clock=lambda: self.now_ms, chunk_records=2,
        )  # fmt: skip
        reading = Records(Input(path.name, path, None), ColumnsMap())
        with closing(history), closing(reading):
            for chunk in history.chunks(reading.lines()):
                first = chunk.last_line_number - chunk.records
                self._learn(chunk, expected[first : chunk.last_line_number])
                yield
            assert reading.failure is None
            history.finish()

    def _verdict(self, plain: PlainFact) -> PlainFact | Reason:
        if plain.received_at_ms > self.now_ms:
            return Reason.RECEIVED_AT_IN_FUTURE
        if (1, Period.of_day(plain.day)) in self.oracle.sealed:
            return Reason.PERIOD_SEALED
        if plain.user is None and plain.anonymous is None:
            return Reason.NO_USER_ANON_ID
        return plain

    def _learn(self, chunk: ImportChunk, expected: list[PlainFact | Reason]) -> None:
        assert len(expected) == chunk.records
        reasons = [each for each in expected if isinstance(each, Reason)]
        if chunk.is_passed_over:
            assert (chunk.facts, chunk.rejections) == (b"", [])
            # What its month is now says nothing of a record that was taken before.
            reasons = [each for each in reasons if each is not Reason.PERIOD_SEALED]
            assert [error.reason for error in chunk.errors] == reasons
            return
        assert [error.reason for error in chunk.errors] == reasons
        assert sum(rejection.messages for rejection in chunk.rejections) == len(reasons)
        admitted = [each for each in expected if isinstance(each, PlainFact)]
        packed = [
            chunk.facts[at : at + FACT_BYTES] for at in range(0, len(chunk.facts), FACT_BYTES)
        ]
        for fact, plain in zip(packed, admitted, strict=True):
            # A made id is the same whenever the same record comes again, and never another's.
            assert self.meaning.setdefault(fact, plain) == plain

    def receive(self, messages: list[Any], days_between: int = 0) -> None:
        """Live messages."""
        facts = []
        for source, message, user, anonymous in messages:
            self.now_ms += days_between * MS_PER_DAY
            self.fresh += 1
            name = message or f"fresh {self.fresh}"
            facts.append(PlainFact(self.now_ms, 1, source, name, user, anonymous))
        self.meaning.update((pack(fact), fact) for fact in facts)
        self.rig.append(self.live, facts)

    def drain(self) -> None:
        """Meter until nothing is left, tell the oracle in which order, and compare."""
        drained = False
        while not drained:
            self.now_ms += 61_000
            facts = facts_from_bytes(self.rig.meter.peek())
            plain = [self.meaning[fact.tobytes()] for fact in facts]
            self.oracle.take(plain, self.now_ms // MS_PER_DAY, MeterLimits().facts_a_batch_max)
            drained = self.rig.meter.step().drained
        self.oracle.seal(self.now_ms // MS_PER_DAY)
        assert sealed_months(self.rig.store.months()) == self.oracle.sealed
        assert_equal_to_oracle(self.rig.store, self.oracle)

    def act(self, action: str, what: Any, how: Any) -> None:
        """Let one thing happen."""
        if action == "import":
            for _ in self.importing(what, how):
                pass
        elif action == "begin":
            # Broken off after some chunks, as by a kill.
            with closing(self.importing(what, ".json")) as steps:
                for _ in zip(range(how), steps, strict=False):
                    pass
        elif action == "live":
            self.receive(what)
        elif action == "restart":
            self.rig.stop()
            self.rig.start()
        elif action == "weeks":
            # So many, without a gap, that months can be closed at their end.
            self.receive([(1, None, "a", None)] * 19, days_between=2)
            self.drain()
        elif action == "days":
            self.now_ms += what * MS_PER_DAY
        elif action == "confirm":
            clock_day = self.now_ms // MS_PER_DAY
            self.rig.store.commit(Change(confirmed_day=clock_day))
            self.oracle.confirm(clock_day)
        else:
            self.drain()

    def close(self) -> None:
        self.live.close()
        self.rig.close()
        self.catalog.close()


def _fields(plain: PlainFact) -> dict[str, Any]:
    return {name: getattr(plain, name) for name in PlainFact.__dataclass_fields__}


@settings(max_examples=50)
@given(files=FILES, actions=st.lists(ACTIONS, min_size=1, max_size=12))
def test_counts_are_the_oracles(files: list[list[Any]], actions: list[tuple[Any, ...]]) -> None:
    with TemporaryDirectory() as name:
        world = World(Path(name), files)
        for action in actions:
            world.act(*action)
        for number in range(len(files)):
            world.act("import", number, ".zst")
        world.drain()
        world.close()
