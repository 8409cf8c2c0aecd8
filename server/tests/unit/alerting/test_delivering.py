"""What was found is told at least once to every channel, whatever the receiver does and whenever
the process that tells dies; and what it is told can be verified by anybody's library."""

from __future__ import annotations

import email.utils
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError

from headcount.alerting.channels import (
    WebhookConfig,
    email_config,
    opened,
    rotated,
    sealed,
    shown,
    webhook_config,
)
from headcount.alerting.deliverer import DeliveryPace, pause_s
from headcount.alerting.webhook_posts import post
from headcount.catalog import NewDelivery
from headcount.catalog.entities import fresh_id
from headcount.errors import DataFolderError, UsageError
from headcount.outgoing_connections import TimeLimit, pool_of
from support.delivering import KEY, AlertsTold
from support.scripted_receiver import Does, ScriptedReceiver, scripted_receiver


def test_what_is_told_is_verified_by_the_specifications_own_library(
    alerts: AlertsTold, receiver: ScriptedReceiver
) -> None:
    channel, config = alerts.channel(receiver.url)
    uid = alerts.finds(channel.number)
    alerts.looks_until(lambda: alerts.states() == ["delivered"])
    [posted] = receiver.came
    told = Webhook(config.secret).verify(posted.body, posted.headers)
    assert posted.headers["webhook-id"] == told["data"]["id"] == uid
    assert told["type"] == "headcount.alert"
    [reached] = told["data"]["crossings"]
    assert (reached["threshold"], reached["value"], reached["metric"]) == ("1", 12, "mtu")
    with pytest.raises(WebhookVerificationError):
        Webhook(config.secret).verify(posted.body + b" ", posted.headers)


