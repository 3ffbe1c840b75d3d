"""Signatures as rows: what is read is what was written, and a store of an older version keeps its meaning."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from engine.gate import checklist
from engine.gate.checklist import Signature
from engine.plan.load import default_plan_text, parse_plan
from engine.rollout.control import note
from engine.rollout.state import Actor, Ask, State
from engine.store import database, log
from engine.store.folder import Folder

PLAN = parse_plan(default_plan_text())


def logged(conn: sqlite3.Connection, item: str, state: str = "done", kind: str = "sign") -> int:
    """The decision of a signature; its rev."""
    before = log.read_state(conn)
    ask = Ask(Actor("bo"), 5.0, f"r{before.rev}")
    return log.append(conn, before, note(before, ask, kind, "a sentence", {"item": item, "state": state})).rev


def test_a_row_without_its_decision_is_not_a_signature(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    database.create(folder)
    conn = database.open_writer(folder, "NORMAL")
    item, other = (PLAN.stages[0].checklist[place].id for place in (0, 1))
    logged_as = {
        "none": 0,
        "another item": logged(conn, other),
        "a failed check": logged(conn, item, "failed", "check"),
        "another kind": logged(conn, item, kind="engine_start"),
    }
    for what, rev in logged_as.items():
        checklist.write(conn, Signature(0, item, "done", "bo", 5.0, "forged", "", rev))
        kept = checklist.signatures(conn, 0)[item]
        assert (kept.state, kept.note) == ("open", checklist.UNLOGGED), what
    conn.close()


def test_a_signature_is_read_as_it_was_written(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    database.create(folder)
    conn = database.open_writer(folder, "NORMAL")
    item = PLAN.stages[0].checklist[0].id
    for manually in (False, True):
        rev = logged(conn, item)
        wrote = Signature(0, item, "done", "bo", 5.0, "seen by hand", "no table", rev, manually)
        checklist.write(conn, wrote)
        assert checklist.signatures(conn, 0) == {item: wrote}
        view = next(view for view in checklist.read(conn, PLAN, State()) if view.id == item)
        assert view.signed_manually is manually
        assert view.note == ("signed manually: seen by hand" if manually else "seen by hand")
    conn.close()


def test_in_a_store_of_an_older_version_the_note_s_first_words_become_the_field(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    database.create(folder)
    conn = database.open_writer(folder, "NORMAL")
    conn.execute("ALTER TABLE checked DROP COLUMN manually")
    conn.execute("DELETE FROM _sqlite_migrations WHERE name = 'signed_manually'")
    older = [
        ("against", "by hand: the disk is checked", "the machine found nothing"),
        ("own_words", "by hand: I counted them", ""),  # of an item that only a person signs
        ("plain", "merged", ""),
    ]
    for item, written, evidence in older:
        row = (item, written, evidence, logged(conn, item))
        conn.execute("INSERT INTO checked VALUES (0,?,'done','bo',5.0,?,?,?)", row)
    conn.close()
    database.create(folder)
    conn = database.open_reader(folder)
    by_name = {item: (kept.manually, kept.note) for item, kept in checklist.signatures(conn, 0).items()}
    assert by_name == {
        "against": (True, "the disk is checked"),
        "own_words": (False, "by hand: I counted them"),
        "plain": (False, "merged"),
    }
    conn.close()
