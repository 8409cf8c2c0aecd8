"""What a folder says of itself is rewritten where its databases prove it; a folder of another
format is left as it is."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import apsw
import pytest

from headcount.datafolder import DataFolder, open_data_folder
from headcount.doctor import Level, examine
from headcount.doctor.repair import Act, repair
from headcount.errors import DataFolderError
from headcount.folderformat import FORMAT_VERSION, stated_format
from headcount.identity import read_identity
from support.counted_folder import NOW_MS, counted_folder
from support.former_folder import FORMATS, unpack


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return counted_folder(tmp_path_factory.mktemp("template") / "data").folder.path


@pytest.fixture
def folder(template: Path, tmp_path: Path) -> DataFolder:
    return DataFolder(shutil.copytree(template, tmp_path / "data"))


def repaired(folder: DataFolder) -> list[Act]:
    return list(repair(folder, None, "2026-11-25T000000Z"))


def problems(folder: DataFolder) -> list[str]:
    found = examine(open_data_folder(folder.path, create=False), None, NOW_MS)
    return [f"{f.check}: {f.message}" for f in found if f.level == Level.PROBLEM]


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("version", [FORMAT_VERSION + 1, 99])
def test_a_folder_of_a_newer_format_is_left_as_it_is(folder: DataFolder, version: int) -> None:
    (folder.path / "format").write_text(f"Headcount data folder, format {version}\n")
    (folder.path / "identity").unlink()  # which a repair would write anew
    before = contents(folder.path)
    [act] = repaired(folder)
    assert f"has format {version}" in act.what
    assert "version of Headcount that made it" in act.remedy
    assert contents(folder.path) == before


@pytest.mark.parametrize(
    "said", [None, "", "Headcount data folder, format 0\n", "Headcount data folder, fprmat 2\n"]
)
def test_a_file_that_says_nothing_is_written_anew(folder: DataFolder, said: str | None) -> None:
    if said is None:
        (folder.path / "format").unlink()
    else:
        (folder.path / "format").write_text(said)
    with pytest.raises(DataFolderError) as refused:
        open_data_folder(folder.path, create=True)
    # The remedy that is named is the one that works.
    assert f"headcount doctor --repair --data {folder.path}" in refused.value.remedy
    assert "newer" not in str(refused.value)
    [act] = repaired(folder)
    assert not act.remedy
    assert stated_format(folder.path) == FORMAT_VERSION
    assert problems(folder) == []


def test_the_identity_is_written_anew_as_the_databases_say(folder: DataFolder) -> None:
    before = read_identity(folder.path)
    (folder.path / "identity").write_bytes(os.urandom(200))
    [act] = repaired(folder)
    assert "identity was rewritten" in act.what
    assert read_identity(folder.path) == before
    assert problems(folder) == []


@pytest.mark.parametrize("number", FORMATS)
def test_a_folder_of_a_former_format_is_upgraded_and_not_called_todays(
    tmp_path: Path, number: int
) -> None:
    folder = DataFolder(unpack(tmp_path / "data", number))
    before = contents(folder.path)
    [act] = repaired(folder)
    assert "headcount serve` upgrades it" in act.remedy
    assert contents(folder.path) == before
    (folder.path / "format").unlink()
    [act] = repaired(folder)
    assert "headcount serve` upgrades it" in act.remedy
    assert stated_format(folder.path) == number
    open_data_folder(folder.path, create=True)
    assert stated_format(folder.path) == FORMAT_VERSION


def test_databases_of_a_newer_version_are_not_called_todays(folder: DataFolder) -> None:
    (folder.path / "format").unlink()
    connection = apsw.Connection(str(folder.store))
    connection.pragma("user_version", 9)
    connection.close()
    [act] = repaired(folder)
    assert "store.sqlite was made by a newer version" in act.what
    assert stated_format(folder.path) is None
