"""What every log of a cluster promises while nothing breaks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from headcount.clock import now_ms
from headcount.engines.log import PUBLISH_BYTES_MAX, TELL_BYTES_MAX, FactLog, LogEntry
from support.arriving import all_from, all_heard
from support.engines import LOGS, OpenLog


@pytest.fixture(params=LOGS)
def open_log(request: pytest.FixtureRequest) -> Iterator[OpenLog]:
    opened: list[FactLog] = []
    opener = LOGS[request.param]()

    def open_one() -> FactLog:
        opened.append(opener())
        return opened[-1]

    yield open_one
    for log in opened:
        log.close()


@pytest.fixture
def log(open_log: OpenLog) -> FactLog:
    return open_log()


def _data(entries: list[LogEntry]) -> list[bytes]:
    return [entry.data for entry in entries]


def test_what_is_published_comes_in_order_and_by_subject(log: FactLog, open_log: OpenLog) -> None:
    for each in range(5):
        log.publish("facts.0", b"zero %d" % each)
        log.publish("facts.1", b"one %d" % each)
    other = open_log()
    entries = all_from(other, "facts.0", 5)
    assert _data(entries) == [b"zero %d" % each for each in range(5)]
    assert [entry.hint for entry in entries] == sorted({entry.hint for entry in entries})
    assert _data(all_from(other, "facts.1", 5)) == [b"one %d" % each for each in range(5)]


def test_a_subject_is_not_that_whose_name_begins_alike(log: FactLog) -> None:
    log.publish("facts.1", b"one")
    log.publish("facts.10", b"ten")
    log.publish("facts.1.more", b"more")
    assert _data(all_from(log, "facts.1", 1)) == [b"one"]
    assert _data(all_from(log, "facts.10", 1)) == [b"ten"]


def test_nothing_comes_of_a_subject_that_nobody_published_on(log: FactLog) -> None:
    assert log.follow("facts.7").take() == []
    assert log.follow("facts.7", 12).take() == []


def test_a_follower_goes_on_with_what_is_published_later(log: FactLog, open_log: OpenLog) -> None:
    follower = open_log().follow("facts.0")
    assert follower.take() == []
    log.publish("facts.0", b"first")
    assert _data(all_from(log, "facts.0", 1, follower)) == [b"first"]
    log.publish("facts.0", b"second")
    assert _data(all_from(log, "facts.0", 1, follower)) == [b"second"]
    assert follower.take() == []


def test_a_hint_goes_on_behind_its_entry(log: FactLog) -> None:
    log.publish_all([("facts.0", b"%d" % each) for each in range(6)])
    entries = all_from(log, "facts.0", 6)
    again = all_from(log, "facts.0", 3, log.follow("facts.0", entries[2].hint))
    assert again == entries[3:]
    assert log.follow("facts.0", entries[5].hint).take() == []


def test_a_hint_beyond_the_end_starts_over(log: FactLog) -> None:
    log.publish_all([("facts.0", b"%d" % each) for each in range(3)])
    last = all_from(log, "facts.0", 3)[-1].hint
    follower = log.follow("facts.0", last + 1_000_000)
    assert _data(all_from(log, "facts.0", 3, follower)) == [b"0", b"1", b"2"]
    assert follower.set_backs == 1


def test_a_log_that_lost_what_was_read_is_known_by_when_that_was_published(log: FactLog) -> None:
    log.publish_all([("facts.0", b"%d" % each) for each in range(4)])
    entries = all_from(log, "facts.0", 4)
    hint, at = entries[1].hint, entries[1].at
    same = log.follow("facts.0", hint, at)
    assert (all_from(log, "facts.0", 2, same), same.set_backs) == (entries[2:], 0)
    # That number was given to another entry, after the log had lost the one that was read.
    other = log.follow("facts.0", hint, at - 1)
    assert (all_from(log, "facts.0", 4, other), other.set_backs) == (entries, 1)
    assert (other.take(), other.set_backs) == ([], 1)
    # Without that, a number is all that there is to go by.
    assert all_from(log, "facts.0", 2, log.follow("facts.0", hint)) == entries[2:]


def test_a_number_that_another_subject_was_given_since_starts_over(log: FactLog) -> None:
    log.publish_all([("facts.0", b"%d" % each) for each in range(2)])
    log.publish_all([("facts.1", b"%d" % each) for each in range(3)])
    last = all_from(log, "facts.0", 2)[-1]
    # The log has lost the entry that was read last; nothing comes on this subject any more.
    follower = log.follow("facts.0", last.hint + 1, last.at)
    assert _data(all_from(log, "facts.0", 2, follower)) == [b"0", b"1"]
    assert (follower.take(), follower.set_backs) == ([], 1)


def test_several_subjects_at_once_keep_the_order_of_each(log: FactLog) -> None:
    wanted = [(f"facts.{each % 3}", b"%d" % each) for each in range(60)]
    log.publish_all(wanted)
    log.publish_all([])
    for subject in ("facts.0", "facts.1", "facts.2"):
        found = _data(all_from(log, subject, 20))
        assert found == [data for each, data in wanted if each == subject]


def test_several_followers_are_given_what_each_has_not_had(log: FactLog, open_log: OpenLog) -> None:
    for number in range(4):
        log.publish_all([(f"facts.{subject}", b"%d" % number) for subject in range(3)])
    node = open_log()
    hint = all_from(node, "facts.1", 4)[1].hint
    followers = [node.follow("facts.0"), node.follow("facts.1", hint), node.follow("facts.7")]
    found: list[list[LogEntry]] = [[], [], []]
    while sum(map(len, found)) < 6:
        for had, more in zip(found, node.take_all(followers), strict=True):
            had += more
        node.wait(0.2)
    assert [_data(each) for each in found] == [[b"0", b"1", b"2", b"3"], [b"2", b"3"], []]
    assert node.take_all([]) == []


def test_a_hint_beyond_the_end_starts_over_beside_others(log: FactLog) -> None:
    log.publish("facts.0", b"0")
    log.publish("facts.1", b"1")
    followers = [log.follow("facts.0", 10**6), log.follow("facts.1")]
    found: list[list[LogEntry]] = [[], []]
    while sum(map(len, found)) < 2:
        for had, more in zip(found, log.take_all(followers), strict=True):
            had += more
        log.wait(0.2)
    assert [_data(each) for each in found] == [[b"0"], [b"1"]]


def test_the_same_published_twice_stands_there_twice(log: FactLog) -> None:
    for _ in range(2):
        log.publish("facts.0", b"same")
    assert _data(all_from(log, "facts.0", 2)) == [b"same", b"same"]


def test_any_bytes_come_back_as_they_were(log: FactLog) -> None:
    wanted = [b"", bytes(range(256)), b"\0" * PUBLISH_BYTES_MAX]
    for data in wanted:
        log.publish("counts.facts.3", data)
    assert _data(all_from(log, "counts.facts.3", 3)) == wanted


def test_so_much_is_taken_at_a_time_and_one_entry_at_least(log: FactLog) -> None:
    log.publish_all([("facts.0", b"%d" % each + b"." * 1000) for each in range(10)])
    follower = log.follow("facts.0")
    taken = []
    while len(taken) < 10:
        some = follower.take(2500)
        assert 1 <= len(some) <= 2 or not some
        taken += some
    assert [data[:1] for data in _data(taken)] == [b"%d" % each for each in range(10)]
    large = log.follow("facts.0")
    assert len(all_from(log, "facts.0", 1, large, bytes_max=1)) == 1


def test_what_is_told_is_heard_by_all_who_hear(log: FactLog, open_log: OpenLog) -> None:
    hearers = [open_log() for _ in range(2)]
    heard = [each.hear("mark") for each in hearers]
    other = hearers[0].hear("gap")
    assert [each.take() for each in heard] == [[], []]
    assert other.take() == []
    said = [b"", b"\0\xff", b"x" * TELL_BYTES_MAX]
    for data in said:
        log.tell("mark", data)
    for node, hearer in zip(hearers, heard, strict=True):
        assert all_heard(node, hearer, 3) == said
    assert other.take() == []


def test_several_are_told_at_once_each_where_it_is_heard(log: FactLog, open_log: OpenLog) -> None:
    node = open_log()
    marks, gaps = node.hear("mark"), node.hear("gap")
    assert (marks.take(), gaps.take()) == ([], [])
    log.tell_all([("mark", b"1"), ("gap", b"2"), ("mark", b"3")])
    assert all_heard(node, marks, 2) == [b"1", b"3"]
    assert all_heard(node, gaps, 1) == [b"2"]


def test_what_was_told_before_is_not_heard(log: FactLog) -> None:
    log.tell("mark", b"before")
    hearer = log.hear("mark")
    assert hearer.take() == []
    log.tell("mark", b"after")
    assert all_heard(log, hearer, 1) == [b"after"]
    hearer.close()
    hearer.close()


def test_what_is_told_is_not_published(log: FactLog) -> None:
    hearer = log.hear("facts.0")
    assert hearer.take() == []
    log.publish("facts.0", b"published")
    log.tell("facts.0", b"told")
    assert all_heard(log, hearer, 1) == [b"told"]
    assert _data(all_from(log, "facts.0", 1)) == [b"published"]


def test_one_who_waits_is_woken_by_what_comes(log: FactLog, open_log: OpenLog) -> None:
    node = open_log()
    follower, hearer = node.follow("facts.0"), node.hear("mark")
    assert follower.take() == []
    assert hearer.take() == []
    log.publish("facts.0", b"published")
    node.wait(30)
    log.tell("mark", b"told")
    node.wait(30)
    assert _data(all_from(node, "facts.0", 1, follower)) == [b"published"]
    assert all_heard(node, hearer, 1) == [b"told"]


def test_trimming_leaves_what_is_not_old(log: FactLog) -> None:
    log.publish("facts.0", b"young")
    log.trim(0)
    assert _data(all_from(log, "facts.0", 1)) == [b"young"]


def test_what_is_old_is_let_go_and_numbers_go_on(log: FactLog, open_log: OpenLog) -> None:
    log.publish_all([("facts.0", b"old"), ("keys.0", b"old key")])
    ahead = open_log().follow("facts.0")
    last = all_from(log, "facts.0", 1, ahead)[-1].hint
    log.trim(now_ms() + 3 * 86_400_000)
    assert log.follow("facts.0").take() == []
    log.publish_all([("facts.0", b"new"), ("keys.0", b"new key")])
    assert _data(all_from(log, "facts.0", 1)) == [b"new"]
    assert _data(all_from(log, "keys.0", 1)) == [b"new key"]
    came = all_from(log, "facts.0", 1, ahead)
    assert _data(came) == [b"new"]
    assert came[0].hint > last


def test_closing_is_done_once(log: FactLog) -> None:
    follower = log.follow("facts.0")
    follower.take()
    follower.close()
    follower.close()
    log.close()
    log.close()
