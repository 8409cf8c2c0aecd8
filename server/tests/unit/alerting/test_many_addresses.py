"""Receivers of many addresses none of which answers: all of them have the time of one."""

from __future__ import annotations

import socket
from types import SimpleNamespace
from typing import Any

import pytest

from headcount.alerting.channels import WebhookConfig, email_config
from headcount.alerting.mail import send_mail
from headcount.alerting.notice_page import AlertNotice
from headcount.alerting.webhook_posts import post

SECRET = "whsec_MDEyMzQ1Njc4OQ=="
WITHIN_S = 9.0


class Passing:
    """A clock that goes on by what somebody waits for."""

    now_s = 1_000.0
    tried = 0

    def monotonic(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Passing:
    """A name of three addresses, none of which answers."""
    passing = Passing()

    class Silent(socket.socket):
        def connect(self, _address: Any) -> None:
            waited_s = self.gettimeout()
            assert waited_s is not None
            passing.now_s += waited_s
            passing.tried += 1
            raise TimeoutError("timed out")

    def addresses(_host: Any, port: Any, *_: Any, **_more: Any) -> list[Any]:
        kind = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
        return [(*kind, (f"127.0.0.{each}", int(port))) for each in (1, 2, 3)]

    monkeypatch.setattr(socket, "socket", Silent)
    monkeypatch.setattr(socket, "getaddrinfo", addresses)
    monkeypatch.setattr(
        "headcount.outgoing_connections.time", SimpleNamespace(monotonic=passing.monotonic)
    )
    monkeypatch.setattr("headcount.alerting.webhook_posts._WITHIN_S", WITHIN_S)
    monkeypatch.setattr("headcount.alerting.mail._WITHIN_S", WITHIN_S)
    return passing


def test_a_mail_server_of_many_addresses_is_tried_no_longer_than_one(clock: Passing) -> None:
    config = email_config(["b@example.com"], "smtp://mail.example:587", "a@example.com")
    answer = send_mail(config, "evt", AlertNotice("a title", "a text", "<p>"), 1_000)
    assert not answer.taken
    assert "in time" in answer.said
    assert clock.tried == 3
    assert clock.now_s - Passing.now_s <= WITHIN_S + 0.001


def test_a_receiver_of_many_addresses_is_tried_no_longer_than_one(clock: Passing) -> None:
    config = WebhookConfig("http://hooks.example:1/hook", SECRET, allow_private=True)
    answer = post(config, "evt", "{}", 1_000)
    assert not answer.taken
    assert "in time" in answer.said
    assert clock.tried == 3
    assert clock.now_s - Passing.now_s <= WITHIN_S + 0.001
