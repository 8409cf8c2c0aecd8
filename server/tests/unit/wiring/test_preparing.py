"""Whatever stands where a server wants to tell how it is goes: nothing that counts lies there."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from headcount.datafolder import DataFolder, open_data_folder
from headcount.wiring.preparing import prepare_run_folder


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DataFolder:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", "")  # as it was, afterwards
    folder = open_data_folder(tmp_path / "data", create=True)
    prepare_run_folder(folder, 1)
    folder.troubles.mkdir()
    return folder


@pytest.mark.parametrize("kind", ["a file", "a pipe", "a link to nothing", "a folder"])
@pytest.mark.parametrize("name", ["", "listening.json", "state.json", "allowances", "metrics",
                                  "troubles"])  # fmt: skip
def test_what_stands_in_the_way_goes(folder: DataFolder, name: str, kind: str) -> None:
    place = folder.path / "run" / name
    if place.is_dir():
        shutil.rmtree(place)
    place.unlink(missing_ok=True)
    if kind == "a file":
        place.write_text("x")
    elif kind == "a pipe":
        os.mkfifo(place)
    elif kind == "a link to nothing":
        place.symlink_to("nowhere")
    else:
        (place / "something").mkdir(parents=True)
    prepare_run_folder(folder, 2)
    assert folder.metrics.is_dir()
    assert folder.allowances.is_file()
    assert not folder.listening.exists()
    assert not os.path.lexists(folder.troubles)
