"""The folders of run files and of trash: names, writing, dropping and putting away.

Takes names that a store keeps in its tables, gives runs. A file counts only once a table names it,
so whatever else lies there is what an interrupted step has left.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence, Set
from weakref import WeakValueDictionary

from headcount.counting.calendar import Period
from headcount.counting.keys import MESSAGE, Family, KeyBlock
from headcount.durable import sync
from headcount.errors import StorageUnavailableError
from headcount.layout import DataFolder
from headcount.store.merging import merged_runs
from headcount.store.runs import Run, write_run

__all__ = ["RUN_NAME", "RunFolder"]

_DRAFT = ".draft"
# About half a second's reading, once in the life of a process.
_VERIFIED_AT_ONCE_BYTES = 512 << 20
# What the journals and the store's log can use before a merged run gives back what it replaces.
_RESERVE_BYTES = 256_000_000
_END = ".keys"
RUN_NAME = re.compile(r"(tracked|message)-(\d{4}-\d{2})-[0-9a-f]{16}(?:-[0-9a-f]{32})?\.keys")
"""What a run is called: the family and the month of its keys are the groups."""


class _Writer:
    """Writes a run of blocks that are given one by one.

    Args:
        folder: where.
        name: from `new_name`.
        filter_keys: for how many keys there is to be a filter; 0 for none.
    """

    def __init__(self, folder: RunFolder, name: str, filter_keys: int) -> None:
        self._folder = folder
        self._waiting: list[KeyBlock] = []
        self._writing = folder.write(name, self._given(), filter_keys=filter_keys)
        self._ended: str | None = None
        self.taken = False

    def _given(self) -> Iterator[KeyBlock]:
        while self._waiting:
            yield self._waiting.pop()

    def take(self, block: KeyBlock) -> None:
        """Write one block more, which holds a key and follows those before."""
        self._waiting.append(block)
        self.taken = True
        next(self._writing)

    def end(self) -> str:
        """Make it whole and durable; the name that it has."""
        try:
            next(self._writing)
        except StopIteration as done:
            self._ended = str(done.value)
        assert self._ended is not None
        return self._ended

    def abandon(self) -> None:
        """Leave nothing of it."""
        self._writing.close()
        if self._ended is not None:
            self._folder.delete(self._ended)


class RunFolder:
    """Run files of one store.

    Args:
        folder: where the files in use, and those that were dropped, have their folders; these are
            made when first needed.
    """

    def __init__(self, folder: DataFolder) -> None:
        self._keys = folder.keys
        self._trash = folder.trash
        # A run is open, its filter in memory, for as long as somebody uses it.
        self._open: WeakValueDictionary[str, Run] = WeakValueDictionary()
        self._written: set[str] = set()
        self._unverified: list[Generator[int, None, None]] = []

    @staticmethod
    def new_name(period: Period, family: Family) -> str:
        """A name that no other run has, to be written under."""
        return f"{family}-{str(period)[:7]}-{secrets.token_hex(8)}{_END}"

    def open(self, name: str) -> Run:
        """A run by its name, whole as it was written; of a very large one `verify_part` tells.

        Raises:
            DamagedDataError: the file is missing or damaged.
        """
        run = self._open.get(name)
        if run is None:
            run = self._open[name] = Run(self._keys / name)
            if name not in self._written:
                self._unverified.append(run.verify())
                if run.file_bytes <= _VERIFIED_AT_ONCE_BYTES:
                    deque(self._unverified.pop(), maxlen=0)
        return run

    def verify_part(self) -> None:
        """Read a part of a run that was opened and is not known to be whole, if there is any.

        Raises:
            DamagedDataError: it is damaged.
        """
        if self._unverified and next(self._unverified[0], None) is None:
            del self._unverified[0]

    def require_room(self, names: Iterable[str]) -> None:
        """Refuse to write some runs anew where the disk has no room for them.

        Raises:
            StorageUnavailableError: it has not, with a reserve for everything else.
        """
        needed = _RESERVE_BYTES + sum((self._keys / name).stat().st_size for name in names)
        free = shutil.disk_usage(self._keys).free
        if free < needed:
            raise StorageUnavailableError(
                f"merging runs of keys in {self._keys} needs {needed:,} bytes of disk, and"
                f" {free:,} are free"
            )

    def write(
        self, name: str, blocks: Iterable[KeyBlock], *, filter_keys: int
    ) -> Generator[int, None, str]:
        """Write a run, part by part; it is whole and durable when the generator ends.

        Its name ends with its checksum, so that whoever names it, in a row that is checked, says
        which one it is: another that is whole as well is not taken for it.

        Args:
            name: from `new_name`.
            blocks: ascending over all of them.
            filter_keys: for how many keys there is to be a filter; 0 for none.

        Returns:
            The name that it has now.

        Raises:
            OSError: the disk refused.
        """
        if not self._keys.is_dir():
            self._keys.mkdir(mode=0o700, exist_ok=True)
            sync(self._keys.parent)
        draft = self._keys / (name + _DRAFT)
        try:
            checksum = yield from write_run(draft, blocks, filter_keys=filter_keys)
            name = f"{name.removesuffix(_END)}-{checksum}{_END}"
            draft.rename(self._keys / name)
            self._written.add(name)
            sync(self._keys)
        finally:
            draft.unlink(missing_ok=True)
        return name

    def write_parted(
        self, period: Period, family: Family, runs: Sequence[Run], cut_day: int
    ) -> Generator[int, None, list[str]]:
        """Write the keys of some runs anew, part by part: those of early days, and the others.

        Args:
            period: their month.
            family: their family.
            runs: which.
            cut_day: keys with an earlier first day go to a run of their own; 0 for one run.

        Returns:
            The names of the runs, one or two; none that would be empty.

        Raises:
            OSError: the disk refused, and nothing is left of them.
        """
        early_keys = sum(run.keys_before(cut_day) for run in runs)
        keys = [early_keys, sum(run.keys for run in runs) - early_keys]
        writers = [
            _Writer(self, self.new_name(period, family), max(of, 1) if family == MESSAGE else 0)
            for of in keys
        ]
        try:
            for block in merged_runs(runs):
                is_early = block.days < cut_day
                for writer, chosen in zip(writers, (is_early, ~is_early), strict=True):
                    if chosen.any():
                        writer.take(block if chosen.all() else block.chosen(chosen))
                yield len(block)
            return [writer.end() for writer in writers if writer.taken]
        except BaseException:
            for writer in writers:
                writer.abandon()
            raise

    def delete(self, name: str) -> None:
        """Delete a run that another has replaced."""
        self._open.pop(name, None)
        (self._keys / name).unlink(missing_ok=True)

    def delete_trashed(self, period: Period, family: Family) -> None:
        """Delete the runs in the trash that hold keys of a month.

        Raises:
            OSError: the disk refused.
        """
        for path in self._trash.glob(f"{family}-{str(period)[:7]}-*{_END}"):
            path.unlink(missing_ok=True)

    def discard(self, name: str, now_ms: int) -> None:
        """Move a run to the trash, marked with the moment (milliseconds since 1970).

        Raises:
            OSError: the disk refused.
        """
        self._open.pop(name, None)
        self._trash.mkdir(mode=0o700, exist_ok=True)
        os.utime(self._keys / name, ns=(now_ms * 1_000_000, now_ms * 1_000_000))
        (self._keys / name).rename(self._trash / name)

    def strays(self, known: Set[str]) -> list[str]:
        """Names of the runs that no table names; deletes drafts.

        Raises:
            OSError: the disk refused.
        """
        if not self._keys.is_dir():
            return []
        for draft in self._keys.glob(f"*{_DRAFT}"):
            draft.unlink()
        names = sorted(path.name for path in self._keys.iterdir())
        return [name for name in names if RUN_NAME.fullmatch(name) and name not in known]

    def empty_trash(self, before_ms: int) -> None:
        """Delete for good what was discarded before a moment (milliseconds since 1970)."""
        if not self._trash.is_dir():
            return
        for path in self._trash.iterdir():
            if RUN_NAME.fullmatch(path.name) and path.stat().st_mtime_ns < before_ms * 1_000_000:
                path.unlink()
