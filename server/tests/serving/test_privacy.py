"""What the program makes is for its user alone, whatever the umask that it was started under."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.server_fixture import serving


@pytest.fixture
def umask_0() -> Iterator[None]:
    """Programs that are started make what they make for everybody, unless they see to it."""
    former = os.umask(0)
    try:
        yield
    finally:
        os.umask(former)


def open_to_others(*folders: Path) -> dict[str, str]:
    """The files and folders that are not 0600 and 0700, with what they are."""
    found = {}
    for folder in folders:
        for path in [folder, *folder.rglob("*")]:
            mode = stat.S_IMODE(path.lstat().st_mode)
            if mode != (0o700 if path.is_dir() else 0o600):
                found[str(path)] = oct(mode)
    return found


def test_no_file_is_open_to_others(tmp_path: Path, umask_0: None) -> None:
    place = tmp_path / "place"
    place.mkdir(0o700)
    data, backup, restored = place / "data", tmp_path / "backup", tmp_path / "restored"
    with serving(place, "--workers", "1") as server:
        shop = server.shop("Shop", "web")
        for number in range(3):
            message = {"event": "x", "userId": f"u{number}", "messageId": f"m{number}"}
            assert server.track("/v1/track", message, shop.write_keys["web"]).status == 200
        shop.wait_until_counted()
        history = {
            "type": "track", "event": "y", "userId": "u", "messageId": "old",
            "receivedAt": "2025-02-03T04:05:06Z", "writeKey": shop.write_keys["web"],
        }  # fmt: skip
        (tmp_path / "old.ndjson").write_text(json.dumps(history))
        program = server.program
        for command in (
            ("import", str(tmp_path / "old.ndjson"), "--workspace", "Shop"),
            ("doctor",),
            ("backup", str(backup)),
        ):
            done = program.run(*command)
            assert done.returncode == 0, done.stderr
        names = {path.name.rpartition("-")[2] for path in data.rglob("*")}
        assert {"wal", "shm"} <= names, "the databases' logs are looked at too"
        assert open_to_others(data, backup) == {}
        report, plot = tmp_path / "report.csv", tmp_path / "plot.svg"
        for command in (
            ("export", "--from", "2025-02", str(report)),
            ("usage", "--plot", str(plot)),
        ):
            done = program.run(*command, HEADCOUNT_TOKEN=shop.token)
            assert done.returncode == 0, done.stderr
    done = program.run("restore", str(backup), "--data", str(restored))
    assert done.returncode == 0, done.stderr
    done = program.run("doctor", "--data", str(restored))
    assert done.returncode == 0, done.stderr
    assert open_to_others(data, backup, restored) == {}
    # A report is the person's who asked for it, and is made as their umask says.
    assert [stat.S_IMODE(file.stat().st_mode) for file in (report, plot)] == [0o666, 0o666]
