"""Real tracking SDKs post to a real server: usage equals what was sent.

Every client plays a made day of traffic into a source of its own, all of them at the same time and
into one workspace. What usage must then be, the oracle says, from the calls alone.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import rudderstack.analytics.request
import segment.analytics.request

from headcount.counting.calendar import Period
from support.needed import NODE, needed_node, node_is_here
from support.oracle import Oracle, PlainFact
from support.server_fixture import Counts, Server, Shop, serving

Call = dict[str, Any]
HERE = Path(__file__).parent
CALLS = 250  # more than two of the batches that the Python clients make
SEED = 2021


@dataclass(frozen=True)
class Client:
    """A tracking SDK as its users set it up.

    Attributes:
        command: the program that plays calls through it.
        task: what the program is told besides host, write key and calls.
    """

    command: tuple[str, ...]
    task: Mapping[str, Any] = field(default_factory=dict)

    def play(self, server: Server, write_key: str, calls: list[Call], path: str = "") -> None:
        """Send calls, and end once the SDK says that all are delivered."""
        host = server.tracking + path
        task = {"host": host, "writeKey": write_key, "calls": calls, **self.task}
        ended = subprocess.run(
            self.command, input=json.dumps(task), capture_output=True, text=True, cwd=HERE
        )
        assert (ended.returncode, ended.stderr) == (0, ""), ended.stderr


def python_client(module: str, **options: Any) -> Client:
    program = str(HERE / "programs" / "python_client.py")
    return Client((sys.executable, program), {"module": module, "options": options})


class Browser:
    """Requests as analytics.js makes them: a text/plain body, and the write key twice.

    The library itself runs in `browser/test_analytics_js.py`; here its requests bear any calls.
    """

    def play(self, server: Server, write_key: str, calls: list[Call]) -> None:
        single, batch = calls[: len(calls) // 2], calls[len(calls) // 2 :]
        extra = {"writeKey": write_key, "sentAt": datetime.now(UTC).isoformat()}
        plain = {"Content_Type": "text/plain", "Origin": "https://shop.example"}
        for call in single:
            path = f"/v1/{call['type'][0]}"
            self.sent(server.track(path, call | extra, write_key, **plain))
        self.sent(server.track("/v1/b", {"batch": batch, **extra}, write_key, **plain))

    def sent(self, answer: Any) -> None:
        assert (answer.status, answer.json()) == (200, {"success": True})
        assert answer.headers["Access-Control-Allow-Origin"] == "*"


CLIENTS: dict[str, Client | Browser] = {
    "segment-analytics-python": python_client("segment.analytics"),
    "segment-analytics-python with gzip": python_client("segment.analytics", gzip=True),
    "rudder-sdk-python": python_client("rudderstack.analytics"),
    "analytics-node": Client((NODE, str(HERE / "programs" / "node_client.mjs"))),
    "rudder-sdk-node": Client((NODE, str(HERE / "programs" / "rudder_node_client.mjs"))),
    "analytics.js requests": Browser(),
}
ON_NODE = {"analytics-node", "rudder-sdk-node"}
PLAYING = {
    name: client for name, client in CLIENTS.items() if name not in ON_NODE or node_is_here()
}
# What each calls itself in what it sends.
NAMES = {
    "segment-analytics-python": {"analytics-python"},
    "segment-analytics-python with gzip": {"analytics-python"},
    "rudder-sdk-python": {"analytics-python"},
    "analytics-node": {"@segment/analytics-node"},
    "rudder-sdk-node": {"analytics-node"},
    "analytics.js requests": {"python-urllib3"},
}


def made_calls(name: str) -> list[Call]:
    """A day of traffic: visitors on several devices, some of whom become users."""
    chance = random.Random(f"{SEED} {name}")
    # Some users and devices are seen by every client, most by one alone.
    user_ids = ["ada", "grace", "zoë", "名前", "42", 42, f"{name}/1", f"{name}/2", f"{name}/3"]
    devices = ["device 1", "device 2", "🙂", *(f"{name}/device {n}" for n in range(30))]
    calls: list[Call] = []
    for number in range(CALLS):
        kind = chance.choice(("track", "track", "identify", "page", "screen", "group", "alias"))
        call: Call = {"type": kind}
        if kind == "alias":
            call |= {"userId": chance.choice(user_ids), "previousId": chance.choice(devices)}
        else:
            who = chance.choice(("user", "device", "device", "both"))
            if who != "device":
                call["userId"] = chance.choice(user_ids)
            if who != "user":
                call["anonymousId"] = chance.choice(devices)
        call |= {"track": {"event": "Bought"}, "group": {"groupId": "team"}}.get(kind, {})
        if kind in ("page", "screen"):
            call["name"] = "Home"
        if number % 10 == 0:
            call["messageId"] = f"own id {number}"
        calls.append(call)
    again = [call for call in calls if "messageId" in call][:7]
    return calls + again


def expected(sent: Mapping[str, list[Call]]) -> dict[str, Counts]:
    """What usage must be: by the client's name, and under `""` that of the workspace."""
    oracle = Oracle()
    period = Period.of_day(0)
    for source, calls in enumerate(sent.values(), 1):
        for number, call in enumerate(calls):
            message = call.get("messageId", f"made id {number}")
            ids = (call.get(name) for name in ("userId", "anonymousId", "previousId"))
            texts = (None if each is None else str(each) for each in ids)
            oracle.meter(PlainFact(0, 1, source, message, *texts), 0)
    scopes = {name: ("source", number) for number, name in enumerate(sent, 1)}
    return {
        name: _counts(oracle.counts(period, kind, number, 0))
        for name, (kind, number) in (scopes | {"": ("workspace", 1)}).items()
    }


