"""Whether the parts of a data folder belong together: takes the folder, gives findings."""

from __future__ import annotations

from collections.abc import Iterator

from headcount.confirmed import read_confirmed
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
    if faults:
        return
    identity = read_identity(folder.path)
    parts = [] if identity is None else list(identity.parts)
    unknown = [name for name in parts if read_confirmed(folder.path / name) is None]
    message = f"The parts belong together: {number_of(len(parts), 'database')}."
    if len(unknown) < len(parts):
        message += " They hold what was acknowledged."
    if unknown:
        message += f" Of {', '.join(unknown)} nothing says what that was, until it is written to."
    yield ok("parts", message, parts=len(parts), unconfirmed=unknown)
