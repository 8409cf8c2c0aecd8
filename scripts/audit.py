"""Looks up every locked version for known vulnerabilities: `python scripts/audit.py FILE...`.

Ends with 0 only where each of them was looked at and none has any. The tool that asks, pip-audit,
leaves out what it cannot look up and then says that nothing was found; so what it says is compared
here, version by version, with what it was asked.

Status 1 means a vulnerability, 2 that not everything was looked at.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

_PIN = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==([^\s;\\]+)", re.MULTILINE)
_WITHIN_S = 300
_SHOWN_MAX = 10


class Pin(NamedTuple):
    """One locked version."""

    name: str
    version: str

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


class Findings(NamedTuple):
    """What became of a look-up.

    Attributes:
        vulnerable: sentences, one for each vulnerability.
        unseen: why each version that was not looked at was not.
    """

    vulnerable: list[str]
    unseen: dict[Pin, str]


def pins_of(text: str) -> list[Pin]:
    """The versions that a lock file names, each once; of a name there may be several."""
    return sorted({Pin(_plain(name), version) for name, version in _PIN.findall(text)})


def rounds_of(pins: Iterable[Pin]) -> list[list[Pin]]:
    """The same in lists without a name twice, which the tool would not take."""
    rounds: list[dict[str, Pin]] = []
    for pin in pins:
        for each in rounds:
            if pin.name not in each:
                each[pin.name] = pin
                break
        else:
            rounds.append({pin.name: pin})
    return [list(each.values()) for each in rounds]


def judged(asked: Iterable[Pin], answer: Mapping[str, Any] | None, failure: str = "") -> Findings:
    """What an answer of the tool says of the versions that it was asked for.

    Args:
        asked: these.
        answer: its JSON; None where it gave none.
        failure: why it gave none.
    """
    told: dict[Pin, Mapping[str, Any]] = {}
    skipped: dict[str, str] = {}
    for each in (answer or {}).get("dependencies", ()):
        name = _plain(each["name"])
        if "version" in each and "vulns" in each:
            told[Pin(name, each["version"])] = each
        else:
            skipped[name] = each.get("skip_reason", "no reason is given")
    findings = Findings([], {})
    for pin in asked:
        if pin not in told:
            why = failure or skipped.get(pin.name, "the answer does not name it")
            findings.unseen[pin] = why
            continue
        for found in told[pin]["vulns"]:
            versions = ", ".join(found.get("fix_versions", ())) or "no version"
            findings.vulnerable.append(f"{pin}: {found['id']}, fixed in {versions}")
    return findings


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _looked_up(pins: list[Pin]) -> Findings:
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("".join(f"{pin.name}=={pin.version}\n" for pin in pins))
        file.flush()
        command = [
            sys.executable, "-m", "pip_audit", "--requirement", file.name, "--no-deps",
            "--disable-pip", "--format", "json", "--progress-spinner", "off",
        ]  # fmt: skip
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=_WITHIN_S, check=False
            )
        except subprocess.TimeoutExpired:
            return judged(pins, None, f"pip-audit did not end within {_WITHIN_S} s")
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        last = (done.stderr.strip().splitlines() or ["it says nothing"])[-1]
        return judged(pins, None, f"pip-audit failed with status {done.returncode}: {last}")
    return judged(pins, answer)


def main(files: list[str]) -> int:
    """Look everything up that the files name, and say what was found.

    Returns:
        The exit status.
    """
    pins: set[Pin] = set()
    for file in files:
        found = pins_of(Path(file).read_text("utf-8"))
        if not found:
            sys.stderr.write(f"{file} names no version to look up.\n")
            return 2
        pins.update(found)
    findings = Findings([], {})
    for each in rounds_of(sorted(pins)):
        more = _looked_up(each)
        findings.vulnerable.extend(more.vulnerable)
        findings.unseen.update(more.unseen)
    for line in findings.vulnerable:
        sys.stdout.write(f"{line}\n")
    seen = len(pins) - len(findings.unseen)
    sys.stdout.write(
        f"{seen} of {len(pins)} locked versions were looked at;"
        f" {len(findings.vulnerable)} known vulnerabilities.\n"
    )
    if findings.unseen:
        sys.stderr.write(f"Not looked at, so nothing is known of them: {len(findings.unseen)}\n")
        for pin, why in sorted(findings.unseen.items())[:_SHOWN_MAX]:
            sys.stderr.write(f"  {pin}: {why}\n")
        if (left := len(findings.unseen) - _SHOWN_MAX) > 0:
            sys.stderr.write(f"  and {left} more\n")
    return 1 if findings.vulnerable else 2 if findings.unseen else 0


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("Name the lock files to look up.")
    sys.exit(main(sys.argv[1:]))
