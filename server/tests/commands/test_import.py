"""`headcount import` run as the real program, beside a real server and without one."""

from __future__ import annotations

import gzip
import json
import os
import pty
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import apsw
import pytest
import zstandard

from headcount.counting.calendar import parse_period
from headcount.counting.metrics import ADMITTED, ANONYMOUS, API_CALLS, IDENTIFIED
from headcount.journal import JournalDirectory
from headcount.store.opening import open_store
from headcount.store.protocol import Change
from support.program import PROGRAM, Program, environment

FEBRUARY = "2021-02-01"


@pytest.fixture
def program(tmp_path: Path) -> Program:
    program = Program(data=tmp_path / "data", cwd=tmp_path)
    program.json("workspace", "add", "Shop")
    return program


@pytest.fixture
def web(program: Program) -> Any:
    return program.json("source", "add", "web", "--workspace", "Shop")


def line(number: int, **extra: Any) -> str:
    message = {
        "type": "page",
        "messageId": f"m{number}",
        "anonymousId": f"a{number % 7}",
        "receivedAt": f"2021-02-{1 + number % 28:02d}T12:00:00Z",
    }
    return json.dumps(message | extra)


def totals(program: Program, period: str = FEBRUARY) -> tuple[int, int, int, int]:
    """API calls, identified, anonymous and admitted of the first workspace in a period."""
    with closing(open_store(program.data / "store.sqlite")) as store:
        month = store.read_usage(1, parse_period(period)).workspace_totals()[-1]
    api_calls, identified, anonymous, admitted = (
        int(month[kind]) for kind in (API_CALLS, IDENTIFIED, ANONYMOUS, ADMITTED)
    )
    return api_calls, identified, anonymous, admitted


def kept_names(data: Path) -> list[str]:
    """What lies in a data folder, without the files that SQLite keeps beside an open one."""
    return sorted(each.name for each in data.iterdir() if not each.name.endswith(("-shm", "-wal")))


def test_a_file_is_counted_without_a_server_and_again_changes_nothing(
    program: Program, web: Any
) -> None:
    file = program.cwd / "february.ndjson"
    file.write_text("\n".join(line(number) for number in range(100)) + "\n")
    command = ("import", str(file), "--workspace", "Shop", "--source", "web")
    first = program.json(*command)
    assert first == {
        "files": 1, "unreadable": 0, "leftOut": 0, "skipped": 0, "records": 100, "earlier": 0,
        "admitted": 100, "rejected": 0, "reasons": {}, "dryRun": False,
    }  # fmt: skip
    assert totals(program) == (100, 0, 7, 100)
    renamed = program.cwd / "again.ndjson.gz"
    renamed.write_bytes(gzip.compress(file.read_bytes()))
    program.json("import", str(renamed), "--workspace", "Shop", "--source", "web")
    assert totals(program) == (100, 0, 7, 200)


def test_a_running_server_counts_what_is_imported(program: Program, web: Any) -> None:
    file = program.cwd / "february.ndjson"
    file.write_text("\n".join(line(number, writeKey=web["writeKey"]) for number in range(50)))
    with program.serving():
        finished = program.json("import", "february.ndjson", "--workspace", "Shop")
        assert finished["admitted"] == 50
        assert totals(program) == (50, 0, 7, 50)


def test_lines_name_their_source_unless_the_command_does(program: Program, web: Any) -> None:
    app = program.json("source", "add", "app", "--workspace", "Shop")
    program.json("workspace", "add", "Other")
    foreign = program.json("source", "add", "web", "--workspace", "Other")
    lines = [
        line(1, writeKey=web["writeKey"]),
        line(2, sourceId=app["id"]),
        line(3, writeKey=foreign["writeKey"]),
        line(4, sourceId=foreign["id"]),
        line(5),
    ]
    (program.cwd / "mixed.ndjson").write_text("\n".join(lines))
    by_line = program.run("import", "mixed.ndjson", "--workspace", "Shop")
    assert by_line.returncode == 1
    assert "3 lines were refused, and --max-rejected is 0" in by_line.stderr
    assert "mixed.ndjson:3-5: unknown_source\n" in by_line.stderr
    assert totals(program) == (2, 0, 2, 2)
    by_command = program.json("import", "mixed.ndjson", "--workspace", "Shop", "--source", "app")
    assert by_command["rejected"] == 0
    # The same message id in another source is another call; in the same source it is not.
    assert totals(program) == (6, 0, 5, 7)


