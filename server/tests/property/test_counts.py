"""Counts equal the oracle's over generated histories, however facts are split and delivered."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headcount.metering.calendar import MS_PER_DAY, parse_period
from oracle import Oracle, PlainFact
from rig import Recorder, Rig, assert_equal_to_oracle

FIRST_DAY = parse_period("2026-01-01").first_day
IDS = st.one_of(st.none(), st.sampled_from(["a", "b", "c", "\ud800", "1", "x" * 40]))


@st.composite
def plain_facts(draw: st.DrawFn) -> PlainFact:
    """A fact of one of two workspaces with two sources each, from the first days of four months
    and the days around their ends, with ids few enough to meet again."""
    source = draw(st.integers(1, 4))
    day = FIRST_DAY + draw(st.sampled_from([0, 1, 13, 24, 30, 31, 32, 58, 59, 65, 66, 89, 90, 95]))
    user = draw(IDS)
    return PlainFact(
        received_at_ms=day * MS_PER_DAY + draw(st.sampled_from([0, 1, 43_200_000, 86_399_999])),
        workspace=1 + source % 2,
        source=source,
        message=draw(st.sampled_from(["m1", "m2", "m3", "m4", "m5", "m6"])),
        user=user,
        anonymous=draw(IDS),
        previous=draw(IDS) if user is not None else None,
    )


# What happens to a server: facts are appended to one of its journals, a batch is metered, the
# meter is restarted.
ACTIONS = st.one_of(
    st.tuples(
        st.just("append"), st.integers(0, 2), st.lists(plain_facts(), min_size=1, max_size=6)
    ),
    st.tuples(st.just("step"), st.just(0), st.just([])),
    st.tuples(st.just("restart"), st.just(0), st.just([])),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    actions=st.lists(ACTIONS, min_size=1, max_size=14),
    facts_a_batch_max=st.sampled_from([1, 3, 100_000]),
    window_days=st.sampled_from([0, 1, 34, 35, 36]),
)
def test_counts_are_the_oracles(
    actions: list[tuple[str, int, list[PlainFact]]], facts_a_batch_max: int, window_days: int
) -> None:
    recorder = Recorder([fact for action in actions for fact in action[2]])
    oracle = Oracle(window_days)
    now_ms = FIRST_DAY * MS_PER_DAY

    def clock_ms() -> int:
        nonlocal now_ms
        now_ms += 100
        return now_ms

    with TemporaryDirectory() as folder:
        rig = Rig(
            Path(folder), clock_ms, window_days=window_days, facts_a_batch_max=facts_a_batch_max
        )
        journals = [rig.journal() for _ in range(3)]

        def step() -> bool:
            # The oracle is told the metering order by asking for the same entries beforehand.
            taken = rig.meter.peek()
            for fact in recorder.in_metering_order(taken):
                oracle.meter(fact)
            return rig.meter.step().drained

        for action, journal, facts in actions:
            if action == "append":
                rig.append(journals[journal], facts)
            elif action == "step":
                step()
            else:
                rig.stop()
                rig.start()
        while not step():
            pass
        assert_equal_to_oracle(rig.store, oracle)
        rig.stop()
        rig.start()
        assert_equal_to_oracle(rig.store, oracle)
        for journal in journals:
            journal.close()
        rig.close()
