"""What a log and a registry keep, and say, while their real servers are killed, wiped and away."""

from __future__ import annotations

import contextlib
import gc
import itertools
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from headcount.engines.log import FactLog, LogEntry
from headcount.engines.opening import open_log, open_registry
from headcount.errors import EngineAwayError, RegistryConflictError
from support.arriving import all_from, all_heard
from support.engine_servers import ENGINES, EngineServers
from support.postgresql import PostgresServers

_SEED = random.randrange(1_000_000)
_WITHIN_S = 120


@pytest.fixture(params=ENGINES)
def servers(request: pytest.FixtureRequest) -> Iterator[EngineServers]:
    servers = ENGINES[request.param]()
    yield servers
    servers.close()


@pytest.fixture
def opened(servers: EngineServers) -> Iterator[contextlib.ExitStack]:
    """What is closed at the end, before the servers are."""
    with contextlib.ExitStack() as opened:
        yield opened


def sooner_or_later(what: Callable[[], object]) -> object:
    """What is done until the engine is no longer away."""
    until_s = time.monotonic() + _WITHIN_S
    while True:
        try:
            return what()
        except EngineAwayError:
            assert time.monotonic() < until_s, "the engine does not come back"
            time.sleep(0.1)


class _Publisher(threading.Thread):
    """Publishes numbers one after the other, each until it is acknowledged."""

    def __init__(self, address: str) -> None:
        super().__init__()
        self._address = address
        self.acknowledged = 0
        self.failed = 0
        self.stopping = threading.Event()
        self.start()

    def run(self) -> None:
        with closing(open_log(self._address, timeout_s=2)) as log:
            while not self.stopping.is_set():
                try:
                    log.publish("facts.0", b"%d" % self.acknowledged)
                    self.acknowledged += 1
                except EngineAwayError:
                    self.failed += 1
                    time.sleep(0.05)

    def more(self, count: int) -> None:
        """Wait until so many more are acknowledged."""
        until_s = time.monotonic() + _WITHIN_S
        wanted = self.acknowledged + count
        while self.acknowledged < wanted:
            assert self.is_alive()
            assert time.monotonic() < until_s, "nothing is acknowledged any more"
            time.sleep(0.01)


class _Reader(threading.Thread):
    """Follows all the while."""

    def __init__(self, address: str) -> None:
        super().__init__()
        self._address = address
        self.entries: list[LogEntry] = []
        self.stopping = threading.Event()
        self.start()

    def run(self) -> None:
        with closing(open_log(self._address, timeout_s=2)) as log:
            follower = log.follow("facts.0")
            while not self.stopping.is_set():
                try:
                    self.entries += follower.take()
                except EngineAwayError:
                    time.sleep(0.05)
                log.wait(0.05)


def everything(log: FactLog, last: bytes) -> list[LogEntry]:
    """What a subject holds, up to an entry that was published last."""
    follower = log.follow("facts.0")
    entries: list[LogEntry] = []
    until_s = time.monotonic() + _WITHIN_S
    while not entries or entries[-1].data != last:
        assert time.monotonic() < until_s, f"seed {_SEED}"
        entries += sooner_or_later(follower.take)  # type: ignore[arg-type]
        log.wait(0.05)
    return entries


def test_what_was_acknowledged_outlives_servers_that_are_killed(servers: EngineServers) -> None:
    chance = random.Random(_SEED)
    publisher, reader = _Publisher(servers.address), _Reader(servers.address)
    try:
        publisher.more(20)
        for _ in range(2):
            time.sleep(chance.random() / 10)
            servers.kill_one(chance.randrange(3))
            publisher.more(20)
            servers.restore()
            publisher.more(20)
            time.sleep(chance.random() / 10)
            servers.kill_all()
            servers.restore()
            publisher.more(20)
    finally:
        publisher.stopping.set()
        reader.stopping.set()
        publisher.join()
        reader.join()
    with closing(open_log(servers.address)) as log:
        sooner_or_later(lambda: log.publish("facts.0", b"last"))
        entries = everything(log, b"last")
    first = {entry.data: number for number, entry in reversed(list(enumerate(entries)))}
    wanted = [b"%d" % number for number in range(publisher.acknowledged)]
    assert [data for data in wanted if data not in first] == [], f"seed {_SEED}"
    order = [first[data] for data in wanted]
    assert order == sorted(order), f"seed {_SEED}"
    # One who followed all the while saw the same entries, each where it stands.
    held = {entry.hint: entry.data for entry in entries}
    assert len(held) == len(entries)
    assert all(held[entry.hint] == entry.data for entry in reader.entries), f"seed {_SEED}"
    hints = [entry.hint for entry in reader.entries]
    restarts = sum(after <= before for before, after in itertools.pairwise(hints))
    assert restarts <= 12, f"seed {_SEED}: it began anew again and again"
    assert publisher.failed > 0


