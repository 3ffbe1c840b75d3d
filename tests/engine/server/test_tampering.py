"""The verified log decides what is in force, whoever else may write the store's files."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from engine.store import database, log
from tests.engine.service.rig import QUIET, EngineRig


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[EngineRig]:
    with EngineRig(tmp_path, QUIET) as made:
        made.engine()
        yield made


def change(stage: EngineRig, statement: str, *values: object) -> None:
    with contextlib.closing(sqlite3.connect(stage.folder.database, timeout=10.0, isolation_level=None)) as other:
        other.execute(statement, values)


def llm_calls(stage: EngineRig) -> int:
    row = stage.reader.read(
        lambda conn: conn.execute("SELECT count(*) FROM extraction WHERE attempted OR method = 'llm'").fetchone()
    )
    return int(row[0])


@pytest.mark.parametrize("stage_number", [1, 2])
def test_a_percentage_written_into_the_row_is_0_percent_and_an_alarm(stage: EngineRig, stage_number: int) -> None:
    stage.climb(stage_number)
    before = llm_calls(stage)
    change(stage, "UPDATE control SET percent_bp = 10000")
    stage.folder.armed.touch()
    answers = [stage.extract(f"tampered-{n}") for n in range(30)]
    assert [a["method"] for a in answers].count("llm") == 0
    assert stage.until(lambda: "rollback" in stage.kinds(), 5)
    row = stage.reader.log(3, kind="rollback")[0]
    assert "the control row has percentage in basis points 10000" in row.sentence
    assert stage.until(lambda: any("ALARM" in sentence for _, sentence in stage.view.events))
    assert stage.reader.read(log.verify).ok  # recording the rollback has set the row right
    assert stage.percent_bp == 0
    assert stage_number == 2 or llm_calls(stage) == before


def test_verify_covers_the_rows_columns(stage: EngineRig) -> None:
    stage.climb(2)
    stage.processes[-1].kill()
    stage.processes[-1].wait()
    for column, value in (("percent_bp", 10_000), ("epoch", 99), ("rev", 99)):
        (was,) = stage.reader.read(lambda conn, c=column: conn.execute(f"SELECT {c} FROM control").fetchone())
        change(stage, f"UPDATE control SET {column} = ?", value)
        content = stage.reader.read(log.verify)
        assert not content.ok, column
        assert content.chain
        done = stage.cli("log", "--verify")
        assert done.returncode == 1
        change(stage, f"UPDATE control SET {column} = ?", was)
        assert stage.reader.read(log.verify).ok


def test_an_empty_head_is_an_error(stage: EngineRig) -> None:
    done = stage.cli("log", "--verify", "--head", "")
    assert done.returncode == 2
    assert "is not a head" in done.stderr


def test_a_row_changed_while_no_engine_ran_is_rolled_back_at_the_start(stage: EngineRig) -> None:
    stage.climb(2)
    stage.processes[-1].kill()
    stage.processes[-1].wait()
    change(stage, "UPDATE control SET percent_bp = 10000")
    stage.engine()
    assert stage.percent_bp == 0
    assert "rollback" in stage.kinds()
    assert stage.reader.read(log.verify).ok
    assert stage.extract("after the start")["method"] == "frequency"


def test_a_whole_decision_forged_into_the_log_is_not_in_force(stage: EngineRig) -> None:
    """Its chain is valid and the row agrees with it: the only sign is that this engine did not record it."""
    stage.climb(2)
    conn = database.open_writer(stage.folder, "NORMAL", 10.0)
    with contextlib.closing(conn):
        conn.execute("BEGIN IMMEDIATE")
        state = log.read_state(conn)
        last = log.rows(conn, limit=1)[0].decision
        forged = {
            "kind": "promote",
            "stage": 5,
            "percent_bp": 10_000,
            "request_id": "forged",
            "sentence": "bo promoted",
        }
        log.append(conn, state, replace(last, **forged))
        conn.execute("COMMIT")
    answers = [stage.extract(f"forged-{n}") for n in range(30)]
    assert [a["method"] for a in answers].count("llm") == 0
    assert stage.until(lambda: stage.percent_bp == 0, 5)
    assert any("ALARM" in sentence for _, sentence in stage.view.events)


def test_no_raise_on_a_row_that_differs(stage: EngineRig) -> None:
    stage.climb(1)
    state = stage.reader.state()
    text = stage.reader.read(lambda conn: conn.execute("SELECT state FROM control").fetchone()[0])
    change(stage, "UPDATE control SET state = ?", json.dumps({**json.loads(text), "stage": 4}))
    reply = stage.client.command("promote", epoch=state.epoch, override=True, reason="on a changed row")
    assert not reply.ok, reply.sentence
    assert stage.until(lambda: stage.reader.read(log.verify).ok)
    assert stage.percent_bp == 0


def test_a_planted_trigger_is_dropped_before_it_acts_and_is_an_alarm(stage: EngineRig) -> None:
    blocks = "CREATE TRIGGER blocks BEFORE INSERT ON decision BEGIN SELECT RAISE(ABORT, 'no'); END"
    stage.climb(2)
    change(stage, blocks)
    assert stage.until(lambda: stage.percent_bp == 0)
    assert "trigger blocks was added" in stage.reader.log(1, kind="rollback")[0].reason
    assert stage.until(lambda: any("ALARM: trigger blocks" in sentence for _, sentence in stage.view.events))
    stage.climb(2)
    stage.processes[-1].kill()
    stage.processes[-1].wait()
    change(stage, blocks)
    verified = stage.cli("log", "--verify")
    assert verified.returncode == 1
    assert "trigger blocks was added" in verified.stderr
    stage.engine()
    assert stage.percent_bp == 0
    assert "trigger blocks was added" in stage.reader.log(1, kind="rollback")[0].reason
    assert stage.cli("log", "--verify").returncode == 0
