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
def rig(tmp_path: Path) -> Iterator[EngineRig]:
    with EngineRig(tmp_path, QUIET) as made:
        made.engine()
        yield made


def change(rig: EngineRig, statement: str, *values: object) -> None:
    with contextlib.closing(sqlite3.connect(rig.folder.database, timeout=10.0, isolation_level=None)) as other:
        other.execute(statement, values)


def llm_calls(rig: EngineRig) -> int:
    row = rig.reader.read(
        lambda conn: conn.execute("SELECT count(*) FROM extraction WHERE attempted OR method = 'llm'").fetchone()
    )
    return int(row[0])


@pytest.mark.parametrize("stage_number", [1, 2])
def test_a_percentage_written_into_the_row_is_0_percent_and_an_alarm(rig: EngineRig, stage_number: int) -> None:
    rig.climb(stage_number)
    before = llm_calls(rig)
    change(rig, "UPDATE control SET percent_bp = 10000")
    rig.folder.armed.touch()
    answers = [rig.extract(f"tampered-{n}") for n in range(30)]
    assert [a["method"] for a in answers].count("llm") == 0
    assert rig.until(lambda: "rollback" in rig.kinds(), 5)
    row = rig.reader.log(3, kind="rollback")[0]
    assert "the control row has percentage in basis points 10000" in row.sentence
    assert rig.until(lambda: any("ALARM" in sentence for _, sentence in rig.view.events))
    assert rig.reader.read(log.verify).ok  # recording the rollback has set the row right
    assert rig.percent_bp == 0
    assert stage_number == 2 or llm_calls(rig) == before


def test_verify_covers_the_rows_columns(rig: EngineRig) -> None:
    rig.climb(2)
    rig.processes[-1].kill()
    rig.processes[-1].wait()
    for column, value in (("percent_bp", 10_000), ("epoch", 99), ("rev", 99)):
        (was,) = rig.reader.read(lambda conn, c=column: conn.execute(f"SELECT {c} FROM control").fetchone())
        change(rig, f"UPDATE control SET {column} = ?", value)
        content = rig.reader.read(log.verify)
        assert not content.ok, column
        assert content.chain
        done = rig.cli("log", "--verify")
        assert done.returncode == 1
        change(rig, f"UPDATE control SET {column} = ?", was)
        assert rig.reader.read(log.verify).ok


def test_an_empty_head_is_an_error(rig: EngineRig) -> None:
    done = rig.cli("log", "--verify", "--head", "")
    assert done.returncode == 2
    assert "is not a head" in done.stderr


def test_a_row_changed_while_no_engine_ran_is_rolled_back_at_the_start(rig: EngineRig) -> None:
    rig.climb(2)
    rig.processes[-1].kill()
    rig.processes[-1].wait()
    change(rig, "UPDATE control SET percent_bp = 10000")
    rig.engine()
    assert rig.until(lambda: rig.percent_bp == 0)
    assert "rollback" in rig.kinds()
    assert rig.reader.read(log.verify).ok
    assert rig.extract("after the start")["method"] == "frequency"


def test_a_whole_decision_forged_into_the_log_is_not_in_force(rig: EngineRig) -> None:
    """Its chain is valid and the row agrees with it: the only sign is that this engine did not record it."""
    rig.climb(2)
    conn = database.open_writer(rig.folder, "NORMAL", 10.0)
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
    answers = [rig.extract(f"forged-{n}") for n in range(30)]
    assert [a["method"] for a in answers].count("llm") == 0
    assert rig.until(lambda: rig.percent_bp == 0, 5)
    assert rig.until(lambda: any("ALARM" in sentence for _, sentence in rig.view.events))


def test_no_raise_on_a_row_that_differs(rig: EngineRig) -> None:
    rig.climb(1)
    state = rig.reader.state()
    text = rig.reader.read(lambda conn: conn.execute("SELECT state FROM control").fetchone()[0])
    change(rig, "UPDATE control SET state = ?", json.dumps({**json.loads(text), "stage": 4}))
    reply = rig.client.command("promote", epoch=state.epoch, override=True, reason="on a changed row")
    assert not reply.ok, reply.sentence
    assert rig.until(lambda: rig.reader.read(log.verify).ok)
    assert rig.percent_bp == 0


def test_a_planted_trigger_is_dropped_before_it_acts_and_is_an_alarm(rig: EngineRig) -> None:
    blocks = "CREATE TRIGGER blocks BEFORE INSERT ON decision BEGIN SELECT RAISE(ABORT, 'no'); END"
    rig.climb(2)
    change(rig, blocks)
    assert rig.until(lambda: rig.percent_bp == 0)
    assert "trigger blocks was added" in rig.reader.log(1, kind="rollback")[0].reason
    assert rig.until(lambda: any("ALARM: trigger blocks" in sentence for _, sentence in rig.view.events))
    rig.climb(2)
    rig.processes[-1].kill()
    rig.processes[-1].wait()
    change(rig, blocks)
    verified = rig.cli("log", "--verify")
    assert verified.returncode == 1
    assert "trigger blocks was added" in verified.stderr
    rig.engine()
    assert rig.until(lambda: rig.percent_bp == 0)
    assert "trigger blocks was added" in rig.reader.log(1, kind="rollback")[0].reason
    assert rig.cli("log", "--verify").returncode == 0
