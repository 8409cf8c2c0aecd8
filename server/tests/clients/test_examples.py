"""The four examples of the documented client print the usage of February 2021.

They stand in `examples/`, changed in host and token alone. The month is imported into a running
server beforehand; what they must print, the oracle says from the imported messages.
"""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from headcount.counting.calendar import parse_period
from support.oracle import Oracle, PlainFact
from support.program import environment
from support.server_fixture import Shop, serving

EXAMPLES = Path(__file__).with_name("examples")
FEBRUARY = parse_period("2021-02-01")
DAY_MS = 86_400_000
FIRST_DAYS = {"web": 1, "app": 4}  # days of the month; before its first one a source has no rows
SEED = 28


def made_facts(workspace: int = 1) -> list[PlainFact]:
    """A month of visits, some by users and some repeated; one source begins later."""
    chance = random.Random(SEED)
    facts = []
    for number in range(400):
        source, first_day = chance.choice([*enumerate(FIRST_DAYS.values(), 1)])
        day = FEBRUARY.first_day + chance.randint(first_day, 28) - 1
        user, anonymous = chance.choice([("user", None), (None, "device"), ("user", "device")])
        facts.append(
            PlainFact(
                received_at_ms=day * DAY_MS + chance.randrange(DAY_MS),
                workspace=workspace,
                source=source,
                message=f"m{number % 390}",
                user=user and f"user {chance.randrange(40)}",
                anonymous=anonymous and f"device {chance.randrange(90)}",
            )
        )
    return facts


def line(fact: PlainFact, write_keys: list[str]) -> str:
    received_at = datetime.fromtimestamp(fact.received_at_ms / 1000, UTC)
    message = {
        "type": "track",
        "event": "Visited",
        "messageId": fact.message,
        "userId": fact.user,
        "anonymousId": fact.anonymous,
        "receivedAt": received_at.isoformat(timespec="milliseconds"),
        "writeKey": write_keys[fact.source - 1],
    }
    return json.dumps(message) + "\n"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A workspace on a running server into which February 2021 was imported."""
    folder = tmp_path_factory.mktemp("examples")
    with serving(folder, "--workers", "1") as server:
        shop = server.shop("Shop", *FIRST_DAYS)
        history = folder / "february.ndjson"
        write_keys = list(shop.write_keys.values())
        history.write_text("".join(line(fact, write_keys) for fact in made_facts()))
        imported = server.program.json("import", str(history), "--workspace", "Shop")
        assert (imported["admitted"], imported["rejected"]) == (400, 0)
        yield shop


@pytest.fixture(scope="module")
def expected(shop: Shop) -> dict[str, list[dict[str, str]]]:
    """What each example must print, row by row."""
    oracle = Oracle()
    for fact in made_facts():
        oracle.meter(fact, fact.day)
    # Rows of one day come in order of the sources' ids.
    sources = sorted((shop.source_ids[name], n) for n, name in enumerate(FIRST_DAYS, 1))
    rows: dict[str, list[dict[str, str]]] = {"workspace": [], "per_source": []}
    for day in range(FEBRUARY.first_day, FEBRUARY.last_day + 1):
        rows["workspace"].append(row(day, oracle.counts(FEBRUARY, "workspace", 1, day)))
        for source_id, number in sources:
            counts = oracle.counts(FEBRUARY, "source", number, day)
            if counts["api_calls"]:
                rows["per_source"].append(row(day, counts) | {"source_id": source_id})
    return rows


def row(day: int, counts: dict[str, int]) -> dict[str, str]:
    never = counts["anonymous"] - counts["anonymous_identified"]
    texts = {name: str(count) for name, count in counts.items()} | {"never_identified": str(never)}
    return texts | {"timestamp": f"{datetime.fromtimestamp(day * 86_400, UTC):%F}T00:00:00.000Z"}


def printed(program: str, shop: Shop) -> str:
    ended = subprocess.run(
        [sys.executable, str(EXAMPLES / program)],
        capture_output=True,
        text=True,
        env=environment(USAGE_HOST=shop.server.api, BEARER_TOKEN=shop.token),
    )
    assert (ended.returncode, ended.stderr) == (0, ""), ended.stderr
    return ended.stdout


@pytest.mark.parametrize(
    ("program", "scope", "rows_max"),
    [
        ("per_source_api_calls.py", "per_source", 10),
        ("workspace_api_calls.py", "workspace", 10),
        ("per_source_mtu.py", "per_source", 200),
        ("workspace_mtu.py", "workspace", 200),
    ],
)
def test_example_prints_february_2021(
    shop: Shop, expected: dict[str, Any], program: str, scope: str, rows_max: int
) -> None:
    output = printed(program, shop)
    assert output.startswith("The response of ")
    columns = ["timestamp", *(["source_id"] if scope == "per_source" else [])]
    if "mtu" in program:
        columns += ["identified", "anonymous", "anonymous_identified", "never_identified"]
        assert set(re.findall(r"period_start=(\d+)", output)) == {"1612137600"}
        assert set(re.findall(r"period_end=(\d+)", output)) == {"1614556800"}
    else:
        columns += ["api_calls"]
    wanted = expected[scope][:rows_max]
    for column in columns:
        shown = re.findall(rf"\b{column}='([^']*)'", output)
        assert shown == [each[column] for each in wanted], column
    assert f"total_entries={len(expected[scope])}" in output
