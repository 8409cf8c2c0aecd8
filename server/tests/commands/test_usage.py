"""`headcount usage` and `headcount export` run as the real program against a real server."""

from __future__ import annotations

import csv
import io
import json
import struct
import subprocess
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

from headcount.cli.reading.drawing import DrawnMonth, picture
from headcount.cli.reading.focus import FOCUS_COLUMNS
from headcount.cli.reading.showing import caption
from headcount.cli.reading.usage_rows import Query, Row
from headcount.counting.calendar import Period
from headcount.extras import install_command
from support.forecasts import forecast_from
from support.program import PROGRAM, Program, environment
from support.scripted_api import scripted
from support.server_fixture import Shop, serving

JANUARY, FEBRUARY = ("--period", "2021-01"), ("--period", "2021-02")
FOCUS = ("--format", "focus")
MINUS_EXTRAS = (
    "import sys\nsys.modules.update(dict.fromkeys(('pyarrow', 'vl_convert', 'obstore')))\n"
)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A workspace with January and February 2021: two sources, the second from 10 February on."""
    folder = tmp_path_factory.mktemp("usage")
    with serving(folder) as server:
        shop = server.shop("Shop", "web", "=店 [b]")
        january = [("web", 31, {"userId": "u1"})]
        february = [("web", day, {"anonymousId": f"a{day}"}) for day in range(1, 29)]
        february += [("=店 [b]", 10, {"userId": "u1", "anonymousId": "a1"})]
        for month, messages in ((1, january), (2, february)):
            lines = [
                {
                    "type": "page",
                    "messageId": f"{source} {month} {day}",
                    "receivedAt": f"2021-{month:02d}-{day:02d}T10:00:00Z",
                    "writeKey": shop.write_keys[source],
                    **ids,
                }
                for source, day, ids in messages
            ]
            file = folder / f"{month}.ndjson"
            file.write_text("".join(json.dumps(each) + "\n" for each in lines))
            imported = server.program.run("import", str(file), "--workspace", "Shop")
            assert imported.returncode == 0, imported.stderr
        plan = ("plan", "set", "--workspace", "Shop")
        server.program.run(*plan, "--mtu", "27", "--from", "beginning")
        server.program.run(*plan, "--mtu", "30", "--from", "2021-02-28")
        server.program.run(*plan, "--mtu", "1")  # from today on
        price = ("plan", "price", "2.50", "--workspace", "Shop", "--metric", "mtu", "--per", "1")
        server.program.run(*price, "--currency", "usd", "--from", "beginning")
        (folder / "token").write_text(shop.token + "\n")
        yield shop


@pytest.fixture
def program(shop: Shop, tmp_path: Path) -> Program:
    """The program on the server's data folder, with no token but the one that is given."""
    return Program(data=shop.server.program.data, cwd=tmp_path)


def read(program: Program, shop: Shop, *arguments: str) -> str:
    """What a command prints that must succeed; the token is nowhere in it."""
    finished = program.run(*arguments, HEADCOUNT_TOKEN=shop.token)
    assert finished.returncode == 0, finished.stderr
    assert shop.token not in finished.stdout + finished.stderr
    return finished.stdout


def refused(finished: subprocess.CompletedProcess[str], status: int, *words: str) -> None:
    """The command failed as it should: its status, one line on standard error, no data."""
    assert (finished.returncode, finished.stdout) == (status, ""), finished.stderr
    assert finished.stderr.startswith("Error: ")
    assert len(finished.stderr.splitlines()) == 1
    for word in words:
        assert word in finished.stderr


def test_a_table_has_a_row_a_day_and_its_caption_is_no_data(program: Program, shop: Shop) -> None:
    finished = program.run("usage", *FEBRUARY, HEADCOUNT_TOKEN=shop.token)
    assert finished.returncode == 0
    headings, *lines = finished.stdout.splitlines()
    assert headings.split("  ")[0] == "day"
    assert "API calls" in headings
    assert [line.split()[0] for line in lines] == [f"2021-02-{day:02d}" for day in range(1, 29)]
    # On the 10th u1 and the device a1 become one tracked user.
    assert lines[8].split()[1:] == ["9", "9", "0", "9", "9", "0"]
    assert lines[9].split()[1:] == ["11", "10", "1", "9", "10", "1"]
    assert "February 2021, UTC; counted up to 20" in finished.stderr
    assert "up to 2021-01-31: API calls +28 (+2,800 %) and MTU +27 (+2,700 %)." in finished.stderr
    assert "Used of the plan: MTU 93.3 % of 30.\n" in finished.stderr
    assert "Estimate" not in finished.stderr, "the month is over"


