"""Acknowledging only what a cluster's log has too."""

from __future__ import annotations

from pathlib import Path

import pytest

from headcount.errors import StorageUnavailableError
from headcount.wiring.log_acknowledged import LogAcknowledgement, tell_handed_on


def test_who_waits_returns_once_the_log_has_that_entry(tmp_path: Path) -> None:
    place = tmp_path / "handed_on.json"
    rests = 0

    def rest(_seconds: float) -> None:
        nonlocal rests
        rests += 1
        tell_handed_on(place, {"one": rests, "other": 100})

    LogAcknowledgement(place, lambda: 0.0, rest).wait("one", 3)
    assert rests == 3
    LogAcknowledgement(place, lambda: 0.0, rest).wait("one", 3)
    assert rests == 3


def test_what_the_log_does_not_take_is_not_acknowledged(tmp_path: Path) -> None:
    now_s = 0.0

    def rest(seconds: float) -> None:
        nonlocal now_s
        now_s += seconds

    with pytest.raises(StorageUnavailableError, match="--ack log"):
        LogAcknowledgement(tmp_path / "handed_on.json", lambda: now_s, rest).wait("one", 1)
