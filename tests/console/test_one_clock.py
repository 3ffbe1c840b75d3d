"""Every countdown of a trigger, on every screen and at every size, is one number."""

from __future__ import annotations

import re

import pytest
from msgspec.structs import replace

from engine.rollout.state import State
from engine.view import headlines, next_steps
from tests.console.samples import ALERT, PLAN, FakeLink, trigger
from tests.console.screen_walk import console, ready, until

pytestmark = pytest.mark.anyio

EARLY = replace(
    trigger("latency_medium", "breach", 2310.0, held=33.0, fires=87.0),
    for_s=120.0,
    acts_by="early rule",
    sentence="mean latency 2.31 s over 2 s for 0:33 of 2:00, early rule (n = 290 in 30m)",
)
VIEW = replace(
    ALERT,
    triggers=tuple(
        EARLY if t.id == "latency_medium" else replace(t, verdict="ok", held_s=0.0, fires_in_s=None)
        for t in ALERT.triggers
    ),
)
STATE = State(stage=2, percent_bp=1000)
HEALTH, SENTENCE = headlines.health(headlines.Situation(STATE, VIEW.at, VIEW.triggers, effective_bp=1000))
VIEW = replace(
    VIEW,
    health=HEALTH,
    matrix=next_steps.matrix(PLAN, VIEW.triggers),
    next=next_steps.what_next(STATE, VIEW.triggers, VIEW.gate, "", None, VIEW.at),
    health_sentence=SENTENCE,
)
LEFT = "1:27"


@pytest.mark.parametrize("size", [(80, 24), (120, 36)])
@pytest.mark.parametrize("key", ["1", "3"])
async def test_a_trigger_s_countdown_is_one_number_on_every_screen(size: tuple[int, int], key: str) -> None:
    app = console("alert")
    assert isinstance(app.link, FakeLink)
    app.link.view = VIEW
    async with app.run_test(size=size) as pilot:
        await ready(pilot)
        await pilot.press(key)
        await until(pilot, lambda: app.page is not None and str(app.page.NUMBER) == key)
        assert app.page is not None
        app.page.repaint()
        text = app.page.text()
    assert LEFT in text
    counted = set(re.findall(r"(?:in |acts in |left |, )(\d+:\d\d)\b(?! of)", text))
    assert counted == {LEFT}, text
    assert "early rule" in text
    for of in re.findall(r"\d+:\d\d of \d+:\d\d", text):
        assert of == "0:33 of 2:00"
