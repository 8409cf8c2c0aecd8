"""Troubles: logged at their beginning and end, told in a file that a full disk cannot refuse."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from headcount.troubles import Troubles, read_troubles


def test_a_trouble_is_logged_at_its_beginning_and_its_end_only(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    now_ms = 1_000
    troubles = Troubles(tmp_path, "meter", lambda: now_ms)
    with caplog.at_level(logging.WARNING, "headcount.troubles"):
        for _ in range(5):
            troubles.begin("storage", "The disk is full.", "Free some space.")
        now_ms = 4_500
        [read] = read_troubles(tmp_path)
        troubles.end("storage")
        troubles.end("storage")
    assert [record.getMessage() for record in caplog.records] == [
        "The disk is full. Free some space.",
        "over after 3.5 s, met 5 times: The disk is full.",
    ]
    assert (read.kind, read.since_ms, read.times, read.hinders) == ("storage", 1_000, 5, True)
    assert read_troubles(tmp_path) == []
    troubles.close()


def test_what_a_start_brings_is_told_at_once_and_logged_only_if_it_lasts(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    now_ms = 1_000
    troubles = Troubles(tmp_path, "mirror", lambda: now_ms)
    with caplog.at_level(logging.WARNING, "headcount.troubles"):
        troubles.begin("cluster_counts", "Not here yet.", logged_after_s=60)
        assert [each.kind for each in read_troubles(tmp_path)] == ["cluster_counts"]
        now_ms = 60_999
        troubles.restate("cluster_counts", "Still not here.")
        troubles.end("cluster_counts")
        assert caplog.records == []
        troubles.begin("cluster_counts", "Not here yet.", logged_after_s=60)
        now_ms += 60_000
        for _ in range(2):
            troubles.restate("cluster_counts", "Still not here.", "Start it.")
        troubles.end("cluster_counts")
    assert [record.getMessage() for record in caplog.records] == [
        "Still not here. Start it.",
        "over after 60.0 s, met once: Still not here.",
    ]
    troubles.close()


def test_the_file_takes_no_more_room_than_it_had_from_the_start(tmp_path: Path) -> None:
    troubles = Troubles(tmp_path, "meter", lambda: 0)
    [path] = tmp_path.iterdir()
    before = path.stat()
    troubles.begin("a", "x" * 100)
    troubles.begin("b", "y" * 100_000)  # more than there is room for: the former stands
    after = path.stat()
    assert (before.st_size, before.st_ino) == (after.st_size, after.st_ino)
    assert [trouble.kind for trouble in read_troubles(tmp_path)] == ["a"]
    troubles.close()
