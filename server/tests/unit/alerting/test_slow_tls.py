"""Receivers whose TLS never comes to an end: they hold a delivery no longer than its time, and no
other channel at all."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from headcount.alerting.channels import WebhookConfig, email_config
from headcount.alerting.mail import send_mail
from headcount.alerting.notice_page import AlertNotice
from headcount.alerting.webhook_posts import ReceiverAnswer, post
from sdk_tls import self_signed
from support.delivering import AlertsTold
from support.scripted_receiver import ScriptedReceiver
from support.slow_tls import SlowTls, slow_tls

SECRET = "whsec_MDEyMzQ1Njc4OQ=="
SENDS_ON = b"HTTP/1.1 307 Elsewhere\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n"


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """A certificate that is trusted here, and its key."""
    made = self_signed(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(made[0]))
    return made


def posted(server: SlowTls) -> ReceiverAnswer:
    url = f"https://127.0.0.1:{server.port}/hook"
    config = WebhookConfig(url, SECRET, allow_private=True)
    return post(config, "evt", "{}", time.time_ns() // 1_000_000)


def test_a_receiver_by_tls_is_told(files: tuple[Path, Path]) -> None:
    with slow_tls(files) as server:
        assert posted(server).taken


@pytest.mark.parametrize(
    "how",
    [
        {"mute": True},
        {"slow_handshake": True},
        {"slow_answer": True},
        {"slow_answer": True, "answer": SENDS_ON},
    ],
    ids=["says nothing", "trickles its handshake", "trickles its answer", "sends on, trickling"],
)
def test_a_receiver_by_tls_is_left_when_its_time_is_over(
    files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, how: dict[str, Any]
) -> None:
    """Each byte comes in time: without a limit to all of it, it would be waited for."""
    monkeypatch.setattr("headcount.alerting.webhook_posts._WITHIN_S", 0.5)
    with slow_tls(files, **how) as server:
        answer = posted(server)
        assert (answer.taken, answer.said) == (False, "it does not answer in time")
        assert server.connections <= 1
        assert server.done == 0
        assert server.sent < 200


def test_all_that_a_receiver_sends_on_to_has_one_time_in_all(
    files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of its answers comes within the time that all of them have."""
    answer = b"HTTP/1.1 307 Elsewhere\r\nLocation: /\r\n\r\n"
    monkeypatch.setattr("headcount.alerting.webhook_posts._REDIRECTS_MAX", 1_000)
    monkeypatch.setattr("headcount.alerting.webhook_posts._WITHIN_S", 1.0)
    with slow_tls(files, answer=answer) as server:
        said = posted(server)
    assert (said.taken, said.said) == (False, "it does not answer in time")
    assert server.connections < 1_000


@pytest.mark.parametrize("security", ["smtps", "smtp"])
@pytest.mark.parametrize("how", [{"mute": True}, {"slow_handshake": True}], ids=["mute", "slow"])
def test_a_mail_server_is_left_in_its_handshake_when_its_time_is_over(
    files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, security: str, how: dict[str, Any]
) -> None:
    monkeypatch.setattr("headcount.alerting.mail._WITHIN_S", 0.5)
    greeting = (b"220 here\r\n", b"250-here\r\n250 STARTTLS\r\n", b"220 go on\r\n")
    with slow_tls(files, greeting=() if security == "smtps" else greeting, **how) as server:
        config = email_config(["a@b.c"], f"{security}://127.0.0.1:{server.port}", "a@b.c")
        answer = send_mail(config, "evt", AlertNotice("t", "x", "x"), 0)
        assert (answer.taken, answer.said) == (
            False, "it ends the connection, or does not answer in time",
        )  # fmt: skip
        assert server.connections <= 1
        assert server.sent < 200


def test_a_channel_is_told_while_many_others_of_its_workspace_say_nothing(
    files: tuple[Path, Path], alerts: AlertsTold, receiver: ScriptedReceiver
) -> None:
    with ExitStack() as stack:
        mute = stack.enter_context(slow_tls(files, mute=True))
        for number in range(10):
            alerts.channel(f"https://127.0.0.1:{mute.port}/{number}", f"mute {number}")
        channel, _ = alerts.channel(receiver.url, "ops")
        alerts.finds(*(each.number for each in alerts.catalog.channels()))
        alerts.looks_until(lambda: bool(receiver.taken()))
        states = {each.channel: each.state for each in alerts.catalog.deliveries(1)}
        others = [state for number, state in states.items() if number != channel.number]
        assert others == ["waiting"] * 10
        mute.over.set()
