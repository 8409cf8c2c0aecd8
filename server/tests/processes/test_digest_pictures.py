"""Charts that cannot be drawn in time: digests are sent without them, which is said to everybody,
and pages are answered."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from headcount.alerting.channels import email_config, sealed
from headcount.alerting.deliverer import Deliverer
from headcount.alerting.digest_pictures import Drawings
from headcount.charts.javascript import can_draw
from headcount.charts.pictures import NotDrawnInTimeError, drawn
from headcount.page.assets import LIBRARY, Asset, Assets
from headcount.troubles import Troubles, read_troubles
from headcount.wiring.alerting import _report_drawings
from support.delivering import KEY, PACE
from support.digest_place import DigestPlace
from support.mail_server import MailServer, mail_server
from support.needed import lacking


@pytest.fixture
def place(tmp_path: Path) -> Iterator[DigestPlace]:
    if not can_draw():
        lacking("charts are drawn by the extra plot")
    made = DigestPlace(tmp_path)
    yield made
    made.catalog.close()


@pytest.fixture
def mails() -> Iterator[MailServer]:
    with mail_server() as made:
        yield made


@pytest.fixture
def hanging(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A library that hangs; the file has a line for each process of it that was begun."""
    begun, script = tmp_path / "begun", tmp_path / "hangs"
    script.write_text(f'#!/bin/sh\necho $$ >> "{begun}"\nexec sleep 1000\n')
    script.chmod(0o700)
    monkeypatch.setattr("sys.executable", str(script))
    return begun


def pids(begun: Path) -> list[int]:
    """Of those that came so far before they were ended: on a busy machine perhaps none."""
    return [int(each) for each in begun.read_text().split()] if begun.exists() else []


def test_a_library_that_hangs_is_ended(hanging: Path) -> None:
    with pytest.raises(NotDrawnInTimeError):
        drawn({}, "png", 1.0)
    for pid in pids(hanging):
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_a_drawing_that_nobody_waits_for_any_more_ends_by_itself() -> None:
    """What it is to draw never comes: whoever was to say it was killed, say."""
    process = subprocess.Popen(
        [sys.executable, "-m", "headcount.charts.pictures", "png", "1"], stdin=subprocess.PIPE
    )
    with process:
        assert process.wait(120) == -signal.SIGALRM


def test_a_digest_goes_out_without_charts_that_are_not_drawn_in_time(
    place: DigestPlace, mails: MailServer, hanging: Path, tmp_path: Path
) -> None:
    for number in range(2):
        channel = place.channel("daily", f"mail {number}")
        config = email_config(["a@b.c"], mails.url, "a@b.c")
        place.catalog.change_channel(
            channel.number, place.now_ms, sealed=sealed(KEY, channel.id, config)
        )
    place.goes_on(1)
    deliverer = Deliverer(
        place.catalog, place.store.alerts, lambda: KEY, lambda: place.now_ms, PACE
    )
    deliverer.drawings = Drawings(1.0)
    for channel, record in zip(
        place.catalog.channels(), place.catalog.waiting_deliveries(), strict=True
    ):
        assert deliverer.deliver(channel, record)[1] == "delivered"
    deliverer.close()
    missing = "they could not be drawn within 1 s"
    assert len(mails.came) == 2
    for mail in mails.came:
        assert not [each for each in mail.walk() if each.get_content_maintype() == "image"]
        for kind in ("plain", "html"):
            part = mail.get_body((kind,))
            assert part is not None
            assert f"Without charts: {missing}." in part.get_content()
            assert "API calls: 1,000 this month so far" in part.get_content()
    for record in place.catalog.deliveries(1):
        assert record.log[-1].said == f"it takes it, without its charts: {missing}"
    # The second one did not wait for it again.
    assert len(pids(hanging)) <= 1

    troubles = Troubles(tmp_path / "run", "alert", lambda: place.now_ms)
    assert deliverer.drawings.went_without == 2
    for _ in range(2):
        _report_drawings(deliverer.drawings, troubles)
    [trouble] = read_troubles(tmp_path / "run")
    assert (trouble.kind, trouble.times, trouble.hinders) == ("charts", 1, False)
    assert missing in trouble.message
    assert deliverer.drawings.went_without == 0
    deliverer.drawings = Drawings()
    _report_drawings(deliverer.drawings, troubles)
    assert read_troubles(tmp_path / "run") == []
    troubles.close()


def test_a_library_that_fails_or_is_missing_is_said(
    place: DigestPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.channel("daily")
    place.goes_on(1)
    [record] = place.catalog.deliveries(1)
    with monkeypatch.context() as broken:
        broken.setattr("sys.executable", "/bin/false")
        drawings = Drawings()
        assert drawings.of(record.body).missing.startswith("the library that draws them failed")
    with monkeypatch.context() as missing:
        missing.setattr("headcount.alerting.digest_pictures.can_draw", lambda: False)
        assert "is missing: " in drawings.of(record.body).missing
    assert drawings.went_without == 2
    assert len(drawings.of(record.body).pictures) == 2
    assert drawings.missing == ""


def test_pages_are_answered_while_what_draws_in_browsers_hangs(
    place: DigestPlace, hanging: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headcount.charts.javascript._WITHIN_S", 1.0)
    assets = Assets()

    async def ask() -> list[Asset | None]:
        return await asyncio.gather(*(assets.find(LIBRARY) for _ in range(5)))

    assert asyncio.run(ask()) == [None] * 5
    begun = pids(hanging)
    assert len(begun) <= 1
    for pid in begun:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
