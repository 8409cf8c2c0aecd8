"""The files in which it stands whom to forget: a command writes one, with hashes and never an id;
whoever carries it out says in it how far that is. What is done holds no hash any more, and goes
after a week if nobody has taken it.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from headcount.cluster.forget_records import FoundId
from headcount.counting.hashing import KeyRing
from headcount.datafolder import DataFolder
from headcount.durable import put_whole, read_small
from headcount.errors import DataFolderError
from headcount.journal.view import journal_view

if TYPE_CHECKING:
    from headcount.meter.forgetting import ForgottenId

__all__ = [
    "ForgetRequest",
    "FoundId",
    "ask_to_forget",
    "id_hashes",
    "joined_findings",
    "read_request",
    "request_files",
    "tidy_request",
    "write_request",
]

_KEPT_S = 7 * 86_400.0
_END = ".json"


class _Hashes(msgspec.Struct, frozen=True):
    user: str | None
    anonymous: str | None


class ForgetRequest(msgspec.Struct, frozen=True, rename="camel"):
    """What is to be forgotten, and how far that is.

    Attributes:
        state: `begun` as soon as it is known what will be replaced, `done`, or `refused`.
        up_to: journal UUID to the entry up to which everything has to be metered before.
        hashes: number of a hash key to the ids under it, in hexadecimal digits.
        workspaces: only these, by their numbers; None for all.
        found: where the ids were seen.
        problem, remedy: why it was refused.
        number: in a cluster, of the order that it has become; 0 for none yet.
    """

    state: Literal["waiting", "begun", "done", "refused"]
    up_to: dict[str, int]
    hashes: dict[int, _Hashes]
    workspaces: list[int] | None
    found: list[FoundId] = []
    problem: str = ""
    remedy: str = ""
    number: int = 0


def ask_to_forget(
    folder: DataFolder,
    ring: KeyRing,
    user: str | None,
    anonymous: str | None,
    workspaces: Collection[int] | None,
) -> Path:
    """Write a request, durably; whoever meters the folder sees to it.

    Args:
        folder: the data folder.
        ring: the keys under which ids are hashed.
        user, anonymous: the ids; None for none.
        workspaces: only these, by their numbers; None for all.

    Raises:
        DataFolderError: a journal cannot be read as it is.
        OSError: the disk refused.
    """
    up_to = {}
    for path in folder.journal_files():
        with journal_view(path) as journal:
            up_to[journal.uuid] = journal.last_id
    hashes = {
        each.number: _Hashes(
            None if user is None else each.tracked(user).hex(),
            None if anonymous is None else each.tracked(anonymous).hex(),
        )
        for each in ring.hashers
    }
    folder.forgetting.mkdir(mode=0o700, exist_ok=True)
    place = folder.forgetting / (secrets.token_hex(8) + _END)
    only = None if workspaces is None else sorted(workspaces)
    write_request(place, ForgetRequest("waiting", up_to, hashes, only))
    return place


def read_request(place: Path) -> ForgetRequest:
    """What a request's file says now.

    Raises:
        DataFolderError: it is damaged.
        OSError: it cannot be read, or is gone.
    """
    try:
        return msgspec.json.decode(read_small(place), type=ForgetRequest)
    except msgspec.DecodeError as error:
        raise DataFolderError(
            f"{place} does not say what is to be forgotten: {error}.",
            "Delete the file, and run the command again that wrote it.",
        ) from error


def request_files(folder: DataFolder) -> list[Path]:
    """The files of all requests."""
    return sorted(folder.forgetting.glob("*" + _END))


def tidy_request(place: Path, now_s: float) -> None:
    """Take away what is done, if nobody has taken it for a week."""
    with contextlib.suppress(FileNotFoundError):
        if now_s - place.stat().st_mtime > _KEPT_S:
            place.unlink()


def id_hashes(request: ForgetRequest) -> dict[int, tuple[bytes | None, bytes | None]]:
    """Number of a hash key to the user id and the anonymous id under it; None for none."""
    return {
        number: (_bytes(each.user), _bytes(each.anonymous))
        for number, each in request.hashes.items()
    }


def write_request(place: Path, request: ForgetRequest) -> None:
    """Say in its file how far a request is; durable.

    Raises:
        OSError: the disk refused.
    """
    put_whole(place, msgspec.json.encode(request))


def _bytes(digits: str | None) -> bytes | None:
    return None if digits is None else bytes.fromhex(digits)


def joined_findings(found: Iterable[FoundId], more: Iterable[ForgottenId] = ()) -> list[FoundId]:
    """What was found at several times or places, each place once."""
    places: dict[tuple[int, int, bool], FoundId] = {}
    for each in (*found, *(FoundId(f[0], f[1].number, *f[2:]) for f in more)):
        place = each.workspace, each.period, each.is_anonymous
        known = places.get(place, FoundId(*place, [], 0))
        sources = sorted({*known.sources, *each.sources})
        places[place] = FoundId(*place, sources, max(known.waiting, each.waiting))
    return [places[place] for place in sorted(places)]
