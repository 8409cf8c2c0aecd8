"""Receivers that break what they can: answers that never end, bytes that trickle, wishes of a year,
private addresses by other names; and a secret that is another while something waits."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from standardwebhooks import Webhook

from headcount.alerting.apprise_services import tell_service
from headcount.alerting.channels import (
    AppriseConfig,
    WebhookConfig,
    email_config,
    rotated,
    sealed,
    webhook_config,
)
from headcount.alerting.mail import send_mail
from headcount.alerting.notice_page import AlertNotice
from headcount.alerting.webhook_posts import ReceiverAnswer, post
from headcount.errors import UsageError
from support.delivering import KEY, AlertsTold
from support.needed import lacking
from support.scripted_receiver import Does, ScriptedReceiver, scripted_receiver

SECRET = "whsec_MDEyMzQ1Njc4OQ=="


class Endless:
    """Sends something at once, and then the same again and again until nobody listens."""

    def __init__(self, first: bytes, again: bytes, pause_s: float) -> None:
        self.first, self.again, self.pause_s = first, again, pause_s
        self.sent = 0
        self.over = threading.Event()

    def serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.settimeout(60)
            connection.sendall(self.first)
            while not self.over.wait(self.pause_s):
                connection.sendall(self.again)
                self.sent += len(self.again)


@contextmanager
def endless(first: bytes, again: bytes, pause_s: float = 0.0) -> Iterator[tuple[Endless, int]]:
    sender = Endless(first, again, pause_s)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(60)

        def accept() -> None:
            with contextlib.suppress(OSError):
                while not sender.over.is_set():
                    connection, _ = listening.accept()
                    threading.Thread(target=sender.serve, args=(connection,), daemon=True).start()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield sender, listening.getsockname()[1]
        finally:
            sender.over.set()
            with contextlib.suppress(OSError):
                socket.create_connection(listening.getsockname()).close()
            thread.join(60)


def posted(port: int) -> ReceiverAnswer:
    config = WebhookConfig(f"http://127.0.0.1:{port}/hook", SECRET, allow_private=True)
    return post(config, "evt", "{}", time.time_ns() // 1_000_000)


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\n"


@pytest.mark.parametrize("status", [b"200 OK", b"500 Out of order"])
def test_of_an_answer_without_an_end_its_beginning_is_read(status: bytes) -> None:
    with endless(OK.replace(b"200 OK", status), b"x" * 65_536) as (sender, port):
        answer = posted(port)
    assert answer.taken == status.startswith(b"200")
    assert answer.status == int(status[:3])
    assert sender.sent < 32 * 2**20


@pytest.mark.parametrize(
    ("first", "again"),
    [(b"", b"H"), (b"HTTP/1.1 200 OK\r\n", b"X"), (b"", b"HTTP/1.1 100 Continue\r\n\r\n")],
)
def test_an_answer_that_trickles_is_none(
    monkeypatch: pytest.MonkeyPatch, first: bytes, again: bytes
) -> None:
    """Each byte comes in time, and the last one never: without a bound this would not end."""
    monkeypatch.setattr("headcount.outgoing_connections.ANSWER_WITHIN_S", 0.5)
    with endless(first, again, 0.05) as (_, port):
        answer = posted(port)
    assert not answer.taken
    assert answer.said


def test_a_mail_server_that_trickles_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headcount.alerting.mail._WITHIN_S", 0.5)
    with endless(b"2", b"2", 0.05) as (_, port):
        config = email_config(["a@b.c"], f"smtp+plain://127.0.0.1:{port}", "a@b.c")
        answer = send_mail(config, "evt", AlertNotice("t", "x", "x"), 0)
    assert (answer.taken, answer.said) == (
        False, "it ends the connection, or does not answer in time",
    )  # fmt: skip


def test_services_that_trickle_are_left_and_keep_no_other_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """More of them than Apprise has threads: those would be gone for all that it tells."""
    if importlib.util.find_spec("apprise") is None:
        lacking("services are told by the extra alerts")

    def told(port: int) -> ReceiverAnswer:
        return tell_service(AppriseConfig(f"json://127.0.0.1:{port}/"), AlertNotice("t", "x", "x"))

    many = (os.cpu_count() or 1) + 5
    with (
        endless(b"HTTP/1.1 200 OK\r\n", b"X", 0.05) as (_, port),
        scripted_receiver() as receiver,
        ThreadPoolExecutor(many) as pool,
    ):
        monkeypatch.setattr("headcount.alerting.apprise_services._WITHIN_S", 3.0)
        answers = list(pool.map(told, [port] * many))
        assert {(each.taken, each.said) for each in answers} == {
            (False, "it does not answer in time")
        }
        monkeypatch.setattr("headcount.alerting.apprise_services._WITHIN_S", 100.0)
        assert told(receiver.port).taken


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("asked", ["31536000", "999999", "-5", "Fri, 31 Dec 2999 23:59:59 GMT"])
def test_a_wish_to_be_left_alone_for_a_year_is_followed_for_an_hour(
    alerts: AlertsTold, receiver: ScriptedReceiver, status: int, asked: str
) -> None:
    receiver.script = lambda _: Does(status, headers=(("Retry-After", asked),))
    channel, _ = alerts.channel(receiver.url)
    alerts.finds(channel.number)
    alerts.looks_until(lambda: alerts.catalog.deliveries(1)[0].attempts == 1)
    [record] = alerts.catalog.deliveries(1)
    assert record.state == "waiting"
    assert 0 <= record.next_at_ms - record.log[-1].at_ms < 4_600_000


def test_what_waited_while_a_secret_was_rotated_verifies_by_both(
    alerts: AlertsTold, receiver: ScriptedReceiver
) -> None:
    down = [True]
    receiver.script = lambda _: Does(503) if down[0] else Does()
    channel, former = alerts.channel(receiver.url)
    uid = alerts.finds(channel.number)
    alerts.looks_until(lambda: bool(receiver.came))
    alerts.deliverer.close()  # what is on its way goes by the former secret alone
    new = rotated(KEY, channel, alerts.now_ms + 86_400_000)
    alerts.catalog.change_channel(
        channel.number, alerts.now_ms, sealed=sealed(KEY, channel.id, new)
    )
    down[0] = False
    alerts.start()
    alerts.looks_until(lambda: alerts.states() == ["delivered"])
    [taken] = receiver.taken()
    for secret in (former.secret, new.secret):
        assert Webhook(secret).verify(taken.body, taken.headers)["data"]["id"] == uid
    assert {posted.body for posted in receiver.came} == {taken.body}


@pytest.mark.parametrize(
    "host",
    ["10.0.0.1", "127.1", "0x7f000001", "2130706433", "[::ffff:10.0.0.1]", "169.254.169.254"],
)
@pytest.mark.parametrize("redirected", [False, True])
def test_a_private_address_is_refused_in_every_spelling_behind_a_proxy_too(
    monkeypatch: pytest.MonkeyPatch, host: str, redirected: bool
) -> None:
    """A proxy would connect to whatever it is asked for."""
    with scripted_receiver() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("NO_PROXY", "")
        config = WebhookConfig(f"https://{host}/latest", SECRET)
        if redirected:
            config = WebhookConfig("https://public.example/hook", SECRET)
            pool = _sends_on(f"https://{host}/")
            monkeypatch.setattr("headcount.alerting.webhook_posts.pool_of", pool)
        answer = post(config, "evt", "{}", 0)
        assert not answer.taken
        assert "private network" in answer.said
        assert proxy.came == []


def _sends_on(to: str) -> Callable[..., object]:
    """A pool whose one answer sends on; asked a second time, it fails."""

    class Response:
        status = 307
        headers = {"Location": to}  # noqa: RUF012

        def read(self, *_: object, **__: object) -> bytes:
            return b""

        def close(self) -> None: ...

    class Pool:
        asked = 0

        def request(self, *_: object, **__: object) -> Response:
            Pool.asked += 1
            assert Pool.asked == 1, "it was asked for the private address"
            return Response()

        def clear(self) -> None: ...

    return lambda *_, **__: Pool()


@pytest.mark.parametrize("url", ["https://127.1/x", "https://2130706433/x", "https://0x7f.1/x"])
def test_other_spellings_of_a_private_address_cannot_be_named(url: str) -> None:
    with pytest.raises(UsageError):
        webhook_config(url, by_token=True)
