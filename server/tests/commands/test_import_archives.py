"""`headcount import` of archives as vendors, warehouses and queues lay them down."""

from __future__ import annotations

import gzip
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

from headcount.counting.calendar import parse_period
from headcount.counting.metrics import ADMITTED, ANONYMOUS, API_CALLS, IDENTIFIED
from headcount.journal import JournalDirectory
from headcount.store.opening import open_store
from support import archives
from support.program import PROGRAM, Program, environment, program_with_source

OCTOBER = "2026-10-01"
DOCUMENT = Path(__file__).parents[3] / "docs" / "importing.md"

CALLS = len(archives.EVENTS)
PEOPLE = len({event["userId"] for event in archives.EVENTS if "userId" in event})
VISITORS = len(
    {event["anonymousId"] for event in archives.EVENTS}
    | {event["previousId"] for event in archives.EVENTS if "previousId" in event}
)


@pytest.fixture
def program(tmp_path: Path) -> Program:
    return program_with_source(tmp_path)


def laid(folder: Path, files: Mapping[str, bytes]) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def totals(program: Program, period: str = OCTOBER) -> tuple[int, int, int]:
    """API calls, identified and anonymous ids of the first workspace in a month."""
    with closing(open_store(program.data / "store.sqlite")) as store:
        month = store.read_usage(1, parse_period(period)).workspace_totals()[-1]
    return int(month[API_CALLS]), int(month[IDENTIFIED]), int(month[ANONYMOUS])


def calls_by_source(program: Program) -> dict[str, int]:
    """API calls in October by the name of the source."""
    # Sources are listed as they were made: 1, 2, 3, ...
    names = [each["name"] for each in program.json("source", "list")]
    with closing(open_store(program.data / "store.sqlite")) as store:
        usage = store.read_usage(1, parse_period(OCTOBER))
    calls = usage.source_totals()[:, -1, API_CALLS].tolist()
    return {
        names[number - 1]: count
        for number, count in zip(usage.source_numbers.tolist(), calls, strict=True)
    }


