"""The meter: from facts in journals to counts in the store.

Takes entries from every journal, hands changes to the store; owns the first-seen indexes and the
order probe, commit, insert. One meter at a time works on a data folder.
"""

from headcount.meter.limits import MEMORY_BYTES_MIN, MeterLimits
from headcount.meter.meter import Meter, Step

__all__ = ["MEMORY_BYTES_MIN", "Meter", "MeterLimits", "Step"]
