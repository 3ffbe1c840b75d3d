"""What is shown of an engine that does not answer: nothing is lowered on a guess."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import msgspec
from msgspec.structs import replace

from console.link import StoreLink, uncertain
from console.liveness import SeenEngine, judge
from console.rollback_attempt import RollbackAttempt
from engine.rollout.state import State
from engine.store import database, live
from engine.store.folder import Folder
from tests.console.samples import NORMAL, PLAN


def test_an_engine_that_does_not_answer_is_never_shown_below_what_may_be_in_force() -> None:
    older = replace(NORMAL, stage=1, percent_bp=0, effective_bp=0, rev=40)
    seen = uncertain(older, State(rev=41, stage=2, percent_bp=1000), armed=True)
    assert (seen.stage, seen.stage_name, seen.percent_bp, seen.effective_bp) == (2, NORMAL.stage_names[2], 1000, 1000)
    assert "NOT CERTAIN: 10 % may be in force, as recorded (decision 41)" in seen.health_sentence
    held_down = replace(NORMAL, effective_bp=0, why_effective="the triggers were not evaluated for 31 s")
    seen = uncertain(held_down, State(rev=NORMAL.rev, percent_bp=1000), armed=True)
    assert (seen.effective_bp, seen.why_effective, seen.health) == (1000, "", "alert")
    assert uncertain(held_down, None, armed=True).effective_bp == 1000  # nor while the store cannot be read
    assert uncertain(held_down, State(rev=41, percent_bp=1000), armed=False) is held_down
    assert uncertain(held_down, State(rev=41, percent_bp=1000, ceiling_bp=0), armed=True) is held_down
    assert uncertain(NORMAL, State(rev=NORMAL.rev, percent_bp=1000), armed=True) is NORMAL


def test_a_silent_engine_that_is_not_stopped_is_not_certified_to_be_at_zero() -> None:
    """Its heartbeat is a row of the store: the store may be what is stuck."""
    silent = judge(SeenEngine(1000.0, 7, "runs", 30.0), 1060.0)
    assert "NOT CERTAIN" in silent.sentence
    assert "every router is at 0 %" not in silent.sentence
    stopped = judge(SeenEngine(1000.0, 7, "stopped", 30.0), 1060.0)
    assert "NOT CERTAIN" in stopped.sentence
    assert "every router is at 0 %" not in stopped.sentence
    out = judge(SeenEngine(1000.0, 7, "runs", 30.0), 1060.0, armed=False)
    assert "no LLM call can start" in out.sentence


def test_a_store_deleted_under_a_console_is_not_one_named_by_mistake(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "store")
    database.create(folder)
    now = time.time()
    conn = database.open_writer(folder, "NORMAL")
    conn.execute("BEGIN")
    live.write(conn, now, msgspec.json.encode(replace(NORMAL, at=now, engine=replace(NORMAL.engine, pid=os.getpid()))))
    conn.execute("COMMIT")
    conn.close()
    link = StoreLink(folder, PLAN)
    assert link.poll().view is not None
    shutil.rmtree(folder.path)
    seen = link.poll()
    assert seen.liveness.state == "gone"
    assert f"{folder.path} is gone" in seen.liveness.sentence
    assert f"`kill {os.getpid()}`" in seen.liveness.sentence  # it may still run, and no command reaches it
    attempt = RollbackAttempt(link, "", 0, lambda: None)
    attempt.result = link.rollback()
    assert attempt.sentence(seen) == seen.liveness.sentence
    assert "There is no store" in StoreLink(folder, PLAN).poll().liveness.sentence
