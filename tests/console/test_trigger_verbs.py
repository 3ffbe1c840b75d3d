"""What `rollout triggers` answers from a store without an engine."""

from __future__ import annotations

import re
import time
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner
from msgspec.structs import replace

from console.cli import rollout
from engine.client.client import EngineClient, Reply
from engine.measures.record import Extraction
from engine.plan.durations import iso
from engine.plan.load import default_plan_text
from engine.store import database, live
from engine.store.folder import Folder
from engine.store.rollup import insert_and_fold
from engine.triggers import history
from engine.triggers.wording import Reading
from tests.console.samples import REHEARSAL

BEGAN = float(int(time.time()) - 3600)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "rollout.toml").write_text(default_plan_text())
    folder = Folder(tmp_path / "store")
    database.create(folder)
    conn = database.open_writer(folder, "NORMAL")
    conn.execute("BEGIN")
    made = [
        Extraction(BEGAN + n, f"d{n}", "treatment", "llm", 2, 1, attempted=True, lookup=True, ms=900.0)
        for n in range(600)
    ]
    insert_and_fold(conn, made)
    for at, held in ((BEGAN + 290.0, 290.0), (BEGAN + 300.4, 300.4)):
        output = Reading("error_critical", "breach", 0.06, 0.05, 50, 3, held, 300.0, "literal", "errors", "", max(0.0, 300.0 - held))  # fmt: skip
        history.keep(conn, at, [output])
    conn.execute("COMMIT")
    conn.close()
    return tmp_path


def triggers(root: Path, *words: str) -> str:
    where = ["--plan", str(root / "rollout.toml"), "--store", str(root / "store")]
    done = CliRunner().invoke(rollout, [*where, "triggers", *words])
    assert done.exit_code == 0, done.output
    return done.output


def test_why_at_a_second_of_the_log_covers_that_whole_second(root: Path) -> None:
    assert "it fired" in triggers(root, "why", "error_critical", "--at", iso(BEGAN + 300))
    assert "it had not fired yet" in triggers(root, "why", "error_critical", "--at", iso(BEGAN + 299))


def test_a_fault_after_the_last_stored_attempt_is_reported_as_out_of_sight_and_not_to_be_missed(root: Path) -> None:
    beyond = triggers(root, "backtest", "--days", "365", "--inject", "error=50%@t+30m")
    assert "the stored attempts end at t+" in beyond
    assert "was not found" not in beyond
    assert "after the fault" in triggers(root, "backtest", "--days", "365", "--inject", "error=50%@t+2m")


def test_a_backtest_names_the_triggers_that_it_cannot_replay(root: Path) -> None:
    plan = root / "rollout.toml"
    assert "not replayed" not in triggers(root, "backtest", "--days", "365")
    plan.write_text(plan.read_text().replace('metric = "cache_hit_rate"\nbelow', 'metric = "quality_score"\nbelow'))
    shown = triggers(root, "backtest", "--days", "365")
    assert "not replayed, because the store keeps documents and not every figure: cache_low (quality_score)" in shown


def test_a_backtest_reports_once_per_set_of_rules_whether_the_gate_has_it(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = root / "rollout.toml"
    same, other = tmp_path / "same.toml", tmp_path / "other.toml"
    same.write_text(plan.read_text())
    other.write_text(plan.read_text().replace('above = "5 %"', 'above = "50 %"'))
    assert other.read_text() != plan.read_text()
    refused = triggers(root, "backtest", "--days", "365", "--with", str(other))
    assert refused.count("Not kept for the gate") == 1, "no engine runs, for either"

    monkeypatch.setattr(EngineClient, "command", lambda *_, **__: Reply(True, "", {}))
    kept = triggers(root, "backtest", "--days", "365", "--with", str(same))
    assert re.findall(r"Kept for the gate \((.*): rules", kept) == [f"today and {same}"]
    kept = triggers(root, "backtest", "--days", "365", "--with", str(other))
    assert re.findall(r"Kept for the gate \((.*): rules", kept) == ["today", str(other)]
    assert "Kept for the gate (rules" in triggers(root, "backtest", "--days", "365")


def test_the_past_is_before_the_engine_s_clock_not_the_machine_s(root: Path) -> None:
    """A rehearsal's calendar runs ahead."""
    ahead = time.time() + 7200
    conn = database.open_writer(Folder(root / "store"), "NORMAL")
    conn.execute("BEGIN")
    live.write(conn, ahead, msgspec.json.encode(replace(REHEARSAL, at=ahead)))
    conn.execute("COMMIT")
    conn.close()
    where = ["--plan", str(root / "rollout.toml"), "--store", str(root / "store")]
    done = CliRunner().invoke(rollout, [*where, "status", "--at", iso(ahead - 60)])
    assert "in the future" not in done.output
    done = CliRunner().invoke(rollout, [*where, "status", "--at", iso(ahead + 60)])
    assert "in the future" in done.output
