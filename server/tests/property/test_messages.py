"""Messages as clients send them count as the rules say: JSON of any type and any ids, alone or in
batches, split and sent again, through the real admission, journal, meter and store.

What a message means is written down here once more, as naively as the oracle counts.
"""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from headcount.counting.calendar import MS_PER_DAY, parse_period
from headcount.counting.facts import MESSAGE_TYPES
from headcount.intake import Limits
from headcount.intake.batches import plain_batch, plain_message
from headcount.intake.reasons import Refused
from headcount.intake.tracking import Receipt, Tracker
from headcount.intake.work import at_once
from support.intake import APP, WEB, Keys
from support.oracle import Oracle, PlainFact
from support.rig import HASHER, Rig, assert_equal_to_oracle
from support.stores import STORES

# Near enough to the end of a month for ids to come again in the next one, and too near for any
# month to be closed.
FIRST_DAY = parse_period("2026-01-20").first_day + 19
SOURCES = {"web-key": WEB, "app-key": APP}

# A request has enough steps for all its messages: here a message fails for what is in itself.
LIMITS = Limits(request_steps_max=1_000_000)

# Go over the wire as something else: the token -0, which Python has no integer for, and values that
# are deeper than Python writes, or than the fast decoder reads; and one that is too costly to read.
MINUS_ZERO = "minus zero"
COSTLY = "costly"
TOKENS = {
    MINUS_ZERO: "-0",
    "deep arrays": "[" * 9000 + "]" * 9000,
    "deep objects": '{"[":' * 2500 + "1" + "}" * 2500,
    "up and down": "[" + ",".join(["[[[[[[1]]]]]]"] * 500) + "]",
    "many": "{" + ",".join(['"userId":"nobody"'] * 1000) + "}",
    # Takes a quarter more steps than any message of its size may, whatever ids are beside it, with
    # which it stays below the greatest size of a message.
    COSTLY: "[" + ",".join(["[[[{}],1]]"] * 2600) + "]",
}
IDS = st.sampled_from(
    ["a", "b", "1", 1, 0, MINUS_ZERO, "0", 2**70, str(2**70), "\ud800", "a\0", "é", None, ""]
)
ODD_IDS = st.sampled_from(
    ["a", 1.5, 1.0, True, [], {}, ["a"], "x" * 1024, "x" * 1025, 10**1023, 10**1024]
)
MESSAGE_IDS = st.sampled_from(["m1", "m2", "m3", "m4", "5", 5, None, ""])
ODD_MESSAGE_IDS = st.sampled_from(["m" * 100, "m" * 101, 10**99, 10**100, 0.5, False, {}])
MESSAGES = st.fixed_dictionaries(
    {"type": st.sampled_from([*MESSAGE_TYPES, "alias", "Track", None, 1])},
    optional={
        "messageId": MESSAGE_IDS | MESSAGE_IDS | ODD_MESSAGE_IDS,
        "userId": IDS | IDS | IDS | ODD_IDS,
        "anonymousId": IDS | IDS | IDS | ODD_IDS,
        "previousId": IDS | IDS | ODD_IDS,
        "groupId": IDS,
        "event": st.sampled_from(["Seen", "", None, 5]),
        "properties": st.sampled_from(
            [{"userId": "nobody", "messageId": "none", "list": [{}, [1e300]]}, *TOKENS]
        ),
        "context": st.just({"note": "\ud800"}),
    },
)
WHOLE = st.fixed_dictionaries(
    {
        "type": st.sampled_from([*MESSAGE_TYPES, "alias"]),
        "messageId": MESSAGE_IDS,
        "userId": IDS,
        "anonymousId": IDS,
        "previousId": IDS,
        "groupId": st.just("g"),
        "event": st.just("Seen"),
    }
)
# As nearly all are in truth; a batch of these alone is taken by a shorter way.
PLAIN = st.fixed_dictionaries(
    {
        "type": st.sampled_from(["track", "identify", "page", "screen"]),
        "messageId": st.sampled_from(["m1", "m2", "m3", "m4"]),
    },
    optional={
        "userId": st.sampled_from(["a", "b", "1", ""]),
        "anonymousId": st.sampled_from(["a", "b", "c", None]),
        "event": st.just("Seen"),
    },
)
ITEMS = WHOLE | MESSAGES | st.sampled_from([None, "text", 3, []])
BATCHES = st.one_of(
    st.lists(WHOLE, min_size=1, max_size=6),
    st.lists(PLAIN, min_size=1, max_size=6),
    st.lists(ITEMS, min_size=1, max_size=6),
)
# On either side of what is too costly: an id that is ignored, but that the fast decoder does not
# know what to make of; one that is as long as it may be; and costly ones before one that is not.
ODD_AND_COSTLY = {"type": "page", "userId": "a", "previousId": True, "properties": COSTLY}
LARGE_AND_COSTLY = {"type": "page", "userId": "x" * 1024, "properties": COSTLY}
HALF = {"type": "page", "userId": "a", "context": {"note": "\ud800"}}
COSTLY_FOR_ALL = HALF | {"properties": COSTLY}
# Where a batch names its source: in the header, in the body, or in each message.
KEYED = st.sampled_from(["header", "body", "message"])
ACTIONS = st.one_of(
    st.tuples(
        st.just("batch"), KEYED, st.sampled_from(sorted(SOURCES)),
        BATCHES,
    ),
    st.tuples(st.just("single"), KEYED, st.sampled_from(sorted(SOURCES)), WHOLE | MESSAGES),
    st.tuples(st.just("again"), st.integers(0, 30), st.none(), st.none()),
    st.tuples(st.just("days"), st.integers(1, 5), st.none(), st.none()),
    st.tuples(st.just("drain"), st.none(), st.none(), st.none()),
    st.tuples(st.just("restart"), st.none(), st.none(), st.none()),
)  # fmt: skip


