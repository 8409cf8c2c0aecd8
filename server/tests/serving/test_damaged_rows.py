"""Rows that are damaged while the server runs: what they say is never shown, nor added to."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from headcount.counting.facts import Rejection
from headcount.counting.metrics import KINDS
from headcount.errors import DamagedDataError
from headcount.store.protocol import Change, MeterStore
from support.installation import NOVEMBER, Installation

RAISED = {"api_calls": 3, "admitted": 3}
TALLY = Rejection(1, 1, NOVEMBER.first_day, "invalid_id", 1)


def changed(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        assert database.execute(statement).rowcount


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    return Installation(tmp_path)


@pytest.mark.parametrize(
    ("file", "statement"),
    [
        ("store", "UPDATE usage SET counts = zeroblob(1240) WHERE source = 0"),
        ("store", "UPDATE usage SET revision = revision + 1 WHERE source = 1"),
        ("store", "UPDATE mark SET value = value + 1"),
        ("store", "UPDATE rejection SET messages = messages + 1"),
        ("catalog", "UPDATE token SET workspace = 2, scope = 'admin'"),
        ("catalog", "UPDATE workspace SET name = 'Another' WHERE number = 1"),
    ],
)
def test_a_reader_is_told_and_not_shown_it(
    installation: Installation, file: str, statement: str
) -> None:
    with installation:
        installation.catalog.add_workspace("Other", 0)
        source = installation.source("web")
        installation.use(source, NOVEMBER, {1: RAISED}, rejections=(TALLY,))
        with installation.client() as client:
            # A workspace alone is read from its own row.
            by_source = "/sources" if "source = 1" in statement else ""
            path = f"/usage/api-calls{by_source}/daily?period={NOVEMBER}"
            where = "/headcount/v1/outcomes" if "rejection" in statement else path
            if "workspace SET" in statement:
                where = "/headcount/v1/workspace"
            assert client.get(where).status_code == 200
            changed(installation.folder / f"{file}.sqlite", statement)
            answer = client.get(where)
            assert answer.status_code == 503, answer.text
            assert "damaged" in answer.text


def test_counts_that_are_damaged_are_not_added_to(installation: Installation) -> None:
    with installation:
        source = installation.source("web")
        installation.use(source, NOVEMBER, {1: RAISED})
        place = installation.folder / "store.sqlite"
        changed(place, "UPDATE usage SET counts = zeroblob(1240) WHERE source = 1")
        counts = np.ones((31, len(KINDS)), np.int64)
        with pytest.raises(DamagedDataError, match=r"row of the table usage \(workspace 1"):
            installation.store.commit(Change(counts={(NOVEMBER, 1, 1): counts}))
        with pytest.raises(DamagedDataError):
            installation.store.files.check()


@pytest.mark.parametrize(
    ("statement", "write"),
    [
        (
            "UPDATE position SET entry = 1000",
            lambda s: s.commit(Change(positions={"a journal": 2})),
        ),
        ("UPDATE rejection SET messages = 9", lambda s: s.commit(Change(rejections=(TALLY,)))),
        (
            "UPDATE mark SET value = 0 WHERE name = 'trusted_day'",
            lambda s: s.commit(Change(confirmed_day=9)),
        ),
    ],
)
def test_what_is_damaged_is_not_written_over(
    installation: Installation, statement: str, write: Callable[[MeterStore], None]
) -> None:
    with installation:
        first = Change(positions={"a journal": 1}, trusted_day=5, rejections=(TALLY,))
        installation.store.commit(first)
        changed(installation.folder / "store.sqlite", statement)
        with pytest.raises(DamagedDataError, match="row of the table"):
            write(installation.store)
        with pytest.raises(DamagedDataError):
            installation.store.files.check()