def test_bad_lines_are_named_and_cost_nothing_else(program: Program, web: Any) -> None:
    lines = [
        line(1),
        "{not json",
        "",
        json.dumps({"type": "page", "userId": "u"}),
        line(2, receivedAt="2021-02-03T10:00:00"),
        line(3, receivedAt="2999-01-01T00:00:00Z"),
        "x" * 140_000,
        "[]",
        line(4),
    ]
    (program.cwd / "bad.ndjson").write_text("\n".join(lines))
    finished = program.run(
        "import", "bad.ndjson", "--workspace", "Shop", "--source", "web", "--max-rejected", "6"
    )
    assert finished.returncode == 0
    named = [each for each in finished.stderr.splitlines() if each.startswith("bad.ndjson:")]
    assert named == [
        "bad.ndjson:2: malformed_json",
        "bad.ndjson:4: no_received_at",
        "bad.ndjson:5: received_at_without_zone",
        "bad.ndjson:6: received_at_in_future",
        "bad.ndjson:7: message_too_large",
        "bad.ndjson:8: not_an_object",
    ]
    assert "no_received_at: An imported record needs" in finished.stderr
    assert finished.stdout.splitlines()[:4] == [
        "files                       1",
        "records                     8",
        "admitted                    2",
        "rejected                    6",
    ]
    assert totals(program)[0] == 2


def test_a_dry_run_says_the_same_and_changes_nothing(program: Program, web: Any) -> None:
    (program.cwd / "f.ndjson").write_text(line(1) + "\n{}\n")
    before = kept_names(program.data)
    command = (
        "import", "f.ndjson", "--workspace", "Shop", "--source", "web", "--max-rejected", "1",
    )  # fmt: skip
    dry = program.json(*command, "--dry-run")
    assert kept_names(program.data) == before
    assert dry.pop("dryRun") is True
    assert [row["outcome"] for row in dry.pop("firstRows")] == ["counts", "no_received_at"]
    wet = program.json(*command)
    assert wet.pop("dryRun") is False
    assert dry == wet


def test_folders_and_standard_input_are_read(program: Program, web: Any) -> None:
    folder = program.cwd / "archive" / "2021"
    folder.mkdir(parents=True)
    (folder / "one.ndjson").write_text(line(1))
    (folder / "two.jsonl.gz").write_bytes(gzip.compress(line(2).encode()))
    (folder / "three.json.zst").write_bytes(zstandard.compress(line(4).encode()))
    (folder / "notes.txt").write_text("not records")
    arguments = ("--workspace", "Shop", "--source", "web")
    left = program.run("import", "archive", *arguments)
    assert left.returncode == 1
    assert "archive/2021/notes.txt: left out: its name says of no form" in left.stderr
    skipping = program.json("import", "archive", *arguments, "--skip", "*.txt")
    assert (skipping["files"], skipping["leftOut"], skipping["skipped"]) == (3, 0, 1)
    piped = program.run("import", "-", *arguments, stdin=line(3) + "\nbad\n")
    assert piped.returncode == 1
    assert "standard input:2: malformed_json" in piped.stderr
    assert totals(program)[0] == 4


