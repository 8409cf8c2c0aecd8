"""Two counts of a month: which sources are the same, what differs, and what may be why."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headcount.counting.calendar import Period, parse_period
from headcount.errors import OperatorError, UsageError
from headcount.reconciling.aligning import Pair, aligned, read_mapping, unheeded, write_mapping
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


def test_of_sources_whose_days_are_as_alike_names_decide() -> None:
    ours, theirs = side(days([1])), side(days([1]))
    for each, names in ((ours, ["Web", "App", "Shop"]), (theirs, ["s-shop", "s-app", "s-web"])):
        for name in names:
            each.sources[name] = named(name, name, [20] * 31)
    found = {pair.theirs: pair.ours for pair in aligned(ours, theirs, {})}
    assert found == {"s-web": "Web", "s-app": "App", "s-shop": "Shop"}


def test_a_mapping_is_written_as_it_is_read(tmp_path: Path) -> None:
    ours, theirs = side(days([1])), side(days([1]))
    name = 'a "b" \\ \x7f \n店 \U0001f6d2'
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


def test_a_pair_with_no_day_in_common_is_unknown_and_outside_any_tolerance() -> None:
    both = days([10] * 31, [1] * 31)
    lacking = empty_days(OCTOBER)
    users = days([], [1] * 31)
    for ours, theirs in ((both, lacking), (lacking, both)):
        found = differences(
            side(both, web=ours, app=both, shop=both, idle=days([0] * 31)),
            side(both, web=theirs, app=both, shop=users, idle=lacking),
            [Pair(each, each, "id", 1.0) for each in ("web", "app", "shop", "idle")],
            LAST, Fraction(1),
        )  # fmt: skip
        of_web = [each for each in found if each.name == "web"]
        assert [(each.state, each.within) for each in of_web] == [("unknown", False)] * 2
        assert {each.metric.name for each in of_web} == {"api_calls", "mtu"}
        assert {each.ours or each.theirs for each in of_web} == {310, 31}
        assert "cannot be compared" in causes_of(of_web[0], Known())[0]
        # What tells of users alone is compared by them, and nothing beside nothing is no doubt.
        rest = {(each.name, each.metric.name) for each in found if each.name in ("shop", "idle")}
        assert rest == {("shop", "mtu")}
        assert all(each.within for each in found if each.name != "web")


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

    assert causes_of(apart, Known(), by_our_rules=True) == []
    [alone] = one(days(shifted), days([shifted[0]] + [b - a for a, b in pairwise(shifted)]))
    assert "give --new" in causes_of(alone, Known())[0]
    [nothing] = one(same, days([0] * 31))
    assert causes_of(nothing, Known()) == ["They have nothing of it in the month."]
    [lone] = differences(side(same, web=same), side(same, app=same), [], LAST, Fraction(0))[1:2]
    assert "--sources" in causes_of(lone, Known())[0]
    assert "--map" in causes_of(lone, Known(), by_our_rules=True)[0]

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
    # A source whose total does not change is left out on further days.
    assert web.days["api_calls"][:5] == [0, 1_000, 1_000, 1_500, 1_500]
    assert not any(found.sources["s2"].days["mtu"])
    assert found.sources["s2"].days["api_calls"][-1] == 7
    assert found.last_known == LAST

    month = read(tmp_path, "Billing Month,Events,Monthly Tracked Users\n2026-10,31000,310\n")
    assert month.workspace["api_calls"] == [None] * 30 + [31_000]
    assert read(tmp_path, "mtu\n5\n").workspace["mtu"][-1] == 5
    new = read(tmp_path, "day,mtu\n2026-10-01,5\n2026-10-03,-2\n", are_new=True)
    assert new.workspace["mtu"][:4] == [5, 5, 3, None]


@pytest.mark.parametrize(
    ("text", "calls"),
    [
        ("day;api_calls\n2026-10-01;1.234,00\n2026-10-02;2.000\n", [1234, 2000]),
        ("day;api_calls\n2026-10-01;12,0\n2026-10-02;2.000\n", [12, 2000]),
        ("sep=;\nday;api_calls\n2026-10-01;1234\n", [1234]),
        ("Day\tAPI calls\n2026/10/1\t1 234\n2026/10/2\t12 345 678\n", [1234, 12_345_678]),
        ("day|api_calls\n2026-10-01|1'234\n", [1234]),
        ('day,api_calls\n2026-10-01,"1,234,567.00"\n', [1_234_567]),
        ('day,api_calls\n2026-10-01,"12,34,567"\n', [1_234_567]),
        ("day,api_calls,\n2026-10-01,7,\n\n2026-10-02T00:00:00.000Z,8,\n", [7, 8]),
        ("day;source;api_calls;mtu\r\n2026-10-01;;5;\r\n", [5]),
    ],
)
def test_a_statement_is_read_as_many_countries_write_it(
    tmp_path: Path, text: str, calls: list[int]
) -> None:
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        path = tmp_path / "invoice.csv"
        path.write_bytes(text.encode(encoding))
        found = read_statement(path, OCTOBER, are_new=False)
        assert found.workspace["api_calls"][: len(calls) + 1] == [*calls, None]


def test_what_is_new_is_added_up_to_the_last_day_of_the_file(tmp_path: Path) -> None:
    text = "day,source,api_calls\n2026-10-01,web,5\n2026-10-03,app,7\n2026-10-04,app,1\n"
    new = read(tmp_path, text, are_new=True)
    assert new.sources["web"].days["api_calls"][:5] == [5, 5, 5, 5, None]
    assert new.sources["app"].days["api_calls"][:5] == [0, 0, 7, 8, None]


def test_a_month_in_a_column_of_days_is_a_month(tmp_path: Path) -> None:
    assert read(tmp_path, "Date,MTU\n2026-10,5\n").workspace["mtu"] == [0] * 30 + [5]
    both = read(tmp_path, "Source,Source ID,Month,MTU\nWeb,w1,2026-10,5\n")
    assert both.sources["w1"].name == "Web"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("day,api_calls\n2026-10-01,1,234\n", "line 2: it has more cells than the heading"),
        ("day;api_calls\n2026-10-01;1,5\n", '"1,5" in the column api_calls is no whole number'),
        ("day;api_calls\n2026-10-01;2.000\n", "may be 2 or 2000"),
        ("day;api_calls\n2026-10-01;1,234\n", "may be 1 or 1234"),
        ("day,api_calls\n2026-10-01,1.234\n", "may be 1 or 1234"),
        ("day,api_calls\n2026-10-01,1e6\n", "no whole number"),
        ("day,api_calls\n2026-10-01,-1\n", "no whole number from 0 on"),
        ('day,api_calls\n2026-10-01,"12,3,456"\n', "no whole number"),
        ('day,api_calls\n2026-10-01,"1\n2026-10-02,2\n', "it is no CSV"),
        ("day,mtu\n03/10/2026,1\n", '"03/10/2026" in the column day is no date'),
        ("day,mtu\n3.10.2026,1\n", "no date"),
        ("day,mtu\n2026-10-031,1\n", "no date"),
        ("day,mtu\n2026-1003,1\n", "no date"),
        ("day,mtu\n2026-10-03T22:00:00Z,1\n", "no date"),
        ("day,mtu\nTotal,1\n", "no date"),
        ("Datum,mtu\n2026-10-01,1\n2026-10-02,2\n", "line 2: no column is called day"),
        ("Invoice month,mtu\n2026-10,1\n", '"2026-10" in the column Invoice month looks like'),
        ("Invoice month,mtu\n2026-09,1\n", "line 2: no column is called day"),
        ("mtu,when\n1, 2026-09-30 to 2026-10-31\n", "looks like a time"),
        ("calls\n5\n6\n", "each row is about the whole month"),
        ("day;mtu\n2026-09-30;n/a.\n2026-10-01;2.000\n", "may be 2 or 2000"),
        ("day;mtu\n2026-09-30;1.5.2026\n2026-10-01;2.000\n", "may be 2 or 2000"),
        ("day,api_calls\n2026-10-01,9\n2026-10-02,8\n", "would fall from 9 to 8 on 2026-10-02"),
    ],
)
def test_what_may_be_read_in_two_ways_is_refused(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(UsageError) as refused:
        read(tmp_path, text)
    assert words in f"{refused.value}"


@pytest.mark.parametrize(
    "text",
    [
        "day,api_calls\n2026-10-01,5\n2026-10-02,6\n2026-10,11\n",
        "day,month,api_calls\n2026-10-01,2026-10,5\n2026-10-02,2026-10,6\n,2026-10,11\n",
    ],
)
def test_a_total_among_what_is_new_is_refused_and_not_added(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError, match=r"line 4: .* a whole month") as refused:
        read(tmp_path, text, are_new=True)
    assert "--new" in f"{refused.value}"


@pytest.fixture
def usual_cells() -> Iterator[None]:
    """Cells as large as Python reads them; an import in this process may have allowed larger."""
    former = csv.field_size_limit(131_072)
    yield
    csv.field_size_limit(former)


@pytest.mark.usefixtures("usual_cells")
def test_a_heading_with_a_huge_cell_is_refused_in_words_and_a_long_one_is_read(
    tmp_path: Path,
) -> None:
    with pytest.raises(UsageError, match="line 1: it is no CSV"):
        read(tmp_path, "day,api_calls," + "x" * 140_000 + "\n2026-10-01,5\n")
    # Only where nothing parted it would this be one cell.
    long = "day,api_calls" + ",x" * 70_000 + "\n2026-10-01,5\n"
    assert read(tmp_path, long).workspace["api_calls"][0] == 5


def test_a_file_that_is_no_text_is_refused_in_words(tmp_path: Path) -> None:
    path = tmp_path / "invoice.pdf"
    path.write_bytes(b"%PDF-1.7\n\xe2\xe3\xcf")
    for named, words in ((path, "not in UTF-8"), (tmp_path, "Is a directory")):
        with pytest.raises(OperatorError, match=words) as refused:
            read_statement(named, OCTOBER, are_new=False)
        assert "codec" not in f"{refused.value}"
        assert "Errno" not in f"{refused.value}"


def test_names_that_say_nothing_match_nothing() -> None:
    ours, theirs = side(days([1])), side(days([1]))
    for each, names in ((ours, ["\u2192", "Web", "App"]), (theirs, ["\u2190", "web", "WEB"])):
        for at, name in enumerate(names):
            # Days that are alike in no pair.
            calls = [0] * (10 * (each is ours) + 3 * at) + [5] + [0] * 5
            each.sources[f"{each is ours}{at}"] = named(f"{each is ours}{at}", name, calls)
    assert aligned(ours, theirs, {}) == []


def test_what_somebody_has_said_in_vain_is_told() -> None:
    ours, theirs = side(days([1])), side(days([1]))
    ours.sources["a"] = named("a", "Web", [3] * 31)
    theirs.sources["b"] = named("b", "Site", [3] * 31)
    theirs.sources["c"] = named("c", "Shop", [9] * 31)
    for said, words in (
        ({"Site": "Web"}, []),
        ({"Site": "Wbe"}, ['no source of ours is called "Wbe" in this month']),
        ({"Sight": "Web"}, ['no source of theirs is called "Sight" in this month']),
        ({"Site": "Web", "Shop": "a"}, ["one of both is said twice"]),
    ):
        pairs = aligned(ours, theirs, said)
        told = list(unheeded(said, pairs, ours, theirs))
        assert len(told) == len(words)
        assert all(part in told[0] for part in words)


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
