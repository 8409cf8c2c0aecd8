"""The log in PostgreSQL: a row an entry, numbered within its subject without holes.

The number comes from the subject's row in `head`, and that row stays locked until the entry is
durable: so entries become visible in the order of their numbers, which numbers of a sequence do
not. Notices are sent apart from what they are about, since a transaction that notifies keeps all
others that do from being made durable together with it.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import math
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg import sql

from headcount.engines.log import (
    PUBLISH_BYTES_MAX,
    TELL_BYTES_MAX,
    FactLog,
    Follower,
    LogEntry,
)
from headcount.engines.postgres_connection import Database, Query
from headcount.engines.postgres_notices import Notices, Subscription
from headcount.engines.postgres_tables import (
    add_days,
    drop_days,
    is_missing_day,
    prepare_tables,
    warnings_of,
)

__all__ = ["PostgresLog"]

_LOOK_EVERY_S = 1.0
_ROWS_MAX = 1024
_ENTRIES_MAX = 512

_PUBLISH = """
WITH given AS (
  SELECT * FROM unnest(%(subjects)s::text[], %(nths)s::bigint[], %(data)b::bytea[])
    AS g(subject, nth, data)
), counted AS (
  SELECT subject, count(*) AS entries FROM given GROUP BY subject
), numbered AS (
  INSERT INTO {s}.head AS h (subject, next)
  SELECT subject, entries + 1 FROM counted ORDER BY subject COLLATE "C"
  ON CONFLICT (subject) DO UPDATE SET next = h.next + excluded.next - 1
  RETURNING subject, next
)
INSERT INTO {s}.log (subject, seq, at, data)
SELECT g.subject, n.next - c.entries + g.nth, clock_timestamp(), g.data
FROM given g JOIN counted c USING (subject) JOIN numbered n USING (subject)
"""

# The last column: when the entry that was read last was published, whose number another may have.
_TAKE = """
SELECT wanted.nth, taken.seq, taken.data, (extract(epoch FROM taken.at) * 1000000)::bigint,
  (SELECT (extract(epoch FROM at) * 1000000)::bigint FROM {s}.log
   WHERE subject = wanted.subject AND seq = wanted.after LIMIT 1)
FROM unnest(%(subjects)s::text[], %(afters)s::bigint[]) WITH ORDINALITY
  AS wanted(subject, after, nth)
CROSS JOIN LATERAL (
  SELECT seq, data, at FROM (
    SELECT seq, data, at,
      sum(octet_length(data)) OVER (ORDER BY seq) - octet_length(data) AS before
    FROM (
      SELECT seq, data, at FROM {s}.log WHERE subject = wanted.subject AND seq > wanted.after
      ORDER BY seq LIMIT %(rows)s
    ) AS next
  ) AS sized WHERE before = 0 OR before + octet_length(data) <= %(bytes)s
) AS taken ORDER BY wanted.nth, taken.seq
"""

_NEXT = """
SELECT wanted.nth, coalesce(head.next, 1),
  (SELECT (extract(epoch FROM at) * 1000000)::bigint FROM {s}.log
   WHERE subject = wanted.subject AND seq = wanted.after LIMIT 1)
FROM unnest(%(subjects)s::text[], %(afters)s::bigint[]) WITH ORDINALITY
  AS wanted(subject, after, nth)
