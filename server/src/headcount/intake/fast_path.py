"""What nearly every request is, answered without an application's task: plain messages.

Takes a request that came whole: a message or a batch that is small, not compressed, with ids like
nearly all, of an enabled source that its head or its body names, and for which there is room
everywhere. All else, and whatever is to be refused, goes to the application, untouched; so what is
said here is only that something was taken, or that the disk refused it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from time import perf_counter
from typing import Any, Protocol

from headcount import tracing
from headcount.intake.answers import Answer, batch_answer, events_of, failure_answer
from headcount.intake.asgi import Event
from headcount.intake.batches import plain_batch, plain_message
from headcount.intake.budgets import Budgets
from headcount.intake.forwards import Forwards
from headcount.intake.headers import HeaderMap, sender_of
from headcount.intake.in_flight import InFlightLimiter
from headcount.intake.ports import Clock, FactSink, Limits, SourceRef
from headcount.intake.reasons import Refused
from headcount.intake.requests import RequestTally
from headcount.intake.routes import Action, Route, label_of
from headcount.intake.tracking import Receipt, Tracker
from headcount.intake.turns import Turns

__all__ = ["FastPath"]

# A larger one is worth a task, and may have to give way to others.
_BODY_BYTES_MAX = 1 << 16
# Of the headers that say who sends: what is made of them is kept.
_SENDER_BYTES_MAX = 512
# To ask an enumeration for one of these takes longer than all that is done with it.
_MESSAGE, _BATCH = _TAKEN = Action.MESSAGE, Action.BATCH


class WholeRequest(Protocol):
    """A request, as whoever serves it has it."""

    @property
    def scope(self) -> Any:
        """What it asks for, in ASGI's terms: at least method, path and query string."""
        ...

    @property
    def sender(self) -> tuple[bytes, bytes] | None:
        """Its Authorization and User-Agent, empty where it has none, if there is no other header of
        it that matters here; None where that was not looked at."""
        ...

    @property
    def fields(self) -> HeaderMap:
        """Its headers by their names, in lower case."""
        ...

    @property
    def body(self) -> bytes:
        """All of its body."""
        ...

    @property
    def disconnected(self) -> bool:
        """Whether its client has left."""
        ...

    def answer(self, start: Event, body: Event, /) -> None:
        """Send an answer, which is two events."""
        ...

    def pass_on(self) -> None:
        """Leave it to the application after all."""
        ...


_Sender = tuple[str, bytes, SourceRef | None]
"""The library that sent a request and its User-Agent, and whose it is, where its head says that."""


class FastPath:
    """Takes messages in, as the application would, whose parts it shares.

    Args:
        routes: where messages are posted, by path.
        tracker: admits messages.
        sink: makes facts durable.
        clock: the present moment in milliseconds since 1970.
        limits: bounds on what is taken in.
        in_flight: bounds what is under way.
        turns: bounds the work of a round of the loop.
        budgets: what each source may send.
        forwards: which sources forward; what those bring is the application's.
        answered: where answers are counted.
    """

    def __init__(
        self,
        routes: Mapping[str, Route],
        tracker: Tracker,
        sink: FactSink,
        clock: Clock,
        limits: Limits,
        in_flight: InFlightLimiter,
        turns: Turns,
        budgets: Budgets,
        forwards: Forwards,
        answered: RequestTally,
    ) -> None:
        self._routes = {path: routes[path] for path in routes if routes[path].action in _TAKEN}
        self._tracker = tracker
        self._sink = sink
        self._clock = clock
        self._limits = limits
        self._in_flight = in_flight
        self._turns = turns
        self._budgets = budgets
        self._forwards = forwards
        self._answered = answered

    def take(self, request: WholeRequest) -> bool:
        """Take in what was posted; whether it will be answered, or passed on, later.

        Args:
            request: all of it, body included.
        """
        began_s = perf_counter()
        scope, body = request.scope, bytes(request.body)
        route = self._routes.get(scope["path"])
        if (told := request.sender or _sender_in(request.fields)) is None:
            return False
        authorization, agent = told
        if (
            route is None
            or scope["method"] != "POST"
            or scope["query_string"]
            or len(body) > _BODY_BYTES_MAX
            or len(authorization) + len(agent) > _SENDER_BYTES_MAX
        ):
            return False
        write_key, library = sender_of(authorization, agent, route.short)
        source = self._tracker.enabled_source(write_key) if write_key else None
        if source is None and write_key:
            return False
        sender = library, agent, source
        if self._turns.begin(len(body)):
            is_taken = self._take(request, route, body, sender, began_s)
            if not is_taken:
                self._turns.give_back(len(body))
            return is_taken
        owner = source or self._tracker.likely_source(body)
        try:
            begin = partial(self._take_or_pass_on, request, route, body, sender, began_s)
            self._turns.join(owner.source if owner else 0, len(body), begin)
        except Refused:
            return False
        return True

    def _take_or_pass_on(
        self, request: WholeRequest, route: Route, body: bytes, sender: _Sender, began_s: float
    ) -> bool:
        """Go on with a request whose turn it is; whether its client is still there."""
        if request.disconnected:
            return False
        if not self._take(request, route, body, sender, began_s):
            request.pass_on()
        return True

    def _take(
        self, request: WholeRequest, route: Route, body: bytes, sender: _Sender, began_s: float
    ) -> bool:
        """Hand in what is to be kept of a request; whether it will be answered."""
        library, agent, source = sender
        try:
            message = batch = None
            if route.action is _BATCH:
                batch = plain_batch(body, self._limits)
            elif len(body) <= self._limits.message_bytes_max:
                message = plain_message(body)
            found = message or batch
            if found is None:
                return False
            source = source or self._tracker.enabled_source(found.write_key or "")
            if source is None or source.source in self._forwards.sources:
                return False
            owner = source.source
            self._budgets.check(owner)
            receipt = Receipt(self._clock(), library, 0, {}, agent, route.short)
            if message is not None:
                kind = route.argument or message.type
                result = self._tracker.take_plain_message(message, kind, receipt, source)
            else:
                assert batch is not None
                result = self._tracker.take_plain_batch(batch, receipt, source)
            if result is None or not result.facts:
                return False
            facts, rejections, rejected, _, told = result
            self._in_flight.enter(owner)
            try:
                self._budgets.spend_checked(owner, facts)
                answer = batch_answer(rejected)
                done = partial(self._done, owner, request, route, began_s, answer)
                self._sink.hand_in(facts, rejections, told, done)
            except BaseException:
                self._in_flight.leave(owner)
                raise
        except Exception:
            # Whatever it is, the application meets it as well, and says so.
            return False
        return True

    def _done(
        self,
        owner: int,
        request: WholeRequest,
        route: Route,
        began_s: float,
        outcome: Answer,
        failure: Exception | None,
    ) -> None:
        """Answer once facts are durable, or are not."""
        self._in_flight.leave(owner)
        answer = outcome
        if failure is not None:
            scope = request.scope
            tracing.begin(scope)
            answer = failure_answer(failure)
            tracing.tell_outcome(scope, label_of(scope["path"], route), answer.reason)
            tracing.begin(None)  # what follows here is of other requests
        self._answered.count(answer, perf_counter() - began_s)
        request.answer(*events_of(answer, cors=True))


def _sender_in(headers: HeaderMap) -> tuple[bytes, bytes] | None:
    """Authorization and User-Agent; None where another header says something that matters."""
    if b"content-encoding" in headers or b"x-write-key" in headers:
        return None
    return headers.get(b"authorization", b""), headers.get(b"user-agent", b"")
