"""Which source of theirs is which of ours: takes both sides, proposes a mapping.

By id, then by name, then by how much alike their days are: two sources whose calls a day agree
nearly are one; of several whose days are as alike, the one whose name is most alike. What
somebody has said goes before all of it.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from pathlib import Path
from typing import NamedTuple

from headcount.counting.metrics import HEADLINES
from headcount.durable import put_new
from headcount.errors import OperatorError, UsageError
from headcount.reconciling.counts import CountedMonth, Days, SourceDays

__all__ = ["Pair", "aligned", "read_mapping", "unheeded", "write_mapping"]

# Days that overlap by less than this are those of two sources.
_ALIKE_MIN = 0.7
_LETTERS = re.compile(r"[\W_]+")


class Pair(NamedTuple):
    """A source of theirs and the one of ours that it is.

    Attributes:
        theirs: its id there.
        ours: its id here.
        why: how that is known: `"said"`, `"id"`, `"name"` or `"usage"`.
        alike: how much of the larger of both is in the other, day by day, from 0 to 1.
    """

    theirs: str
    ours: str
    why: str
    alike: float


def aligned(ours: CountedMonth, theirs: CountedMonth, said: Mapping[str, str]) -> list[Pair]:
    """The sources that are the same, each of either side once at most.

    Args:
        ours, theirs: both sides.
        said: ours by theirs, by ids or names, as somebody has said it; what names no source that
            has usage in the month is `unheeded`.
    """
    pairs: list[Pair] = []
    left_ours, left_theirs = dict(ours.sources), dict(theirs.sources)

    def join(theirs_id: str, ours_id: str, why: str) -> None:
        here, there = left_ours.pop(ours_id), left_theirs.pop(theirs_id)
        pairs.append(Pair(theirs_id, ours_id, why, _alike(here.days, there.days)))

    for theirs_name, ours_name in said.items():
        theirs_id = _named(theirs_name, theirs)
        ours_id = _named(ours_name, ours)
        if theirs_id in left_theirs and ours_id in left_ours:
            join(theirs_id, ours_id, "said")
    for source_id in list(left_theirs):
        if source_id in left_ours:
            join(source_id, source_id, "id")
    here, there = (_by_plain_name(each.values()) for each in (left_ours, left_theirs))
    for name in there.keys() & here.keys():
        # A name that two sources of a side have says nothing.
        if len(here[name]) == len(there[name]) == 1:
            join(there[name][0], here[name][0], "name")
    alike = [
        (each, there, here)
        for there in left_theirs.values()
        for here in left_ours.values()
        if (each := _alike(here.days, there.days)) >= _ALIKE_MIN
    ]
    scored = sorted(
        (round(each, 2), _names_alike(here.name, there.name), each, there.id, here.id)
        for each, there, here in alike
    )
    for *_, theirs_id, ours_id in reversed(scored):
        if theirs_id in left_theirs and ours_id in left_ours:
            join(theirs_id, ours_id, "usage")
    return pairs


def _named(name: str, side: CountedMonth) -> str:
    if name in side.sources:
        return name
    return next((each.id for each in side.sources.values() if each.name == name), name)


def _names_alike(name: str, other: str) -> float:
    return SequenceMatcher(None, name.casefold(), other.casefold()).ratio()


def unheeded(
    said: Mapping[str, str], pairs: Sequence[Pair], ours: CountedMonth, theirs: CountedMonth
) -> Iterator[str]:
    """Sentences about what somebody has said and nothing came of.

    Args:
        said, ours, theirs: as they were aligned.
        pairs: what came of it.
    """
    done = {(pair.theirs, pair.ours) for pair in pairs if pair.why == "said"}
    for theirs_name, ours_name in said.items():
        theirs_id, ours_id = _named(theirs_name, theirs), _named(ours_name, ours)
        if (theirs_id, ours_id) in done:
            continue
        lacking = [
            f'no source of {whose} is called "{name}"'
            for whose, name, known in (
                ("theirs", theirs_name, theirs_id in theirs.sources),
                ("ours", ours_name, ours_id in ours.sources),
            )
            if not known
        ]
        why = " and ".join(lacking) + " in this month" if lacking else "one of both is said twice"
        yield f'What the file of --sources says of "{theirs_name}" was left aside: {why}.'


def _by_plain_name(sources: Iterable[SourceDays]) -> Mapping[str, list[str]]:
    """Ids by what is left of names without signs and capitals; not where nothing is left."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for source in sources:
        if plain := _LETTERS.sub("", source.name.casefold()):
            found[plain].append(source.id)
    return found


def _alike(ours: Days, theirs: Days) -> float:
    """The share of the larger that both have in common, over the days that both know."""
    common = larger = 0
    metric = next(
        (m for m in HEADLINES if _any(ours[m.name]) and _any(theirs[m.name]) and m.adds_up),
        next((m for m in HEADLINES if _any(ours[m.name]) and _any(theirs[m.name])), None),
    )
    if metric is None:
        return 0.0
    before = (0, 0)
    for pair in zip(ours[metric.name], theirs[metric.name], strict=True):
        if pair[0] is None or pair[1] is None:
            continue
        here, there = pair[0] - before[0], pair[1] - before[1]
        common += max(0, min(here, there))
        larger += max(here, there, 0)
        before = pair[0], pair[1]
    return common / larger if larger else 0.0


def _any(totals: list[int | None]) -> bool:
    return any(totals)


def read_mapping(path: Path) -> dict[str, str]:
    """What somebody has said in a TOML file with the table `sources`: ours by theirs.

    Raises:
        UsageError: it says something else.
        OperatorError: it cannot be read.
    """
    try:
        told = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise OperatorError(f"{path} cannot be read: {error}.", "Name a TOML file.") from None
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path} is not TOML: {error}.", _FORM) from None
    sources = told.pop("sources", {})
    if told or not isinstance(sources, dict):
        raise UsageError(f"{path} has more than the table [sources].", _FORM)
    for name, wanted in sources.items():
        if not isinstance(wanted, str):
            raise UsageError(f"sources.{name} in {path} is no text.", _FORM)
    return sources


_FORM = 'Write under [sources], a line each: "theirs" = "ours", by ids or names.'


def write_mapping(path: Path, pairs: list[Pair], ours: CountedMonth, theirs: CountedMonth) -> None:
    """Write a mapping for somebody to look at and change.

    Raises:
        OperatorError: the disk refused.
    """
    lines = ["# Which source of theirs is which of ours, by ids or names.", "[sources]"]
    for pair in pairs:
        names = f"{theirs.sources[pair.theirs].name} is {ours.sources[pair.ours].name}"
        plain = "".join(each if each.isprintable() else " " for each in names)
        lines += [f"# {plain} (by {pair.why})", f"{_text(pair.theirs)} = {_text(pair.ours)}"]
    try:
        put_new(path, ("\n".join(lines) + "\n").encode())
    except OSError as error:
        raise OperatorError(
            f"{path} could not be written: {error}.", "Name another file with --sources."
        ) from None


def _text(name: str) -> str:
    # A basic string of TOML is one of JSON, save for the delete character.
    # Not in ASCII: signs beyond the first 65,536 would become two escapes, which TOML refuses.
    return json.dumps(name, ensure_ascii=False).replace("\x7f", "\\u007f")
