"""Accidental keys do nothing; the one key that must work works; anything that raises asks first, with a different key."""

from __future__ import annotations

import threading
import time
from collections.abc import Awaitable, Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual import events
from textual.binding import Binding
from textual.pilot import Pilot
from textual.widgets import Input

from console.app import Console
from console.screens import SCREENS, WORK, screen, working
from console.screens.ask import QuestionDialog, TextField
from console.screens.page import Page
from console.terminal.type_ahead import ACTING, BURST_S, GRACE_S, PAUSE_S, REPEATED_S, KeyGuard, key_names
from console.widgets.sheet import Sheet
from tests.console.samples import PLAN, FakeLink
from tests.console.test_rollback_key import settled
from tests.machine import crowd

pytestmark = pytest.mark.anyio


def typed(keys: str, apart: float = 0.0) -> list[str]:
    """The keys that are taken when these come `apart` seconds from each other, outside of an input."""
    guard = KeyGuard()
    guard.ready = True
    verdicts = [guard.take(key, 100.0 + i * apart, typing=False) for i, key in enumerate(keys)]
    return [
        key
        for key, verdict in zip(keys, verdicts, strict=True)
        if verdict == "take" or (verdict == "wait" and guard.resolve_deliberate(key, guard.burst) == "take")
    ]


def test_before_the_first_paint_every_key_is_dropped() -> None:
    assert KeyGuard().take("R", 1.0, typing=False) == "drop"


@given(st.text("Ruyqp2sx\r", min_size=1, max_size=12))
def test_at_a_person_s_pace_every_key_counts(keys: str) -> None:
    guard = KeyGuard()
    guard.ready = True
    for i, key in enumerate(keys):
        verdict = guard.take(key, i * (BURST_S + GRACE_S), typing=False)
        assert verdict == "take" or guard.resolve_deliberate(key, guard.burst) == "take"


@pytest.mark.parametrize("paste", ["rm -rf FOO BAR", "RFC 1234", "FOUR", "please Run it", "dear all,\rRegards\r"])
def test_a_paste_never_rolls_back_and_does_no_more_than_its_first_key(paste: str) -> None:
    taken = typed(paste)
    assert "R" not in taken
    assert len([key for key in taken if key not in "jk"]) <= 1


def test_what_is_typed_on_after_a_refused_question_does_nothing_until_a_pause() -> None:
    """The cause for a resume that a colleague has just done: its o, Enter and y would override the gate."""
    guard = KeyGuard()
    guard.ready = True
    assert guard.take("e", 99.9, typing=False) == "take"
    guard.typed_blind_from(100.0, text=True)
    text = "a bad model, now reverted\ry"
    verdicts = {key: guard.take(key, 100.3 + i * 0.2, typing=False) for i, key in enumerate(text)}
    assert set(verdicts.values()) == {"drop"}
    end = 100.3 + len(text) * 0.2
    assert guard.take("2", end, typing=False) == "take"
    assert guard.take("j", end + 0.1, typing=False) == "take"
    assert guard.take("R", end + 0.2, typing=False) == "wait", "R always acts"
    guard.resolve_deliberate("R", guard.burst)
    assert guard.take("o", end + PAUSE_S + 0.1, typing=False) == "take"


@pytest.mark.parametrize("way", ["\x1b", "2"])
def test_after_a_key_that_leaves_a_screen_that_came_unasked_the_next_one_acts(way: str) -> None:
    guard = KeyGuard()
    guard.ready = True
    guard.typed_blind_from(100.0, text=False)
    assert guard.take("o", 100.2, typing=False) == "drop"
    assert guard.take(way, 100.3, typing=False) == "take"
    assert guard.take("o", 100.5, typing=False) == "take"


@pytest.mark.parametrize("lump", ["R", "2R", "RR", "RRR", "qR", "jjjjR", "2jR", "R2", "\rR"])
def test_an_r_among_keys_that_a_slow_line_delivers_together_rolls_back(lump: str) -> None:
    assert "R" in typed(lump)


def test_the_r_of_a_paste_is_refused_though_a_key_pressed_after_it_is_dealt_with_first() -> None:
    """A long paste keeps the loop busy: its R were judged by the keys pressed since, and each rolled back."""
    guard = KeyGuard()
    guard.ready = True
    waiting = [guard.burst for key in "Rapid Rollouts Require Rigor." if guard.take(key, 100.0, typing=False) == "wait"]
    assert guard.take("R", 101.0, typing=False) == "wait"
    assert {guard.resolve_deliberate("R", burst) for burst in waiting} == {"refuse"}
    assert guard.resolve_deliberate("R", guard.burst) == "take"


