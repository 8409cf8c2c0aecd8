"""Real PostgreSQL servers on loopback, as many as a test needs, killed and started as it says.

A server does not run as root: where the tests do, it is started as another account.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

from support.needed import lacking, needed_program
from support.ports import free_port

__all__ = ["PostgresServer", "PostgresServers", "needed_postgresql"]

_ACCOUNTS = ("postgres", "nobody")
_START_WITHIN_S = 60
_SETTINGS = """
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = ''
shared_buffers = 32MB
max_connections = 60
max_wal_senders = 6
wal_level = replica
wal_keep_size = 256MB
hot_standby = on
fsync = on
wal_receiver_status_interval = 1s
wal_retrieve_retry_interval = 200ms
wal_sender_timeout = 5s
log_timezone = UTC
timezone = UTC
"""


def needed_postgresql() -> Path:
    """The folder of PostgreSQL's programs, 15 or newer; skips the test without, in CI fails it."""
    found = [
        path.parent
        for path in Path("/usr/lib/postgresql").glob("*/bin/postgres")
        if path.parts[-3].isdecimal() and int(path.parts[-3]) >= 15
    ]
    if found:
        return max(found, key=lambda path: int(path.parts[-2]))
    postgres = Path(needed_program("postgres", "scripts/setup-programs.sh"))
    version = subprocess.run([postgres, "--version"], capture_output=True, text=True, check=True)
    if int(version.stdout.split()[2].partition(".")[0]) < 15:
        lacking(f"{postgres} is older than 15")
    return postgres.resolve().parent


