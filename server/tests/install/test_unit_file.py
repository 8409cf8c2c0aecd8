"""The operator's page's unit file holds, and the server does all its work under its limits."""

from __future__ import annotations

import ctypes.util
import os
import re
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from support.needed import lacking, needed_program
from support.program import PROGRAM
from support.server_fixture import serving
from tidy.sources import ROOT

OPERATIONS = (ROOT / "docs/operations.md").read_text("utf-8")
SANDBOX = Path(__file__).with_name("sandbox.py")
# In tenths: systemd calls 1.0 to 5.0 "OK", and what is above "MEDIUM", "EXPOSED" and worse.
EXPOSURE_MAX = 15


def unit() -> str:
    (code,) = re.findall(
        r"^```ini\n# /etc/systemd/system/headcount.service\n(.*?)^```", OPERATIONS, re.M | re.S
    )
    return str(code)


def settings(name: str) -> list[str]:
    """What a line of the unit sets, once for each time that it stands there."""
    return re.findall(rf"^{name}=(.*)$", unit(), re.M)


def analyzed(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = needed_program("systemd-analyze", "apt-get install systemd")
    return subprocess.run([program, *arguments], capture_output=True, text=True)


def test_systemd_finds_nothing_wrong_and_calls_it_safe_enough(tmp_path: Path) -> None:
    file = tmp_path / "headcount.service"
    assert "ExecStart=/opt/headcount/bin/headcount serve " in unit()
    # The program is not there where tests run; what verifies looks whether it is.
    file.write_text(unit().replace("/opt/headcount/bin/headcount", "/bin/true"))
    verified = analyzed("verify", str(file))
    assert (verified.returncode, verified.stderr) == (0, "")
    judged = analyzed("security", "--offline=true", f"--threshold={EXPOSURE_MAX}", str(file))
    assert judged.returncode == 0, judged.stdout[-200:]
    assert " OK " in judged.stdout.splitlines()[-1]


def expanded(name: str) -> set[str]:
    """The system calls of a set of systemd's, with those of the sets in it."""
    calls: set[str] = set()
    for line in analyzed("syscall-filter", name).stdout.splitlines()[1:]:
        word = line.strip()
        if word.startswith("@"):
            calls |= expanded(word)
        elif word and not word.startswith("#"):
            calls.add(word)
    return calls


def allowed_calls() -> set[str]:
    calls: set[str] = set()
    for each in settings("SystemCallFilter"):
        if each.startswith("~"):
            calls -= expanded(each[1:])
        else:
            calls |= expanded(each)
    # systemd always allows these, for what it starts to be started.
    return calls | expanded("@default")


@pytest.fixture
def confined(monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs that are started from here on are as free as the unit leaves them."""
    if ctypes.util.find_library("seccomp") is None:
        lacking("libseccomp is not here: apt-get install libseccomp2")
    rights = ["--no-new-privs"]
    assert settings("NoNewPrivileges") == ["yes"]
    if os.geteuid() == 0:
        assert settings("CapabilityBoundingSet") == [""]
        rights += ["--bounding-set", "-all", "--inh-caps", "-all"]
    (families,) = settings("RestrictAddressFamilies")
    command = (
        needed_program("setpriv", "apt-get install util-linux"), *rights,
        sys.executable, str(SANDBOX), ",".join(allowed_calls()), families.replace(" ", ","),
        *PROGRAM,
    )  # fmt: skip
    monkeypatch.setattr("support.program.PROGRAM", command)
    monkeypatch.setattr("support.server_fixture.PROGRAM", command)


@pytest.mark.usefixtures("confined")
def test_the_server_works_under_its_limits(tmp_path: Path) -> None:
    """It counts, answers, gives the page its charts, backs up, is checked and ends with 0."""
    with serving(tmp_path, "--workers", "2") as server:
        shop = server.shop("Shop", "web")
        answer = server.track("/v1/track", {"type": "track", "event": "x", "userId": "u"},
                              shop.write_keys["web"])  # fmt: skip
        assert answer.status == 200
        shop.wait_until_counted()
        assert shop.usage()[""].identified == 1
        page = urllib.request.urlopen(server.api).read().decode()
        (library,) = re.findall(r'"(/[^"]*vega\.js[^"]*)"', page)
        assert urllib.request.urlopen(server.api + library).status == 200
        backup = server.program.run("backup", str(tmp_path / "backup"))
        assert backup.returncode == 0, backup.stderr
        assert server.ask("/readyz").status == 200
    assert not [line for line in server.log if "ermission" in line or "not permitted" in line]
    doctor = server.program.run("doctor")
    assert doctor.returncode == 0, doctor.stdout
    (umask,) = settings("UMask")
    assert umask == "0077"


@pytest.mark.usefixtures("confined")
def test_the_limits_are_real(tmp_path: Path) -> None:
    """What a unit of this kind may not do fails here too, so that the test above can fail."""
    from support import program

    *sandbox, _, _, _ = program.PROGRAM
    for code in (
        "import os; os.setuid(1)",
        "import socket; socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)",
        "import os; os.chroot('.')",
    ):
        done = subprocess.run(
            [*sandbox, sys.executable, "-c", code], capture_output=True, text=True
        )
        assert done.returncode == 1, code
        assert "PermissionError" in done.stderr
