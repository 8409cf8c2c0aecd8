"""Leases over generated histories: nodes that pause, lose the registry, are moved and taken over.

Whatever happens, no two nodes may publish one partition at one moment; and a registry that is put
back to an older moment never makes an epoch fall for those who have seen it.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from headcount.cluster.control import change_placement
from headcount.cluster.placement import TAKEOVER_LEAST_S, partitions_of
from headcount.errors import ClusterError, EngineAwayError
from support.cluster_nodes import ClusterRig, Node

ALL = partitions_of(2, 2)
NAMES = ("a", "b", "c")

steps = st.lists(
    st.one_of(
        st.tuples(st.just("passes"), st.floats(0.05, 2.0)),
        st.tuples(st.just("beat"), st.sampled_from(NAMES)),
        st.tuples(st.just("moved"), st.tuples(st.sampled_from(ALL), st.sampled_from(NAMES))),
        st.tuples(st.just("away"), st.booleans()),
        st.tuples(st.just("all"), st.integers(1, 6)),
    ),
    max_size=60,
)


def _entered(rig: ClusterRig) -> dict[str, Node]:
    nodes = {name: rig.node(name, takes_over=True) for name in NAMES}
    for node in nodes.values():
        node.enter()
    change_placement(rig.server.open(), lambda there: there.given(ALL, "a"))
    return nodes


def _beat(node: Node) -> None:
    try:
        seen = node.beat()
        node.control.take_over_due(seen, TAKEOVER_LEAST_S)
    except EngineAwayError:
        pass


def _look(nodes: dict[str, Node], epochs: dict[object, int]) -> None:
    held: dict[object, str] = {}
    for name, node in nodes.items():
        for partition, epoch in node.leases.owned().items():
            assert partition not in held, f"{name} and {held[partition]} publish {partition}"
            held[partition] = name
            assert epochs.setdefault(partition, epoch) <= epoch
            epochs[partition] = epoch


@given(steps)
@settings(max_examples=300, deadline=None)
def test_no_two_nodes_publish_one_partition(history: list[tuple[str, object]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        rig = ClusterRig(Path(folder))
        nodes = _entered(rig)
        epochs: dict[object, int] = {}
        for what, value in history:
            match what, value:
                case "passes", float(seconds):
                    rig.passes(seconds)
                case "beat", str(name):
                    _beat(nodes[name])
                case "moved", (partition, name):
                    if not rig.server.away:
                        change_placement(
                            rig.server.open(),
                            lambda there, p=partition, n=name: there.given([p], n),  # type: ignore[misc]
                        )
                case "away", bool(away):
                    rig.server.away = away
                case "all", int(seconds):
                    for _ in range(seconds):
                        for node in nodes.values():
                            _beat(node)
                        rig.passes(1.0)
                        _look(nodes, epochs)
            _look(nodes, epochs)


@given(st.lists(st.sampled_from(["keep", "back", "move", "beat"]), max_size=30), st.data())
@settings(max_examples=100, deadline=None)
def test_a_registry_that_forgets_makes_nobody_own_what_was_taken(
    history: list[str], data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        rig = ClusterRig(Path(folder))
        nodes = _entered(rig)
        highest: dict[tuple[str, object], int] = {}
        kept = dict(rig.server.values)
        for what in history:
            rig.passes(1.0)
            if what == "keep":
                kept = dict(rig.server.values)
            elif what == "back":
                rig.server.values = dict(kept)
            elif what == "move":
                partition = data.draw(st.sampled_from(ALL))
                name = data.draw(st.sampled_from(NAMES))
                change_placement(
                    rig.server.open(),
                    lambda there, p=partition, n=name: there.given([p], n),  # type: ignore[misc]
                )
            for name, node in nodes.items():
                try:
                    placement = node.beat().placement
                except ClusterError:
                    raise AssertionError(f"{name} was refused") from None
                for text, owner in placement.owners.items():
                    assert owner.epoch >= highest.get((name, text), 0)
                    highest[name, text] = owner.epoch
