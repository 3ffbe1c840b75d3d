"""Which documents a rollback's bad window contains, and that the cache serves none of the restored ones."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.extraction.cache import LlmCache
from engine.extraction.keywords import Keywords
from engine.plan.load import default_plan_text, parse_plan
from engine.plan.model import Action
from engine.rollout import control
from engine.rollout.state import ENGINE, Actor, Ask, Decision, State
from engine.store import database, log
from engine.store.folder import Folder
from engine.store.restore_preview import DocumentSelection, bad_window

PLAN = parse_plan(default_plan_text())
ALICE = Actor("alice", 1000)


@pytest.fixture
def conn(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    folder = Folder(tmp_path / "store")
    database.create(folder)
    connection = database.open_writer(folder, "NORMAL")
    yield connection
    connection.close()


def ask(actor: Actor, at: float) -> Ask:
    return Ask(actor, at, f"{actor.name}-{at}", "a reason that is long enough")


def climb(conn: sqlite3.Connection, stage: int, at: float) -> None:
    """One stage a second, the last at `at`."""
    while (state := log.read_state(conn)).stage < stage:
        asked = ask(ALICE, at - (stage - state.stage - 1))
        log.commit(conn, asked.request_id, lambda s, a=asked: control.promote(PLAN, s, control.Promotion(a, s.epoch)))  # type: ignore[misc]


def roll_back(conn: sqlite3.Connection, at: float) -> None:
    asked = ask(ALICE, at)
    log.commit(conn, asked.request_id, lambda state: control.roll_back(PLAN, state, asked))


def test_without_a_rollback_there_is_no_bad_window(conn: sqlite3.Connection) -> None:
    climb(conn, 3, 100.0)
    assert bad_window(conn) is None


def test_after_a_manual_rollback_it_is_the_time_of_the_percentage_that_ended(conn: sqlite3.Connection) -> None:
    climb(conn, 2, 100.0)
    climb(conn, 3, 500.0)
    roll_back(conn, 900.0)
    assert bad_window(conn) == DocumentSelection(500.0, 900.0)


def test_pressing_again_at_zero_does_not_lose_it(conn: sqlite3.Connection) -> None:
    climb(conn, 3, 500.0)
    roll_back(conn, 900.0)
    roll_back(conn, 950.0)
    assert bad_window(conn) == DocumentSelection(500.0, 900.0)


def test_after_a_trigger_it_begins_with_the_breach_and_never_before_the_percentage(conn: sqlite3.Connection) -> None:
    climb(conn, 3, 500.0)
    asked = ask(ENGINE, 2000.0)

    def act(state: State) -> Decision | None:
        evidence = {"reading": {"held_s": 300.0, "for_s": 300.0}}
        return control.act(PLAN, state, Action.to_zero, asked, "6 %", evidence)

    log.commit(conn, asked.request_id, act)
    assert bad_window(conn) == DocumentSelection(1400.0, 2000.0)
    conn.execute("DROP TRIGGER decision_is_append_only_u")
    conn.execute("UPDATE decision SET body = replace(body, '300.0', '3000.0') WHERE kind = 'trigger'")
    assert bad_window(conn) == DocumentSelection(500.0, 2000.0)


def test_the_cache_forgets_what_was_made_or_served_in_the_window(conn: sqlite3.Connection) -> None:
    cache = LlmCache(1_000_000)
    for key, at in (("old", 10.0), ("served again", 11.0), ("bad", 60.0)):
        cache.keep(conn, key, Keywords(("word",), ()), 0, at)
    cache.touch(conn, "served again", 55.0)
    cache.forget(conn, 50.0)
    known = {key: cache.look_up(conn, key) is not None for key in ("old", "served again", "bad")}
    assert known == {"old": True, "served again": False, "bad": False}