def test_a_table_of_sources_has_the_largest_first(program: Program, shop: Shop) -> None:
    shown = read(program, shop, "usage", *FEBRUARY, "--by", "source", "--last").splitlines()
    assert [line.split("  ")[1] for line in shown[1:]] == ["web", "=店 [b]"]


def test_a_caption_says_where_the_month_will_end() -> None:
    of_plan = {
        "month": {"countedUntil": "2026-11-23T10:00:00.000Z", "totals": {"mtu": 9, "apiCalls": 70}},
        "planLimits": {"mtu": None, "apiCalls": 1_000},
        "estimates": {"apiCalls": {"likely": 1_540, "low": 1_496, "high": 1_600}},
    }
    _, plan, estimate = caption(Period(2026 * 12 + 10), of_plan)
    assert plan == "Used of the plan: API calls 7.0 % of 1,000."
    assert estimate == (
        "Estimate for 2026-11-30, right in four cases of five:"
        " API calls about 1,540 (1,496 to 1,600)."
    )
    of_plan["estimates"] = {"apiCalls": {"likely": 11, "low": 11, "high": 11}}
    *_, estimate = caption(Period(2026 * 12 + 10), of_plan)
    assert estimate.endswith(": API calls about 11.")


def test_a_caption_says_what_was_used_beyond_the_plan() -> None:
    used = {"mtu": 20_942, "apiCalls": 5}
    told = {
        "month": {"countedUntil": "2026-11-23T10:00:00.000Z", "totals": used},
        "planLimits": {"mtu": 12_000, "apiCalls": 0},
    }
    _, plan = caption(Period(2026 * 12 + 10), told)
    assert plan == (
        "Used of the plan: MTU 175 % of 12,000 (8,942 over 12,000), API calls 5 of 0 (5 over 0)."
    )


def test_a_month_is_held_against_any_other(program: Program, shop: Shop) -> None:
    january = ("usage", "--period", "2021-01", "--beside", "2021-02")
    finished = program.run(*january, HEADCOUNT_TOKEN=shop.token)
    assert finished.returncode == 0, finished.stderr
    gone = "API calls \N{MINUS SIGN}28 (\N{MINUS SIGN}96.6 %)"
    assert f"Against February 2021, up to 2021-02-28: {gone} and MTU" in finished.stderr
    drawn = program.run(*january, "--plot", "both.svg", HEADCOUNT_TOKEN=shop.token)
    assert drawn.returncode == 0, drawn.stderr
    picture = (program.cwd / "both.svg").read_text()
    assert "January 2021" in picture
    assert "February 2021" in picture
    refused(program.run(*january, "--json", HEADCOUNT_TOKEN=shop.token), 2, "--beside")
    early = ("usage", "--period", "2021-02", "--beside", "2020-12")
    finished = program.run(*early, HEADCOUNT_TOKEN=shop.token)
    refused(finished, 2, "December 2020", "--beside")
    finished = program.run(*early, "--plot", "none.svg", HEADCOUNT_TOKEN=shop.token)
    assert finished.returncode == 1
    assert "2020-12-01" in finished.stderr
    assert not (program.cwd / "none.svg").exists()


def test_an_export_says_what_the_plan_of_each_month_included(program: Program, shop: Shop) -> None:
    wanted = ("export", "--from", "2021-01", "--to", "2021-02", "--metric", "mtu", "--limits")
    lines = list(csv.DictReader(read(program, shop, *wanted).splitlines()))
    assert {line["day"][:7]: line["mtu_limit"] for line in lines} == {
        "2021-01": "27", "2021-02": "30"
    }  # fmt: skip
    for line in lines:
        over = int(line["mtu"]) - int(line["mtu_limit"])
        assert line["mtu_over"] == str(max(0, over))
    rows = json.loads(read(program, shop, *wanted, "--new", "--json"))
    assert rows[-1]["mtuLimit"] == 30
    assert {"newMtu", "mtuOver"} <= rows[-1].keys()
    refused(program.run(*wanted, "--by", "source", HEADCOUNT_TOKEN=shop.token), 2, "--by workspace")


