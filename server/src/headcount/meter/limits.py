"""How much the meter holds at once."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["MeterLimits"]


@dataclass(frozen=True, slots=True)
class MeterLimits:
    """Bounds on batches and memory.

    Attributes:
        facts_a_batch_max: where a batch ends; its last entry is always taken whole.
        message_keys_in_memory_max: recent message ids of one period; more go to a run.
        tracked_keys_in_blocks_max: tracked ids of one period outside its run; more make a new run
            of them all, so that a start has few blocks to read.
        past_bytes_max: memory of the indexes of months that only imports ask for.
    """

    facts_a_batch_max: int = 50_000
    message_keys_in_memory_max: int = 4_000_000
    tracked_keys_in_blocks_max: int = 1_000_000
    past_bytes_max: int = 1 << 30
