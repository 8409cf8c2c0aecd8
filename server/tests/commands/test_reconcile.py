"""`headcount reconcile` run as the real program: against another server, an invoice, an archive."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.program import Program, now
from support.scripted_api import scripted
from support.server_fixture import Shop, serving

FEBRUARY = ("--period", "2021-02")
SOURCES = ("web", "app")


def record(source: str, day: int, number: int, **ids: str) -> dict[str, Any]:
    return {
        "type": "track",
        "event": "e",
        "messageId": f"{source} {day} {number}",
        "receivedAt": f"2021-02-{day:02d}T10:00:00Z",
        "projectId": source,
        **ids,
    }


def month(source: str, *, left_out: tuple[int, ...] = (), a_day: int = 40) -> list[dict[str, Any]]:
    """Some messages a day of twenty users, some of them anonymous."""
    return [
        record(source, day, number, userId=f"{source} user {day}-{number % 20}")
        | ({"anonymousId": f"{source} device {number % 7}"} if number % 3 else {})
        for day in range(1, 29)
        if day not in left_out
        for number in range(a_day)
    ]


def written(path: Path, records: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(each) + "\n" for each in records))
    return path


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("reconcile")
    with serving(folder) as server:
        ours = server.shop("Shop", *SOURCES)
        theirs = server.shop("Theirs", "Web", "The app", "elsewhere")
        for name, records in (
            ("Shop", [each for source in SOURCES for each in month(source)]),
            # What an outage at them looks like, and a source that posts to them alone.
            ("Theirs", month("web", left_out=(9, 10)) + month("app") + month("other", a_day=9)),
        ):
            file = written(folder / f"{name}.ndjson", records)
            mapped = {"Shop": SOURCES, "Theirs": ("Web", "The app", "elsewhere")}[name]
            map_ = folder / f"{name}.toml"
            pairs = zip((*SOURCES, "other"), mapped, strict=False)
            map_.write_text("[sources]\n" + "".join(f'{a} = "{b}"\n' for a, b in pairs))
            done = server.program.run("import", str(file), "--workspace", name, "--map", str(map_))
            assert done.returncode == 0, done.stderr
        (folder / "theirs-token").write_text(theirs.token)
        yield ours


@pytest.fixture
def program(shop: Shop, tmp_path: Path) -> Program:
    return Program(data=shop.server.program.data, cwd=tmp_path)


def run(program: Program, shop: Shop, *arguments: str) -> subprocess.CompletedProcess[str]:
    finished = program.run("reconcile", *FEBRUARY, *arguments, HEADCOUNT_TOKEN=shop.token)
    assert shop.token not in finished.stdout + finished.stderr
    assert "Traceback" not in finished.stderr
    return finished


def against_theirs(shop: Shop) -> tuple[str, ...]:
    token = shop.server.program.data.parent / "theirs-token"
    return ("--theirs", shop.server.api, "--theirs-token-file", str(token))


def test_another_count_is_held_against_ours_by_source_and_day(program: Program, shop: Shop) -> None:
    finished = run(program, shop, *against_theirs(shop), "--format", "json")
    assert finished.returncode == 3, finished.stderr
    told = json.loads(finished.stdout)
    found = {
        (each["name"], each["metric"]): (each["ours"], each["theirs"], each["state"])
        for each in told["differences"]
    }
    a_day, all_of = 40, 40 * 28
    assert found["workspace", "apiCalls"] == (
        2 * all_of,
        2 * all_of + 9 * 28 - 2 * a_day,
        "differs",
    )
    assert found["web", "apiCalls"] == (all_of, all_of - 2 * a_day, "differs")
    assert found["app", "apiCalls"] == (all_of, all_of, "matched")
    assert found["app", "mtu"][2] == "matched"
    assert found["elsewhere", "apiCalls"] == (None, 9 * 28, "theirs-only")
    assert {pair["why"] for pair in told["sources"]} == {"name", "usage"}
    of_web = next(
        each
        for each in told["differences"]
        if (each["name"], each["metric"]) == ("web", "apiCalls")
    )
    added = {each["day"]: each["added"] for each in of_web["days"] if each["added"]}
    assert added == {"2021-02-09": -40, "2021-02-10": -40}
    assert "few days (day 9, 10" in of_web["causes"][0]
    assert "API calls of elsewhere: Nothing of it came here" in finished.stderr
    assert "the status is 3" in finished.stderr


def test_what_is_proposed_is_kept_and_what_is_said_is_done(
    program: Program, shop: Shop, tmp_path: Path
) -> None:
    sources = tmp_path / "sources.toml"
    first = run(program, shop, *against_theirs(shop), "--sources", str(sources))
    assert first.returncode == 3
    assert "OUTSIDE" in first.stdout
    text = sources.read_text()
    assert "# The app is app (by usage)" in text
    # Theirs is said to be ours of another name, which then is no match at all.
    lines = [line for line in text.splitlines() if "=" in line]
    web, app = (line.partition(" = ") for line in lines)
    sources.write_text(f"[sources]\n{web[0]} = {app[2]}\n{app[0]} = {web[2]}\n")
    told = json.loads(
        run(
            program, shop, *against_theirs(shop), "--sources", str(sources), "--format", "json"
        ).stdout
    )
    assert {pair["why"] for pair in told["sources"]} == {"said"}
    states = {
        each["name"]: each["state"] for each in told["differences"] if each["metric"] == "apiCalls"
    }
    assert states["app"] == "differs"


def test_an_invoice_and_our_own_export_are_read(
    program: Program, shop: Shop, tmp_path: Path
) -> None:
    invoice = tmp_path / "invoice.csv"
    invoice.write_text("Month,API calls,MTU\n2021-02,2245,\n")
    finished = run(program, shop, "--theirs", str(invoice), "--format", "csv")
    assert finished.returncode == 0, finished.stderr
    [row] = csv.DictReader(io.StringIO(finished.stdout))
    assert (row["day"], row["difference"], row["percent"]) == ("2021-02-28", "5", "0.2232")
    finished = run(program, shop, "--theirs", str(invoice), "--tolerance", "0.2")
    assert finished.returncode == 3

    export = tmp_path / "export.csv"
    done = program.run(
        "export", str(export), "--from", "2021-02", "--to", "2021-02", "--by", "source",
        HEADCOUNT_TOKEN=shop.token,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    finished = run(program, shop, "--theirs", str(export), "--tolerance", "0", "--format", "json")
    assert finished.returncode == 0, finished.stderr
    told = json.loads(finished.stdout)
    assert {each["state"] for each in told["differences"]} == {"matched"}
    assert {pair["why"] for pair in told["sources"]} == {"id"}


def test_an_archive_is_compared_down_to_its_ids(
    program: Program, shop: Shop, tmp_path: Path
) -> None:
    records = [each for source in SOURCES for each in month(source)]
    # Theirs alone: a message of a known user, and one of a new one. Ours alone: four of one day.
    lone = [
        record("web", 3, 900, userId="web user 3-0"),
        record("app", 5, 901, userId="stranger", anonymousId="new device"),
    ]
    lacking = [each for each in records if each["messageId"] in {f"app 8 {n}" for n in range(4)}]
    kept = [each for each in records if each not in lacking]
    archive = written(tmp_path / "archive.ndjson", kept + lone + kept[:50])
    ids = tmp_path / "ids.csv"
    finished = run(
        program, shop, "--archive", str(archive), "--workspace", "Shop",
        "--ids", str(ids), "--tolerance", "0", "--format", "json",
    )  # fmt: skip
    assert finished.returncode == 3, finished.stderr
    told = json.loads(finished.stdout)
    found = {(each["name"], each["kind"]): each for each in told["ids"]}
    assert found["web", "messageId"]["both"] == 40 * 28
    assert found["web", "messageId"]["theirsOnly"] == {"2021-02-03": 1}
    assert found["web", "messageId"]["oursOnly"] == {}
    assert found["web", "userId"]["theirsOnly"] == found["web", "userId"]["oursOnly"] == {}
    assert found["app", "messageId"]["theirsOnly"] == {"2021-02-05": 1}
    assert found["app", "messageId"]["oursOnly"] == {"2021-02-08": 4}
    assert found["app", "userId"]["theirsOnly"] == {"2021-02-05": 1}
    assert found["app", "anonymousId"]["theirsOnly"] == {"2021-02-05": 1}
    with ids.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {(row["source"], row["kind"], row["day"], row["id"]) for row in rows} == {
        ("web", "messageId", "2021-02-03", "web 3 900"),
        ("app", "messageId", "2021-02-05", "app 5 901"),
        ("app", "userId", "2021-02-05", "stranger"),
        ("app", "anonymousId", "2021-02-05", "new device"),
    }
    # Another workspace has ids of that month: whose a hash is, nobody can say.
    assert "several workspaces" in finished.stderr

    same = written(tmp_path / "same.ndjson", records)
    finished = run(program, shop, "--archive", str(same), "--workspace", "Shop", "--tolerance", "0")
    assert finished.returncode == 0, finished.stderr
    assert "All is within the tolerance." in finished.stderr


def test_an_archive_that_ends_too_early_is_never_within(
    program: Program, shop: Shop, tmp_path: Path
) -> None:
    records = [each for source in SOURCES for each in month(source)]
    whole = gzip.compress("".join(json.dumps(each) + "\n" for each in records).encode())
    archive = tmp_path / "archive.ndjson.gz"
    archive.write_bytes(whole[:-200])
    finished = run(
        program, shop, "--archive", str(archive), "--workspace", "Shop", "--tolerance", "100"
    )
    assert finished.returncode == 3, finished.stderr
    assert "it ends too early" in finished.stderr
    assert "OUTSIDE" not in finished.stdout
    assert "Not all of the archive could be read" in finished.stderr


def rows_of(day: str) -> dict[str, Any]:
    row = {"timestamp": f"{day}T00:00:00.000Z"}
    users = {"periodStart": 1, "periodEnd": 2} | dict.fromkeys(
        ("anonymous", "anonymousIdentified", "identified", "neverIdentified"), "0"
    )
    ended = {"current": "MQ==", "totalEntries": 1}
    return {
        f"/usage/{metric}/{of}daily": [(200, {name: [row | counts | named], "pagination": ended})]
        for metric, called, counts in (
            ("api-calls", "APICalls", {"apiCalls": "5"}), ("mtu", "MTU", users)
        )
        for of, name, named in (
            ("", f"dailyWorkspace{called}Usage", {}),
            ("sources/", f"dailyPerSource{called}Usage", {"sourceId": "x"}),
        )
    }  # fmt: skip


def refused(status: int) -> dict[str, Any]:
    return {path: [(status, None)] for path in rows_of("2021-02-01")}


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        (rows_of("2021-03-31"), "told of 2021-03-31 where it was asked for 2021-02"),
        (refused(401), "--theirs-token-file"),
        (refused(403), "does not let this token read"),
        (refused(404), "has no such usage"),
        (refused(422), "refuses what it was asked"),
    ],
)
def test_a_vendor_that_answers_otherwise_is_told_as_theirs(
    program: Program, shop: Shop, answers: dict[str, Any], words: str
) -> None:
    (token := program.cwd / "token").write_text("of-theirs")
    with scripted(answers) as vendor:
        finished = run(program, shop, "--theirs", vendor.url, "--theirs-token-file", str(token))
    assert (finished.returncode, finished.stdout) == (1, "")
    assert words in finished.stderr
    assert "as --theirs names it" in finished.stderr
    assert "headcount token" not in finished.stderr
    assert "of-theirs" not in finished.stderr


def test_a_vendor_that_asks_for_patience_gets_it(program: Program, shop: Shop) -> None:
    (token := program.cwd / "token").write_text("of-theirs")
    answers = {path: [(500, None), (429, None), *each]
               for path, each in rows_of("2021-02-28").items()}  # fmt: skip
    with scripted(answers) as vendor:
        finished = run(
            program, shop, "--theirs", vendor.url, "--theirs-token-file", str(token),
            "--format", "json",
        )  # fmt: skip
    assert finished.returncode == 3, finished.stderr
    told = {each["name"]: each["theirs"] for each in json.loads(finished.stdout)["differences"]
            if each["metric"] == "apiCalls"}  # fmt: skip
    assert told["workspace"] == told["x"] == 5


def test_what_both_know_of_no_day_is_not_within(program: Program, shop: Shop) -> None:
    invoice = program.cwd / "invoice.csv"
    invoice.write_text("Source,Month,MTU\nWeb,2021-02,\n")
    finished = run(program, shop, "--theirs", str(invoice))
    assert finished.returncode == 2
    assert "There is no day of 2021-02" in finished.stderr
    # Of the month that runs the last day is not over, and a whole month's count is about that.
    runs = f"{now():%Y-%m}"
    invoice.write_text(f"Month,MTU\n{runs},5\n")
    finished = run(program, shop, "--theirs", str(invoice), "--period", runs)
    assert finished.returncode == 2
    assert "can be compared" in finished.stderr or "There is no day" in finished.stderr


def test_a_source_whose_count_is_left_blank_is_not_within(program: Program, shop: Shop) -> None:
    invoice = program.cwd / "invoice.csv"
    invoice.write_text("month,source,api calls\n2021-02,web,\n2021-02,app,1120\n")
    finished = run(program, shop, "--theirs", str(invoice), "--format", "json")
    assert finished.returncode == 3, finished.stderr
    told = json.loads(finished.stdout)
    assert told["within"] is False
    found = {(each["name"], each["metric"]): each for each in told["differences"]}
    assert found["app", "apiCalls"]["state"] == "matched"
    of_web = found["web", "apiCalls"]
    assert (of_web["ours"], of_web["theirs"], of_web["state"]) == (1120, None, "unknown")
    assert of_web["difference"] is None
    assert of_web["percent"] is None
    assert "cannot be compared" in of_web["causes"][0]
    assert "All is within" not in finished.stderr
    assert "2 counts cannot be compared: the status is 3." in finished.stderr

    table = run(program, shop, "--theirs", str(invoice))
    [line, _] = [each for each in table.stdout.splitlines() if each.startswith("web")]
    assert "cannot be compared" in line
    assert "%" not in line
    done = run(program, shop, "--theirs", str(invoice), "--format", "csv", "--plot", "both.svg")
    assert done.returncode == 3
    rows = {(row["name"], row["metric"]): row for row in csv.DictReader(io.StringIO(done.stdout))}
    of_web = rows["web", "api_calls"]
    assert (of_web["state"], of_web["within"], of_web["difference"]) == ("unknown", "false", "")
    assert "2 counts cannot be compared" in (program.cwd / "both.svg").read_text()


def test_a_picture_is_drawn(program: Program, shop: Shop, tmp_path: Path) -> None:
    file = tmp_path / "both.png"
    assert run(program, shop, *against_theirs(shop), "--plot", str(file)).returncode == 3
    assert file.read_bytes().startswith(b"\x89PNG")


def test_a_picture_shows_the_one_count_of_an_invoice(program: Program, shop: Shop) -> None:
    invoice = program.cwd / "invoice.csv"
    invoice.write_text("Month,API calls\nFeb 2021,2245\n")
    finished = run(program, shop, "--theirs", str(invoice), "--plot", "both.svg")
    assert finished.returncode == 0, finished.stderr
    picture = (program.cwd / "both.svg").read_text()
    # Ours is a line of all days, and theirs a point, since no line goes through a single one.
    [line] = re.findall(r'<path aria-label="[^"]*" role="[^"]*" [^>]*d="(M[^"]*L[^"]*)"', picture)
    assert line.count("L") == 27
    assert picture.count('aria-roledescription="point"') == 1
    assert "on each day" not in picture


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "--theirs or --archive"),
        (("--theirs", "us", "--archive", "x"), "--theirs or --archive"),
        (("--theirs", "x.csv", "--ids", "y"), "--ids goes with --archive"),
        (("--theirs", "none.csv"), "none.csv cannot be read"),
        (("--theirs", "us"), "HEADCOUNT_THEIRS_TOKEN"),
        (("--archive", "none.ndjson"), "--workspace"),
        (("--theirs", "x.csv", "--plot", "x.gif"), "--plot"),
    ],
)
def test_what_cannot_be_compared_is_one_sentence(
    program: Program, shop: Shop, arguments: tuple[str, ...], words: str
) -> None:
    finished = run(program, shop, *arguments)
    assert finished.returncode in (1, 2)
    assert finished.stdout == ""
    [line] = finished.stderr.splitlines()
    assert words in line
