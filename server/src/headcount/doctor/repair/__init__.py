"""Repairing a damaged data folder: what can be proven is put right, what cannot is refused by name.

Takes a folder on which no server runs, and a folder beside it for what is taken out of it; gives
what was done, what is lost, and what only a backup can bring back. A database is never repaired in
place: its rows are read out of a copy, put right where their checksums prove how, and written to a
new file, which takes the place of the damaged one only if nothing else is missing from it.
"""

from headcount.doctor.repair.run import Act, repair

__all__ = ["Act", "repair"]
