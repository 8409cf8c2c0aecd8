"""What is wrong with an engine's address, rights or version is said, with what to do about it."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from headcount.engines import nats_connection, postgres_connection
from headcount.engines.engine_address import shown_address
from headcount.engines.opening import open_log, open_registry, warnings_of_engine
from headcount.errors import EngineAwayError, OperatorError, SettingError
from support.engines import shared_nats, shared_postgresql
from support.nats_servers import NatsServer
from support.ports import free_port

LOGIN = 'authorization { user: "head", password: "right" }\n'


@pytest.mark.parametrize(
    "address",
    ["", "localhost", "mysql://host/db", "host:5432", "http://host:4222", "redis://:secret@host"],
)
def test_an_address_of_no_engine_is_refused(address: str) -> None:
    with pytest.raises(SettingError, match="postgresql://") as refused:
        open_log(address)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("name", ["", "Two", "1st", "a b", "x" * 21, "a.b", 'a"b'])
def test_a_name_that_could_name_nothing_is_refused(name: str) -> None:
    with pytest.raises(SettingError, match="small letters"):
        open_registry("nats://127.0.0.1:4222", name=name)


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        (
            "postgresql://u:p@h1:5432,h2/db?sslmode=require",
            "postgresql://h1:5432,h2/db?sslmode=require",
        ),
        ("postgresql://h/db?user=u&password=p%40&x=y", "postgresql://h/db?user=u&password=…&x=y"),
        ("nats://u:p@h1:4222,u:p@h2:4222", "nats://h1:4222,h2:4222"),
        ("nats://token@h1:4222", "nats://h1:4222"),
        # Passwords that ought to have been written with %40, %2C and %2F.
        ("postgresql://u:p@ss@h1:5432,h2/db", "postgresql://h1:5432,h2/db"),
        ("postgresql://u:pa,ss@h1/db", "postgresql://h1/db"),
        ("postgresql://u:pa/s?s#@h1/db", "postgresql://h1/db"),
        ("u:p@h1/db", "h1/db"),
    ],
)
def test_no_address_is_shown_with_its_password(address: str, shown: str) -> None:
    assert shown_address(address) == shown


@pytest.mark.parametrize(
    "address",
    [
        "nats://",
        "nats://h:4222?unknown=1",
        "nats://h:4222/path",
        "nats://h:4222?credentials=/nowhere/at/all",
        "postgresql://h/db?unknown=1",
        "postgresql://h:port/db",
    ],
)
def test_an_address_that_cannot_be_read_is_refused(address: str) -> None:
    with pytest.raises(OperatorError) as refused:
        open_log(address)
    assert refused.value.remedy


@pytest.mark.parametrize("open_one", [open_log, open_registry])
@pytest.mark.parametrize("scheme", ["postgresql", "nats"])
def test_an_engine_that_is_only_away_is_not_refused(open_one: object, scheme: str) -> None:
    opened = open_one(f"{scheme}://127.0.0.1:{free_port()}", timeout_s=1)  # type: ignore[operator]
    with pytest.raises(EngineAwayError, match="cannot be"):
        opened.list() if open_one is open_registry else opened.follow("facts.0").take()
    opened.close()


@pytest.mark.parametrize("scheme", ["postgresql", "nats"])
def test_without_the_extra_the_command_that_installs_it_is_said(
    scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(OperatorError, match="not installed") as refused:
        open_log(f"{scheme}://127.0.0.1:1")
    assert "install" in refused.value.remedy
    assert "nats-py" in refused.value.remedy
    assert "psycopg" in refused.value.remedy


def test_a_postgresql_that_is_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_connection, "OLDEST_VERSION", 99)
    with pytest.raises(OperatorError, match=r"too old.* 99"):
        open_log(shared_postgresql().address)


def test_nats_that_is_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nats_connection, "OLDEST_VERSION", (99, 1))
    with pytest.raises(OperatorError, match=r"too old.* 99\.1"):
        open_registry(shared_nats().address)


def test_a_database_that_is_not_there() -> None:
    address = shared_postgresql().address
    with pytest.raises(OperatorError, match="does not exist"):
        open_log(address.replace("/postgres", "/nowhere"))


def test_tables_of_a_newer_version_are_left_alone() -> None:
    servers = shared_postgresql()
    open_log(servers.address, name="newer").close()
    servers.primary.ask("UPDATE newer.format SET version = 7")
    with pytest.raises(OperatorError, match="newer version"):
        open_registry(servers.address, name="newer")


def test_only_tables_that_are_gone_are_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    servers = shared_postgresql()
    with caplog.at_level(logging.WARNING, "headcount.engines"):
        for name in ("fresh", "fresh"):
            open_registry(servers.address, name=name).close()
            open_log(servers.address, name=name).close()
        assert caplog.records == []
        servers.primary.ask("DROP TABLE fresh.log, fresh.head")
        log = open_log(servers.address, name="fresh")
        log.publish("facts.0", b"0")
        log.close()
    [said] = [each.getMessage() for each in caplog.records]
    assert said.startswith("tables of the cluster were gone from schema fresh, and are made: ")


def test_a_role_without_the_right_to_make_tables() -> None:
    servers = shared_postgresql()
    servers.primary.ask("CREATE ROLE bare LOGIN")
    with pytest.raises(OperatorError, match="may not") as refused:
        open_log(servers.address.replace("headcount@", "bare@"), name="bare")
    assert "GRANT CREATE ON DATABASE postgres TO bare" in refused.value.remedy
    servers.primary.ask("GRANT CREATE ON DATABASE postgres TO bare")
    open_log(servers.address.replace("headcount@", "bare@"), name="bare").close()


def test_a_wrong_password_of_postgresql() -> None:
    server = shared_postgresql().primary
    access = server.data / "pg_hba.conf"
    server.ask("CREATE ROLE locked LOGIN PASSWORD 'right'")
    access.write_text("host all locked 127.0.0.1/32 scram-sha-256\n" + access.read_text())
    server.reload()
    server.ask("SELECT pg_sleep(0.2)")
    address = server.address.replace("headcount@", "locked:wrong-word@")
    with pytest.raises(OperatorError, match="does not let us in") as refused:
        open_log(address)
    assert "wrong-word" not in str(refused.value)


@pytest.fixture
def one_nats(tmp_path: Path) -> Iterator[NatsServer]:
    server = NatsServer("alone", tmp_path)
    yield server
    server.kill()


def test_a_wrong_password_of_nats(one_nats: NatsServer) -> None:
    one_nats.configure_alone(one_nats.jetstream + LOGIN)
    one_nats.start()
    one_nats.until_ready()
    with pytest.raises(OperatorError, match="does not let us in") as refused:
        open_log(f"nats://head:wrong-word@127.0.0.1:{one_nats.port}")
    assert "wrong-word" not in str(refused.value)
    open_log(f"nats://head:right@127.0.0.1:{one_nats.port}").close()


def test_nats_without_jetstream(one_nats: NatsServer) -> None:
    one_nats.configure_alone("")
    one_nats.start()
    one_nats.until_ready()
    with pytest.raises(OperatorError, match="JetStream") as refused:
        open_log(f"nats://127.0.0.1:{one_nats.port}")
    assert "jetstream" in refused.value.remedy


def test_an_engine_on_one_server_works_and_is_warned_of(one_nats: NatsServer) -> None:
    one_nats.configure_alone(one_nats.jetstream)
    one_nats.start()
    one_nats.until_ready()
    address = f"nats://127.0.0.1:{one_nats.port}"
    log = open_log(address)
    log.publish("facts.0", b"alone")
    assert [entry.data for entry in log.follow("facts.0").take()] == [b"alone"]
    log.close()
    assert any("1 server" in each for each in warnings_of_engine(address))
    assert warnings_of_engine(shared_nats().address, name="none") == []


def test_postgresql_without_a_synchronous_standby_is_warned_of() -> None:
    servers = shared_postgresql()
    assert warnings_of_engine(servers.address) == []
    servers.be_synchronous(False)
    try:
        servers.primary.ask("SELECT pg_sleep(0.2)")
        assert any("standby" in each for each in warnings_of_engine(servers.address))
    finally:
        servers.be_synchronous(True)
    assert warnings_of_engine(servers.address) == []