@pytest.mark.parametrize("ending", [".gz", ".zst"])
@pytest.mark.parametrize("damage", ["cut", "scrambled", "not compressed"])
def test_a_file_that_breaks_off_keeps_what_came_before(
    program: Program, web: Any, damage: str, ending: str
) -> None:
    compress = {".gz": gzip.compress, ".zst": zstandard.compress}[ending]
    # In several parts, as programs that append to a log write them.
    numbers = [range(start, start + 500) for start in range(0, 5000, 500)]
    whole = b"".join(compress("".join(line(n) + "\n" for n in part).encode()) for part in numbers)
    broken = {
        "cut": whole[:-2000],
        "scrambled": whole[: len(whole) // 2] + b"\xff" * 3000,
        "not compressed": b"plain text",
    }[damage]
    (program.cwd / f"broken.ndjson{ending}").write_bytes(broken)
    (program.cwd / "good.ndjson").write_text(line(1_000_000))
    arguments = ("--workspace", "Shop", "--source", "web")
    finished = program.run("import", f"broken.ndjson{ending}", "good.ndjson", *arguments)
    assert finished.returncode == 1
    assert f"broken.ndjson{ending}: cannot be read to its end" in finished.stderr
    assert "Traceback" not in finished.stderr
    kept = totals(program)[0]
    assert kept == 1 if damage == "not compressed" else 1 < kept < 5001
    (program.cwd / f"broken.ndjson{ending}").write_bytes(whole)
    assert program.run("import", f"broken.ndjson{ending}", *arguments).returncode == 0
    assert totals(program)[0] == 5001


CHUNK = 10_000


@contextmanager
def interrupted(
    program: Program, records: list[str], number: signal.Signals, *source: str
) -> Iterator[str]:
    """An import out of a pipe, interrupted when two chunks are durable; gives what it then said."""
    pipe = program.cwd / "pipe"
    os.mkfifo(pipe)
    with subprocess.Popen(
        [*PROGRAM, "import", str(pipe), "--workspace", "Shop", *source],
        cwd=program.cwd,
        env=environment(HEADCOUNT_DATA=str(program.data)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        with pipe.open("w") as writer:
            writer.write("\n".join(records[: 2 * CHUNK + 500]))
            writer.flush()
            while len(marks(program)) < 2:
                assert process.poll() is None
                time.sleep(0.01)
            process.send_signal(number)
            assert process.stderr is not None
            said = process.stderr.read()
        status = process.wait()
        assert status == (-number if number == signal.SIGKILL else 130)
    yield said


def marks(program: Program) -> set[bytes]:
    """The marks in all journals."""
    with closing(JournalDirectory(program.data / "journals")) as directory:
        found = set()
        for path in directory.paths():
            with closing(directory.open(path)) as journal:
                found |= journal.checkpoints()
        return found


def rejected(program: Program, reason: str) -> int:
    """How many messages of any month were rejected for a reason."""
    with closing(apsw.Connection(str(program.data / "store.sqlite"))) as db:
        question = "SELECT coalesce(sum(messages), 0) FROM rejection WHERE reason = ?"
        return int(db.execute(question, (reason,)).fetchall()[0][0])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_import_is_finished_by_the_next_and_tallies_nothing_twice(
    program: Program, web: Any, number: signal.Signals
) -> None:
    records = [line(number) for number in range(3 * CHUNK)]
    # Some without an id, all alike: what a made id is depends on how many came before.
    records[5::100] = [
        json.dumps({"type": "page", "userId": "u", "timestamp": "2021-02-01T00:00:00Z"})
    ] * 300
    records[7] = records[CHUNK + 7] = "not json"
    with interrupted(program, records, number, "--source", "web") as said:
        if number == signal.SIGINT:
            # The second chunk is durable a moment before the command has counted it.
            assert re.search(r"[12]0,000 records were read and are kept", said)
            assert "run the same command again" in said
        assert "Traceback" not in said
    # Renamed and compressed meanwhile: what is in it says which file it is.
    (program.cwd / "all.ndjson.zst").write_bytes(zstandard.compress("\n".join(records).encode()))
    arguments = (
        "import", "all.ndjson.zst", "--workspace", "Shop", "--source", "web",
        "--max-rejected", "2", "--rejects", "refused",
    )  # fmt: skip
    finished = program.json(*arguments)
    assert finished["records"] == 3 * CHUNK
    assert finished["earlier"] == 2 * CHUNK - 2
    # Those of the first attempt are said again, and tallied once.
    assert finished["rejected"] == 2
    assert (program.cwd / "refused").read_text() == "not json\n" * 2
    assert totals(program)[:3] == (3 * CHUNK - 2, 1, 7)
    assert totals(program)[3] == 3 * CHUNK - 2
    assert rejected(program, "malformed_json") == 2
    # What is finished leaves nothing behind, and can be imported anew.
    assert marks(program) == set()
    assert program.json(*arguments)["earlier"] == 0
    assert totals(program)[:3] == (3 * CHUNK - 2, 1, 7)


def test_what_was_taken_under_other_circumstances_is_taken_again(
    program: Program, web: Any
) -> None:
    app = program.json("source", "add", "app", "--workspace", "Shop")
    records = [line(number, sourceId=web["id"]) for number in range(3 * CHUNK)]
    records[CHUNK] = line(CHUNK, projectId="late")
    with interrupted(program, records, signal.SIGINT):
        pass
    (program.cwd / "all.ndjson").write_text("\n".join(records))
    # A line that no source was found for may belong to one that has been made since; what came
    # before it is as it was.
    program.json("source", "add", "late", "--workspace", "Shop")
    assert program.json("import", "all.ndjson", "--workspace", "Shop")["earlier"] == CHUNK
    # Into another source the same lines are other messages.
    for_app = ("import", "all.ndjson", "--workspace", "Shop", "--source", app["name"])
    assert program.json(*for_app)["earlier"] == 0
    assert totals(program)[0] == 2 * 3 * CHUNK


@pytest.mark.parametrize("serving", [False, True])
def test_two_imports_of_one_file_at_once_are_one(program: Program, web: Any, serving: bool) -> None:
    records = [line(number) for number in range(25_000)]
    records[3::50] = [
        json.dumps({"type": "page", "userId": "u", "timestamp": "2021-02-01T00:00:00Z"})
    ] * 500
    (program.cwd / "one.ndjson").write_text("\n".join(records))
    command = [*PROGRAM, "import", "one.ndjson", "--workspace", "Shop", "--source", "web"]
    with program.serving() if serving else nullcontext():
        imports = [
            subprocess.Popen(
                command, cwd=program.cwd, env=environment(HEADCOUNT_DATA=str(program.data)),
                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            )
            for _ in range(2)
        ]  # fmt: skip
        for each in imports:
            _, said = each.communicate()
            assert (each.returncode, said) == (0, "")
        assert totals(program)[:3] == (25_000, 1, 7)


def test_a_closed_month_is_refused_by_name_and_a_dry_run_says_so(
    program: Program, web: Any
) -> None:
    (program.cwd / "f.ndjson").write_text(
        line(1) + "\n" + line(2, receivedAt="2021-03-01T00:00:00Z")
    )
    command = ("import", "f.ndjson", "--workspace", "Shop", "--source", "web")
    assert program.json(*command)["rejected"] == 0
    with closing(open_store(program.data / "store.sqlite")) as store:
        store.commit(Change(sealed=[(1, parse_period(FEBRUARY))]))
    for more in ((), ("--dry-run",)):
        finished = program.run(*command, *more)
        assert finished.returncode == 1
        assert "f.ndjson:1: period_sealed\n" in finished.stderr
        assert "period_sealed: The month of this record is closed for good" in finished.stderr
    assert totals(program) == (1, 0, 1, 1)
    assert totals(program, "2021-03-01")[0] == 1


def test_files_that_are_no_records_are_named_and_nothing_of_them_is_taken(
    program: Program, web: Any
) -> None:
    text = line(1).replace("a1", "Zoë")
    (program.cwd / "binary.json").write_bytes(bytes(range(256)) * 300)
    (program.cwd / "latin.json").write_bytes(f"{line(2)}\n{text}\n{line(3)}".encode("latin-1"))
    (program.cwd / "wide.json").write_bytes(f"{line(4)}\n{line(5)}\n".encode("utf-16"))
    (program.cwd / "table.json").write_text("id,name\n1,Zoe\n")
    finished = program.run("import", ".", "--workspace", "Shop", "--source", "web")
    assert finished.returncode == 1
    assert "Traceback" not in finished.stderr
    assert "table.json: is not taken: none of its lines" in finished.stderr
    assert 'it begins with "id,name"' in finished.stderr
    assert "binary.json: is not taken: none of its lines" in finished.stderr
    assert "latin.json:2: not_utf8" in finished.stderr
    assert "not_utf8: A record must be in UTF-8" in finished.stderr
    # What says of itself that it is UTF-16 is read.
    assert totals(program)[0] == 4


def test_a_line_of_100_mb_is_named_and_takes_no_memory(program: Program, web: Any) -> None:
    compressor = zstandard.ZstdCompressor().compressobj()
    with (program.cwd / "long.json.zst").open("wb") as file:
        file.write(compressor.compress(line(1).encode() + b"\n"))
        for _ in range(100):
            file.write(compressor.compress(b"x" * 1_000_000))
        file.write(compressor.compress(b"\n" + line(2).encode()) + compressor.flush())
    command = ("import", "long.json.zst", "--workspace", "Shop", "--source", "web")
    finished = program.run(*command)
    assert "long.json.zst:2: message_too_large\n" in finished.stderr
    assert totals(program)[0] == 2


def test_what_cannot_be_imported_is_refused_before_anything_is_read(
    program: Program, web: Any
) -> None:
    (program.cwd / "a.ndjson").write_text(line(1))
    (program.cwd / "b.ndjson.xz").write_bytes(b"")
    (program.cwd / "empty").mkdir()
    shop = ("--workspace", "Shop", "--source", "web")
    for arguments, words in (
        (("a.ndjson", "missing.ndjson", *shop), "There is no file missing.ndjson"),
        (("a.ndjson", "b.ndjson.xz", *shop), "xz -dc b.ndjson.xz | headcount import -"),
        (("a.ndjson", "empty", *shop), "holds no file to import"),
        (("a.ndjson", "--workspace", "Nope"), 'no workspace "Nope"'),
        (("a.ndjson", "--workspace", "Shop", "--source", "nope"), 'no source "nope"'),
    ):
        finished = program.run("import", *arguments)
        assert finished.returncode == 2
        assert words in finished.stderr
        assert len(finished.stderr.splitlines()) == 1
    assert not (program.data / "store.sqlite").exists()


def test_a_mistyped_data_folder_is_not_made(program: Program, web: Any) -> None:
    (program.cwd / "a.ndjson").write_text(line(1))
    finished = program.run("import", "a.ndjson", "--workspace", "Shop", "--data", "elsewhere")
    assert finished.returncode == 1
    assert "no data folder of Headcount at elsewhere" in finished.stderr
    assert not (program.cwd / "elsewhere").exists()


def test_another_hash_key_is_refused(program: Program, web: Any) -> None:
    (program.cwd / "a.ndjson").write_text(line(1))
    arguments = ("import", "a.ndjson", "--workspace", "Shop", "--source", "web")
    assert program.run(*arguments).returncode == 0
    (program.data / "hash.key").write_text("ab" * 32)
    finished = program.run(*arguments)
    assert finished.returncode == 1
    assert "another hash key" in finished.stderr
    assert "backup" in finished.stderr


def test_a_terminal_shows_how_far_it_is_and_a_pipe_does_not(program: Program, web: Any) -> None:
    (program.cwd / "f.ndjson").write_text(f"{line(1)}\nnot json\n")
    command = ("import", "f.ndjson", "--workspace", "Shop", "--source", "web")
    assert "Reading" not in program.run(*command).stderr
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*PROGRAM, *command, "--json"], cwd=program.cwd, stdout=subprocess.PIPE, stderr=theirs,
        env=environment(HEADCOUNT_DATA=str(program.data), TERM="xterm"),
    ) as process:  # fmt: skip
        os.close(theirs)
        shown = b"".join(_pieces(ours))
        assert process.stdout is not None
        # What is for a person never gets into what is for a program.
        assert json.loads(process.stdout.read())["records"] == 2
    os.close(ours)
    assert b"Reading" in shown
    assert b"f.ndjson:2: malformed_json" in shown


def _pieces(terminal: int) -> Iterator[bytes]:
    while True:
        try:
            piece = os.read(terminal, 4096)
        except OSError:  # how Linux says that nobody has the other end any more
            return
        yield piece


def test_refused_lines_are_kept_as_they_came_and_a_few_of_them_named(
    program: Program, web: Any
) -> None:
    good, bad = line(1).encode(), json.dumps({"type": "page", "userId": "u"}).encode()
    long = b'{"type": "page", "x": "' + b"x" * 9_000_000 + b'"}'
    first = [
        b"\xef\xbb\xbf  nonsense \t\r\n", good + b"\n", b"\n", bad + b"\r\n", b"\xff\xfe\n",
        long + b"\n", good + b"\n", b" \n", b"[1]",
    ]  # fmt: skip
    (program.cwd / "1.ndjson.gz").write_bytes(gzip.compress(b"".join(first)))
    # Each of the refused lines stands between good ones, so that no range is named for them.
    many = [b"%d" % number if number % 2 else good for number in range(80_000)]
    (program.cwd / "2.ndjson").write_bytes(b"\n".join(many))
    finished = program.run(
        "import", "1.ndjson.gz", "2.ndjson", "--workspace", "Shop", "--source", "web",
        "--rejects", "refused",
    )  # fmt: skip
    assert finished.returncode == 1
    kept = [first[0], first[3], first[4], first[5], b"[1]\n"]
    expected = b"".join(kept) + b"\n".join(many[1::2])
    assert (program.cwd / "refused").read_bytes() == expected
    assert "rejected             40,005\n" in finished.stdout
    assert "40,005 lines were refused" in finished.stderr
    named = [each for each in finished.stderr.splitlines() if each.endswith(": not_an_object")]
    assert named[:2] == ["1.ndjson.gz:9: not_an_object", "2.ndjson:2: not_an_object"]
    assert len(named) == 10
    assert "(39,991 lines more not named above.)" in finished.stderr
    # What was refused is refused for the same reasons, and can be put right in that file.
    again = program.run("import", "refused", "--workspace", "Shop", "--source", "web", "--json")
    assert json.loads(again.stdout)["rejected"] == json.loads(again.stdout)["records"] == 40_005


def test_no_import_prints_more_than_three_hundred_lines(program: Program, web: Any) -> None:
    texts = [
        "nonsense", "[]", "{}", "x" * 140_000, "\x85", json.dumps({"receivedAt": FEBRUARY}),
        line(1, type="no"), line(1, userId=1.5), line(1, messageId=""), line(1, messageId=[]),
        line(1, anonymousId=None), line(1, type="identify"), line(1, type="alias"),
        line(1, type="group"), line(1, type="track", event=5), line(1, receivedAt="2021"),
        line(1, receivedAt="2021-02-03T10:00:00"), line(1, receivedAt="2999-01-01T00:00:00Z"),
        line(1, receivedAt="1999-01-01T00:00:00Z"), "[" * 60_000,
    ]  # fmt: skip
    (program.cwd / "all.ndjson").write_text("\n".join(texts * 30), "latin-1")
    for number in range(200):
        (program.cwd / f"{number}.ndjson.gz").write_bytes(b"not gzip")
    names = ("all.ndjson", *(f"{number}.ndjson.gz" for number in range(200)))
    (program.cwd / "folder").mkdir()
    (program.cwd / "pages.csv").write_text(
        "user_id,received_at\nu,2021-02-01T00:00:00Z\n" + "u\n" * 30
    )
    for number in range(30):
        (program.cwd / "folder" / f"{number}.log").write_text("")
    names = ("pages.csv", *names, "folder")
    for more in ((), ("--dry-run",)):
        finished = program.run("import", *names, "--workspace", "Shop", "--source", "web", *more)
        assert finished.returncode == 1
        assert len((finished.stdout + finished.stderr).splitlines()) <= 300
        assert "180 files more could not be read" in finished.stderr
        assert "lines were refused" in finished.stderr
        assert "30 files were left out" in finished.stderr


@pytest.mark.parametrize("at_most", [0, 1, 2, 3])
def test_more_refused_lines_than_may_be_end_with_status_1(
    program: Program, web: Any, at_most: int
) -> None:
    (program.cwd / "f.ndjson").write_text(f"{line(1)}\n[]\n[]\n")
    command = ("import", "f.ndjson", "--workspace", "Shop", "--source", "web")
    finished = program.run(*command, "--max-rejected", str(at_most), "--json")
    assert finished.returncode == (1 if at_most < 2 else 0)
    assert json.loads(finished.stdout)["rejected"] == 2
    assert ("2 lines were refused" in finished.stderr) == (at_most < 2)
    assert totals(program)[0] == 1


def test_refused_lines_are_not_written_over_what_is_imported(program: Program, web: Any) -> None:
    (program.cwd / "f.ndjson").write_text(line(1))
    (program.cwd / "link").symlink_to("f.ndjson")
    command = ("import", "f.ndjson", "--workspace", "Shop", "--source", "web", "--rejects")
    for name, status, words in (("link", 2, "written over it"), ("no/where", 1, "No such file")):
        finished = program.run(*command, name)
        assert (finished.returncode, words in finished.stderr) == (status, True), finished.stderr
        assert (program.cwd / "f.ndjson").read_text() == line(1)
