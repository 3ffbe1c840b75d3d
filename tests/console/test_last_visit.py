""" "since you left" belongs to a store, not to its path."""

from __future__ import annotations

from pathlib import Path

import pytest

from console import last_visit, themes
from engine.rollout.control import note
from engine.rollout.state import ENGINE, Ask, State
from engine.store import log
from tests.console.samples import NOW, FakeLink
from tests.console.screen_walk import console, ready

AGO = 331 * 86400.0


def begun(at: float) -> FakeLink:
    link = FakeLink()
    state = State()
    link.read(lambda conn: log.append(conn, state, note(state, Ask(ENGINE, at, "r1"), "reason", "began", {})))
    return link


def test_another_store_at_the_same_path_was_never_looked_at() -> None:
    first = begun(NOW - AGO)
    last_visit.remember(first, NOW - AGO + 60)
    assert last_visit.recall(first) == NOW - AGO + 60
    assert last_visit.recall(begun(NOW - 3600)) == 0.0


def test_a_store_without_a_decision_and_what_an_older_console_kept_are_not_taken_for_a_look() -> None:
    link = FakeLink()
    last_visit.remember(link, NOW)
    assert last_visit.recall(link) == 0.0
    old = begun(NOW - 60)
    themes.remember(f"seen {old.folder.path.resolve()}", str(NOW - AGO))
    assert last_visit.recall(old) == 0.0


@pytest.mark.anyio
async def test_live_counts_what_is_new_since_this_person_left_this_store(own_choices: Path) -> None:
    link = begun(NOW - 7200)
    last_visit.remember(link, NOW - 300)
    app = console("normal")
    app.link = link
    app.poller = type(app.poller)(link)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        assert app.page is not None
        assert "since you left 5m ago: 1 new" in app.page.text()
    assert last_visit.recall(link) == NOW
