"""Damage to a data folder: makes a folder with everything in it, damages a copy, and says whether
anybody noticed.

Each damage is one of two kinds: chosen, for each part of each file, or seeded, anywhere. The
verdict is the same for all: the counts are what they were, or doctor or the start says what is
wrong. Sentences only: a trace is a fault, and so is a refusal of many lines.
"""

from __future__ import annotations

import contextlib
import json
import random
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import urllib3

from headcount.clock import now_ms
from headcount.journal import JournalDirectory
from headcount.meter import Meter, MeterLimits
from headcount.store.opening import open_store
from support.program import PROGRAM, Program, environment
from support.server_fixture import Shop, serving

__all__ = [
    "AT_REST_S",
    "Damage",
    "Master",
    "Verdict",
    "checked",
    "examined",
    "judge",
    "judge_repair",
    "make_master",
    "read",
    "running_server",
]

REFUSAL_LINES_MAX = 6
AT_REST_S = 0.5
"""After which a meter that has counted all holds no lock of a journal: stopped with one, it would
keep intake from writing."""

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
        clean_on: on which day that was seen.
    """

    data: Path
    tokens: dict[str, str]
    write_keys: dict[str, str]
    acknowledged: int
    clean: Any = None
    clean_on: str = ""


@dataclass
class Verdict:
    """What came of one damage.

    Attributes:
        what: what was done.
        same: whether readers see what they saw before.
        said: sentences that name something wrong, by who said them.
        faults: what must not be; empty when all is well.
        done: what a repair did.
        figures: what readers saw under a running server.
    """

    what: str
    same: bool = False
    said: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)


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
        answer = shop.server.track("/v1/batch", body, shop.write_keys[source])
        assert answer.status == 200, answer
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
    store = open_store(data / "store.sqlite")
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
        time.sleep(AT_REST_S)
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


@contextmanager
def _damaged(master: Master, place: Path, damage: Damage) -> Iterator[tuple[Program, Verdict]]:
    """The program on a copy of the folder that was damaged, and a verdict to be filled."""
    place.mkdir()
    try:
        program = Program(data=place / "data", cwd=place)
        shutil.copytree(master.data, program.data)
        yield program, Verdict(damage(program.data))
    finally:
        shutil.rmtree(place)


def judge(master: Master, place: Path, damage: Damage) -> Verdict:
    """Damage a copy of the folder, and see what is said of it and what it counts."""
    with _damaged(master, place, damage) as (program, verdict):
        before = examined(program, verdict, "doctor, before")
        seen = _served(master, place, verdict)
        if master.clean is None:
            master.clean, master.clean_on = seen, _today()
            verdict.same = seen is not None and before
            if not verdict.same:
                verdict.faults.append("the folder is not well to begin with")
            return verdict
        verdict.same = _is_clean(master, place, seen)
        examined(program, verdict, "doctor, after")
        if not verdict.same and not verdict.said:
            verdict.faults.append(f"other counts, and nobody says so: {_other(master.clean, seen)}")
        return verdict


def _today() -> str:
    return time.strftime("%Y-%m-%d", time.gmtime())


def _is_clean(master: Master, place: Path, seen: Any) -> bool:
    """Whether readers saw what they see of the folder that nobody has touched."""
    if seen == master.clean or seen is None:
        return bool(seen == master.clean)
    if _today() != master.clean_on:  # midnight has come, and each answer has a row more
        again = place / "again"
        again.mkdir()
        shutil.copytree(master.data, again / "data")
        master.clean, master.clean_on = _served(master, again, Verdict("")), _today()
        shutil.rmtree(again)
    return bool(seen == master.clean)


def judge_repair(master: Master, place: Path, damage: Damage) -> Verdict:
    """Damage a copy of the folder, repair it, and see what it counts then.

    What is counted afterwards is what it was, or the repair has said what is lost, or has refused.
    """
    with _damaged(master, place, damage) as (program, verdict):
        done = program.run("doctor", "--repair", "--yes", "--json")
        checked(done.stderr + done.stdout, "repair", verdict)
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
        verdict.same = _is_clean(master, place, seen)
        if not verdict.same and not lost:
            verdict.faults.append(f"other counts after a repair: {_other(master.clean, seen)}")
        if not examined(program, verdict, "doctor, after"):
            verdict.faults.append("doctor names a problem once it is served")
        return verdict


def _other(clean: Any, seen: Any) -> str:
    if not isinstance(seen, dict) or not isinstance(clean, dict):
        return repr(seen)[:200]
    for key in clean:
        if clean[key] != seen.get(key):
            return (
                f"{key}: {json.dumps(clean[key])[-300:]} became {json.dumps(seen.get(key))[-300:]}"
            )
    return "nothing"


def checked(text: str, who: str, verdict: Verdict) -> None:
    """See that there is no trace in what somebody said."""
    if "Traceback" in text:
        trace = text[text.index("Traceback") :]
        verdict.faults.append(f"{who}: a trace: {trace[-600:]}")


def examined(program: Program, verdict: Verdict, who: str) -> bool:
    """Let doctor look; whether it says that all is well."""
    done = program.run("doctor", "--json")
    checked(done.stderr + done.stdout, who, verdict)
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
def running_server(place: Path, log: list[str]) -> Iterator[tuple[subprocess.Popen[str], Any]]:
    """A server on the folder `data` of a place, and where it listens; None if it ends before."""
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
    with running_server(place, log) as (process, announced):
        if announced is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_ENDS_WITHIN_S)
            ended = process.returncode
        else:
            seen = read(master, announced, verdict)
    text = "".join(log)
    checked(text, "serve", verdict)
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
