"""What went wrong, for people: takes an error, gives sentences."""

from __future__ import annotations

import traceback

from headcount.errors import OperatorError, StorageUnavailableError
from headcount.remedies import remedy_for

__all__ = ["explained"]


def explained(error: Exception) -> tuple[str, str]:
    """What an error says to people, as a sentence, and what to do about it.

    Of one that nobody has foreseen it names the type and the line of code, not its text, which may
    quote what somebody has sent.
    """
    if isinstance(error, OperatorError):
        return error.problem, error.remedy
    if isinstance(error, StorageUnavailableError):
        return f"{error}.", remedy_for(error.__cause__, tried_again=True)
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror}.", remedy_for(error, tried_again=True)
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""
    name = type(error).__qualname__
    return f"{name}{where}.", "This is a fault of Headcount: please report it."
