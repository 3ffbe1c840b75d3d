"""A rehearsal is recorded as passed when a trigger and a person have each rolled back in it and 0 % was observed for both."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from engine.plan.load import default_plan_text, parse_plan
from engine.rehearsal import json_lines
from engine.rehearsal.record import PassedRehearsal, keep, last_passed, passed
from engine.rollout.control import note, roll_back
from engine.rollout.state import ENGINE, Actor, Ask, Decision, State
from engine.store import log
from engine.store.migrations import migrate

PLAN = parse_plan(default_plan_text())
ALICE = Actor("alice")


def history(*proofs: tuple[bool, float | None], lowered: bool = True) -> sqlite3.Connection:
    """A store with a rollback for each (automatic, effective ms)."""
    conn = sqlite3.connect(":memory:", isolation_level=None)
    migrate(conn)
    state = State()
    for number, (automatic, ms) in enumerate(proofs):
        actor = ENGINE if automatic else ALICE
        if lowered:
            up = Decision("promote", ALICE, "", 2, 1000, number, f"up {number}", "alice promoted")
            state = log.append(conn, state, up)
        state = log.append(conn, state, roll_back(PLAN, state, Ask(actor, number, f"down {number}")))
        evidence = {"of": state.rev, "automatic": automatic, "effective_ms": ms, "sentence": "Effective in 9 ms."}
        state = log.append(conn, state, note(state, Ask(ENGINE, number, f"proof {number}"), "proof", "proof", evidence))
    return conn


def test_both_kinds_of_rollback_proven_make_a_record() -> None:
    record = passed(history((True, 9.0), (False, 9.0)), "alice", 100.0)
    assert record is not None
    assert (record.who, record.at, record.decisions) == ("alice", 100.0, 6)


def test_one_kind_a_rollback_that_was_not_observed_or_one_of_nothing_make_none() -> None:
    assert passed(history((True, 9.0)), "alice", 100.0) is None
    assert passed(history((True, 9.0), (False, None)), "alice", 100.0) is None
    assert passed(history((True, 9.0), (False, 9.0), lowered=False), "alice", 100.0) is None


def test_the_latest_record_counts_and_a_damaged_line_is_passed_over(tmp_path: Path) -> None:
    store, home = tmp_path / "store", tmp_path / "home"
    assert last_passed(store, home) is None
    keep(home, PassedRehearsal(50.0, "bo", "a", "b", 3, "h"))
    keep(store, PassedRehearsal(40.0, "alice", "a", "b", 3, "h"))
    with (store / "rehearsals.jsonl").open("a") as file:
        file.write("not a record\n")
    with (store / "rehearsals.jsonl").open("ab") as raw:
        raw.write(b'{"who": "\xff"}\n')
    result = last_passed(store, home)
    assert result is not None
    assert result.who == "bo"


def test_a_file_that_has_grown_large_keeps_its_newest_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for at in range(40):
        keep(tmp_path, PassedRehearsal(float(at), "bo", "a", "b", 3, "h"))
    monkeypatch.setattr("engine.rehearsal.json_lines.READ_BYTES", 500)
    result = last_passed(tmp_path)
    assert result is not None
    assert result.at == 39.0
    assert 0 < len(json_lines.read(tmp_path / "rehearsals.jsonl", PassedRehearsal)) < 40
