"""The hash key is rotated while a real server runs: two workers go over to it together at the turn
of the month, and the former key goes once its months are closed. The test sets the clock.
"""

from __future__ import annotations

import json
import stat
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from headcount.datafolder import DataFolder
from headcount.store.view import store_view
from moved_clock import MovedClock
from support.server_fixture import Server, Shop, eventually, serving

FEBRUARY, MARCH, APRIL = "2028-02-01", "2028-03-01", "2028-04-01"
TURN = datetime(2028, 3, 1, tzinfo=UTC)
NAMES = [f"{number}" for number in range(12)]
IN_MARCH = [f"march {name}" for name in NAMES]


class World:
    """A shop whose server goes by the test's clock, and what was posted in each month."""

    def __init__(self, shop: Shop, clock: MovedClock) -> None:
        self.shop = shop
        self.clock = clock
        self.posted: Counter[str] = Counter()

    @property
    def server(self) -> Server:
        return self.shop.server

    def run(self, *arguments: str) -> Any:
        """A command that must succeed."""
        done = self.server.program.run(*arguments, "--json", **self.clock.environment())
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def doctor(self, check: str) -> Any:
        findings = self.run("doctor")["findings"]
        return next(each for each in findings if each["check"] == check)

    def post(self, *names: str) -> None:
        """Each message on a connection of its own, so that both workers get some."""
        for name in names:
            message = {"type": "page", "messageId": f"m-{name}", "anonymousId": f"a-{name}"}
            key = self.shop.write_keys["web"]
            answer = self.server.track("/v1/page", message, key, Connection="close")
            assert answer.status == 200, answer.body
            self.posted[f"{self.clock.now():%Y-%m}-01"] += 1

    def counted(self, period: str) -> tuple[int, int]:
        """API calls and tracked users of a month, as of everything that was acknowledged."""

        def is_counted() -> bool:
            totals = self.shop.ask(f"/headcount/v1/outcomes?period={period}").data["totals"]
            return bool(totals["accepted"] + totals["duplicate"] == self.posted[period])

        eventually(is_counted, f"all of {period} to be counted")
        usage = self.shop.usage(period)[""]
        return usage.api_calls, usage.anonymous


def is_closed(folder: DataFolder, period: str) -> bool:
    with store_view(folder.store, lambda path: path) as store:
        return any(str(month.period) == period and month.sealed for month in store.months())


def test_workers_go_over_to_a_new_key_together_and_the_former_goes(tmp_path: Path) -> None:
    clock = MovedClock(tmp_path / "clock", TURN - timedelta(days=2))
    folder = DataFolder(tmp_path / "data")
    with serving(tmp_path, "--workers", "2", **clock.environment()) as server:
        world = World(server.shop("Shop", "web"), clock)
        world.post(*NAMES)
        assert world.counted(FEBRUARY) == (12, 12)

        rotated = world.run("rotate-hash-key")
        assert (rotated["from"], rotated["notCounted"]) == (MARCH, 0)
        assert len(folder.hash_key.read_text().split()) == 2
        assert stat.S_IMODE(folder.hash_key.stat().st_mode) == 0o600
        again = server.program.run("rotate-hash-key", **clock.environment())
        assert again.returncode != 0
        assert "serves already" in again.stderr
        said = world.doctor("hash key")["details"]
        assert (said["nextFrom"], said["formerNeededUntil"]) == (MARCH, "2028-04-05")

        # In February nothing is new under either key, and in March ids of February are known.
        world.post(*NAMES, "late")
        assert world.counted(FEBRUARY) == (13, 13)
        clock.set(TURN + timedelta(minutes=1))
        world.post(*NAMES, *IN_MARCH, *IN_MARCH)
        assert world.counted(MARCH) == (12, 12)
        assert world.counted(FEBRUARY) == (13, 13)

        # Live messages lead from day to day, or no month would be closed.
        for day in range(2, 38, 2):
            clock.set(TURN + timedelta(days=day))
            world.post(f"day {day}")
            world.counted(f"{clock.now():%Y-%m}-01")
        eventually(lambda: is_closed(folder, FEBRUARY), "February to be closed")
        in_march = world.counted(MARCH)

    with serving(tmp_path, "--workers", "2", **clock.environment()) as server:
        world.shop.server = server
        eventually(lambda: len(folder.hash_key.read_text().split()) == 1, "the former key to go")
        said = world.doctor("hash key")["details"]
        assert "nextFrom" not in said
        assert said["fingerprint"] == rotated["fingerprint"]
        # They are known from March still.
        world.post("day 28", "day 30")
        assert world.counted(APRIL) == (3, 3)  # those of days 32, 34 and 36
        assert world.counted(MARCH) == in_march
        assert world.doctor("set aside")["level"] == "ok"
