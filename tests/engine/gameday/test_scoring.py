"""Every scenario, played in the ways that matter, gets the points it should; and the pars are within reach."""

from __future__ import annotations

import importlib
import pkgutil
from itertools import pairwise

import pytest
from msgspec import structs

from console import screens
from console.screens.page import Page
from engine.gameday import scenario as scenarios
from engine.gameday.scenario import SPEED, Scenario
from engine.gameday.scoring import ACT, FINE, HARM, LOWERS_NOTHING, NOTICE, TIME, WRONG_MOVE, score
from engine.gameday.shift import Act, By, ScreenLook, Shift, Slice
from engine.rehearsal.faults import checked

TEN = [scenarios.load(name) for name in scenarios.names()]
WITH_FAULT = [one for one in TEN if one.right]
DOCUMENTS = 8  # in ten seconds


def played(
    scenario: Scenario,
    *acts: tuple[float, str, By],
    looks: tuple[float, ...] = (),
    spared_after_s: float = float("inf"),
    leaves_s: float | None = None,
) -> Shift:
    """A shift whose acts and looks are in the player's seconds after the fault can be seen; from `spared_after_s` on
    nothing is harmed."""
    seen = scenario.fault_after_s + scenario.visible_s

    def calendar(seconds: float) -> float:
        return seen + seconds * SPEED

    def share(at: float) -> float:
        since = at - scenario.fault_after_s
        if since < 0 or at >= calendar(spared_after_s):
            return 0.0
        return next((s.share for s in reversed(scenario.untouched) if s.after_s <= since), 0.0)

    ended = scenario.lasts_s if leaves_s is None else calendar(leaves_s)
    carry, slices = 0.0, []
    for place in range(int(ended / 10)):
        carry += share(place * 10.0) * DOCUMENTS
        whole = int(carry)
        carry -= whole
        slices.append(Slice(place * 10.0, 10.0, DOCUMENTS, whole))
    return Shift(
        0.0,
        ended,
        SPEED,
        tuple(Act(calendar(at), kind, by, lowers=kind in ("rollback", "trigger")) for at, kind, by in acts),
        tuple(ScreenLook(calendar(at), scenario.screens[0]) for at in looks),
        tuple(slices),
    )


def test_there_are_ten_and_their_data_hold_together() -> None:
    assert len(TEN) == 10
    assert sum(not one.right for one in TEN) == 1, "one is to be left alone"
    assert len({(one.minutes, one.stage) for one in TEN}) == 1, "the briefing would give the scenario away"
    for one in TEN:
        assert one.steps, one.name
        assert max(len(one.truth), len(one.best)) <= 140, f"{one.name}: two lines of the debrief at 80x24"
        assert all(a.after_s <= b.after_s for a, b in pairwise(one.steps)), one.name
        assert all(a.after_s < b.after_s for a, b in pairwise(one.untouched)), one.name
        assert not set(one.right) & set(one.wrong), one.name
        last = one.fault_after_s + max(step.after_s for step in one.steps)
        assert last < one.lasts_s, one.name
        # a person at par has acted well before the shift is over
        assert one.fault_after_s + one.visible_s + one.par.act_s * SPEED < one.lasts_s - 120, one.name
        for step in one.steps:
            if step.deed == "fault":
                checked(step.fault, step.value)


@pytest.mark.parametrize("one", WITH_FAULT, ids=lambda one: one.name)
def test_the_right_act_at_once_earns_everything(one: Scenario) -> None:
    made = score(one, played(one, (0.0, one.right[0], "player"), spared_after_s=0.0))
    assert (made.total, made.passed, made.right, made.wrong) == (100, True, True, ())
    assert made.noticed_s == made.acted_s == 0.0
    assert made.harmed <= made.best + 1


@pytest.mark.parametrize("one", WITH_FAULT, ids=lambda one: one.name)
def test_a_player_at_par_gets_the_par_and_passes(one: Scenario) -> None:
    shift = played(
        one, (one.par.act_s, one.right[0], "player"), looks=(one.par.notice_s,), spared_after_s=one.par.act_s
    )
    made = score(one, shift)
    assert made.passed
    assert made.par - 4 <= made.total <= made.par + 4


@pytest.mark.parametrize(
    ("one", "act"),
    [(one, act) for one in WITH_FAULT for act in one.right if act in LOWERS_NOTHING],
    ids=lambda value: value if isinstance(value, str) else value.name,
)
def test_a_right_act_that_lowers_nothing_has_a_par_within_reach(one: Scenario, act: str) -> None:
    made = score(one, played(one, (one.par.act_s, act, "player"), looks=(one.par.notice_s,)))
    assert made.passed
    assert made.total >= made.par == NOTICE + ACT + TIME
    assert "lowers nothing" in next(part for part in made.parts if part.name == "harm").sentence


