"""Alerts of a drill: takes workspaces, gives them rules and hears what is told.

Each threshold that the counts of a month reach must be told once, whatever dies meanwhile; also of
a month into which messages are imported. Some posts are refused, so that they come again.
"""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack

from drill.nodes import Node, run
from drill.traffic import Shop
from support.scripted_receiver import Does, ScriptedReceiver, scripted_receiver

__all__ = ["Reached", "Telling"]

_THRESHOLDS = [str(each) for each in (1, 5, 20, 60, 150, 400, 1_000, 2_500, 6_000, 15_000)]
_METRICS = ("apiCalls", "mtu")
_KNOWN_WITHIN_S = 150
_TOLD_WITHIN_S = 300

Reached = Mapping[tuple[str, str], tuple[int, int]]
"""API calls and MTU of a month, by the workspace's name and the month."""


def _refusing(number: int) -> Does:
    return Does(503) if number % 7 == 2 else Does()


class Telling:
    """The rules, and who is told."""

    def __init__(self) -> None:
        self._open = ExitStack()
        self._receiver: ScriptedReceiver = self._open.enter_context(scripted_receiver(_refusing))

    def close(self) -> None:
        self._open.close()

    def begin(self, nodes: Sequence[Node], shops: Sequence[Shop]) -> None:
        """Add a channel and rules to each workspace, and wait until every node knows them."""
        for shop in shops:
            run(
                nodes[0].settings, "channel", "add", shop.name, "--workspace", shop.name,
                "--webhook", self._receiver.url, "--allow-private",
            )  # fmt: skip
            for metric in _METRICS:
                rule = {"metric": metric, "thresholds": _THRESHOLDS}
                nodes[0].change("/headcount/v1/alerts", rule, shop.token)

        def known(node: Node, shop: Shop) -> bool:
            found = node.read("/headcount/v1/alerts", shop.token)
            return found is not None and len(found[0]["alerts"]) == len(_METRICS)

        _until(lambda: all(known(n, s) for n in nodes for s in shops), _KNOWN_WITHIN_S)

    def told(self) -> dict[tuple[str, str, str, str], set[str]]:
        """What was taken: workspace, month, metric and threshold to the events that said so.

        The same event may come again, and is known by its name.
        """
        found = defaultdict(set)
        for posted in self._receiver.taken():
            # That posts are signed as they should be is looked at while they are young, elsewhere.
            data = json.loads(posted.body)["data"]
            for each in data["crossings"]:
                place = data["workspace"]["name"], each["period"], each["metric"], each["threshold"]
                found[place].add(posted.headers["webhook-id"])
        return found

    def compare(self, living: Sequence[Node], shops: Sequence[Shop], reached: Reached) -> list[str]:
        """Wait until everything is told that has to be, and nothing waits; what is wrong."""
        due = {
            (*month, metric, text)
            for month, counts in reached.items()
            for metric, count in zip(_METRICS, counts, strict=True)
            for text in _THRESHOLDS
            if int(text) <= count
        }

        def waiting() -> list[str]:
            logs = [each.read("/headcount/v1/alert-log", s.token) for each in living for s in shops]
            return [
                each["state"] if log else "no answer"
                for log in logs
                for each in (log[0]["deliveries"] if log else [{"state": "no answer"}])
                if each["state"] != "delivered"
            ]

        wrong = []
        try:
            _until(lambda: due <= self.told().keys() and not waiting(), _TOLD_WITHIN_S)
        except AssertionError:
            missing = sorted(due - self.told().keys())
            wrong.append(f"not told: {missing[:5]}, {len(missing)} in all; waiting: {waiting()}")
        told = self.told()
        wrong += [
            f"{place} was told {len(events)} times"
            for place, events in told.items()
            if len(events) > 1
        ]
        # MTU may have been more for a moment: an anonymous visitor turns out to be a known user.
        beyond = [place for place in told.keys() - due if place[2] != "mtu"]
        return wrong + [f"{place} was told and is not reached" for place in sorted(beyond)]


def _until(look: Callable[[], bool], within_s: float) -> None:
    until_s = time.monotonic() + within_s
    while not look():
        assert time.monotonic() < until_s, f"not within {within_s:.0f} s"
        time.sleep(0.2)
