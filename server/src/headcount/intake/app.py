"""The tracking API as a bare ASGI application: takes requests, answers when facts are durable.

    request ─ route ─ write key ─ in flight ─ body ─ tracker ─ sink ─ answer

A key that the head carries is looked up, and room asked for, before a body is read. Bodies and
query strings are never logged.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from time import perf_counter

from headcount import tracing
from headcount.allowances import Allowances
from headcount.counting.hashing import Keys
from headcount.errors import DataFolderError, StorageUnavailableError
from headcount.intake.answers import (
    SUCCESS,
    Answer,
    batch_answer,
    description_answer,
    failure_answer,
    json_answer,
    options_answer,
    pixel_answer,
    refusal,
    send_answer,
)
from headcount.intake.asgi import Receive, Scope, Send
from headcount.intake.browser import pixel_message
from headcount.intake.budgets import Budgets
from headcount.intake.decompression import decompress
from headcount.intake.documents import Documents, Hosting
from headcount.intake.fast_path import FastPath
from headcount.intake.forwards import Forwards, letters_of
from headcount.intake.headers import (
    HeaderMap,
    bearer_token,
    key_in_head,
    length_bytes,
    library_of,
)
from headcount.intake.in_flight import InFlightLimiter
from headcount.intake.lane import Lane
from headcount.intake.ports import (
    Clock,
    FactSink,
    History,
    Limits,
    SourceRef,
    TokenRef,
    WriteKeys,
)
from headcount.intake.reasons import FOR_WANT_OF_ROOM, OF_FORM, OF_ONE_SOURCE, Reason, Refused
from headcount.intake.receiving import BodyReader, ClientGone, Room
from headcount.intake.records import RecordTaker, take_records
from headcount.intake.requests import RequestTally
from headcount.intake.routes import Action, Form, Route, Router, label_of
from headcount.intake.tracking import BatchResult, Receipt, Tracker, tally
from headcount.intake.turns import Turns
from headcount.intake.webhooks import in_batch, is_array, plain_batch, plain_message
from headcount.intake.work import at_once, in_turns
from headcount.spool.letters import Posted

__all__ = ["create_app"]

# Whoever sends more than may be taken, and sends it again at once, must not keep the loop busy
# with refusals: they are answered after so many seconds.
_REFUSED_AFTER_S = 0.3
# Of health, which must be said within a second, an answer is put off for so long at most.
_HEALTH_DELAYED_MOST_S = 0.3
_IGNORED = SUCCESS._replace(brought=False)
_HEALTHY = json_answer(200, {"status": "ok"})._replace(brought=False)
# Tracking bodies become about so much larger when they are decompressed.
_GZIP_RATIO = 8

# A body of no more bytes, unpacked, is soon done; larger ones work in lanes.
_SMALL_BODY_BYTES = 1 << 16
# Places, the bytes that may wait for one, and what a body counts for at least: of those whose key
# is known, and of strangers.
_KNOWN_LANE = (2, 32 << 20, 1 << 17)
_KEYLESS_LANE = (1, 8 << 20, 1 << 19)


def create_app(
    keys: WriteKeys,
    history: History,
    sink: FactSink,
    hash_keys: Keys,
    clock: Clock,
    limits: Limits | None = None,
    budgets: Budgets | None = None,
    answered: RequestTally | None = None,
    forwards: Forwards | None = None,
    hosting: Hosting | None = None,
    delay_s: Callable[[Scope], float] = lambda _: 0.0,
) -> Intake:
    """The tracking API.

    Serve it without an access log, which would hold query strings, and without websockets.

    Args:
        keys: finds sources by write key.
        history: says who may import, into which sources and months.
        sink: makes facts durable.
        hash_keys: the keys under which ids are hashed.
        clock: the present moment in milliseconds since 1970; the time of receipt of all that one
            request brings is one reading, taken when its body is whole.
        limits: bounds on what is taken in.
        budgets: what each source may send; None for no bounds.
        answered: where answers are counted.
        forwards: which sources forward; None for none.
        hosting: how clients reach this server.
        delay_s: for how long, in seconds, to put an answer off to a request that brought nothing.
    """
    return Intake(
        keys, history, sink, hash_keys, clock, limits or Limits(),
        budgets or Budgets(Allowances(None), clock), answered or RequestTally(),
        forwards or Forwards(), hosting or Hosting(), delay_s,
    )  # fmt: skip


class Intake:
    """The application; whoever serves it asks its `fast_path` first."""

    def __init__(
        self,
        keys: WriteKeys,
        history: History,
        sink: FactSink,
        hash_keys: Keys,
        clock: Clock,
        limits: Limits,
        budgets: Budgets,
        answered: RequestTally,
        forwards: Forwards,
        hosting: Hosting,
        delay_s: Callable[[Scope], float],
    ) -> None:
        self._router, self._put_off_s = Router(hosting.path_prefix), delay_s
        self._tracker = Tracker(keys, hash_keys, limits)
        self._documents = Documents(self._tracker, hosting)
        self._history, self._hash_keys = history, hash_keys
        self._sink, self._clock, self._limits = sink, clock, limits
        self._in_flight = InFlightLimiter(limits, sink)
        self._known_lane, self._keyless_lane = Lane(*_KNOWN_LANE), Lane(*_KEYLESS_LANE)
        self._budgets, self._answered = budgets, answered
        self._turns = Turns(limits.work_waiting_max)
        self._small_bytes_max = min(_SMALL_BODY_BYTES, limits.body_bytes_max)
        self._forwards = forwards
        self._bodies = BodyReader(
            limits.body_bytes_max,
            limits.body_timeout_s,
            known=Room(limits.slow_bodies_max, limits.body_bytes_in_flight_max),
            keyless=Room(limits.keyless_slow_bodies_max, limits.keyless_body_bytes_in_flight_max),
        )
        self.fast_path = FastPath(
            self._router.posted_to(), self._tracker, sink, clock, limits, self._in_flight,
            self._turns, budgets, forwards, answered,
        ).take  # fmt: skip

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise ValueError(f"the tracking API speaks HTTP only, not {scope['type']}")
        tracing.begin(scope)
        began_s = perf_counter()
        route = self._router.find(scope["path"])
        cors = route is None or route.cors
        try:
            answer = await self._answer(route, scope, receive)
        except ClientGone:
            return
        except Exception as error:
            answer = failure_answer(error)
            if route is not None and route.action is Action.PIXEL:
                answer = pixel_answer(answer)
        self._answered.count(answer, perf_counter() - began_s)
        if answer.status >= 400:
            tracing.tell_outcome(scope, label_of(scope["path"], route), answer.reason)
        # What is refused for want of room may be anybody's.
        if (not answer.brought or 200 != answer.status < 429) and (
            delay_s := self._put_off_s(scope)
        ):
            # Here nothing is held but the scope: of others a body too.
            most_s = _HEALTH_DELAYED_MOST_S if answer is _HEALTHY else delay_s
            await asyncio.sleep(min(delay_s, most_s))
        await send_answer(send, answer, cors=cors)

    async def _answer(self, route: Route | None, scope: Scope, receive: Receive) -> Answer:
        if route is None:
            nearest = f"The nearest known one is {self._router.nearest(scope['path'])}."
            return refusal(Reason.NOT_FOUND, more=nearest)
        method: str = scope["method"]
        if method == "OPTIONS":
            return options_answer(route.methods, preflight=route.cors)
        if method not in route.methods:
            return refusal(Reason.METHOD_NOT_ALLOWED, route.methods)
        if route.action is Action.HEALTH:
            return _HEALTHY
        if route.action is Action.IGNORE:
            return _IGNORED
        if route.action is Action.DESCRIPTION:
            return description_answer()
        headers: HeaderMap = tracing.headers_of(scope)
        if route.form is Form.NOTHING:
            try:
                return self._documents.answer(route, headers, scope)
            except Refused as refused:
                return refusal(refused.reason)
        if route.action is Action.PIXEL:
            if method == "HEAD":
                # Whoever only looks has sent nothing to be counted.
                return pixel_answer(SUCCESS)
            return pixel_answer(await self._track(route, headers, scope, receive))
        return await self._track(route, headers, scope, receive)

    async def _track(
        self, route: Route, headers: HeaderMap, scope: Scope, receive: Receive
    ) -> Answer:
        """Take a message or a batch in while there is room for it."""
        try:
            return await self._take(route, headers, scope, receive)
        except Refused as refused:
            if refused.reason in OF_ONE_SOURCE:
                await asyncio.sleep(_REFUSED_AFTER_S)
            more = f"This address takes {route.form.value}." if refused.reason in OF_FORM else ""
            return refusal(refused.reason, more=more)
        except (StorageUnavailableError, DataFolderError) as error:
            return failure_answer(error)

    async def _take(
        self, route: Route, headers: HeaderMap, scope: Scope, receive: Receive
    ) -> Answer:
        """Admit or reject what a request brings, and answer once that is durable.

        Raises:
            Refused: nothing of it is taken in.
        """
        authorization = headers.get(b"authorization", b"")
        if route.action is Action.IMPORT and (secret := bearer_token(authorization)) is not None:
            return await self._import(secret, headers, receive)
        write_key = key_in_head(headers, scope["query_string"])
        source = self._tracker.source_of(write_key) if write_key else None
        owner = source.source if source is not None else 0
        self._in_flight.check(owner)
        if source is not None:
            self._budgets.check(owner)
            self._forwards.check(owner)
            self._turns.check(owner)
            if self._known_lane.is_full:
                self._known_lane.check(owner, length_bytes(headers) or 0)
        # Without a token, an import is a batch like any other.
        is_batch = route.action in (Action.BATCH, Action.IMPORT)
        try:
            if route.action is Action.PIXEL:
                body = pixel_message(scope["query_string"])
            else:
                body = await self._body(headers, receive, known=source is not None)
            forwards, number = self._forwards.sources, self._forwards.next_number()
            library, agent = library_of(headers, short=route.short), headers.get(b"user-agent", b"")
            receipt = Receipt(self._clock(), library, number, forwards, agent, route.short)
            owner = owner or self._likely_owner(body)
            is_simple = len(body) <= self._small_bytes_max and b"content-encoding" not in headers
            # What is asked first costs next to nothing, and is so for nearly all.
            if not (is_simple and self._turns.begin(len(body))):
                await self._turn(owner, body, headers)
            self._in_flight.enter(owner)
            try:
                lane = None
                if not is_simple and route.action is not Action.PIXEL:
                    known = source is not None
                    body, lane = await self._unpacked(body, headers, owner, known=known)
                try:
                    if route.action is Action.ANY:
                        is_batch = is_array(body)
                        if is_batch:
                            body = await in_turns(plain_batch(body, self._limits))
                        else:
                            body = plain_message(body, headers, self._limits)
                    if is_batch:
                        result = await in_turns(self._tracker.take_batch(body, receipt, source))
                    else:
                        result = self._tracker.take_message(body, route.argument, receipt, source)
                finally:
                    if lane is not None:
                        lane.leave()
                self._budgets.spend(result.source, result.facts)
                if forwards and not (is_batch or route.vendor_type):
                    body = in_batch(body)
                letters = letters_of(result, body, route.vendor_type, receipt) if forwards else ()
                return await self._keep(result, letters)
            finally:
                self._in_flight.leave(owner)
        except Refused as refused:
            tallied = refused.source or source
            # Of a batch that is refused whole nobody knows how many messages it has; and what was
            # turned away for want of room comes again.
            if tallied is not None and not is_batch and refused.reason not in FOR_WANT_OF_ROOM:
                await self._sink.append(b"", [tally(tallied, refused.reason, self._clock())])
            raise

    async def _import(self, secret: str, headers: HeaderMap, receive: Receive) -> Answer:
        """Take the records of an import in, each into the source and the time that it names.

        Raises:
            Refused: nothing of it is taken in.
        """
        token = self._history.token(secret, self._clock())
        if token is None:
            raise Refused(Reason.INVALID_TOKEN)
        if not token.is_admin:
            raise Refused(Reason.ADMIN_TOKEN_REQUIRED)
        # Imports are nobody's but their workspace's: their turns are those of one source more.
        owner = -token.workspace
        self._in_flight.check(owner)
        self._budgets.check_import()
        body = await self._body(headers, receive, known=True)
        await self._turn(owner, body, headers)
        self._in_flight.enter(owner)
        try:
            body, lane = await self._unpacked(body, headers, owner, known=True)
            try:
                taker = self._record_taker(token)
                result = await in_turns(take_records(body, taker, self._limits))
            finally:
                if lane is not None:
                    lane.leave()
            return await self._keep(result)
        finally:
            self._in_flight.leave(owner)

    def _record_taker(self, token: TokenRef) -> RecordTaker:
        def find_source(
            write_key: str | None, source_id: str | None, _project_id: str | None
        ) -> SourceRef | None:
            return self._history.source(token.workspace, write_key, source_id)

        limits = self._limits
        taker = RecordTaker(
            find_source, self._history.sealed, self._hash_keys, limits.record_bytes_max,
            event_names=limits.event_names, in_time=True,
        )  # fmt: skip
        taker.begin(self._clock())
        return taker

    async def _keep(self, result: BatchResult, posted: Sequence[Posted] = ()) -> Answer:
        """Make a batch durable, and only then say what became of it."""
        if result.facts or result.rejections:
            await self._sink.append(result.facts, result.rejections, posted, result.libraries)
        answer = batch_answer(result.rejected)
        return answer if result.facts else answer._replace(brought=False)

    def _likely_owner(self, body: bytes) -> int:
        """The number of the source that a body seems to be of; 0 where that cannot be seen.

        Raises:
            Refused: it may send nothing now.
        """
        source = self._tracker.likely_source(body)
        if source is None:
            return 0
        self._budgets.check(source.source)
        return source.source

    async def _turn(self, owner: int, body: bytes, headers: HeaderMap) -> None:
        """Wait until it is the turn of a small body; large ones wait for a place in a lane."""
        if len(body) <= _SMALL_BODY_BYTES:
            ratio = _GZIP_RATIO if b"content-encoding" in headers else 1
            await self._turns.take(owner, ratio * len(body))

    async def _body(self, headers: HeaderMap, receive: Receive, *, known: bool) -> bytes:
        bytes_max = self._limits.body_bytes_max
        length = length_bytes(headers)
        if length is not None and length > bytes_max:
            raise Refused(Reason.BODY_TOO_LARGE)
        return await self._bodies.read(receive, known=known)

    async def _unpacked(
        self, body: bytes, headers: HeaderMap, owner: int, *, known: bool
    ) -> tuple[bytes, Lane | None]:
        """A body as it was before it was compressed; of a large one the lane that is to be left."""
        encoding = headers.get(b"content-encoding", b"")
        bytes_max = self._limits.body_bytes_max
        if len(body) <= self._small_bytes_max:
            if not encoding:
                return body, None
            try:
                return at_once(decompress(body, encoding, self._small_bytes_max)), None
            except Refused as refused:
                if refused.reason is not Reason.BODY_TOO_LARGE:
                    raise
        lane = self._known_lane if known else self._keyless_lane
        await lane.enter(owner, len(body))
        try:
            return await in_turns(decompress(body, encoding, bytes_max)), lane
        except BaseException:
            lane.leave()
            raise