def test_a_month_in_the_shape_of_focus_adds_up_to_what_it_costs(
    program: Program, shop: Shop
) -> None:
    rows = list(csv.DictReader(io.StringIO(read(program, shop, "usage", *JANUARY, *FOCUS))))
    assert {row["BilledCost"] for row in rows} == {"0", "0.00"}

    # February has a limit of 30 tracked users on its last day, and 28 of them; less is charged.
    def plan(command: str, *more: str) -> None:
        program.run("plan", command, "--workspace", "Shop", *more, "--from", "2021-02-28")

    plan("set", "--mtu", "25")
    try:
        text = read(program, shop, "usage", *FEBRUARY, *FOCUS)
        caption = program.run("usage", *FEBRUARY, HEADCOUNT_TOKEN=shop.token).stderr
    finally:
        plan("set", "--mtu", "30")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert tuple(rows[0]) == FOCUS_COLUMNS
    of_users = [row for row in rows if row["SkuId"] == "mtu"]
    used = sum(int(row["ConsumedQuantity"]) for row in of_users)
    steps = sum(int(row["PricingQuantity"]) for row in of_users)
    cost = sum(Decimal(row["BilledCost"]) for row in of_users)
    assert (used, steps, cost) == (28, 3, Decimal("7.50"))
    assert "3 over 25, USD 7.50" in caption
    for row in of_users:
        assert row["BillingCurrency"] == "USD"
        assert row["BillingPeriodStart"] == "2021-02-01T00:00:00Z"
        assert row["BillingPeriodEnd"] == "2021-03-01T00:00:00Z"
        assert row["SkuPriceId"] == "mtu@beginning"
    calls = [row for row in rows if row["SkuId"] == "apiCalls"]
    assert {row["BillingCurrency"] for row in calls} == {""}
    assert sum(int(row["ConsumedQuantity"]) for row in calls) == 29
    for wrong in (("--by", "source"), ("--last",), ("--watch",)):
        finished = program.run("usage", *FEBRUARY, *FOCUS, *wrong, HEADCOUNT_TOKEN=shop.token)
        refused(finished, 2, "Leave" if wrong != ("--watch",) else "Use --format")


def test_a_price_is_set_shown_and_taken_back(program: Program, shop: Shop) -> None:
    change = ("--workspace", "Shop", "--metric", "api-calls", "--from", "2021-01-01")
    price = ("plan", "price", "0.0004", *change, "--per", "10", "--currency", "EUR")
    assert "EUR 0.0004 for each 10" in program.run(*price).stdout
    told = program.json("plan", "show", "--workspace", "Shop")["prices"]
    assert [each["price"]["currency"] for each in told] == ["USD", "EUR"]
    refused(program.run("plan", "price", "1", *change), 2, "--per", "--currency")
    refused(
        program.run("plan", "price", "much", *change, "--per", "1", "--currency", "EUR"),
        2, "much", "12.50",
    )  # fmt: skip
    refused(
        program.run("plan", "price", "1", *change, "--per", "1", "--currency", "euro"), 2, "EUR"
    )
    assert program.run("plan", "take-back", *change, "--price").returncode == 0
    refused(program.run("plan", "take-back", *change, "--price"), 2, "No price")


