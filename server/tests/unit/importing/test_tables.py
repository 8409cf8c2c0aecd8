"""Names of tables, times as databases write them, and the sources that folders name."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from headcount.catalog import Catalog, Source
from headcount.importing.archive_sources import ArchiveSources, vendors_source
from headcount.importing.inputs import found_inputs
from headcount.importing.tables import table_type, time_text
from headcount.intake import SourceRef


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("tracks.csv", "track"),
        ("out/IDENTIFIES.Parquet", "identify"),
        ("pages.csv.gz", "page"),
        ("prod.screens.csv", "screen"),
        ("web_prod.groups.parquet", "group"),
        ("aliases.snappy.parquet", "alias"),
        ("tracks_0001.csv", "track"),
        ("tracks-2026-11-05.csv.gz", "track"),
        ("tracks.part-00003.csv", "track"),
        ("tracks_000000000000.parquet", "track"),
        ("track.csv", "track"),
        ("w/tracks/part-00000-6b1f.c000.snappy.parquet", "track"),
        ("w/Identifies/date=2026-11-05/0.parquet", "identify"),
        ("w/tracks/identifies.csv", "identify"),
        ("users.csv", ""),
        ("prod.accounts.parquet", ""),
        ("order_completed.csv", None),
        ("landing_pages.csv", None),
        ("events.csv", None),
        ("tracksuits.csv", None),
        ("", None),
    ],
)
def test_the_name_of_a_table_says_of_which_type_its_messages_are(
    path: str, kind: str | None
) -> None:
    assert table_type(path) == kind


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-05T10:00:00Z", "2026-11-05T10:00:00Z"),
        ("2026-11-05 10:00:00+00", "2026-11-05T10:00:00+00:00"),
        ("2026-11-05 10:00:00.123456-07", "2026-11-05T10:00:00.123456-07:00"),
        ("2026-11-05 10:00:00.123 UTC", "2026-11-05T10:00:00.123Z"),
        ("2026-11-05 10:00:00 +0530", "2026-11-05T10:00:00+05:30"),
        ("2026-11-05 10:00:00,5 Z", "2026-11-05T10:00:00.5Z"),
        (datetime(2026, 11, 5, 10, 0, 0, 999_999, UTC), "2026-11-05T10:00:00.999Z"),
        ("2026-11-05", "2026-11-05"),
        ("05/11/2026 10:00", "05/11/2026 10:00"),
        (1_762_336_800, 1_762_336_800),
    ],
)
def test_times_as_databases_write_them(text: object, expected: object) -> None:
    assert time_text(text, None, "Z") == (expected, True)


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("s3://b/segment-logs/qXz81/1762300800000/1.gz", "qXz81"),
        ("/data/segment-logs/qXz81/1762300800000/1.gz", "qXz81"),
        ("/data/copy/qXz81/1762300800000/1.gz", "qXz81"),
        ("gs://b/prefix/rudder-logs/2HxS/2026-11-05/1.2HxS.x.json.gz", "2HxS"),
        ("rudder-logs/2HxS/11-05-2026/1.json.gz", "2HxS"),
        ("az://c/raw/2HxS/gw/2026-11-05/9/1/1_2_w_u.json.gz", "2HxS"),
        # A number that is no day in milliseconds, and folders that are only days.
        ("/data/x/1762300800001/1.gz", None),
        ("/data/archive/2026-11-05/1.gz", None),
        ("/segment-logs/x.gz", None),
        ("", None),
    ],
)
def test_the_layouts_of_vendors_name_a_source(path: str, source: str | None) -> None:
    assert vendors_source(path) == source


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    catalog = Catalog(tmp_path / "catalog.sqlite")
    shop = catalog.add_workspace("Shop", 0)
    for name in ("web", "qXz81"):
        catalog.add_source(shop.number, name, 0)
    other = catalog.add_workspace("Other", 0)
    catalog.add_source(other.number, "foreign", 0)
    return catalog


def test_a_name_stands_for_what_the_map_says_then_a_source_then_a_new_one(
    catalog: Catalog,
) -> None:
    with catalog:
        shop = catalog.workspaces()[0]
        web, named = catalog.sources(shop.number)
        [foreign] = catalog.sources(2)

        def make(name: str) -> Source:
            return catalog.add_source(shop.number, name, 0)

        sources = ArchiveSources(catalog, shop, {"mapped": web, "k": web, "i": web}, make)

        def number(*names: str | None) -> int | None:
            found = sources.find(*names)
            return None if found is None else found.source

        assert number(None, None, "mapped") == web.number
        assert number(None, "i", None) == web.number
        assert number("k", None, None) == web.number
        assert number(None, None, "qXz81") == named.number
        assert number(None, None, named.id) == named.number
        # What is known here comes before what a vendor calls it; what is not, does not.
        assert number(web.write_key, None, "qXz81") == web.number
        assert number("a vendor's key", None, "qXz81") == named.number
        assert number(None, "a vendor's id", "qXz81") == named.number
        # Another workspace's source is none of this one's.
        assert number(foreign.write_key, None, None) is None
        assert sources.made == []
        first = number(None, None, "new")
        assert number(None, None, "new") == first is not None
        sources.of_file = "of the folder"
        second = number(None, None, None)
        assert number("a vendor's key", None, None) == second is not None
        assert sources.made == ["new", "of the folder"]
        assert [each.name for each in catalog.sources(shop.number)][2:] == sources.made
        assert sources.name_of(SourceRef(1, second, True)) == "of the folder"
        # No source can be called so.
        sources.of_file = None
        assert number(None, None, "a\nb") is None
        assert sources.unknown == ["a\nb"]


def test_two_imports_that_make_one_source_have_one(catalog: Catalog) -> None:
    with catalog:
        shop = catalog.workspaces()[0]

        def make(name: str) -> Source:
            catalog.add_source(shop.number, name, 0)  # by the other one, a moment before
            return catalog.add_source(shop.number, name, 0)

        found = ArchiveSources(catalog, shop, {}, make).find(None, None, "new")
        assert found is not None
        assert [each.number for each in catalog.sources(shop.number)][2:] == [found.source]


def test_every_file_of_a_folder_is_taken_or_left_out_by_name(tmp_path: Path) -> None:
    taken = [
        "a.ndjson",
        "B.JSON",
        "c.Jsonl.GZ",
        "d.csv",
        "e.TSV.zst",
        "f.Parquet",
        "g.gz",
        "h.log.gz",
    ]
    left = ["i.log", "j", "notes.txt", ".DS_Store", "k.zip", "l.json.bz2", "m.parquet.crc"]
    inside = tmp_path / "x" / "deep"
    inside.mkdir(parents=True)
    for name in (*taken, *left):
        (inside / name).write_text("{}")
    (inside / "gone.json").symlink_to("nowhere")
    (inside / "around").symlink_to(tmp_path / "x")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "n.json").write_text("{}")
    (inside / "link").symlink_to(elsewhere)
    found = found_inputs([str(tmp_path / "x")])
    assert sorted(Path(each.name).name for each in found.inputs) == sorted([*taken, "n.json"])
    assert sorted(Path(each.name).name for each in found.left_out) == sorted([*left, "gone.json"])
    assert "compressed with bzip2" in next(
        each.why for each in found.left_out if each.name.endswith("bz2")
    )
    skipping = found_inputs([str(tmp_path / "x")], ["*.log", "*/deep/j", "l.*", "[.gmkn]*"])
    assert (len(skipping.left_out), skipping.skipped) == (0, 10)
