"""Damage to a data folder: makes a folder with everything in it, damages a copy, and says whether
anybody noticed.

Each damage is one of two kinds: chosen, for each part of each file, or seeded, anywhere. The
verdict is the same for all: the counts are what they were, or doctor or the start says what is
wrong. Sentences only: a trace is a fault, and so is a refusal of many lines.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import shutil
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import urllib3

from headcount.clock import now_ms
from headcount.journal import JournalDirectory
from headcount.meter import Meter, MeterLimits
from headcount.store.sqlite import SqliteStore
from program import PROGRAM, Program, environment
from server_fixture import Shop, serving

__all__ = [
    "Damage",
    "Master",
    "Verdict",
    "chosen",
    "judge",
    "judge_repair",
    "make_master",
    "seeded",
]

REFUSAL_LINES_MAX = 6
_READY_WITHIN_S = 60.0
_COUNTED_WITHIN_S = 60.0
_ENDS_WITHIN_S = 30.0
_USAGE = (
    "/usage/api-calls/daily",
    "/usage/api-calls/sources/daily",
    "/usage/mtu/daily",
    "/usage/mtu/sources/daily",
)

Damage = Callable[[Path], str]
"""Damages the data folder at a path; gives what was done, as a clause."""


@dataclass
class Master:
    """A folder that nobody touches, and what it says when it is served.

    Attributes:
        data: the data folder.
        tokens: workspace to an API token of it.
        write_keys: source to its write key.
        acknowledged: how many messages were.
        clean: everything that readers see once all is counted.
    """

    data: Path
    tokens: dict[str, str]
    write_keys: dict[str, str]
    acknowledged: int
    clean: Any = None


@dataclass
class Verdict:
    """What came of one damage.

    Attributes:
        what: what was done.
        same: whether readers see what they saw before.
        said: sentences that name something wrong, by who said them.
        faults: what must not be; empty when all is well.
        done: what a repair did.
    """

    what: str
    same: bool = False
    said: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    done: list[str] = field(default_factory=list)


def _post(shop: Shop, source: str, tag: str, batches: int) -> int:
    rng = random.Random(tag + source)
    for number in range(batches):
        batch = [
            {
                "type": "identify" if rng.random() < 0.2 else "page",
                "messageId": f"{tag}-{source}-{number}-{n}",
                "userId": f"u{rng.randrange(400)}" if rng.random() < 0.5 else None,
                "anonymousId": f"a{rng.randrange(600)}",
            }
            for n in range(20)
        ]
        body = {"batch": [*batch, {"type": "track", "userId": "without an event"}]}
        assert shop.server.track("/v1/batch", body, shop.write_keys[source]).status == 200
    return 20 * batches


def make_master(folder: Path) -> Master:
    """A folder with counts, blocks, runs, and messages that are acknowledged and not counted."""
    options = ("--workers", "1")
    with serving(folder, *options) as server:
        shops = [server.shop("Shop", "web", "app"), server.shop("Café", "till")]
        sent = sum(_post(shop, s, "one", 10) for shop in shops for s in shop.write_keys)
        for shop in shops:
            shop.wait_until_counted()
    data = folder / "data"
    # Runs exist only beyond millions of keys, so they are made with smaller limits.
    store = SqliteStore(data / "store.sqlite")
    limits = MeterLimits(50_000, 300, 300, 1 << 30)
    meter = Meter(store, JournalDirectory(data / "journals"), now_ms, 35, limits)
    for _ in range(50):
        meter.step()
    meter.close()
    store.close()
    assert list((data / "keys").glob("*.keys"))
    with serving(folder, *options) as server:
        again = [replace(shop, server=server) for shop in shops]
        sent += sum(_post(shop, s, "two", 4) for shop in again for s in shop.write_keys)
        for shop in again:
            shop.wait_until_counted()
        [meter_process] = server.children("meter")
        meter_process.suspend()
        sent += sum(_post(shop, s, "three", 4) for shop in again for s in shop.write_keys)
        server.end()
    master = Master(
        data,
        {shop.name: shop.token for shop in shops},
        {name: key for shop in shops for name, key in shop.write_keys.items()},
        sent,
    )
    verdict = judge(master, folder / "clean", lambda _: "nothing")
    assert verdict.faults == []
    return master


def judge(master: Master, place: Path, damage: Damage) -> Verdict:
    """Damage a copy of the folder, and see what is said of it and what it counts."""
    place.mkdir()
    try:
        data = place / "data"
        shutil.copytree(master.data, data)
        verdict = Verdict(damage(data))
        program = Program(data=data, cwd=place)
        before = _doctor(program, verdict, "doctor, before")
        seen = _served(master, place, verdict)
        if master.clean is None:
            master.clean = seen
            verdict.same = seen is not None and before
            if not verdict.same:
                verdict.faults.append("the folder is not well to begin with")
            return verdict
        verdict.same = seen == master.clean
        _doctor(program, verdict, "doctor, after")
        if not verdict.same and not verdict.said:
            verdict.faults.append(f"other counts, and nobody says so: {_other(master.clean, seen)}")
        return verdict
    finally:
        shutil.rmtree(place)


def judge_running(master: Master, place: Path, damage: Damage) -> Verdict:
    """Damage a copy of the folder under a running server, post to it, and see what is said.

    Whatever is acknowledged after the damage is counted, or somebody says that something is wrong.
    """
    place.mkdir()
    log: list[str] = []
    try:
        data = place / "data"
        shutil.copytree(master.data, data)
        program = Program(data=data, cwd=place)
        verdict = Verdict("")
        with _running(place, log) as (process, announced):
            assert announced is not None, log
            read(master, announced, verdict)
            verdict.what = damage(data)
            counted = _post_and_count(master, announced, verdict)
            before = _doctor(program, verdict, "doctor, running")
            ended = process.poll()
            if ended is not None:
                verdict.said.append(f"serve: ended with status {ended}: {log[-1:]}")
        _checked("".join(log), "serve", verdict)
        after = _doctor(program, verdict, "doctor, stopped")
        verdict.same = counted is None
        if not verdict.same and before and after and not verdict.said:
            verdict.faults.append(f"other counts, and nobody says so: {counted}")
        return verdict
    finally:
        shutil.rmtree(place)


def _post_and_count(master: Master, announced: Any, verdict: Verdict) -> str | None:
    """Post some messages, and hold what readers see against it; None where it agrees."""
    http = urllib3.PoolManager(retries=False, timeout=_COUNTED_WITHIN_S)
    posted: dict[str, int] = {}
    for number in range(10):
        for source, write_key in master.write_keys.items():
            message = {"userId": f"new {number}", "messageId": f"late {source} {number}"}
            body = json.dumps({"writeKey": write_key, "batch": [{"type": "page"} | message]})
            with contextlib.suppress(urllib3.exceptions.HTTPError):
                answer = http.request("POST", announced["tracking"] + "/v1/batch", body=body)
                posted[source] = posted.get(source, 0) + (answer.status == 200)
        time.sleep(0.2)
    try:
        seen = read(master, announced, verdict)
        ready = http.request("GET", announced["api"] + "/readyz")
    except urllib3.exceptions.HTTPError as error:
        verdict.said.append(f"the API address: {error}")
        return "nobody answers"
    if ready.status != 200:
        verdict.said.append(f"readyz: {ready.data.decode()}")
    accepted = _accepted(seen)
    for source, before in _accepted(master.clean).items():
        if accepted.get(source) != before + posted.get(source, 0):
            return f"{source}: {before} + {posted.get(source, 0)} became {accepted.get(source)}"
    return None


def _accepted(seen: Any) -> dict[str, int]:
    found: dict[str, int] = {}
    for key, answer in seen.items():
        if key.endswith(" outcomes"):
            for source in answer.get("sources", []):
                found[source["sourceName"]] = source["outcomes"]["accepted"]
    return found


def judge_repair(master: Master, place: Path, damage: Damage) -> Verdict:
    """Damage a copy of the folder, repair it, and see what it counts then.

    What is counted afterwards is what it was, or the repair has said what is lost, or has refused.
    """
    place.mkdir()
    try:
        data = place / "data"
        shutil.copytree(master.data, data)
        verdict = Verdict(damage(data))
        program = Program(data=data, cwd=place)
        done = program.run("doctor", "--repair", "--yes", "--json")
        _checked(done.stderr + done.stdout, "repair", verdict)
        try:
            acts = json.loads(done.stdout)["repair"]
        except ValueError:
            verdict.said.append(f"repair: {done.stderr.strip()}")
            if not done.stderr or len(done.stderr.splitlines()) > REFUSAL_LINES_MAX:
                verdict.faults.append("repair: it does not say what is wrong in a few lines")
            return verdict
        refused = [f"{act['what']} {act['remedy']}" for act in acts if act["remedy"]]
        lost = [f"{act['what']} {act['lost']}" for act in acts if act["lost"]]
        verdict.said += [*(f"refused: {each}" for each in refused), *(f"lost: {e}" for e in lost)]
        verdict.done = [act["what"] for act in acts]
        if refused:
            return verdict
        if done.returncode != 0:
            report = json.loads(done.stdout)["findings"]
            named = [f"{f['check']}: {f['message']}" for f in report if f["level"] == "problem"]
            verdict.faults.append(f"repair: done, and doctor names a problem: {named}")
        seen = _served(master, place, verdict)
        verdict.same = seen == master.clean
        if not verdict.same and not lost:
            verdict.faults.append(f"other counts after a repair: {_other(master.clean, seen)}")
        if not _doctor(program, verdict, "doctor, after"):
            verdict.faults.append("doctor names a problem once it is served")
        return verdict
    finally:
        shutil.rmtree(place)


def _other(clean: Any, seen: Any) -> str:
    if not isinstance(seen, dict) or not isinstance(clean, dict):
        return repr(seen)[:200]
    for key in clean:
        if clean[key] != seen.get(key):
            return (
                f"{key}: {json.dumps(clean[key])[-300:]} became {json.dumps(seen.get(key))[-300:]}"
            )
    return "nothing"


def _checked(text: str, who: str, verdict: Verdict) -> None:
    if "Traceback" in text:
        trace = text[text.index("Traceback") :]
        verdict.faults.append(f"{who}: a trace: {trace[-600:]}")


def _doctor(program: Program, verdict: Verdict, who: str) -> bool:
    done = program.run("doctor", "--json")
    _checked(done.stderr + done.stdout, who, verdict)
    if done.returncode not in (0, 1):
        verdict.faults.append(f"{who}: status {done.returncode}")
    if done.returncode == 0:
        return True
    try:
        findings = json.loads(done.stdout)["findings"]
        named = [f for f in findings if f["level"] == "problem"]
        verdict.said += [f"{who}: {f['check']}: {f['message']} {f['remedy']}" for f in named]
        if any(not f["remedy"] for f in named):
            verdict.faults.append(f"{who}: a problem without a remedy")
    except ValueError:
        lines = done.stderr.splitlines()
        verdict.said.append(f"{who}: {done.stderr.strip()}")
        if not lines or len(lines) > REFUSAL_LINES_MAX:
            verdict.faults.append(f"{who}: it does not say what is wrong in a few lines")
    return False


@contextmanager
def _running(place: Path, log: list[str]) -> Iterator[tuple[subprocess.Popen[str], Any]]:
    process = subprocess.Popen(
        [*PROGRAM, "serve", "--json", "--workers", "1", "--rate-limit-per-minute", "1000000",
         "--tracking", "127.0.0.1:0", "--api", "127.0.0.1:0"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=place,
        env=environment(HEADCOUNT_DATA=str(place / "data")),
    )  # fmt: skip
    assert process.stderr is not None
    assert process.stdout is not None
    reader = threading.Thread(target=log.extend, args=(process.stderr,), daemon=True)
    reader.start()
    # Whoever does not get ready is told to end, which closes what is read here.
    timer = threading.Timer(_READY_WITHIN_S, process.terminate)
    timer.start()
    try:
        text = ""
        while "}" not in text and (line := process.stdout.readline()):
            text += line
        timer.cancel()
        yield process, json.loads(text) if "}" in text else None
    finally:
        timer.cancel()
        process.terminate()
        try:
            process.wait(_ENDS_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        reader.join(_ENDS_WITHIN_S)
        process.stdout.close()
        process.stderr.close()


def _served(master: Master, place: Path, verdict: Verdict) -> Any:
    """What readers see of the folder; None where the start refuses it."""
    log: list[str] = []
    seen: Any = None
    ended = None
    with _running(place, log) as (process, announced):
        if announced is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_ENDS_WITHIN_S)
            ended = process.returncode
        else:
            seen = read(master, announced, verdict)
    text = "".join(log)
    _checked(text, "serve", verdict)
    if announced is None:
        verdict.said.append(f"serve: {text.strip()}")
        if ended != 1 or not log or len(log) > REFUSAL_LINES_MAX:
            verdict.faults.append(f"serve: status {ended}, and {len(log)} lines: {text[-600:]}")
    return seen


def read(master: Master, announced: Any, verdict: Verdict) -> Any:
    """Everything that readers see, once all is counted or the server says that it cannot be."""
    http = urllib3.PoolManager(retries=False, timeout=_COUNTED_WITHIN_S)

    def ask(path: str, token: str) -> Any:
        answer = http.request(
            "GET", announced["api"] + path, headers={"Authorization": f"Bearer {token}"}
        )
        try:
            body = json.loads(answer.data)
        except ValueError:
            body = answer.data.decode("utf-8", "replace")
        if answer.status != 200:
            return {"status": answer.status, "body": body}
        return {key: value for key, value in body["data"].items() if key != "countedUntil"}

    asked_at_ms = now_ms()
    gives_up_at = time.monotonic() + _COUNTED_WITHIN_S
    while True:
        ready = http.request("GET", announced["api"] + "/readyz")
        until = [_until_ms(ask("/headcount/v1/summary", t)) for t in master.tokens.values()]
        if ready.status == 200 and all(u is not None and u > asked_at_ms for u in until):
            break
        # Whoever is not known any more, or gets an error, will get nothing else later.
        refused = ready.status == 200 and None in until and time.monotonic() > gives_up_at - 57
        if (
            refused
            or time.monotonic() > gives_up_at
            or (ready.status == 503 and _hopeless(ready.data))
        ):
            if ready.status != 200:
                verdict.said.append(f"readyz: {ready.status} {ready.data.decode()}")
            if ready.status == 200 and None not in until:
                verdict.faults.append("serve: nothing is counted, and /readyz says ok")
            break
        time.sleep(0.05)
    seen: dict[str, Any] = {}
    for workspace, token in master.tokens.items():
        for path in _USAGE:
            month = time.strftime("%Y-%m-01", time.gmtime(asked_at_ms / 1000))
            seen[f"{workspace} {path}"] = ask(f"{path}?period={month}&pagination.count=1000", token)
        seen[f"{workspace} outcomes"] = ask("/headcount/v1/outcomes", token)
        seen[f"{workspace} sources"] = ask("/headcount/v1/sources", token)
        seen[f"{workspace} tokens"] = ask("/headcount/v1/tokens", token)
    http.clear()
    return seen


def _until_ms(summary: Any) -> int | None:
    from datetime import datetime

    try:
        return int(datetime.fromisoformat(summary["month"]["countedUntil"]).timestamp() * 1000)
    except (KeyError, TypeError, ValueError):
        return None


def _hopeless(body: bytes) -> bool:
    """Whether what /readyz says will not end by itself within a test."""
    return b"starting" not in body and b"not running" not in body


# Damages


def _databases(data: Path) -> Iterator[tuple[str, Path]]:
    yield "catalog", data / "catalog.sqlite"
    yield "store", data / "store.sqlite"
    for path in sorted((data / "journals").glob("*.sqlite")):
        yield "journal", path


def _changed(value: Any) -> Any:
    """Another value of the same kind."""
    if isinstance(value, int):
        return value + 1
    if isinstance(value, str):
        return value[:-1] + chr(ord(value[-1]) ^ 1) if value else "x"
    if isinstance(value, bytes):
        middle = len(value) // 2
        return value[:middle] + bytes([value[middle] ^ 8]) + value[middle + 1 :] if value else b"x"
    return 1


def _value_damage(name: str, table: str, column: str) -> Damage:
    """One value of the last row of a table is another one."""

    def damage(data: Path) -> str:
        path = dict(_databases(data))[name]
        with closing(sqlite3.connect(path)) as database:
            database.execute("PRAGMA ignore_check_constraints = ON")
            row = database.execute(
                f"SELECT rowid, {column} FROM {table} WHERE {column} IS NOT NULL"
                f" ORDER BY rowid DESC LIMIT 1"
                if not _without_rowid(database, table)
                else f"SELECT NULL, {column} FROM {table} WHERE {column} IS NOT NULL LIMIT 1"
            ).fetchone()
            if row is None:
                return f"{name}: {table}.{column} is empty"
            with database:
                where = f"{column} = ?" if row[0] is None else "rowid = ?"
                database.execute(
                    f"UPDATE OR REPLACE {table} SET {column} = ? WHERE {where}",
                    (_changed(row[1]), row[1] if row[0] is None else row[0]),
                )
        return f"{name}: another value of {table}.{column}"

    return damage


def _row_damage(name: str, table: str) -> Damage:
    """One row of a table is gone."""

    def damage(data: Path) -> str:
        path = dict(_databases(data))[name]
        with closing(sqlite3.connect(path)) as database, database:
            database.execute("PRAGMA foreign_keys = OFF")
            key = database.execute(
                f"SELECT name FROM pragma_table_info('{table}') ORDER BY pk DESC"
            ).fetchone()[0]
            database.execute(f"DELETE FROM {table} WHERE {key} = (SELECT max({key}) FROM {table})")
        return f"{name}: a row of {table} is gone"

    return damage


def _without_rowid(database: sqlite3.Connection, table: str) -> bool:
    sql = database.execute("SELECT sql FROM sqlite_schema WHERE name = ?", (table,)).fetchone()[0]
    return "WITHOUT ROWID" in sql


def _removed(*patterns: str) -> Damage:
    def damage(data: Path) -> str:
        for pattern in patterns:
            for path in data.glob(pattern):
                path.unlink()
        return f"{' and '.join(patterns)} removed"

    return damage


def _cut(pattern: str, share: float) -> Damage:
    def damage(data: Path) -> str:
        path = min(data.glob(pattern))
        os.truncate(path, int(path.stat().st_size * share))
        return f"{pattern} cut to {share:.0%}"

    return damage


def _former(pattern: str, master: Master) -> Damage:
    """A database is replaced by an older one of its own."""

    def damage(data: Path) -> str:
        for path in data.glob(pattern):
            for each in data.glob(f"{path.relative_to(data)}*"):
                each.unlink()
            for each in master.data.glob(f"{path.relative_to(data)}*"):
                shutil.copy2(each, data / each.relative_to(master.data))
        return f"{pattern} replaced by what it was before"

    return damage


def running(master: Master) -> dict[str, Damage]:
    """What may become of the files under a running server, by its name."""
    found: dict[str, Damage] = {}
    for pattern in ("catalog.sqlite", "store.sqlite", "journals/*.sqlite"):
        found[f"{pattern} removed"] = _removed(pattern)
        found[f"{pattern} and its log removed"] = _removed(pattern, f"{pattern}-*")
        found[f"{pattern} cut"] = _cut(pattern, 0.5)
        found[f"{pattern}-wal cut"] = _cut(f"{pattern}-wal", 0.5)
        found[f"{pattern} zeros"] = _filled(pattern, bytes)
        found[f"{pattern} replaced"] = _former(pattern, master)
    for pattern in ("keys/*.keys", "hash.key", "format", "identity", "*.confirmed", "run/*.json"):
        found[f"{pattern} removed"] = _removed(pattern)
        found[f"{pattern} zeros"] = _filled(pattern, bytes)
    return found


def _filled(pattern: str, content: Callable[[int], bytes]) -> Damage:
    def damage(data: Path) -> str:
        for path in data.glob(pattern):
            size = path.stat().st_size
            with path.open("r+b") as file:  # in place: somebody may have it open
                file.write(content(size))
        return f"{pattern} filled with other bytes"

    return damage


def chosen(master: Master) -> dict[str, Damage]:
    """A damage to every value and table of every database, and to every file, by its name."""
    found: dict[str, Damage] = {}
    for name, path in _databases(master.data):
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
            tables = [
                table
                for (table,) in database.execute(
                    "SELECT name FROM sqlite_schema WHERE type = 'table'"
                    " AND name NOT LIKE 'sqlite_%'"
                )
                if database.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            ]
            for table in tables:
                found[f"{name}: a row of {table} gone"] = _row_damage(name, table)
                for (column,) in database.execute(
                    f"SELECT name FROM pragma_table_info('{table}')"
                ).fetchall():
                    found[f"{name}: {table}.{column}"] = _value_damage(name, table, column)
    for pattern in ("catalog.sqlite", "store.sqlite", "journals/*.sqlite"):
        found[f"{pattern} removed"] = _removed(pattern)
        found[f"{pattern} and its log removed"] = _removed(pattern, f"{pattern}-*")
        found[f"{pattern}-wal removed"] = _removed(f"{pattern}-wal")
        for share in (0, 0.5):
            found[f"{pattern} cut to {share}"] = _cut(pattern, share)
            found[f"{pattern}-wal cut to {share}"] = _cut(f"{pattern}-wal", share)
        found[f"{pattern} zeros"] = _filled(pattern, bytes)
    for pattern in ("keys/*.keys", "hash.key", "format", "identity", "*.confirmed",
                    "journals/*.confirmed"):  # fmt: skip
        if any(master.data.glob(pattern)):
            found[f"{pattern} removed"] = _removed(pattern)
            found[f"{pattern} cut"] = _cut(pattern, 0.5)
            found[f"{pattern} zeros"] = _filled(pattern, bytes)
    found["run: nonsense"] = _filled("run/*.json", os.urandom)
    found["run/metrics: nonsense"] = _filled("run/metrics/*", os.urandom)
    return found


def _files(data: Path) -> list[Path]:
    """Files that hold anything; not those by which processes tell one another how they are."""
    return sorted(
        path
        for path in data.rglob("*")
        if path.is_file()
        and "run" not in path.relative_to(data).parts
        and path.suffix != ".lock"
        and path.stat().st_size
    )


def seeded(seed: int) -> Damage:
    """A bit flipped, a file cut off, or one removed, anywhere in the folder."""

    def damage(data: Path) -> str:
        rng = random.Random(seed)
        # First the file: the many small ones are as likely as the large.
        path = rng.choice(_files(data))
        name, size = re.sub(r"[0-9a-f-]{36}", "J", str(path.relative_to(data))), path.stat().st_size
        kind = rng.choices(["flip", "cut", "remove", "zeros"], [12, 3, 2, 1])[0]
        if kind == "remove":
            path.unlink()
            return f"{name} removed"
        if kind == "cut":
            length = rng.randrange(size)
            os.truncate(path, length)
            return f"{name} cut from {size} to {length} bytes"
        at = rng.randrange(size)
        with path.open("r+b") as file:
            file.seek(at)
            if kind == "zeros":
                file.write(bytes(min(512, size - at)))
                return f"{name}: zeros from byte {at} of {size} on"
            bit = rng.randrange(8)
            byte = file.read(1)[0]
            file.seek(at)
            file.write(bytes([byte ^ 1 << bit]))
        return f"{name}: bit {bit} of byte {at} of {size}"

    return damage
