"""What is shown of an engine that does not answer: nothing is lowered on a guess."""

from __future__ import annotations

from msgspec.structs import replace

from console.link import judge
from console.verbs.status import _recorded
from engine.rollout.state import State
from engine.store.reader import Glance
from tests.console.samples import NORMAL


def test_a_recorded_percentage_above_the_last_figures_is_named() -> None:
    older = replace(NORMAL, percent_bp=0, effective_bp=0, rev=40)
    glance = Glance(older, 0.0, 1, 7, State(rev=41, percent_bp=1000))
    for alive in ("frozen", "unknown"):
        assert "NOT CERTAIN: the log has 10 % (decision 41)" in _recorded(glance, alive)
    for alive in ("running", "dead"):
        assert not _recorded(glance, alive)
    assert not _recorded(Glance(NORMAL, 0.0, 1, 7, State(rev=NORMAL.rev, percent_bp=1000)), "frozen")


def test_a_silent_engine_that_is_not_stopped_is_not_certified_to_be_at_zero() -> None:
    """Its heartbeat is a row of the store: the store may be what is stuck."""
    silent = judge(1000.0, 7, True, 1060.0, 30.0, "runs")
    assert "NOT CERTAIN" in silent.sentence
    assert "every router is at 0 %" not in silent.sentence
    stopped = judge(1000.0, 7, True, 1060.0, 30.0, "stopped")
    assert "every router is at 0 %" in stopped.sentence
    out = judge(1000.0, 7, True, 1060.0, 30.0, "runs", armed=False)
    assert "no LLM call can start" in out.sentence