def _counts(counted: dict[str, int]) -> Counts:
    del counted["admitted"]
    never = counted["anonymous"] - counted["anonymous_identified"]
    return Counts(**counted, never_identified=never)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with serving(tmp_path_factory.mktemp("sdks"), "--workers", "2") as server:
        yield server.shop("Shop", *PLAYING)


@pytest.fixture(scope="module")
def sent(shop: Shop) -> dict[str, list[Call]]:
    """What every client has sent, all of it acknowledged and counted."""
    sent = {name: made_calls(name) for name in PLAYING}
    with ThreadPoolExecutor(len(PLAYING)) as pool:
        playing = [
            pool.submit(client.play, shop.server, shop.write_keys[name], sent[name])
            for name, client in PLAYING.items()
        ]
    for each in playing:
        each.result()
    shop.wait_until_counted()
    return sent


@pytest.mark.parametrize("name", CLIENTS)
def test_usage_of_a_source_is_what_its_client_sent(
    shop: Shop, sent: dict[str, list[Call]], name: str
) -> None:
    if name in ON_NODE:
        needed_node()
    assert shop.usage()[shop.source_ids[name]] == expected(sent)[name]


def test_each_client_is_told_by_its_name(shop: Shop, sent: dict[str, list[Call]]) -> None:
    told = {
        each["sourceName"]: {library["name"]: library["messages"] for library in each["libraries"]}
        for each in shop.ask("/headcount/v1/libraries").data["sources"]
    }
    assert {name: set(libraries) for name, libraries in told.items()} == {
        name: NAMES[name] for name in PLAYING
    }
    for name, libraries in told.items():
        assert sum(libraries.values()) == len(sent[name])


@pytest.mark.parametrize("path", ["", "/"])
def test_usage_is_what_jitsu_s_library_sent(shop: Shop, path: str) -> None:
    node = needed_node()
    own = shop.server.shop(f"Jitsu at {path}", "server")
    visits = [{"anonymousId": f"device {n}", "userId": f"user {n // 2}"} for n in range(6)]
    program = Client((node, str(HERE / "programs" / "jitsu_client.mjs")), {"visits": visits})
    program.play(own.server, own.write_keys["server"], [], path)
    own.wait_until_counted()
    assert own.usage()[own.source_ids["server"]] == Counts(36, 3, 6, 6, 0)


def test_usage_of_the_workspace_counts_people_once(shop: Shop, sent: dict[str, list[Call]]) -> None:
    whole = shop.usage()[""]
    assert whole == expected(sent)[""]
    # The traffic is such that a sum over sources would be wrong.
    parts = [shop.usage()[source] for source in shop.source_ids.values()]
    assert whole.api_calls == sum(part.api_calls for part in parts)
    assert whole.identified < sum(part.identified for part in parts)


def test_outcomes_account_for_every_message(shop: Shop, sent: dict[str, list[Call]]) -> None:
    totals = shop.ask("/headcount/v1/outcomes").data["totals"]
    accepted = expected(sent)[""].api_calls
    everything = sum(map(len, sent.values()))
    assert (totals["accepted"], totals["duplicate"]) == (accepted, everything - accepted)
    assert totals["rejected"] == 0


@pytest.mark.parametrize(
    "request_module", [segment.analytics.request, rudderstack.analytics.request]
)
def test_clients_can_read_why_they_are_refused(shop: Shop, request_module: Any) -> None:
    batch = [{"type": "track", "event": "Bought", "userId": "ada"}]
    # The SDKs keep their connections for ever; this process is not theirs alone.
    with closing(request_module._session), pytest.raises(request_module.APIError) as refused:
        request_module.post("no such key", host=shop.server.tracking, batch=batch)
    assert (refused.value.status, refused.value.code) == (401, "unknown_write_key")
    assert "write key" in refused.value.message


def test_settings_lead_a_browser_back_to_this_server(shop: Shop) -> None:
    write_key = shop.write_keys["analytics.js requests"]
    url = f"{shop.server.tracking}/v1/projects/{write_key}/settings"
    answer = shop.server.send("GET", url, Origin="https://shop.example")
    destination = answer.json()["integrations"]["Segment.io"]
    assert destination["apiKey"] == write_key
    assert f"{destination['protocol']}://{destination['apiHost']}" == f"{shop.server.tracking}/v1"
