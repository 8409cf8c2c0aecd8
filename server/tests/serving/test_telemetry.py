"""What `/metrics` says: all series from the start, sums over processes, and to whom."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator

import pytest

from headcount.intake.reasons import EXPLANATIONS, Reason
from headcount.troubles import KINDS
from support.needed import needed_program
from support.server_fixture import Server, eventually, serving

_SAMPLE = re.compile(r"^([a-z_]+)(?:\{(.*)\})? (\S+)$")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("telemetry"), "--workers", "3") as server:
        yield server


def scraped(server: Server, **headers: str) -> dict[str, dict[frozenset[tuple[str, str]], float]]:
    """Samples by name and labels."""
    found: dict[str, dict[frozenset[tuple[str, str]], float]] = {}
    for line in server.send("GET", f"{server.api}/metrics", **headers).body.decode().splitlines():
        if not line.startswith("#"):
            match = _SAMPLE.match(line)
            assert match is not None, line
            labels = frozenset(re.findall(r'([a-z_]+)="((?:[^"\\]|\\.)*)"', match[2] or ""))
            series = found.setdefault(match[1], {})
            assert labels not in series, line
            series[labels] = float(match[3])
    return found


def value(server: Server, name: str, **labels: str) -> float:
    return sum(
        value for found, value in scraped(server)[name].items() if set(labels.items()) <= set(found)
    )


def test_every_series_that_is_known_is_there_before_anything_has_happened(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with serving(tmp_path_factory.mktemp("fresh"), "--workers", "2") as server:
        found = scraped(server)

    def labels(name: str, label: str) -> set[str]:
        return {dict(each)[label] for each in found[name]}

    reasons = {reason.value for reason in Reason}
    assert reasons <= labels("headcount_messages_total", "reason")
    assert labels("headcount_messages_total", "outcome") == {
        "admitted", "accepted", "duplicate", "rejected"
    }  # fmt: skip
    answered = {(dict(each)["status"], dict(each)["reason"]) for each in
                found["headcount_requests_total"]}  # fmt: skip
    assert {(str(EXPLANATIONS[reason].status), reason.value) for reason in Reason} <= answered
    assert ("429", "overloaded") in answered
    assert labels("headcount_trouble", "kind") == set(KINDS)
    assert labels("headcount_troubles_met_total", "kind") == set(KINDS)
    assert labels("headcount_process_endings", "role") == {
        "intake", "meter", "api", "forward", "alert"
    }  # fmt: skip
    assert labels("headcount_commit_seconds_count", "to") == {"journal", "store"}
    assert labels("headcount_index_keys", "family") == {"message", "tracked"}
    assert labels("headcount_connections", "address") == {"tracking", "api"}
    assert {"200", "401", "429", "500"} <= labels("headcount_api_requests_total", "status")
    assert "/usage/mtu/daily" in labels("headcount_api_request_seconds_count", "route")
    counters = {name for name in found if name.endswith("_total")}
    idle = {name: each for name in counters for each in [found[name]]}
    for name, series in idle.items():
        if name != "headcount_api_requests_total":  # the fixture and this test have asked
            assert not any(series.values()), name
    for name in ("headcount_ready", "headcount_build_info"):
        assert list(found[name].values()) == [1]
    free, size = (
        found[f"headcount_data_filesystem_{what}_bytes"][frozenset()] for what in ("free", "size")
    )
    assert 0 < free <= size


def test_promtool_finds_nothing_to_say_of_names_and_units(server: Server) -> None:
    promtool = needed_program("promtool", "apt-get install prometheus")
    text = server.ask("/metrics").body
    checked = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True)
    said = (checked.stdout + checked.stderr).decode()
    assert (checked.returncode, said) == (0, "")


def test_counters_of_all_processes_add_up_and_go_on_when_one_has_ended(server: Server) -> None:
    shop = server.shop("Sums", "web")
    key = shop.write_keys["web"]
    name = "headcount_messages_total"
    posted, files = 0, set()
    for _ in range(3):
        before = value(server, name, outcome="admitted")
        for _ in range(30):  # a connection each, so that all workers get some
            answer = server.track("/v1/track", {"userId": "u", "event": "e"}, key,
                                  Connection="close")  # fmt: skip
            assert answer.status == 200
            posted += 1
        assert value(server, name, outcome="admitted") == before + 30
        for role in ("intake", "meter"):
            former = server.children(role)[0]
            pids = {child.pid for child in server.children(role)}
            former.kill()
            eventually(
                lambda role=role, pids=pids: len(  # type: ignore[misc]
                    {child.pid for child in server.children(role)} - pids
                ) == 1,
                f"another {role} process",
            )  # fmt: skip
        eventually(lambda: server.ask("/readyz").status == 200, "the server to be ready")
        assert value(server, name, outcome="admitted") == before + 30
        metrics = server.program.data / "run/metrics"
        files.add(len(list(metrics.glob("*.db"))))
    shop.wait_until_counted()
    # Whatever is killed before it has told its numbers has not told them: none is told twice.
    assert value(server, name, outcome="accepted") <= posted
    assert len(files) == 1, "files of processes that have ended stay, and there are ever more"


def test_usage_and_plan_of_workspaces_are_told_to_this_machine_and_through_no_proxy(
    server: Server,
) -> None:
    shop = server.shop('Sh"op {of}', "web")
    server.program.run("plan", "set", "--workspace", shop.id, "--mtu", "100")
    for user in ("a", "b"):
        server.track("/v1/track", {"userId": user, "event": "e"}, shop.write_keys["web"])
    shop.wait_until_counted()
    series = {"workspace_id": shop.id}
    eventually(lambda: value(server, "headcount_workspace_mtu", **series) == 2, "two users")
    assert value(server, "headcount_workspace_api_calls", **series) == 2
    assert value(server, "headcount_workspace_mtu_limit", **series) == 100
    limited = scraped(server).get("headcount_workspace_api_calls_limit", {})
    assert not [each for each in limited if dict(each)["workspace_id"] == shop.id]
    # Somebody whom a proxy of this machine lets through, whether it is believed or not.
    for forwarding in ({"X_Forwarded_For": "203.0.113.9"}, {"X_Forwarded_For": "127.0.0.1"},
                       {"Forwarded": "for=127.0.0.1"}, {"X_Real_IP": "203.0.113.9"},
                       {"CF_Connecting_IP": "203.0.113.9"}):  # fmt: skip
        names = scraped(server, **forwarding)
        assert "headcount_messages_total" in names
        assert not [name for name in names if "workspace" in name]


def test_usage_of_workspaces_is_told_where_the_operator_says(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    elsewhere = ("--metrics-from", "192.0.2.0/24")
    with serving(tmp_path_factory.mktemp("elsewhere"), "--workers", "1", *elsewhere) as server:
        server.shop("Shop")
        assert not [name for name in scraped(server) if "workspace" in name]
