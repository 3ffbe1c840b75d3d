"""The state machine's rules, one test per rule, and its promises as properties over every sequence of requests."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from msgspec.structs import replace

from engine.plan.load import default_plan_text, parse_plan
from engine.plan.model import Action
from engine.rollout import control
from engine.rollout.control import Promotion
from engine.rollout.state import ENGINE, UP, Actor, Ask, Decision, Refusal, State, replay, transition, unlawful
from engine.routing import buckets as routing

PLAN = parse_plan(default_plan_text())
ALICE = Actor("alice", 1000)
BO = Actor("bo", 1001)


def ask(reason: str = "", actor: Actor = ALICE, at: float = 1000.0, request_id: str = "r") -> Ask:
    return Ask(actor, at, request_id, reason)


def at_stage(stage: int, **changes: object) -> State:
    percent = PLAN.stages[stage].percent_bp if stage < len(PLAN.stages) else 10_000
    return State(**{"stage": stage, "percent_bp": percent, "epoch": 7, "rev": 20, **changes})  # type: ignore[arg-type]


def promote(state: State, epoch: int | None = None, missing: tuple[str, ...] = ()) -> Decision | Refusal:
    seen = state.epoch if epoch is None else epoch
    return control.promote(PLAN, state, Promotion(ask(), seen), missing, by="bo held promotion")


def test_promotion_goes_one_stage_up() -> None:
    decision = promote(at_stage(1))
    assert isinstance(decision, Decision)
    assert (decision.stage, decision.percent_bp) == (2, 1000)


def test_promotion_with_a_stale_epoch_is_refused_and_explains_what_happened() -> None:
    refusal = promote(at_stage(2), epoch=6)
    assert isinstance(refusal, Refusal)
    assert "bo held promotion" in refusal.sentence


def test_promotion_through_a_shut_gate_names_what_is_missing() -> None:
    refusal = promote(at_stage(2), missing=("bake: 1d 4h left",))
    assert isinstance(refusal, Refusal)
    assert "bake: 1d 4h left" in refusal.sentence


def test_an_override_needs_a_typed_reason_and_is_marked() -> None:
    state = at_stage(2)
    short = control.promote(PLAN, state, Promotion(ask("ok"), 7, override=True), ("bake",))
    assert isinstance(short, Refusal)
    done = control.promote(PLAN, state, Promotion(ask("the customer waits for it"), 7, override=True), ("bake",))
    assert isinstance(done, Decision)
    assert done.override
    assert done.evidence == {"missing": ["bake"]}


def test_an_override_never_passes_a_block() -> None:
    wanted = Promotion(ask("the customer waits"), 7, override=True)
    refusal = control.promote(PLAN, at_stage(2), wanted, blocked=("quiet hours until 07:00",))
    assert isinstance(refusal, Refusal)


def test_the_last_gate_leads_to_stable_at_the_same_percentage() -> None:
    decision = promote(at_stage(PLAN.last_stage))
    assert isinstance(decision, Decision)
    assert (decision.stage, decision.percent_bp) == (PLAN.stable, 10_000)
    assert isinstance(promote(at_stage(PLAN.stable)), Refusal)


def test_a_reduced_percentage_is_promoted_to_the_stage_s_own_first() -> None:
    decision = promote(at_stage(4, percent_bp=2500))
    assert isinstance(decision, Decision)
    assert (decision.stage, decision.percent_bp) == (4, 5000)


def test_rollback_lands_where_the_way_up_passes_every_gate_again() -> None:
    decision = control.roll_back(PLAN, at_stage(4), ask("search is broken"))
    assert (decision.stage, decision.percent_bp) == (1, 0)
    assert control.roll_back(PLAN, at_stage(0), ask()).stage == 0


def test_rollback_to_a_stage_never_raises() -> None:
    reduced = at_stage(4, percent_bp=500)
    decision = control.roll_back(PLAN, reduced, ask(), to_stage=3)
    assert (decision.stage, decision.percent_bp) == (3, 500)
    above = control.roll_back(PLAN, at_stage(2), ask(), to_stage=4)
    assert above.percent_bp == 0


def test_a_manual_rollback_can_be_undone_within_60_s() -> None:
    state = transition(at_stage(3), control.roll_back(PLAN, at_stage(3), ask(at=1000.0)))
    back = control.undo_rollback(PLAN, state, ask(at=1059.0), state.epoch, "")
    assert isinstance(back, Decision)
    assert (back.stage, back.percent_bp) == (3, 2500)
    assert isinstance(control.undo_rollback(PLAN, state, ask(at=1061.0), state.epoch, ""), Refusal)


def test_a_rollback_that_was_taken_back_is_not_the_last_one_any_more() -> None:
    state = replace(at_stage(3), rev=9, last_rev=4)
    state = transition(state, control.roll_back(PLAN, state, ask(at=1000.0)))
    assert state.last_rev == 10
    back = control.undo_rollback(PLAN, state, ask(at=1010.0), state.epoch, "")
    assert isinstance(back, Decision)
    assert transition(state, back).last_rev == 4


def test_in_a_time_lapse_an_undo_lasts_a_persons_minute() -> None:
    fast = replace(ask(at=1000.0), pace=60.0)
    state = transition(at_stage(2), control.roll_back(PLAN, at_stage(2), fast))
    assert isinstance(control.undo_rollback(PLAN, state, ask(at=1000.0 + 59 * 60), state.epoch, ""), Decision)
    assert isinstance(control.undo_rollback(PLAN, state, ask(at=1000.0 + 61 * 60), state.epoch, ""), Refusal)


def test_a_second_rollback_does_not_spoil_the_undo_of_the_first() -> None:
    state = transition(at_stage(3), control.roll_back(PLAN, at_stage(3), ask(at=1000.0)))
    state = transition(state, control.roll_back(PLAN, state, ask(at=1002.0)))
    assert isinstance(control.undo_rollback(PLAN, state, ask(at=1010.0), state.epoch, ""), Decision)


def test_a_rollback_by_a_trigger_cannot_be_taken_back() -> None:
    acted = control.act(PLAN, at_stage(3), Action.to_zero, ask("error_critical", ENGINE), "6 % over 5 %", {})
    assert acted is not None
    assert isinstance(control.undo_rollback(PLAN, transition(at_stage(3), acted), ask(at=1001.0), 0, ""), Refusal)


@pytest.mark.parametrize(
    ("stage", "percent_bp", "action", "expected"),
    [
        (4, 5000, Action.to_zero, (1, 0)),
        (4, 5000, Action.previous_stage, (3, 2500)),
        (2, 1000, Action.previous_stage, (1, 0)),
        (4, 5000, Action.halve, (4, 2500)),
        (2, 1000, Action.halve, (2, 500)),
        (3, 2500, Action.halve, (3, 1250)),
        (4, 2500, Action.previous_stage, (2, 1000)),  # the nearest that is lower: it is a rollback
        (4, 1000, Action.previous_stage, (1, 0)),
        (PLAN.stable, 10_000, Action.previous_stage, (4, 5000)),
    ],
)
def test_what_each_action_leads_to(stage: int, percent_bp: int, action: Action, expected: tuple[int, int]) -> None:
    assert control.resulting(PLAN, at_stage(stage, percent_bp=percent_bp), action) == expected


def test_a_pause_holds_and_moves_nothing() -> None:
    decision = control.act(PLAN, at_stage(3), Action.pause, ask("complaints", ENGINE), "6 complaints", {})
    assert decision is not None
    after = transition(at_stage(3), decision)
    assert (after.percent_bp, after.stage, after.epoch) == (2500, 3, 7)
    assert "6 complaints" in after.held


def test_after_an_automatic_rollback_the_way_up_opens_only_with_a_cause_and_after_the_cool_down() -> None:
    acted = control.act(PLAN, at_stage(3), Action.to_zero, ask("error_critical", ENGINE, at=1000.0), "6 %", {})
    assert acted is not None
    state = transition(at_stage(3), acted)
    assert isinstance(control.resume(state, ask("", at=9999.0)), Refusal)
    assert isinstance(control.resume(state, ask("ollama-2 was out of memory", at=1100.0)), Refusal)
    done = control.resume(state, ask("ollama-2 was out of memory", at=1000.0 + 1800))
    assert isinstance(done, Decision)
    assert not transition(state, done).locked


def test_after_a_rollback_a_person_restores_the_armed_file_where_manual_calls_are_made() -> None:
    assert isinstance(control.resume(at_stage(1), ask(), armed=True), Refusal)
    assert isinstance(control.resume(at_stage(1), ask(), armed=False), Decision)
    assert isinstance(control.resume(at_stage(0), ask(), armed=False), Refusal)
    assert isinstance(control.resume(at_stage(0), ask(), armed=False, rolled_back=True), Decision)
    refused = control.resume(at_stage(0), ask(), armed=False, rolled_back=False)
    assert isinstance(refused, Refusal)
    assert refused.code == "nothing_to_resume"


def test_no_one_approves_twice() -> None:
    first = control.approve(PLAN, at_stage(3), ask())
    assert isinstance(first, Decision)
    state = transition(at_stage(3), first)
    assert isinstance(control.approve(PLAN, state, ask()), Refusal)
    assert isinstance(control.approve(PLAN, state, ask(actor=BO)), Decision)


def test_approvals_are_spent_by_the_step_they_were_for() -> None:
    approved = transition(at_stage(2), control.approve(PLAN, at_stage(2), ask()))  # type: ignore[arg-type]
    risen = promote(approved)
    assert isinstance(risen, Decision)
    assert transition(approved, risen).approvals == ()


def test_the_engine_cannot_raise_the_percentage() -> None:
    rising = Decision("promote", ENGINE, "", 3, 2500, 0.0, "r", "automatically")
    assert unlawful(at_stage(2), rising) is not None
    noted = Decision("hold", ALICE, "", 3, 2500, 0.0, "r", "in passing")
    assert unlawful(at_stage(2), noted) is not None


class Requests(RuleBasedStateMachine):
    """Two people and the engine send any requests in any order, at any time, with any epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.state = State()
        self.log: list[Decision] = []
        self.now = 0.0

    def _take(self, result: Decision | Refusal | None) -> None:
        if not isinstance(result, Decision):
            return
        before = self.state
        assert unlawful(before, result) is None
        after = transition(before, result)
        if after.percent_bp > before.percent_bp:
            assert result.kind in UP
            assert result.actor.kind == "person"
        if result.kind == "rollback":
            assert after.percent_bp <= before.percent_bp
            assert after.epoch == before.epoch + 1
        self.log.append(result)
        self.state = after

    @rule(seconds=st.floats(0, 5000))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule(who=st.sampled_from([ALICE, BO]), late=st.integers(0, 3), missing=st.booleans(), override=st.booleans())
    def promote(self, who: Actor, late: int, missing: bool, override: bool) -> None:
        request = ask("a reason long enough", who, self.now, f"{len(self.log)}")
        epoch = self.state.epoch - late
        blocked = tuple(filter(None, (self.state.held, self.state.locked)))
        wanted = Promotion(request, epoch, override)
        result = control.promote(PLAN, self.state, wanted, ("x",) if missing else (), blocked)
        if late or blocked or (missing and not override):
            assert isinstance(result, Refusal)
        self._take(result)

    @rule(who=st.sampled_from([ALICE, BO]), to=st.none() | st.integers(0, 6))
    def roll_back(self, who: Actor, to: int | None) -> None:
        result = control.roll_back(PLAN, self.state, ask("", who, self.now), to)
        assert result.percent_bp <= self.state.percent_bp
        if to is None:
            assert result.percent_bp == 0
        self._take(result)

    @rule(action=st.sampled_from(list(Action)))
    def trigger(self, action: Action) -> None:
        self._take(control.act(PLAN, self.state, action, ask("rule", ENGINE, self.now), "why", {}))

    @rule(who=st.sampled_from([ALICE, BO]), cause=st.sampled_from(["", "the cause, in words"]))
    def resume(self, who: Actor, cause: str) -> None:
        self._take(control.resume(self.state, ask(cause, who, self.now)))

    @rule(who=st.sampled_from([ALICE, BO]))
    def others(self, who: Actor) -> None:
        self._take(control.hold(self.state, ask("", who, self.now)))
        self._take(control.approve(PLAN, self.state, ask("", who, self.now)))

    @rule(who=st.sampled_from([ALICE, BO]))
    def undo(self, who: Actor) -> None:
        self._take(control.undo_rollback(PLAN, self.state, ask("", who, self.now), self.state.epoch, ""))

    @invariant()
    def replay_gives_the_state(self) -> None:
        assert replay(self.log) == self.state

    @invariant()
    def percentage_and_stage_stay_in_the_plan(self) -> None:
        assert 0 <= self.state.percent_bp <= 10_000
        assert 0 <= self.state.stage <= PLAN.stable
        limit = PLAN.stages[min(self.state.stage, PLAN.last_stage)].percent_bp
        assert self.state.percent_bp <= limit


