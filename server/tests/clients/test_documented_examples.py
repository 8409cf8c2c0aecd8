"""Every example of the descriptions is run against a real server, and every sample compared."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from support.needed import needed_program
from support.program import environment
from support.server_fixture import Server, Shop, serving

# Stands for that of a vendor whose name this machine may not be able to look up; nothing is sent,
# since the sources that are to forward there get no messages.
PUBLIC_ADDRESS = "https://1.1.1.1"
# They would post to a machine of somebody else's: tokens add public addresses alone.
POSTING = ("testAlert", "testChannel", "resendAlert")

Documents = Mapping[str, Mapping[str, Any]]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    library = folder / "analytics.min.js"
    library.write_text("// the library")
    with serving(folder, "--workers", "1", "--analytics-js", str(library)) as server:
        yield server


@pytest.fixture(scope="module")
def documents(server: Server) -> Documents:
    """What the two addresses say about themselves, by the variable that holds the address."""
    return {
        "API": server.ask("/openapi.json").json(),
        "TRACKING": server.send("GET", f"{server.tracking}/openapi.json").json(),
    }


def used_shop(server: Server, name: str) -> Shop:
    """A workspace with usage, a duplicate and a rejection in this month and in the last."""
    shop = server.shop(name, "web")
    now = datetime.now(UTC)
    before = now.replace(day=1) - timedelta(days=1)
    message = {"type": "page", "anonymousId": "a", "messageId": "m"}
    shop.server.track("/v1/batch", {"batch": [message, message, {}]}, shop.write_keys["web"])
    past = message | {"receivedAt": before.isoformat(), "sourceId": shop.source_ids["web"]}
    token = {"Authorization": f"Bearer {shop.token}"}
    body = json.dumps({"batch": [past | {"messageId": "m0"}]}).encode()
    assert server.send("POST", f"{server.tracking}/v1/import", body, **token).status == 200
    shop.wait_until_counted()
    return shop


def variables(shop: Shop, examples: int) -> list[dict[str, str]]:
    """What each example may need, with a source and a token that no other one has changed."""
    server, token = shop.server, {"Authorization": f"Bearer {shop.token}"}
    found = []
    for number in range(examples):
        made = server.send(
            "POST", f"{server.api}/headcount/v1/sources", b'{"name":"source %d"}' % number, **token
        ).data["source"]
        reader = server.send(
            "POST", f"{server.api}/headcount/v1/tokens", b'{"scope":"read"}', **token
        ).data["token"]
        found.append(
            {
                "API": server.api,
                "TRACKING": server.tracking,
                "TOKEN": shop.token,
                "WRITE_KEY": made["writeKey"],
                "SOURCE_ID": made["id"],
                "TOKEN_ID": reader["id"],
                "VENDOR_WRITE_KEY": "the-vendor-s",
            }
        )
    # The others are known by then.
    shop.await_key(found[-1]["WRITE_KEY"])
    return found


def get_ready(shop: Shop, operation: str, given: dict[str, str]) -> None:
    """See to what an example takes for granted."""
    api = f"{shop.server.api}/headcount/v1"
    token = {"Authorization": f"Bearer {shop.token}"}
    if operation == "changeForwarding":
        body = json.dumps({"to": PUBLIC_ADDRESS, "writeKey": "the-vendor-s"}).encode()
        place = f"{api}/sources/{given['SOURCE_ID']}/forwarding"
        assert shop.server.send("PUT", place, body, **token).status == 200
    elif operation == "revokeLink":
        made = shop.server.send("POST", f"{api}/links", b'{"view":"workspace"}', **token)
        given["LINK_ID"] = made.data["link"]["id"]
    elif operation in ("changeAlert", "removeAlert"):
        rule = b'{"metric":"mtu","thresholds":["90"]}'
        made = shop.server.send("POST", f"{api}/alerts", rule, **token)
        given["ALERT_ID"] = made.data["alert"]["id"]
    elif operation in ("changeChannel", "rotateChannelSecret", "removeChannel"):
        hook = {"name": f"for {given['SOURCE_ID']}", "webhook": f"{PUBLIC_ADDRESS}/hook"}
        made = shop.server.send("POST", f"{api}/channels", json.dumps(hook).encode(), **token)
        given["CHANNEL_ID"] = made.data["channel"]["id"]


def in_a_shell(source: str) -> list[str]:
    needed_program("curl", "apt-get install curl")
    return ["bash", "-ec", source]


def in_python(source: str) -> list[str]:
    return [sys.executable, "-c", source]


@pytest.mark.parametrize(("label", "command"), [("curl", in_a_shell), ("Python", in_python)])
def test_every_example_does_what_it_says(
    server: Server,
    documents: Documents,
    tmp_path: Path,
    label: str,
    command: Callable[[str], list[str]],
) -> None:
    shop = used_shop(server, f"For {label}")
    examples = [
        (document, operation, sample["source"])
        for document in documents.values()
        for item in document["paths"].values()
        for operation in item.values()
        for sample in operation["x-codeSamples"]
        if sample["label"] == label
    ]
    assert len(examples) > 30
    needed = variables(shop, len(examples))
    for (document, operation, source), given in zip(examples, needed, strict=True):
        if operation["operationId"] in POSTING:
            continue
        get_ready(shop, operation["operationId"], given)
        if operation["operationId"] == "setForwarding":
            source = source.replace('"segment"', f'"{PUBLIC_ADDRESS}"')
        if operation["operationId"] == "addChannel":
            # A host that has no address is refused; this one has, and nothing is sent there.
            source = source.replace("https://hooks.example.com", PUBLIC_ADDRESS)
        finished = subprocess.run(
            command(source), capture_output=True, text=True, cwd=tmp_path, env=environment(**given)
        )
        if operation["operationId"] == "changeWorkspace":
            # Its new name is for one workspace only.
            old = json.dumps({"name": shop.name}).encode()
            token = {"Authorization": f"Bearer {shop.token}"}
            place = f"{shop.server.api}/headcount/v1/workspace"
            assert shop.server.send("PATCH", place, old, **token).status == 200
        assert finished.returncode == 0, f"{source}\n{finished.stdout}{finished.stderr}"
        if label == "curl":
            compare_with_sample(document, operation, finished.stdout)
    assert (tmp_path / "pixel.gif").read_bytes().startswith(b"GIF89a")
    shop.wait_until_counted()
    months = shop.ask("/headcount/v1/range?from=2020-01-01").data["months"]
    # One of each of six types, one of any type, two in a batch, one each by webhook and pixel, an
    # imported one, and the two from before.
    assert sum(month["workspace"]["apiCalls"][-1] for month in months) == 14


def compare_with_sample(document: Any, operation: Any, printed: str) -> None:
    """The sample is what the description says, and holds whatever the real answer does."""
    [response] = [each for status, each in operation["responses"].items() if status[0] == "2"]
    content = response["content"].get("application/json")
    if content is None or "example" not in content:
        return
    schema = content["schema"] | {"components": document["components"]}
    for answer in (content["example"], json.loads(printed)):
        jsonschema_rs.validator_for(schema).validate(answer)
    described = {
        member
        for shape in document["components"]["schemas"].values()
        for member in shape.get("properties", {})
    }
    missing = (members(json.loads(printed)) & described) - members(content["example"])
    assert not missing, f"{operation['operationId']}: the sample lacks {missing}"


def members(value: Any) -> set[str]:
    """The names of all members of a value, at any depth."""
    if isinstance(value, dict):
        return set(value).union(*map(members, value.values()))
    return set().union(*map(members, value)) if isinstance(value, list) else set()
