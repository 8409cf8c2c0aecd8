"""A child that cannot be started again is tried until it can: its end is not the last word."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from support import server_fixture
from support.server_fixture import eventually, serving


def test_a_process_that_the_system_cannot_start_is_tried_until_it_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # An environment of its own, whose interpreter can be taken away.
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.symlink_to(Path(sys.executable).resolve())
    shutil.copy(Path(sys.prefix) / "pyvenv.cfg", tmp_path)
    (tmp_path / "lib").symlink_to(Path(sys.prefix) / "lib")
    monkeypatch.setattr(server_fixture, "PROGRAM", (str(python), "-m", "headcount"))
    with serving(tmp_path, "--workers", "1") as server:
        shop = server.shop("Shop", "web")
        python.rename(python.with_name("away"))
        [worker] = server.children("intake")
        worker.kill()
        eventually(
            lambda: any("could not be started" in line for line in server.log),
            "the supervisor to say that it cannot start a worker",
        )
        python.with_name("away").rename(python)
        eventually(lambda: server.children("intake") != [], "a worker to be started")
        shop.await_key(shop.write_keys["web"])
