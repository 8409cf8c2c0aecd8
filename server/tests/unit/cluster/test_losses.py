"""Losses are noted once and for ever, by every node, whatever the registry forgets."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from headcount.cluster.losses import (
    Losses,
    LossFolder,
    NotedLoss,
    accepted_losses,
    made_of_before,
    put_loss,
    read_losses,
    share_losses,
)
from headcount.cluster.membership_records import (
    CLUSTER_FORMAT,
    ClusterDocument,
    MissingEntries,
    NodeRecord,
    PartitionReport,
)
from headcount.cluster.overview import ClusterStatus, status_of
from headcount.cluster.placement import Partition, Placement, partitions_of
from support.memory_registry import MemoryRegistryServer

LOSS = NotedLoss("node-eu-3", 2_000, 1_000, 2_000, "It is lost.")
ENTRIES = MissingEntries("facts-0", "q", 3, 7)
OTHER = msgspec.structs.replace(LOSS, key="less-facts-0-abc", noted_at=1_500)


@pytest.fixture
def server() -> MemoryRegistryServer:
    return MemoryRegistryServer()


def test_a_loss_is_known_everywhere_and_outlives_the_registry(
    server: MemoryRegistryServer, tmp_path: Path
) -> None:
    registry, a, b = server.open(), LossFolder(tmp_path / "a"), LossFolder(tmp_path / "b")
    assert share_losses(registry, a) == Losses([], {})
    put_loss(registry, LOSS)
    put_loss(registry, msgspec.structs.replace(LOSS, sentence="As somebody else says."))
    a.note(OTHER)
    assert share_losses(registry, a, {"facts-0": 7}) == Losses([OTHER, LOSS], {"facts-0": 7})
    assert share_losses(registry, b, {"facts-0": 5}) == Losses([OTHER, LOSS], {"facts-0": 7})
    server.wipe()
    assert share_losses(registry, b) == Losses([OTHER, LOSS], {"facts-0": 7})
    assert read_losses(registry) == Losses([OTHER, LOSS], {"facts-0": 7})
    assert LossFolder(tmp_path / "b").noted() == [OTHER, LOSS]


def test_what_is_accepted_stays_so_everywhere_whatever_the_registry_forgets(
    server: MemoryRegistryServer, tmp_path: Path
) -> None:
    registry, a, b = server.open(), LossFolder(tmp_path / "a"), LossFolder(tmp_path / "b")
    put_loss(registry, LOSS)
    share_losses(registry, a)
    server.wipe()
    share_losses(registry, a)
    accepted = msgspec.structs.replace(LOSS, accepted_at=7_000, entries=ENTRIES)
    put_loss(registry, accepted)
    put_loss(registry, msgspec.structs.replace(LOSS, accepted_at=9_000))
    assert read_losses(registry).noted == [accepted], "the first who has seen it"
    assert share_losses(registry, b).noted == [accepted]
    server.wipe()
    assert share_losses(registry, a).noted == [LOSS]
    assert share_losses(registry, b).noted == read_losses(registry).noted == [accepted]
    assert share_losses(registry, a).noted == a.noted() == [accepted]
    # Who notes the same loss once more takes nothing back.
    a.note(LOSS)
    put_loss(registry, LOSS)
    assert a.noted() == read_losses(registry).noted == [accepted]
    version = server.version
    share_losses(registry, a)
    assert server.version == version, "nothing is written where all is known"


def test_what_a_partition_no_longer_waits_for_is_of_accepted_losses_alone() -> None:
    waiting = msgspec.structs.replace(LOSS, entries=ENTRIES)
    assert accepted_losses([waiting], "facts-0") == {}
    further = msgspec.structs.replace(ENTRIES, upto=9)
    accepted = [
        msgspec.structs.replace(LOSS, accepted_at=1, entries=each) for each in (further, ENTRIES)
    ]
    assert accepted_losses([LOSS, waiting, *accepted], "facts-0") == {"q": 9}
    assert accepted_losses(accepted, "facts-1") == {}


def test_a_disk_that_refuses_hides_nothing(server: MemoryRegistryServer, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    put_loss(server.open(), LOSS)
    folder = LossFolder(tmp_path / "file")
    assert share_losses(server.open(), folder, {"keys-0": 3}) == Losses([LOSS], {"keys-0": 3})
    with pytest.raises(OSError, match="exists"):
        folder.note(LOSS)


def test_a_note_that_cannot_be_read_hides_no_other(tmp_path: Path) -> None:
    folder = LossFolder(tmp_path)
    folder.note(LOSS)
    (tmp_path / "broken.loss.json").write_text("{")
    assert folder.noted() == [LOSS]


@pytest.mark.parametrize(
    ("own", "known", "anywhere", "taken", "former", "expected"),
    [
        (0, 0, 0, 100, 90, None),
        (50, 50, 50, 100, 90, None),  # the backup is from after it
        (0, 50, 50, 40, 60, 50),  # its former owner had noticed
        (0, 50, 50, None, None, 50),  # an older copy of its own folder
        (0, 0, 50, 40, 45, 50),  # its former owner died before anybody noticed
        (0, 0, 50, 40, 60, None),  # it lived, and had nothing that was lost
        (0, 0, 50, 60, 45, None),  # backed up by another node meanwhile
        (0, 0, 50, None, None, None),
    ],
)
def test_what_is_made_of_before_a_loss_is_known(
    own: int, known: int, anywhere: int, taken: int | None, former: int | None, expected: int | None
) -> None:
    assert made_of_before(own, known, anywhere, taken, former) == expected


def status(
    losses: Losses, backed_up_at: int | None, deleted: list[MissingEntries] | None = None
) -> ClusterStatus:
    """A cluster of one node that counts everything."""
    cluster = ClusterDocument(CLUSTER_FORMAT, "c" * 32, 1, 1, "key", 0)
    placement = Placement().given(partitions_of(1, 1), "a")
    reports = {
        name: PartitionReport(1, 9_000, backed_up_at_ms=backed_up_at)
        for name in ("facts-0", "keys-0")
    }
    record = NodeRecord("a", "u", "1", "1.0", 1, "", "", 9_000, partitions=reports, until_ms=9_000)
    record = msgspec.structs.replace(record, deleted=deleted or [])
    return status_of(cluster, {"a": record}, {}, placement, 9_000, losses=losses)


def test_until_when_a_disk_must_be_kept_is_said() -> None:
    assert status(Losses(), None).at_risk == []
    lost = Losses([], {"keys-0": 5_000})
    [said] = status(lost, 4_000).at_risk
    assert 'since 1970-01-01T00:00:04Z in keys-0 (node "a")' in said
    assert "noticed at 1970-01-01T00:00:05Z" in said
    assert "--backups" not in said
    [said] = status(lost, None).at_risk
    assert "Name a folder of backups with --backups" in said
    assert status(lost, 5_001).at_risk == []
    assert status(lost, 5_001).partitions[1].log_lost_at == 5_000


def test_a_backup_that_is_older_than_the_log_is_no_backup() -> None:
    day_ms = 86_400_000
    cluster = ClusterDocument(CLUSTER_FORMAT, "c" * 32, 1, 1, "key", 0)
    placement = Placement().given(partitions_of(1, 1), "a")
    now_ms = 100 * day_ms
    for age_days, backed_up in ((2, True), (4, False)):
        taken_at = now_ms - age_days * day_ms
        reports = {"keys-0": PartitionReport(1, now_ms, backed_up_at_ms=taken_at)}
        record = NodeRecord("a", "u", "1", "1.0", 1, "", "", now_ms, partitions=reports, log_days=3)
        found = status_of(cluster, {"a": record}, {}, placement, now_ms).at_risk
        assert (found == []) == backed_up
    assert 'The newest backups of keys-0 (node "a") are older than what the log keeps' in found[0]


def test_a_cluster_that_has_lost_something_never_says_that_all_is_well() -> None:
    assert status(Losses(), None).sentence == "Everything is counted."
    found = status(Losses([LOSS], {}), None)
    assert found.sentence == "Everything is counted that there is; see one loss that is noted."
    assert found.losses == [LOSS]
    assert not found.is_well()
    accepted = status(Losses([msgspec.structs.replace(LOSS, accepted_at=3_000)], {}), None)
    assert accepted.sentence == "Everything is counted that there is."
    assert accepted.is_well()


def test_what_is_deleted_and_asked_for_is_waited_for_until_somebody_accepts_that() -> None:
    found = status(Losses(), None, [ENTRIES])
    [loss], [said] = found.may_be_lost, found.missing
    assert (loss.key, loss.entries, loss.accepted_at) == ("entries-facts-0-q-7", ENTRIES, 0)
    assert 'entries 4 to 7 of the journals of node "a"' in said
    assert said.endswith("headcount cluster accept-loss entries-facts-0-q-7")
    assert not found.is_well()
    accepted = Losses([msgspec.structs.replace(loss, accepted_at=9_000)], {})
    found = status(accepted, None, [ENTRIES])
    assert (found.may_be_lost, found.missing) == ([], [])
    assert found.is_well()


def test_who_counted_a_partition_before_is_known_by_when_it_last_said_anything() -> None:
    cluster = ClusterDocument(CLUSTER_FORMAT, "c" * 32, 1, 1, "key", 0)
    placement = Placement().given(partitions_of(1, 1), "a").given([Partition("keys", 0)], "b")
    nodes = {
        name: NodeRecord(
            name, "u", "1", "1.0", 1, "", "", said, partitions={"keys-0": PartitionReport(epoch)}
        )
        for name, said, epoch in (("a", 3_000, 1), ("b", 9_000, 2))
    }
    facts, keys = status_of(cluster, nodes, {}, placement, 9_000).partitions
    assert (facts.former_said_at, keys.former_said_at) == (None, 3_000)
