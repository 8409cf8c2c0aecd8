"""Damage under a running server: says whether anybody noticed, and at once.

While the server runs, some messages lie in a journal uncounted, then the damage is done, then more
messages come. Every number that is served afterwards is what it must be, or `/readyz` or doctor
says at that moment that something is wrong.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import urllib3

from crash.damages import (
    AT_REST_S,
    Damage,
    Master,
    Verdict,
    checked,
    examined,
    read,
    running_server,
)
from support.program import Program

__all__ = ["judge_running"]

_POSTS = 6
_POST_WITHIN_S = 40.0
_REFUSED = (401, 429, 503)

Figures = dict[str, Any]
"""What readers see of each scope, as numbers; what was answered instead, where they are refused."""


@dataclass
class _Posted:
    """How many messages of each source were acknowledged, and of how many nobody can say."""

    acknowledged: dict[str, int] = field(default_factory=dict)
    unknown: dict[str, int] = field(default_factory=dict)
    kinds: list[str] = field(default_factory=list)

    def post(self, announced: Any, write_keys: dict[str, str], tag: str) -> None:
        http = urllib3.PoolManager(retries=False, timeout=_POST_WITHIN_S)
        for number in range(_POSTS):
            for source, write_key in write_keys.items():
                who = f"{tag} {source} {number}"
                body = {"batch": [{"type": "page", "userId": who, "messageId": who}]}
                text = json.dumps(body | {"writeKey": write_key})
                try:
                    answer = http.request("POST", announced["tracking"] + "/v1/batch", body=text)
                except urllib3.exceptions.HTTPError:
                    self.unknown[source] = self.unknown.get(source, 0) + 1
                    continue
                if answer.status == 200:
                    self.acknowledged[source] = self.acknowledged.get(source, 0) + 1
                elif answer.status not in _REFUSED:
                    self.kinds.append(f"{answer.status} {answer.data.decode()}")
            time.sleep(0.05)
        http.clear()


def judge_running(master: Master, place: Path, damage: Damage) -> Verdict:
    """Damage a copy of the folder under a running server, post to it, and see what is said."""
    place.mkdir()
    log: list[str] = []
    try:
        data = place / "data"
        shutil.copytree(master.data, data)
        program = Program(data=data, cwd=place)
        verdict = Verdict("")
        with running_server(place, log) as (process, announced):
            assert announced is not None, log
            read(master, announced, verdict)
            wrong = _damage_and_count(master, announced, process, damage, data, verdict)
            ready = _readiness(announced, verdict)
            well = examined(program, verdict, "doctor, running") and ready
            if process.poll() is not None:
                verdict.said.append(f"serve: ended with {process.returncode}: {log[-1:]}")
                well = False
        checked("".join(log), "serve", verdict)
        if wrong and well:
            verdict.faults.append(f"other counts, and nobody says so: {wrong}")
        stopped = examined(program, verdict, "doctor, stopped")
        verdict.same = not wrong
        if well and stopped and not wrong:
            # What nobody has seen by now must not be seen by a later start in other counts either.
            _judge_restart(place, master, verdict)
        return verdict
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _damage_and_count(
    master: Master, announced: Any, process: Any, damage: Damage, data: Path, verdict: Verdict
) -> list[str]:
    """Do it amid messages; figures that are not what they must be, afterwards."""
    posted = _Posted()
    with _without_meter(process):
        posted.post(announced, master.write_keys, "before")
        try:
            verdict.what = damage(data)
        except (sqlite3.Error, ValueError, IndexError, FileNotFoundError) as error:
            verdict.what = f"could not be done: {error}"
    posted.post(announced, master.write_keys, "after")
    verdict.faults += [f"a post was answered {kind}" for kind in posted.kinds]
    try:
        seen = read(master, announced, verdict)
    except urllib3.exceptions.HTTPError as error:
        verdict.said.append(f"the API address: {error}")
        return ["nobody answers"]
    verdict.figures = after = _figures(seen)
    verdict.faults += [
        f"{scope}: answered {each}" for scope, each in after.items() if "500" in str(each)[:4]
    ]
    verdict.said += sorted({f"the API: {each}" for each in after.values() if isinstance(each, str)})
    return list(_wrong(master, posted, after))


@contextmanager
def _without_meter(process: subprocess.Popen[str]) -> Iterator[None]:
    """Let nothing be counted, so that the journals hold what is posted."""
    meters = [
        child
        for child in psutil.Process(process.pid).children()
        if child.cmdline()[-1:] == ["meter"]
    ]
    time.sleep(AT_REST_S)
    for meter in meters:
        meter.suspend()
    try:
        yield
    finally:
        for meter in meters:
            with contextlib.suppress(psutil.NoSuchProcess):
                meter.resume()


def _readiness(announced: Any, verdict: Verdict) -> bool:
    http = urllib3.PoolManager(retries=False, timeout=_POST_WITHIN_S)
    try:
        ready = http.request("GET", announced["api"] + "/readyz")
    except urllib3.exceptions.HTTPError as error:
        verdict.said.append(f"readyz: {error}")
        return False
    if ready.status != 200:
        verdict.said.append(f"readyz: {ready.data.decode()}")
    return ready.status == 200


def _figures(seen: Any) -> Figures:
    found: Figures = {}
    for key, answer in seen.items():
        workspace, _, path = key.partition(" ")
        if "status" in answer and "body" in answer:
            found[key] = f"{answer['status']} {answer['body']}"[:300]
        elif path == "outcomes":
            for source in answer["sources"]:
                scope = f"{workspace} {source['sourceName']}"
                found[f"{scope} accepted"] = source["outcomes"]["accepted"]
        elif path.startswith("/usage"):
            [rows] = [rows for name, rows in answer.items() if name != "pagination"]
            for row in rows:
                scope = f"{workspace} {row.get('sourceId', '')}"
                for name in ("apiCalls", "identified", "anonymous"):
                    if name in row:  # the last row of a scope is that of the last day
                        found[f"{scope} {name}"] = int(row[name])
        elif path == "sources":
            found[key] = [(s["id"], s["name"], s["writeKey"]) for s in answer["sources"]]
        else:
            found[key] = [(token["id"], token["valid"]) for token in answer["tokens"]]
    return found


def _wrong(master: Master, posted: _Posted, after: Figures) -> Iterator[str]:
    names = {
        source["id"]: source["name"]
        for key, answer in master.clean.items()
        if key.endswith(" sources")
        for source in answer["sources"]
    }
    of_workspace = {
        key.partition(" ")[0]: [source["name"] for source in answer["sources"]]
        for key, answer in master.clean.items()
        if key.endswith(" sources")
    }
    refused = {key for key, each in after.items() if isinstance(each, str)}
    for scope, before in _figures(master.clean).items():
        workspace, _, rest = scope.partition(" ")
        who, _, kind = rest.rpartition(" ")
        found = after.get(scope)
        if found is None and any(key.startswith(workspace) for key in refused):
            continue
        if not isinstance(before, int):
            if found != before and scope not in refused:
                yield f"{scope}: {before} became {found}"
            continue
        sources = [names.get(who, who)] if who else of_workspace[workspace]
        if kind == "anonymous":
            sources = []
        low = before + sum(posted.acknowledged.get(source, 0) for source in sources)
        high = low + sum(posted.unknown.get(source, 0) for source in sources)
        if not isinstance(found, int) or not low <= found <= high:
            yield f"{scope}: {low} to {high} became {found}"


def _judge_restart(place: Path, master: Master, verdict: Verdict) -> None:
    log: list[str] = []
    former: Figures = verdict.figures
    with running_server(place, log) as (_, announced):
        if announced is None:
            verdict.faults.append(f"doctor says that all is well, and serve refuses: {log}")
            return
        figures = _figures(read(master, announced, verdict))
    if figures != former:
        changed = {k: (former.get(k), v) for k, v in figures.items() if former.get(k) != v}
        verdict.faults.append(f"other counts after the next start: {changed}")
    checked("".join(log), "serve, again", verdict)
