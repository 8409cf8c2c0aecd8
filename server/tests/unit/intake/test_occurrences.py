"""Numbers of equal digests are what counting them one by one gives, however many there are."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from headcount.intake.occurrences import OccurrenceCounter


@given(st.lists(st.integers(0, 7).map(lambda n: n.to_bytes(8, "big") + b"rest")))
def test_each_digest_is_numbered_on_its_own(digests: list[bytes]) -> None:
    # In the first byte stands what the table looks at last, so that these fall together.
    occurrences, seen = OccurrenceCounter(), Counter[bytes]()
    for digest in digests:
        seen[digest] += 1
        assert occurrences.next(digest) == seen[digest]


def test_numbers_outlive_growth() -> None:
    occurrences = OccurrenceCounter()
    digests = [(n * 0x9E3779B97F4A7C15 % 2**64).to_bytes(8, "little") for n in range(1, 5001)]
    assert {occurrences.next(digest) for digest in digests} == {1}
    assert {occurrences.next(digest) for digest in digests} == {2}
    assert {occurrences.next(digest) for digest in reversed(digests)} == {3}
