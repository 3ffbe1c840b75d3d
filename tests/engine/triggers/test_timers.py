"""What moves a timer and what does not: no data, blindness, a restart, a lock; what fired acts once; what heals does not."""

from __future__ import annotations

import pytest

from engine.plan.durations import clock
from engine.triggers.evidence import silence
from engine.triggers.measurement import Ok
from engine.triggers.windows import HEALED_DOCUMENTS
from tests.engine.triggers.attempt_timeline import PLAN, Scene


def test_a_timer_shows_how_far_it_is_and_when_it_fires() -> None:
    scene = Scene().run(200, failing=0.2, per_min=30)
    reading = scene.reading("error_critical")
    assert reading.verdict == "breach"
    assert 0 < reading.held_s < 300
    assert reading.fires_in_s is not None
    assert f"for {clock(reading.held_s)} of {clock(reading.for_s)}" in reading.sentence
    assert "clean document" in reading.resets_when
    assert reading.headline == "errors 20 % over 5 %"


def test_at_zero_a_trigger_that_lowers_has_no_countdown() -> None:
    scene = Scene(stage=0)
    scene.failed_probes, scene.samples = 3, {"complaints": Ok(6.0, 6)}
    scene.run(120, per_min=0)
    gone, asked = scene.reading("llm_unavailable"), scene.reading("complaints")
    assert (gone.verdict, gone.fires_in_s) == ("breach", None)
    assert (asked.verdict, asked.fires_in_s) == ("breach", 0.0)  # holding promotion works at 0 % too
    assert asked.sentence == "6 complaints in this stage, over 5"


@pytest.mark.parametrize(
    "service",
    [
        {"failing": 0.2, "per_min": 30},
        {"failing": 1.0},
        {"ms": 4120.0},
        {"ms": 2310.0},
        {"failing": 0.06, "ms": 3500.0},
    ],
)
def test_countdown_and_sentence_are_of_the_detector_that_acts_first(service: dict[str, float]) -> None:
    """What has passed of it, what is left of it and the sentence are of the detector that acts first, at every moment."""
    scene, seen = Scene(), set()
    for _ in range(60):
        scene.run(10, **service)  # type: ignore[arg-type]
        for trigger in PLAN.triggers:
            reading = scene.reading(trigger.id)
            if reading.verdict not in ("breach", "muted") or not reading.fires_in_s:
                continue
            assert reading.for_s - reading.held_s == pytest.approx(reading.fires_in_s), reading
            assert f"for {clock(reading.held_s)} of {clock(reading.for_s)}" in reading.sentence
            assert (reading.acts_by == "early rule") == (reading.rule in ("cusum", "cusum-few", "mean-2se")), reading
            seen.add(reading.acts_by)
        if scene.last is not None and scene.last.fired:
            break
    assert seen


def test_a_restart_forgets_no_timer_and_counts_no_downtime() -> None:
    scene = Scene().run(240, failing=0.2, per_min=60)
    held = scene.held("error_critical")
    assert held > 100
    scene.t += 7200
    scene.timers = scene.timers.restored()
    scene.recent.reset(scene.t - 300)
    for n in range(60):
        scene.recent.add(scene.t - 60 + n, n % 4 > 0)
    scene.evaluate()
    assert scene.held("error_critical") == held
    scene.run(30, failing=0.25, per_min=60)
    assert scene.held("error_critical") == held + 30


def test_a_gap_longer_than_a_lease_does_not_count() -> None:
    scene = Scene().run(200, failing=0.2, per_min=60)
    held = scene.held("error_critical")
    scene.t += PLAN.trigger_settings.lease_s + 1
    scene.recent.add(scene.t, False)
    scene.evaluate()
    assert scene.held("error_critical") == held


def blind_after(seconds: float) -> Scene:
    scene = Scene().run(200, failing=0.2, per_min=60)
    scene.unseen = "no LLM documents for 40 s"
    return scene.run(seconds, per_min=0)


def test_blind_pauses_timers_and_reports_it() -> None:
    scene = blind_after(120)
    held = scene.held("error_critical")
    scene.run(120, per_min=0)
    assert scene.verdict("error_critical") == "blind"
    assert scene.held("error_critical") == held
    assert "paused" in scene.reading("error_critical").sentence
    assert scene.last is not None
    assert scene.last.blind.startswith("blind 4:0")


def test_blind_for_half_an_hour_goes_one_stage_back() -> None:
    settings = PLAN.trigger_settings
    scene = blind_after(settings.blind_step_down_s - 60)
    assert scene.first("blind") == float("inf")
    scene.run(120, per_min=0)
    assert scene.last is not None
    assert scene.last.winner is not None
    assert (scene.last.winner.id, scene.last.winner.percent_bp) == ("blind", 2500)


def test_nothing_is_blind_at_zero_percent() -> None:
    scene = Scene(stage=1)
    scene.unseen = "no LLM documents for 40 s"
    scene.run(3600, per_min=0)
    assert scene.last is not None
    assert (scene.last.blind, scene.winners) == ("", [])
    assert scene.reading("error_critical").sentence == "no LLM documents at 0 %: nothing to judge"


def test_silence_at_low_traffic_may_be_chance() -> None:
    assert silence(180, per_min=1.0) == ""
    assert silence(180, per_min=10.0) == "no LLM documents for 180 s"
    assert silence(0, per_min=10.0) == ""


def test_seeing_again_ends_blindness() -> None:
    scene = blind_after(300)
    scene.unseen = ""
    scene.run(10, per_min=60)
    assert scene.last is not None
    assert scene.last.blind == ""


