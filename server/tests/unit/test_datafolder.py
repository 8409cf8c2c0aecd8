"""A data folder is made once, guarded, and refused when it is not what it should be."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from headcount.catalog import Catalog
from headcount.datafolder import DataFolder, FolderLock, load_hash_key, open_data_folder
from headcount.errors import DataFolderError
from headcount.folderformat import FORMAT_VERSION


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "data"


@pytest.fixture
def folder(path: Path) -> DataFolder:
    return open_data_folder(path, create=True)


@pytest.fixture
def catalog(folder: DataFolder) -> Iterator[Catalog]:
    with Catalog(folder.catalog) as opened:
        yield opened


def test_a_folder_is_made_for_its_owner_alone_and_found_again(path: Path) -> None:
    with pytest.raises(DataFolderError, match="There is no data folder") as none:
        open_data_folder(path, create=False)
    assert "--data" in none.value.remedy
    made = open_data_folder(path, create=True)
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert made.journals.is_dir()
    assert open_data_folder(path, create=False) == made == open_data_folder(path, create=True)
    assert sorted(entry.name for entry in path.iterdir()) == ["format", "identity", "journals"]


@pytest.mark.parametrize("empty", [True, False])
def test_a_folder_that_must_exist_is_not_made(path: Path, empty: bool) -> None:
    if empty:
        path.mkdir(parents=True)
    with pytest.raises(DataFolderError, match="one must exist") as refused:
        open_data_folder(path, create=True, require_existing=True)
    assert "--require-existing" in refused.value.problem
    assert f"headcount workspace add NAME --data {path}" in refused.value.remedy
    assert path.exists() == empty
    assert not empty or list(path.iterdir()) == []
    open_data_folder(path, create=True)
    assert open_data_folder(path, create=True, require_existing=True).is_made


def test_what_an_interrupted_start_left_does_not_matter(path: Path) -> None:
    path.mkdir(parents=True)
    (path / "lost+found").mkdir()
    (path / "format.0123").write_text("")
    folder = open_data_folder(path, create=True)
    folder.journals.rmdir()
    assert open_data_folder(path, create=True).journals.is_dir()


def test_a_folder_of_somebody_else_is_left_alone(path: Path) -> None:
    path.mkdir(parents=True)
    (path / "letter.txt").write_text("dear")
    for create in (True, False):
        with pytest.raises(DataFolderError, match="not a data folder of Headcount, and not empty"):
            open_data_folder(path, create=create)
    assert [entry.name for entry in path.iterdir()] == ["letter.txt"]


def test_a_file_in_place_of_the_folder_is_refused(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("")
    with pytest.raises(DataFolderError, match="Not a directory") as refused:
        open_data_folder(path, create=True)
    assert refused.value.remedy == "Name a folder, not a file."


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            f"Headcount data folder, format {FORMAT_VERSION + 1}\n",
            rf"newer version of Headcount \(format {FORMAT_VERSION + 1}",
        ),
        ("Headcount data folder, format x\n", "does not say which format"),
        ("", "does not say which format"),
        ("dear diary", "does not say which format"),
        ("Headcount data folder, format " + "9" * 5000, "does not say which format"),
        ("Headcount data folder, format ²\n", "does not say which format"),
    ],
)
def test_a_format_that_is_not_ours_is_refused(path: Path, content: str, message: str) -> None:
    open_data_folder(path, create=True)
    (path / "format").write_text(content)
    for create in (True, False):
        with pytest.raises(DataFolderError, match=message):
            open_data_folder(path, create=create)


@pytest.mark.parametrize("name", ["format", "identity"])
@pytest.mark.parametrize("kind", ["a pipe", "a folder", "a link to nothing"])
def test_what_only_looks_like_a_file_keeps_nobody_waiting(path: Path, name: str, kind: str) -> None:
    open_data_folder(path, create=True)
    (path / name).unlink()
    if kind == "a pipe":
        os.mkfifo(path / name)
    elif kind == "a folder":
        (path / name).mkdir()
    else:
        (path / name).symlink_to("nowhere")
    for create in (True, False):
        with pytest.raises(DataFolderError, match=f"{path / name}") as refused:
            open_data_folder(path, create=create)
        assert refused.value.remedy


def test_what_others_could_read_is_closed_to_them_by_whoever_writes(folder: DataFolder) -> None:
    places = [folder.hash_key, folder.store, folder.journals / "j.sqlite", folder.path / "format"]
    for place in places:
        place.touch()
        place.chmod(0o644)
    folder.journals.chmod(0o755)
    folder.path.chmod(0o750)
    open_data_folder(folder.path, create=False)
    assert {stat.S_IMODE(place.stat().st_mode) for place in places} == {0o644}
    open_data_folder(folder.path, create=False, write=True)
    assert {stat.S_IMODE(place.stat().st_mode) for place in places} == {0o600}
    assert stat.S_IMODE(folder.journals.stat().st_mode) == 0o700
    # Whoever let others into the folder itself may have meant it; doctor says so.
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o750


def test_the_hash_key_is_made_once_and_kept_secret(folder: DataFolder, catalog: Catalog) -> None:
    key = load_hash_key(folder, catalog)
    assert len(key) == 32
    assert stat.S_IMODE(folder.hash_key.stat().st_mode) == 0o600
    assert load_hash_key(folder, catalog) == key


def test_the_hash_key_may_live_elsewhere_and_move(
    folder: DataFolder, catalog: Catalog, tmp_path: Path
) -> None:
    secret = tmp_path / "secret.key"
    key = load_hash_key(folder, catalog, secret)
    assert not folder.hash_key.exists()
    with pytest.raises(DataFolderError, match=r"hash\.key is missing"):
        load_hash_key(folder, catalog)
    assert not folder.hash_key.exists()
    secret.rename(folder.hash_key)
    assert load_hash_key(folder, catalog) == key


def test_another_hash_key_is_refused(folder: DataFolder, catalog: Catalog) -> None:
    load_hash_key(folder, catalog)
    folder.hash_key.write_text("ab" * 32)
    with pytest.raises(DataFolderError, match="another hash key") as other:
        load_hash_key(folder, catalog)
    assert "former key" in other.value.remedy


@pytest.mark.parametrize("content", [b"", b"ab" * 31, b"zz" * 32, b"\xff" * 64])
def test_a_damaged_hash_key_is_refused_and_not_remembered(
    folder: DataFolder, catalog: Catalog, content: bytes
) -> None:
    folder.hash_key.write_bytes(content)
    with pytest.raises(DataFolderError, match="does not hold a hash key"):
        load_hash_key(folder, catalog)
    assert folder.hash_key.read_bytes() == content
    assert catalog.hash_key_fingerprint() is None


def test_the_remedy_against_a_command_is_to_wait(folder: DataFolder) -> None:
    with FolderLock(folder.serve_lock, "import") as lock:
        with pytest.raises(DataFolderError, match="headcount import") as refused:
            FolderLock(folder.serve_lock, "serve")
        assert "Wait" in refused.value.remedy
        lock.release()
        lock.release()
    assert not FolderLock.held(folder.path / "never-made.lock")
