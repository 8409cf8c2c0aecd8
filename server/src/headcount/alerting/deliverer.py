"""What is to be told, again and again until it is done: takes events and deliveries, sends them.

Every event becomes one delivery for each of its channels, written down before anything is sent, in
one transaction with how far events were read. A delivery is tried until its channel takes it, for
about three days, with pauses that grow and differ; whatever dies meanwhile, it is tried again.
A channel that fails is left alone for a while, but one message that it will not take does not hold
up those behind it. Pauses are bounded, so that a clock that is set back lets nothing wait for long.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from headcount.alerting.alert_notices import alert_body
from headcount.alerting.digest_pictures import Drawings
from headcount.alerting.tell_channels import tell_channel
from headcount.alerting.webhook_posts import ReceiverAnswer
from headcount.alerting.written_down import written_down
from headcount.catalog import (
    NO_CHANNEL,
    Attempt,
    Catalog,
    Channel,
    DeliveryRecord,
    DeliveryState,
    NewDelivery,
)
from headcount.counting.alerts import AlertEvent
from headcount.errors import DamagedDataError, DataFolderError
from headcount.store.alert_protocol import AlertStore

__all__ = ["ChannelHealth", "Deliverer", "DeliveryPace", "pause_s"]

_log = logging.getLogger("headcount.alerting")

# Whose receivers never answer keeps nobody else's waiting, and no other of its own: in all, of a
# workspace, and of those that did not take what they were told last.
_AT_ONCE_MAX, _OF_A_WORKSPACE_MAX = 64, 16
_FAILING_AT_ONCE_MAX, _FAILING_OF_A_WORKSPACE_MAX = 32, 3
_EVENTS_A_LOOK = 100
_ASKS_FOR_REST = (429, 503)


@dataclass(frozen=True, slots=True)
class DeliveryPace:
    """How often a delivery is tried.

    Attributes:
        first_s, growth, most_s: the first pause, by how much each next one is longer, and the
            longest, in seconds.
        attempts_max: how often it is tried: by the above, for about three days.
        asked_most_s: no receiver's wish to be left alone is followed for longer at once.
        channel_most_s: a channel that fails is left alone for no longer.
    """

    first_s: float = 5.0
    growth: float = 3.0
    most_s: float = 6 * 3600.0
    attempts_max: int = 21
    asked_most_s: float = 3600.0
    channel_most_s: float = 300.0


def pause_s(pace: DeliveryPace, attempts: int, asked_s: float | None = None) -> float:
    """How long to wait after so many tries: longer each time, and never the same for all.

    Args:
        pace: how often a delivery is tried.
        attempts: how often it was tried, at least once.
        asked_s: for how long the receiver asks to be left alone.
    """
    most_s = min(pace.most_s, pace.first_s * pace.growth ** min(attempts - 1, 30))
    paused_s = most_s * random.uniform(0.75, 1.25)  # noqa: S311 — no secret
    return paused_s if asked_s is None else max(paused_s, min(asked_s, pace.asked_most_s))


@dataclass(slots=True)
class ChannelHealth:
    """How a channel fares.

    Attributes:
        failures: how often in a row it has not taken what it was told.
        said: what it said last, where it did not.
        rests_until_s: until when it is left alone, by a clock that nobody sets.
    """

    failures: int = 0
    said: str = ""
    rests_until_s: float = 0.0


class Deliverer:
    """Delivers what is to be told.

    Args:
        catalog: rules, channels and deliveries.
        events: what was found.
        key: gives the key that channels are sealed under.
        clock_ms: the time, in milliseconds since 1970.
        pace: how often a delivery is tried.
        may_tell: whether it is this process that tells, at this moment; asked before each try.

    Attributes:
        health: of each channel that was told anything, by its number.
        answers: (channel number, outcome) of each try, for whoever counts them and empties it.
        waiting: how many deliveries wait, by channel number.
        drawings: draws the charts of what is told.
        damaged: why what was found since cannot be written down; None where it can.
    """

    def __init__(
        self,
        catalog: Catalog,
        events: AlertStore,
        key: Callable[[], bytes],
        clock_ms: Callable[[], int],
        pace: DeliveryPace | None = None,
        may_tell: Callable[[], bool] = lambda: True,
    ) -> None:
        self._may_tell = may_tell
        self._unwritten: dict[int, Callable[[], None]] = {}
        self._catalog = catalog
        self._events = events
        self._key = key
        self._clock_ms = clock_ms
        self._pace = pace or DeliveryPace()
        self._in_flight: dict[int, threading.Thread] = {}
        self._writing = threading.Lock()
        self._is_closed = False
        self.health: dict[int, ChannelHealth] = {}
        self.answers: list[tuple[int, str]] = []
        self.waiting: dict[int, int] = {}
        self.drawings = Drawings()
        self.damaged: DamagedDataError | None = None

    def look(self) -> None:
        """Write down what was found since, and begin to send what is due.

        Raises:
            DataFolderError: the catalog cannot be read or written; it goes on with the next look.
            StorageUnavailableError: the same of the store.
        """
        self._write_down_late()
        self.damaged = None
        try:
            self.take_events()
        except DamagedDataError as error:
            self.damaged = error  # what was written down before is sent all the same
        self._in_flight = {n: each for n, each in self._in_flight.items() if each.is_alive()}
        channels = {each.number: each for each in self._catalog.channels()}
        living = {each.number for each in self._catalog.workspaces()}
        due: dict[int, DeliveryRecord] = {}
        self.waiting = dict.fromkeys(channels, 0)
        now_ms, now_s = self._clock_ms(), time.monotonic()
        for record in self._catalog.waiting_deliveries():
            channel = channels.get(record.channel)
            if channel is None or channel.state == "gone":
                written_down(partial(self._catalog.drop_deliveries, record.channel, now_ms))
                continue
            self.waiting[record.channel] += 1
            health = self.health.setdefault(record.channel, ChannelHealth())
            busy = record.channel in self._in_flight or now_s < health.rests_until_s
            # Of a workspace that is deleted it waits: that may be taken back.
            told = channel.state == "on" and channel.workspace in living
            if not told or busy or record.id in self._unwritten:
                continue
            if not self._is_due(record, now_ms):
                continue
            # The least tried first: what a channel will not take holds up nothing behind it.
            first = due.get(record.channel)
            if first is None or record.attempts < first.attempts:
                due[record.channel] = record
        self._send(due, channels)

    def _send(self, due: dict[int, DeliveryRecord], channels: dict[int, Channel]) -> None:
        """Begin to send what is due, those first that fare well, and of each workspace a few."""
        under_way = [n for n in self._in_flight if n in channels]
        sending = Counter(channels[n].workspace for n in under_way)
        failing = Counter(channels[n].workspace for n in under_way if self.health[n].failures)
        for number in sorted(due, key=lambda each: self.health[each].failures):
            channel, fails = channels[number], bool(self.health[number].failures)
            of = channel.workspace
            if sending[of] >= _OF_A_WORKSPACE_MAX or sending.total() >= _AT_ONCE_MAX:
                continue
            if fails and (
                failing[of] >= _FAILING_OF_A_WORKSPACE_MAX
                or failing.total() >= _FAILING_AT_ONCE_MAX
            ):
                continue
            sending[of] += 1
            failing[of] += fails
            # One that nobody waits for when this process ends: a receiver may take its time.
            thread = threading.Thread(
                target=self._deliver, args=(channel, due[number]), name="tell", daemon=True
            )
            self._in_flight[number] = thread
            thread.start()

    def take_events(self) -> None:
        """Write down what was found since, once for each of its channels."""
        catalog = self._catalog
        read = catalog.events_read_here() if catalog.is_shared else catalog.events_read()
        found = self._events.events(after=read, most=_EVENTS_A_LOOK)
        if not found:
            return
        workspaces = {each.number: (each.id, each.name) for each in catalog.workspaces()}
        sources = {each.number: (each.id, each.name) for each in catalog.sources()}
        channels = {each.number for each in catalog.channels()}
        prices = {n: catalog.dated_prices(n) for n in {each.event.workspace for each in found}}

        def deliveries_of(event: AlertEvent) -> list[NewDelivery]:
            if (workspace := workspaces.get(event.workspace)) is None:
                return []
            body = alert_body(event, workspace, sources, prices[event.workspace])
            there = [number for number in event.channels if number in channels]
            return [
                NewDelivery(event.workspace, number, event.uid, "alert", body)
                for number in there or [NO_CHANNEL]
            ]

        events, upto, now_ms = [each.event for each in found], found[-1].number, self._clock_ms()
        if catalog.is_shared:
            # Other nodes have found the same: what one of them has told is left out.
            made = written_down(
                lambda: catalog.take_own_events(events, deliveries_of, upto, now_ms)
            )
        else:
            new = [each for event in events for each in deliveries_of(event)]
            made = catalog.take_events(new, upto, now_ms)
        self.answers += [(each.channel, "dropped") for each in made if each.state == "dropped"]

    def _is_due(self, record: DeliveryRecord, now_ms: int) -> bool:
        left_ms = record.next_at_ms - now_ms
        return left_ms <= 0 or left_ms > 2_000 * max(self._pace.most_s, self._pace.asked_most_s)

    def _deliver(self, channel: Channel, record: DeliveryRecord) -> None:
        try:
            if not self._may_tell():
                return
            answer, state = self.deliver(channel, record)
            self.answers.append((channel.number, state if answer.taken else "again"))
        except Exception:
            # Whatever it is: what waits is written down, and is tried again.
            _log.exception("a delivery of an alert could not be written down")
            self.health[channel.number].rests_until_s = time.monotonic() + self._pace.first_s

    def deliver(self, channel: Channel, record: DeliveryRecord) -> tuple[ReceiverAnswer, str]:
        """Tell a channel something now, and write down what became of it.

        Returns:
            The answer, and the state of the delivery.

        Raises:
            DataFolderError: it was told, and that could not be written down; the next look does.
        """
        began_ms, began_s = self._clock_ms(), time.monotonic()
        answer = tell_channel(
            self._key, channel, record.event, record.body, began_ms, self.drawings
        )
        took_ms = round(1000 * (time.monotonic() - began_s))
        attempts = record.attempts + 1
        state: DeliveryState = "waiting"
        if answer.taken:
            state = "delivered"
        elif answer.gone or attempts >= self._pace.attempts_max:
            state = "failed"
        paused_s = pause_s(self._pace, attempts, answer.retry_after_s)
        attempt = Attempt(began_ms, answer.status, answer.said, took_ms)
        self._note_health(channel.number, answer)

        def note() -> None:
            next_at_ms = self._clock_ms() + round(1000 * paused_s)
            self._catalog.note_attempt(record.id, attempt, state=state, next_at_ms=next_at_ms)

        with self._writing:
            if self._is_closed:
                return answer, "waiting"  # the next process tells it again
            try:
                written_down(note)
            except DataFolderError:
                self._unwritten[record.id] = note
                raise
            if answer.gone:
                self._is_gone(channel.number, f"{answer.said}: it wants no more")
        return answer, state

    def _is_gone(self, channel: int, said: str) -> None:
        now_ms, change = self._clock_ms(), self._catalog.change_channel
        written_down(lambda: change(channel, now_ms, state="gone", said=said))
        written_down(lambda: self._catalog.drop_deliveries(channel, now_ms))

    def _write_down_late(self) -> None:
        """Write down what was told and could not be: it is not to be told again for that."""
        for number, note in list(self._unwritten.items()):
            written_down(note)
            del self._unwritten[number]

    def _note_health(self, channel: int, answer: ReceiverAnswer) -> None:
        former = self.health.get(channel, ChannelHealth())
        if answer.taken:
            self.health[channel] = ChannelHealth()
            return
        failures = former.failures + 1
        rest_s = min(self._pace.channel_most_s, self._pace.first_s * 2 ** min(failures - 1, 20))
        if failures == 1:
            rest_s = 0.0  # it may have been the message's fault
        if answer.status in _ASKS_FOR_REST and answer.retry_after_s is not None:
            # It asks so of whatever it is sent, and not only of this.
            rest_s = max(rest_s, min(answer.retry_after_s, self._pace.channel_most_s))
        self.health[channel] = replace(
            former, failures=failures, said=answer.said, rests_until_s=time.monotonic() + rest_s
        )

    def close(self, within_s: float = 60.0) -> None:
        """End: what is being sent is ended, or sent again by the next one.

        Args:
            within_s: for how long it is waited for, in seconds.
        """
        until_s = time.monotonic() + within_s
        for each in self._in_flight.values():
            each.join(max(0.0, until_s - time.monotonic()))
        with self._writing:
            self._is_closed = True
