"""A real server for the client's tests: made, filled and run through its command line alone."""

from __future__ import annotations

import contextlib
import json
import random
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Headcount:
    """A running server and what was imported into it.

    Attributes:
        host: address of its usage API.
        token: reads the workspace.
        messages: (source id, day of February 2021, user id, anonymous id) of each message.
    """

    host: str
    token: str
    messages: list[tuple[str, int, str | None, str | None]]

    @property
    def sources(self) -> list[str]:
        return sorted({source for source, *_ in self.messages})


def headcount(*arguments: str) -> Any:
    """Run the server's command line; what it prints, decoded."""
    command = [sys.executable, "-m", "headcount", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def february(source: str, seed: int) -> list[tuple[str, int, str | None, str | None]]:
    """A month of one source: known users, visitors, and visitors who become known."""
    chance = random.Random(seed)
    return [
        (
            source,
            day,
            chance.choice([None, *(f"user-{n}" for n in range(9))]),
            f"device-{chance.randrange(12)}",
        )
        for day in range(1 + seed, 29)
        for _ in range(chance.randrange(6))
    ]


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Headcount]:
    """A server on `folder` that holds February 2021 of two sources, for as long as the block."""
    data = ("--data", str(folder / "data"), "--json")
    headcount("workspace", "add", "Shop", *data)
    token = headcount("token", "add", "--workspace", "Shop", *data)["token"]
    messages = []
    for seed, name in enumerate(("web", "phone"), start=1):
        source = headcount("source", "add", name, "--workspace", "Shop", *data)["id"]
        rows = february(source, seed)
        messages += rows
        path = folder / f"{name}.ndjson"
        with path.open("w") as file:
            for number, (_, day, user_id, anonymous_id) in enumerate(rows):
                record = {
                    "type": "track",
                    "event": "Seen",
                    "messageId": f"{name}-{number}",
                    "userId": user_id,
                    "anonymousId": anonymous_id,
                    "receivedAt": f"2021-02-{day:02}T12:00:00Z",
                }
                file.write(json.dumps(record) + "\n")
        headcount("import", str(path), "--workspace", "Shop", "--source", name, *data)
    command = [sys.executable, "-m", "headcount", "serve", *data, "--workers", "1"]
    command += ["--tracking", "127.0.0.1:0", "--api", "127.0.0.1:0"]
    command += ["--rate-limit-per-minute", "100000"]
    with (
        (folder / "serve.err").open("w") as errors,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True) as process,
    ):
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line, (folder / "serve.err").read_text()
            yield Headcount(json.loads(line)["api"], token, messages)
        finally:
            process.terminate()
            process.wait()