@pytest.mark.parametrize("one", WITH_FAULT, ids=lambda one: one.name)
def test_a_person_who_reads_two_screens_first_is_within_par(one: Scenario) -> None:
    assert one.par.notice_s >= 6
    assert one.par.act_s >= 12


def test_a_fault_shows_on_screens_that_exist() -> None:
    for module in pkgutil.walk_packages(screens.__path__, "console.screens."):
        importlib.import_module(module.name)
    classes, titles = [Page], set()
    while classes:
        titles.add(classes[-1].TITLE)
        classes += classes.pop().__subclasses__()
    for one in TEN:
        assert set(one.screens) <= titles, one.name


@pytest.mark.parametrize("one", WITH_FAULT, ids=lambda one: one.name)
def test_a_player_who_never_looks_fails_and_gets_only_the_harm_part(one: Scenario) -> None:
    made = score(one, played(one))
    assert not made.passed
    assert made.total == 0
    assert made.harmed == made.untouched
    assert made.noticed_s is None
    assert made.acted_s is None


@pytest.mark.parametrize("one", WITH_FAULT, ids=lambda one: one.name)
def test_leaving_early_without_acting_gains_nothing(one: Scenario) -> None:
    stayed, left = score(one, played(one)), score(one, played(one, leaves_s=0.0))
    assert not left.passed
    assert left.total == 0
    assert left.harmed >= 0.9 * stayed.harmed


@pytest.mark.parametrize("one", [one for one in WITH_FAULT if one.fine], ids=lambda one: one.name)
def test_a_safe_act_that_is_not_the_best_earns_part_of_the_points_and_does_not_pass(one: Scenario) -> None:
    made = score(one, played(one, (0.0, one.fine[0], "player")))
    act = next(part for part in made.parts if part.name == "right act")
    assert act.points == FINE
    assert made.total <= NOTICE + FINE + TIME + HARM
    assert made.total < 60 or made.harmed < made.untouched


@pytest.mark.parametrize("one", WITH_FAULT, ids=lambda one: one.name)
@pytest.mark.parametrize("times", [2.0, 4.0, 8.0])
def test_acting_later_never_earns_more(one: Scenario, times: float) -> None:
    def at(seconds: float) -> int:
        return score(one, played(one, (seconds, one.right[0], "player"), spared_after_s=seconds)).total

    assert at(one.par.act_s) >= at(one.par.act_s * times)


@pytest.mark.parametrize("one", WITH_FAULT, ids=lambda one: one.name)
def test_a_wrong_move_costs_points_and_the_pass(one: Scenario) -> None:
    right: tuple[float, str, By] = (1.0, one.right[0], "player")
    good = score(one, played(one, right, spared_after_s=1.0))
    bad = score(one, played(one, (0.5, "promote", "player"), right, spared_after_s=1.0))
    assert bad.total <= good.total - WRONG_MOVE + 1
    assert bad.wrong == ("promote",)
    assert not bad.passed
    assert any(part.name == "wrong moves" for part in bad.parts)


@pytest.mark.parametrize("one", WITH_FAULT, ids=lambda one: one.name)
def test_a_rollback_before_anything_is_wrong_costs_points_and_the_pass(one: Scenario) -> None:
    hasty: tuple[float, str, By] = (-(one.fault_after_s + one.visible_s) / SPEED + 1.0, "rollback", "player")
    made = score(one, played(one, hasty, spared_after_s=hasty[0]))
    assert made.wrong == ("rollback",)
    assert not made.passed
    assert made.total < 60
    assert made.parts[-1].sentence == "Before anything was wrong you rolled back."
    assert "You did nothing" not in made.parts[1].sentence


def test_an_act_after_a_trigger_counts_if_it_was_still_needed() -> None:
    one = scenarios.load("quota")
    fired: tuple[float, str, By] = (5.0, "trigger", "trigger")
    late = score(one, played(one, fired, (20.0, "rollback", "player"), spared_after_s=5.0))
    assert not late.passed
    both = score(one, played(one, fired, (20.0, "rollback", "player"), (21.0, "ack", "player"), spared_after_s=5.0))
    assert both.acted == "ack"
    assert both.passed


