"""The two distributions could be published as they are built, and a server runs from them."""

from __future__ import annotations

import base64
import email.message
import email.parser
import json
import re
import sys
import tarfile
import time
import urllib.request
import zipfile
from pathlib import Path
from typing import Any

import pytest

from install.built import OTHERS, PROJECTS, Built, environment_with, ran, wheel_of
from support.program import served_by
from tidy.sources import ROOT, tracked_files

VERSION = (ROOT / "VERSION").read_text("utf-8").strip()
PACKAGES = {"headcount_client": "segment_public_api", "headcount": "headcount"}

pytestmark = pytest.mark.parametrize("name", PROJECTS)


def metadata(wheel: Path) -> email.message.Message:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (each for each in archive.namelist() if each.endswith(".dist-info/METADATA"))
        return email.parser.BytesParser().parsebytes(archive.read(name))


def test_a_wheel_holds_its_package_whole_and_its_licence_and_nothing_else(
    built: Built, name: str
) -> None:
    source = (PROJECTS[name] / "src").relative_to(ROOT)
    tracked = {str(each.relative_to(source)) for each in tracked_files() if source in each.parents}
    with zipfile.ZipFile(built.wheels[name]) as archive:
        held = {each: archive.read(each) for each in archive.namelist()}
    info = f"{name}-{VERSION}.dist-info"
    packed = {each for each in held if not each.startswith(info)}
    assert packed == tracked
    assert all(each.startswith(f"{PACKAGES[name]}/") for each in packed)
    assert held[f"{info}/licenses/LICENSE"] == (ROOT / "LICENSE").read_bytes()


def test_what_an_index_shows_is_there(built: Built, name: str) -> None:
    told = metadata(built.wheels[name])
    assert told["Name"] == name.replace("_", "-")
    assert told["Version"] == VERSION
    assert told["Author"] == "The Headcount authors"
    assert told["License-Expression"] == "Apache-2.0"
    assert told["License-File"] == "LICENSE"
    assert told["Requires-Python"] == ">=3.11"
    assert told["Description-Content-Type"] == "text/markdown"
    assert len(str(told.get_payload())) > 1000, "a README"
    assert len(told.get_all("Classifier") or []) > 5
    if name == "headcount":
        # No other distribution that is imported by the same name would do.
        requires = told.get_all("Requires-Dist") or []
        needed = [each for each in requires if re.match("headcount-client|segment-public", each)]
        assert needed == [f"headcount-client=={VERSION}"]


def test_the_indexes_own_check_finds_nothing(built: Built, name: str) -> None:
    files = [built.wheels[name], built.sources[name]]
    done = ran([sys.executable, "-m", "twine", "check", "--strict", *files], ROOT, **OTHERS)
    assert done.stdout.count("PASSED") == len(files)


def test_the_source_distribution_builds_the_same_wheel(
    built: Built, name: str, tmp_path: Path
) -> None:
    with tarfile.open(built.sources[name]) as archive:
        archive.extractall(tmp_path, filter="data")
        assert not [each for each in archive.getnames() if "/tests/" in each]
    (unpacked,) = tmp_path.iterdir()
    again = wheel_of(unpacked, tmp_path / "dist")
    assert again.read_bytes() == built.wheels[name].read_bytes()


@pytest.fixture(scope="module")
def programs(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return environment_with(list(built.wheels.values()), tmp_path_factory.mktemp("venv") / "v")


def test_an_environment_imports_what_was_installed(
    programs: Path, name: str, tmp_path: Path
) -> None:
    package = PACKAGES[name]
    code = f"import {package} as p, importlib.metadata as m;"
    code += f"print(p.__file__, p.__version__, m.version({name!r}))"
    file, version, installed = ran([programs / "python", "-c", code], tmp_path).stdout.split()
    assert Path(file).is_relative_to(programs.parent)
    assert version == installed == VERSION


def test_the_program_runs_from_it(programs: Path, name: str, tmp_path: Path) -> None:
    """The server of the wheels counts a message, and the client of the wheels reads it."""
    program, data = programs / "headcount", tmp_path / "data"
    assert ran([program, "--version"], tmp_path).stdout == f"headcount {VERSION}\n"

    def told(*arguments: str, **extra: str) -> Any:
        command = [program, *arguments, "--data", str(data), "--json"]
        return json.loads(ran(command, tmp_path, **extra).stdout)

    told("workspace", "add", "acme")
    key = told("source", "add", "web", "--workspace", "acme")["writeKey"]
    token = told("token", "add", "--workspace", "acme")["token"]
    with served_by([program], data) as where:
        body = json.dumps({"type": "track", "event": "Seen", "userId": "u"}).encode()
        asked = urllib.request.Request(f"{where['tracking']}/v1/track", body)
        asked.add_header("Authorization", f"Basic {base64.b64encode(f'{key}:'.encode()).decode()}")
        with urllib.request.urlopen(asked) as answer:
            assert answer.status == 200
        page = urllib.request.urlopen(where["api"]).read().decode()
        assert re.search(r"<input[^>]*name=\"token\"", page)
        for _ in range(100):
            if name == "headcount":
                usage = told("usage", "--by", "workspace", HEADCOUNT_TOKEN=token)
                counted = json.dumps(usage)
            else:
                counted = ran([programs / "python", "-c", CLIENT, where["api"], token],
                              tmp_path).stdout  # fmt: skip
            if re.search(r"\b1\b", counted):
                break
            time.sleep(0.1)
        assert re.search(r"\b1\b", counted), counted


CLIENT = """
import datetime, sys
import segment_public_api as segment
configuration = segment.Configuration(host=sys.argv[1], access_token=sys.argv[2])
with segment.ApiClient(configuration) as client:
    usage = segment.MonthlyTrackedUsersApi(client)
    answer = usage.get_daily_workspace_mtu_usage(datetime.datetime.now(datetime.UTC).date())
    print(answer.rows[-1].mtu)
"""
