"""Millions of ids: writes facts to a journal as intake would, without HTTP in the way.

Every fact is the dearest there is: a new message from a visitor nobody has seen, known by userId
and anonymousId, so that it adds five keys. Hashes are uniform, as the keyed hash makes them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from bench.server import Tenant
from headcount.clock import now_ms
from headcount.counting.batch import FACT_DTYPE
from headcount.counting.calendar import MS_PER_DAY, Period, day_of_ms
from headcount.counting.facts import IMPORTED
from headcount.datafolder import open_data_folder
from headcount.journal import JournalDirectory

__all__ = ["IDS_A_FACT", "KEYS_A_FACT", "write_facts"]

IDS_A_FACT = 2
"""A userId and an anonymousId."""

KEYS_A_FACT = 5
"""The message, and both ids in the source and in the workspace."""

_FACTS_AN_ENTRY = 20_000


def write_facts(data: Path, tenant: Tenant, period: Period, count: int, seed: int) -> None:
    """Write facts of new visitors, spread over all sources and the days of a month so far.

    Args:
        data: the data folder.
        tenant: whose sources they are of.
        period: this month.
        count: how many.
        seed: another one makes other visitors.
    """
    journals = JournalDirectory(open_data_folder(data, create=False).journals)
    journal = journals.claim()
    try:
        for facts in _facts(tenant, period, count, seed):
            journal.append(facts, (), now_ms())
    finally:
        journal.close()
        journals.close()


def _facts(tenant: Tenant, period: Period, count: int, seed: int) -> Iterator[bytes]:
    random = np.random.default_rng(seed)
    days = day_of_ms(now_ms()) - period.first_day + 1
    sources = np.array(tenant.sources, np.uint32)
    for start in range(0, count, _FACTS_AN_ENTRY):
        numbers = np.arange(start, min(count, start + _FACTS_AN_ENTRY))
        facts = np.zeros(len(numbers), FACT_DTYPE)
        facts["received_at_ms"] = (period.first_day + numbers * days // count) * MS_PER_DAY
        facts["workspace"] = tenant.number
        facts["source"] = sources[numbers % len(sources)]
        facts["flags"] = IMPORTED
        for column in ("message", "user", "anonymous"):
            facts[column] = random.integers(1, 2**64, len(numbers), np.uint64)
        yield facts.tobytes()
