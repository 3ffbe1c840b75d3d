"""Every guard of the state machine at its edge: the last moment, the shortest reason, the smallest step that counts."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from engine.plan.load import default_plan_text, parse_plan
from engine.plan.model import Action
from engine.rollout import control, way_back
from engine.rollout.control import Promotion
from engine.rollout.state import ENGINE, Actor, Ask, Decision, Refusal, State, Undo, transition
from engine.rollout.way_back import Setback

PLAN = parse_plan(default_plan_text())
COOLDOWN_S = PLAN.trigger_settings.cooldown_s
ALICE, BO, ROOT = Actor("alice", 1000), Actor("bo", 1001), Actor("root", 0)
NOW = 1000.0


def ask(reason: str = "", actor: Actor = ALICE, at: float = NOW, pace: float = 1.0) -> Ask:
    return Ask(actor, at, "r", reason, seen="the gate", pace=pace)


def at_stage(stage: int, **changes: object) -> State:
    percent = PLAN.stages[stage].percent_bp if stage < len(PLAN.stages) else 10_000
    return State(**{"stage": stage, "percent_bp": percent, "epoch": 7, "rev": 20, **changes})  # type: ignore[arg-type]


def promote(state: State, **changes: object) -> Decision | Refusal:
    asked = ask(str(changes.pop("reason", "")))
    wanted = {name: changes.pop(name) for name in ("epoch", "override", "to_stage") if name in changes}
    promotion = Promotion(**{"ask": asked, "epoch": 7, **wanted})  # type: ignore[arg-type]
    return control.promote(PLAN, state, promotion, **{"by": "bo held", **changes})  # type: ignore[arg-type]


def sentence(outcome: Decision | Refusal | None) -> str:
    assert outcome is not None
    return outcome.sentence


# -- promote -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stage", "percent_bp", "expected"),
    [
        (0, 0, (1, 0)),
        (1, 0, (2, 1000)),
        (2, 500, (2, 1000)),
        (2, 999, (2, 1000)),
        (2, 1000, (3, 2500)),
        (3, 2500, (4, 5000)),
        (5, 9999, (5, 10_000)),
        (5, 10_000, (6, 10_000)),
        (6, 10_000, (6, 10_000)),
        (6, 5000, (6, 5000)),
    ],
)
def test_a_reduced_stage_returns_to_its_own_percentage_and_a_whole_one_leads_to_the_next(
    stage: int, percent_bp: int, expected: tuple[int, int]
) -> None:
    assert control.next_step(PLAN, at_stage(stage, percent_bp=percent_bp)) == expected


def test_the_gate_is_the_current_stages_and_a_stable_rollout_has_none() -> None:
    assert [control.gate_stage(PLAN, at_stage(stage)) for stage in range(len(PLAN.stages))] == list(PLAN.stages)
    assert control.gate_stage(PLAN, at_stage(PLAN.stable)) is None


@pytest.mark.parametrize(("missing", "more"), [(3, ""), (4, "(and 1 more)"), (5, "(and 2 more)")])
def test_a_shut_gate_names_three_things_and_counts_the_rest(missing: int, more: str) -> None:
    written = sentence(promote(at_stage(2), missing=tuple(f"thing {n}" for n in range(missing))))
    assert "thing 2" in written
    assert "thing 3" not in written
    assert ("more)" in written) is bool(more)
    assert more in written


@pytest.mark.parametrize(("reason", "taken"), [("1234567", False), ("12345678", True), ("  123456  ", False)])
def test_a_reason_for_an_override_has_at_least_8_characters(reason: str, taken: bool) -> None:
    outcome = promote(at_stage(2), missing=("bake",), override=True, reason=reason)
    assert isinstance(outcome, Decision) is taken


def test_an_override_of_nothing_needs_no_reason_and_is_none() -> None:
    outcome = promote(at_stage(2), override=True)
    assert isinstance(outcome, Decision)
    assert not outcome.override
    assert "overriding" not in outcome.sentence


@pytest.mark.parametrize(("to_stage", "taken"), [(None, True), (3, True), (2, False), (4, False)])
def test_the_stage_that_a_person_expects_has_to_be_the_next(to_stage: int | None, taken: bool) -> None:
    assert isinstance(promote(at_stage(2), to_stage=to_stage), Decision) is taken


@pytest.mark.parametrize("stage", [6, 7])
def test_a_stable_rollout_has_no_step_up(stage: int) -> None:
    assert "stable" in sentence(promote(at_stage(stage)))


@pytest.mark.parametrize(("stage", "words"), [(4, "promoted to stage 5 Full"), (5, "declared stable")])
def test_the_last_stage_is_entered_before_the_rollout_is_declared_stable(stage: int, words: str) -> None:
    assert words in sentence(promote(at_stage(stage)))


def test_after_an_explained_rollback_the_gate_is_the_way_backs_unless_the_whole_way_is_asked_for() -> None:
    setback = Setback(3, 2500, explained=True)
    state = at_stage(1, setback=setback)
    assert control.gate_stage(PLAN, state) == way_back.gate_stage(PLAN, setback, 1)
    assert control.gate_stage(PLAN, state) != PLAN.stages[1]
    assert control.gate_stage(PLAN, state, short=False) == PLAN.stages[1]


def test_the_shadow_of_the_last_stage_is_named_too() -> None:
    last = replace(PLAN.stages[-1], shadow_bp=500)
    plan = replace(PLAN, stages=(*PLAN.stages[:-1], last))
    outcome = control.promote(plan, at_stage(4), Promotion(ask(), 7))
    assert "(shadow 5 %)" in sentence(outcome)


# -- undo --------------------------------------------------------------------------------------------------------------


def rolled_back(**changes: object) -> State:
    state = replace(at_stage(3), entered_at=100.0, changed_at=200.0, last_rev=4)
    return replace(transition(state, control.roll_back(PLAN, state, ask())), **changes)


def undo(state: State, at: float = NOW + 1, epoch: int | None = None) -> Decision | Refusal:
    return control.undo_rollback(PLAN, state, ask(at=at), state.epoch if epoch is None else epoch, "bo held")


def test_an_undo_gives_back_the_stage_as_it_was() -> None:
    outcome = undo(rolled_back())
    assert isinstance(outcome, Decision)
    assert (outcome.stage, outcome.percent_bp, outcome.entered_at, outcome.changed_at) == (3, 2500, 100.0, 200.0)


@pytest.mark.parametrize(
    "changes", [{"held": "bo: look first"}, {"locked": "error_high fired"}, {"held": "bo", "locked": "error_high"}]
)
def test_nothing_is_undone_while_someone_holds_or_a_trigger_locks(changes: dict[str, str]) -> None:
    assert isinstance(undo(rolled_back(**changes)), Refusal)


def test_the_lock_is_named_before_the_hold() -> None:
    assert "a lock" in sentence(undo(rolled_back(held="a hold", locked="a lock")))
    assert "a hold" in sentence(undo(rolled_back(held="a hold")))


@pytest.mark.parametrize(("at", "taken"), [(NOW + 60.0, True), (NOW + 60.001, False)])
def test_an_undo_is_possible_up_to_its_last_moment(at: float, taken: bool) -> None:
    assert isinstance(undo(rolled_back(), at), Decision) is taken


@pytest.mark.parametrize("epoch", [7, 9])
def test_an_undo_is_of_the_rollback_that_was_seen(epoch: int) -> None:
    assert rolled_back().epoch == 8
    outcome = undo(rolled_back(), epoch=epoch)
    assert isinstance(outcome, Refusal)
    assert outcome.code == "moved"


def test_without_a_rollback_there_is_nothing_to_undo() -> None:
    assert "Nothing to undo" in sentence(undo(at_stage(3)))


# -- down --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stage", "to_stage", "expected", "odd"),
    [
        (4, None, (1, 0), ""),
        (4, 3, (3, 2500), ""),
        (4, 2, (2, 1000), ""),
        (4, 1, (1, 0), ""),
        (4, 0, (1, 0), ""),  # where the highest stage at 0 % is
        (4, 4, (1, 0), "stage 4 is not below stage 4"),
        (4, 5, (1, 0), "stage 5 is not below stage 4"),
        (4, 6, (1, 0), "there is no stage 6; the stages are 0 to 5"),
        (4, -1, (1, 0), "there is no stage -1"),
        (6, 5, (5, 10_000), ""),
        (6, 6, (1, 0), "there is no stage 6"),
        (0, None, (0, 0), ""),
        (0, 0, (0, 0), "stage 0 is not below stage 0"),
        (1, 0, (1, 0), ""),
    ],
)
def test_a_rollback_lands_below_or_at_0_percent(
    stage: int, to_stage: int | None, expected: tuple[int, int], odd: str
) -> None:
    outcome = control.roll_back(PLAN, at_stage(stage), ask(), to_stage)
    assert (outcome.stage, outcome.percent_bp) == expected
    assert odd in outcome.sentence
    assert ("(" in outcome.sentence) is bool(odd)


def test_a_rollback_keeps_what_it_took_away() -> None:
    state = replace(at_stage(3), entered_at=100.0, changed_at=200.0, last_rev=4, setback=Setback(4, 5000))
    outcome = control.roll_back(PLAN, state, ask(pace=60.0))
    assert outcome.undo == Undo(3, 2500, NOW + 3600.0, 4, 100.0, 200.0, Setback(4, 5000))
    assert outcome.setback == Setback(3, 2500)


@pytest.mark.parametrize(
    ("state", "to_stage"), [(at_stage(1), None), (at_stage(6), 5), (at_stage(3, percent_bp=0), None)]
)
def test_a_rollback_that_takes_nothing_away_leaves_nothing_new_to_undo(state: State, to_stage: int | None) -> None:
    before = Undo(4, 5000, NOW + 30.0)
    outcome = control.roll_back(PLAN, replace(state, undo=before), ask(), to_stage)
    assert outcome.undo == before
    assert outcome.setback is None
    assert control.roll_back(PLAN, state, ask(), to_stage).undo is None


@pytest.mark.parametrize(("reason", "explained"), [("1234567", False), ("12345678", True), ("  123456  ", False)])
def test_a_reason_explains_a_rollback_from_8_characters_on(reason: str, explained: bool) -> None:
    setback = control.roll_back(PLAN, at_stage(3), ask(reason)).setback
    assert setback is not None
    assert setback.explained is explained


def test_the_sentence_of_a_rollback_names_what_it_came_from_and_why() -> None:
    assert control.roll_back(PLAN, at_stage(3), ask("bad")).sentence == "alice rolled back from 25 % to 0 %: bad"
    assert control.roll_back(PLAN, at_stage(1), ask()).sentence == "alice rolled back to 0 %"


def test_without_an_answer_a_rollback_goes_to_0_percent_and_explains_why() -> None:
    assert control.zero_instead(PLAN, None, 4) == ""
    assert "without an answer" in control.zero_instead(PLAN, 2, 4)
    assert "without an answer" in control.zero_instead(None, 4, 4)
    assert "without an answer" in control.zero_instead(PLAN, 2)
    assert "not below" in control.zero_instead(PLAN, 4, 4)
    assert "there is no stage 9" in control.zero_instead(PLAN, 9)


def test_a_plan_whose_stages_all_serve_the_llm_is_rolled_back_to_its_first() -> None:
    plan = replace(PLAN, stages=PLAN.stages[2:])
    assert control.highest_zero_stage(plan) == 0
    assert control.highest_zero_stage(PLAN) == 1


# -- a trigger's action ------------------------------------------------------------------------------------------------


def act(state: State, action: Action) -> Decision | None:
    return control.act(PLAN, state, action, ask("error_high", ENGINE), "5 % failed", {"firing": ["error_creep"]})


def test_an_action_locks_and_starts_the_cool_down() -> None:
    outcome = act(at_stage(3), Action.to_zero)
    assert outcome is not None
    assert (outcome.stage, outcome.percent_bp) == (1, 0)
    assert outcome.cooldown_until == NOW + COOLDOWN_S
    assert outcome.locked == "error_high fired: 5 % failed"
    assert outcome.setback is not None
    assert (outcome.setback.stage, outcome.setback.percent_bp) == (3, 2500)
    assert outcome.setback.why == "error_high, error_creep"


@pytest.mark.parametrize(
    ("state", "action", "acts"),
    [
        (at_stage(3), Action.investigate, False),
        (at_stage(3), Action.pause, True),
        (at_stage(3, held="bo"), Action.pause, False),
        (at_stage(1), Action.to_zero, False),
        (at_stage(0), Action.to_zero, False),
        (at_stage(3, percent_bp=0), Action.to_zero, True),  # the stage is above the one it lands on
        (at_stage(3), Action.halve, True),
        (at_stage(1), Action.halve, False),
        (at_stage(3), Action.previous_stage, True),
        (at_stage(3, held="bo"), Action.to_zero, True),
        (at_stage(3, locked="x"), Action.to_zero, True),
    ],
)
def test_an_action_that_would_change_nothing_is_none(state: State, action: Action, acts: bool) -> None:
    outcome = act(state, action)
    assert (outcome is not None) is acts
    if outcome is not None:
        assert outcome.percent_bp <= state.percent_bp


# -- hold, ceiling, resume, approvals ----------------------------------------------------------------------------------


def test_a_second_hold_is_refused_and_names_the_first() -> None:
    assert "bo: look first" in sentence(control.hold(at_stage(2, held="bo: look first"), ask()))
    outcome = control.hold(at_stage(2), ask())
    assert isinstance(outcome, Decision)
    assert outcome.held == "alice: no reason given"


@pytest.mark.parametrize(
    ("now_bp", "ceiling_bp", "epoch", "changes", "taken"),
    [
        (10_000, 10_000, 7, {}, False),
        (10_000, 9_999, 7, {}, True),
        (10_000, 5_000, 3, {}, True),  # lowering asks for nothing
        (10_000, 5_000, 7, {"held": "bo"}, True),
        (10_000, 5_000, 7, {"locked": "error_high"}, True),
        (5_000, 5_001, 7, {}, True),
        (5_000, 6_000, 6, {}, False),
        (5_000, 6_000, 8, {}, False),
        (5_000, 6_000, 7, {"held": "bo"}, False),
        (5_000, 6_000, 7, {"locked": "error_high"}, False),
    ],
)
def test_the_ceiling_is_lowered_at_any_time_and_raised_on_the_current_view(
    now_bp: int, ceiling_bp: int, epoch: int, changes: dict[str, str], taken: bool
) -> None:
    state = at_stage(2, ceiling_bp=now_bp, **changes)
    outcome = control.set_ceiling(state, ask(), ceiling_bp, epoch, "bo held")
    assert isinstance(outcome, Decision) is taken
    if isinstance(outcome, Decision):
        assert outcome.ceiling_bp == ceiling_bp
        assert ("raised" if ceiling_bp > now_bp else "lowered") in outcome.sentence


@pytest.mark.parametrize(
    ("state", "armed", "was_rolled_back", "changes"),
    [
        (at_stage(2), True, False, False),
        (at_stage(2), True, True, False),
        (at_stage(2), False, False, True),
        (at_stage(2, held="bo"), True, False, True),
        (at_stage(2, locked="x"), True, False, True),
        (at_stage(0), False, False, False),  # in Preparation the file is never in
        (at_stage(0), False, True, True),
        (at_stage(0), True, False, False),
        (at_stage(1), False, False, True),
    ],
)
def test_a_resume_is_possible_only_where_something_is_held_locked_or_disarmed(
    state: State, armed: bool, was_rolled_back: bool, changes: bool
) -> None:
    assert control.to_resume(state, armed, was_rolled_back) is changes
    outcome = control.resume(state, ask("a cause that is long"), armed, was_rolled_back)
    assert isinstance(outcome, Decision) is changes
    if isinstance(outcome, Refusal):
        assert outcome.code == "nothing_to_resume"


@pytest.mark.parametrize(
    ("reason", "cooldown_until", "code", "words"),
    [
        ("1234567", None, "cause_missing", "8 characters"),
        ("  123456  ", None, "cause_missing", ""),
        ("12345678", None, "", ""),
        ("12345678", NOW, "", ""),
        ("12345678", NOW + 1, "cooldown", "another 1s"),
        ("12345678", NOW + 61, "cooldown", "another 1m 1s"),
        ("12345678", NOW + 3600, "cooldown", "another 1h."),
    ],
)
def test_a_lock_opens_with_a_cause_of_8_characters_and_after_the_cool_down(
    reason: str, cooldown_until: float | None, code: str, words: str
) -> None:
    state = at_stage(1, locked="error_high fired", cooldown_until=cooldown_until)
    outcome = control.resume(state, ask(reason))
    assert isinstance(outcome, Refusal) is bool(code)
    if isinstance(outcome, Refusal):
        assert outcome.code == code
        assert words in outcome.sentence


def test_what_keeps_a_ceiling_down_is_named() -> None:
    def refused(**changes: str) -> str:
        return sentence(control.set_ceiling(at_stage(2, ceiling_bp=100, **changes), ask(), 200, 7, ""))

    assert "held by bo" in refused(held="bo")
    assert "error_high fired" in refused(held="bo", locked="error_high fired")


def test_a_running_rollout_has_nothing_to_resume() -> None:
    assert isinstance(control.resume(at_stage(2), ask()), Refusal)


def test_a_hold_is_released_without_a_cause_and_during_a_cool_down() -> None:
    assert isinstance(control.resume(at_stage(2, held="bo", cooldown_until=NOW + 60), ask()), Decision)


@pytest.mark.parametrize(
    ("uids", "people"),
    [((), 0), ((0,), 1), ((1000,), 1), ((0, 1000), 1), ((1000, 1001), 2), ((0, 1000, 1001), 2), ((1, 2), 2)],
)
def test_root_may_be_any_of_those_who_approved(uids: tuple[int, ...], people: int) -> None:
    assert control.people(at_stage(2, approvers=uids, approvals=tuple(map(str, uids)))) == people


@pytest.mark.parametrize(
    ("by", "actor", "taken", "words"),
    [
        ((), ALICE, True, "approved the step to Limited Rollout, 25 %"),
        ((), ROOT, True, ""),
        ((ALICE,), BO, True, ""),
        ((ROOT,), ALICE, True, ""),
        ((ALICE,), ALICE, False, "alice has approved this step already; another"),
        ((ALICE,), Actor("al", 1000), False, "(as alice: the same uid 1000)"),
        ((ALICE, BO), Actor("b", 1001), False, "(as bo: the same uid 1001)"),
        ((ALICE,), Actor("bo", 1001, login=1000), False, "(as alice: the same login, uid 1000)"),
        ((Actor("bo", 1001, login=1000),), ALICE, False, "(as bo: the same uid 1000)"),
        ((ALICE,), ROOT, False, "may be alice again"),
        ((ALICE,), Actor("root", 0, login=1001), True, ""),  # by sudo, and the kernel knows whose
        ((ROOT,), ROOT, False, "approved this step already"),
    ],
)
def test_each_login_approves_once_and_root_only_first(
    by: tuple[Actor, ...], actor: Actor, taken: bool, words: str
) -> None:
    state = at_stage(2, approvers=tuple(a.person for a in by), approvals=tuple(a.name for a in by))
    outcome = control.approve(PLAN, state, ask(actor=actor))
    assert isinstance(outcome, Decision) is taken
    assert words in outcome.sentence
    if isinstance(outcome, Decision):
        assert outcome.approval == actor.name
