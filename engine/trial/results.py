"""Current results of the A/B test, for the screen and `rollout ab-test`. Reads the store, writes nothing.

Only the engine reads what may be read once (a declared look, the test at the end) and stores it. Everyone else sees the
stored report with the any-time figures as of now.
"""

from __future__ import annotations

import sqlite3
from typing import Any

import msgspec
from msgspec import Struct

from engine.experiment.analysis import analyse
from engine.experiment.declaration import ArmStats
from engine.experiment.moments import Ratio
from engine.experiment.report import TrialReport
from engine.measures.backlog import Backlog
from engine.plan.durations import iso
from engine.store import live
from engine.trial import ledger
from engine.trial.ledger import Trial


class ArmFeedback(Struct, frozen=True):
    """User feedback on one arm's documents; rates are None without answers."""

    shown: int
    clicked: int
    rated: int
    liked: int

    @property
    def click_through(self) -> float | None:
        return self.clicked / self.shown if self.shown else None

    @property
    def satisfaction(self) -> float | None:
        return self.liked / self.rated if self.rated else None


class TrialStatus(Struct, frozen=True):
    """The state of a test. `report` is as of its `at`; `people` by arm."""

    trial: Trial
    report: TrialReport
    people: dict[str, ArmFeedback]


def report_of(conn: sqlite3.Connection, trial: Trial, now: float) -> TrialReport:
    """The stored report updated to now, without what only the engine may read."""
    kept = trial.report
    if kept is not None and (kept.final or trial.ended is not None):
        return kept
    control, treatment = ledger.stats(conn, trial.id)
    return analyse(trial.declaration, control, treatment, now, kept, read=False, pending=_unfinished(conn))


class _Calls(Struct, frozen=True):
    in_flight: int = 0
    backlog: Backlog = Backlog()


class _Live(Struct, frozen=True):
    engine: _Calls = _Calls()


def _unfinished(conn: sqlite3.Connection) -> int:
    """LLM documents that the engine had not finished when it last wrote its view."""
    calls = live.parts(conn, _Live).engine
    return calls.in_flight + calls.backlog.waiting


def _answers(stats: ArmStats, name: str) -> Ratio:
    answers = stats.measures.get(name)
    return answers if isinstance(answers, Ratio) else Ratio()


def trial_status(conn: sqlite3.Connection, now: float) -> TrialStatus | None:
    """The status of the running test, else of the last one; None if there was none. Reads two rows of sums, however
    large the store is."""
    trial = ledger.last(conn)
    if trial is None:
        return None
    people: dict[str, ArmFeedback] = {}
    for arm, stats in zip(ledger.ARMS, ledger.stats(conn, trial.id), strict=True):
        clicks, ratings = (_answers(stats, name) for name in ("click_through", "satisfaction"))
        people[arm] = ArmFeedback(clicks.asked, clicks.yes, ratings.asked, ratings.yes)
    return TrialStatus(trial, report_of(conn, trial, now), people)


def results(conn: sqlite3.Connection, now: float) -> dict[str, Any]:
    """What `rollout ab-test analyze` writes: the report, and per arm the search quality scores that the plan's script
    reads."""
    current = trial_status(conn, now)
    if current is None:
        nothing = {"documents": 0, "search_quality_scores": []}
        verdict = "No A/B test yet. It starts automatically with its stage (stage 4 in the default plan)."
        arms: dict[str, Any] = {arm: nothing for arm in ledger.ARMS}
        return {"at": iso(now), "stage": None, "verdict": verdict, **arms, "report": None}
    scores = ledger.search_scores(conn, current.trial.id)
    ended = f" Ended {iso(current.trial.ended)}: {current.trial.why}." if current.trial.ended is not None else ""
    arms = {
        arm: {
            "documents": getattr(current.report.ratio, arm),
            "feedback": {
                **msgspec.to_builtins(current.people[arm]),
                "click_through": current.people[arm].click_through,
                "satisfaction": current.people[arm].satisfaction,
            },
            "search_quality_scores": scores[arm],
        }
        for arm in ledger.ARMS
    }
    return {
        "at": iso(current.report.at),
        "stage": current.trial.stage,
        "verdict": current.report.verdict.sentence + ended,
        **arms,
        "declaration": msgspec.to_builtins(current.trial.declaration),
        "report": msgspec.to_builtins(current.report),
    }


def assignments(conn: sqlite3.Connection, salt: str, percent_bp: int) -> dict[str, Any]:
    """What `rollout ab-test export` writes: the documents of the test, each in the arm that routing drew.

    Before the first test: every document, in the arm of its last extraction, with `started` null.
    """
    trial = ledger.last(conn)
    if trial is None:
        drawn = dict(conn.execute("SELECT id, arm FROM document ORDER BY id"))
        started = ended = None
    else:
        drawn = dict(ledger.assignments(conn, trial.id))
        salt, percent_bp = trial.salt, trial.percent_bp
        started, ended = iso(trial.started), None if trial.ended is None else iso(trial.ended)
    treatment = sum(arm == "treatment" for arm in drawn.values())
    return {
        "treatment_percentage": percent_bp / 100,
        "salt": salt,
        "started": started,
        "ended": ended,
        "assignments": drawn,
        "summary": {"control_count": len(drawn) - treatment, "treatment_count": treatment, "total": len(drawn)},
    }