def test_a_row_of_pasted_r_is_one_rollback_and_a_held_one_two_a_second() -> None:
    assert typed("R" * 500) == ["R"]
    assert len(typed("R" * 500, apart=BURST_S / 2)) == pytest.approx(500 * BURST_S / 2 / REPEATED_S, abs=1)


@given(st.text(max_size=20))
def test_every_key_in_an_input_is_text(text: str) -> None:
    guard = KeyGuard()
    guard.ready = True
    assert all(guard.take(char, 1.0, typing=True) == "take" for char in text)


@pytest.mark.parametrize(
    ("line", "keys"),
    [
        (b"ls\nR", "lsR"),
        (b"\x1b[20~", ["f9"]),
        (b"\x1b[A\x1bOB\x1b[1;5C", ""),
        (b"\x1b[?62;22c\x1b", ""),
        ("é".encode(), "é"),
    ],
)
def test_of_what_was_typed_before_only_keys_of_text_and_f9_count(line: bytes, keys: Sequence[str]) -> None:
    assert key_names(line.decode()) == list(keys)


# -- in the app --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("typed", "answer"), [("lsR", "R was pressed before"), ("ls", "were ignored"), ("", "")])
async def test_keys_typed_before_the_first_paint_are_reported_r_loudest(typed: str, answer: str) -> None:
    link = FakeLink("normal")
    app = Console(link, PLAN, typed_before=typed)
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot, lambda: app.key_guard.ready)
        await pilot.pause()
        assert link.rollbacks == []
        if answer:
            assert answer in app.screen.query_one(Sheet).canvas.text()
        else:
            assert app.notice is None


Steps = Callable[[Console, FakeLink, Pilot[int]], Awaitable[None]]


async def walk(steps: Steps, state: str = "normal", **more: bool) -> None:
    link = FakeLink(state)
    app = Console(link, PLAN, rehearsal=state.startswith("rehearsal"), **more)
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot, lambda: app.key_guard.ready)
        await steps(app, link, pilot)


async def test_the_wait_for_what_follows_costs_a_key_next_to_nothing() -> None:
    async def steps(app: Console, link: FakeLink, pilot: Pilot[int]) -> None:
        took = []
        for _ in range(5):
            before, began = len(link.rollbacks), time.monotonic()
            app.post_message(events.Key("R", "R"))
            await settled(pilot, lambda before=before: len(link.rollbacks) > before)  # type: ignore[misc]
            took.append(time.monotonic() - began)
            await pilot.pause(BURST_S * 2)
        assert min(took) < 0.2 * crowd()

    await walk(steps)


async def test_a_paste_with_an_r_in_it_is_refused_and_reported() -> None:
    async def steps(app: Console, link: FakeLink, pilot: Pilot[int]) -> None:
        for char in "LONG RANT":
            app.post_message(events.Key(char, char))
        await settled(pilot, lambda: app.notice is not None)
        assert "press R once" in str(app.notice)
        assert link.rollbacks == []
        assert link.asked == []

    await walk(steps)


async def test_bracketed_paste_outside_of_an_input_is_nothing() -> None:
    async def steps(app: Console, link: FakeLink, pilot: Pilot[int]) -> None:
        app.post_message(events.Paste("R\ny\nq"))
        await pilot.pause(0.1)
        assert link.rollbacks == []
        assert app.is_running

    await walk(steps)


async def test_a_raise_asks_first_and_another_key_confirms() -> None:
    async def steps(app: Console, link: FakeLink, pilot: Pilot[int]) -> None:
        await pilot.press("2")
        await settled(pilot, lambda: app.page is not None and app.page.NUMBER == 2 and app.page.is_mounted)
        await pilot.pause(BURST_S * 2)
        await pilot.press("p")
        await settled(pilot, lambda: isinstance(app.screen, QuestionDialog))
        for same in ("p", "enter"):  # the key that asked again, and the safe answer that has the focus
            if isinstance(app.screen, QuestionDialog):
                await pilot.pause(BURST_S * 2)
                await pilot.press(same)
                await pilot.pause(0.05)
        assert not any(kind == "promote" for kind, _ in link.asked)
        await pilot.pause(BURST_S * 2)
        await pilot.press("p")
        await settled(pilot, lambda: isinstance(app.screen, QuestionDialog))
        await pilot.pause(BURST_S * 2)
        await pilot.press("y")
        await settled(pilot, lambda: any(kind == "promote" for kind, _ in link.asked))

    await walk(steps, "ready")


