"""Seven days at 100 % are counted day by day: what resets the count is an incident, another percentage or a day outside its targets."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import pytest

from engine.gate import conditions
from engine.gate.stability import stability
from engine.measures.record import Extraction
from engine.plan.load import default_plan_text, parse_plan
from engine.rollout.control import hold, roll_back
from engine.rollout.state import ENGINE, Actor, Ask, Decision, State, transition
from engine.store import log
from engine.store.migrations import migrate
from engine.store.rollup import insert_and_fold

PLAN = parse_plan(default_plan_text())
DAY = 86400.0
START = 20_000 * DAY + 3600.0  # one o'clock in the morning, UTC
ALICE = Actor("alice")


class Rollout:
    """A store in which the last stage began at START."""

    def __init__(self, conn: sqlite3.Connection) -> None:
        self.conn = conn
        self.state = State()
        self.decide(Decision("promote", ALICE, "", PLAN.last_stage, 10_000, START, "up", "alice promoted"))

    def decide(self, decision: Decision) -> None:
        log.append(self.conn, self.state, decision)
        self.state = transition(self.state, decision)

    def documents(self, at: float, n: int, failed: int = 0, ms: float = 700.0) -> None:
        rows = [
            Extraction(
                at, f"d{i}", "treatment", "frequency" if i < failed else "llm", PLAN.last_stage, self.state.epoch, attempted=True,
                error="timeout" if i < failed else None, ms=ms, lookup=True, keywords=10,
            )
            for i in range(n)
        ]  # fmt: skip
        hits = [
            Extraction(at, f"h{i}", "treatment", "llm", PLAN.last_stage, self.state.epoch, cached=True, lookup=True, keywords=10)
            for i in range(n)
        ]  # fmt: skip
        insert_and_fold(self.conn, [*rows, *hits])

    def at(self, days: float) -> tuple[float, str]:
        """(clean days, what reset them)."""
        stable = stability(self.conn, PLAN, self.state, START + days * DAY)
        assert stable is not None
        return stable.clean_s / DAY, stable.reset


@pytest.fixture
def rollout() -> Iterator[Rollout]:
    conn = sqlite3.connect(":memory:", isolation_level=None)
    migrate(conn)
    yield Rollout(conn)
    conn.close()


def test_clean_days_count_from_the_beginning_of_the_stage(rollout: Rollout) -> None:
    for day in range(7):
        rollout.documents(START + day * DAY, 300, failed=1)
    assert rollout.at(6.5) == (6.5, "")


def test_an_incident_resets_the_count_and_is_named(rollout: Rollout) -> None:
    asked = Ask(ENGINE, START + 3 * DAY, "h", "error_creep")
    decision = hold(rollout.state, asked)
    assert isinstance(decision, Decision)
    rollout.decide(decision)
    clean, reset = rollout.at(5)
    assert clean == pytest.approx(2.0)
    assert "incident" in reset


def test_a_person_s_hold_is_not_an_incident(rollout: Rollout) -> None:
    decision = hold(rollout.state, Ask(ALICE, START + 3 * DAY, "h", "holidays"))
    assert isinstance(decision, Decision)
    rollout.decide(decision)
    assert rollout.at(5) == (5.0, "")


@pytest.mark.parametrize(("failed", "ms", "word"), [(6, 700.0, "error rate"), (0, 2500.0, "mean latency")])
def test_a_day_outside_its_targets_resets_the_count_at_its_end(
    rollout: Rollout, failed: int, ms: float, word: str
) -> None:
    rollout.documents(START, 300)
    rollout.documents(START + 2 * DAY, 300, failed=failed, ms=ms)
    rollout.documents(START + 3 * DAY, 3000)  # six good days do not make up for it
    clean, reset = rollout.at(6)
    assert clean == pytest.approx(6 - (3 - 1 / 24))
    assert word in reset


def test_a_day_of_a_handful_of_documents_shows_nothing(rollout: Rollout) -> None:
    rollout.documents(START + DAY, 10, failed=2)
    assert rollout.at(3) == (3.0, "")


def test_at_a_reduced_percentage_nothing_counts(rollout: Rollout) -> None:
    rollout.decide(Decision("trigger", ENGINE, "latency_medium", PLAN.last_stage, 5000, START + DAY, "t", "halved"))
    assert rollout.at(4)[0] == 0.0
    rollout.decide(Decision("promote", ALICE, "", PLAN.last_stage, 10_000, START + 4 * DAY, "p", "up again"))
    assert rollout.at(5)[0] == pytest.approx(1.0)


def test_in_other_stages_the_bake_is_a_bake(rollout: Rollout) -> None:
    rollout.decide(roll_back(PLAN, rollout.state, Ask(ALICE, START + DAY, "r")))
    assert stability(rollout.conn, PLAN, rollout.state, START + 2 * DAY) is None


def test_the_gate_counts_clean_days_and_explains_what_reset_them(rollout: Rollout) -> None:
    rollout.documents(START + 2 * DAY, 300, failed=30)
    stable = stability(rollout.conn, PLAN, rollout.state, START + 8 * DAY)
    report = conditions.assess(PLAN.stages[-1], conditions.GateFacts({}, 0.0, stable), (), 8 * DAY, 0, ())
    (output,) = (missing for missing in report.missing if missing.startswith("stable within targets"))
    assert "of 7d" in output
    assert "error rate 10 % (n 300)" in output


@pytest.mark.parametrize(("documents", "judged"), [(20, True), (19, False)])
def test_twenty_documents_make_a_day(rollout: Rollout, documents: int, judged: bool) -> None:
    rollout.documents(START + DAY, documents, failed=documents)
    assert bool(rollout.at(3)[1]) is judged


def test_a_day_with_few_cache_hits_is_named_by_its_date(rollout: Rollout) -> None:
    rollout.documents(START + DAY, 300)
    misses = [
        Extraction(
            START + DAY, f"m{i}", "treatment", "llm", PLAN.last_stage, rollout.state.epoch, attempted=True,
            ms=700.0, lookup=True, keywords=10,
        )
        for i in range(2700)
    ]  # fmt: skip
    insert_and_fold(rollout.conn, misses)
    condition = next(c for c in PLAN.stages[-1].success if c.metric == "cache_hit_rate")
    assert condition.value > 0.1
    assert rollout.at(3)[1].startswith("2024-10-05: cache hit rate 9.09 % (n 3300), target > 20 %")


def test_the_first_and_the_last_hour_of_a_stage_count(rollout: Rollout) -> None:
    rollout.documents(START + 600, 300, failed=30)
    assert "error rate" in rollout.at(900 / DAY)[1]
    rollout.documents(START + DAY, 3000)
    rollout.documents(START + DAY + 600, 300, failed=300)
    clean, reset = rollout.at(1 + 900 / DAY)
    assert (clean, reset[:10]) == (0.0, "2024-10-05")


def test_the_latest_of_an_incident_and_a_bad_day_is_what_counts(rollout: Rollout) -> None:
    rollout.documents(START + 4 * DAY, 300, failed=30)
    decision = hold(rollout.state, Ask(ENGINE, START + DAY, "h", "error_creep"))
    assert isinstance(decision, Decision)
    rollout.decide(decision)
    assert "error rate" in rollout.at(6)[1]


def test_no_clean_second_has_passed_at_the_beginning(rollout: Rollout) -> None:
    assert rollout.at(0) == (0.0, "")
