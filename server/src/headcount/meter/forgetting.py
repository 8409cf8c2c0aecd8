"""Forgetting a person: what is known of some ids becomes that of somebody whose id nobody knows.

Takes hashes of ids, finds the keys that they left in the months that still have any, and puts
random ones of the same days in their place, in the store and in what is kept aside. So no total
falls, and a recount agrees. Whoever comes again counts anew. Message ids stay: a delivery that is
repeated is still known, and says nothing of a person.

In one month and workspace the same random hash stands for an id everywhere: facts that wait for
their day are then still those of one person with what was counted. It is kept nowhere else.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import NamedTuple

import numpy as np

from headcount.counting.batch import Facts, bytes_of, facts_from_bytes
from headcount.counting.calendar import MS_PER_DAY, Period
from headcount.counting.facts import KEY_MASK, KEY_SHIFT, fact_bytes
from headcount.counting.hashing import KeyPlan
from headcount.counting.keys import TRACKED, U64, KeySet, tracked_keys
from headcount.errors import OperatorError
from headcount.store.protocol import KeyReplacement, MeterStore

__all__ = ["Forgetting", "ForgottenId", "IdHashes"]

_COLUMNS = {KeySet.IDENTIFIED: ("user",), KeySet.ANONYMOUS: ("anonymous", "previous")}


class IdHashes(NamedTuple):
    """One person's ids under one hash key, 8 bytes each; None where none was named."""

    user: bytes | None
    anonymous: bytes | None

    def of(self, key_set: KeySet) -> bytes | None:
        """The hash of the id that joins a set."""
        return self.user if key_set is KeySet.IDENTIFIED else self.anonymous


class ForgottenId(NamedTuple):
    """What was found of one id in one month of one workspace.

    Attributes:
        workspace: the workspace's number.
        period: the month.
        is_anonymous: whether it is the anonymous id.
        sources: numbers of the sources that had seen it.
        waiting: messages with it that are kept and not counted.
    """

    workspace: int
    period: Period
    is_anonymous: bool
    sources: list[int]
    waiting: int


