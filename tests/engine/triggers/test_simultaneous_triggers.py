"""Pairs that fire together: the lowest percentage wins, all are named, and a critical one mutes lower ones for people only."""

from __future__ import annotations

import pytest

from engine.plan.model import Action
from engine.triggers.decision import Evaluation
from engine.triggers.measurement import Ok
from tests.engine.triggers.attempt_timeline import Scene


def together(seconds: float = 1900, complaints: int = 0, probes: int = 0, **service: float) -> tuple[Scene, Evaluation]:
    scene = Scene()
    scene.run(seconds, **service)  # type: ignore[arg-type]
    scene.failed_probes = probes
    if probes:
        scene.run(90, **service)  # type: ignore[arg-type]
    scene.samples = {"complaints": Ok(float(complaints), complaints)}
    return scene, scene.evaluate()


@pytest.mark.parametrize(
    ("given", "pair", "wins", "percent_bp"),
    [
        ({"failing": 0.3, "ms": 4000.0}, {"error_critical", "latency_high"}, "error_critical", 0),
        ({"failing": 0.3, "ms": 2500.0}, {"error_critical", "latency_medium"}, "error_critical", 0),
        ({"failing": 0.3, "complaints": 7}, {"error_critical", "complaints"}, "error_critical", 0),
        ({"failing": 0.3}, {"error_critical", "error_high"}, "error_critical", 0),
        ({"failing": 0.3}, {"error_critical", "error_creep"}, "error_critical", 0),
        ({"failing": 0.04, "ms": 4000.0}, {"error_high", "latency_high"}, "error_high", 2500),
        ({"failing": 0.04, "ms": 2500.0}, {"error_high", "latency_medium"}, "error_high", 2500),
        ({"failing": 0.04, "complaints": 7}, {"error_high", "complaints"}, "error_high", 2500),
        ({"ms": 4000.0}, {"latency_high", "latency_medium"}, "latency_high", 2500),
        ({"ms": 4000.0, "complaints": 7}, {"latency_high", "complaints"}, "latency_high", 2500),
        ({"ms": 2500.0, "complaints": 7}, {"latency_medium", "complaints"}, "latency_medium", 2500),
        ({"ms": 4000.0, "probes": 3}, {"latency_high", "llm_unavailable"}, "llm_unavailable", 0),
        ({"failing": 0.04, "probes": 3}, {"error_high", "llm_unavailable"}, "llm_unavailable", 0),
        ({"ms": 4000.0, "complaints": 11}, {"latency_high", "complaints_many"}, "complaints_many", 0),
        ({"complaints": 11}, {"complaints", "complaints_many"}, "complaints_many", 0),
    ],
)  # fmt: skip
def test_the_lowest_percentage_wins_and_all_are_named(
    given: dict[str, float], pair: set[str], wins: str, percent_bp: int
) -> None:
    _, decision = together(**given)  # type: ignore[arg-type]
    assert pair <= set(decision.firing)
    assert decision.winner is not None
    assert (decision.winner.id, decision.winner.percent_bp) == (wins, percent_bp)


def test_halving_wins_over_the_previous_stage_where_it_leads_lower() -> None:
    """At stage 5 half is 50 % and the previous stage is 50 %; at stage 4 reduced to 30 % half is 15 %, the stage below 25 %."""
    scene = Scene()
    scene.percent_bp = 3000
    scene.run(1900, ms=4000.0)
    assert {"latency_high", "latency_medium"} <= set(scene.last.firing)  # type: ignore[union-attr]
    winner = scene.last.winner  # type: ignore[union-attr]
    assert winner is not None
    assert (winner.id, winner.action, winner.percent_bp) == ("latency_medium", Action.halve, 1500)


def test_critical_mutes_the_lower_ones_and_reports_it() -> None:
    scene, decision = together(failing=0.3, ms=4000.0)
    assert scene.verdict("error_critical") == "breach"
    for lower in ("error_high", "latency_high", "latency_medium", "error_creep"):
        assert scene.verdict(lower) == "muted"
        assert scene.reading(lower).resets_when
    assert "latency_high" in decision.firing


def test_a_high_one_mutes_nothing() -> None:
    scene, _ = together(ms=4000.0)
    assert scene.verdict("latency_medium") == "breach"


def test_nothing_raises_what_is_below_the_stage_already() -> None:
    scene = Scene(stage=3)
    scene.percent_bp = 100
    scene.run(1900, ms=4000.0, failing=0.04)
    assert all(scene.last.winner.percent_bp < 100 for _ in [0] if scene.last and scene.last.winner)
