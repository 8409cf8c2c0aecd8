"""Hashes of ids: keyed, apart by domain, never the mark of an absent id."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headcount.counting.facts import ABSENT
from headcount.counting.hashing import HASH_KEY_BYTES, IdHasher

KEY, OTHER_KEY = bytes(range(32)), bytes(range(1, 33))
# Ids are whatever a JSON string can hold, halves of surrogate pairs included.
IDS = st.text(st.characters(codec=None, exclude_categories=()), max_size=30)


@given(IDS, IDS)
def test_equal_ids_and_no_others_have_equal_hashes(one: str, other: str) -> None:
    hasher = IdHasher(KEY)
    for hashed in (hasher.tracked, hasher.message):
        assert len(hashed(one)) == 8
        assert (hashed(one) == hashed(other)) == (one == other)


@given(IDS)
def test_hashes_of_tracked_and_message_ids_and_of_two_keys_are_apart(text: str) -> None:
    hasher, other = IdHasher(KEY), IdHasher(OTHER_KEY)
    hashes = [hasher.tracked(text), hasher.message(text), other.tracked(text), other.message(text)]
    assert len(set(hashes)) == 4
    assert hasher.tracked(text) == IdHasher(KEY).tracked(text)


def test_ids_are_compared_exactly() -> None:
    hasher = IdHasher(KEY)
    texts = [
        "a", "A", "a ", " a", "a\0", "", "\u00e9", "e\u0301", "\ud800", "\udc00", "\ud83d\ude00",
        "\U0001f600",
    ]  # fmt: skip
    assert len({hasher.tracked(text) for text in texts}) == len(texts)


def test_a_hash_of_zero_gets_a_stand_in_since_zero_means_absent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class ZeroState:
        def copy(self) -> ZeroState:
            return self

        def update(self, data: bytes) -> None:
            pass

        def digest(self) -> bytes:
            return bytes(8)

        def hexdigest(self) -> str:
            return "0" * 32

    monkeypatch.setattr(hashlib, "blake2b", lambda **_: ZeroState())
    hasher = IdHasher(KEY)
    for found in (hasher.tracked("x"), hasher.message("x")):
        assert len(found) == 8
        assert found != ABSENT


def test_the_fingerprint_tells_keys_apart_without_giving_them_away() -> None:
    fingerprint = IdHasher(KEY).fingerprint
    assert fingerprint == IdHasher(KEY).fingerprint
    assert fingerprint != IdHasher(OTHER_KEY).fingerprint
    assert KEY.hex() not in fingerprint
    assert len(fingerprint) < 2 * HASH_KEY_BYTES


@pytest.mark.parametrize("length", [0, 16, 31, 33, 64])
def test_a_key_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match=f"32 bytes, this one {length}"):
        IdHasher(bytes(length))


def test_a_message_without_an_id_gets_a_fresh_hash_each_time() -> None:
    fresh = {IdHasher.fresh_message() for _ in range(1000)}
    assert len(fresh) == 1000
    assert {len(each) for each in fresh} == {8}