class Forgetting:
    """One person's keys, found in a store; the store's meter must do nothing else meanwhile.

    Args:
        store: where to look.
        plan: which hash key serves which month.
        hashes: number of a hash key to the person's ids under it.
        workspaces: only these; None for all.
        stand_in: gives the hash that stands for an id from now on, by workspace, month and set; a
            random one when None.

    Attributes:
        found: where the ids were seen.
        replaced, aside: what `KeyErasure.replace_keys` takes.

    Raises:
        OperatorError: a month has a key that the hashes are not of.
    """

    def __init__(
        self,
        store: MeterStore,
        plan: KeyPlan,
        hashes: Mapping[int, IdHashes],
        workspaces: Collection[int] | None,
        stand_in: Callable[[int, Period, KeySet], bytes] | None = None,
    ) -> None:
        self._stand_in = stand_in or (lambda *_: secrets.token_bytes(8))
        self._store = store
        self._plan = plan
        self._hashes = hashes
        self._workspaces = workspaces
        self._fresh: dict[tuple[int, Period, KeySet], bytes] = {}
        sources: dict[tuple[int, Period, KeySet], list[int]] = {}
        self.replaced: list[KeyReplacement] = []
        for period, family in store.state().key_periods:
            if family == TRACKED:
                self._find_in(period, sources)
        waiting: dict[tuple[int, Period, KeySet], int] = {}
        self.aside = dict(self._find_aside(waiting))
        self.found = [
            ForgottenId(
                *(workspace, period, key_set is KeySet.ANONYMOUS),
                sources.get((workspace, period, key_set), []),
                waiting.get((workspace, period, key_set), 0),
            )
            for workspace, period, key_set in sorted(sources.keys() | waiting.keys())
        ]

    def _find_in(
        self, period: Period, sources: dict[tuple[int, Period, KeySet], list[int]]
    ) -> None:
        hashes = self._hashes.get(self._plan.key_of(period))
        if hashes is None:
            raise OperatorError(
                f"The ids were hashed under other keys than that of {period}: the hash key was"
                " rotated since.",
                "Run the same command again.",
            )
        former: list[U64] = []
        new: list[U64] = []
        places: list[tuple[int, KeySet, int]] = []
        for month in self._store.months():
            if month.period != period or not self._is_meant(month.workspace):
                continue
            used = self._store.read_usage(month.workspace, period).source_numbers
            for key_set in _COLUMNS:
                known = hashes.of(key_set)
                if known is None:
                    continue
                fresh = self._fresh_hash(month.workspace, period, key_set)
                for numbers, is_workspace in (
                    (used, False),
                    (np.array([month.workspace], np.uint32), True),
                ):
                    for each, keys in ((known, former), (fresh, new)):
                        keys.append(_keys(numbers, each, key_set, is_workspace=is_workspace))
                    places += [
                        (month.workspace, key_set, 0 if is_workspace else number)
                        for number in numbers.tolist()
                    ]
        if not places:
            return
        asked = np.concatenate(former)
        order = np.argsort(asked)
        present = order[self._present(period, asked[order])]
        for at in present.tolist():
            workspace, key_set, number = places[at]
            seen = sources.setdefault((workspace, period, key_set), [])
            if number:
                seen.append(number)
        if len(present):
            replacement = KeyReplacement(period, asked[present], np.concatenate(new)[present])
            self.replaced.append(replacement)

    def _is_meant(self, workspace: int) -> bool:
        return self._workspaces is None or workspace in self._workspaces

    def _fresh_hash(self, workspace: int, period: Period, key_set: KeySet) -> bytes:
        place = workspace, period, key_set
        if place not in self._fresh:
            self._fresh[place] = self._stand_in(*place)
        return self._fresh[place]

    def _present(self, period: Period, keys: U64) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Which of some keys (ascending) a month has."""
        present = np.zeros(len(keys), np.bool_)
        for block in self._store.keys(period, TRACKED):
            if len(block):
                at = np.searchsorted(block.fingerprints, keys)
                at[at == len(block)] = 0
                present |= block.fingerprints[at] == keys
        return present

    def _find_aside(
        self, waiting: dict[tuple[int, Period, KeySet], int]
    ) -> Iterator[tuple[int, bytes]]:
        """Rows of facts that are kept aside, with other hashes in the place of the person's."""
        for row, packed in self._store.erasure.aside_facts():
            if not packed or len(packed) % fact_bytes(packed):
                continue  # nobody can say where in it a hash would stand
            facts = facts_from_bytes([packed])
            changed = facts.copy()
            numbers = (facts["flags"] & np.uint32(KEY_MASK)) >> np.uint32(KEY_SHIFT)
            for number, hashes in self._hashes.items():
                for key_set, columns in _COLUMNS.items():
                    known = hashes.of(key_set)
                    for column in columns if known is not None else ():
                        same = (numbers == number) & (facts[column] == _number(known))
                        self._rename(facts, changed, column, np.flatnonzero(same), key_set, waiting)
            if (changed != facts).any():
                yield row, bytes_of(changed)

    def _rename(
        self,
        facts: Facts,
        changed: Facts,
        column: str,
        which: np.ndarray[tuple[int], np.dtype[np.intp]],
        key_set: KeySet,
        waiting: dict[tuple[int, Period, KeySet], int],
    ) -> None:
        for at in which.tolist():
            workspace = int(facts["workspace"][at])
            day = int(facts["received_at_ms"][at]) // MS_PER_DAY
            if not self._is_meant(workspace) or not 0 <= day < _DAY_END:
                continue
            place = workspace, Period.of_day(day), key_set
            changed[column][at] = _number(self._fresh_hash(*place))
            waiting[place] = waiting.get(place, 0) + 1


_DAY_END = Period(9000 * 12).first_day


def _number(known: bytes | None) -> int:
    assert known is not None
    return int.from_bytes(known, "little")


def _keys(
    numbers: np.ndarray[tuple[int], np.dtype[np.uint32]],
    known: bytes,
    key_set: KeySet,
    *,
    is_workspace: bool,
) -> U64:
    hashes = np.full(len(numbers), _number(known), np.uint64)
    return tracked_keys(
        numbers, hashes, workspace=is_workspace, anonymous=key_set is KeySet.ANONYMOUS
    )