TestRequests = Requests.TestCase
TestRequests.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


@given(st.text(), st.integers(0, 10_000), st.integers(0, 10_000))
def test_growing_never_moves_a_document_out_of_the_llm_arm(document: str, one: int, other: int) -> None:
    low, high = sorted((one, other))
    if routing.arm("salt", document, low) == "treatment":
        assert routing.arm("salt", document, high) == "treatment"


def test_the_hash_is_the_published_one() -> None:
    buckets = [routing.bucket("keyword-extraction", name) for name in ("a", "b", "docs/readme.md")]
    assert buckets == [3466, 1649, 3180]


def test_a_rollback_to_a_stage_that_is_not_below_goes_to_zero_and_explains_why() -> None:
    for to_stage, why in (
        (9, "there is no stage 9"),
        (-1, "there is no stage -1"),
        (4, "stage 4 is not below stage 3"),
    ):
        decision = control.roll_back(PLAN, State(stage=3, percent_bp=2500), ask(), to_stage)
        assert decision.percent_bp == 0
        assert why in decision.sentence
    assert "no stage" not in control.roll_back(PLAN, State(stage=3, percent_bp=2500), ask(), 2).sentence


def test_the_promotion_to_a_stage_with_shadow_names_its_share() -> None:
    made = control.promote(PLAN, State(), Promotion(ask(), 0))
    assert isinstance(made, Decision)
    assert "promoted to stage 1" in made.sentence
    assert "0 % (shadow 100 %)" in made.sentence