@pytest.mark.parametrize("seconds", [9.0, 12.0])
def test_a_player_at_par_has_acted_even_if_a_trigger_was_faster(seconds: float) -> None:
    """In this scenario one fires 8.5 s after the fault is visible; par is 12 s."""
    one = scenarios.load("quota")
    fired: tuple[float, str, By] = (8.5, "trigger", "trigger")
    made = score(one, played(one, fired, (seconds, "rollback", "player"), spared_after_s=8.5))
    assert made.passed
    assert made.total >= made.par
    assert made.parts[1].sentence == "You rolled back, which was right; a trigger was faster."


def test_the_scenario_s_clock_is_scored_not_the_machine_s() -> None:
    one = scenarios.load("empty")
    shift = played(one, (12.0 + 3.0, "rollback", "player"), looks=(6.0 + 3.0,), spared_after_s=15.0)
    late = score(one, structs.replace(shift, late_s=30.0, slices=()))
    assert (late.noticed_s, late.acted_s) == (6.0, 12.0)


def test_the_fault_is_visible_once_something_is_harmed() -> None:
    one = scenarios.load("creep")
    planned = one.fault_after_s + one.visible_s
    shift = Shift(0.0, one.lasts_s, SPEED, slices=(Slice(planned + 90.0, 10.0, DOCUMENTS, 1),))
    assert score(one, shift).visible == planned + 100.0
    acted = structs.replace(shift, acts=(Act(planned + 20.0, "rollback", "player", lowers=True),))
    assert score(one, acted).acted_s == 2.0


def test_the_time_an_engine_takes_to_start_is_not_the_player_s() -> None:
    one = scenarios.load("dead")
    after_s, took_s = one.par.act_s, 15.0
    shift = played(one, spared_after_s=after_s + took_s)
    at = one.fault_after_s + one.visible_s + after_s * SPEED
    made = score(one, structs.replace(shift, acts=(Act(at, "start", "player", took_s=took_s * SPEED),)))
    assert abs(made.harmed - made.at_par) <= 2 * DOCUMENTS
    assert made.best >= took_s * DOCUMENTS, "no one starts it sooner"
    assert made.total >= made.par - 1
    slower = score(
        one, structs.replace(shift, acts=(Act(at + 200.0, "start", "player", took_s=took_s * SPEED - 200.0),))
    )
    assert slower.harmed == made.harmed
    assert slower.total < made.total, "the same loss, but this time the player's"


LINE = 59  # cells of a part's sentence at 80x24


@pytest.mark.parametrize("one", TEN, ids=lambda one: one.name)
def test_every_part_of_the_debrief_fits_a_narrow_terminal(one: Scenario) -> None:
    shifts = [played(one), played(one, (-30.0, "rollback", "player"), spared_after_s=-30.0), played(one, leaves_s=0.0)]
    shifts += [played(one, (5.0, act, "player")) for act in (*one.right, *one.fine, *one.wrong, "ack")]
    shifts.append(played(one, (1.0, "trigger", "trigger"), (5.0, "rollback", "player")))
    for shift in shifts:
        for part in score(one, shift).parts:
            assert len(part.sentence) <= LINE, part.sentence


def test_a_player_who_acts_in_time_counts_as_having_looked() -> None:
    one = scenarios.load("creep")
    made = score(one, played(one, (one.par.act_s, "rollback", "player"), spared_after_s=one.par.act_s))
    assert made.parts[0].points == NOTICE


def test_an_alarm_that_was_only_acknowledged_is_reported_as_that() -> None:
    made = score(scenarios.load("creep"), played(scenarios.load("creep"), (8.0, "ack", "player")))
    assert made.parts[1].sentence == "You acknowledged it, and went no further."


def test_what_a_colleague_does_is_not_the_player_s() -> None:
    one = scenarios.load("colleague")
    made = score(one, played(one, (-1.0, "promote", "colleague"), (1.0, "rollback", "player"), spared_after_s=1.0))
    assert made.wrong == ()
    assert made.passed


def test_after_a_trigger_acted_first_few_points_are_left() -> None:
    one = scenarios.load("empty")
    acts: tuple[tuple[float, str, By], ...] = ((16.0, "trigger", "trigger"), (17.0, "rollback", "player"))
    made = score(one, played(one, *acts, looks=(5.0,), spared_after_s=16.0))
    assert not made.right
    assert not made.passed
    assert 0 < made.total < 60