def test_every_format_holds_the_same_rows(program: Program, shop: Shop) -> None:
    by_source = ("usage", *FEBRUARY, "--by", "source")
    rows = json.loads(read(program, shop, *by_source, "--json"))
    assert len(rows) == 28 + 19
    assert rows[-1] == {
        "day": "2021-02-28",
        "sourceId": rows[-1]["sourceId"],
        "sourceName": {value: name for name, value in shop.source_ids.items()}[
            rows[-1]["sourceId"]
        ],
        "apiCalls": rows[-1]["apiCalls"],
        "mtu": rows[-1]["mtu"],
        "identified": rows[-1]["identified"],
        "neverIdentified": rows[-1]["neverIdentified"],
        "anonymous": rows[-1]["anonymous"],
        "anonymousIdentified": rows[-1]["anonymousIdentified"],
    }
    assert sorted((row["apiCalls"], row["mtu"]) for row in rows[-2:]) == [(1, 1), (28, 28)]
    in_csv = list(csv.DictReader(io.StringIO(read(program, shop, *by_source, "--format", "csv"))))
    parquet = subprocess.run(
        [*PROGRAM, *by_source, "--format", "parquet"],
        capture_output=True,
        check=True,
        cwd=program.cwd,
        env=environment(HEADCOUNT_DATA=str(program.data), HEADCOUNT_TOKEN=shop.token),
    )
    table = pyarrow.parquet.read_table(io.BytesIO(parquet.stdout))
    in_parquet = table.to_pylist()
    assert table.schema.field("day").type == pyarrow.date32()
    for row in in_csv:
        # Which a spreadsheet would have taken for a formula.
        assert row["source_name"] in ("web", "'=店 [b]")
        row["source_name"] = row["source_name"].removeprefix("'")
    assert [list(map(str, row.values())) for row in in_parquet] == [
        list(row.values()) for row in in_csv
    ]
    assert [list(map(str, row.values())) for row in rows] == [list(row.values()) for row in in_csv]
    assert list(in_csv[0])[:4] == ["day", "source_id", "source_name", "api_calls"]
    table_text = read(program, shop, *by_source)
    assert len(table_text.splitlines()) == 1 + len(rows)
    assert "=店 [b]" in table_text


def test_one_metric_and_the_last_day(program: Program, shop: Shop) -> None:
    calls = read(program, shop, "usage", *FEBRUARY, "--metric", "api-calls", "--last", "--json")
    assert json.loads(calls) == [{"day": "2021-02-28", "apiCalls": 29}]
    users = read(program, shop, "usage", *FEBRUARY, "--metric", "mtu", "--last", "--by", "source")
    assert [line.split()[0] for line in users.splitlines()] == ["day", "2021-02-28", "2021-02-28"]
    assert "API calls" not in users


def test_the_current_month_is_the_default_and_its_today_is_live(
    program: Program, shop: Shop
) -> None:
    shop.server.track("/v1/page", {"anonymousId": "now"}, shop.write_keys["web"])
    shop.wait_until_counted()
    [today] = json.loads(read(program, shop, "usage", "--last", "--json"))
    assert (today["apiCalls"], today["mtu"]) == (1, 1)


@pytest.mark.parametrize("text", ["2021-02", "2021-02-17", "2021-02-28T23:59:59Z"])
def test_a_month_may_be_named_by_any_of_its_moments(
    program: Program, shop: Shop, text: str
) -> None:
    assert "2021-02-28" in read(program, shop, "usage", "--period", text, "--last")


def test_the_server_is_the_named_one_else_the_one_of_the_folder_else_the_default(
    program: Program, shop: Shop, tmp_path: Path
) -> None:
    last = ("usage", *FEBRUARY, "--last", "--json")
    found = read(program, shop, *last)
    elsewhere = Program(data=tmp_path / "nothing", cwd=tmp_path)
    token = {"HEADCOUNT_TOKEN": shop.token}
    dead = "127.0.0.1:9"
    for arguments, variables in (
        (("--host", shop.server.api), {"HEADCOUNT_HOST": f"http://{dead}"}),
        ((), {"HEADCOUNT_HOST": shop.server.api}),
        ((), {"HEADCOUNT_API": shop.server.api.removeprefix("http://")}),
    ):
        finished = elsewhere.run(*last, *arguments, **token | variables)
        assert (finished.returncode, finished.stdout) == (0, found), finished.stderr
    (tmp_path / "headcount.toml").write_text(f'host = "{shop.server.api}"\n')
    assert elsewhere.run(*last, **token).stdout == found
    refused(
        elsewhere.run(*last, **token, HEADCOUNT_HOST=f"http://{dead}"),
        1, "no answer", dead, "--host", "headcount serve",
    )  # fmt: skip


