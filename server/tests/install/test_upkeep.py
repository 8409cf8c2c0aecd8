"""The life of an installation, as the operator's page has it: every command, in order.

The commands are the page's own. `sudo`, `systemctl`, what makes users and `make install` are
stand-ins for a shell: there is no systemd where tests run, and the program is there already. What
`systemctl` starts and stops is the unit's own `ExecStart`.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from install.built import Built, environment_with
from install.test_unit_file import analyzed
from support.program import environment, now
from support.server_fixture import eventually
from tidy.sources import ROOT

OPERATIONS = (ROOT / "docs/operations.md").read_text("utf-8")

STAND_INS = r"""
set -euo pipefail
sudo() { if [ "$1" = -u ]; then shift 2; fi; "$@"; }
useradd() { :; }
userdel() { :; }
chown() { [ -e "$3" ] && [ "$1 $2" = "-R headcount:headcount" ]; }
make() { [ "$*" = "install PREFIX=$HOME/opt/headcount" ]; }
install() { local kept=(); while [ $# -gt 0 ]; do
  case $1 in -o|-g) [ "$2" = headcount ]; shift 2;; *) kept+=("$1"); shift;; esac; done
  command install "${kept[@]}"; }
systemctl() {
  case "$*" in
    "enable --now headcount"|"start headcount") bash "$HOME/start";;
    "disable --now headcount"|"stop headcount") bash "$HOME/stop";;
    "enable --now headcount-backup.timer") ls "$HOME"/etc/systemd/system/headcount-backup.timer;;
    "disable --now headcount headcount-backup.timer") bash "$HOME/stop";;
    *) echo "systemctl $*: not known" >&2; return 1;;
  esac; }
"""


def section(title: str) -> str:
    return re.split(r"\n##+ ", OPERATIONS.split(f"# {title}\n", 1)[1])[0]


def units() -> dict[str, str]:
    """Every unit that the page shows, by its file's name."""
    return dict(
        re.findall(r"^```ini\n# /etc/systemd/system/(\S+)\n(.*?)^```", OPERATIONS, re.M | re.S)
    )


