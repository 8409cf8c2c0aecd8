"""The contest's examination finds out whoever breaks a rule, by a meter that can break each."""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from bench.contest.entrants import SOURCES, WORKSPACE, Entrant
from bench.contest.examination import examine
from bench.server import basic

KEYS = [f"key-{number}" for number in range(1, SOURCES + 1)]
COLUMNS = ("apiCalls", "identified", "anonymous", "anonymousIdentified")


class PlainMeter:
    """Sets of what came, by the rules but for one."""

    def __init__(self, broken: str) -> None:
        self._broken = broken
        self._lock = threading.Lock()
        self._sets: dict[tuple[int, str], set[Any]] = defaultdict(set)
        self._deliveries = 0

    def take(self, source: int, message: dict[str, Any]) -> None:
        broken = self._broken
        with self._lock:
            self._deliveries += 1
            call: Any = (source, message["messageId"])
            if broken == "repeats count":
                call = self._deliveries
            if broken == "a message id is known in all sources":
                call = message["messageId"]
            user, anonymous = message.get("userId"), message.get("anonymousId")
            if message["type"] == "alias" and broken != "an alias has no previous id":
                anonymous = message["previousId"]
            if broken != "a number is another id than its text":
                user = None if user is None else str(user)
            if broken != "an empty id is one":
                user, anonymous = user or None, anonymous or None
            for scope in (source, WORKSPACE):
                self._sets[scope, "apiCalls"].add(call)
                if user is not None:
                    self._sets[scope, "identified"].add(user)
                if anonymous is not None:
                    self._sets[scope, "anonymous"].add(anonymous)
                    if user is not None or broken == "every anonymous id becomes known":
                        self._sets[scope, "anonymousIdentified"].add(anonymous)

    def read(self, scope: int) -> dict[str, Any]:
        with self._lock:
            if scope == WORKSPACE and self._broken == "sets are added up":
                return {
                    name: [sum(len(self._sets[each, name]) for each in range(1, SOURCES + 1))]
                    for name in COLUMNS
                }
            return {name: [len(self._sets[scope, name])] for name in COLUMNS}


@contextmanager
def running(meter: PlainMeter) -> Iterator[Entrant]:
    sources = {basic(key): number for number, key in enumerate(KEYS, 1)}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            document = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            source = sources[self.headers["Authorization"]]
            for message in document.get("batch", [document]):
                meter.take(source, message)
            body = b'{"success":true}'
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            url = f"http://127.0.0.1:{server.server_address[1]}"
            yield Entrant(url, KEYS, [], Path(), meter.read)
        finally:
            server.shutdown()
            thread.join()


def test_whoever_keeps_all_rules_passes() -> None:
    with running(PlainMeter("")) as entrant:
        expected, wrong = examine(entrant, 600, seed=13)
    assert wrong == []
    assert expected.api_calls > 600, "some ids are used by both sources"


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ("repeats count", "API calls of the workspace"),
        ("sets are added up", "identified ids of the workspace"),
        ("an alias has no previous id", "anonymous identified ids of the workspace"),
        ("an empty id is one", "ids of the workspace"),
        ("every anonymous id becomes known", "anonymous identified ids of the workspace"),
        ("a message id is known in all sources", "API calls of the workspace"),
        ("a number is another id than its text", "identified ids of the workspace"),
    ],
)
def test_whoever_breaks_a_rule_is_found_out(
    broken: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What is missing is waited for, since it might still come; here it does not.
    monkeypatch.setattr("bench.contest.examination.COUNTED_WITHIN_S", 0.0)
    with running(PlainMeter(broken)) as entrant:
        _, wrong = examine(entrant, 600, seed=13)
    assert any(said in each for each in wrong), wrong