class Invalid(Exception):
    """The message has to be rejected."""


def wire(body: dict[str, Any]) -> bytes:
    """A body as it is sent."""
    text = json.dumps(body)
    for name, token in TOKENS.items():
        text = text.replace(json.dumps(name), token)
    return text.encode()


def text(value: Any, characters_max: int) -> str | None:
    """The id that a value stands for, None for none."""
    if value is None or value == "":
        return None
    if value == MINUS_ZERO:
        return "0"
    if (
        isinstance(value, bool)
        or not isinstance(value, str | int)
        or len(str(value)) > characters_max
    ):
        raise Invalid
    return str(value)


def is_ordinary(message: Any) -> bool:
    """Whether the fast decoder reads a message: JSON without half characters and nothing very deep
    in it, whose fields are of the kinds that they mostly are; the number of steps matters for
    others only."""
    try:
        msgspec.json.decode(wire(message))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    ids = [value for name, value in message.items() if name.endswith("Id")]
    texts = [message.get("type"), message.get("event")]
    return not any(isinstance(value, bool | list | dict) for value in ids) and all(
        value is None or isinstance(value, str) for value in texts
    )


def is_too_costly(message: Any) -> bool:
    """Whether a message is too costly for the tolerant decoder, and the fast one does not read it;
    so nobody knows anything of it."""
    if not isinstance(message, dict) or message.get("properties") != COSTLY:
        return False
    return not is_ordinary(message)


def meaning(message: Any, kind: Any) -> dict[str, str | None]:
    """The ids of a message that counts."""
    if not isinstance(message, dict) or kind not in MESSAGE_TYPES or is_too_costly(message):
        raise Invalid
    ids = {
        "message": text(message.get("messageId"), 100),
        "user": text(message.get("userId"), 1024),
        "anonymous": text(message.get("anonymousId"), 1024),
        "previous": text(message.get("previousId"), 1024) if kind == "alias" else None,
    }
    if kind == "alias" and not (ids["user"] and ids["previous"]):
        raise Invalid
    if not (ids["user"] or ids["anonymous"]):
        raise Invalid
    if kind == "track" and not isinstance(message.get("event"), str):
        raise Invalid
    if kind == "group" and text(message.get("groupId"), 10**6) is None:
        raise Invalid
    return ids