def test_locked_at_zero_explains_why_and_acts_no_more() -> None:
    scene = Scene(stage=1)
    scene.locked = "error_critical fired: 6 % over 5 %"
    scene.run(600, failing=0.5)
    assert scene.winners == []
    assert scene.verdict("error_critical") == "locked"


def test_what_fired_is_new_only_once_in_the_same_breach() -> None:
    scene = Scene()
    fired = []
    for _ in range(90):
        scene.run(10, failing=0.3)
        fired += list(scene.last.fired)  # type: ignore[union-attr]
    assert fired.count("error_critical") == 1


def test_one_more_complaint_is_news() -> None:
    scene = Scene()
    scene.held_back = True
    for count, news in ((6, True), (6, False), (7, True)):
        scene.samples = {"complaints": Ok(float(count), count)}
        assert ("complaints" in scene.evaluate().fired) is news


def test_a_healed_outage_waits_for_another_and_a_second_one_counts() -> None:
    """A minute in which all failed stays in a window of five for four minutes more; an average alone would roll back."""
    scene = Scene().run(3600, per_min=12)
    scene.run(50, per_min=12, failing=1.0)
    healed = Scene().run(0)
    healed.__dict__.update(scene.__dict__)
    healed.run(1800, per_min=12)
    assert healed.first("error_critical") == float("inf")


def test_a_healed_outage_names_what_it_waits_for() -> None:
    scene = Scene().run(3600, per_min=12).run(50, per_min=12, failing=1.0)
    scene.run(320, per_min=12)
    reading = scene.reading("error_critical")
    if reading.verdict == "breach":
        assert "failures in a row ended" in reading.sentence
    assert HEALED_DOCUMENTS > 10


LATENCY = ("latency_high", "latency_medium")


@pytest.mark.parametrize("per_min", [3.0, 12.0, 60.0])
@pytest.mark.parametrize(("spell_s", "ms"), [(60, 30_000.0), (90, 20_000.0)])
def test_a_slow_spell_that_has_ended_waits_for_another_and_a_second_one_counts(
    per_min: float, spell_s: float, ms: float
) -> None:
    """A slow minute keeps a mean of ten minutes above its limit for ten more: the service was not slow for so long."""
    scene = Scene().run(3600, per_min=per_min).run(spell_s, per_min=per_min, ms=ms)
    scene.run(420, per_min=per_min)
    reading = scene.reading("latency_high")
    assert (reading.verdict, reading.fires_in_s) == ("breach", None)
    scene.run(3000, per_min=per_min)
    assert [scene.first(rule) for rule in LATENCY] == [float("inf")] * 2
    again = Scene().run(3600, per_min=per_min)
    began = again.t
    for _ in range(12):
        again.run(120, per_min=per_min, ms=ms).run(180, per_min=per_min)
    assert min(again.first(rule) for rule in LATENCY) - began < 900


def test_a_slow_spell_that_has_ended_names_what_it_waits_for() -> None:
    scene = Scene().run(3600, per_min=12).run(110, per_min=12, ms=30_000.0).run(550, per_min=12)
    assert scene.reading("latency_high").sentence.endswith(
        "; mean 1.00 s over the latest 15 fresh calls, 1m 10s: waits for another slow spell"
    )


@pytest.mark.parametrize("per_min", [3.0, 12.0, 60.0])
def test_calls_of_which_some_are_always_slow_are_slow(per_min: float) -> None:
    """Every tenth call takes 30 s: the mean of 3.9 s has no end, however many fast calls lie between."""
    scene = Scene().run(3600, per_min=per_min)
    began = scene.t
    for _ in range(int(3 * per_min)):
        scene.run(9 * 60 / per_min, per_min=per_min).run(60 / per_min, per_min=per_min, ms=30_000.0)
    assert min(scene.first(rule) for rule in LATENCY) - began < 1300


@pytest.mark.parametrize(("mode", "before"), [("early", 250.0), ("guarded", 301.0), ("literal", 1000.0)])
def test_early_comes_before_guarded_before_literal(mode: str, before: float) -> None:
    scene = Scene(mode=mode).run(3600, per_min=60)  # type: ignore[arg-type]
    began = scene.t
    scene.run(1200, per_min=60, failing=0.15)
    critical = scene.first("error_critical") - began
    assert critical <= before


def test_the_sentence_names_the_rule_that_acts() -> None:
    scene = Scene(mode="guarded").run(3600, per_min=60)
    scene.run(250, per_min=60, failing=0.3)
    rules = {winner.rule for winner in [scene.last.winner] if winner}  # type: ignore[union-attr]
    assert rules == {"cusum"}
    slow = Scene(stage=2).run(7200, per_min=1).run(7200, per_min=1, failing=0.25)
    assert slow.reading("error_critical").rule in ("fallback-100", "cusum-few", "cusum")


def test_a_silence_counts_from_its_first_second_and_not_from_when_it_stopped_to_be_chance() -> None:
    """At ten documents a minute it is reported after 42 s; two minutes are still two minutes."""
    scene = Scene().run(200, per_min=60)
    scene.unseen, scene.unseen_s = silence(110, per_min=10.0), 110
    assert scene.evaluate().blind == ""
    scene.unseen_s = 120
    assert scene.evaluate().blind.startswith("blind 2:00")


def test_silence_distinguishes_missing_documents_from_a_service_that_does_not_answer() -> None:
    assert silence(180, per_min=10.0, waiting=1) == "no answer from the LLM service for 180 s, 1 call waits"
    assert silence(180, per_min=1.0, waiting=3) == ""