@contextmanager
def bucket(**buckets: Mapping[str, bytes]) -> Iterator[dict[str, str]]:
    """Buckets of S3 on loopback; gives the variables under which they are found."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        keys = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "s3cret"}
        client = boto3.client(
            "s3", endpoint_url=f"http://{host}:{port}", region_name="us-east-1",
            aws_access_key_id="key", aws_secret_access_key="s3cret",
        )  # fmt: skip
        with closing(client):
            for name, objects in buckets.items():
                client.create_bucket(Bucket=name.replace("_", "-"))
                for key, content in objects.items():
                    client.put_object(Bucket=name.replace("_", "-"), Key=key, Body=content)
        yield keys | {"AWS_REGION": "us-east-1", "AWS_ENDPOINT_URL": f"http://{host}:{port}"}
    finally:
        server.stop()


def test_segments_archive_makes_its_sources_and_the_mapping_holds(program: Program) -> None:
    laid(program.cwd, archives.segment_logs())
    # Nobody has said what the vendor's sources are here.
    unknown = program.run("import", "segment-logs", "--workspace", "Shop")
    assert unknown.returncode == 1
    assert "No source is called qXz81, pLm20" in unknown.stderr or (
        "No source is called pLm20, qXz81" in unknown.stderr
    )
    assert "--make-sources" in unknown.stderr
    dry = program.run(
        "import", "segment-logs", "--workspace", "Shop", "--make-sources", "--dry-run"
    )
    assert dry.returncode == 0
    assert "Sources that would be made: pLm20, qXz81" in dry.stderr
    assert len(program.json("source", "list")) == 1
    made = program.json("import", "segment-logs", "--workspace", "Shop", "--make-sources")
    assert (made["admitted"], made["sourcesMade"]) == (CALLS, ["pLm20", "qXz81"])
    assert totals(program) == (CALLS, PEOPLE, VISITORS)
    assert calls_by_source(program) == {"pLm20": CALLS // 2, "qXz81": CALLS // 2}
    # Later imports need not be told again, and count nothing twice.
    for more in ((), ("--make-sources",)):
        again = program.json("import", "segment-logs/qXz81", "--workspace", "Shop", *more)
        assert again["admitted"] == CALLS // 2
        assert "sourcesMade" not in again
    assert totals(program) == (CALLS, PEOPLE, VISITORS)


def test_sources_that_are_made_beside_a_server_are_known_to_its_meter(program: Program) -> None:
    laid(program.cwd, archives.segment_logs())
    with program.serving():
        made = program.json("import", "segment-logs", "--workspace", "Shop", "--make-sources")
        assert made["admitted"] == CALLS
        assert calls_by_source(program) == {"pLm20": CALLS // 2, "qXz81": CALLS // 2}


def test_a_map_says_what_the_vendors_sources_are_here(program: Program) -> None:
    laid(program.cwd, archives.segment_logs())
    (program.cwd / "map.toml").write_text('[sources]\nqXz81 = "web"\n"pLm20" = "app"\n')
    command = ("import", "segment-logs", "--workspace", "Shop", "--map", "map.toml")
    missing = program.run(*command)
    assert missing.returncode == 2
    assert 'sources.pLm20 in the map map.toml names "app", and workspace "Shop"' in missing.stderr
    program.json("source", "add", "app", "--workspace", "Shop")
    assert program.json(*command)["admitted"] == CALLS
    assert calls_by_source(program) == {"web": CALLS // 2, "app": CALLS // 2}


@pytest.mark.parametrize("form", ["lines", "csv"])
def test_an_import_that_makes_sources_and_is_killed_goes_on(program: Program, form: str) -> None:
    number_of_source = [number % 3 for number in range(25_000)]
    if form == "lines":
        records = [
            json.dumps(archives.EVENTS[number % 240] | {"projectId": f"p{of}", "messageId": number})
            for number, of in enumerate(number_of_source)
        ]
    else:
        records = ["id,project_id,user_id,received_at"] + [
            f"{number},p{of},u{number % 9},2026-10-05 10:00:00Z"
            for number, of in enumerate(number_of_source)
        ]
    os.mkfifo(program.cwd / "pages.csv")
    arguments = ("--workspace", "Shop", "--make-sources")
    with subprocess.Popen(
        [*PROGRAM, "import", "pages.csv", *arguments], cwd=program.cwd, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, env=environment(HEADCOUNT_DATA=str(program.data)),
    ) as process:  # fmt: skip
        with (program.cwd / "pages.csv").open("w") as writer:
            writer.write("\n".join(records[:22_000]))
            writer.flush()
            while len(checkpoints(program)) < 2:
                assert process.poll() is None
                time.sleep(0.01)
            process.send_signal(signal.SIGKILL)
        process.wait()
    whole = program.cwd / "pages.gz"
    whole.write_bytes(gzip.compress("\n".join(records).encode()))
    finished = program.json("import", "pages.gz", *arguments)
    # The sources are there by now, and no longer made; what was taken for them is passed over.
    assert (finished["records"], finished["earlier"]) == (25_000, 20_000)
    assert "sourcesMade" not in finished
    with closing(open_store(program.data / "store.sqlite")) as store:
        month = store.read_usage(1, parse_period(OCTOBER)).workspace_totals()[-1]
    assert (month[API_CALLS], month[ADMITTED]) == (25_000, 25_000)


def checkpoints(program: Program) -> set[bytes]:
    """Those in all journals."""
    with closing(JournalDirectory(program.data / "journals")) as directory:
        found = set()
        for path in directory.paths():
            with closing(directory.open(path)) as journal:
                found |= journal.checkpoints()
        return found


@pytest.mark.parametrize("serving", [False, True])
def test_tables_of_a_warehouse_count_what_their_messages_are(
    program: Program, serving: bool
) -> None:
    laid(program.cwd, archives.warehouse())
    command = ("import", "warehouse", "--workspace", "Shop", "--source", "web")
    if serving:
        with program.serving():
            finished = program.run(*command)
    else:
        finished = program.run(*command)
    assert finished.returncode == 0, finished.stderr
    assert totals(program) == (CALLS, PEOPLE, VISITORS)
    assert finished.stderr == ""
    # And the same as what the messages themselves count.
    laid(program.cwd, {"lines.ndjson": archives.lines(archives.EVENTS)})
    program.json("import", "lines.ndjson", "--workspace", "Shop", "--source", "web")
    assert totals(program) == (CALLS, PEOPLE, VISITORS)


def test_tables_in_an_object_store_are_read_where_they_are(program: Program) -> None:
    with bucket(tables=archives.warehouse()) as variables:
        finished = program.run(
            "import", "s3://tables/warehouse/", "--workspace", "Shop", "--source", "web",
            **variables, TMPDIR="/nowhere",
        )  # fmt: skip
    assert finished.returncode == 0, finished.stderr
    assert totals(program) == (CALLS, PEOPLE, VISITORS)


def test_tables_from_a_pipe_are_read_too(program: Program) -> None:
    pages = archives.warehouse()["warehouse/pages.parquet"]
    laid(program.cwd, {"pages.csv": archives.as_csv(archives.rows_of("identify"))})
    command = (*PROGRAM, "import", "-", "--workspace", "Shop", "--source", "web", "--json")
    (program.cwd / "map.toml").write_text("[values]\ntype = 'page'\n")
    for content in (pages, (program.cwd / "pages.csv").read_bytes()):
        finished = subprocess.run(
            [*command, "--map", "map.toml"], cwd=program.cwd, input=content, capture_output=True,
            env=environment(HEADCOUNT_DATA=str(program.data)),
        )  # fmt: skip
        assert finished.returncode == 0, finished.stderr
        assert json.loads(finished.stdout)["admitted"] == 40
    assert totals(program)[0] == 80


def test_a_table_without_ids_is_said_and_counts_the_same_again(program: Program) -> None:
    rows = "user_id,received_at,event\n" + "u1,2026-10-05 10:00:00,opened\n" * 3
    laid(program.cwd, {"tracks.csv": rows.encode()})
    for _ in range(2):
        finished = program.run("import", "tracks.csv", "--workspace", "Shop", "--source", "web")
        assert finished.returncode == 0
        assert "tracks.csv: No column holds message ids. Each row has one made" in finished.stderr
        assert "tracks.csv: Times without a zone were taken for UTC" in finished.stderr
        assert totals(program) == (3, 1, 0)


def test_what_is_not_taken_is_named_and_the_rest_is_counted(program: Program) -> None:
    laid(program.cwd, {
        "in/a.ndjson": archives.lines(archives.EVENTS[:10]), "in/server.log": b"started\n",
        "in/deep/noending": archives.lines(archives.EVENTS[10:20]), "in/notes.txt": b"remember\n",
        "in/users.csv": b"id,received_at,user_id\nu,2026-10-01T00:00:00Z,u\n",
        "in/prose.json": b"Dear all,\n", "in/zip.gz": archives.zip_of({"x": b"y"}),
    })  # fmt: skip
    command = ("import", "in", "--workspace", "Shop", "--source", "web", "--max-rejected", "100")
    finished = program.run(*command)
    assert finished.returncode == 1
    for words in (
        "in/server.log: left out: ", "in/deep/noending: left out: ", "in/notes.txt: left out: ",
        "in/users.csv: is not taken: it is a table of people", "in/prose.json: is not taken: none",
        "in/zip.gz: cannot be read to its end: it is empty or not gzip",
        "3 files were left out: the status is 1.",
    ):  # fmt: skip
        assert words in finished.stderr
    for name, number in (("unreadable", 3), ("left out", 3), ("admitted", 10)):
        assert re.search(rf"^{name} +{number}$", finished.stdout, re.MULTILINE)
    as_json = json.loads(program.run(*command, "--json").stdout)
    assert (as_json["leftOut"], as_json["unreadable"]) == (3, 3)
    assert as_json["leftOutFiles"] == ["in/deep/noending", "in/notes.txt", "in/server.log"]
    # By its own name a file is taken whatever it is called.
    alone = ("import", "in/deep/noending", "--workspace", "Shop", "--source", "web")
    assert program.json(*alone)["admitted"] == 10


def test_very_many_files_that_are_not_taken_are_named_in_few_lines(program: Program) -> None:
    laid(program.cwd, {f"in/{number}.log": b"" for number in range(400)} | {"in/x": b""})
    finished = program.run("import", "in", "--workspace", "Shop", "--source", "web")
    assert finished.returncode == 1
    lines = (finished.stdout + finished.stderr).splitlines()
    assert 250 < len(lines) <= 300
    assert "more left out, by ending: .log (" in finished.stderr
    assert "401 files were left out" in finished.stderr


def test_a_file_of_which_nothing_could_be_read_never_ends_well(program: Program) -> None:
    laid(program.cwd, {"x.ndjson": b'{"cut": \n{"cut": \n', "y.ndjson": b'{"a": 1}\n'})
    command = ("--workspace", "Shop", "--source", "web", "--max-rejected", "100")
    of_no_form = program.run("import", "x.ndjson", *command)
    assert of_no_form.returncode == 1
    # Records that are records are refused for what is in them, as many as somebody allows.
    assert program.run("import", "y.ndjson", *command).returncode == 0


def test_a_dry_run_shows_the_first_rows_as_they_are_understood(program: Program) -> None:
    laid(program.cwd, archives.warehouse())
    laid(program.cwd, {"more.csv": b"type,user_id,received_at\npage,u9,2026-10-05\n"})
    finished = program.run(
        "import", "warehouse/pages.parquet", "more.csv", "--workspace", "Shop", "--source", "web",
        "--dry-run",
    )  # fmt: skip
    rows = [re.split(r" {2,}", line.strip()) for line in finished.stdout.splitlines()[:5]]
    assert rows[0][:6] == ["record", "type", "user", "anonymous", "previous", "time"]
    assert rows[0][6:] == ["source", "message id", "outcome"]
    page = archives.EVENTS[8]
    assert rows[2] == [
        "pages.parquet, row 2", "page", page["userId"], page["anonymousId"], page["receivedAt"],
        "web", page["messageId"], "counts",
    ]  # fmt: skip
    assert rows[4] == [
        "more.csv:2", "page", "u9", "2026-10-05", "web", "(made)", "invalid_received_at",
    ]  # fmt: skip
    assert "Nothing was changed (--dry-run)." in finished.stderr
    assert not (program.data / "store.sqlite").exists()


def test_refused_rows_are_kept_as_what_was_made_of_them(program: Program) -> None:
    rows = b"id,user_id,received_at\nm1,u1,2026-10-05\nm2,u2\nm3,u3,2026-10-05T10:00:00Z\n"
    laid(program.cwd, {"pages.csv": rows})
    command = ("--workspace", "Shop", "--source", "web")
    finished = program.run("import", "pages.csv", *command, "--rejects", "kept")
    assert finished.returncode == 1
    assert "pages.csv:2: invalid_received_at\n" in finished.stderr
    assert "pages.csv:3: malformed_row\n" in finished.stderr
    assert "2 lines were refused" in finished.stderr
    first, second = (program.cwd / "kept").read_text().splitlines()
    assert json.loads(first)["messageId"] == "m1"
    assert second == "m2,u2"


def test_parquet_without_its_library_is_one_sentence_before_anything_is_read(
    program: Program,
) -> None:
    laid(program.cwd, archives.warehouse())
    # An environment in which there is none: whoever asks for it finds that it is not there.
    missing = "import sys; sys.modules['pyarrow'] = None; from headcount.cli import main; main()"
    finished = subprocess.run(
        [sys.executable, "-c", missing, "import", "warehouse", "--workspace", "Shop"],
        cwd=program.cwd, env=environment(HEADCOUNT_DATA=str(program.data)),
        capture_output=True, text=True,
    )  # fmt: skip
    assert finished.returncode == 2
    [said] = finished.stderr.splitlines()
    assert "is Parquet, which needs a library that is not installed. Install it with: " in said
    assert "pyarrow" in said
    assert not (program.data / "store.sqlite").exists()


def test_one_source_for_all_and_one_for_each_name_cannot_both_be(program: Program) -> None:
    finished = program.run(
        "import", "-", "--workspace", "Shop", "--source", "web", "--make-sources"
    )
    assert finished.returncode == 2
    assert "Leave one of the two out" in finished.stderr


def documented() -> tuple[dict[str, str], list[str]]:
    """The maps and the commands of the page about imports."""
    text = DOCUMENT.read_text()
    maps = dict(re.findall(r"```toml\n# (\S+)\n(.*?)```", text, re.DOTALL))
    blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    return maps, [command for block in blocks for command in block.splitlines()]


def test_every_command_of_the_page_about_imports_does_what_it_says(program: Program) -> None:
    maps, commands = documented()
    program.json("source", "add", "app", "--workspace", "Shop")
    laid(program.cwd, {name: content.encode() for name, content in maps.items()})
    for files in (archives.segment_logs(), archives.warehouse(), archives.files_of()):
        laid(program.cwd, files)
    with bucket(
        segment_archive=archives.segment_logs(),
        rudder_archive=archives.rudder_logs() | archives.rudder_archive(),
    ) as variables:
        shell = environment(
            HEADCOUNT_DATA=str(program.data), **variables,
            PATH=f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        )  # fmt: skip
        admitted = []
        for command in commands:
            finished = subprocess.run(
                ["bash", "-o", "pipefail", "-c", f"{command} --json"],
                cwd=program.cwd, env=shell, capture_output=True, text=True,
            )  # fmt: skip
            assert finished.returncode == 0, (command, finished.stderr)
            admitted.append((command, json.loads(finished.stdout)["admitted"]))
    whole, tracks = CALLS, 20  # rows that stand in two tables
    expected = {"orders.csv": 50, "segment-logs/qXz81 ": CALLS // 2, "warehouse/": whole + tracks}
    for command, number in admitted:
        of_it = next((each for name, each in expected.items() if name in command), whole)
        assert number == of_it, command
    assert len(commands) == 12
    # Under four names, the vendors' two and web and app, each message is one call of each.
    by_source = calls_by_source(program)
    assert by_source == {
        "qXz81": CALLS // 2, "pLm20": CALLS // 2, "app": CALLS // 2, "web": CALLS + 50,
    }  # fmt: skip
