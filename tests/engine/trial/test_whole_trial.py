"""The A/B test from its declaration to its verdict, on a real engine and store with a clock that a test moves."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import math
import random
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from console.cli import rollout
from engine.measures.record import Extraction
from engine.plan.load import load_plan
from engine.plan.model import Plan
from engine.rollout.state import Actor, Ask, Decision, State
from engine.routing import buckets
from engine.service.engine import Engine
from engine.service.trials import Trials
from engine.store import future
from engine.store.documents import DocumentWrite
from engine.store.folder import Folder
from engine.trial import ledger
from engine.trial.results import assignments, results, trial_status
from engine.triggers.measurement import Error, Ok
from tests.clock import ManualClock

pytestmark = pytest.mark.anyio
PLAN = load_plan(Path(__file__).parents[3] / "rollout.toml")
DAY = 86400.0

# The rollout plan's example analysis script, verbatim.
SCRIPT = """
# Example analysis script
import json
import scipy.stats as stats

with open('ab_test_results.json') as f:
    data = json.load(f)

control = data['control']['search_quality_scores']
treatment = data['treatment']['search_quality_scores']

t_stat, p_value = stats.ttest_ind(control, treatment)
print(f"T-statistic: {t_stat}, P-value: {p_value}")

if p_value < 0.05 and treatment.mean() > control.mean():
    print("LLM extraction shows statistically significant improvement")
"""


class Lab:
    """An opened engine without a heart: the test beats for it."""

    def __init__(self, folder: Path, plan: Plan = PLAN) -> None:
        self.clock = ManualClock()
        self.engine = Engine(plan, Folder(folder), self.clock)
        self.trials = Trials(self.engine)
        self.chance = random.Random(3)
        self.made = 0

    async def at(self, stage: int, percent_bp: int) -> None:
        ask = Ask(Actor("ann"), self.clock.now(), f"to {stage} {percent_bp} {self.clock.now()}")

        def decide(state: State) -> Decision:
            kind = "promote" if percent_bp >= state.percent_bp else "rollback"
            return Decision(kind, ask.actor, "", stage, percent_bp, ask.at, ask.request_id, "moved by a test")

        await self.engine.commit(ask, decide)
        self.arm()

    def arm(self) -> None:
        self.engine.folder.prepare_armed_file(f"stage {self.engine.state.stage}")
        self.engine.folder.arm()
        self.engine.switch.armed = self.engine.folder.armed_stamp()

    async def beat(self) -> None:
        """Beat until nothing is due any more."""
        for _ in range(8):
            self.engine.switch.evaluated()
            self.trials.tick()
            if self.trials._work is None:
                return
            await self.trials._work

    async def load(self, count: int, better: float = 0.5, wrong_split: bool = False) -> None:
        """Documents whose titles the frequency keywords hit in half of the cases, the LLM's in half and `better` of the rest."""
        engine, state = self.engine, self.engine.state
        waits = []
        for _ in range(count):
            self.made += 1
            name = f"doc-{self.made}"
            arm = buckets.arm(PLAN.salt, name, state.percent_bp)
            if wrong_split and arm == "control" and self.chance.random() < 0.3:
                continue
            topic = f"topic{self.made}x"
            hit = ("intro", topic)
            missed = ("intro", f"other{self.made}y")
            plain = hit if self.chance.random() < 0.5 else missed
            llm = hit if plain == hit or self.chance.random() < better else missed
            text = f"# About {topic}\n\nbody"
            treated = arm == "treatment"
            now = self.clock.now()
            record = Extraction(
                now, name, arm, "llm" if treated else "frequency", state.stage, state.epoch, attempted=treated, lookup=treated,
                ms=self.chance.uniform(500, 900) if treated else 2.0, keywords=2, proposed=2 if treated else 0,
            )  # fmt: skip
            write = DocumentWrite(
                name, f"About {topic}", text, hashlib.sha256(text.encode()).hexdigest(), now, arm, record.method, plain, (),
                llm if treated else None, (), state.stage, state.epoch,
            )  # fmt: skip
            waits.append(engine.writer.append(record, write))
            self.clock.advance(0.01)
        for wait in waits:
            wait.result(60)

    async def days(self, number: int, documents: int = 250, measures: bool = False, **more: Any) -> None:
        """`measures`: the paired measurement of search quality, which takes most of a day's CPU."""
        for _ in range(number):
            if not measures:
                self.trials._measured = self.clock.now() + 2 * DAY
            await self.load(documents, **more)
            self.clock.advance(DAY)
            await self.beat()


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    made = Lab(tmp_path / "store")
    await made.engine.open()
    yield made
    await made.engine.stop()