def test_while_a_secret_is_rotated_both_verify_and_then_the_new_one_alone(
    alerts: AlertsTold, receiver: ScriptedReceiver
) -> None:
    channel, former = alerts.channel(receiver.url)
    new = rotated(KEY, channel, alerts.now_ms + 5_000)
    alerts.catalog.change_channel(
        channel.number, alerts.now_ms, sealed=sealed(KEY, channel.id, new)
    )
    alerts.finds(channel.number)
    alerts.looks_until(lambda: alerts.states() == ["delivered"])
    for secret in (former.secret, new.secret):
        Webhook(secret).verify(receiver.came[0].body, receiver.came[0].headers)
    alerts.now_ms += 6_000
    alerts.finds(channel.number)
    alerts.looks_until(lambda: alerts.states() == ["delivered"] * 2)
    Webhook(new.secret).verify(receiver.came[1].body, receiver.came[1].headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(former.secret).verify(receiver.came[1].body, receiver.came[1].headers)


FAILURES = {
    "refuses": Does(400),
    "forbids": Does(403),
    "fails": Does(500, body=b"out of order"),
    "away": Does(503, headers=(("Retry-After", "1"),)),
    "sends elsewhere": Does(302, headers=(("Location", "http://127.0.0.1:9/"),)),
    "sends round": Does(307, headers=(("Location", "/hook"),)),
    "resets": Does(reset=True),
    "talks nonsense": Does(0),
    "redirects nowhere": Does(308),
    "redirects to nonsense": Does(307, headers=(("Location", "https://[::/"),)),
    "redirects to no port": Does(307, headers=(("Location", "http://127.0.0.1:port/"),)),
    "redirects to another scheme": Does(307, headers=(("Location", "file:///etc/passwd"),)),
    "asks for no number of seconds": Does(503, headers=(("Retry-After", "\u00b2"),)),
}


@pytest.mark.parametrize("how", FAILURES)
def test_it_is_told_again_until_it_is_taken_whatever_the_receiver_does(
    alerts: AlertsTold, receiver: ScriptedReceiver, how: str
) -> None:
    receiver.script = lambda number: FAILURES[how] if number < 9 else Does()
    channel, config = alerts.channel(receiver.url)
    uids = [alerts.finds(channel.number) for _ in range(3)]
    alerts.looks_until(lambda: alerts.states() == ["delivered"] * 3)
    taken = [
        Webhook(config.secret).verify(p.body, p.headers)["data"]["id"] for p in receiver.taken()
    ]
    assert sorted(taken) == sorted(uids)
    # The same name and the same words every time, so that a receiver can tell.
    bodies: dict[str, set[bytes]] = {}
    for posted in receiver.came:
        bodies.setdefault(posted.headers["webhook-id"], set()).add(posted.body)
    assert all(len(each) == 1 for each in bodies.values())
    assert any(each.log[0].said for each in alerts.catalog.deliveries(1))


def test_a_receiver_that_is_not_there_is_told_when_it_comes(alerts: AlertsTold) -> None:
    with scripted_receiver() as gone:
        port = gone.port
    channel, _ = alerts.channel(f"http://127.0.0.1:{port}/hook")
    alerts.finds(channel.number)
    alerts.looks_until(lambda: alerts.catalog.deliveries(1)[0].attempts >= 2)
    assert "cannot be reached" in alerts.catalog.deliveries(1)[0].log[0].said


def test_a_message_that_is_never_taken_holds_up_none_behind_it(
    alerts: AlertsTold, receiver: ScriptedReceiver
) -> None:
    channel, _ = alerts.channel(receiver.url)
    uid = alerts.finds(channel.number)
    receiver.script = lambda number: Does(400) if number == 0 else Does(204)
    more = [alerts.finds(channel.number) for _ in range(4)]
    alerts.looks_until(lambda: alerts.states() == ["delivered"] * 5)
    order = [p.headers["webhook-id"] for p in receiver.came]
    assert order[0] == uid
    assert set(order[1:5]) >= set(more[:3])


def test_who_is_gone_is_told_nothing_more(alerts: AlertsTold, receiver: ScriptedReceiver) -> None:
    receiver.script = lambda _: Does(410)
    channel, _ = alerts.channel(receiver.url)
    for _ in range(3):
        alerts.finds(channel.number)
    alerts.looks_until(lambda: "waiting" not in alerts.states())
    assert alerts.states() == ["failed", "dropped", "dropped"]
    [found] = alerts.catalog.channels(1)
    assert found.state == "gone"
    assert "410" in found.said
    assert len(receiver.came) == 1


def test_a_process_that_dies_at_any_point_loses_nothing(
    alerts: AlertsTold, receiver: ScriptedReceiver
) -> None:
    """Between taking events and writing them down, and between sending and writing that down."""
    channel, _ = alerts.channel(receiver.url)
    uids = [alerts.finds(channel.number) for _ in range(3)]
    note = alerts.catalog.note_attempt
    alerts.catalog.note_attempt = _refuse  # type: ignore[method-assign]
    with suppress(DataFolderError):  # said by whoever looks, as long as it cannot be noted
        alerts.looks_until(lambda: len(receiver.came) >= 1)
    alerts.deliverer.close()
    assert len(receiver.came) == 1
    alerts.catalog.note_attempt = note  # type: ignore[method-assign]
    alerts.start()
    uids.append(alerts.finds(channel.number))
    alerts.looks_until(lambda: alerts.states() == ["delivered"] * 4)
    told = [p.headers["webhook-id"] for p in receiver.came]
    assert set(told) == set(uids)
    assert len(told) > len(uids)  # what was sent and not noted is sent again, under its name


def test_what_was_told_is_not_told_again_because_that_cannot_be_written_down(
    alerts: AlertsTold, receiver: ScriptedReceiver
) -> None:
    """The registry of a cluster may be away for long, and a receiver is not to hear of that."""
    channel, _ = alerts.channel(receiver.url)
    alerts.finds(channel.number)
    note = alerts.catalog.note_attempt
    alerts.catalog.note_attempt = _refuse  # type: ignore[method-assign]
    with pytest.raises(DataFolderError):
        alerts.looks_until(lambda: False)
    for _ in range(20):
        alerts.now_ms += 60_000
        with pytest.raises(DataFolderError):
            alerts.deliverer.look()
    alerts.catalog.note_attempt = note  # type: ignore[method-assign]
    alerts.looks_until(lambda: alerts.states() == ["delivered"])
    assert len(receiver.came) == 1


def _refuse(*_: object, **__: object) -> None:
    raise DataFolderError("killed", "")


def test_it_is_given_up_after_days_and_can_be_sent_again(
    alerts: AlertsTold, receiver: ScriptedReceiver
) -> None:
    receiver.script = lambda number: Does(500) if number < 3 else Does()
    alerts.deliverer.close()
    alerts.start(DeliveryPace(first_s=0.01, most_s=0.02, attempts_max=3, channel_most_s=0.02))
    channel, _ = alerts.channel(receiver.url)
    alerts.finds(channel.number)
    alerts.looks_until(lambda: alerts.states() == ["failed"])
    record = alerts.catalog.deliveries(1)[0]
    assert [each.status for each in record.log] == [500, 500, 500]
    alerts.catalog.send_again(record.id, alerts.now_ms)
    alerts.looks_until(lambda: alerts.states() == ["delivered"])
    assert len({p.headers["webhook-id"] for p in receiver.came}) == 1


def test_tries_go_on_for_days_with_pauses_that_differ() -> None:
    pace = DeliveryPace()
    pauses = [pause_s(pace, attempt) for attempt in range(1, pace.attempts_max)]
    assert sum(pauses) > 2.5 * 86_400
    assert max(pauses) < 1.3 * pace.most_s
    assert len(set(pauses)) == len(pauses)
    assert pause_s(pace, 1, 600) >= 600
    assert pause_s(pace, 1, 10**9) <= pace.asked_most_s * 1.3


def test_a_receiver_is_left_alone_until_the_date_that_it_names(
    alerts: AlertsTold, receiver: ScriptedReceiver
) -> None:
    date = email.utils.formatdate(time.time() + 86_400, usegmt=True)
    receiver.script = lambda _: Does(503, headers=(("Retry-After", date),))
    _, config = alerts.channel(receiver.url)
    asked_s = post(config, "evt_1", "{}", alerts.now_ms).retry_after_s
    assert asked_s is not None
    assert 0 < asked_s <= 86_400


@pytest.mark.parametrize("status", [429, 503])
def test_a_receiver_that_asks_to_be_left_alone_is_sent_nothing_else_either(
    alerts: AlertsTold, receiver: ScriptedReceiver, status: int
) -> None:
    receiver.script = lambda _: Does(status, headers=(("Retry-After", "3600"),))
    alerts.start(DeliveryPace(first_s=0.01, most_s=0.05, channel_most_s=300.0))
    channel, _ = alerts.channel(receiver.url)
    for _ in range(3):
        alerts.finds(channel.number)
    alerts.looks_until(lambda: bool(alerts.catalog.deliveries(1)[-1].attempts))
    for _ in range(50):
        alerts.now_ms += 1_000
        alerts.deliverer.look()
    alerts.deliverer.close()
    assert len(receiver.came) == 1
    assert alerts.states() == ["waiting"] * 3


def test_a_clock_that_is_set_back_lets_nothing_wait(
    alerts: AlertsTold, receiver: ScriptedReceiver
) -> None:
    receiver.script = lambda number: Does(500) if number < 1 else Does()
    channel, _ = alerts.channel(receiver.url)
    alerts.finds(channel.number)
    alerts.looks_until(lambda: alerts.catalog.deliveries(1)[0].attempts == 1)
    alerts.now_ms -= 40 * 86_400_000
    alerts.looks_until(lambda: alerts.states() == ["delivered"])


@pytest.mark.parametrize(
    "url",
    ["https://127.0.0.1/x", "https://10.1.2.3/x", "https://[::1]/x", "https://169.254.169.254/",
     "https://localhost/x", "http://example.com/x", "https://user:pw@example.com/", "nonsense"],
)  # fmt: skip
def test_private_addresses_are_refused_when_they_are_named(url: str) -> None:
    with pytest.raises(UsageError):
        webhook_config(url, by_token=True)


def test_private_addresses_are_refused_at_every_connection_and_behind_redirects(
    receiver: ScriptedReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = WebhookConfig(f"https://127.0.0.1:{receiver.port}/x", "whsec_MDEyMzQ1Njc4OQ==")
    answer = post(config, "evt", "{}", time.time_ns() // 1_000_000)
    assert not answer.taken
    assert "private network" in answer.said
    # A public one that sends on to a private one.
    sends_on = WebhookConfig(receiver.url, config.secret, allow_private=True)
    receiver.script = lambda _: Does(307, headers=(("Location", "https://127.0.0.1:1/"),))
    monkeypatch.setattr(
        "headcount.alerting.webhook_posts.pool_of", _first_private_allowed(sends_on)
    )
    answer = post(sends_on, "evt", "{}", time.time_ns() // 1_000_000)
    assert not answer.taken
    assert "private network" in answer.said
    assert len(receiver.came) == 1


def _first_private_allowed(config: WebhookConfig) -> Callable[..., object]:
    def pool(split: object, *, by_token: bool, limit: TimeLimit) -> object:
        first = split.geturl() == config.url  # type: ignore[attr-defined]
        return pool_of(split, by_token=not first, limit=limit)  # type: ignore[arg-type]

    return pool


def test_a_name_is_not_looked_up_again_once_it_was_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second lookup would give a private address: whoever controls a name can do that."""
    lookups: list[str] = []
    connected: list[object] = []

    def getaddrinfo(host: str, port: int, *_: object, **__: object) -> list[object]:
        lookups.append(host)
        address = "93.184.215.14" if len(lookups) == 1 else "127.0.0.1"
        return [(2, 1, 6, "", (address, port))]

    class Socket:
        def __init__(self, *_: object) -> None: ...
        def setsockopt(self, *_: object) -> None: ...
        def settimeout(self, *_: object) -> None: ...
        def close(self) -> None: ...
        def connect(self, address: object) -> None:
            connected.append(address)
            raise ConnectionRefusedError(111, "Connection refused")

    monkeypatch.setattr("socket.getaddrinfo", getaddrinfo)
    monkeypatch.setattr("socket.socket", Socket)
    config = WebhookConfig("https://rebinding.example/x", "whsec_MDEyMzQ1Njc4OQ==")
    assert not post(config, "evt", "{}", 0).taken
    assert connected == [("93.184.215.14", 443)]
    assert lookups == ["rebinding.example"]


def test_secrets_are_sealed_and_tied_to_their_channel(alerts: AlertsTold) -> None:
    channel, config = alerts.channel("http://127.0.0.1:1/secret-path")
    whole = (Path(alerts.catalog._path)).read_bytes() + b"".join(
        p.read_bytes() for p in Path(alerts.catalog._path).parent.glob("*-wal")
    )
    assert b"secret-path" not in whole
    assert config.secret.encode() not in whole
    assert opened(KEY, channel) == config
    assert "secret" not in channel.shown
    with pytest.raises(DataFolderError, match="another key"):
        opened(bytes(32), channel)


def test_receivers_that_never_answer_keep_no_other_workspaces_waiting(
    alerts: AlertsTold, receiver: ScriptedReceiver
) -> None:
    """One workspace may have more channels that hang than are told at once."""
    answering = threading.Event()

    def hangs(_: int) -> Does:
        answering.wait(60)
        return Does()

    with scripted_receiver(hangs) as hanging:
        held = [alerts.channel(hanging.url, f"hangs {each}")[0].number for each in range(12)]
        alerts.finds(*held)
        alerts.deliverer.look()
        other = alerts.catalog.add_workspace("Other", 0).number
        channel, _ = alerts.channel(receiver.url, "ops", other)
        alerts.finds(channel.number, workspace=other)
        try:
            alerts.looks_until(
                lambda: [each.state for each in alerts.catalog.deliveries(other)] == ["delivered"]
            )
        finally:
            answering.set()
        alerts.looks_until(lambda: alerts.states() == ["delivered"] * 12)


def test_a_process_that_ends_waits_for_no_receiver_and_writes_nothing_afterwards(
    alerts: AlertsTold, receiver: ScriptedReceiver, caplog: pytest.LogCaptureFixture
) -> None:
    answering, done = threading.Event(), threading.Event()

    def hangs(_: int) -> Does:
        answering.wait(60)
        return Does()

    receiver.script = hangs
    channel, _ = alerts.channel(receiver.url)
    alerts.finds(channel.number)
    deliver, note = alerts.deliverer.deliver, alerts.catalog.note_attempt
    noted: list[object] = []
    alerts.catalog.note_attempt = lambda *_, **__: noted.append(1)  # type: ignore[method-assign]

    def delivering(*given: Any) -> Any:
        found = deliver(*given)
        done.set()
        return found

    alerts.deliverer.deliver = delivering  # type: ignore[method-assign]
    alerts.deliverer.look()
    alerts.deliverer.close(0.0)
    answering.set()
    assert done.wait(60)
    assert not noted
    assert not caplog.records
    alerts.catalog.note_attempt = note  # type: ignore[method-assign]
    alerts.start()
    alerts.looks_until(lambda: alerts.states() == ["delivered"])
    assert len({posted.headers["webhook-id"] for posted in receiver.came}) == 1


def test_nobody_is_told_of_a_deleted_workspace_until_that_is_taken_back(
    alerts: AlertsTold, receiver: ScriptedReceiver
) -> None:
    channel, _ = alerts.channel(receiver.url)
    alerts.finds(channel.number)
    alerts.deliverer.take_events()
    alerts.catalog.delete_workspace(1, alerts.now_ms, alerts.now_ms + 1)
    for _ in range(3):
        alerts.deliverer.look()
    alerts.deliverer.close()
    assert not receiver.came
    alerts.start()
    alerts.catalog.undelete_workspace(1)
    alerts.looks_until(lambda: alerts.states() == ["delivered"])
    assert len(receiver.came) == 1


def test_what_cannot_be_made_into_a_telling_is_a_try_like_any_other(alerts: AlertsTold) -> None:
    """Else it would be tried every few seconds, for ever, with a trace in the log each time."""
    channel_id = fresh_id()
    config = email_config(["a@b.c"], "smtp+plain://127.0.0.1:1", None)
    channel = alerts.catalog.add_channel(
        1, channel_id=channel_id, name="mail", kind="email", shown=shown(config),
        sealed=sealed(KEY, channel_id, config), digest="none", now_ms=alerts.now_ms,
    )  # fmt: skip
    body = '{"type": "headcount.alert", "data": {}}'
    alerts.catalog.add_delivery(
        NewDelivery(1, channel.number, "evt_1", "alert", body), alerts.now_ms
    )
    alerts.looks_until(lambda: alerts.catalog.deliveries(1)[0].attempts == 2)
    assert "cannot be told" in alerts.catalog.deliveries(1)[0].log[0].said


@pytest.mark.parametrize("how", FAILURES)
def test_nothing_that_a_receiver_answers_is_an_error_of_ours(
    receiver: ScriptedReceiver, how: str
) -> None:
    """Else a try would not be written down, and would be made again and again."""
    receiver.script = lambda _: FAILURES[how]
    config = webhook_config(receiver.url, by_token=False, allow_private=True)
    answer = post(config, "evt", "{}", time.time_ns() // 1_000_000)
    assert not answer.taken
    assert answer.said
