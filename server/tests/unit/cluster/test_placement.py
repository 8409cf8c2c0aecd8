"""Owners, epochs and leases: who may publish what, whatever a registry forgets."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headcount.cluster.placement import (
    LEASE_S,
    TAKEOVER_LEAST_S,
    LeaseLostError,
    Leases,
    Ownership,
    Partition,
    Placement,
    partitions_of,
    write_leases,
)
from headcount.errors import UsageError

FACTS_0, KEYS_1 = Partition("facts", 0), Partition("keys", 1)

placements = st.dictionaries(
    st.sampled_from([str(each) for each in partitions_of(2, 2)]),
    st.builds(Ownership, st.sampled_from(["a", "b", "c"]), st.integers(1, 5)),
).map(Placement)


def test_partition_is_named_and_found_by_its_name() -> None:
    assert str(FACTS_0) == "facts-0"
    assert [Partition.parse(str(each)) for each in partitions_of(16, 16)] == partitions_of(16, 16)


@pytest.mark.parametrize("text", ["", "facts", "facts-", "facts-x", "rows-1", "keys--1", "keys-²"])
def test_what_names_no_partition_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="not the name of a partition"):
        Partition.parse(text)


def test_each_new_owner_has_a_new_epoch_and_one_that_stays_has_not() -> None:
    first = Placement().given(partitions_of(1, 2), "a")
    assert first.owned_by("a") == dict.fromkeys(partitions_of(1, 2), 1)
    moved = first.given([KEYS_1], "b")
    assert moved.owner(KEYS_1) == Ownership("b", 2)
    assert moved.given([KEYS_1], "b") == moved
    assert moved.given([KEYS_1], "a").owner(KEYS_1) == Ownership("a", 3)


@given(placements, placements)
def test_merging_never_takes_an_epoch_back(one: Placement, other: Placement) -> None:
    merged = one.merged(other)
    for name, owner in merged.owners.items():
        known = [p.owners[name].epoch for p in (one, other) if name in p.owners]
        assert owner.epoch == max(known)
    assert not merged.is_behind(one)
    assert not merged.is_behind(other)
    assert merged.merged(other) == merged


def test_a_registry_that_forgot_an_owner_is_seen_to_be_behind() -> None:
    before = Placement().given([FACTS_0], "a")
    after = before.given([FACTS_0], "b")
    assert before.is_behind(after)
    assert before.merged(after) == after
    assert not after.is_behind(before)


def test_lease_lets_publish_until_it_runs_out(tmp_path: Path) -> None:
    now_s = [100.0]
    leases = Leases(tmp_path / "leases.json", lambda: now_s[0])
    assert leases.owned() == {}
    write_leases(tmp_path / "leases.json", {FACTS_0: 2}, now_s[0] + LEASE_S)
    leases.require(FACTS_0, 2)
    for partition, epoch in ((FACTS_0, 1), (FACTS_0, 3), (KEYS_1, 2)):
        with pytest.raises(LeaseLostError):
            leases.require(partition, epoch)
    now_s[0] += LEASE_S
    with pytest.raises(LeaseLostError):
        leases.require(FACTS_0, 2)


def test_lease_of_a_boot_before_is_none(tmp_path: Path) -> None:
    write_leases(tmp_path / "leases.json", {FACTS_0: 2}, 90_000.0)
    assert Leases(tmp_path / "leases.json", lambda: 10.0).owned() == {}


def test_a_lease_has_run_out_before_anybody_may_take_over() -> None:
    assert LEASE_S < TAKEOVER_LEAST_S
