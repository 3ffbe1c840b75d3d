"""What the gate asks before anything goes up says what changes, what is missing, and what a no leaves."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from console.screens import gate_questions
from console.terminal import type_ahead
from tests.console.samples import GATE, HELD, LOCKED, READY, FakeLink
from tests.console.screen_walk import console, ready, until


def test_a_promotion_names_the_percentage_before_and_after() -> None:
    view = replace(READY, percent_bp=1000, gate=replace(READY.gate, next_percent_bp=2500))
    asked = gate_questions.promotion(view, override=False)
    assert asked.facts[0].startswith("From 10 % to 25 % of documents")
    assert (asked.yes_text, asked.no_text, asked.field) == ("promote to 25 %", "stay at 10 %", None)


def test_a_step_that_keeps_the_percentage_does_not_offer_another() -> None:
    same = replace(READY, percent_bp=READY.gate.next_percent_bp)
    last = replace(READY, gate=replace(GATE, next_stage=READY.stages, next_name=""))
    for view in (same, last):
        asked = gate_questions.promotion(view, override=False)
        assert "The percentage stays" in asked.facts[0]
        assert "%" not in asked.yes_text + asked.no_text


@pytest.mark.parametrize(
    ("met", "said"), [(6, "The gate is open: 6 of 6 met."), (5, "The gate is open: 5 of 6 met, the rest is optional.")]
)
def test_an_open_gate_claims_no_more_than_is_met(met: int, said: str) -> None:
    """Users' ratings may be missing: they do not keep a gate shut, and are not met either."""
    view = replace(READY, gate=replace(READY.gate, met=met, total=6))
    assert said in gate_questions.promotion(view, override=False).facts


def test_an_override_lists_what_is_missing_counts_the_rest_and_wants_a_reason() -> None:
    view = replace(READY, gate=replace(GATE, missing=tuple(f"item {i}" for i in range(7))))
    asked = gate_questions.promotion(view, override=True)
    assert "OVERRIDES 7 MISSING:" in asked.facts
    assert [fact for fact in asked.facts if fact.startswith("○")] == [f"○ item {i}" for i in range(4)]
    assert "  and 3 more" in asked.facts
    assert asked.field is not None
    assert asked.field.least == 8


def test_a_server_that_does_not_answer_is_named_before_documents_go_to_it() -> None:
    down = replace(READY, servers=tuple(replace(server, up=False) for server in READY.servers))
    assert any("LLM servers not answering" in fact for fact in gate_questions.promotion(down, False).facts)
    to_zero = replace(down, gate=replace(GATE, next_percent_bp=0))
    assert not any("LLM servers not answering" in fact for fact in gate_questions.promotion(to_zero, False).facts)


def test_a_cause_can_be_written_during_the_cool_down_and_is_kept() -> None:
    early = replace(LOCKED, cooldown_until=LOCKED.at + 65, held=HELD.held)
    asked = gate_questions.unlock(early, "the model was swapped")
    assert asked.field is not None
    assert (asked.yes_text, asked.field.typed) == ("keep it", "the model was swapped")
    assert any("1:05 more" in fact for fact in asked.facts)
    assert any(HELD.held in fact for fact in asked.facts)
    assert gate_questions.unlock(replace(early, cooldown_until=LOCKED.at), "").yes_text == "resume"


@pytest.mark.anyio
async def test_a_note_that_no_question_takes_does_not_act_as_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """s on a condition, not on an item: the w, i, e and Enter of the note went to other screens and could resume."""
    monkeypatch.setattr(type_ahead, "PAUSE_S", 120.0)  # a busy machine presses slowly
    app = console("normal")
    link = app.link
    assert isinstance(link, FakeLink)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await pilot.press("2", "g", "s")
        await until(pilot, lambda: app.notice is not None and "Select a checklist item" in app.notice[0])
        gate = app.screen
        await pilot.press(*"oevi", "enter", "y")
        await pilot.pause(0.1)
        assert app.screen is gate
        assert not link.asked