class World:
    """A server's parts, and an oracle that is told what each message means."""

    def __init__(self, folder: Path, store: str) -> None:
        self.now_ms = FIRST_DAY * MS_PER_DAY
        self.rig = Rig(folder, lambda: self.now_ms, store=STORES[store](folder))
        self.journal = self.rig.journal()
        self.tracker = Tracker(Keys(), HASHER, LIMITS)
        self.oracle = Oracle()
        self.sent: list[tuple[str, str, Any, Any]] = []
        self.fresh = 0

    def act(self, action: str, first: Any, key: Any, content: Any) -> None:
        """Let one thing happen."""
        if action == "days":
            self.now_ms += first * MS_PER_DAY
        elif action == "drain":
            self.rig.drain()
            assert_equal_to_oracle(self.rig.store, self.oracle)
        elif action == "restart":
            self.rig.stop()
            self.rig.start()
        elif action == "again":
            if self.sent:
                self.deliver(*self.sent[first % len(self.sent)])
        else:
            self.sent.append((action, first, key, content))
            self.deliver(action, first, key, content)

    def deliver(self, action: str, keyed: str, key: str, content: Any) -> None:
        """Send a batch or a message, and keep what is admitted as a worker would."""
        self.now_ms += 1
        receipt = Receipt(self.now_ms, "other")
        source = SOURCES[key] if keyed == "header" else None
        own = {"writeKey": key} if keyed == "message" else {}
        if action == "single":
            # The address says what the message is, whatever it says itself.
            kind = content["type"] if content["type"] in MESSAGE_TYPES else "page"
            body = wire(content | ({} if keyed == "header" else {"writeKey": key}))
            try:
                facts = self.tracker.take_message(body, kind, receipt, source).facts
                rejected = []
            except Refused:
                facts, rejected = b"", [0]
            expected = self.expect([content], [kind], key)
        else:
            batch = [item | own if isinstance(item, dict) else item for item in content]
            body = wire({"batch": batch} | ({"writeKey": key} if keyed == "body" else {}))
            try:
                result = at_once(self.tracker.take_batch(body, receipt, source))
                facts, rejected = result.facts, [index for index, _ in result.rejected]
                is_refused = False
            except Refused:
                facts, rejected = b"", list(range(len(batch)))
                is_refused = True
            # A batch in which nobody's key could be read is a request without one.
            assert is_refused == (keyed == "message" and all(map(is_too_costly, batch)))
            kinds = [item["type"] if isinstance(item, dict) else None for item in content]
            expected = self.expect(content, kinds, key)
        assert rejected == expected
        if facts:
            self.journal.append(facts, (), self.now_ms)

    def expect(self, messages: list[Any], kinds: list[Any], key: str) -> list[int]:
        """Tell the oracle what is admitted; the places of what is not."""
        rejected = []
        for place, (message, kind) in enumerate(zip(messages, kinds, strict=True)):
            try:
                ids = meaning(message, kind)
            except Invalid:
                rejected.append(place)
                continue
            if ids["message"] is None:
                self.fresh += 1
                ids["message"] = f"fresh {self.fresh}"
            source = SOURCES[key]
            fact = PlainFact(self.now_ms, source.workspace, source.source, **ids)  # type: ignore[arg-type]
            self.oracle.meter(fact, self.now_ms // MS_PER_DAY)
        return rejected

    def close(self) -> None:
        self.journal.close()
        self.rig.close()


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@example(actions=[("single", "header", "web-key", ODD_AND_COSTLY)], store="sqlite")
@example(actions=[("single", "header", "web-key", LARGE_AND_COSTLY)], store="sqlite")
@example(actions=[("batch", "message", "web-key", [COSTLY_FOR_ALL] * 5 + [HALF])], store="sqlite")
@example(actions=[("batch", "message", "web-key", [COSTLY_FOR_ALL])], store="sqlite")
@given(actions=st.lists(ACTIONS, min_size=1, max_size=8), store=st.sampled_from(sorted(STORES)))
def test_counts_are_what_the_messages_mean(
    actions: list[tuple[str, Any, Any, Any]], store: str
) -> None:
    with TemporaryDirectory() as folder:
        world = World(Path(folder), store)
        for action in actions:
            world.act(*action)
        world.act("drain", None, None, None)
        world.close()


@given(PLAIN | PLAIN | WHOLE | MESSAGES)
def test_a_plain_message_leaves_the_same_fact_on_either_way(message: dict[str, Any]) -> None:
    tracker, receipt = Tracker(Keys(), HASHER, Limits()), Receipt(7, "other")
    body, kind = wire(message), message["type"]
    plain = plain_message(body)
    result = plain and tracker.take_plain_message(plain, kind, receipt, WEB)
    if result is None:
        return
    taken = tracker.take_message(body, kind, receipt, WEB)
    assert result._replace(facts=b"") == taken._replace(facts=b"")
    if message.get("messageId"):
        assert result.facts == taken.facts
    else:
        # Both make an id up, which stands behind the head.
        assert (result.facts[:24], result.facts[32:]) == (taken.facts[:24], taken.facts[32:])
        assert result.facts[24:32] != bytes(8)


@given(st.lists(PLAIN | WHOLE, max_size=6))
def test_a_plain_batch_is_the_same_on_either_way(messages: list[dict[str, Any]]) -> None:
    messages = [message | {"messageId": f"m{n}"} for n, message in enumerate(messages)]
    tracker, receipt = Tracker(Keys(), HASHER, Limits()), Receipt(7, "other")
    body = wire({"batch": messages})
    batch = plain_batch(body, Limits())
    if batch is not None:
        taken = at_once(tracker.take_batch(body, receipt, WEB))
        assert tracker.take_plain_batch(batch, receipt, WEB) == taken
