"""Rows of counts of other widths than today's: older ones are counted on, newer ones refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from headcount.counting.metrics import API_CALLS, KINDS
from headcount.counting.usage import Counts
from headcount.errors import DataFolderError
from headcount.store.counts import counts_of, encoded
from headcount.store.protocol import Change
from headcount.store.tables import USAGE
from support.installation import NOVEMBER, Installation

PLACE = (1, NOVEMBER.number, 0)


def stored(place: Installation) -> bytes:
    with place.store._lock:
        row = place.store._ledger.get(USAGE, *PLACE)
    assert row is not None
    return bytes(row[4])


def rewrite(place: Installation, columns: int) -> Counts:
    """Make the workspace's row one of a version that knows so many columns."""
    counts = np.ones((31, columns), np.int64)
    with place.store._lock, place.store._ledger.transaction():
        row = place.store._ledger.get(USAGE, *PLACE)
        assert row is not None
        place.store._ledger.put(USAGE, *row[:4], encoded(counts))
    return counts


def more() -> Change:
    return Change(counts={(NOVEMBER, 1, 0): np.full((31, len(KINDS)), 2, np.int64)})


def test_a_row_from_before_a_column_is_counted_on(tmp_path: Path) -> None:
    with Installation(tmp_path) as place:
        place.use(place.source("web"), NOVEMBER, {1: {"api_calls": 3, "admitted": 3}})
        rewrite(place, len(KINDS) - 1)
        read = place.store.read_usage(1, NOVEMBER).workspace
        assert (read[:, :-1] == 1).all()
        assert not read[:, -1].any()
        assert len(stored(place)) == 31 * 8 * (len(KINDS) - 1), "reading rewrites nothing"
        place.store.commit(more())
        after = counts_of(stored(place))
        assert (after[:, :-1] == 3).all()
        assert (after[:, -1] == 2).all()
        place.store.files.check()


def test_a_row_of_a_newer_version_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    with Installation(tmp_path) as place:
        place.use(place.source("web"), NOVEMBER, {1: {"api_calls": 3, "admitted": 3}})
        newer = encoded(rewrite(place, len(KINDS) + 1))
        with pytest.raises(DataFolderError, match="newer version"):
            place.store.files.check()
        with pytest.raises(DataFolderError, match="newer version"):
            place.store.read_usage(1, NOVEMBER)
        with pytest.raises(DataFolderError, match="newer version"):
            place.store.commit(more())
        assert stored(place) == newer
        with place.client() as client:
            answer = client.get(f"/usage/api-calls/daily?period={NOVEMBER}")
        assert answer.status_code == 503
        assert counts_of(newer, len(KINDS) + 1)[0, API_CALLS] == 1
