"""The tolerant decoder's grammar is that of JSON, at any depth."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headcount.intake.scanning import Malformed, members, only_value, text_of
from headcount.intake.work import StepBudget


def plenty() -> StepBudget:
    return StepBudget(10**9)


def is_json(data: bytes) -> bool:
    """What the standard library says, with the literals switched off that it adds to JSON."""

    def refuse(literal: str) -> None:
        raise ValueError(literal)

    try:
        json.loads(data.decode("utf-8", "surrogateescape"), parse_constant=refuse, parse_int=str)
    except ValueError:
        return False
    return True


def is_accepted(data: bytes) -> bool:
    try:
        only_value(data, plenty())
    except Malformed:
        return False
    return True


values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)  # fmt: skip
# Pieces of JSON in any order: nearly JSON, and now and then JSON.
soup = st.lists(
    st.sampled_from(
        [b"[", b"]", b"{", b"}", b",", b":", b'"', b'"a"', b'"a":', b"0", b"-1.5e3", b"01", b"1.",
         b"true", b"null", b"NaN", b" ", b"\n", b"\\", b"\\u00e9", b'"\\ud800"', b"\x00", b"\xff",
         b'"\\"', b"[]", b"{}", b"[1,", b"\x0b", b"\xef\xbb\xbf"]
    ),
    max_size=12,
).map(b"".join)  # fmt: skip


@given(soup)
def test_what_is_accepted_is_json_and_the_other_way_round(data: bytes) -> None:
    assert is_accepted(data) == is_json(data)


@given(values, st.booleans(), st.sampled_from([None, 0, 3]))
def test_all_json_is_accepted(value: object, ascii_only: bool, indent: int | None) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent)
    assert is_accepted(text.encode("utf-8", "surrogatepass"))


@given(values, st.data())
def test_json_that_lost_or_gained_a_byte_is_judged_like_the_standard_library_does(
    value: object, data: st.DataObject
) -> None:
    text = json.dumps(value).encode()
    at = data.draw(st.integers(0, len(text)))
    extra = data.draw(st.sampled_from([b"", b"[", b"}", b",", b'"', b"0", b"\\", b" "]))
    changed = text[:at] + extra + text[at + 1 :]
    assert is_accepted(changed) == is_json(changed)


@pytest.mark.parametrize(
    ("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}"), (b'[{"a":', b"}]"), (b"[ 1, [", b"]]")]
)
def test_depth_has_no_limit(opening: bytes, closing: bytes) -> None:
    depth = 100_000
    assert is_accepted(opening * depth + b"1" + closing * depth)
    assert not is_accepted(opening * depth + b"1" + closing * (depth - 1))
    assert not is_accepted(opening * depth + b"1" + closing * (depth + 1))


def test_members_come_in_order_with_repeats() -> None:
    data = b' {"a" : 1, "b":[ {"a":9} ],"a":"x" } '
    assert [(name, data[start:end]) for name, (start, end) in members(data, plenty())] == [
        (b"a", b"1"), (b"b", b'[ {"a":9} ]'), (b"a", b'"x"'),
    ]  # fmt: skip


def test_names_with_escapes_are_the_names_they_spell() -> None:
    assert [name for name, _ in members(b'{"user\\u0049d":1,"\\ud800":2,"\xff":3}', plenty())] == [
        b"userId", b"\xed\xa0\x80", b"\xff",
    ]  # fmt: skip


@pytest.mark.parametrize("data", [b"", b"[]", b"1", b"{", b"{}x", b'{"a":1,}', b'{"a"}', b"{1:2}"])
def test_members_refuse_what_is_no_object(data: bytes) -> None:
    with pytest.raises(Malformed):
        list(members(data, plenty()))


def test_text_keeps_lone_surrogates_and_joins_pairs() -> None:
    assert text_of(b'"\\ud83d\\ude00 \\udc00\\ud800 \\u0000"') == "\U0001f600 \udc00\ud800 \0"
    with pytest.raises(Malformed):
        text_of(b'"\xff"')
