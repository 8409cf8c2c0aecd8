"""Two counts of a month: which sources are the same, what differs, and what may be why."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headcount.counting.calendar import Period, parse_period
from headcount.errors import OperatorError, UsageError
from headcount.reconciling.aligning import aligned, read_mapping, write_mapping
from headcount.reconciling.causes import Known, causes_of
from headcount.reconciling.counts import CountedMonth, Days, SourceDays, empty_days
from headcount.reconciling.differing import Difference, differences
from headcount.reconciling.statement import read_statement

OCTOBER = parse_period("2026-10-01")
LAST = OCTOBER.length - 1


def running(new: list[int]) -> list[int | None]:
    return [sum(new[: day + 1]) for day in range(len(new))]


def days(calls: list[int], users: list[int] | None = None, period: Period = OCTOBER) -> Days:
    found = empty_days(period)
    found["api_calls"][: len(calls)] = running(calls)
    if users is not None:
        found["mtu"][: len(users)] = running(users)
    return found


def side(workspace: Days, **sources: Days) -> CountedMonth:
    return CountedMonth(
        OCTOBER, workspace, {name: SourceDays(name, name, each) for name, each in sources.items()}
    )


def named(source_id: str, name: str, calls: list[int]) -> SourceDays:
    return SourceDays(source_id, name, days(calls))


def test_sources_are_aligned_by_word_id_name_and_usage_in_this_order() -> None:
    month = [10, 20, 30] + [25] * 28
    other = [7] * 31
    ours = CountedMonth(OCTOBER, days(month))
    theirs = CountedMonth(OCTOBER, days(month))
    for each in (named("a", "Web shop", month), named("b", "App", other), named("c", "Till", month),
                 named("d", "Odd", [1] * 31), named("e", "Quiet", [900] * 31)):  # fmt: skip
        ours.sources[each.id] = each
    near = [each + each // 20 for each in other]
    for each in (named("c", "elsewhere", other), named("x", "web-SHOP", other),
                 named("y", "?", near), named("z", "nowhere", [500_000] * 31)):  # fmt: skip
        theirs.sources[each.id] = each
    found = {pair.theirs: (pair.ours, pair.why) for pair in aligned(ours, theirs, {})}
    assert found == {"c": ("c", "id"), "x": ("a", "name"), "y": ("b", "usage")}
    said = aligned(ours, theirs, {"nowhere": "Quiet", "gone": "a"})
    assert {pair.theirs: (pair.ours, pair.why) for pair in said}["z"] == ("e", "said")


def test_a_mapping_is_written_as_it_is_read(tmp_path: Path) -> None:
    ours, theirs = side(days([1])), side(days([1]))
    name = 'a "b" \\ \x7f \n店'
    for each in (ours, theirs):
        each.sources[name] = named(name, name, [3] * 31)
    path = tmp_path / "sources.toml"
    write_mapping(path, aligned(ours, theirs, {}), ours, theirs)
    assert read_mapping(path) == {name: name}
    for text, word in (("[", "TOML"), ("x = 1", "more than"), ("[sources]\na = 1", "no text")):
        path.write_text(text)
        with pytest.raises(UsageError, match=word):
            read_mapping(path)
    with pytest.raises(OperatorError):
        read_mapping(tmp_path / "none.toml")


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=31, max_size=31),
    st.integers(0, 30),
)
def test_what_days_add_is_the_difference(pairs: list[tuple[int, int]], last_day: int) -> None:
    ours, theirs = (side(days([each[of] for each in pairs])) for of in (0, 1))
    [found] = differences(ours, theirs, [], last_day, Fraction(0))
    assert len(found.days) == last_day + 1
    assert sum(each.added for each in found.days) == found.difference
    assert found.difference == sum(t - o for o, t in pairs[: last_day + 1])
    assert found.within == (found.difference == 0)


def test_a_source_on_one_side_alone_is_outside_any_tolerance() -> None:
    ours = side(days([10] * 31), web=days([6] * 31), app=days([4] * 31))
    theirs = side(days([10] * 31), web=days([6] * 31), shop=days([4] * 31))
    pairs = aligned(ours, theirs, {"web": "web"})
    # App and shop have the same days, and would be taken for one.
    assert {(pair.theirs, pair.ours) for pair in pairs} == {("web", "web"), ("shop", "app")}
    found = differences(ours, theirs, pairs[:1], LAST, Fraction(1))
    states = {each.name: (each.state, each.within) for each in found}
    assert states == {
        "workspace": ("matched", True), "web": ("matched", True),
        "app": ("ours-only", False), "shop": ("theirs-only", False),
    }  # fmt: skip


@pytest.mark.parametrize(("tolerance", "within"), [("0.0099", False), ("0.01", True)])
def test_a_tolerance_is_exact(tolerance: str, within: bool) -> None:
    found = differences(side(days([100])), side(days([101])), [], LAST, Fraction(tolerance))
    assert found[0].within is within


def one(ours: Days, theirs: Days) -> list[Difference]:
    return differences(side(ours), side(theirs), [], LAST, Fraction(0))


def test_causes_are_said_where_numbers_bear_them_out_and_nowhere_else() -> None:
    steady, same = [100] * 31, days([100] * 31)
    [equal] = one(same, same)
    assert causes_of(equal, Known(duplicates=500)) == []

    [more] = one(same, days([110] * 31))
    assert "repeats" in causes_of(more, Known(duplicates=300))[0]
    assert "rejected" in causes_of(more, Known(rejected=310))[0]
    both = causes_of(more, Known(duplicates=200, rejected=110))
    assert "200 repeats and 110 rejected" in both[0]
    [shape] = causes_of(more, Known(duplicates=10))
    assert "about the same share (10.0%)" in shape

    [fewer] = one(same, days([0 if day in (3, 4) else 100 for day in range(31)]))
    assert "few days (day 4, 5 of the month)" in causes_of(fewer, Known())[0]
    assert causes_of(fewer, Known())[0].endswith("there then.")

    shifted = [80, 120] * 15 + [100]
    [apart] = one(same, days(shifted))
    assert "time zone" in causes_of(apart, Known())[0]

    [users, _] = one(days(steady, [10] * 31), days(steady, [12] * 31))
    known = Known(known_later=62, summed_mtu=310 + 62)
    assert len(causes_of(users, known)) == 3  # the shape of the days besides
    assert "anonymous ids belong to users" in causes_of(users, known)[0]
    assert causes_of(users, Known(duplicates=62))[0].startswith("Every day differs")


def read(tmp_path: Path, text: str, *, are_new: bool = False) -> CountedMonth:
    path = tmp_path / "invoice.csv"
    path.write_text(text, "utf-8")
    return read_statement(path, OCTOBER, are_new=are_new)


def test_a_statement_is_found_out_by_its_heading(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        "\ufeffDate,Source ID,Source Name,API Calls,MTUs\n"
        '2026-10-02,s1,Web,"1,000",10\n2026-10-04,s1,Web,1 500.0,12\n'
        "2026-09-30,s1,Web,99,99\n2026-10-31,s2,,7,\n",
    )
    web = found.sources["s1"]
    assert web.name == "Web"
    assert web.days["api_calls"][:5] == [0, 1_000, 1_000, 1_500, None]
    assert not any(found.sources["s2"].days["mtu"])
    assert found.sources["s2"].days["api_calls"][-1] == 7
    assert found.last_known == LAST

    month = read(tmp_path, "Billing Month,Events,Monthly Tracked Users\n2026-10,31000,310\n")
    assert month.workspace["api_calls"] == [None] * 30 + [31_000]
    assert read(tmp_path, "mtu\n5\n").workspace["mtu"][-1] == 5
    new = read(tmp_path, "day,mtu\n2026-10-01,5\n2026-10-03,-2\n", are_new=True)
    assert new.workspace["mtu"][:4] == [5, 5, 3, None]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no column of counts"),
        ("day,source\n2026-10-01,a\n", "no column of counts"),
        ("day,mtu,MTUs\n", "two columns"),
        ("day,mtu\nsoon,1\n", 'line 2: "soon" in the column day is no date'),
        ("day,mtu\n2026-10-32,1\n", "no date"),
        ("day,mtu\n2026-10-01,many\n", "no whole number"),
        ("day,mtu\n2026-10-01,1.5\n", "no whole number"),
        ("day,mtu\n2026-10-01,1\n2026-10-01,2\n", "line 2 already"),
        ("day,mtu\n2026-11-01,1\n", "no row of 2026-10"),
    ],
)
def test_a_statement_that_cannot_be_meant_is_refused_by_line(
    tmp_path: Path, text: str, words: str
) -> None:
    with pytest.raises(UsageError) as refused:
        read(tmp_path, text)
    assert words in f"{refused.value}"
