"""What doctor says of processes that have ended: what passes is no problem."""

from __future__ import annotations

from pathlib import Path

import pytest

from headcount.doctor import Level
from headcount.doctor.journals import check_lag
from headcount.doctor.troubles import check_troubles, endings_of
from headcount.journal import JournalDirectory
from headcount.journal.view import journal_view
from headcount.runfiles import ChildState
from headcount.troubles import Trouble

SAID = "The meter has ended once since noon, last with SIGKILL. It is started again."


@pytest.mark.parametrize(
    ("passes", "serving", "level"),
    [
        (True, True, Level.WARNING),
        (False, True, Level.PROBLEM),
        (False, False, Level.PROBLEM),
        # Nobody starts it again, and nothing keeps it from its work.
        (True, False, Level.WARNING),
    ],
)
def test_messages_that_wait_for_a_meter_are_a_problem_where_it_cannot_live(
    tmp_path: Path, passes: bool, serving: bool, level: Level
) -> None:
    journal = JournalDirectory(tmp_path).claim()
    journal.append(bytes(56), [], 1_000)
    states = [ChildState("api", True), ChildState("meter", False, 1, SAID, passes)]
    with journal_view(journal.path) as view:
        endings = endings_of(states, "meter")
        found = check_lag([view], {}, 2_000, None, serving=serving, endings=endings)
        # That it ended and lives since then is nothing to say.
        lived = endings_of([ChildState("meter", True)], "meter")
        now = check_lag([view], {}, 2_000, None, serving=True, endings=lived)
    journal.close()
    assert found.level == level
    assert (SAID in found.message) == (serving or not passes)
    assert ("passes by itself" in found.remedy) == (serving and passes)
    assert now.level == Level.OK


@pytest.mark.parametrize(("passes", "level"), [(True, Level.WARNING), (False, Level.PROBLEM)])
def test_a_trouble_that_passes_is_a_warning(passes: bool, level: Level) -> None:
    [found] = check_troubles([Trouble("meter_ends", SAID, "", 1_000, 2, True, passes)])
    assert (found.level, found.details["passes"]) == (level, passes)