def kinds(lab: Lab) -> list[str]:
    return [row[0] for row in lab.engine.conn.execute("SELECT kind FROM decision ORDER BY rev")]


async def test_a_test_is_declared_watched_read_once_and_ended(lab: Lab, tmp_path: Path) -> None:
    await lab.at(3, 2500)
    await lab.beat()
    await lab.load(50)
    assert ledger.last(lab.engine.conn) is None  # documents before the start are not of the test
    await lab.at(4, 5000)
    await lab.beat()
    trial = ledger.running(lab.engine.conn)
    assert trial is not None
    assert trial.declaration.days == 7.0
    assert trial.declaration.primary.worthwhile == 0.15
    declared = lab.engine.conn.execute("SELECT body FROM decision WHERE kind = 'ab_begin'").fetchone()[0]
    assert "documents_per_arm" in declared

    await lab.days(6)
    result = trial_status(lab.engine.conn, lab.clock.now())
    assert result is not None
    assert [look.number for look in result.report.looks] == [1, 2, 3, 4, 5, 6]
    assert result.report.verdict.word == "not yet"
    assert all(metric.fixed is None for metric in result.report.metrics)
    lab.engine.monitor.gatekeeper._facts = None
    for metric in ("ab_verdict", "ab_improvement"):
        waits = lab.engine.monitor.gatekeeper.facts(lab.engine.state).samples[metric]
        assert isinstance(waits, Error)
        assert "to go" in waits.sentence

    await lab.days(1, measures=True)
    result = trial_status(lab.engine.conn, lab.clock.now())
    assert result is not None
    quality = result.report.metric("search_quality")
    assert quality.fixed is not None
    assert result.report.verdict.word == "ship", result.report.verdict
    lab.engine.monitor.gatekeeper._facts, lab.engine.monitor.gatekeeper._facts_at = None, -math.inf
    facts = lab.engine.monitor.gatekeeper.facts(lab.engine.state)
    assert facts.samples["ab_verdict"] == Ok(1.0, 1)
    assert facts.sentences["ab_verdict"] == "yes: ship"
    improved = facts.samples["ab_improvement"]  # what screen 6 shows is what the gate judges
    assert isinstance(improved, Ok)
    assert quality.change is not None
    assert improved.value == quality.change.estimate
    worse = result.report.verdict.worse
    assert worse
    assert all(one in facts.sentences["negative_impacts"] for one in worse)

    read = result.report
    await lab.days(2, better=-1.0)  # worse from here on, and it counts no more
    result = trial_status(lab.engine.conn, lab.clock.now())
    assert result is not None
    assert result.report == read
    assert result.trial.why == "its result was read"
    drawn = assignments(lab.engine.conn, "unused", 0)
    assert drawn["summary"]["total"] == read.ratio.control + read.ratio.treatment == 7 * 250
    assert all(buckets.arm(PLAN.salt, name, 5000) == arm for name, arm in drawn["assignments"].items())

    written = results(lab.engine.conn, lab.clock.now())
    (tmp_path / "ab_test_results.json").write_text(json.dumps(written))
    assert plan_script(tmp_path)[2]

    await lab.at(5, 10_000)
    await lab.beat()
    assert kinds(lab).count("ab_begin") == 1
    assert "ab_end" not in kinds(lab)  # it had ended when it was read


def plan_script(folder: Path) -> tuple[float, float, bool]:
    """Run the plan's script unchanged where `json.load` gives arrays: (t, p, whether it finds the LLM better)."""
    out = io.StringIO()
    load = json.load

    def arrays(file: Any) -> Any:
        data = load(file)
        for arm in ("control", "treatment"):
            data[arm]["search_quality_scores"] = np.array(data[arm]["search_quality_scores"])
        return data

    with contextlib.chdir(folder), contextlib.redirect_stdout(out), pytest.MonkeyPatch.context() as patch:
        patch.setattr(json, "load", arrays)
        exec(compile(SCRIPT, "the plan's script", "exec"), {})
    first, *rest = out.getvalue().splitlines()
    t, p = (float(part.rsplit(" ", 1)[1]) for part in first.split(","))
    return t, p, rest == ["LLM extraction shows statistically significant improvement"]


