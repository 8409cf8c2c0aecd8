"""Rotating the hash key: takes a data folder, on which a server may run, and adds a key that serves
from a coming month on.

The month is one that nothing was counted in, nor hashed for, and a day away at least: by then every
process knows of the key. What was counted is not touched, since a hash cannot be made anew without
its id.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from headcount.catalog import Catalog
from headcount.counting.calendar import MS_PER_DAY, Period, day_of_ms
from headcount.counting.facts import KEY_GENERATIONS
from headcount.counting.hashing import HASH_KEY_BYTES, IdHasher
from headcount.datafolder import DataFolder, hash_key_lines, load_key_ring, read_hash_keys
from headcount.durable import put_whole
from headcount.errors import OperatorError
from headcount.journal.view import journal_view
from headcount.store.opening import open_store
from headcount.wiring.forget_files import read_request
from headcount.wiring.keys_in_use import NOTICE_S

__all__ = ["RotatedKey", "rotate_hash_key"]


class RotatedKey(NamedTuple):
    """A key that serves from a month on.

    Attributes:
        fingerprint: of the new key.
        next_from: the first month that it serves.
        waiting: messages that wait for a day of such a month, and will not be counted then.
    """

    fingerprint: str
    next_from: Period
    waiting: int


def rotate_hash_key(folder: DataFolder, file: Path | None, now_ms: int) -> RotatedKey:
    """Add a key.

    Args:
        folder: the data folder.
        file: where the keys lie; the folder's `hash.key` when None.
        now_ms: the present moment, milliseconds since 1970.

    Raises:
        UsageError: another key is planned, or the former one is still needed.
        DataFolderError: the folder or its keys cannot be used as they are.
        OperatorError: the file cannot be written.
    """
    place = file or folder.hash_key
    with Catalog(folder.catalog) as catalog:
        ring = load_key_ring(folder, catalog, file)
        if ring.plan.first + 1 >= KEY_GENERATIONS:
            raise OperatorError(
                f"This installation has had {KEY_GENERATIONS} hash keys, and has room for no more.",
                "Begin a new data folder.",
            )
        _refuse_while_forgetting(folder)
        latest = max(_latest_hashed(folder), Period.of_day(day_of_ms(now_ms)))
        next_from = latest.shifted(1)
        if next_from.first_day * MS_PER_DAY < now_ms + NOTICE_S * 1000:
            next_from = next_from.shifted(1)
        key = secrets.token_bytes(HASH_KEY_BYTES)

        def keep() -> None:
            # Of what else the file may hold, a key that was interrupted, nothing was ever hashed.
            held = read_hash_keys(place)[ring.fingerprint]
            _write(place, hash_key_lines([held, key]))

        fingerprint = IdHasher(key).fingerprint
        catalog.begin_hash_key(fingerprint, next_from, keep)
    return RotatedKey(fingerprint, next_from, _waiting(folder, next_from))


def _refuse_while_forgetting(folder: DataFolder) -> None:
    for place in folder.forgetting.glob("*.json"):
        with contextlib.suppress(FileNotFoundError):
            if read_request(place).state in ("waiting", "begun"):
                raise OperatorError(
                    "A person is to be forgotten, by hashes under the present key, and is not yet.",
                    "Let the server run until that is done, then rotate.",
                )


def _write(place: Path, content: bytes) -> None:
    if not os.access(place, os.W_OK):
        raise OperatorError(
            f"{place} cannot be written, and the next hash key has to be kept in it.",
            "Let this user write it, and its folder, for as long as that takes.",
        )
    try:
        put_whole(place, content)
    except OSError as error:
        raise OperatorError(
            f"{place} could not be written: {error.strerror or error}.",
            "Nothing is changed. See that its folder can be written, then try again.",
        ) from error


def _latest_hashed(folder: DataFolder) -> Period:
    """The latest month for which anything may have been hashed already, by whatever clock."""
    days = [0]
    if folder.store.exists():
        with closing(open_store(folder.store)) as store:
            days += [month.period.first_day for month in store.months()]
            days.append(store.state().last_metered_day or 0)
    for path in folder.journal_files():
        with journal_view(path) as journal:
            if (newest_at_ms := journal.newest_at_ms()) is not None:
                days.append(day_of_ms(newest_at_ms))
    return Period.of_day(max(days))


def _waiting(folder: DataFolder, next_from: Period) -> int:
    if not folder.store.exists():
        return 0
    with closing(open_store(folder.store)) as store:
        return sum(
            each.messages
            for each in store.set_aside()
            if each.last_day is not None and each.last_day >= next_from.first_day
        )
