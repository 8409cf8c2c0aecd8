"""What nobody can be told is written down, said, and told once there is somebody; what waits for a
channel is bounded, and what is above is no secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from headcount.alerting.tell_channels import try_out
from headcount.alerting.telling_again import tell_again
from headcount.catalog import NO_CHANNEL, NewDelivery
from headcount.catalog.delivery_log import TESTS_WAITING_MAX
from headcount.errors import UsageError
from support.delivering import AlertsTold
from support.scripted_receiver import ScriptedReceiver


def test_what_is_found_while_there_is_no_channel_is_in_the_log_and_can_be_told(
    alerts: AlertsTold, receiver: ScriptedReceiver
) -> None:
    uids = [alerts.finds(), alerts.finds(7)]  # of no channel, and of one that is gone
    alerts.deliverer.look()
    records = alerts.catalog.untold(1)
    assert [(each.event, each.channel, each.state) for each in records] == [
        (uid, NO_CHANNEL, "dropped") for uid in uids
    ]
    assert "there was no channel" in records[0].log[0].said
    assert alerts.deliverer.answers == [(NO_CHANNEL, "dropped")] * 2
    with pytest.raises(UsageError, match="still no channel"):
        tell_again(alerts.catalog, records[0], alerts.now_ms)
    alerts.channel(receiver.url)
    tell_again(alerts.catalog, records[0], alerts.now_ms)
    alerts.looks_until(lambda: "delivered" in alerts.states())
    assert [posted.headers["webhook-id"] for posted in receiver.came] == uids[:1]
    assert [each.event for each in alerts.catalog.untold(1)] == uids[1:]
    # A process that reads the same events again says it of none twice.
    alerts.deliverer.take_events()
    assert len(alerts.catalog.deliveries(1)) == 2


def test_what_was_told_to_nobody_goes_to_the_channels_that_its_rule_names(
    alerts: AlertsTold, receiver: ScriptedReceiver
) -> None:
    alerts.finds()
    alerts.deliverer.look()
    chosen, _ = alerts.channel(receiver.url, "chosen")
    other, _ = alerts.channel(receiver.url, "other")
    rule = alerts.catalog.add_alert_rule(
        1, source=None, name="MTU", kind="count", metric="mtu", thresholds=("1",),
        quiet_hours=24, channels=[chosen.number], now_ms=0,
    )  # fmt: skip
    [record] = alerts.catalog.untold(1)
    body = record.body.replace('"r1"', f'"{rule.id}"')
    named = alerts.catalog.add_delivery(
        NewDelivery(1, NO_CHANNEL, "evt_named", "alert", body), alerts.now_ms
    )
    tell_again(alerts.catalog, named, alerts.now_ms)
    tell_again(alerts.catalog, record, alerts.now_ms)
    told = {(each.event, each.channel) for each in alerts.catalog.deliveries(1)}
    assert told == {
        ("evt_named", chosen.number),
        (record.event, chosen.number),
        (record.event, other.number),
    }


def test_no_more_waits_for_a_channel_than_it_could_take_and_the_log_says_so(
    alerts: AlertsTold, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headcount.catalog.delivery_log.WAITING_MAX", 3)
    channel, _ = alerts.channel("http://127.0.0.1:9/hook")
    alerts.catalog.change_channel(channel.number, alerts.now_ms, state="off")
    for _ in range(5):
        alerts.finds(channel.number)
    alerts.deliverer.look()
    assert alerts.states() == ["waiting"] * 3 + ["dropped"] * 2
    assert alerts.deliverer.answers == [(channel.number, "dropped")] * 2
    last = alerts.catalog.deliveries(1)[0]
    assert "3 others waited for it" in last.log[0].said


def test_tests_are_bounded_those_that_wait_and_those_that_are_kept(alerts: AlertsTold) -> None:
    channel, _ = alerts.channel("http://127.0.0.1:9/hook")

    def tries() -> None:
        new = try_out(("w", "Shop"), channel, "", alerts.now_ms)
        alerts.catalog.add_delivery(new, alerts.now_ms)

    for _ in range(TESTS_WAITING_MAX):
        tries()
    with pytest.raises(UsageError, match="tests wait"):
        tries()
    for _ in range(7):
        alerts.catalog.drop_deliveries(channel.number, alerts.now_ms)
        for _ in range(TESTS_WAITING_MAX - 1):
            tries()
    assert len(alerts.catalog.deliveries(1, most=1000)) < 100


def test_of_a_removed_channel_nothing_that_was_sealed_is_left(
    alerts: AlertsTold, tmp_path: Path
) -> None:
    channel, _ = alerts.channel("http://127.0.0.1:9/hook")
    kept, _ = alerts.channel("http://127.0.0.1:9/hook", "kept")

    def in_files(secret: bytes) -> bool:
        files = [each for each in tmp_path.rglob("*") if each.is_file()]
        return any(secret in each.read_bytes() for each in files)

    assert in_files(channel.sealed)
    alerts.catalog.change_channel(channel.number, alerts.now_ms, removed_at_ms=alerts.now_ms)
    assert not in_files(channel.sealed)
    assert in_files(kept.sealed)
    alerts.catalog.check()
