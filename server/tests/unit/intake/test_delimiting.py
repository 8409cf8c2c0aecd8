"""Elements of an array are found by their brackets alone, whatever is between them."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headcount.intake import delimiting
from headcount.intake.delimiting import elements
from headcount.intake.scanning import Malformed, Span, skip_space, value_end
from headcount.intake.work import StepBudget


def plenty() -> StepBudget:
    return StepBudget(10**9)


def elements_of(data: bytes) -> list[Span]:
    *found, (end, nothing) = elements(data, 0, plenty())
    assert end == nothing
    # Spans of nothing are pauses.
    return [(start, end) for start, end in found if start < end]


def test_elements_are_cut_out_by_their_brackets_whatever_is_in_them() -> None:
    data = b'[ {"a":NaN} , [[}] , "]}", {"x":"\\"}]\x00"} ]rest'
    assert [data[start:end] for start, end in elements_of(data)] == [
        b'{"a":NaN}', b"[[}]", b'"]}"', b'{"x":"\\"}]\x00"}',
    ]  # fmt: skip


@pytest.mark.parametrize(
    "data", [b"[", b"[{]", b"[1,]", b"[,1]", b"[1 2]", b"[nope]", b'["a]', b"[NaN]"]
)
def test_elements_refuse_a_broken_array(data: bytes) -> None:
    with pytest.raises(Malformed):
        elements_of(data)


def one_by_one(data: bytes) -> list[Span]:
    """The same, a byte at a time."""
    found: list[Span] = []
    at = skip_space(data, 1)
    if data[at : at + 1] == b"]":
        return found
    while True:
        end = bracketed(data, at) if data[at : at + 1] in (b"[", b"{") else scalar(data, at)
        found.append((at, end))
        at = skip_space(data, end)
        if data[at : at + 1] == b"]":
            return found
        if data[at : at + 1] != b",":
            raise Malformed
        at = skip_space(data, at + 1)


def scalar(data: bytes, at: int) -> int:
    return value_end(data, at, plenty())


def bracketed(data: bytes, at: int) -> int:
    depth, in_string, escaped = 0, False, False
    for position in range(at, len(data)):
        byte = data[position : position + 1]
        if in_string:
            in_string = escaped or byte != b'"'
            escaped = byte == b"\\" and not escaped
        elif byte == b'"':
            in_string = True
        else:
            depth += (byte in b"[{") - (byte in b"]}")
            if not depth:
                return position + 1
    raise Malformed


soup = st.recursive(
    st.sampled_from([b"1", b'"[{"', rb'"\\\""', b"", b"x", b" ", b"{}", b'"' + b"a" * 40 + b'"']),
    lambda inner: st.tuples(
        st.sampled_from(
            [(b"[", b"]"), (b"{", b"}"), (b'{"[":', b"}"), (b"[ ", b"]"), (b"[", b"}")]
        ),
        st.integers(1, 40),
        st.lists(inner, min_size=1, max_size=3),
    ).map(lambda made: made[0][0] * made[1] + b",".join(made[2]) + made[0][1] * made[1]),
    max_leaves=8,
)


@given(
    st.lists(soup, max_size=4), st.integers(0, 3000),
    st.sampled_from([b"", b"", b"]", b"[", b'"', b"\\", b","]), st.sampled_from([3, 50, 1 << 16]),
)  # fmt: skip
def test_elements_are_those_that_are_found_one_by_one(
    parts: list[bytes], at: int, extra: bytes, window_bytes: int
) -> None:
    data = b"[" + b", ".join(parts) + b"]}"
    data = data[: at + 1] + extra + data[at + 1 :]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(delimiting, "_WINDOW_BYTES", window_bytes)
        assert outcome(elements_of, data) == outcome(one_by_one, data)


def outcome(find: Callable[[bytes], list[Span]], data: bytes) -> object:
    try:
        return find(data)
    except Malformed:
        return "malformed"
