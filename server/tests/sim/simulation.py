"""Running worlds: takes seeds, gives what each came to; repeats a failing one in words."""

from __future__ import annotations

import contextlib
import gc
import logging
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from sim.faults import Fault
from sim.world import Template, World, made_template

__all__ = ["ALL_FAULTS", "STEPS", "Outcome", "room", "simulate"]

STEPS = 40
ALL_FAULTS = frozenset(Fault)


@dataclass
class Outcome:
    """What a world came to.

    Attributes:
        seed: its seed.
        story: what happened.
        failure: what was wrong; None when nothing was.
        faults: how many faults of each kind there were.
        metered: how many messages were metered.
        steps: how many steps there were.
    """

    seed: int
    story: list[str]
    failure: BaseException | None = None
    faults: Counter[str] = field(default_factory=Counter)
    metered: int = 0
    steps: int = 0


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Nothing is logged meanwhile; what other tests of this process log later is."""
    logger = logging.getLogger("headcount")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


@contextlib.contextmanager
def room() -> Iterator[tuple[Path, Template]]:
    """A folder to simulate in, in memory where the system has such, and the template in it."""
    memory = Path("/dev/shm")
    with _silence(), tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        path = Path(name)
        template = made_template(path)
        # What stands now stands for good: looking for dead connections need not walk it.
        gc.collect()
        gc.freeze()
        try:
            yield path, template
        finally:
            gc.unfreeze()


def simulate(
    path: Path,
    template: Template,
    seed: int,
    steps: int = STEPS,
    kinds: frozenset[Fault] = ALL_FAULTS,
    scale: float | None = None,
) -> Outcome:
    """One history."""
    world = World(template, path, seed, steps, kinds, scale)
    failure: BaseException | None = None
    try:
        world.run()
    except Exception as error:
        failure = error
    finally:
        world.close()
    faults = Counter[str](dict(world.faults.injected))
    return Outcome(seed, world.story, failure, faults, world.auditor.metered, world.steps_done)
