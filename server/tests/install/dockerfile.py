"""Carries out a Dockerfile's steps in folders, with chroot, where there is no container engine.

Takes the file, what COPY copies from, and a folder that stands for the base image; gives the last
stage's folder and how its program is started. Knows the instructions that ours has, and refuses
others.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

__all__ = ["Image", "built", "in_root"]

_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


@dataclass
class Image:
    """A stage.

    Attributes:
        root: its files.
        environ: what ENV set.
        user: whom programs run as.
        folder: where RUN runs.
        told: the other instructions, by name, as they stand there.
    """

    root: Path
    environ: dict[str, str] = field(default_factory=dict)
    user: str = "root"
    folder: str = "/"
    told: dict[str, Any] = field(default_factory=dict)

    def command(self, *arguments: str) -> list[str]:
        """What a container is started with; `arguments` stand in for CMD."""
        return [*self.told["ENTRYPOINT"], *(arguments or self.told["CMD"])]


def built(file: Path, base: Path, work: Path) -> Image:
    """The image of the last stage, below `work`.

    Raises:
        AssertionError: a step failed, or an instruction is unknown.
    """
    stages: dict[str, Image] = {}
    arguments: dict[str, str] = {}
    image = Image(base)
    for name, rest in _instructions(file.read_text("utf-8")):
        if name == "ARG":
            key, _, value = rest.partition("=")
            arguments[key] = value
        elif name == "FROM":
            source, _, label = rest.partition(" AS ")
            assert source == "${BASE}", source
            assert arguments["BASE"]
            image = Image(work / (label or "last"))
            stages[label] = image
            subprocess.run(["cp", "-a", "--reflink=auto", base, image.root], check=True)
        elif name == "RUN":
            done = in_root(image, ["/bin/sh", "-c", rest], capture_output=True)
            assert done.returncode == 0, f"{rest}\n{done.stdout}\n{done.stderr}"
        elif name == "COPY":
            _copied(rest, file.parent, image, stages)
        elif name == "ENV":
            image.environ |= dict(each.split("=", 1) for each in shlex.split(rest))
        elif name == "WORKDIR":
            image.folder = rest
            (image.root / rest.lstrip("/")).mkdir(parents=True, exist_ok=True)
        elif name == "USER":
            image.user = rest
        elif name in ("ENTRYPOINT", "CMD"):
            image.told[name] = json.loads(rest)
        elif name == "HEALTHCHECK":
            image.told[name] = json.loads(rest.partition("CMD ")[2])
        else:
            assert name in ("VOLUME", "EXPOSE"), name
            image.told[name] = rest.split()
    return image


def _instructions(text: str) -> list[tuple[str, str]]:
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    whole = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [
        (name, rest)
        for name, _, rest in (line.partition(" ") for line in whole.splitlines() if line)
    ]


def _copied(rest: str, context: Path, image: Image, stages: dict[str, Image]) -> None:
    words = rest.split()
    if words[0].startswith("--from="):
        source, target = words[1:]
        stage = stages[words[0].removeprefix("--from=")]
        place = image.root / target.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["cp", "-a", stage.root / source.lstrip("/"), place], check=True)
        return
    *sources, target = words
    place = image.root / image.folder.lstrip("/") / target
    for each in sources:
        kept = _context(context, each)
        assert kept, f"COPY {each} copies nothing"
        for path in kept:
            inside = path.name if path == Path(each) else path.relative_to(each)
            (place / inside).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(context / path, place / inside)


def _context(context: Path, source: str) -> list[Path]:
    """The files of a source that .dockerignore lets through."""
    patterns = [line for line in (context / ".dockerignore").read_text().splitlines() if line]
    kept = []
    whole = context / source
    for path in sorted(whole.rglob("*")) if whole.is_dir() else [whole]:
        name = path.relative_to(context)
        within = [str(name), *(str(each) for each in name.parents)]
        ignored = False
        for pattern in patterns:
            if pattern.startswith("#"):
                continue
            matches = any(fnmatch(each, pattern.lstrip("!")) for each in within)
            ignored = not pattern.startswith("!") if matches else ignored
        if path.is_file() and not ignored:
            kept.append(name)
    return kept


def in_root(
    image: Image, command: list[str], *, before: str = "", alone: bool = False, **options: Any
) -> subprocess.CompletedProcess[str]:
    """Run a program in an image's files, with mounts of its own that end with it.

    Args:
        image: whose files, environment and user.
        command: the program.
        before: shell code that makes the mounts, with the root's place in `$ROOT`.
        alone: whether in a network of its own, and without any capability.
        options: for `subprocess.run`.
    """
    environ = {
        "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
        "HOME": "/tmp",
        "DEBIAN_FRONTEND": "noninteractive",
        # Whom this machine trusts to be a package index.
        **{name: os.environ[name] for name in ("PIP_CERT", "SSL_CERT_FILE") if name in os.environ},
        **image.environ,
    }
    for place in (Path("/etc/resolv.conf"), _CERTIFICATES):
        if place.is_file() and not alone:
            copy = image.root / place.relative_to("/")
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(place, copy)
    rights = [] if image.user == "root" else ["--reuid", image.user, "--regid", image.user]
    rights += ["--clear-groups"] if rights else []
    rights += ["--no-new-privs", "--bounding-set", "-all"] if alone else []
    mounts = before or 'mount --rbind /dev "$ROOT/dev"; mount -t proc proc "$ROOT/proc"'
    inside = [
        "env", "-i", *(f"{name}={value}" for name, value in environ.items()),
        *(["setpriv", *rights] if rights else []),
        "sh", "-c", 'cd "$0" && exec "$@"', image.folder, *command,
    ]  # fmt: skip
    return subprocess.run(
        ["unshare", "--mount", "--pid", "--fork", "--kill-child", *(["--net"] if alone else []),
         "sh", "-c", f'set -e; {mounts}; exec chroot "$ROOT" "$@"', "sh", *inside],
        text=True, env={**os.environ, "ROOT": str(image.root)}, **options,
    )  # fmt: skip
