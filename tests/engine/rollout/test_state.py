"""What a decision makes of a state, field by field; and what a corrected clock leaves of its moments."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from engine.plan.pins import PinnedModel, Pins
from engine.rollout.state import ENGINE, UNDO_S, Actor, Decision, Refusal, State, Undo, transition, unlawful

ALICE = Actor("alice", 1000)
NOW = 5000.0
STATE = State(
    epoch=7, rev=20, stage=3, percent_bp=2500, entered_at=100.0, changed_at=200.0, held="bo", locked="error_high", cooldown_until=900.0,
    undo=Undo(4, 5000, 1060.0), approvals=("al",), approvers=(5,), last_rev=4, restart_rev=2, ceiling_bp=9000,
)  # fmt: skip


def decision(kind: str = "note", **changes: Any) -> Decision:
    given = {"stage": 3, "percent_bp": 2500, "at": NOW} | changes
    return Decision(
        kind,
        given.pop("actor", ALICE),
        "",
        given.pop("stage"),
        given.pop("percent_bp"),
        given.pop("at"),
        "r",
        "s",
        **given,
    )


def test_a_state_begins_with_nothing_decided_and_no_ceiling() -> None:
    new = State()
    assert (new.epoch, new.rev, new.stage, new.percent_bp, new.entered_at, new.changed_at) == (0, 0, 0, 0, 0.0, 0.0)
    assert (new.held, new.locked, new.last_rev, new.restart_rev, new.ceiling_bp) == ("", "", 0, 0, 10_000)
    assert not decision().override
    assert Actor("x").uid == -1
    assert [Actor("x", 1000, login=login).person for login in (-1, 0, 1, 1001)] == [1000, 0, 1, 1001]


def test_a_note_changes_nothing_but_the_number_of_decisions() -> None:
    assert transition(STATE, decision()) == replace(STATE, rev=21)


@pytest.mark.parametrize(
    ("changes", "entered_at", "changed_at", "epoch"),
    [
        ({}, 100.0, 200.0, 7),
        ({"stage": 4}, NOW, NOW, 8),
        ({"percent_bp": 1000}, 100.0, NOW, 8),
        ({"percent_bp": 9500}, 100.0, NOW, 8),
        ({"ceiling_bp": 1000}, 100.0, NOW, 8),  # less is in force
        ({"ceiling_bp": 8000}, 100.0, 200.0, 7),  # and here it is not
        ({"kind": "rollback"}, 100.0, NOW, 8),
        ({"kind": "trigger"}, 100.0, NOW, 8),
        ({"restarts": True}, NOW, NOW, 8),
        ({"stage": 4, "entered_at": 50.0, "changed_at": 60.0}, 50.0, 60.0, 8),
    ],
)
def test_a_step_begins_its_stage_and_its_evidence(
    changes: dict[str, Any], entered_at: float, changed_at: float, epoch: int
) -> None:
    after = transition(STATE, decision(**changes))
    assert (after.entered_at, after.changed_at, after.epoch) == (entered_at, changed_at, epoch)
    fresh = epoch == 8
    assert (after.approvals, after.approvers) == (((), ()) if fresh else (("al",), (5,)))
    assert after.undo == (None if fresh else STATE.undo)


def test_a_percentage_beyond_the_ceiling_changes_the_epoch_though_no_more_is_in_force() -> None:
    capped = replace(STATE, ceiling_bp=1000)
    after = transition(capped, decision(percent_bp=5000))
    assert after.in_force_bp == capped.in_force_bp == 1000
    assert after.epoch == 8


def test_an_approval_is_added_to_those_before_it() -> None:
    after = transition(STATE, decision("approve", approval="alice"))
    assert (after.approvals, after.approvers) == (("al", "alice"), (5, 1000))


def test_a_lock_takes_the_undo_with_it() -> None:
    assert transition(STATE, decision(locked="x")).undo is None
    assert transition(STATE, decision(locked="")).undo == STATE.undo


@pytest.mark.parametrize("kind", ["rollback", "trigger"])
def test_a_way_down_is_the_last_rollback_until_it_is_undone(kind: str) -> None:
    down = transition(STATE, decision(kind, percent_bp=0, undo=Undo(3, 2500, NOW + 60, last_rev=4)))
    assert down.last_rev == 21
    assert transition(down, decision("undo_rollback")).last_rev == 4
    assert transition(replace(down, undo=Undo(3, 2500, NOW)), decision("undo_rollback")).last_rev == 21
    assert transition(replace(down, undo=None), decision("undo_rollback")).last_rev == 21


@pytest.mark.parametrize(
    ("changes", "field", "expected"),
    [
        ({"held": ""}, "held", ""),
        ({"held": "al"}, "held", "al"),
        ({}, "held", "bo"),
        ({"locked": ""}, "locked", ""),
        ({}, "locked", "error_high"),
        ({"locked": "x", "cooldown_until": 7000.0}, "cooldown_until", 7000.0),
        ({"locked": ""}, "cooldown_until", None),
        ({"cooldown_until": 7000.0}, "cooldown_until", 900.0),
        ({"restarts": True}, "restart_rev", 21),
        ({}, "restart_rev", 2),
        ({"ceiling_bp": 0}, "ceiling_bp", 0),
        ({}, "ceiling_bp", 9000),
    ],
)
def test_a_decision_sets_what_it_names_and_keeps_the_rest(
    changes: dict[str, Any], field: str, expected: object
) -> None:
    assert getattr(transition(STATE, decision(**changes)), field) == expected


def test_pins_are_kept_until_a_decision_brings_others() -> None:
    one = Pins("d", "salt", "rules", (), PinnedModel("m", "2"))
    other = replace(one, salt="other")
    assert transition(STATE, decision(pins=one)).pins == one
    pinned = replace(STATE, pins=one)
    assert transition(pinned, decision()).pins == one
    assert transition(pinned, decision(pins=other)).pins == other


# -- a clock that was wrong --------------------------------------------------------------------------------------------

MOMENTS = replace(STATE, undo=Undo(4, 5000, 1060.0, None, 300.0, 400.0))


@pytest.mark.parametrize(
    ("by", "now", "until", "cooldown_until", "entered_at", "undo_entered_at"),
    [
        (-500.0, 150.0, 210.0, 400.0, 100.0, 150.0),
        (-900.0, 50.0, 110.0, 0.0, 50.0, 50.0),
        (100.0, 5000.0, 1160.0, 1000.0, 100.0, 300.0),
        (9000.0, 1000.0, 1060.0, 9900.0, 100.0, 300.0),
    ],
)
def test_after_a_correction_waits_last_as_long_and_nothing_begins_later_than_now(
    by: float, now: float, until: float, cooldown_until: float, entered_at: float, undo_entered_at: float
) -> None:
    after = transition(MOMENTS, decision("clock", clock_step_s=by, right_time=now))
    assert after.undo is not None
    assert after.undo.until == until
    assert after.undo.until <= now + UNDO_S
    assert after.cooldown_until == cooldown_until
    assert after.entered_at == entered_at
    assert after.changed_at == min(200.0, now)
    assert after.undo.entered_at == undo_entered_at
    assert after.undo.changed_at == min(400.0, now)


@pytest.mark.parametrize(("by", "back"), [(-50.0, -50.0), (50.0, 0.0)])
def test_in_an_older_log_a_clock_set_back_takes_the_beginnings_with_it(by: float, back: float) -> None:
    after = transition(MOMENTS, decision("clock", clock_step_s=by))
    assert after.undo is not None
    assert after.undo.until == 1060.0 + by
    assert after.cooldown_until == 900.0 + by
    assert (after.entered_at, after.changed_at) == (100.0 + back, 200.0 + back)


@pytest.mark.parametrize("changes", [{"clock_step_s": -50.0}, {"clock_step_s": -50.0, "right_time": 5000.0}])
def test_what_is_not_set_stays_so_when_the_clock_is_corrected(changes: dict[str, float]) -> None:
    bare = replace(STATE, undo=None, cooldown_until=None)
    after = transition(bare, decision("clock", **changes))
    assert (after.undo, after.cooldown_until) == (None, None)
    unknown = transition(replace(bare, undo=Undo(4, 5000, 1060.0)), decision("clock", **changes))
    assert unknown.undo is not None
    assert (unknown.undo.entered_at, unknown.undo.changed_at) == (None, None)


# -- the last check before the log -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "actor", "changes", "lawful"),
    [
        ("promote", ALICE, {"percent_bp": 5000}, True),
        ("undo_rollback", ALICE, {"percent_bp": 5000}, True),
        ("promote", ENGINE, {"percent_bp": 5000}, False),
        ("resume", ALICE, {"percent_bp": 5000}, False),
        ("trigger", ENGINE, {"percent_bp": 2501}, False),
        ("trigger", ENGINE, {"percent_bp": 2500}, True),
        ("trigger", ENGINE, {"percent_bp": 0}, True),
        ("ceiling", ALICE, {"ceiling_bp": 9001}, True),
        ("ceiling", ENGINE, {"ceiling_bp": 9001}, False),
        ("note", ALICE, {"ceiling_bp": 9001}, False),
        ("note", ENGINE, {"ceiling_bp": 9001}, False),
        ("start", ENGINE, {"ceiling_bp": 9000}, True),
        ("start", ENGINE, {"ceiling_bp": 100}, True),
        ("promote", ALICE, {"percent_bp": 5000, "ceiling_bp": 9001}, False),
    ],
)
def test_only_a_person_raises_and_only_by_a_kind_that_does(
    kind: str, actor: Actor, changes: dict[str, int], lawful: bool
) -> None:
    outcome = unlawful(STATE, decision(kind, actor=actor, **changes))
    assert (outcome is None) is lawful
    assert outcome is None or isinstance(outcome, Refusal)


@pytest.mark.parametrize(
    ("actor", "where"),
    [
        (Actor("al", ssh="10.0.0.7 5022 22", terminal="pts/1"), "pts/1, ssh 10.0.0.7"),
        (Actor("al", terminal="pts/1"), "pts/1"),
        (Actor("al", ssh="10.0.0.7 5022 22"), "ssh 10.0.0.7"),
        (Actor("al"), "this machine"),
        (ENGINE, "the engine"),
    ],
)
def test_where_someone_acted_from_is_named(actor: Actor, where: str) -> None:
    assert actor.where == where
