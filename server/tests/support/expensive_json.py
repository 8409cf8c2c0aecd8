"""Bodies that are expensive to parse for their size, of many kinds, and an ordinary one."""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import strategies as st

PLAIN = b'{"type":"page","userId":"u1","messageId":"m123456789012"}'

# What the fast decoder refuses somewhere in its body, so that the tolerant one has to read it.
ODD = rb'"x":"\ud800"'


def nested(opening: bytes, closing: bytes, levels: int) -> bytes:
    """A value in the middle of brackets."""
    return opening * levels + b"1" + closing * levels


# Small things that are repeated: as elements of an array, or as members of an object.
ELEMENTS = {
    "empty objects": b"{}",
    "arrays in arrays": b"[[1]]",
    "deeper than one match passes over": nested(b"[", b"]", 6),
    "deeper than one match delimits": nested(b'{"":', b"}", 30),
    "names that hold brackets": nested(b'{"[":', b"}", 6),
    "white space in deep brackets": nested(b"[ ", b"\n]", 6),
    "lone surrogates": rb'"\ud800"',
    "brackets in strings": b'"[{"',
    "infinite numbers": b"1e999",
    "nulls": b"null",
    "spaces": b"{        }",
}
MEMBERS = {
    "short names": b'"":0',
    "names in escapes": rb'"\n":0',
    "names with lone surrogates": rb'"\udfff":0',
    "an id again and again": b'"userId":"u"',
    "an id in escapes": rb'"userId":"\ud800\n"',
    "large integers": b'"messageId":' + b"9" * 300,
    "the batch again": b'"batch":[]',
    "the batch in escapes": rb'"b\u0061tch":[{}]',
    "a key again and again": rb'"writeKey":"\ud800"',
    "deep values": b'"d":' + nested(b'[{"":', b"}]", 9),
}
ITEMS = {
    "malformed": b'{"a":}',
    "malformed with deep brackets": b'{"a":' + nested(b"[", b"]", 40) + b",}",
    "no ids": rb'{"userId":1e999}',
    "lone surrogates": rb'{"userId":"\ud800","type":"page"}',
    "no objects": b"null",
    "deep": b'{"d":' + nested(b'{"":', b"}", 1500) + b"}",
    "up and down": b'{"d":[' + b",".join([nested(b"[", b"]", 5)] * 300) + b"]," + ODD + b"}",
    "many members": b"{" + b",".join([b'"":0'] * 500) + b"," + ODD + b"}",
}  # fmt: skip
STRINGS = {
    "escapes": rb"\n",
    "escaped quotes": rb"\"",
    "lone surrogates": rb"\ud800",
    "backslashes": rb"\\",
    "brackets": b"[]{}",
}


def _filled(before: bytes, unit: bytes, after: bytes, size: int, most: int = 10**9) -> bytes:
    count = max(1, (size - len(before) - len(after)) // (len(unit) + 1))
    return before + b",".join([unit] * min(count, most)) + after


def bodies(size: int) -> Iterator[tuple[str, bytes]]:
    """One body of each kind, of about a size, each with what it is."""
    for kind, unit in ITEMS.items():
        yield f"messages: {kind}", _filled(b'{"batch":[', unit, b"]}", size, 99_999)
    for kind, unit in ELEMENTS.items():
        yield f"items: {kind}", _filled(b"{" + ODD + b',"batch":[', unit, b"]}", size, 99_999)
        yield f"around: {kind}", _filled(b'{"a":[', unit, b'],"batch":[],' + ODD + b"}", size)
        yield (
            f"in items: {kind}",
            _filled(
                b'{"batch":[', _filled(b"{" + ODD + b',"a":[', unit, b"]}", 30_000), b"]}", size
            ),
        )
        yield f"in one item: {kind}", _filled(b'{"batch":[{"a":},[', unit, b"]]}", size)
        yield f"never closed: {kind}", _filled(b'{"batch":[{"a":},[', unit, b"", size)
    for kind, unit in MEMBERS.items():
        yield f"around: {kind}", _filled(b"{" + ODD + b',"batch":[],', unit, b"}", size)
        item = _filled(b"{" + ODD + b",", unit, b"}", 30_000)
        yield f"in items: {kind}", _filled(b'{"batch":[', item, b"]}", size)
    for kind, unit in STRINGS.items():
        text = unit * (size // len(unit))
        yield f"a string around: {kind}", b'{"a":"' + text + b'",' + ODD + b',"batch":[]}'
        yield f"a string in an item: {kind}", b'{"batch":[{"a":},{"a":"' + text + b'"}]}'
        yield f"a string without end: {kind}", b'{"batch":[{"a":},{"a":"' + text
        short = b'{"type":"page","userId":"' + unit * (800 // len(unit)) + b'"}'
        yield f"strings in items: {kind}", _filled(b'{"batch":[', short, b"]}", size)
    for kind, opening, closing in (("arrays", b"[", b"]"), ("objects", b'{"":', b"}")):
        deep = nested(opening, closing, size // len(opening + closing))
        yield f"one deep value around: {kind}", b'{"a":' + deep + b',"batch":[]}'
        yield f"one deep item: {kind}", b'{"batch":[{"a":},' + deep + b"]}"
        yield f"a deep body: {kind}", deep
    yield "white space", b"{" + ODD + b"," + b" " * size + b'"batch":[]}'
    yield "digits", b"{" + ODD + b',"n":' + b"9" * size + b',"batch":[]}'
    yield "a byte order mark", b"\xef\xbb\xbf" + _filled(b'{"batch":[', PLAIN, b"]}", size)
    yield "odd at its end", _filled(b'{"batch":[', PLAIN, b"]," + ODD + b"}", size)
    yield "odd in its last item", _filled(b'{"batch":[', PLAIN, b",{" + ODD + b"}]}", size)


def ordinary(size: int) -> bytes:
    """A batch as libraries send it, only larger."""
    return _filled(b'{"batch":[', PLAIN, b"]}", size)


hostile_items = st.one_of(
    st.sampled_from([*ITEMS.values(), *ELEMENTS.values()]),
    st.builds(
        lambda units, size: _filled(b'{"a":[' , b",".join(units), b"]," + ODD + b"}", size),
        st.lists(st.sampled_from([*ELEMENTS.values()]), min_size=1, max_size=4),
        st.integers(10, 20_000),
    ),
    st.builds(
        lambda units, size: _filled(b"{", b",".join(units), b"," + ODD + b"}", size),
        st.lists(st.sampled_from([*MEMBERS.values()]), min_size=1, max_size=4),
        st.integers(10, 20_000),
    ),
)  # fmt: skip
"""Single items, each of which its batch-mates have to survive."""