async def test_an_input_shows_the_second_key_for_a_rollback() -> None:
    async def steps(app: Console, link: FakeLink, pilot: Pilot[int]) -> None:
        app.push_screen(QuestionDialog("Why?", ["facts"], "send", "leave", TextField("reason", least=8)))
        await settled(pilot, lambda: isinstance(app.focused, Input))
        await settled(pilot, lambda: "F9" in app.screen.query_one("#answers").canvas.text())  # type: ignore[attr-defined]

    await walk(steps)


async def test_a_slow_command_shows_its_seconds_and_escape_stops_waiting() -> None:
    async def steps(app: Console, link: FakeLink, pilot: Pilot[int]) -> None:
        gate, done = threading.Event(), link.command
        link.command = lambda kind, **fields: (gate.wait(10), done(kind, **fields))[1]  # type: ignore[method-assign]
        app.act("measure")
        await settled(pilot, lambda: "Working..." in str(app.notice))
        await pilot.press("escape")
        assert "Stopped waiting" in str(app.notice)
        gate.set()
        await pilot.pause(0.1)
        assert "Stopped waiting" in str(app.notice)

    await walk(steps)


def acting_keys(number: int) -> list[str]:
    """Keys of a screen that change something, the app's own among them."""
    results = []
    for binding in [*screen(number).BINDINGS, *Console.BINDINGS]:
        assert isinstance(binding, Binding)
        if binding.action.partition("(")[0] in ACTING:
            results += binding.key.split(",")
    return results


@pytest.mark.parametrize("number", sorted(SCREENS))
async def test_read_only_explains_why_what_acts_does_nothing_and_r_works(number: int) -> None:
    async def steps(app: Console, link: FakeLink, pilot: Pilot[int]) -> None:
        await pilot.press(str(number))
        await pilot.pause(0.1)
        for key in acting_keys(number):
            await pilot.pause(BURST_S * 2)
            app.notice = None
            await pilot.press(key)
            assert "read-only" in str(app.notice).lower(), f"{key} does not explain why it does nothing"
        assert link.asked == []
        assert not isinstance(app.screen, QuestionDialog)
        await pilot.pause(BURST_S * 2)
        await pilot.press("R")
        await settled(pilot, lambda: bool(link.rollbacks))

    await walk(steps, "rehearsal", read_only=True)


@pytest.mark.parametrize(("state", "key"), [("idle", "2"), ("rolled_back", "v")])
async def test_read_only_names_no_key_that_it_does_not_take(state: str, key: str) -> None:
    seen = []

    async def steps(app: Console, link: FakeLink, pilot: Pilot[int]) -> None:
        await pilot.press(key)
        await settled(pilot, lambda: app.page is not None and app.page.NUMBER in (2, 11) and app.page.is_mounted)
        await pilot.pause(0.05)
        seen.append(app.page.text() if app.page else "")

    promised = ("s signs", "c checks", "sign it (s)", "undoes it", "restores all", "w adds one")
    await walk(steps, state)
    assert any(words in seen[0] for words in promised), "the test must see them where they are taken"
    await walk(steps, state, read_only=True)
    assert not [words for words in promised if words in seen[1]]


@pytest.mark.parametrize("page", [*map(screen, SCREENS), *(working(name) for name, *_ in WORK)])
def test_a_key_that_may_be_pressed_in_alarm_means_the_same_on_every_screen(page: type[Page]) -> None:
    own = [key for b in page.BINDINGS if isinstance(b, Binding) for key in b.key.split(",")]
    assert not {"R", "f9", "u", "K", "E", "exclamation_mark"} & set(own)


async def test_production_does_not_look_like_rehearsal() -> None:
    heads = []
    for state in ("normal", "rehearsal"):

        async def steps(app: Console, link: FakeLink, pilot: Pilot[int]) -> None:
            canvas = app.screen.query_one("#sheet").canvas  # type: ignore[attr-defined]
            heads.append(("".join(canvas.chars[0]).split()[0], canvas.styles[0][2]))

        await walk(steps, state)
    (word, style), (other_word, other_style) = heads
    assert word != other_word
    assert style != other_style
