"""A valid chain is not enough: decisions beyond the head that the engine remembers are found."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from engine.plan.load import default_plan_text, parse_plan
from engine.plan.settings import Access
from engine.rollout.state import ENGINE, Actor, Decision, State, Undo
from engine.rollout.way_back import Setback
from engine.service.access import may_run_an_engine
from engine.store import database, head_memory, log, state_folder
from engine.store.folder import Folder
from engine.store.head_memory import HeadMemory, RememberedHead
from engine.store.log_continuity import AddedDecisions, MissingHead, examine
from engine.store.trust import Head

ALICE = Actor("alice", 1000)


@pytest.fixture
def conn(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """A log at stage 3, 25 %, by an honest engine."""
    folder = Folder(tmp_path / "store")
    database.create(folder)
    conn = database.open_writer(folder, "FULL")
    add(conn, "start", 0, 0)
    add(conn, "promote", 2, 1000)
    add(conn, "promote", 3, 2500)
    yield conn
    conn.close()


def add(conn: sqlite3.Connection, kind: str, stage: int, percent_bp: int, at: float = 1000.0, **more: Any) -> Head:
    state = log.read_state(conn)
    name = f"r{state.rev}"
    log.append(conn, state, Decision(kind, ALICE, "", stage, percent_bp, at + state.rev, name, f"alice {kind}", **more))
    return head(conn)


def head(conn: sqlite3.Connection) -> Head:
    assert log.verify(conn).ok
    (row,) = log.rows(conn, limit=1)
    return Head(row.rev, row.hash, log.read_state(conn), "")


def known(conn: sqlite3.Connection) -> RememberedHead:
    now = head(conn)
    return RememberedHead("", now.rev, now.hash, now.state.epoch)


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("promote", {"stage": 4, "percent_bp": 5000}),
        ("undo_rollback", {"stage": 4, "percent_bp": 5000}),
        ("rollback", {"stage": 5, "percent_bp": 2500}),
        ("rollback", {"stage": 3, "percent_bp": 5000}),
        ("hold", {"percent_bp": 10_000, "held": "x"}),
        ("rollback", {"undo": Undo(5, 10_000, 2000.0)}),
        ("rollback", {"undo": Undo(3, 2500, 1e12)}),
        ("rollback", {"setback": Setback(5, 10_000, explained=True)}),
        ("rollback", {"ceiling_bp": 10_000, "percent_bp": 0, "stage": -1}),
        ("rollback", {"entered_at": 1.0}),
        ("rollback", {"epochs_used": 1 << 40}),
        ("rollback", {"restarts": True}),
        ("approve", {"approval": "bo"}),
        ("sign", {}),
        ("resume", {"held": "", "locked": ""}),
        ("ceiling", {}),
        ("kind of a later version", {}),
    ],
)
def test_what_only_an_engine_decides_is_seen_though_rollbacks_follow_it(
    conn: sqlite3.Connection, kind: str, more: dict[str, Any]
) -> None:
    remembered = known(conn)
    add(conn, kind, **{"stage": 3, "percent_bp": 2500, **more})
    add(conn, "rollback", 1, 0)
    finding = examine(conn, remembered)
    assert isinstance(finding, AddedDecisions)
    assert (finding.known.stage, finding.known.percent_bp) == (3, 2500)
    assert f"decisions 4 to 5 of the log ({kind} to" in finding.why
    assert examine(conn, known(conn)) is None  # an engine that has recorded them knows them


def test_what_happens_without_an_engine_or_must_not_wait_is_not_a_finding(conn: sqlite3.Connection) -> None:
    remembered = known(conn)
    add(conn, "hold", 3, 2500, held="alice: looking")
    add(conn, "trigger", 2, 1000, locked="error_high", cooldown_until=3000.0, setback=Setback(3, 2500))
    add(conn, "delete", 2, 1000)
    add(conn, "rollback", 1, 0, undo=Undo(2, 1000, 1000.0), setback=Setback(2, 1000))
    assert examine(conn, remembered) is None
    assert examine(conn, None) is None


def test_a_log_without_the_remembered_head_lacks_it(conn: sqlite3.Connection) -> None:
    finding = examine(conn, replace(known(conn), hash="0" * 64))
    assert isinstance(finding, MissingHead)
    assert "it does not contain decision 3" in finding.why


def test_a_raise_is_remembered_before_it_is_committed_and_whether_or_not_it_is(
    conn: sqlite3.Connection, tmp_path: Path
) -> None:
    memory, before = HeadMemory(tmp_path / "store"), head(conn)
    decision = Decision("promote", ALICE, "", 4, 5000, 1100.0, "up", "alice promoted")
    conn.execute("BEGIN")
    state = log.append(conn, before.state, decision)
    (row,) = log.rows(conn, limit=1)
    assert memory.before(before, decision, Head(row.rev, row.hash, state, "")) is None
    remembered = head_memory.recall(tmp_path / "store")
    assert remembered is not None
    assert (remembered.rev, remembered.coming_rev) == (3, 4)
    assert examine(conn, remembered) is None  # committed, and killed before anything else
    conn.execute("ROLLBACK")
    assert examine(conn, remembered) is None  # killed before the commit
    add(conn, "rollback", 1, 0)  # without an engine, in its place
    assert examine(conn, remembered) is None
    add(conn, "promote", 2, 1000)
    assert isinstance(examine(conn, remembered), AddedDecisions)
    memory.close()


def test_a_raise_that_cannot_be_remembered_is_refused_and_the_engine_s_own_decisions_are_not(
    conn: sqlite3.Connection, tmp_path: Path
) -> None:
    memory, before = HeadMemory(tmp_path / "store"), head(conn)
    up = Decision("promote", ALICE, "", 4, 5000, 1100.0, "up", "alice promoted")
    coming = replace(before, rev=4, state=replace(before.state, rev=4, stage=4, percent_bp=5000))
    assert memory.before(before, up, coming) is None
    folder = head_memory.places(tmp_path / "store")[0].parent
    kept = folder.rename(folder.with_name("heads before"))
    folder.touch()
    try:
        refusal = memory.before(before, up, coming)
        assert refusal is not None
        assert str(folder) in refusal.sentence
        assert memory.before(before, replace(up, actor=ENGINE), coming) is None
        down = Decision("rollback", ALICE, "", 1, 0, 1100.0, "down", "alice rolled back")
        assert memory.before(before, down, replace(before, state=replace(before.state, stage=1, percent_bp=0))) is None
    finally:
        folder.unlink()
        kept.rename(folder)
        memory.close()


def test_the_memory_is_found_by_the_path_that_leads_to_the_folder_too(tmp_path: Path) -> None:
    """Pointing a link at another folder hides nothing."""
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    link = tmp_path / "store"
    link.symlink_to("one")
    memory = HeadMemory(link)
    memory.keep(Head(7, "a" * 64, State(epoch=3), ""))
    memory.close()
    link.unlink()
    link.symlink_to("two")
    remembered = head_memory.recall(link)
    assert remembered is not None
    assert (remembered.rev, os.path.basename(remembered.store)) == (7, "one")
    assert head_memory.recall(tmp_path / "two") is None


def test_an_epoch_that_no_rollout_reaches_breaks_the_chain_and_stops_no_rollback(conn: sqlite3.Connection) -> None:
    """JSON has no such integer, so no one could raise from there; and SQLite has none after it."""
    far = Decision("rollback", ALICE, "", 1, 0, 1100.0, "far", "alice rolled back", epochs_used=(1 << 63) - 2)
    log.append(conn, log.read_state(conn), far)
    trust, checked = log.trusted(conn)
    assert "decision 4 leads to an impossible epoch" in checked.sentence
    assert trust.broken
    down = replace(far, request_id="down", epochs_used=None)
    assert log.commit(conn, "down", lambda state: down, trust=trust).decision is not None


@pytest.mark.skipif(os.geteuid() != 0, reason="files of another user take root")
def test_what_another_user_s_engine_remembers_is_theirs_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shared, store = tmp_path / "shared", tmp_path / "store"
    monkeypatch.setattr(state_folder, "SHARED", shared)
    shared.mkdir()
    store.mkdir(0o700)
    head = Head(7, "a" * 64, State(epoch=3), "")
    for mode in (0o700, 0o770):  # a private store is no one else's business
        store.chmod(mode)
        memory = HeadMemory(store)
        memory.keep(head)
        memory.close()
        assert state_folder.published_path(store, "heads", 0).exists() is (mode == 0o770)
    (shared / "rollout-0").rename(shared / "rollout-65534")
    theirs = state_folder.published_path(store, "heads", 65534)
    assert list(head_memory.memories_of_others(store)) == []  # root's file under another's name
    for path in (theirs, theirs.parent):
        os.chown(path, 65534, 65534)
    assert [(uid, known.rev, known.store) for uid, known in head_memory.memories_of_others(store)] == [(65534, 7, "")]
    plan = parse_plan(default_plan_text())
    folder = Folder(store)
    assert not may_run_an_engine(plan, folder, 65534)  # anyone may make such a file
    os.chown(store, 0, 65534)
    assert may_run_an_engine(plan, folder, 65534)
    assert not may_run_an_engine(replace(plan, access=Access(promote=("alice",))), folder, 65534)
    theirs.parent.chmod(0o777)
    assert list(head_memory.memories_of_others(store)) == []
