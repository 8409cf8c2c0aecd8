"""The store: where keys, counts, outcomes and journal positions live.

Takes a meter's changes, each whole or not at all; gives usage to anybody, and to the next meter
all that it needs to go on: how far the journals are metered, and the keys of open months. Nine
verbs say what a store is for (`MeterStore`). What an engine needs beside them, because it keeps
keys in files of its own that somebody must write, merge and put away, is a second protocol
(`StoreFiles`); an engine that needs no such care has none. Forgetting a person is a third
(`KeyErasure`), and what usage is attributed to a fourth (`Attribution`). One contract suite runs
over all stores.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol, overload

from headcount.counting.alerts import AlertEvent, QuotaReached
from headcount.counting.aside import Aside, AsideSum, ConfirmedAside
from headcount.counting.attributes import RESERVED, Attributes
from headcount.counting.calendar import Period
from headcount.counting.contributions import DayOfContributions
from headcount.counting.facts import Rejection
from headcount.counting.keys import Family, KeyBlock, NewKeys
from headcount.counting.libraries import LibraryUse
from headcount.counting.usage import Counts, UsageReading, WorkspaceReading
from headcount.store.alert_protocol import AlertStore
from headcount.store.attribution_protocol import AttributedUsage, Attribution
from headcount.store.erasure_protocol import KeyErasure, KeyReplacement
from headcount.store.key_run_protocol import KeyRun
from headcount.store.partition_change import HandedOn, Mirrored

__all__ = [
    "AttributedUsage",
    "Attribution",
    "Change",
    "KeyErasure",
    "KeyReplacement",
    "KeyRun",
    "MeterStore",
    "Month",
    "StoreFiles",
    "StoreState",
    "UsageStore",
    "sealed_months",
]


@dataclass(slots=True)
class Change:
    """What is to change, such as by one metered batch. Applied whole or not at all.

    Marks only rise, but for two: the clock may have been ahead.

    Attributes:
        keys: (period, family) to keys that are new, or known with an earlier day, and whose they
            are. A key's state is the minimum over all that was ever committed of it.
        counts: (period, workspace number, source number) to counts to add, a day and column
            each, shape (31, columns); source number 0 is the workspace itself.
        contributions: to which messages that is attributed, by month, source and day; to be added.
        attributes: what the numbers in there mean, each by its place.
        rejections: tallies to add.
        conflicting: tallies to add of conflicting duplicates.
        libraries: tallies to add of who sent messages; beyond `NAMES_MAX` names of a source and
            month, under `OTHER_LIBRARY`.
        positions: journal UUID to the id of the last entry that is metered with this change.
        queues_gone: journals, or other queues, whose positions are let go.
        counted_until_ms: new value of the freshness mark, or None to leave it.
        last_metered_day: latest day of a live fact in the batch, or None.
        trusted_day: new value of the latest day that the clock is trusted for, or None.
        imported: (workspace, period) to the day on which something was imported into it.
        aside: facts to keep without counting them.
        counted_aside: rows of facts that had waited and are counted with this change.
        sealed: (workspace, period) pairs to close for good.
        erased: workspaces of which all is to go: counts, rejections and what is kept aside. Their
            months that still have keys are closed, and their counts go with the keys: until then a
            recount needs them.
        confirmed_day: it is this day (days since 1970), whatever came before. The trusted day is
            set to it; the latest day of a live message and the days of imports are taken back to
            it, if they are later; of the facts that wait, those of days up to it are to be counted.
        counted_back_to_ms: take the freshness mark back to this moment, if it is later.
        alerts: what it makes people hear of. What was told before under the same mark is left out.
        arrivals: (workspace, source) to the moment at which its last live message came.
        quotas_reached: quotas that it reaches; the first moment of each month stays.
        catalog_generation: how many changes the catalog has seen, or None to leave it; one that has
            seen fewer is an older one and is refused from now on.
        outgoing: what goes on to the next stage, of a partition that has one; an entry of its
            outbox in the same transaction.
        watermarks: numbers to keep by name, whatever stood there.
        mirrored: what the counts are sums of, a partition each.
    """

    keys: dict[tuple[Period, Family], NewKeys] = field(default_factory=dict)
    counts: dict[tuple[Period, int, int], Counts] = field(default_factory=dict)
    contributions: Sequence[tuple[Period, DayOfContributions]] = ()
    attributes: Sequence[Attributes] = RESERVED
    rejections: Sequence[Rejection] = ()
    conflicting: Sequence[Rejection] = ()
    libraries: Sequence[LibraryUse] = ()
    positions: dict[str, int] = field(default_factory=dict)
    queues_gone: Sequence[str] = ()
    counted_until_ms: int | None = None
    last_metered_day: int | None = None
    trusted_day: int | None = None
    imported: dict[tuple[int, Period], int] = field(default_factory=dict)
    aside: Sequence[Aside] = ()
    counted_aside: Sequence[int] = ()
    sealed: Sequence[tuple[int, Period]] = ()
    erased: Sequence[int] = ()
    confirmed_day: int | None = None
    counted_back_to_ms: int | None = None
    alerts: Sequence[AlertEvent] = ()
    arrivals: Mapping[tuple[int, int], int] = field(default_factory=dict)
    quotas_reached: Sequence[QuotaReached] = ()
    catalog_generation: int | None = None
    outgoing: HandedOn | None = None
    watermarks: Mapping[str, int] = field(default_factory=dict)
    mirrored: Sequence[Mirrored] = ()


class Month(NamedTuple):
    """How one month of a workspace stands.

    Attributes:
        workspace: the workspace's number.
        period: the month.
        last_import_day: the latest day on which something was imported into it, or None.
        sealed: whether it is closed for good.
        keys_dropped: whether its keys are gone.
    """

    workspace: int
    period: Period
    last_import_day: int | None
    sealed: bool
    keys_dropped: bool = False


def sealed_months(months: Iterable[Month]) -> set[tuple[int, Period]]:
    """The (workspace, period) pairs of some months that are closed for good."""
    return {(month.workspace, month.period) for month in months if month.sealed}


class StoreState(NamedTuple):
    """How far metering has come, all from one moment.

    Attributes:
        positions: journal UUID to the id of its last metered entry; unknown journals are absent.
        key_periods: the periods and families that hold any keys, ascending.
        counted_until_ms: messages acknowledged up to this moment are counted; 0 for none yet.
        last_metered_day: the latest day of a live message; None before the first one.
        trusted_day: the latest day that the clock is trusted for; None before the first one.
    """

    positions: Mapping[str, int]
    key_periods: Sequence[tuple[Period, Family]]
    counted_until_ms: int
    last_metered_day: int | None
    trusted_day: int | None


class UsageStore(Protocol):
    """The reading side; safe to use from several processes at once."""

    @overload
    def read_usage(
        self, workspace: int, period: Period, *, sources: Literal[False]
    ) -> WorkspaceReading: ...
    @overload
    def read_usage(
        self, workspace: int, period: Period, *, libraries: bool = False
    ) -> UsageReading: ...
    def read_usage(
        self, workspace: int, period: Period, *, sources: bool = True, libraries: bool = False
    ) -> WorkspaceReading:
        """The usage of a workspace (by number) in a period, all from one moment.

        A workspace or period that the store knows nothing of reads as zeros.

        Args:
            workspace: which.
            period: the month.
            sources: whether to read its sources too; the workspace alone costs the same however
                many it has.
            libraries: whether to read who sent the messages too.
        """
        ...

    @property
    def attribution(self) -> Attribution | None:
        """To which messages usage is attributed; None where nobody follows that."""
        ...

    @property
    def alerts(self) -> AlertStore:
        """What was told, and what that is judged by."""
        ...

    def close(self) -> None:
        """Release files and connections; idempotent."""
        ...


class MeterStore(UsageStore, Protocol):
    """The writing side; one meter at a time holds it."""

    @property
    def files(self) -> StoreFiles | None:
        """The care that its own files need; None where they need none."""
        ...

    @property
    def erasure(self) -> KeyErasure:
        """How keys are replaced by others."""
        ...

    def state(self) -> StoreState:
        """How far metering has come."""
        ...

    def months(self) -> Sequence[Month]:
        """Every month of every workspace that holds anything, by workspace and month."""
        ...

    def keys(self, period: Period, family: Family) -> Iterator[KeyBlock]:
        """The keys of a period and family, in blocks that ascend each, repeats included.

        Nothing may be committed before it has ended.
        """
        ...

    def commit(self, change: Change) -> None:
        """Make a change durable and visible, whole or not at all.

        Raises:
            StorageUnavailableError: it did not become durable and nothing of it is visible.
        """
        ...

    def drop_keys(self, period: Period, now_ms: int) -> None:
        """Let go of the keys of a period, all of whose months are sealed; its counts stay.

        Args:
            period: the month.
            now_ms: the moment, kept with what is dropped.

        Raises:
            StorageUnavailableError: the disk refused; what is left is dropped next time.
        """
        ...

    def set_aside(self) -> Sequence[AsideSum]:
        """What is kept and not counted, by reason, workspace and month."""
        ...

    def confirmed_aside(self, messages_max: int) -> Sequence[ConfirmedAside]:
        """Facts that have waited and are to be counted now, those set aside first.

        Args:
            messages_max: how many messages are enough; the last row is given whole.
        """
        ...


class StoreFiles(Protocol):
    """The embedded engine's own files: keys come in blocks, and the meter moves them into runs.

    A key's state is the minimum over all blocks and runs that hold it, so it may stand in several.
    """

    def blocks(self, period: Period, family: Family) -> Iterator[KeyBlock]:
        """The keys of a period and family that no run holds, in any order, repeats included."""
        ...

    def runs(self, period: Period, family: Family) -> Sequence[KeyRun]:
        """The runs of a period and family."""
        ...

    def keys_in_blocks(self, period: Period, family: Family) -> int:
        """How many keys of a period and family stand in blocks, repeats included."""
        ...

    def newest_block(self) -> int:
        """A number that is lower than that of every block appended from now on."""
        ...

    def write_run(
        self,
        period: Period,
        family: Family,
        blocks: Iterable[KeyBlock],
        upto_block: int,
        *,
        keys: int,
        replace_existing: bool,
    ) -> Generator[int, None, None]:
        """Move keys from blocks into a run, part by part; done when the generator ends.

        Until then, and when it is closed early or fails, nothing is changed.

        Args:
            period: the month.
            family: the family.
            blocks: ascending over all of them: every key that stood in blocks up to
                `upto_block`, as early as there or earlier.
            upto_block: from `newest_block`; blocks up to it are dropped.
            keys: how many keys there are in `blocks`, or a few more.
            replace_existing: the run replaces the runs before it too.

        Yields:
            Keys written since the yield before.

        Raises:
            StorageUnavailableError: the disk refused.
        """
        ...

    def merge_runs(
        self, period: Period, family: Family, names: Sequence[str], *, cut_day: int = 0
    ) -> Generator[int, None, None]:
        """Make one run of some, or two, part by part; done when the generator ends.

        Until then, and when it is closed early or fails, nothing is changed; nor when one of the
        runs is gone by the end.

        Args:
            period: the month.
            family: the family.
            names: of runs of that period and family.
            cut_day: keys with an earlier day of the month go to a run of their own.

        Yields:
            Keys written since the yield before; 0 while the runs are checked.

        Raises:
            StorageUnavailableError: the disk refused, or has no room for the merged run.
            DataFolderError: a run is damaged.
        """
        ...

    def check(self) -> None:
        """Read every row but the keys themselves, and see that none is lost or there twice.

        Raises:
            DamagedDataError: something is not as it was written.
        """
        ...

    def verify_part(self) -> None:
        """Read a part of a run that is not known to be whole yet, if there is any; called often.

        Raises:
            DamagedDataError: it is damaged, and what was counted by it may be wrong.
        """
        ...

    def empty_trash(self, before_ms: int) -> None:
        """Delete for good what went to the trash before a moment (milliseconds since 1970)."""
        ...

    def tidy(self, now_ms: int) -> None:
        """Put away what an interrupted step has left, and make durable what can be read.

        Called once, before anything is written or any journal is pruned.
        """
        ...
