"""Databases that are not to be written: what lies in their places is a file, or nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from headcount.errors import DamagedDataError
from headcount.sqlite.unwritable import require_files


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    database = tmp_path / "store.sqlite"
    require_files(database)
    database.write_bytes(b"")
    os.mkfifo(tmp_path / "store.sqlite-wal")
    with pytest.raises(DamagedDataError, match="-wal is no file"):
        require_files(database)


def test_what_goes_away_while_it_is_looked_at_is_no_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever closes a database last takes its log away."""
    database = tmp_path / "store.sqlite"
    database.write_bytes(b"")
    monkeypatch.setattr(Path, "exists", lambda _: True)  # as it was a moment ago
    require_files(database)