async def test_the_plan_s_script_prints_the_p_value_that_the_report_has(lab: Lab, tmp_path: Path) -> None:
    await lab.at(4, 5000)
    await lab.beat()
    await lab.days(7, documents=220, better=0.1)
    written = results(lab.engine.conn, lab.clock.now())
    (tmp_path / "ab_test_results.json").write_text(json.dumps(written))
    t, p, _ = plan_script(tmp_path)
    metric = next(m for m in written["report"]["metrics"] if m["name"] == "search_quality")
    assert metric["fixed"]["plan_p"] == pytest.approx(p, rel=1e-9)
    assert np.sign(metric["fixed"]["statistic"]) == np.sign(t)


async def test_a_change_of_percentage_ends_the_test_and_its_figures_count_for_no_other(lab: Lab) -> None:
    await lab.at(4, 5000)
    await lab.beat()
    await lab.load(300)
    await lab.at(4, 2500)  # for example halved by a trigger
    await lab.beat()
    await lab.load(100)
    assert ledger.running(lab.engine.conn) is None
    await lab.at(4, 5000)
    await lab.beat()
    again = ledger.running(lab.engine.conn)
    assert again is not None
    assert again.id == 2
    control, treatment = ledger.stats(lab.engine.conn, again.id)
    assert (control.documents, treatment.documents) == (0, 0)
    assert kinds(lab).count("ab_end") == 1


async def test_no_test_begins_while_routers_obey_less_than_was_decided(lab: Lab) -> None:
    await lab.at(4, 5000)
    lab.engine.folder.disarm()
    await lab.beat()
    assert ledger.last(lab.engine.conn) is None
    lab.arm()
    await lab.beat()
    assert ledger.running(lab.engine.conn) is not None


async def test_what_cannot_be_counted_costs_no_document(lab: Lab) -> None:
    await lab.at(4, 5000)
    await lab.beat()

    def spoil(conn: sqlite3.Connection) -> None:
        conn.execute("UPDATE trial_arm SET bucket = x'c1', measures = 'x'")

    lab.engine.writer.later(spoil)
    await lab.load(1)
    await lab.load(20)
    assert lab.engine.conn.execute("SELECT count(*) FROM extraction").fetchone()[0] == 21
    assert "could not be written" in lab.engine.writer.problem


async def test_a_router_that_loses_documents_of_one_arm_is_found_and_voids_the_test(lab: Lab) -> None:
    await lab.at(4, 5000)
    await lab.beat()
    await lab.days(2, documents=1200, wrong_split=True)
    result = trial_status(lab.engine.conn, lab.clock.now())
    assert result is not None
    assert result.report.verdict.word == "void"
    assert "void" in lab.engine.judged["ab_test"]


async def test_an_engine_that_restarts_continues_the_test(lab: Lab) -> None:
    await lab.at(4, 5000)
    await lab.beat()
    await lab.days(2)
    before = ledger.running(lab.engine.conn)
    other = Trials(lab.engine)
    other.restore()
    lab.trials = other
    await lab.days(1)
    after = ledger.running(lab.engine.conn)
    assert before is not None
    assert after is not None
    assert before.report is not None
    assert after.report is not None
    assert (after.id, after.report.looks[:2]) == (before.id, before.report.looks)
    assert kinds(lab).count("ab_begin") == 1


async def set_clock(lab: Lab, step: float) -> None:
    """As the control loop does when it sees the wall clock set."""
    lab.clock.step_wall(step)
    now = lab.clock.now()
    lab.trials.clock_was_set(now, step)
    lab.engine.writer.write(lambda conn: future.bring_back(conn, now, step)).result(60)
    await lab.beat()


