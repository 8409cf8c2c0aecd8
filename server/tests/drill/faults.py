"""What happens to a cluster in a drill: each fault does its damage and lets it stand for a while.

After each of them the cluster is whole again, but for what takes time; nothing waits for that.
"""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from drill.nodes import Node, run
from support.engine_servers import EngineServers

__all__ = ["DEATHS", "MOVES", "Fault", "Scene"]


@dataclass
class Scene:
    """What faults are done to.

    Attributes:
        nodes: all of them.
        servers: of the engine.
        chance: decides what is hit.
        partitions: their names.
        copies: where older copies of partitions' folders are put.
        done: what was done, for people.
        until_fresh: waits until everything that was posted before is counted.
    """

    nodes: list[Node]
    servers: EngineServers
    chance: random.Random
    partitions: list[str]
    copies: Path
    until_fresh: Callable[[], None]
    done: list[str] = field(default_factory=list)

    def living(self) -> list[Node]:
        return [node for node in self.nodes if not node.is_lost]

    def say(self, text: str) -> None:
        self.done.append(text)
        print(f"  {text}", flush=True)

    def rest(self, least_s: float, most_s: float) -> None:
        time.sleep(self.chance.uniform(least_s, most_s))


Fault = Callable[[Scene], None]


def kill_children(scene: Scene) -> None:
    """A process here and there dies: relay, meter, api, intake, whatever it is."""
    killed = []
    for _ in range(4):
        node = scene.chance.choice(scene.living())
        killed.append(f"{node.name}'s {node.kill_one(scene.chance)}")
        scene.rest(0.2, 1.5)
    scene.say("killed " + ", ".join(killed))


def kill_node(scene: Scene) -> None:
    """All processes of a node die at once."""
    node = scene.chance.choice(scene.living())
    node.kill()
    scene.rest(0.5, 3)
    node.start()
    scene.say(f"killed {node.name}, all of it")


def kill_log_server(scene: Scene) -> None:
    """The log's primary dies, and its standby takes over; or one server of three dies."""
    scene.servers.kill_one(scene.chance.randrange(3))
    scene.rest(0.5, 2)
    scene.servers.restore()
    scene.say("killed a server of the log")


def kill_log(scene: Scene) -> None:
    """All servers of the log die at once, and are away for a while."""
    scene.servers.kill_all()
    scene.rest(1, 5)
    scene.servers.restore()
    scene.say("killed all servers of the log")


def promote_late(scene: Scene) -> None:
    """What the log had acknowledged of late is lost, as when a standby that lagged is promoted."""
    if scene.servers.lose_latest(lambda: scene.rest(0.5, 2)):
        scene.say("promoted a standby that lagged")


def wipe_log(scene: Scene) -> None:
    """The log loses all that it holds."""
    scene.servers.wipe_log()
    scene.say("wiped the log")
    # Copies of before could ask for what only the log had.
    shutil.rmtree(scene.copies, ignore_errors=True)


def put_back(scene: Scene) -> None:
    """The disk of a partition is put back to an older copy of it, which nobody tells the node."""
    found = [
        (node, path)
        for node in scene.living()
        for path in sorted((node.data / "partitions").glob("*-*"))
        if (path / "counted.json").exists()
    ]
    if not found:
        return
    node, path = scene.chance.choice(found)
    copy = scene.copies / node.name / path.name
    if not copy.exists():
        node.stop()
        shutil.copytree(path, copy)
        node.start()
        scene.rest(2, 5)
        scene.until_fresh()
    # In half of the cases it was counted up to the end, in the others it was not.
    if scene.chance.random() < 0.5:
        node.stop()
    else:
        node.kill()
    shutil.rmtree(path)
    shutil.move(copy, path)
    node.start()
    scene.say(f"put {path.name} of {node.name} back to an older copy")


def move(scene: Scene) -> None:
    """A partition is counted by another node from now on."""
    partition, node = scene.chance.choice(scene.partitions), scene.chance.choice(scene.living())
    run(node.settings, "cluster", "move", partition, "--to", node.name)
    scene.say(f"moved {partition} to {node.name}")


DEATHS = (kill_children, kill_node, kill_log_server, kill_log, promote_late, wipe_log)
"""What dies, or forgets, while partitions stay where they are."""

MOVES = (put_back, move)
"""What happens to partitions."""
