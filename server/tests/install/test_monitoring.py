"""The operator's page of monitoring: its rules fire, its configuration works, its dashboard shows.

A real Prometheus scrapes a real server, and every query of the dashboard finds something in it.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from install.test_proxies import documented, running
from support.needed import needed_program
from support.ports import free_port
from support.server_fixture import Server, eventually, serving
from tidy.sources import ROOT

RULES = ROOT / "docs/operating/headcount-alerts.yaml"
RULES_TEST = Path(__file__).with_name("alerts-test.yaml")
DASHBOARD = json.loads((ROOT / "docs/operating/headcount-dashboard.json").read_text("utf-8"))
OPERATIONS = (ROOT / "docs/operations.md").read_text("utf-8")
ALERTS = re.findall(r"- alert: (\w+)", RULES.read_text("utf-8"))
PACKAGE = "apt-get install prometheus"

Ask = Callable[[str], list[dict[str, Any]]]


def promtool(*arguments: str, cwd: Path) -> str:
    program = needed_program("promtool", PACKAGE)
    done = subprocess.run([program, *arguments], cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_each_rule_is_one_and_fires_when_it_should_and_not_otherwise(tmp_path: Path) -> None:
    for file in (RULES, RULES_TEST):
        shutil.copy(file, tmp_path)
    assert f"{len(ALERTS)} rules found" in promtool("check", "rules", RULES.name, cwd=tmp_path)
    promtool("test", "rules", RULES_TEST.name, cwd=tmp_path)
    tested = RULES_TEST.read_text("utf-8")
    assert not [alert for alert in ALERTS if alert not in tested], "made to fire by nothing"


def test_a_rule_that_does_not_fire_is_noticed(tmp_path: Path) -> None:
    program = needed_program("promtool", PACKAGE)
    shutil.copy(RULES_TEST, tmp_path)
    never = RULES.read_text("utf-8").replace("headcount_ready == 0", "headcount_ready == 2")
    (tmp_path / RULES.name).write_text(never)
    done = subprocess.run([program, "test", "rules", RULES_TEST.name], cwd=tmp_path,
                          capture_output=True, text=True)  # fmt: skip
    assert done.returncode != 0
    assert "HeadcountNotReady" in done.stdout + done.stderr


def test_the_page_says_of_every_alert_what_to_do() -> None:
    table = OPERATIONS.partition("## Monitoring")[2].partition("\n## ")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `Headcount")]
    assert sorted(re.findall(r"`(\w+)`", "".join(rows))) == sorted(ALERTS)


def test_the_page_names_files_that_are_there() -> None:
    section = OPERATIONS.partition("## Monitoring")[2].partition("\n## ")[0]
    linked = re.findall(r"\]\((operating/[^)]+)\)", section)
    copied = re.findall(r"\bdocs/(operating/\S+)", section)
    assert set(linked) >= set(copied) != set()
    assert all((ROOT / "docs" / name).is_file() for name in linked)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("scraped"), "--workers", "2") as server:
        yield server


@pytest.fixture(scope="module")
def ask(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ask]:
    """`ask(query)`: the series that a Prometheus finds which runs as the page says."""
    program = needed_program("prometheus", PACKAGE)
    folder = tmp_path_factory.mktemp("prometheus")
    shutil.copy(RULES, folder)
    written = documented("yaml")
    for words, own in (
        ("127.0.0.1:8081", urlsplit(server.api).netloc),
        ("/etc/prometheus/headcount-alerts.yaml", str(folder / RULES.name)),
        ("scrape_interval: 15s", "scrape_interval: 1s\n    scrape_timeout: 1s"),
    ):
        assert words in written
        written = written.replace(words, own)
    (folder / "prometheus.yml").write_text(written)
    said = promtool("check", "config", "prometheus.yml", cwd=folder)
    assert f"{len(ALERTS)} rules found" in said
    port = free_port()
    command = [
        program, "--config.file=prometheus.yml", f"--web.listen-address=127.0.0.1:{port}",
        f"--storage.tsdb.path={folder}/data", "--log.level=warn",
    ]  # fmt: skip

    def asked(query: str) -> list[dict[str, Any]]:
        url = f"http://127.0.0.1:{port}/api/v1/query?{urllib.parse.urlencode({'query': query})}"
        with urllib.request.urlopen(url, timeout=30) as answer:
            found: list[dict[str, Any]] = json.load(answer)["data"]["result"]
        return found

    with running(command, folder, port):

        def scrapes() -> bool:
            with contextlib.suppress(OSError):
                return [each["value"][1] for each in asked('up{job="headcount"}')] == ["1"]
            return False

        eventually(scrapes, "Prometheus to scrape the server")
        yield asked


def queries() -> list[tuple[str, str]]:
    found = []
    for panel in DASHBOARD["panels"]:
        found += [(panel["title"], target["expr"]) for target in panel.get("targets", ())]
    return found


def test_every_query_of_the_dashboard_finds_something(server: Server, ask: Ask) -> None:
    shop = server.shop("Shop", "web")
    server.program.run("plan", "set", "--workspace", "Shop", "--mtu", "9", "--api-calls", "90")
    limits = "headcount_workspace_mtu_limit"
    eventually(lambda: bool(ask(limits)), "the plan to be scraped")

    def traffic() -> None:
        for user in "abc":
            server.track("/v1/track", {"userId": user, "event": "e"}, shop.write_keys["web"])
        server.track("/v1/track", {"userId": "a"}, shop.write_keys["web"])
        shop.ask("/headcount/v1/summary")
        server.ask("/")

    # What a person chooses at the top of the dashboard, and what Grafana puts in by itself.
    values = {"instance": ".*", "workspace": ".*", "__rate_interval": "1m"}
    asked = [
        (title, re.sub(r"\$(\w+)", lambda name: values[name[1]], query))
        for title, query in queries()
    ]
    assert len(asked) > 30
    missing = dict.fromkeys(asked)

    def found() -> bool:
        traffic()
        for each in list(missing):
            series = ask(each[1])
            if series and any(one["value"][1] != "NaN" for one in series):
                del missing[each]
        return not missing

    try:
        eventually(found, "series for every query")
    except AssertionError as error:
        raise AssertionError(f"nothing for {list(missing)}") from error
    for variable in DASHBOARD["templating"]["list"]:
        if variable["type"] == "query":
            metric = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["definition"])
            assert metric is not None
            assert all(metric[2] in each["metric"] for each in ask(metric[1]))
    for query in re.findall(r"^```promql\n(.*?)^```", OPERATIONS, re.M | re.S):
        assert ask(query), query
    # Of a server that does well, none of the alerts is there.
    assert ask("ALERTS") == []


def test_every_metric_that_the_rules_and_the_dashboard_name_is_one(server: Server) -> None:
    told = set(re.findall(r"^# TYPE (\w+) ", server.ask("/metrics").body.decode(), re.M))
    told |= {f"{name}_bucket" for name in told}
    named = set(re.findall(r"headcount_\w+", RULES.read_text("utf-8") + json.dumps(queries())))
    annotations = {"headcount_commit_seconds"}
    # Those of a plan are there only where a plan has a limit.
    planned = {name for name in named if name.endswith("_limit")}
    assert named - planned - annotations <= told


def test_panels_have_names_units_and_places_of_their_own() -> None:
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert panel["title"]
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells
        if panel["type"] != "row":
            assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
            assert all(target["datasource"]["uid"] == "${datasource}"
                       for target in panel["targets"]), panel["title"]  # fmt: skip
