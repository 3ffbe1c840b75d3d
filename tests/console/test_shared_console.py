"""Several people at consoles: two in one account, the name that a key sets, the hand-over note until it is dismissed."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from console import themes
from console.app import Console
from console.link import EngineSnapshot
from console.screens.ask import QuestionDialog
from console.screens.inbox import Inbox
from console.widgets import bars
from console.widgets.canvas import Canvas
from engine.view.model import AckView, HandoverView, PresenceView
from tests.console.samples import NORMAL, NOW, PLAN, REHEARSAL, WELL, FakeLink
from tests.console.screen_walk import ready, until
from tests.console.test_problems import BROKEN

pytestmark = pytest.mark.anyio
OFFER = "W sets your name"
SHARED = (PresenceView("alice", "pts/1", "Live", NOW - 600), PresenceView("alice", "/dev/pts/4", "Gate", NOW - 90))


@pytest.fixture(autouse=True)
def own_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(themes, "settings", lambda: tmp_path / "console.json")


def app_of(link: FakeLink, **more: bool) -> Console:
    return Console(link, PLAN, **more)  # type: ignore[arg-type]


def link_with(**more: object) -> FakeLink:
    link = FakeLink("normal")
    link.view = replace(NORMAL, **more)  # type: ignore[arg-type]
    return link


def test_two_consoles_of_one_account_are_two_viewers() -> None:
    view = replace(NORMAL, operators=(*SHARED, PresenceView("bo", "pts/3", "Log", NOW)))
    assert bars.others(view, "alice", "pts/1") == ["alice on pts/4", "bo"]
    assert bars.others(view, "alice (uid 1000)", "pts/1") == ["alice", "bo"]
    assert bars.others(view, "alice", "") == ["bo"]
    assert bars.others(NORMAL, "alice", "pts/1") == ["bo"]


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("name", ["ann", "ann (uid 1000)", "anastasia-petrova (uid 1000)"])
def test_who_has_the_alarm_fits_into_the_header(name: str, width: int) -> None:
    """Two people of one account in a rehearsal: the names are long, and the row is full."""
    has = "bo (uid 1000)"
    operators = tuple(
        PresenceView(who, f"pts/{n}", "Live", NOW) for n, who in enumerate((name, has, "carl (uid 1000)"))
    )
    view = replace(REHEARSAL, operators=operators, acknowledged=AckView(has, NOW))
    for who, words in ((name, "bo"), (has, "has it")):
        c = Canvas(width, 1)
        bars.header(c, EngineSnapshot(view, WELL, NOW), who, True)
        row = c.text()
        assert words in row
        assert "has it" in row
        assert "READ-ONLY" in row
        assert "R rollback to 0 %" in row


async def test_where_an_account_is_shared_a_key_sets_the_name_and_R_still_works() -> None:
    link = link_with(operators=SHARED)
    app = app_of(link)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await until(pilot, lambda: OFFER in app.page.text())  # type: ignore[union-attr]
        await pilot.press("W", *"anna", "enter")
        await until(pilot, lambda: not isinstance(app.screen, QuestionDialog))
        assert link.who == "anna (uid 1000)"
        assert app.notice is not None
        assert "anna (uid 1000)" in app.notice[0]
        assert themes.recall("name here") == "anna" or "anna" in (themes.settings().read_text())
        await until(pilot, lambda: "anna (uid 10" in app.page.text())  # type: ignore[union-attr]
    again = app_of(link_with(operators=SHARED))
    async with again.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await pilot.press("W")
        await until(pilot, lambda: isinstance(again.screen, QuestionDialog))
        assert isinstance(again.screen, QuestionDialog)
        assert again.screen.field.typed == "anna"  # a suggestion, never taken silently
        await pilot.press("f9")
        await until(pilot, lambda: bool(again.link.rollbacks))  # type: ignore[attr-defined]


@pytest.mark.parametrize("why", ["alone", "named", "alarm", "read-only"])
async def test_a_name_is_offered_only_where_it_is_needed(why: str) -> None:
    link = link_with(operators=SHARED[:1] if why == "alone" else SHARED, health="alert" if why == "alarm" else "ok")
    link.acting_name = "anna" if why == "named" else ""
    app = app_of(link, read_only=why == "read-only")
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await pilot.pause(0.1)
        assert app.notice is None


async def test_a_hand_over_note_is_shown_at_attach_until_it_is_dismissed() -> None:
    note = HandoverView(NOW - 4000, "bo", "ollama-2 flaps at night; leave it out, Ann knows")
    app = app_of(link_with(handover=note))
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        assert app.page is not None
        assert "HAND-OVER  bo: ollama-2 flaps at night; leave it out" in app.page.text()
        await pilot.press("exclamation_mark")
        assert isinstance(app.screen, Inbox)
        assert note.text in app.screen.text()
        await pilot.press("escape", "backspace")
        await until(pilot, lambda: "HAND-OVER" not in app.page.text())  # type: ignore[union-attr]
    later = app_of(link_with(handover=note))
    async with later.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        assert "HAND-OVER" not in later.page.text()  # type: ignore[union-attr]
    new = app_of(link_with(handover=replace(note, at=NOW - 10)))
    async with new.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        assert "HAND-OVER" in new.page.text()  # type: ignore[union-attr]


async def test_a_hand_over_note_of_a_sentence_is_whole_at_80x24() -> None:
    """With a problem above it too: the note is why the next on-call looks here first."""
    said = "watch ollama-2, it was slow at noon; do not promote before Ann is back at 14:00"
    app = app_of(link_with(handover=HandoverView(NOW - 4000, "bo", said), engine=BROKEN.engine))
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        assert app.page is not None
        text = app.page.text()
        assert said in " ".join(text.split()), text
        assert "and scaled appropriately" in text, "the rows of the curves, which have no room, are the tasks'"
        for part in ("bksp dismiss", "PROBLEM", "what happens next", "waiting for you", "1Live"):
            assert part in text, text


async def test_a_note_goes_first_and_the_hand_over_after_it() -> None:
    """One key dismisses both, the newest first; ones own note is not shown."""
    app = app_of(link_with(handover=HandoverView(NOW - 40, "bo", "all calm")))
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        app.say("A notice.")
        await pilot.press("backspace")
        assert app.notice is None
        assert app.handover is not None
        await pilot.press("backspace")
        assert app.handover is None
    own = app_of(link_with(handover=HandoverView(NOW - 40, "alice", "all calm")))
    async with own.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        assert own.handover is None


async def test_a_key_leaves_a_hand_over_note() -> None:
    link = link_with()
    app = app_of(link)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await pilot.press("N", *"watch it", "enter")
        await until(pilot, lambda: ("note", {"kind": "handover", "text": "watch it"}) in link.asked)