def test_a_token_comes_from_the_named_file_else_the_variable_else_the_file_of_the_settings(
    program: Program, shop: Shop, tmp_path: Path
) -> None:
    last = ("usage", *FEBRUARY, "--last", "--json")
    good, bad = tmp_path / "good", tmp_path / "bad"
    good.write_text(shop.token)
    bad.write_text("hct_unknown\n")
    for arguments, variables in (
        (("--token-file", str(good)), {"HEADCOUNT_TOKEN": "hct_other"}),
        ((), {"HEADCOUNT_TOKEN": shop.token, "HEADCOUNT_TOKEN_FILE": str(bad)}),
        ((), {"HEADCOUNT_TOKEN_FILE": str(good)}),
    ):
        finished = program.run(*last, *arguments, **variables)
        assert finished.returncode == 0, finished.stderr
    unknown = program.run(*last, HEADCOUNT_TOKEN_FILE=str(bad))
    refused(unknown, 1, "does not take the API token", "token add")
    assert "hct_unknown" not in unknown.stderr
    refused(program.run(*last), 2, "no API token", "--token-file", "HEADCOUNT_TOKEN")
    refused(program.run(*last, "--token-file", "nowhere"), 1, "nowhere", "cannot be read")
    (tmp_path / "words").write_text("my token: s3cret")
    words = program.run(*last, "--token-file", "words")
    refused(words, 2, "words", "does not hold an API token")
    assert "s3cret" not in words.stderr


def test_what_cannot_be_read_is_one_sentence_with_its_remedy(program: Program, shop: Shop) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return program.run(*arguments, HEADCOUNT_TOKEN=shop.token)

    refused(run("usage", "--period", "2021-13"), 2, "--period", '"2021-13"', "2026-11")
    refused(run("usage", "--period", "2020-12"), 1, "2020-12-01", "2021-01-01", "--period")
    refused(run("usage", "--host", "usage.example.com"), 2, "usage.example.com", "https://")
    refused(run("usage", "--host", shop.server.tracking), 1, "not at the tracking one")
    refused(run("usage", "--watch", "--format", "parquet"), 2, "--watch", "csv")
    refused(run("usage", "--plot", "x.png", "--last"), 2, "--plot", "--last")
    refused(run("usage", "--plot", "x.gif"), 2, "x.gif", ".png")
    refused(run("usage", "--plot", "no/where.svg", *FEBRUARY), 1, "no/where.svg", "No such file")
    refused(run("export", "--from", "2021-03", "--to", "2021-02"), 2, "--from", "--to")
    refused(run("export", "--from", "2020-01", "--to", "2020-12"), 1, "no usage", "--from")
    refused(run("export", "--from", "2021-02", "no/where.csv"), 1, "no/where.csv")
    for wrong in (("usage", "--by", "day"), ("usage", "--format", "xml"), ("export",)):
        finished = run(*wrong)
        assert finished.returncode == 2
        assert "--help" in finished.stderr


