"""The inbox: what only a person can do, most urgent first; nothing that merely takes time or documents."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from engine.rollout.state import State
from engine.view import inbox
from engine.view.inbox import InboxFacts
from engine.view.model import GateView, ItemView, ReminderView
from tests.engine.triggers.attempt_timeline import PLAN

NONE = InboxFacts()
CANARY = State(stage=2, percent_bp=1000)
SHUT = GateView(
    False, 3, "Limited Rollout", 2500, "", ("Error rate < 1%: 120 more documents", "bake: 1d left of 2d"), (), (), 172_800.0,
    86_400.0, 1, (), (), 1, 3,
)  # fmt: skip


def item(id: str, state: str = "open", kind: str = "manual", **more: bool) -> ItemView:
    return ItemView(id, id, kind, state, "", None, "", "", more.pop("required", True), **more)  # type: ignore[arg-type]


def kinds(state: State = CANARY, gate: GateView = SHUT, facts: InboxFacts = NONE, **more: object) -> list[str]:
    return [task.kind for task in inbox.tasks(state, PLAN, gate, more.get("reminders", ()), facts)]  # type: ignore[arg-type]


def test_documents_and_bake_wait_for_no_person() -> None:
    assert kinds() == []


def test_a_lock_states_from_when_it_can_be_resumed() -> None:
    locked = replace(CANARY, locked="error_critical fired", cooldown_until=500.0)
    (task,) = inbox.tasks(locked, PLAN, SHUT, (), InboxFacts())
    assert (task.kind, task.screen, task.not_before) == ("resume", "gate", 500.0)
    assert "error_critical fired" in task.sentence


@pytest.mark.parametrize(
    ("facts", "sentence"),
    [
        (InboxFacts(held_by="error_creep"), "release hold by error_creep"),
        (InboxFacts(held_by="bo", held_why="wait"), "release bo's hold: wait"),
        (InboxFacts(), "release the hold: bo: wait"),
    ],
)
def test_a_hold_names_who_holds(facts: InboxFacts, sentence: str) -> None:
    (task,) = inbox.tasks(replace(CANARY, held="bo: wait"), PLAN, SHUT, (), facts)
    assert task.sentence == sentence


def test_the_most_pressing_comes_first() -> None:
    facts = InboxFacts(
        blind="blind for 2m", problems=("the disk is full",), unexplained=7, complaints=2, complained_at=5.0, to_review=8,
        review_of=20, rules_unproven=True, messages=(("weekly", "weekly"), ("daily", "daily")), plan_changed="rollout.toml changed",
        misplaced="two stages fit",
    )  # fmt: skip
    state = replace(CANARY, locked="error_critical fired", held="bo: wait")
    gate = replace(SHUT, items=(item("a"), item("b", "done")), approvals_needed=2, approvals=("bo",))
    reminders = (ReminderView("r", "look", 1.0, True), ReminderView("later", "look", 9.0, False))
    assert kinds(state, gate, facts, reminders=reminders) == [
        "adopt", "blind", "problem", "plan", "resume", "release", "reason", "complaint", "monitoring", "item", "approve", "review",
        "backtest", "message", "message",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("of", "verb"),
    [
        (item("x"), "sign: "),
        (item("x", kind="backup"), "check: "),
        (item("x", "failed", "backup"), "failed: "),
        (item("x", lapsed=True), "sign again: "),
    ],
)
def test_an_item_explains_what_to_do_with_it(of: ItemView, verb: str) -> None:
    (task,) = inbox.tasks(CANARY, PLAN, replace(SHUT, items=(of,)), (), InboxFacts())
    assert task.sentence == verb + "x"
    assert task.id == "x"


def test_an_item_that_holds_no_gate_waits_only_after_the_rollout() -> None:
    gate = replace(SHUT, items=(item("x", required=False),))
    assert kinds(gate=gate) == []
    assert kinds(State(stage=PLAN.stable, percent_bp=10_000), gate) == ["item"]


def test_an_open_gate_waits_for_a_promotion() -> None:
    (task,) = inbox.tasks(CANARY, PLAN, replace(SHUT, open=True, missing=()), (), InboxFacts())
    assert task.kind == "promote"
    assert "Limited Rollout, 25 %" in task.sentence