class PostgresServer:
    """One server and its folder.

    Args:
        programs: the folder of PostgreSQL's programs.
        folder: belongs to whom the server runs as.
        account: whom it runs as; None for who runs the tests.
    """

    def __init__(self, programs: Path, folder: Path, account: pwd.struct_passwd | None) -> None:
        self.programs = programs
        self.data = folder / "data"
        self.port = free_port()
        self._account = account
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def run(self, *command: str) -> None:
        """Run one of PostgreSQL's programs as the server's account."""
        done = subprocess.run(
            [str(self.programs / command[0]), *command[1:]],
            capture_output=True,
            text=True,
            cwd=self._folder,
            **self._as_account(),
        )
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"

    def _as_account(self) -> dict[str, object]:
        environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "HOME": str(self._folder)}
        if self._account is None:
            return {"env": environment}
        return {
            "env": environment,
            "user": self._account.pw_uid,
            "group": self._account.pw_gid,
            "extra_groups": [],
        }

    def initialise(self) -> None:
        """Make an empty database with the superuser `headcount`, who needs no password here."""
        self.run(
            "initdb", "--pgdata", str(self.data), "--username", "headcount", "--auth", "trust",
            "--encoding", "UTF8", "--no-sync", "--no-instructions",
        )  # fmt: skip
        self.configure(_SETTINGS.format(port=self.port))
        # Who may connect is said by initdb for loopback, replication too.

    def configure(self, text: str) -> None:
        """Add settings, which hold from the next start or `reload` on."""
        with (self.data / "postgresql.conf").open("a") as file:
            file.write(text)

    def copy_from(self, primary: PostgresServer, *, name: str) -> None:
        """Become a standby of another server, in place of all that was here."""
        source = f"host=127.0.0.1 port={primary.port} user=headcount application_name={name}"
        shutil.rmtree(self.data, ignore_errors=True)
        self.run(
            "pg_basebackup", "--pgdata", str(self.data), "--write-recovery-conf",
            "--wal-method", "stream", "--checkpoint", "fast", "--no-sync",
            "--dbname", source,
        )  # fmt: skip
        self.configure(f"port = {self.port}\nsynchronous_standby_names = ''\n")

    @property
    def address(self) -> str:
        """Of this server alone."""
        return f"postgresql://headcount@127.0.0.1:{self.port}/postgres"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self.begin()
        self.until_ready()

    def until_ready(self) -> None:
        """Wait until it answers."""
        until_s = time.monotonic() + _START_WITHIN_S
        ready = [str(self.programs / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        while subprocess.run(ready).returncode != 0:
            assert self._process is not None
            assert self._process.poll() is None, (self._folder / "log").read_text()
            assert time.monotonic() < until_s, (self._folder / "log").read_text()
            time.sleep(0.05)

    def begin(self) -> None:
        """Start it, and do not wait."""
        assert self._process is None
        with (self._folder / "log").open("ab") as output:
            self._process = subprocess.Popen(
                [str(self.programs / "postgres"), "-D", str(self.data)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self._folder,
                **self._as_account(),
            )

    @property
    def runs(self) -> bool:
        return self._process is not None

    @property
    def is_standby(self) -> bool:
        """Whether its folder is that of a standby."""
        return (self.data / "standby.signal").exists()

    def reload(self) -> None:
        """Let settings hold that were added."""
        os.kill(self.pid, signal.SIGHUP)

    def kill(self) -> None:
        """End all its processes at once, as a power cut does that spares the disk."""
        if self._process is None:
            return
        with contextlib.suppress(psutil.NoSuchProcess):
            # Each of its processes has a group of its own; none is begun while it is halted, and
            # none is left that would tell its client that the first of them is gone.
            postmaster = psutil.Process(self._process.pid)
            postmaster.suspend()
            children = postmaster.children(recursive=True)
            for each in (*children, postmaster):
                with contextlib.suppress(psutil.NoSuchProcess):
                    each.kill()
            psutil.wait_procs(children, _START_WITHIN_S)
        self._process.wait()
        self._process = None
        self._until_refused()

    def _until_refused(self) -> None:
        """Wait until nobody is let in: the system may close what it had open a moment later."""
        until_s = time.monotonic() + _START_WITHIN_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 5).close()
            except ConnectionRefusedError:
                return
            assert time.monotonic() < until_s, f"somebody serves on port {self.port}"
            time.sleep(0.01)

    def stop(self) -> None:
        """End it in order, at once."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(_START_WITHIN_S)
            except subprocess.TimeoutExpired:
                self.kill()
            self._process = None

    def promote(self) -> None:
        """Make the standby a primary, and wait until it is one."""
        self.run("pg_ctl", "promote", "--pgdata", str(self.data), "--wait")

    def ask(self, statement: str) -> str:
        """What psql prints."""
        done = subprocess.run(
            [str(self.programs / "psql"), "-XAtq", "-c", statement, self.address],
            capture_output=True,
            text=True,
            env={"PATH": os.environ["PATH"], "PGCONNECT_TIMEOUT": "5"},
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


class PostgresServers:
    """A primary with its synchronous standby, in a folder of their own; ended by `close`.

    Attributes:
        primary: the one that is written to.
        standby: the other.
    """

    def __init__(self) -> None:
        programs = needed_postgresql()
        account = None
        if os.geteuid() == 0:
            names = [entry.pw_name for entry in pwd.getpwall()]
            account = pwd.getpwnam(next(name for name in _ACCOUNTS if name in names))
        self._folder = Path(tempfile.mkdtemp(prefix="headcount-postgresql-"))
        self._folder.chmod(0o711)
        self.primary, self.standby = (
            self._made(programs, each, account) for each in ("one", "two")
        )

    def _made(self, programs: Path, name: str, account: pwd.struct_passwd | None) -> PostgresServer:
        folder = self._folder / name
        folder.mkdir(mode=0o700)
        if account is not None:
            os.chown(folder, account.pw_uid, account.pw_gid)
        return PostgresServer(programs, folder, account)

    @property
    def address(self) -> str:
        """Of both, whichever is the primary."""
        hosts = f"127.0.0.1:{self.primary.port},127.0.0.1:{self.standby.port}"
        return f"postgresql://headcount@{hosts}/postgres"

    def start(self, *, standby: bool = True) -> None:
        """Start an empty primary, and a synchronous standby unless told otherwise."""
        self.primary.initialise()
        self.primary.start()
        if standby:
            self.follow()

    def follow(self, *, synchronous: bool = True) -> None:
        """Make the standby anew, out of the primary."""
        self.standby.copy_from(self.primary, name="standby")
        self.standby.start()
        self.be_synchronous(synchronous)

    def be_synchronous(self, wanted: bool) -> None:
        """Whether the primary waits for the standby."""
        self.primary.configure(f"synchronous_standby_names = '{'standby' if wanted else ''}'\n")
        self.primary.reload()
        if wanted:
            self._until("SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'", "1")

    def caught_up(self) -> None:
        """Wait until the standby has all that the primary has."""
        behind = "SELECT count(*) FROM pg_stat_replication WHERE replay_lsn < pg_current_wal_lsn()"
        self._until(behind, "0")

    def _until(self, question: str, answer: str) -> None:
        until_s = time.monotonic() + _START_WITHIN_S
        while self.primary.ask(question) != answer:
            assert time.monotonic() < until_s, question
            time.sleep(0.05)

    def fail_over(self) -> None:
        """Kill the primary and promote the standby; afterwards they have changed names."""
        self.primary.kill()
        self.standby.promote()
        self.primary, self.standby = self.standby, self.primary

    def wipe(self) -> None:
        """Let both begin anew, with nothing, on the ports that they had."""
        for each in self.servers():
            each.kill()
            shutil.rmtree(each.data)
        self.start()

    def servers(self) -> Sequence[PostgresServer]:
        return (self.primary, self.standby)

    def close(self) -> None:
        """End both and remove their folders."""
        for each in self.servers():
            each.kill()
        shutil.rmtree(self._folder, ignore_errors=True)