LEFT JOIN {s}.head AS head ON head.subject = wanted.subject
"""

# Nobody waits for a disk on behalf of a notice.
_NOTIFY = """
SELECT set_config('synchronous_commit', 'off', true), pg_notify(channel, said)
FROM unnest(%s::text[], %s::text[]) AS n(channel, said)
"""


class PostgresLog(FactLog):
    """A `FactLog` in a schema of a PostgreSQL database.

    Args:
        address: a libpq address, of several hosts or one.
        schema: the cluster's own; made when missing.
        timeout_s: how long an answer is waited for.
    """

    def __init__(self, address: str, schema: str, timeout_s: float) -> None:
        self.schema = schema
        self.database = Database(address, timeout_s, self._prepare)
        self.notices = Notices(address, timeout_s)
        self._day_added = ""

    def _prepare(self, connection: Query) -> None:
        prepare_tables(connection, self.schema)
        self._day_added = _today()

    def query(self, text: str) -> sql.Composed:
        """A statement about the cluster's own tables."""
        return sql.SQL(text).format(s=sql.Identifier(self.schema))

    def connect(self) -> None:
        """Connect now.

        Raises:
            OperatorError: something is wrong that another try does not fix.
            EngineAwayError: the database cannot be asked at present.
        """
        self.database.connect()

    def warnings(self) -> list[str]:
        """What an operator should know of the database, as sentences; raises as `publish`."""
        return self.database.run(warnings_of)

    def publish(self, subject: str, data: bytes) -> None:
        self.publish_all([(subject, data)])

    def publish_all(self, entries: Sequence[tuple[str, bytes]]) -> None:
        assert all(len(data) <= PUBLISH_BYTES_MAX for _, data in entries)
        for begin in range(0, len(entries), _ENTRIES_MAX):
            self._publish(entries[begin : begin + _ENTRIES_MAX])

    def _publish(self, entries: Sequence[tuple[str, bytes]]) -> None:
        counts: dict[str, int] = {}
        nths = []
        for subject, _ in entries:
            nths.append(counts.get(subject, 0))
            counts[subject] = nths[-1] + 1
        given = {
            "subjects": [subject for subject, _ in entries],
            "nths": nths,
            "data": [bytes(data) for _, data in entries],
        }
        publish = self.query(_PUBLISH)

        def ask(connection: Query) -> None:
            if self._day_added != _today():
                add_days(connection, self.schema)
                self._day_added = _today()
            try:
                connection.execute(publish, given)
            except psycopg.errors.CheckViolation as error:
                if not is_missing_day(error):
                    raise
                add_days(connection, self.schema)  # its clock is ahead of ours by days
                connection.execute(publish, given)
            # It is durable by now, and whoever misses the notice looks once a second.
            connection.execute(
                _NOTIFY, ([self._wake(subject) for subject in counts], [""] * len(counts))
            )

        self.database.run(ask)

    def follow(self, subject: str, hint: int | None = None, at: int = 0) -> _PostgresFollower:
        notices = self.notices.subscribe(self._wake(subject))
        return _PostgresFollower(self, subject, notices, hint or 0, at)

    def take_all(
        self, followers: Sequence[Follower], bytes_max: int = 4 << 20
    ) -> list[list[LogEntry]]:
        due = [each for each in followers if isinstance(each, _PostgresFollower) and each.is_due()]
        if not due:
            return [[] for _ in followers]
        given = self.database.run(lambda connection: self._given(connection, due, bytes_max))
        for each in due:
            each.took(given[id(each)])
        return [given.get(id(each), []) for each in followers]

    def _given(
        self, connection: Query, due: Sequence[_PostgresFollower], bytes_max: int
    ) -> dict[int, list[LogEntry]]:
        """What there is for some followers, by their ids."""
        given, known = self._read(connection, due, bytes_max)
        ends: dict[int, int] = {}
        empty = [each for each in due if each.after and not given[id(each)]]
        if empty:
            for nth, ends_at, known_at in connection.execute(self.query(_NEXT), _wanted(empty)):
                ends[id(empty[nth - 1])], known[id(empty[nth - 1])] = ends_at, known_at
        younger = [each for each in due if each.is_another(known.get(id(each)), ends.get(id(each)))]
        for each in younger:
            each.begin_again()
        return given | (self._read(connection, younger, bytes_max)[0] if younger else {})

    def _read(
        self, connection: Query, due: Sequence[_PostgresFollower], bytes_max: int
    ) -> tuple[dict[int, list[LogEntry]], dict[int, int | None]]:
        """What follows for each by its id; and when what it read last was published."""
        wanted = _wanted(due) | {"rows": _ROWS_MAX, "bytes": bytes_max}
        found: list[list[LogEntry]] = [[] for _ in due]
        known: dict[int, int | None] = {}
        with connection.cursor(binary=True) as cursor:
            for nth, seq, data, at, known_at in cursor.execute(self.query(_TAKE), wanted):
                found[nth - 1].append(LogEntry(seq, data, at))
                known[id(due[nth - 1])] = known_at
        return {id(each): entries for each, entries in zip(due, found, strict=True)}, known

    def tell(self, subject: str, data: bytes) -> None:
        self.tell_all([(subject, data)])

    def tell_all(self, told: Sequence[tuple[str, bytes]]) -> None:
        assert all(len(data) <= TELL_BYTES_MAX for _, data in told)
        channels = [self._told(subject) for subject, _ in told]
        said = [base64.b64encode(data).decode("ascii") for _, data in told]
        self.database.run(lambda connection: connection.execute(_NOTIFY, (channels, said)))

    def hear(self, subject: str) -> _PostgresHearer:
        return _PostgresHearer(self.notices.subscribe(self._told(subject)))

    def trim(self, before_ms: int) -> None:
        before = datetime.fromtimestamp(before_ms / 1000, UTC).date()
        self.database.run(lambda connection: drop_days(connection, self.schema, before))

    def wait(self, seconds: float) -> None:
        self.notices.wait(seconds)

    def close(self) -> None:
        self.notices.close()
        self.database.close()

    def _wake(self, subject: str) -> str:
        return f"{self.schema}:{subject}"

    def _told(self, subject: str) -> str:
        return f"{self.schema}!{subject}"