@pytest.mark.parametrize("steps", [(8 * DAY, -8 * DAY), (-DAY,), (DAY,)])
async def test_the_test_keeps_its_length_when_the_clock_is_set(lab: Lab, steps: tuple[float, ...]) -> None:
    """Every document is scored and read in time, and the test is read once it has run for as long as declared."""
    await lab.at(4, 5000)
    await lab.beat()
    await lab.days(2)
    for step in steps:
        await set_clock(lab, step)
    await lab.days(4)
    running = ledger.running(lab.engine.conn)
    assert running is not None
    assert running.report is not None
    assert [look.number for look in running.report.looks] == [1, 2, 3, 4, 5, 6]
    assert running == lab.trials._trial
    await lab.days(1)
    read = ledger.last(lab.engine.conn)
    assert read is not None
    assert read.why == "its result was read"
    (unscored,) = lab.engine.conn.execute("SELECT count(*) FROM trial_document WHERE search IS NULL").fetchone()
    assert unscored < 250  # documents a day; a few have no words to search for


async def test_who_only_looks_reads_nothing_that_is_read_once(lab: Lab) -> None:
    await lab.at(4, 5000)
    await lab.beat()
    await lab.load(2000)
    lab.clock.advance(8 * DAY)  # the end is past, and no engine has beaten since
    result = trial_status(lab.engine.conn, lab.clock.now())
    assert result is not None
    assert result.report.looks == ()
    assert all(metric.fixed is None for metric in result.report.metrics)
    assert "has not read the test yet" in result.report.verdict.sentence


async def test_measuring_on_request_fills_the_scores_that_the_script_reads(lab: Lab) -> None:
    await lab.at(4, 5000)
    await lab.beat()
    await lab.load(60)
    lab.clock.advance(60.0)
    assert results(lab.engine.conn, lab.clock.now())["control"]["search_quality_scores"] == []
    lab.engine.search_asked = lab.engine.ask("a person presses m in the first hour")
    await lab.beat()
    result = results(lab.engine.conn, lab.clock.now())
    assert len(result["control"]["search_quality_scores"]) > 10
    assert len(result["treatment"]["search_quality_scores"]) > 10
    assert "measure" in kinds(lab)


def scores(folder: Path, control: list[float], treatment: list[float]) -> Path:
    body = {"control": {"search_quality_scores": control}, "treatment": {"search_quality_scores": treatment}}
    path = folder / "ab_test_results.json"
    path.write_text(json.dumps(body))
    return path


def corrected_script(*words: str) -> Result:
    return CliRunner().invoke(rollout, ["ab-test", "script", *words])


BETTER = "LLM extraction shows statistically significant improvement"


@pytest.mark.parametrize(
    ("control", "treatment", "sentence"),
    [
        ([0.1, 0.2, 0.1, 0.2] * 10, [0.8, 0.9, 0.8, 0.9] * 10, BETTER),
        ([0.8, 0.9, 0.8, 0.9] * 10, [0.1, 0.2, 0.1, 0.2] * 10, "LLM extraction is significantly worse"),
        ([0.1, 0.9] * 10, [0.2, 0.9] * 10, "No statistically significant difference"),
    ],
)
def test_the_corrected_script_runs_to_its_end_on_lists(
    control: list[float],
    treatment: list[float],
    sentence: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "argv", ["analysis.py", str(scores(tmp_path, control, treatment))])
    printed = corrected_script()
    assert printed.exit_code == 0, printed.output
    exec(compile(printed.output, "analysis.py", "exec"), {})
    assert capsys.readouterr().out.splitlines()[-1] == sentence


def test_the_corrected_script_runs_as_a_process_and_by_the_verb(tmp_path: Path) -> None:
    scores(tmp_path, [0.1, 0.2] * 20, [0.8, 0.9] * 20)
    made = corrected_script("--output", str(tmp_path / "analysis.py"))
    assert made.exit_code == 0, made.output
    ended = subprocess.run([sys.executable, "analysis.py"], cwd=tmp_path, capture_output=True, text=True)
    assert BETTER in ended.stdout, ended.stderr
    assert ended.returncode == 0
    run = corrected_script("--run", str(scores(tmp_path, [], [])))
    assert run.exit_code == 1
    assert "Too few scores to compare: 0 of the control group" in run.output
    run = corrected_script("--run", str(scores(tmp_path, [0.8, 0.9] * 20, [0.1, 0.2] * 20)))
    assert run.exit_code == 0, run.output
    assert "LLM extraction is significantly worse" in run.output
