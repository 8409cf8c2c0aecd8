"""Telling something again, or what nobody was told: takes a delivery of the log, tells it.

What was found while there was no channel is told to those that its rules name now, else to all.
"""

from __future__ import annotations

import msgspec

from headcount.catalog import NO_CHANNEL, Catalog, Channel, DeliveryRecord
from headcount.errors import UsageError

__all__ = ["tell_again"]


def tell_again(catalog: Catalog, record: DeliveryRecord, now_ms: int) -> DeliveryRecord:
    """Let something be told again, under the name that it had.

    Args:
        catalog: where it stands.
        record: what.
        now_ms: milliseconds since 1970.

    Raises:
        UsageError: there is nobody to tell.
    """
    channels = {each.number: each for each in catalog.channels(record.workspace)}
    if record.channel == NO_CHANNEL:
        wanted = _wanted(catalog, record, channels)
        if not wanted:
            raise UsageError(
                "There is still no channel that is on.", "Add one: headcount channel add"
            )
        return catalog.tell_untold(record.id, wanted, now_ms)
    channel = channels.get(record.channel)
    if channel is None:
        raise UsageError("Its channel is removed.", "See `headcount alert log`.")
    if channel.state != "on":
        raise UsageError(
            f'The channel "{channel.name}" is {channel.state}.',
            "Switch it on first: headcount channel change NAME --on",
        )
    return catalog.send_again(record.id, now_ms)


def _wanted(catalog: Catalog, record: DeliveryRecord, channels: dict[int, Channel]) -> list[int]:
    """The channels that are on and that the rules name which it comes of; all where none does."""
    living = [number for number, each in channels.items() if each.state == "on"]
    rules = {each.id: each for each in catalog.alert_rules(record.workspace)}
    wanted: set[int] = set()
    for crossing in msgspec.json.decode(record.body)["data"].get("crossings", ()):
        rule = rules.get(crossing["rule"]["id"])
        named = set() if rule is None else set(rule.channels).intersection(living)
        wanted |= named or set(living)
    return sorted(wanted)