class Machine:
    """A folder that stands for a machine's root."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.api = ""

    def placed(self, text: str) -> str:
        """`text` with the page's places below this machine's root."""
        return re.sub(r"/(?=(?:opt|var/lib|var/backups|etc/systemd)/)", f"{self.root}/", text)

    def run(self, code: str) -> str:
        """What code prints that must succeed."""
        done = subprocess.run(
            ["bash", "-c", STAND_INS + self.placed(code)],
            capture_output=True, text=True, cwd=self.root,
            env=environment(HOME=str(self.root)),
        )  # fmt: skip
        assert done.returncode == 0, f"{code}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def follow(self, title: str) -> list[str]:
        """Run the shell code under a title, block by block; what each printed."""
        blocks = re.findall(r"^```sh\n(.*?)^```", section(title), re.M | re.S)
        assert blocks
        return [self.run(block) for block in blocks]

    def prepare(self, programs: Path) -> None:
        """What is there before: units, the program, and how systemd starts and stops it."""
        for name, text in units().items():
            file = self.root / "etc/systemd/system" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(self.placed(text))
        (self.root / "opt").mkdir()
        (self.root / "opt/headcount").symlink_to(programs.parent)
        (self.root / "var/lib").mkdir(parents=True)
        (self.root / "var/backups").mkdir()
        service = self.placed(units()["headcount.service"])
        environ = " ".join(re.findall(r"^Environment=(.*)$", service, re.M))
        (start,) = re.findall(r"^ExecStart=(.*)$", service, re.M)
        start = re.sub(r"127\.0\.0\.1:808\d", "127.0.0.1:0", start)
        root = self.root
        (root / "start").write_text(
            f"{environ} {start} --json >{root}/said 2>{root}/log & echo $! >{root}/pid\n"
            f"until grep -q '}}' {root}/said; do kill -0 $(cat {root}/pid); sleep 0.1; done"
        )
        (root / "stop").write_text(
            f"pid=$(cat {root}/pid 2>/dev/null) || exit 0; rm {root}/pid; kill $pid\n"
            "while kill -0 $pid 2>/dev/null; do sleep 0.1; done"
        )

    def usage(self, token: str) -> str:
        """The API calls of the month that runs."""
        where = json.loads((self.root / "said").read_text())
        address = f"{where['api']}/usage/api-calls/daily?period={now():%Y-%m-%d}"
        asked = urllib.request.Request(address, headers={"Authorization": f"Bearer {token}"})
        rows = json.load(urllib.request.urlopen(asked))["data"]["dailyWorkspaceAPICallsUsage"]
        return str(rows[-1]["apiCalls"]) if rows else "0"

    def counts(self, token: str, calls: str) -> None:
        """Wait until that many API calls are counted."""
        eventually(lambda: self.usage(token) == calls, f"{calls} API calls")

    def post(self, key: str, name: str) -> None:
        where = json.loads((self.root / "said").read_text())
        body = {"type": "track", "event": "x", "userId": "u", "messageId": name, "writeKey": key}
        url = f"{where['tracking']}/v1/track"
        assert urllib.request.urlopen(url, json.dumps(body).encode()).status == 200


@pytest.fixture
def machines(built: Built, tmp_path: Path) -> Iterator[tuple[Machine, Machine]]:
    made = []
    for name in ("former", "new"):
        programs = environment_with(list(built.wheels.values()), tmp_path / f"program-{name}")
        (tmp_path / name).mkdir()
        made.append(Machine(tmp_path / name))
        made[-1].prepare(programs)
    try:
        yield made[0], made[1]
    finally:
        for each in made:
            if (each.root / "pid").exists():
                os.kill(int((each.root / "pid").read_text()), signal.SIGTERM)


def test_systemd_finds_nothing_wrong_with_any_unit(tmp_path: Path) -> None:
    assert set(units()) == {
        "headcount.service", "headcount-backup.service", "headcount-backup.timer"
    }  # fmt: skip
    for name, text in units().items():
        # The program is not there where tests run; what verifies looks whether it is.
        (tmp_path / name).write_text(
            text.replace("/opt/headcount/bin/headcount serve", "/bin/true")
        )
    verified = analyzed("verify", *(str(tmp_path / name) for name in units()))
    assert (verified.returncode, verified.stderr) == (0, "")


def backed_up(machine: Machine) -> None:
    """Do what systemd does when the timer of the backup is due."""
    for setting in ("ExecStart", "ExecStartPost"):
        (command,) = re.findall(rf"^{setting}=(.*)$", units()["headcount-backup.service"], re.M)
        # systemd knows no patterns of a shell, and %% is a percent sign there.
        machine.run("set -f; " + command.replace("%%", "%"))


def test_every_command_from_the_first_to_the_last(machines: tuple[Machine, Machine]) -> None:
    former, new = machines
    printed = "".join(former.follow("As a service"))
    (key,) = re.findall(r"write key:?\s+(\S+)", printed, re.I)
    (token,) = re.findall(r"(hct_\S+)", printed)
    former.post(key, "one")

    former.follow("On a schedule")
    backups = former.root / "var/backups/headcount"
    old, other = backups / "2026-01-01-030000", backups / "before-upgrade-of-mine"
    for each in (old, other):
        each.mkdir()
        os.utime(each, (0, time.time() - 20 * 86_400))
    young = backups / "2026-01-10-030000"
    young.mkdir()
    backed_up(former)
    made = {each.name for each in backups.iterdir()} - {other.name, young.name}
    assert old.name not in made, "older than two weeks"
    assert len(made) == 1
    assert (other.exists(), young.exists()) == (True, True)

    shutil.move(other, former.root / "kept")
    former.follow("Upgrade")
    former.post(key, "two")
    former.post(key, "one")  # as a client that was not sure does
    former.counts(token, "2")

    blocks = re.findall(r"^```sh\n(.*?)^```", section("To another machine"), re.M | re.S)
    former.run(blocks[0])
    (new.root / "var/backups/headcount").mkdir()
    shutil.copytree(backups / "move", new.root / "var/backups/headcount/move")
    new.run(blocks[1])
    assert new.usage(token) == "2"
    new.post(key, "three")
    new.post(key, "two")
    new.counts(token, "3")

    new.follow("Uninstall")
    left = sorted(str(each.relative_to(new.root)) for each in new.root.rglob("*") if each.is_file())
    assert not [each for each in left if each.startswith(("etc/", "var/lib/"))]
    assert not (new.root / "opt/headcount").exists()


def test_a_backup_that_fails_takes_no_older_one_away(machines: tuple[Machine, Machine]) -> None:
    machine, _ = machines
    old = machine.root / "var/backups/headcount/2026-01-01-030000"
    old.mkdir(parents=True)
    os.utime(old, (0, 0))
    with pytest.raises(AssertionError, match="no data folder"):
        backed_up(machine)
    assert old.exists()
