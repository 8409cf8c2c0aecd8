"""Whether the parts of a data folder belong together: takes the folder, gives findings."""

from __future__ import annotations

from collections.abc import Iterator

from headcount.datafolder import DataFolder
from headcount.doctor.findings import Finding, ok, problem
from headcount.identity import read_identity
from headcount.integrity import part_faults
from headcount.wording import number_of

__all__ = ["check_parts"]


def check_parts(folder: DataFolder) -> Iterator[Finding]:
    """Hold every part against what is known of it outside of it, and against the others."""
    faults = part_faults(folder.path)
    for fault in faults:
        yield problem("parts", fault.problem, fault.remedy, part=fault.part)
    if not faults:
        identity = read_identity(folder.path)
        parts = 0 if identity is None else len(identity.parts)
        yield ok(
            "parts",
            "The parts belong together, and hold what was acknowledged:"
            f" {number_of(parts, 'database')}.",
            parts=parts,
        )
