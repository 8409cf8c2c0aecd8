"""Asking a folder's meter to forget ids, and hearing what it found: a small durable file a request.

A command writes the file, with hashes and never an id; the meter of the running server, or the
command itself where none runs, waits until everything is metered that was in the journals by then,
puts random keys in the place of the person's, and says in the file what was found. The file knows
how far that is: whoever is killed leaves what the next start goes on with, before anything else is
metered. What is done holds no hash any more, and goes after a week if nobody has taken it.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Literal

import msgspec

from headcount.counting.calendar import Period
from headcount.counting.hashing import KeyRing
from headcount.datafolder import DataFolder
from headcount.durable import put_whole, read_small
from headcount.errors import DataFolderError, OperatorError, StorageUnavailableError
from headcount.journal.view import journal_view
from headcount.meter import Meter
from headcount.meter.forgetting import Forgetting, ForgottenId, IdHashes
from headcount.remedies import remedy_for
from headcount.troubles import Troubles

__all__ = ["ForgetRequest", "ForgetRequests", "FoundId", "ask_to_forget", "read_request"]

_log = logging.getLogger(__name__)

_LOOK_EVERY_S = 0.5
_KEPT_S = 7 * 86_400.0
_END = ".json"


class _Hashes(msgspec.Struct, frozen=True):
    user: str | None
    anonymous: str | None


class FoundId(msgspec.Struct, frozen=True, rename="camel"):
    """What was found of one id in one month of one workspace; see `ForgottenId`."""

    workspace: int
    period: int
    is_anonymous: bool
    sources: list[int]
    waiting: int


class ForgetRequest(msgspec.Struct, frozen=True, rename="camel"):
    """What is to be forgotten, and how far that is.

    Attributes:
        state: `begun` as soon as it is known what will be replaced, `done`, or `refused`.
        up_to: journal UUID to the entry up to which everything has to be metered before.
        hashes: number of a hash key to the ids under it, in hexadecimal digits.
        workspaces: only these, by their numbers; None for all.
        found: where the ids were seen.
        problem, remedy: why it was refused.
    """

    state: Literal["waiting", "begun", "done", "refused"]
    up_to: dict[str, int]
    hashes: dict[int, _Hashes]
    workspaces: list[int] | None
    found: list[FoundId] = []
    problem: str = ""
    remedy: str = ""


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
    _write(place, ForgetRequest("waiting", up_to, hashes, only))
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


def _write(place: Path, request: ForgetRequest) -> None:
    put_whole(place, msgspec.json.encode(request))


class ForgetRequests:
    """The requests of one folder, for whoever meters it.

    Args:
        folder: the data folder.
        troubles: where it is said that one cannot be done; None to log it only.
    """

    def __init__(self, folder: DataFolder, troubles: Troubles | None = None) -> None:
        self._folder = folder
        self._troubles = troubles
        self._looked_at_s: float | None = None

    def look(self, meter: Meter) -> None:
        """Do what can be done, twice a second at most; nothing is being metered meanwhile."""
        now_s = time.monotonic()
        if (
            self._troubles is not None
            and self._looked_at_s is not None
            and now_s - self._looked_at_s < _LOOK_EVERY_S
        ):
            return
        self._looked_at_s = now_s
        failure: Exception | None = None
        for place in sorted(self._folder.forgetting.glob("*" + _END)):
            try:
                self._do(place, meter)
            except FileNotFoundError:
                continue  # whoever asked has taken it away
            except (StorageUnavailableError, DataFolderError, OSError) as error:
                failure = error
        self._tell(failure)

    def _do(self, place: Path, meter: Meter) -> None:
        request = read_request(place)
        if request.state in ("done", "refused"):
            if time.time() - place.stat().st_mtime > _KEPT_S:
                place.unlink()
            return
        if not meter.has_metered(request.up_to):
            return
        hashes = {
            number: IdHashes(_bytes(each.user), _bytes(each.anonymous))
            for number, each in request.hashes.items()
        }
        found = request.found

        def begins(forgetting: Forgetting) -> None:
            nonlocal found
            # Of one that was interrupted all is done already, or nothing.
            found = _together(found, forgetting.found)
            _write(place, msgspec.structs.replace(request, state="begun", found=found))

        try:
            meter.forget(hashes, request.workspaces, begins)
            if request.state == "begun":
                meter.forget_replaced({Period(each.period) for each in found})
        except (StorageUnavailableError, DataFolderError):
            raise
        except OperatorError as error:
            told = {"problem": error.problem, "remedy": error.remedy}
            _write(place, msgspec.structs.replace(request, state="refused", hashes={}, **told))
            return
        _write(place, msgspec.structs.replace(request, state="done", hashes={}, found=found))
        _log.info("what was known of ids is replaced, as was asked in %s", place.name)

    def _tell(self, failure: Exception | None) -> None:
        if failure is None:
            if self._troubles is not None:
                self._troubles.end("forgetting")
            return
        if isinstance(failure, DataFolderError):
            said, remedy = failure.problem, failure.remedy
        else:
            said, remedy = f"{failure}.", remedy_for(failure.__cause__ or failure, tried_again=True)
        message = f"What is to be forgotten is not forgotten yet: {said}"
        if self._troubles is None:
            _log.error("%s %s", message, remedy)
        else:
            self._troubles.begin("forgetting", message, remedy, hinders=False)


def _bytes(digits: str | None) -> bytes | None:
    return None if digits is None else bytes.fromhex(digits)


def _together(found: Iterable[FoundId], more: Iterable[ForgottenId]) -> list[FoundId]:
    """What was found before a request was interrupted, and now."""
    places: dict[tuple[int, int, bool], FoundId] = {}
    for each in (*found, *(FoundId(f[0], f[1].number, *f[2:]) for f in more)):
        place = each.workspace, each.period, each.is_anonymous
        known = places.get(place, FoundId(*place, [], 0))
        sources = sorted({*known.sources, *each.sources})
        places[place] = FoundId(*place, sources, max(known.waiting, each.waiting))
    return [places[place] for place in sorted(places)]
