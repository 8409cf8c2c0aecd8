"""Names are looked up within a limit of time, whatever the system's lookup does."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import urllib3

from headcount import name_lookup
from headcount.alerting.channels import WebhookConfig, email_config
from headcount.alerting.mail import send_mail
from headcount.alerting.notice_page import AlertNotice
from headcount.alerting.webhook_posts import post
from headcount.forwarding.vendor import Vendor
from headcount.name_lookup import addresses_of, own_name

SECRET = "whsec_MDEyMzQ1Njc4OQ=="
HANGS_FOR_S = 30.0


class Hanging:
    """Name servers that do not answer before they are told to."""

    def __init__(self) -> None:
        self.answering = threading.Event()
        self.gave_up = False
        self.asked: list[str] = []

    def ask(self, name: str) -> None:
        self.asked.append(name)
        if not self.answering.wait(HANGS_FOR_S):
            self.gave_up = True


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hanging]:
    servers = Hanging()

    def getaddrinfo(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        servers.ask(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    def getfqdn() -> str:
        servers.ask("")
        return "here.example"

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr(socket, "getfqdn", getfqdn)
    monkeypatch.setattr("headcount.alerting.webhook_posts._WITHIN_S", 0.2)
    monkeypatch.setattr("headcount.alerting.mail._WITHIN_S", 0.2)
    monkeypatch.setattr("headcount.alerting.mail._NAME_WITHIN_S", 0.1)
    yield servers
    servers.answering.set()
    for each in threading.enumerate():
        if each.name == "name-lookup":
            each.join()


@pytest.mark.parametrize("allow_private", [False, True])
def test_a_webhook_whose_name_is_not_looked_up_ends_in_its_time(
    hanging: Hanging, allow_private: bool
) -> None:
    config = WebhookConfig("https://hooks.example/x", SECRET, allow_private=allow_private)
    answer = post(config, "evt", "{}", 1_000)
    assert not hanging.gave_up
    assert hanging.asked == ["hooks.example"]
    assert not answer.taken
    assert "in time" in answer.said


def test_a_mail_server_whose_name_is_not_looked_up_ends_in_its_time(hanging: Hanging) -> None:
    config = email_config(["b@example.com"], "smtp://mail.example:587", "a@example.com")
    answer = send_mail(config, "evt", AlertNotice("a title", "a text", "<p>"), 1_000)
    assert not hanging.gave_up
    # What this machine itself is called is looked up too, to say hello with.
    assert hanging.asked == ["", "mail.example"]
    assert not answer.taken
    assert answer.said == "it cannot be reached: its name was not looked up in time"


def test_a_vendor_whose_name_is_not_looked_up_ends_in_its_time(
    hanging: Hanging, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headcount.forwarding.vendor._TIMEOUT", urllib3.Timeout(connect=0.2))
    target = Vendor("https://vendor.example", "key", by_token=False)
    answer = target.post("/v1/batch", b"{}")
    target.close()
    assert not hanging.gave_up
    assert answer.status is None
    assert "in time" in answer.said


def test_lookups_that_hang_leave_room_for_no_more_than_a_bound(
    hanging: Hanging, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(name_lookup, "_turns", threading.BoundedSemaphore(3))
    for number in range(5):
        with pytest.raises(socket.gaierror, match="in time"):
            addresses_of(f"{number}.example", 443, 0.05)
    assert len(hanging.asked) == 3
    # What needs no lookup waits for none.
    hanging.answering.set()
    assert addresses_of("127.0.0.1", 443, 0.0)


def test_what_a_lookup_says_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnicodeError):
        addresses_of("a" * 70 + ".example", 1)
    found = addresses_of("localhost", 80)
    assert {each[4][1] for each in found} == {80}
    monkeypatch.setattr(socket, "getfqdn", lambda: "here.example")
    assert own_name(5) == "here.example"
    monkeypatch.setattr(socket, "getfqdn", lambda: "here")
    assert own_name(5) == "[127.0.0.1]"


def test_a_machine_whose_name_is_none_of_the_internet_says_hello_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Linux lets a machine be called by one character more than a label of a name may have.
    monkeypatch.setattr(socket, "gethostname", lambda: "h" * 64)
    assert own_name(10.0) == "[127.0.0.1]"
