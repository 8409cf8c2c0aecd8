"""Troubles that stand for several sources at once: takes what is wrong with which, says it once
when it begins, otherwise when it changes, and that it is over."""

from __future__ import annotations

from headcount.troubles import Troubles

__all__ = ["tell"]


def tell(
    troubles: Troubles, kind: str, message: str, remedy: str = "", *, hinders: bool = False
) -> None:
    """Say how something stands now.

    Args:
        troubles: where.
        kind: what to call it.
        message: what is wrong, as a sentence; empty where nothing is.
        remedy: what to do about it.
        hinders: as for `Troubles.begin`.
    """
    if not message:
        troubles.end(kind)
        return
    known = next((each for each in troubles.now() if each.kind == kind), None)
    if known is None:
        troubles.begin(kind, message, remedy, hinders=hinders)
    elif known.message != message:
        troubles.restate(kind, message, remedy, hinders=hinders)
