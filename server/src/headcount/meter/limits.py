"""How much the meter holds at once."""

from __future__ import annotations

from dataclasses import dataclass

from headcount.config import MEMORY_BYTES_MIN

__all__ = ["MEMORY_BYTES_MIN", "MeterLimits"]

_MIB = 1 << 20

# The interpreter, its libraries and SQLite's pages; and what folding and committing one large
# batch takes for a moment, with the holes that it leaves.
_PROCESS_BYTES, _WORK_BYTES = 48 * _MIB, 56 * _MIB
_TABLES_BYTES_MIN = 16 * _MIB
_BATCH_BYTES_A_FACT = 8_192
_MESSAGE_KEY_BYTES = 18
_FILTERS_SHARE = 0.8


@dataclass(frozen=True, slots=True)
class MeterLimits:
    """Bounds on batches and memory.

    Attributes:
        facts_a_batch_max: where a batch ends; its last entry is always taken whole.
        message_keys_in_memory_max: recent message ids of one period; more go to a run.
        tracked_keys_in_blocks_max: tracked ids of one period outside its run; more make a new run
            of them all, so that a start has few blocks to read.
        past_bytes_max: memory of the indexes of months that only imports ask for.
        tables_bytes_max: memory of all indexes together; None for no bound.
        filter_bytes_max: how much of it filters of older message ids may take; the others are read
            from the disk, through the system's cache. None for no bound.
    """

    facts_a_batch_max: int = 50_000
    message_keys_in_memory_max: int = 4_000_000
    tracked_keys_in_blocks_max: int = 1_000_000
    past_bytes_max: int = 1 << 30
    tables_bytes_max: int | None = None
    filter_bytes_max: int | None = None

    @property
    def message_bytes_max(self) -> int:
        """Memory of the recent message ids of one period, before they go to a run."""
        return self.message_keys_in_memory_max * _MESSAGE_KEY_BYTES

    @classmethod
    def within(cls, memory_bytes: int) -> MeterLimits:
        """The limits of a meter whose process may take so much memory.

        Batches and message ids in memory are fewer where it is little; what a process takes
        besides, and what a batch needs while it is folded, is measured and left free.

        Args:
            memory_bytes: all private memory of the process, at least `MEMORY_BYTES_MIN`.
        """
        usual = cls()
        tables = max(memory_bytes - _PROCESS_BYTES - _WORK_BYTES, _TABLES_BYTES_MIN)
        return cls(
            facts_a_batch_max=min(usual.facts_a_batch_max, memory_bytes // _BATCH_BYTES_A_FACT),
            message_keys_in_memory_max=min(
                usual.message_keys_in_memory_max, tables // 6 // _MESSAGE_KEY_BYTES
            ),
            tracked_keys_in_blocks_max=usual.tracked_keys_in_blocks_max,
            past_bytes_max=min(usual.past_bytes_max, tables // 4),
            tables_bytes_max=tables,
            filter_bytes_max=int(_FILTERS_SHARE * tables),
        )
