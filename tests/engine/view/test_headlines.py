"""The headline at 80 columns: what is wrong, by how much, what the system does and when, in the first 45 characters."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from engine.measures.bucket import Bucket
from engine.rollout.state import State, Undo
from engine.triggers.measurement import Ok
from engine.view import fields, gauge, headlines, next_steps
from engine.view.headlines import Situation
from engine.view.model import ConditionView, GateView, ItemView, TriggerView
from tests.engine.triggers.attempt_timeline import PLAN, Scene

ROOM = 45  # what 80 columns leave beside stage, percentage and the word


def views(scene: Scene) -> tuple[TriggerView, ...]:
    assert scene.last is not None
    rules = {rule.id: rule for rule in PLAN.triggers}
    return tuple(
        TriggerView(
            r.id, rules[r.id].text, str(rules[r.id].action), str(rules[r.id].severity), r.verdict, r.value, r.threshold,
            r.n, r.k, r.held_s, r.for_s, r.rule, r.sentence, r.resets_when, r.fires_in_s, rules[r.id].timeline_s, r.headline,
            r.evidence, False, r.acts_by,
        )
        for r in scene.last.readings
    )  # fmt: skip


def headline(scene: Scene, state: State | None = None, **more: str) -> tuple[str, str]:
    health, sentence = headlines.health(
        Situation(state or State(stage=4, percent_bp=5000), 1000.0, views(scene), 100, **more)  # type: ignore[arg-type]
    )
    word = {"alert": "ALERT: ", "watch": "WATCH: ", "blind": "BLIND: ", "rolled_back": "ROLLED BACK: "}[health]
    assert sentence.startswith(word)
    return health, sentence.removeprefix(word)


@pytest.mark.parametrize(
    ("service", "seconds", "health", "begins"),
    [
        ({"failing": 0.2, "per_min": 30}, 200, "alert", "errors 20 % over 5 %, rolls back in "),
        ({"failing": 0.04}, 560, "alert", "errors 3.93 % over 3 %, stage back in "),
        ({"ms": 4120.0}, 110, "alert", "latency 4.12 s over 3 s, stage back in "),
        ({"ms": 2310.0}, 300, "watch", "latency 2.31 s over 2 s, halves in "),
    ],
)
def test_what_matters_comes_first(service: dict[str, float], seconds: float, health: str, begins: str) -> None:
    result, sentence = headline(Scene().run(seconds, **service))  # type: ignore[arg-type]
    assert result == health
    assert sentence.startswith(begins)
    assert len(begins) + len("9:59") <= ROOM
    assert sentence.endswith(")")  # the evidence follows, where there is room


def test_a_service_whose_documents_are_refused_is_not_healthy() -> None:
    """Its figures are of before: they stay good while every document gets 503."""
    scene = Scene().run(300)
    assert headlines.health(Situation(State(stage=4, percent_bp=5000), 1000.0, views(scene), 100))[0] == "ok"
    for percent_bp in (5000, 0):
        shown = headline(scene, State(stage=4, percent_bp=percent_bp), refusing="the store's disk is full")
        assert shown == ("alert", "documents get 503: the store's disk is full")


def test_a_rollback_is_a_fact_whatever_is_more_urgent_to_read() -> None:
    """Scripts wait for it, while the headline may have a full disk or a changed plan to report."""
    rolled = State(stage=1, rev=9, last_rev=9, undo=Undo(2, 1000, 1060.0))
    assert headlines.health(Situation(rolled, 1000.0, refusing="the store's disk is full"))[0] == "alert"
    assert headlines.health(Situation(rolled, 1000.0, misplaced="stage 2 is gone"))[0] == "held"
    assert fields.of_state(rolled)["rolled_back"]
    assert fields.of_state(State(stage=1, rev=9, locked="error_critical fired"))["rolled_back"]
    for other in (State(stage=1, rev=9), replace(rolled, percent_bp=1000), replace(rolled, undo=None, rev=10)):
        assert not fields.of_state(other)["rolled_back"]


def test_an_unavailable_service_is_reported_in_two_words() -> None:
    scene = Scene().run(120, per_min=10)
    scene.failed_probes = 3
    scene.run(30, per_min=0)
    assert headline(scene)[1].startswith("LLM unavailable, rolls back in 0:4")


def test_complaints_hold_promotion() -> None:
    scene = Scene().run(120)
    scene.samples = {"complaints": Ok(6.0, 6)}
    scene.evaluate()
    held = State(stage=4, percent_bp=5000, held="complaints: 6 complaints in this stage, over 5")
    assert headline(scene, held)[1].startswith("6 complaints, over 5, promotion held")
    assert headline(scene)[1] == "6 complaints, over 5 (in this stage)"  # a person has released the hold


def test_a_rollback_states_who_and_how_long_the_way_up_is_locked() -> None:
    state = State(stage=1, percent_bp=0, locked="error_critical fired: 6 % over 5 %", cooldown_until=2717.0)
    assert (
        headline(Scene().run(60), state, locked_by="error_critical")[1] == "error_critical fired; locked for 28:37 more"
    )
    later = State(stage=1, percent_bp=0, locked="error_critical fired: 6 % over 5 %", cooldown_until=900.0)
    assert (
        headline(Scene().run(60), later, locked_by="error_critical")[1]
        == "error_critical fired; resume needs the cause"
    )


def test_blindness_states_when_it_steps_down() -> None:
    scene = Scene().run(200)
    scene.unseen = "no LLM documents for 40 s"
    scene.run(300, per_min=0)
    assert scene.last is not None
    assert headline(scene, blind=scene.last.blind_detail)[1].startswith(
        "no LLM documents for 40 s; one stage back in 25:00"
    )


def test_at_zero_percent_nothing_alarms() -> None:
    scene = Scene().run(120, per_min=10)
    scene.failed_probes = 3
    scene.run(30, per_min=0)
    health, sentence = headlines.health(Situation(State(stage=1), 1000.0, views(scene)))
    assert (health, sentence) == ("idle", "IDLE at 0 %; LLM unavailable")


def test_at_zero_percent_documents_that_went_to_the_llm_on_request_are_not_denied() -> None:
    internal = State(stage=1)
    pressed = State(stage=1, rev=9, last_rev=7, undo=Undo(stage=2, percent_bp=1000, until=500.0))
    for state in (internal, pressed):
        assert headlines.health(Situation(state, 1000.0))[1].endswith("every document gets frequency keywords")
        assert headlines.health(Situation(state, 1000.0, documents=5))[1].endswith("0 %: 5 documents by LLM on request")


def test_a_percentage_that_is_capped_is_watched_and_0_percent_against_a_decision_is_an_alert() -> None:
    state, why = State(stage=2, percent_bp=1000), "the engine was started with a ceiling"
    capped = Situation(state, 1000.0, documents=100, effective_bp=500, why_effective=why)
    assert headlines.health(capped) == ("watch", f"WATCH: 5 % in force, 10 % decided: {why}")
    assert headlines.health(replace(capped, effective_bp=0))[0] == "alert"


def test_a_manual_rollback_stays_in_the_header_after_other_decisions() -> None:
    state = State(stage=1, rev=9, last_rev=7, undo=Undo(stage=2, percent_bp=1000, until=500.0))
    assert headlines.health(Situation(state, 1000.0))[0] == "rolled_back"
    held = headlines.health(Situation(replace(state, held="ada"), 1000.0))
    assert held == ("rolled_back", "ROLLED BACK to 0 %, held by ada")


def test_healthy_promises_no_more_than_was_measured() -> None:
    state = State(stage=2, percent_bp=1000)
    few, many = Bucket(attempts=3, lookups=3, fresh=3, ms_sum=150.0), Bucket(attempts=90, fresh=90, ms_sum=4500.0)

    def output(bucket: Bucket) -> str:
        targets = {"error_rate": 0.01, "latency_mean": 2000.0, "cache_hit_rate": 0.2}
        gauges = gauge.gauges(bucket, targets, 300.0)
        situation = Situation(state, 1000.0, documents=bucket.attempts, gauges=gauges, effective_bp=1000)
        return headlines.health(situation)[1]

    assert output(few) == "HEALTHY so far: 3 LLM documents in 5 minutes"
    assert output(many) == "HEALTHY: every metric with enough data is within its target"
    assert output(replace(many, lookups=90, hits=60)) == "HEALTHY: every metric is within its target"


def test_a_trigger_that_only_asks_for_a_look_is_in_the_headline_when_its_time_is_over() -> None:
    """A cache that fills misses each document once; for six hours there is nothing to find."""
    scene = Scene().run(600, hits=0.0)
    low = next(trigger for trigger in views(scene) if trigger.id == "cache_low")
    assert (low.verdict, low.action) == ("breach", "investigate")
    state = State(stage=4, percent_bp=5000)
    for left, health in ((low.fires_in_s, "ok"), (0.0, "watch")):
        now = Situation(state, 1000.0, (replace(low, fires_in_s=left),), 100, effective_bp=5000)
        assert headlines.health(now)[0] == health


def test_a_cache_that_fills_is_not_held_against_its_target() -> None:
    cold, warm = Bucket(lookups=90, hits=3), Bucket(lookups=90, hits=60)
    state = State(stage=2, percent_bp=1000, changed_at=1000.0)
    fills, full = gauge.is_filling(PLAN, state, 1000.0 + 3600), gauge.is_filling(PLAN, state, 1000.0 + 6 * 3600)
    assert (fills, full) == (True, False)
    for bucket, filling, ok in ((cold, True, None), (cold, False, False), (warm, True, True)):
        assert gauge.gauges(bucket, {"cache_hit_rate": 0.2}, 300.0, "", filling)[2].ok is ok


def test_after_an_automatic_rollback_the_lock_comes_next_and_not_a_bake() -> None:
    gate = GateView(False, 2, "Canary", 1000, "", (), (), (), 86_400.0, 0.0, 1, (), (), 0, 1)
    state = State(stage=1, percent_bp=0, locked="error_critical fired: errors", cooldown_until=2798.0)
    assert next_steps.what_next(state, (), gate, "", None, 1000.0)[0] == "locked 29:58, then e (resume)"
    assert next_steps.what_next(state, (), gate, "", None, 3000.0)[0] == "locked until e (resume) with the cause"
    assert not any("bake" in line for line in next_steps.what_next(state, (), gate, "", None, 1000.0))


def test_an_open_gate_comes_next_and_a_shut_one_names_what_it_waits_for() -> None:
    state = State(stage=2, percent_bp=1000)
    gate = GateView(True, 3, "Limited", 2500, "", (), (), (), 86_400.0, 86_400.0, 1, (), (), 1, 1)
    assert next_steps.what_next(state, (), gate, "", None, 0.0)[0] == "gate open: a person decides (2, p)"
    item = ItemView("a", "a", "manual", "open", "", None, "", "", True)
    open_ = ConditionView("q", "No quality issues", None, None, 0, None, "", "", "nothing yet", None, "quality_score")
    shut = replace(gate, open=False, conditions=(open_,), items=(item, replace(item, state="done")))
    assert next_steps.what_next(state, (), shut, "", None, 0.0)[0] == "gate waits for 1 condition, 1 item (2)"
    stable = replace(shut, total=0)  # what is left to do then is on no gate
    assert next_steps.what_next(state, (), stable, "", None, 0.0) == ("stays 10 %; triggers keep watching",)
    assert next_steps.what_next(State(), (), stable, "", None, 0.0) == ("nothing until a person acts",)
    held = replace(shut, blocked=("held by bo",))
    assert not any("waits" in line for line in next_steps.what_next(state, (), held, "", None, 0.0))


def test_past_the_last_stage_an_open_gate_is_to_declare_it_stable() -> None:
    gate = GateView(True, PLAN.stable, "stable", 10_000, "", (), (), (), 1.0, 1.0, 1, (), (), 1, 1)
    assert next_steps.open_gate(PLAN, gate) == "the gate is open: declare it stable at 100 %"
    next_ = replace(gate, next_stage=2, next_name="Canary Rollout", next_percent_bp=1000)
    assert next_steps.open_gate(PLAN, next_) == "the gate is open: promote to Canary Rollout, 10 %"
    assert next_steps.open_gate(PLAN, replace(next_, returns=True)).startswith("the gate is open: return to")


def test_what_may_act_once_confirmed_comes_before_what_acts_in_hours() -> None:
    def breach(name: str, action: str, left: float | None) -> TriggerView:
        return TriggerView(name, "", action, "high", "breach", 0.1, 0.05, 20, 2, 0.0, 60.0, "", "", "", left)

    gate = GateView(False, 2, "Canary", 1000, "", (), (), (), 0.0, 0.0, 1, (), (), 0, 1)
    breaches = (breach("cache", "investigate", 9000.0), breach("errors", "previous_stage", None))
    lines = next_steps.what_next(State(stage=2, percent_bp=1000), breaches, gate, "", None, 0.0)
    assert lines[:2] == ("one stage back if confirmed: errors", "needs a look in 2:30:00: cache")
