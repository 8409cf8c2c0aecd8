"""Checks a data folder from one end to the other, whether or not a server runs on it.

Takes the folder, gives findings: what was looked at, how it stands, and what to do about it. Reads
every file whole and recounts the counts from the keys they came from; changes nothing.
"""

from headcount.doctor.examination import examine
from headcount.doctor.findings import Finding, Level, worst

__all__ = ["Finding", "Level", "examine", "worst"]