def test_a_false_alarm_is_looked_at_and_left_alone() -> None:
    one = scenarios.load("false-alarm")
    seen = score(one, played(one, looks=(3.0,)))
    assert (seen.total, seen.passed) == (100, True)
    acknowledged = score(one, played(one, (3.0, "ack", "player")))
    assert acknowledged.total == 100
    unseen = score(one, played(one))
    assert unseen.passed
    assert unseen.total == 100 - NOTICE
    held = score(one, played(one, (3.0, "hold", "player")))
    assert held.total == 100 - ACT + FINE
    rolled = score(one, played(one, (3.0, "rollback", "player"), spared_after_s=3.0))
    assert not rolled.passed
    assert rolled.total == 0
    assert rolled.parts[-1].sentence == "You rolled back a healthy service.", "there was no fault"
    repaired = score(one, played(one, (3.0, "rollback", "player"), (5.0, "undo_rollback", "player")))
    assert repaired.wrong == ("rollback",)
    gone = score(one, played(one, looks=(1.0,), leaves_s=2.0))
    assert not gone.passed, "who leaves has not left it alone"


def test_the_debrief_of_a_false_alarm_claims_no_more_than_happened() -> None:
    """On a busy machine calls of the restarted server fail, and a trigger may roll back: that is not the player's."""
    one = scenarios.load("false-alarm")
    shift = played(one, (30.0, "trigger", "trigger"), looks=(3.0,))
    failed = Slice(one.fault_after_s + 60, 10.0, 20, 9)
    made = score(one, structs.replace(shift, slices=(*shift.slices, failed)))
    act, harm = (next(part for part in made.parts if part.name == name) for name in ("right act", "harm"))
    assert act.sentence == "You left it alone, which was right; a trigger did not."
    assert harm.sentence == "9 documents harmed by the service, none by you."
    assert made.passed


def test_who_rolls_back_with_a_trigger_in_breach_is_right_although_the_scenario_is_a_false_alarm() -> None:
    """On a busy machine the false alarm is a real one."""
    one = scenarios.load("false-alarm")
    shift = played(one, (9.0, "rollback", "player"), looks=(3.0,))
    seen = one.fault_after_s + one.visible_s
    real = score(one, structs.replace(shift, breaches=(seen + 40.0,)))
    assert (real.total, real.passed, real.wrong) == (100, True, ())
    later = score(one, structs.replace(shift, breaches=(seen + 200.0,)))
    assert later.wrong == ("rollback",), "it was in breach only after the rollback"
    before = structs.replace(played(one, (-4.0, "rollback", "player")), breaches=(seen - 60.0,))
    assert score(one, before).wrong == ()


@pytest.mark.parametrize("one", WITH_FAULT, ids=lambda one: one.name)
def test_who_watches_a_screen_that_shows_the_fault_and_acts_on_it_has_noticed_it(one: Scenario) -> None:
    late = 3 * one.par.act_s
    shift = played(one, (late, one.right[0], "player"), spared_after_s=late)

    def noticed(shift: Shift, screen: str) -> tuple[int, str]:
        part = score(one, structs.replace(shift, looks=(ScreenLook(0.0, screen),))).parts[0]
        return part.points, part.sentence

    assert noticed(shift, one.screens[0]) == (NOTICE, "The screen you had open showed it.")
    assert "The screen you had open" not in noticed(shift, "a screen of another program")[1]
    if one.right[0] == "rollback":
        asleep = played(one, (1.0, "trigger", "trigger"), (late, "rollback", "player"))
        assert noticed(asleep, one.screens[0]) == noticed(asleep, "a screen of another program"), (
            "a trigger had acted long before"
        )


def test_who_watches_a_false_alarm_from_start_to_end_has_noticed_it() -> None:
    one = scenarios.load("false-alarm")
    shift = played(one)
    watched = score(one, structs.replace(shift, looks=(ScreenLook(0.0, "Live"),)))
    assert watched.total == 100
    elsewhere = score(one, structs.replace(shift, looks=(ScreenLook(0.0, "Live"), ScreenLook(9.0, "Help"))))
    assert elsewhere.total == 100 - NOTICE


def test_only_a_look_at_what_shows_it_counts_and_only_once_it_can_be_seen() -> None:
    one = scenarios.load("empty")
    for shift, noticed in (
        (played(one, looks=(-5.0,)), False),
        (played(one, looks=(2.0,)), True),
        (Shift(0.0, one.lasts_s, SPEED, (), (ScreenLook(one.lasts_s - 60, "Help"),), ()), False),
    ):
        assert (score(one, shift).noticed_s is not None) == noticed


def test_no_documents_at_all_is_scored_too() -> None:
    for one in TEN:
        made = score(one, Shift(0.0, one.lasts_s, SPEED))
        assert 0 <= made.total <= 100
        assert made.harmed == 0
