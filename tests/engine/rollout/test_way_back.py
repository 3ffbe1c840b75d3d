"""The short way back after a rollback: only with a written cause, only to the stage that was left, through fresh evidence for what failed."""

from __future__ import annotations

import msgspec
import pytest
from msgspec.structs import replace

from engine.plan.load import default_plan_text, parse_plan
from engine.plan.model import Action, Condition, Plan
from engine.plan.problems import PlanError
from engine.rollout import control, way_back
from engine.rollout.control import Promotion
from engine.rollout.state import ENGINE, Actor, Ask, Decision, Refusal, State, transition, unlawful
from engine.rollout.way_back import Setback

PLAN = parse_plan(default_plan_text())
LIMITED = State(stage=3, percent_bp=2500, epoch=7, rev=20)
ALICE = Actor("alice", 1000)
CAUSE = "the model server ran out of memory"
HOUR = 3600.0


def ask(reason: str = "", actor: Actor = ALICE, at: float = 10_000.0) -> Ask:
    return Ask(actor, at, "r", reason)


def fired(state: State = LIMITED, action: Action = Action.to_zero, trigger: str = "error_critical") -> State:
    made = control.act(PLAN, state, action, ask(trigger, ENGINE, 0.0), "too many errors", {"firing": [trigger]})
    assert made is not None
    return transition(state, made)


def done(state: State, made: Decision | Refusal) -> State:
    assert isinstance(made, Decision), made
    return transition(state, made)


def resumed(state: State) -> State:
    return done(state, control.resume(state, ask(CAUSE)))


def promoted(state: State, **more: bool) -> Decision | Refusal:
    return control.promote(PLAN, state, Promotion(ask(), state.epoch), **more)


def test_without_a_cause_there_is_no_short_way() -> None:
    state = fired()
    assert (state.stage, state.percent_bp) == (1, 0)
    assert control.returns(PLAN, state) is None
    assert control.next_step(PLAN, state) == (2, 1000)


def test_with_its_cause_recorded_a_person_returns_to_the_stage_that_was_left() -> None:
    state = resumed(fired())
    assert control.next_step(PLAN, state) == (3, 2500)
    made = promoted(state)
    assert isinstance(made, Decision)
    assert "returned to stage 3" in made.sentence
    after = transition(state, made)
    assert (after.stage, after.percent_bp, after.setback) == (3, 2500, None)


def test_the_engine_cannot_take_the_way_back() -> None:
    state = resumed(fired())
    made = control.promote(PLAN, state, Promotion(ask(actor=ENGINE), state.epoch))
    assert isinstance(made, Decision)
    assert unlawful(state, made) is not None


def test_the_plans_own_next_stage_can_still_be_taken() -> None:
    state = resumed(fired())
    made = control.promote(PLAN, state, Promotion(ask(), state.epoch, to_stage=2), short=False)
    assert isinstance(made, Decision)
    assert (made.stage, made.percent_bp) == (2, 1000)
    assert transition(state, made).setback is None  # from there on the plan's gates hold


def test_a_persons_rollback_is_explained_by_its_reason_or_later() -> None:
    at_once = done(LIMITED, control.roll_back(PLAN, LIMITED, ask(CAUSE)))
    assert control.next_step(PLAN, at_once) == (3, 2500)
    silent = done(LIMITED, control.roll_back(PLAN, LIMITED, ask()))
    assert control.returns(PLAN, silent) is None
    other = done(silent, control.note(silent, ask(CAUSE), "reason", "", {"of": 3}))
    assert control.returns(PLAN, other) is None  # the reason of another rollback
    written = done(silent, control.note(silent, ask(CAUSE), "reason", "", {"of": silent.rev}))
    assert control.next_step(PLAN, written) == (3, 2500)


def test_rolling_back_again_at_zero_forgets_nothing() -> None:
    state = fired()
    again = done(state, control.roll_back(PLAN, state, ask()))
    assert again.setback == state.setback


def test_the_last_of_two_steps_down_is_what_is_returned_to() -> None:
    lower = fired(action=Action.previous_stage, trigger="error_high")
    assert (lower.stage, lower.percent_bp) == (2, 1000)
    lowest = fired(replace(lower, locked=""))
    assert control.next_step(PLAN, resumed(lowest)) == (2, 1000)


def test_a_halved_stage_returns_to_its_own_percentage() -> None:
    state = resumed(fired(State(stage=4, percent_bp=5000, epoch=1, rev=1), Action.halve, "latency_medium"))
    assert state.percent_bp == 2500
    assert control.next_step(PLAN, state) == (4, 5000)
    setback = control.returns(PLAN, state)
    assert setback is not None
    assert [c.metric for c in way_back.evidence(PLAN, setback)] == ["latency_mean"]


def test_another_model_or_plan_closes_the_way_back() -> None:
    state = resumed(fired())
    made = replace(control.note(state, ask(), "model", ""), restarts=True)
    assert transition(state, made).setback is None


def test_an_undone_rollback_restores_the_earlier_setback() -> None:
    state = resumed(fired(State(stage=4, percent_bp=5000, epoch=1, rev=1), Action.halve, "latency_medium"))
    down = done(state, control.roll_back(PLAN, state, ask()))
    up = done(down, control.undo_rollback(PLAN, down, ask(), down.epoch, ""))
    assert up.setback == state.setback


