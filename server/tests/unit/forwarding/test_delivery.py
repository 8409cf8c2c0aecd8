"""One source, delivered: what becomes of a request, step by step, without a thread or a pause."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from headcount.catalog import Forwarding
from headcount.errors import DataFolderError
from headcount.forwarding.delivery import Delivery, DeliveryLimits
from headcount.spool.boots import epoch_of
from headcount.spool.letters import Letter, Posted, encoded
from headcount.spool.source_spool import SourceSpool
from headcount.spool.writer import SpoolWriter
from support.closed import everything_closed
from support.scripted_vendor import Doing, ScriptedVendor, scripted_vendor

KEY = bytes(range(32))
JOURNAL = "11111111-1111-4111-8111-111111111111"
DAY_MS = 86_400_000
NOW_MS = 1_800_000_000_000


@pytest.fixture(autouse=True)
def spools_are_closed() -> Iterator[None]:
    with everything_closed(SourceSpool):
        yield


class Rig:
    """A delivery whose rounds the test does."""

    def __init__(self, place: Path, vendor: ScriptedVendor, *received_ms: int) -> None:
        writer = SpoolWriter(place, KEY, JOURNAL)
        for entry, moment_ms in enumerate(received_ms, 1):
            body = b'{"messageId":"m%d"}' % entry
            letter = encoded(Letter("track", "stem", [], body))
            writer.write([Posted(1, moment_ms, 1, letter)], entry)
            writer.committed(entry)
        writer.close()
        self.forwarding = Forwarding(1, vendor.url, "theirs", "refuse", "on", False, 1, 0)
        self.now_ms = NOW_MS
        self.key = KEY
        self.spool = SourceSpool(place, 1, epoch_of(place), lambda _: 0)
        self.delivery = Delivery(
            self.forwarding, self.spool, lambda: self.key, lambda: self.now_ms, DeliveryLimits()
        )

    def round(self) -> float:
        """One round; for how long it would pause."""
        return self.delivery._round()

    def tallies(self) -> dict[str, int]:
        return {name: tally.requests for name, tally in self.spool.progress.tallies.items()}


def test_pauses_grow_are_jittered_and_end_with_the_first_that_is_taken(tmp_path: Path) -> None:
    with scripted_vendor(lambda number: Doing(503 if number < 14 else 200)) as vendor:
        rig = Rig(tmp_path / "spool", vendor, NOW_MS, NOW_MS)
        pauses = [rig.round() for _ in range(14)]
        for failures, pause_s in enumerate(pauses, 1):
            most_s = min(60.0, 0.1 * 2**failures)
            assert most_s / 2 <= pause_s <= most_s, failures
        status = rig.delivery.status(None)
        assert status is not None
        assert (status.waiting_messages, status.failing) == (2, "it answers 503")
        assert status.retry_at_ms == NOW_MS + round(1000 * pauses[-1])
        assert rig.round() == 0
        assert rig.round() == 0
        assert rig.tallies() == {"delivered": 2}
        assert [each["messageId"] for each in vendor.messages("theirs")] == ["m1", "m2"]


def test_the_vendor_is_left_alone_for_as_long_as_it_asks_and_an_hour_at_most(
    tmp_path: Path,
) -> None:
    asked = ["90", "999999", "0"]
    with scripted_vendor(
        lambda number: Doing(429, headers=(("Retry-After", asked[number]),))
    ) as vendor:
        rig = Rig(tmp_path / "spool", vendor, NOW_MS)
        assert rig.round() == 90
        assert rig.round() == 3600
        assert rig.round() > 0, "one that asks for nothing is still not asked at once"
        assert rig.tallies() == {}


def test_what_has_waited_for_too_long_is_not_delivered_and_what_follows_is(tmp_path: Path) -> None:
    with scripted_vendor() as vendor:
        rig = Rig(tmp_path / "spool", vendor, NOW_MS - 7 * DAY_MS - 1, NOW_MS - 7 * DAY_MS)
        assert rig.round() == rig.round() == 0
        assert rig.tallies() == {"expired": 1, "delivered": 1}
        assert [each["messageId"] for each in vendor.messages("theirs")] == ["m2"]


def test_a_refusal_for_good_holds_up_nothing(tmp_path: Path) -> None:
    with scripted_vendor(lambda number: Doing((401, 200)[number])) as vendor:
        rig = Rig(tmp_path / "spool", vendor, NOW_MS, NOW_MS)
        rig.round()
        assert (rig.delivery.refusals, rig.delivery.last_refusal) == (1, 401)
        rig.round()
        assert rig.delivery.refusals == 0
        assert rig.tallies() == {"refused": 1, "delivered": 1}


def test_without_the_right_key_nothing_is_lost_before_its_days_are_over(tmp_path: Path) -> None:
    with scripted_vendor() as vendor:
        rig = Rig(tmp_path / "spool", vendor, NOW_MS)
        rig.key = bytes(32)
        with pytest.raises(DataFolderError, match="another key"):
            rig.round()
        assert rig.tallies() == {}
        rig.now_ms += 8 * DAY_MS
        rig.round()
        assert rig.tallies() == {"expired": 1}
        assert vendor.came == []


def test_what_is_let_go_is_tallied_and_not_posted(tmp_path: Path) -> None:
    with scripted_vendor() as vendor:
        rig = Rig(tmp_path / "spool", vendor, NOW_MS, NOW_MS)
        rig.delivery.change(replace(rig.forwarding, state="off"))
        rig.round()
        rig.round()
        assert rig.tallies() == {"dropped": 2}
        assert vendor.came == []


def test_a_body_that_nobody_can_take_apart_is_tallied_and_holds_up_nothing(tmp_path: Path) -> None:
    with scripted_vendor() as vendor:
        place = tmp_path / "spool"
        writer = SpoolWriter(place, KEY, JOURNAL)
        for entry, body in enumerate((b"[", b'{"messageId":"m2"}'), 1):
            letter = encoded(Letter("track", "stem", [], body))
            writer.write([Posted(1, NOW_MS, 1, letter)], entry)
            writer.committed(entry)
        writer.close()
        rig = Rig(place, vendor)
        rig.round()
        rig.round()
        assert rig.tallies() == {"damaged": 1, "delivered": 1}
