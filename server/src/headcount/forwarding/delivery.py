"""One source, delivered: takes what is due out of its spool, again and again until it is done.

A request is posted until the vendor takes it, refuses it for good, or it has waited for longer than
it may; the next one is not posted before that, so the vendor gets them in order. Pauses between
tries grow and are jittered, and never end before the vendor says.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass

from headcount.catalog import Forwarding
from headcount.counting.calendar import MS_PER_DAY
from headcount.errors import DataFolderError
from headcount.forwarding.outgoing import Outgoing, Unreadable, outgoing
from headcount.forwarding.vendor import DeliveryVerdict, Vendor, VendorAnswer, verdict_of
from headcount.forwarding_status import ForwardingStatus, OutcomeTally, StatusCount
from headcount.spool.letters import Letter
from headcount.spool.segments import RecordHead
from headcount.spool.source_spool import Due, OtherKey, SourceSpool, SpoolBacklog

__all__ = ["Delivery", "DeliveryLimits"]

_log = logging.getLogger("headcount.forwarding")

_LOOK_EVERY_S = 0.05
_COUNT_EVERY_ROUNDS = 10


@dataclass(frozen=True, slots=True)
class DeliveryLimits:
    """Bounds on delivery.

    Attributes:
        days: how long a message may wait.
        pause_first_s, pause_most_s: between two tries, the first and the longest of what grows.
        asked_most_s: no vendor's wish to be left alone is followed for longer at once.
    """

    days: int = 7
    pause_first_s: float = 0.1
    pause_most_s: float = 60.0
    asked_most_s: float = 3600.0


class Delivery:
    """Delivers one source, in a thread of its own.

    Args:
        forwarding: where to; replaced by `change`.
        spool: what there is to deliver.
        key: gives the spool's key.
        clock_ms: the time, in milliseconds since 1970.
        limits: bounds.

    Attributes:
        fault: what keeps it from reading the spool; None where nothing does.
        refusals: how many requests the vendor has refused for good since it last took one, and the
            status of the last of them in `last_refusal`.
        answers: the statuses that came since somebody emptied it; None for no answer.
    """

    def __init__(
        self,
        forwarding: Forwarding,
        spool: SourceSpool,
        key: Callable[[], bytes],
        clock_ms: Callable[[], int],
        limits: DeliveryLimits,
    ) -> None:
        self._forwarding = forwarding
        self._spool = spool
        self._key = key
        self._clock_ms = clock_ms
        self._limits = limits
        self._vendor = _vendor_of(forwarding)
        self._changed = threading.Event()
        self._stopping = False
        self._failing, self._failures = "", 0
        self._retry_at_ms: int | None = None
        self._waiting: SpoolBacklog | None = None
        self._rounds = 0
        self.fault: Exception | None = None
        self.refusals = 0
        self.last_refusal: int | None = None
        self.answers: list[int | None] = []
        self._thread = threading.Thread(
            target=self._run, name=f"forward-{forwarding.source}", daemon=True
        )

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def change(self, forwarding: Forwarding) -> None:
        """Go on as is set now; a pause between tries ends."""
        if forwarding != self._forwarding:
            self._forwarding = forwarding
            self._changed.set()

    def stop(self) -> None:
        """End soon; `join` waits for it."""
        self._stopping = True
        self._changed.set()

    def join(self, timeout_s: float) -> None:
        """Wait until it has ended, for so long at most."""
        self._thread.join(timeout_s)

    def status(self, stopped_at_ms: int | None) -> ForwardingStatus | None:
        """How far it is; None before it has looked."""
        progress, waiting = self._spool.progress, self._waiting
        if waiting is None:
            return None
        return ForwardingStatus(
            self._forwarding.source,
            self._clock_ms(),
            stopped_at_ms,
            waiting.messages,
            waiting.bytes,
            waiting.oldest_ms,
            self._failing,
            self._retry_at_ms,
            {
                outcome: OutcomeTally(tally.requests, tally.messages)
                for outcome, tally in list(progress.tallies.items())
            },
            [
                StatusCount(status, tally.requests, tally.messages)
                for status, tally in sorted(progress.refused.items())
            ],
        )

    def _run(self) -> None:
        while not self._stopping:
            try:
                pause_s = self._round()
                self.fault = None
            except Exception as error:
                # Whatever it is: what waits stays, and somebody is told.
                self.fault, pause_s = error, self._pause_s()
            if pause_s:
                self._changed.wait(pause_s)
            if self._changed.is_set():
                self._changed.clear()
                self._vendor.close()
                self._vendor = _vendor_of(self._forwarding)
        self._vendor.close()
        self._spool.close()

    def _round(self) -> float:
        """Do what is due; for how long to pause then, in seconds.

        Raises:
            DataFolderError, OSError: the spool or its key cannot be read.
        """
        if self._rounds % _COUNT_EVERY_ROUNDS == 0:
            self._waiting = self._spool.waiting()
        self._rounds += 1
        due = self._spool.due()
        if due is None:
            self._rounds = 0
            self._waiting = self._spool.waiting()
            self._spool.rest()
            return _LOOK_EVERY_S
        if self._forwarding.state == "off":
            self._spool.done(due, "dropped")
            return 0.0
        if due.record is None:
            self._spool.done(due, "damaged")
            return 0.0
        return self._deliver(due, due.record)

    def _deliver(self, due: Due, record: RecordHead) -> float:
        if self._clock_ms() - record.received_at_ms > self._limits.days * MS_PER_DAY:
            return self._ended(due, "expired")
        try:
            letter = self._spool.letter(due, self._key())
        except OtherKey:
            raise DataFolderError(
                "What waits to be forwarded was sealed under another key of the spool.",
                "Put that key back (spool.key, beside the hash key); else it is dropped when its"
                " days are over.",
            ) from None
        request = None if letter is None else _request_of(letter, self._forwarding.write_key)
        if request is None:
            return self._ended(due, "damaged")
        answer = self._vendor.post(request.path, request.body)
        self.answers.append(answer.status)
        return self._judge(due, answer)

    def _judge(self, due: Due, answer: VendorAnswer) -> float:
        verdict = verdict_of(answer.status)
        if verdict is DeliveryVerdict.AGAIN:
            self._failing = answer.said
            self._failures += 1
            pause_s = self._pause_s(answer.retry_after_s)
            self._retry_at_ms = self._clock_ms() + round(1000 * pause_s)
            self._waiting = self._spool.waiting()
            return pause_s
        if verdict is DeliveryVerdict.DELIVERED:
            self.refusals = 0
            return self._ended(due, "delivered")
        self.refusals += 1
        self.last_refusal = answer.status
        return self._ended(due, "refused", answer.status)

    def _ended(self, due: Due, outcome: str, status: int | None = None) -> float:
        self._spool.done(due, outcome, status)
        self._failing, self._failures, self._retry_at_ms = "", 0, None
        return 0.0

    def _pause_s(self, asked_s: float | None = None) -> float:
        """How long to wait before the next try: longer each time, and never the same for all."""
        limits = self._limits
        most_s = min(limits.pause_most_s, limits.pause_first_s * (1 << min(self._failures, 20)))
        pause_s = most_s * random.uniform(0.5, 1.0)  # noqa: S311 — no secret
        return pause_s if asked_s is None else max(pause_s, min(asked_s, limits.asked_most_s))


def _vendor_of(forwarding: Forwarding) -> Vendor:
    return Vendor(forwarding.url, forwarding.write_key, by_token=forwarding.by_token)


def _request_of(letter: Letter, write_key: str) -> Outgoing | None:
    try:
        return outgoing(letter, write_key)
    except Unreadable:
        return None
    except Exception as error:
        # One request that nobody has foreseen must not hold up all that follow. Its text may quote
        # what was sent.
        _log.error("%s while a request was made ready for its vendor", type(error).__qualname__)
        return None