def test_an_extra_that_is_missing_is_named(program: Program, shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(MINUS_EXTRAS)
    without = {"HEADCOUNT_TOKEN": shop.token, "PYTHONPATH": str(tmp_path)}
    parquet = program.run("export", "--from", "2021-01", "x.parquet", **without)
    refused(parquet, 2, install_command("parquet"))
    assert not (tmp_path / "x.parquet").exists()
    plot = program.run("usage", *FEBRUARY, "--plot", "x.png", **without)
    refused(plot, 2, install_command("plot"))
    objects = program.run("import", "s3://bucket/x.ndjson", "--workspace", "Shop", **without)
    refused(objects, 2, install_command("objects"))
    assert program.run("usage", *FEBRUARY, **without).returncode == 0


def test_pictures_are_what_their_names_say(program: Program, shop: Shop, tmp_path: Path) -> None:
    def drawn(*arguments: str) -> bytes:
        finished = program.run("usage", *FEBRUARY, *arguments, HEADCOUNT_TOKEN=shop.token)
        assert (finished.returncode, finished.stdout) == (0, ""), finished.stderr
        assert "February 2021 is drawn in" in finished.stderr
        return (tmp_path / arguments[1]).read_bytes()

    png = drawn("--plot", "both.png")
    width, height = struct.unpack(">II", png[16:24])
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    assert width > 1000
    assert height > 1000  # two charts, one above the other
    light = drawn("--plot", "light.svg", "--metric", "mtu").decode()
    assert "MTU, February 2021, Shop" in light
    assert "January 2021" in light
    assert "limit 30" in light
    dark = drawn("--plot", "dark.svg", "--metric", "mtu", "--by", "source", "--dark").decode()
    assert "=店 [b]" in dark
    assert "limit 30" not in dark
    assert "#ffffff" in light
    assert "#ffffff" not in dark
    assert drawn("--plot", "calls.pdf", "--metric", "api-calls")[:5] == b"%PDF-"


def test_a_month_that_runs_is_drawn_with_where_it_will_end() -> None:
    query = Query("workspace", "mtu")
    days = [date(2026, 11, day) for day in range(1, 11)]
    rows: list[Row] = [{"day": day, "mtu": 100 * day.day} for day in days]
    month = Period.of_day((days[0] - date(1970, 1, 1)).days)
    forecast = forecast_from([100 * day.day for day in days])
    assert forecast is not None
    for told in ({"mtu": forecast}, {}):
        drawn = picture(query, DrawnMonth(month, rows, [], {}, told), "svg", dark=False).decode()
        assert ("estimate, with its range" in drawn) is bool(told)


def test_a_month_without_usage_by_source_draws_nothing(
    program: Program, shop: Shop, tmp_path: Path
) -> None:
    arguments = ("usage", "--by", "source", "--period", "2021-03")
    finished = program.run(*arguments, HEADCOUNT_TOKEN=shop.token)
    assert (finished.returncode, finished.stdout) == (0, "")
    assert "No source has any usage" in finished.stderr
    assert json.loads(read(program, shop, *arguments, "--json")) == []
    plot = program.run(*arguments, "--plot", "x.svg", HEADCOUNT_TOKEN=shop.token)
    refused(plot, 1, "nothing to draw", "March 2021")
    assert not (tmp_path / "x.svg").exists()


def test_months_are_exported_into_the_format_of_the_file(
    program: Program, shop: Shop, tmp_path: Path
) -> None:
    months = ("export", "--from", "2020-06", "--to", "2021-02")
    finished = program.run(*months, "all.csv", HEADCOUNT_TOKEN=shop.token)
    assert (finished.returncode, finished.stdout) == (0, "")
    assert "no usage before 2021-01-01; 7 months" in finished.stderr
    assert "59 rows written to all.csv." in finished.stderr
    rows = list(csv.DictReader(io.StringIO((tmp_path / "all.csv").read_text())))
    assert [row["day"] for row in rows] == [
        date.fromordinal(date(2021, 1, 1).toordinal() + each).isoformat() for each in range(59)
    ]
    # Counts begin anew with each month.
    assert [rows[each]["api_calls"] for each in (30, 31, 58)] == ["1", "1", "29"]
    read(program, shop, *months, "--by", "source", "all.parquet")
    table = pyarrow.parquet.read_table(tmp_path / "all.parquet")
    assert table.num_rows == 1 + 28 + 19
    to_stdout = read(program, shop, *months)
    assert to_stdout == (tmp_path / "all.csv").read_text()
    as_json = json.loads(read(program, shop, *months, "--json"))
    assert [row["day"] for row in as_json] == [row["day"] for row in rows]
    read(program, shop, *months, "all.ndjson")
    lines = (tmp_path / "all.ndjson").read_text().splitlines()
    assert [json.loads(line) for line in lines] == as_json
    assert sorted(each.name for each in tmp_path.iterdir()) == [
        "all.csv", "all.ndjson", "all.parquet",
    ]  # fmt: skip


def test_an_export_may_tell_what_each_day_brought(program: Program, shop: Shop) -> None:
    command = ("export", "--from", "2021-01", "--to", "2021-02", "--new")
    rows = json.loads(read(program, shop, *command, "--json"))
    assert sum(row["newApiCalls"] for row in rows if row["day"] > "2021-01-31") == 29
    tenth = next(row for row in rows if row["day"] == "2021-02-10")
    # On that day u1 and the device a1 become one, and the device a10 is new.
    assert (tenth["newApiCalls"], tenth["newMtu"], tenth["newIdentified"]) == (2, 1, 1)
    of_sources = json.loads(read(program, shop, *command, "--by", "source", "--json"))
    for source_id in {row["sourceId"] for row in of_sources}:
        last: dict[str, int] = {}
        for row in (each for each in of_sources if each["sourceId"] == source_id):
            month = row["day"][:7]
            last[month] = last.get(month, 0) + row["newApiCalls"]
            assert last[month] == row["apiCalls"]
    columns = read(program, shop, *command, "--metric", "mtu").splitlines()[0].split(",")
    assert columns[1:6] == [name.removeprefix("new_") for name in columns[6:]]


def test_an_export_that_cannot_be_is_one_sentence_and_leaves_no_file(
    program: Program, shop: Shop, tmp_path: Path
) -> None:
    def export(*arguments: str) -> subprocess.CompletedProcess[str]:
        return program.run("export", *arguments, HEADCOUNT_TOKEN=shop.token)

    months = ("--from", "2021-01", "--to", "2021-02")
    refused(export("--from", "soon"), 2, '--from is "soon"', "2026-11")
    refused(export("--from", "2021-02", "--to", "2021-01", "x.csv"), 2, "no range of months")
    refused(export("--from", "2019-01", "--to", "2019-12", "x.csv"), 1, "no usage from 2019-01-01")
    for unknown, words in ((("x.csv",), "--from"), ((*months, "--format", "xml"), "--format")):
        finished = export(*unknown)
        assert (finished.returncode, finished.stdout) == (2, "")
        assert words in finished.stderr.splitlines()[-1]
        assert "'headcount export --help'" in finished.stderr
    refused(export(*months, "no-such-folder/x.csv"), 1, "no-such-folder/x.csv cannot be written")
    refused(program.run("export", *months, HEADCOUNT_TOKEN="hct_wrong"), 1, "API token")
    assert list(tmp_path.iterdir()) == []


def test_every_form_of_an_export_holds_the_same_rows(
    program: Program, shop: Shop, tmp_path: Path
) -> None:
    command = ("export", "--from", "2021-02", "--to", "2021-02", "--metric", "mtu", "--by")
    for by in ("workspace", "source"):
        data = json.loads(read(program, shop, *command, by, "--json"))
        lines = list(csv.DictReader(io.StringIO(read(program, shop, *command, by))))
        read(program, shop, *command, by, "--format", "parquet", "rows")
        table = pyarrow.parquet.read_table(tmp_path / "rows").to_pylist()
        assert [row["day"] for row in data] == [row["day"] for row in lines]
        assert [str(row["mtu"]) for row in data] == [row["mtu"] for row in lines]
        assert [row["mtu"] for row in table] == [row["mtu"] for row in data]
        assert all("api_calls" not in row for row in table)


def test_a_file_is_replaced_whole_or_stays(program: Program, shop: Shop, tmp_path: Path) -> None:
    kept = tmp_path / "kept.csv"
    kept.write_text("what was there")
    with scripted({}) as nobody:
        finished = program.run(
            "export", "--from", "2021-01", "--to", "2021-01", "kept.csv", "--host", nobody.url,
            HEADCOUNT_TOKEN=shop.token,
        )  # fmt: skip
    assert finished.returncode == 1
    assert kept.read_text() == "what was there"
    assert list(tmp_path.iterdir()) == [kept]


def test_a_server_without_endpoints_of_our_own_is_read_all_the_same(
    program: Program, shop: Shop
) -> None:
    day: dict[str, Any] = {"timestamp": "2021-02-01T00:00:00.000Z", "sourceId": "s1"}
    pages = [
        {"dailyPerSourceAPICallsUsage": [day | {"apiCalls": "7"}],
         "pagination": {"current": "MA==", "next": "MQ==", "totalEntries": 2}},
        {"dailyPerSourceAPICallsUsage": [day | {"sourceId": "s2", "apiCalls": "1000000000000"}],
         "pagination": {"current": "MQ==", "totalEntries": 2}},
    ]  # fmt: skip
    path = "/usage/api-calls/sources/daily"
    with scripted({path: [(200, page) for page in pages]}) as segment:
        finished = program.run(
            "usage", *FEBRUARY, "--by", "source", "--metric", "api-calls", "--host", segment.url,
            HEADCOUNT_TOKEN=shop.token,
        )  # fmt: skip
    assert finished.returncode == 0, finished.stderr
    assert finished.stderr == "February 2021, UTC.\n"
    assert [line.split()[1:] for line in finished.stdout.splitlines()[1:]] == [
        ["s2", "1,000,000,000,000"],
        ["s1", "7"],
    ]
    assert [query["period"] for asked, query in segment.asked if asked == path] == [
        ["2021-02-01"]
    ] * 2