class _PostgresFollower:
    def __init__(
        self, log: PostgresLog, subject: str, notices: Subscription, hint: int, at: int
    ) -> None:
        self.set_backs = 0
        self._log = log
        self.subject = subject
        self._notices = notices
        self.after, self._after_at = hint, at
        self._asked_at_s = -math.inf
        self._more = True

    def take(self, bytes_max: int = 4 << 20) -> list[LogEntry]:
        return self._log.take_all([self], bytes_max)[0]

    def is_due(self) -> bool:
        """Whether there may be something."""
        # Heard before it is read, so that of what comes in between there is a notice.
        if self._notices.take() or time.monotonic() - self._asked_at_s >= _LOOK_EVERY_S:
            self._more = True
        return self._more

    def took(self, entries: list[LogEntry]) -> None:
        """Go on behind what was given."""
        self._asked_at_s = time.monotonic()
        self._more = bool(entries)
        if entries:
            self.after, self._after_at = entries[-1].hint, entries[-1].at
            self._log.notices.keep_awake()

    def is_another(self, known: int | None, ends: int | None) -> bool:
        """Whether the log has lost what was read last; what is old enough it may let go.

        Args:
            known: when the entry was published that has its number; None where there is none.
            ends: what number the next entry gets; None where there is one.
        """
        if not self.after:
            return False
        if ends is not None and self.after >= ends:
            return True
        return known is not None and self._after_at not in (0, known)

    def begin_again(self) -> None:
        """Go from the beginning: the log is younger than what was read of it."""
        self.after, self.set_backs = 0, self.set_backs + 1

    def close(self) -> None:
        self._notices.close()


class _PostgresHearer:
    def __init__(self, notices: Subscription) -> None:
        self._notices = notices

    def take(self) -> list[bytes]:
        heard = []
        for said in self._notices.take():
            # Somebody else may notify on this channel.
            with contextlib.suppress(binascii.Error, UnicodeEncodeError):
                heard.append(base64.b64decode(said.encode("ascii"), validate=True))
        return heard

    def close(self) -> None:
        self._notices.close()


def _wanted(due: Sequence[_PostgresFollower]) -> dict[str, Any]:
    return {
        "subjects": [each.subject for each in due],
        "afters": [each.after for each in due],
    }


def _today() -> str:
    return datetime.now(UTC).date().isoformat()
