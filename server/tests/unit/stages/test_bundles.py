"""Bundles: what is published together comes apart as it was."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from headcount.engines import PUBLISH_BYTES_MAX
from headcount.stages.bundles import bundled, parts_of

# As a pack begins: with a checksum, which may be anything.
PACKS = st.builds(
    lambda head, rest: head + rest, st.sampled_from([b"\0\1\2\3", b"many"]), st.binary()
)
ENTRIES = st.lists(st.tuples(st.sampled_from(["keys.0", "keys.1", "counts.7"]), PACKS), max_size=12)


@given(ENTRIES)
def test_what_is_published_together_comes_apart_as_it_was(entries: list[tuple[str, bytes]]) -> None:
    published = bundled(entries)
    subjects = [subject for subject, _ in published]
    assert len(subjects) == len(set(subjects))
    for subject in {subject for subject, _ in entries}:
        came = [part for of, data in published if of == subject for part in parts_of(data)]
        assert came == [data for of, data in entries if of == subject]


def test_a_bundle_is_bounded_and_keeps_the_order() -> None:
    packs = [bytes([number]) * 100_000 for number in range(9)]
    published = bundled([("keys.0", pack) for pack in packs])
    assert 1 < len(published) < len(packs)
    assert all(len(data) <= PUBLISH_BYTES_MAX for _, data in published)
    assert [part for _, data in published for part in parts_of(data)] == packs


def test_a_pack_that_begins_like_a_bundle_is_one() -> None:
    for rest in (b"", b"\1", struct.pack("<I", 1) + b"x", struct.pack("<I", 9) + b"x", b"x" * 40):
        assert parts_of(b"many" + rest) == [b"many" + rest]


def test_one_pack_is_published_as_it_is() -> None:
    assert bundled([("keys.0", b"pack")]) == [("keys.0", b"pack")]
    assert bundled([]) == []