def test_a_log_from_before_this_was_kept_replays_as_it_did() -> None:
    """An old store's state has no way back, and its log must lead to exactly that state."""
    made = control.act(PLAN, LIMITED, Action.to_zero, ask("error_critical", ENGINE, 0.0), "", {})
    assert made is not None
    old = msgspec.json.decode(msgspec.json.encode(replace(made, setback=None)), type=Decision)
    state = transition(LIMITED, old)
    assert state.setback is None
    assert resumed(state).setback is None


def test_evidence_uses_the_bound_of_the_stage_that_was_left() -> None:
    setback = control.returns(PLAN, resumed(fired()))
    assert setback is not None
    (condition,) = way_back.evidence(PLAN, setback)
    own = next(c for c in PLAN.stages[3].success if c.metric == "error_rate")
    assert condition == replace(own, required=True)


def test_everything_that_fired_has_to_be_proven() -> None:
    made = control.act(
        PLAN, LIMITED, Action.to_zero, ask("error_critical", ENGINE), "", {"firing": ["error_critical", "latency_high"]}
    )
    assert made is not None
    assert made.setback is not None
    assert [c.metric for c in way_back.evidence(PLAN, made.setback)] == ["error_rate", "latency_mean"]


@pytest.mark.parametrize(
    ("rebake", "least", "bake", "expected"),
    [(0.25, HOUR, 100 * HOUR, 25 * HOUR), (0.25, 4 * HOUR, 8 * HOUR, 4 * HOUR), (0.25, 4 * HOUR, 2 * HOUR, 2 * HOUR), (0.0, 0.0, HOUR, 0.0)],
)  # fmt: skip
def test_a_part_of_the_bake_with_a_minimum(rebake: float, least: float, bake: float, expected: float) -> None:
    stage = replace(PLAN.stages[3], rebake=rebake, rebake_least_s=least, bake_s=bake)
    assert way_back.rebake_s(stage) == expected


def altered(number: int, **changes: object) -> Plan:
    stages = [replace(s, **changes) if s.number == number else s for s in PLAN.stages]
    return replace(PLAN, stages=tuple(stages))


def test_a_plan_may_ask_for_the_whole_way() -> None:
    assert control.returns(altered(3, rebake=1.0), resumed(fired())) is None


def test_without_shadow_nothing_is_measured_at_zero_so_the_first_gate_is_the_plans() -> None:
    assert control.returns(altered(1, shadow_bp=0), resumed(fired())) is None


def test_a_share_outside_0_to_100_percent_is_named() -> None:
    with pytest.raises(PlanError, match="share of the bake"):
        parse_plan(default_plan_text().replace('rebake = "25 %"', 'rebake = "250 %"', 1))


def test_the_gate_of_the_way_back_names_what_failed_and_takes_the_approvals_of_the_stage_before() -> None:
    plan = altered(2, approvals=2)
    stage = way_back.gate_stage(plan, Setback(3, 2500, ("error_rate",), "error_critical", True), 1)
    assert "fresh evidence for error_critical, watched" in stage.gate
    assert stage.approvals == 2
    assert "fresh evidence for the rollback, watched" in way_back.gate_stage(plan, Setback(3, 2500), 1).gate
    first = way_back.gate_stage(altered(0, approvals=3), Setback(0, 100), 0)
    assert first.approvals == 3  # before the first stage is none
    assert way_back.gate_stage(altered(0, approvals=3), Setback(1, 500), 0).approvals == 3


@pytest.mark.parametrize(
    ("percent_bp", "stage", "shadow_bp", "to"),
    [
        (2500, 1, 100, None),  # nothing to regain
        (2499, 1, 100, (3, 2500)),
        (1, 1, 0, (3, 2500)),  # documents are served, and measure it
        (0, 1, 1, (3, 2500)),
        (0, 1, 0, None),
        (0, len(PLAN.stages), 100, None),
    ],
)
def test_there_is_a_way_back_to_a_higher_percentage_that_something_measures(
    percent_bp: int, stage: int, shadow_bp: int, to: tuple[int, int] | None
) -> None:
    assert Setback(3, 2500).rev == 0
    setback = Setback(3, 2500, ("error_rate",), "error_critical", True)
    assert way_back.target(altered(1, shadow_bp=shadow_bp), setback, stage, percent_bp) == to


def test_there_is_no_way_back_where_no_stage_asks_for_what_failed() -> None:
    setback = Setback(3, 2500, ("error_rate",), "error_critical", True)
    errors = tuple(
        condition for stage in PLAN.stages for condition in stage.success if condition.metric == "error_rate"
    )
    others = tuple(
        condition for stage in PLAN.stages for condition in stage.success if condition.metric != "error_rate"
    )

    def asking(*conditions: Condition) -> Plan:
        return replace(PLAN, stages=tuple(replace(s, success=conditions) for s in PLAN.stages))

    assert way_back.target(asking(errors[0]), setback, 1, 0) == (3, 2500)
    assert way_back.target(asking(*others), setback, 1, 0) is None


@pytest.mark.parametrize(("bake", "reaches"), [(60.0, HOUR), (100 * HOUR, 25 * HOUR)])
def test_the_evidence_of_a_return_reaches_back_an_hour_or_its_part_of_the_bake(bake: float, reaches: float) -> None:
    plan = altered(3, bake_s=bake, rebake=0.25, rebake_least_s=0.0)
    assert way_back.evidence_s(plan, Setback(3, 2500)) == reaches