def test_a_log_that_is_away_says_so_and_goes_on_when_it_is_back(
    servers: EngineServers, opened: contextlib.ExitStack
) -> None:
    log = opened.enter_context(closing(open_log(servers.address, timeout_s=1)))
    registry = opened.enter_context(closing(open_registry(servers.address, timeout_s=1)))
    sooner_or_later(lambda: log.publish("facts.0", b"before"))
    revision = registry.put("node.n1", b"one", 0)
    follower, hearer = log.follow("facts.0"), log.hear("mark")
    assert [entry.data for entry in all_from(log, "facts.0", 1, follower)] == [b"before"]
    assert hearer.take() == []
    servers.kill_all()
    started = opened.enter_context(closing(open_log(servers.address, timeout_s=1)))
    fresh = started.follow("facts.0")
    verbs: dict[str, Callable[[], object]] = {
        "publish": lambda: log.publish("facts.0", b"away"),
        "tell": lambda: log.tell("mark", b"away"),
        "trim": lambda: log.trim(0),
        "get": lambda: registry.get("node.n1"),
        "put": lambda: registry.put("node.n1", b"two", revision),
        "list": registry.list,
        "version": registry.version,
        "take of one who began while it is away": fresh.take,
        "hear": lambda: started.hear("mark").take(),
        "take of one who heard before": hearer.take,
    }
    for name, verb in verbs.items():
        with pytest.raises(EngineAwayError, match=r"127\.0\.0\.1"):
            pytest.fail(f"{name} gave {verb()!r}")
    began_s = time.monotonic()
    log.wait(0.2)
    assert time.monotonic() - began_s < 60
    servers.restore()
    sooner_or_later(lambda: log.publish("facts.0", b"after"))
    assert sooner_or_later(lambda: registry.get("node.n1")) == (b"one", revision)
    sooner_or_later(lambda: registry.put("node.n1", b"two", revision))
    sooner_or_later(hearer.take)
    sooner_or_later(lambda: log.tell("mark", b"again"))
    assert all_heard(log, hearer, 1) == [b"again"]
    data = [entry.data for entry in everything(log, b"after")]
    assert data[0] == b"before"
    assert data[-1] == b"after"
    assert sooner_or_later(fresh.take)


def test_what_is_closed_while_the_servers_die_leaves_nothing_behind(
    servers: EngineServers, opened: contextlib.ExitStack, caplog: pytest.LogCaptureFixture
) -> None:
    logs = [
        opened.enter_context(closing(open_log(servers.address, timeout_s=1))) for _ in range(12)
    ]
    for log in logs:
        sooner_or_later(log.hear("mark").take)
    servers.kill_all()
    for number, log in enumerate(logs):
        time.sleep(0.02 * number)  # somewhere on the way to another connection
        log.close()
    del log
    logs.clear()
    opened.pop_all()
    gc.collect()
    assert [record.getMessage() for record in caplog.records if record.name == "asyncio"] == []


def test_a_log_that_was_wiped_begins_anew_by_itself(
    servers: EngineServers, opened: contextlib.ExitStack
) -> None:
    log, other = (
        opened.enter_context(closing(open_log(servers.address, timeout_s=2))) for _ in range(2)
    )
    registry = opened.enter_context(closing(open_registry(servers.address, timeout_s=2)))
    for number in range(20):
        sooner_or_later(lambda number=number: log.publish("facts.0", b"old %d" % number))
    follower = other.follow("facts.0")
    hint = all_from(other, "facts.0", 20, follower)[-1].hint
    revision = registry.put("node.n1", b"one", 0)
    servers.wipe()
    sooner_or_later(lambda: log.publish("facts.0", b"new"))
    assert [entry.data for entry in everything(log, b"new")][-1:] == [b"new"]
    came: list[LogEntry] = []
    until_s = time.monotonic() + _WITHIN_S
    while not came and time.monotonic() < until_s:
        came = sooner_or_later(follower.take)  # type: ignore[assignment]
        other.wait(0.1)
    assert [entry.data for entry in came] == [b"new"], "one who was ahead of it starts over"
    assert came[0].hint < hint
    assert follower.set_backs == 1
    assert sooner_or_later(lambda: registry.get("node.n1")) is None
    with pytest.raises(RegistryConflictError):
        sooner_or_later(lambda: registry.put("node.n1", b"late", revision))
    sooner_or_later(lambda: registry.put("node.n1", b"anew", 0))


def test_a_standby_that_lagged_and_is_promoted_lets_those_who_are_ahead_start_over() -> None:
    """What the old primary alone had is lost: nobody waits for it, and all that is new comes."""
    with contextlib.ExitStack() as opened:
        servers = opened.enter_context(closing(PostgresServers()))
        servers.start(standby=False)
        servers.follow(synchronous=False)
        log, other = (
            opened.enter_context(closing(open_log(servers.address, timeout_s=2))) for _ in range(2)
        )
        for number in range(5):
            log.publish("facts.0", b"both %d" % number)
        servers.caught_up()
        servers.standby.kill()
        for number in range(20):
            log.publish("facts.0", b"lost %d" % number)
        follower = other.follow("facts.0")
        assert len(all_from(other, "facts.0", 25, follower)) == 25
        # The primary is gone before the standby is there to be sent anything.
        servers.primary.kill()
        servers.standby.start()
        servers.standby.promote()
        sooner_or_later(lambda: log.publish("facts.0", b"new"))
        came: list[bytes] = []
        until_s = time.monotonic() + _WITHIN_S
        while b"new" not in came and time.monotonic() < until_s:
            taken = sooner_or_later(follower.take)
            came += [entry.data for entry in taken]  # type: ignore[attr-defined]
            other.wait(0.1)
        assert came[-1] == b"new"
        assert came[-6:-1] == [b"both %d" % number for number in range(5)]
        assert follower.set_backs == 1


def test_nothing_is_acknowledged_that_the_synchronous_standby_has_not() -> None:
    with closing(PostgresServers()) as servers, contextlib.ExitStack() as opened:
        servers.start()
        log = opened.enter_context(closing(open_log(servers.address, timeout_s=2)))
        log.publish("facts.0", b"both")
        assert log.warnings() == []
        servers.standby.kill()
        for _ in range(2):
            with pytest.raises(EngineAwayError, match="standby"):
                log.publish("facts.0", b"primary alone")
        servers.standby.start()
        sooner_or_later(lambda: log.publish("facts.0", b"both again"))
        data = [entry.data for entry in everything(log, b"both again")]
        assert data[0] == b"both"
        # It stood there although nobody was told so, which repeats that are sent are for.
        assert set(data[1:-1]) <= {b"primary alone"}
