"""The servers of an engine as a test breaks them, whichever engine it is.

Each test that breaks any has servers of its own; `close` ends them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from nats.aio.client import Client

from headcount.engines.nats_connection import Nats
from headcount.engines.opening import NAME
from support.nats_servers import NatsServers
from support.postgresql import PostgresServers

__all__ = ["ENGINES", "EngineServers"]


class EngineServers(Protocol):
    """What can happen to the servers that a log stands on."""

    address: str

    def pids(self) -> list[int]:
        """Its processes that were started here."""

    def kill_one(self, which: int) -> None:
        """Kill a server that writes: another takes over, by itself or by an administrator."""

    def kill_all(self) -> None:
        """Kill all of them at once."""

    def restore(self) -> None:
        """Have all run again, with what their disks hold."""

    def wipe(self) -> None:
        """Have all run anew, with nothing."""

    def wipe_log(self) -> None:
        """Lose what the log holds, and not the registry."""

    def lose_latest(self, meanwhile: Callable[[], None]) -> bool:
        """Lose what is acknowledged during a call; whether the engine can be made to."""

    def close(self) -> None:
        """End them and remove their folders."""


class _Postgresql:
    def __init__(self) -> None:
        self.servers = PostgresServers()
        self.servers.start()
        self.address = self.servers.address

    def pids(self) -> list[int]:
        return [each.pid for each in self.servers.servers()]

    def kill_one(self, which: int) -> None:
        self.servers.fail_over()

    def kill_all(self) -> None:
        for each in self.servers.servers():
            each.kill()

    def restore(self) -> None:
        primary, standby = self.servers.servers()
        if not primary.runs:
            primary.start()
        if not standby.runs:
            # One that was the primary has to be made anew out of the one that is.
            if standby.is_standby:
                standby.start()
            else:
                self.servers.follow()

    def wipe(self) -> None:
        self.servers.wipe()

    def wipe_log(self) -> None:
        self.servers.primary.ask(f"DROP TABLE {NAME}.log, {NAME}.head")

    def lose_latest(self, meanwhile: Callable[[], None]) -> bool:
        self.restore()
        self.servers.be_synchronous(False)
        self.servers.standby.kill()
        meanwhile()
        self.servers.primary.kill()
        self.servers.standby.start()
        self.servers.fail_over()
        self.restore()
        return True

    def close(self) -> None:
        self.servers.close()


class _Nats:
    def __init__(self) -> None:
        self.servers = NatsServers()
        self.servers.start()
        self.address = self.servers.address

    def pids(self) -> list[int]:
        return [each.pid for each in self.servers.servers]

    def kill_one(self, which: int) -> None:
        self.servers.servers[which % 3].kill()

    def kill_all(self) -> None:
        self.servers.kill_all()

    def restore(self) -> None:
        self.servers.start()

    def wipe(self) -> None:
        self.servers.wipe()

    def wipe_log(self) -> None:
        servers = Nats(self.address, 10)

        async def delete(client: Client) -> None:
            said = await servers.api(client, "STREAM.NAMES", {"subject": f"{NAME}.log.>"})
            for stream in said.get("streams") or []:
                await servers.api(client, f"STREAM.DELETE.{stream}")

        servers.run(delete)
        servers.close()

    def lose_latest(self, meanwhile: Callable[[], None]) -> bool:
        return False  # two of three servers have what was acknowledged

    def close(self) -> None:
        self.servers.close()


ENGINES: dict[str, Callable[[], EngineServers]] = {"postgresql": _Postgresql, "nats": _Nats}
