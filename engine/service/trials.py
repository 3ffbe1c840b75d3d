"""The engine's part in the A/B test: starts and ends it with its stage, analyses it on schedule, and measures search
quality.

Analysis costs a few milliseconds; imports of scipy and measurements of search quality take up to seconds. Both run in a
thread, one at a time, on their own connection, and search rests far longer than it works.
"""

from __future__ import annotations

import asyncio
import math
import sqlite3
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from msgspec.structs import replace

from engine.experiment.analysis import analyse
from engine.experiment.declaration import DAY, declare
from engine.experiment.report import TrialReport
from engine.measures import stored
from engine.plan.durations import format_duration
from engine.plan.model import Stage
from engine.rollout.control import note
from engine.rollout.state import Ask, State, stage_of
from engine.service.engine import Engine
from engine.store import database, log
from engine.text import rate_percent
from engine.trial import ledger, search_scores
from engine.trial.ledger import Trial
from engine.triggers.measurement import Ok

ANALYSE_EVERY_S = 600.0  # of the calendar
SCORE_EVERY_S = 3600.0
MEASURE_EVERY_S = 6 * 3600.0
SETTLES_S = (
    # wait after a change of stage, or while there is little to measure, before search quality is measured automatically
    600.0
)
FEW_QUERIES = 50
ANALYSIS_RESTS_S = 2.0  # machine time, not calendar time
SEARCH_RESTS_S = 15.0
SEARCH_SHARE = 0.05  # share of the machine's time that automatic measuring, and scoring, may take
ENDED = {"ship": 1.0, "short of target": 0.0, "no difference": 0.0, "worse": 0.0, "void": 0.0}

READ = "its result was read"

T = TypeVar("T")


class Trials:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._trial: Trial | None = None
        self._past = -1  # the epoch of the last test that ended: an epoch has one test
        self._analysed = (-math.inf, -math.inf)  # (calendar, machine)
        self._scored = -math.inf
        self._measured = -math.inf
        self._last = search_scores.Last()
        self._rests = {"score": 0.0, "measure": 0.0}  # until when, by the machine's clock
        self._work: asyncio.Task[None] | None = None

    def restore(self) -> None:
        """Load the running test and the last measurements, at startup."""
        engine = self._engine
        last = ledger.last(engine.conn)
        if last is not None:
            self._trial, self._past = (last, -1) if last.ended is None else (None, last.epoch)
            if last.report is not None:
                engine.judged["ab_test"] = f"{last.report.verdict.word}: {last.report.verdict.sentence}"
        row = engine.conn.execute(
            "SELECT at, json_extract(body, '$.sentence') FROM measure WHERE kind = 'search_quality' ORDER "
            "BY at DESC LIMIT 1"
        ).fetchone()
        if row is not None:
            self._measured, engine.judged["search_improvement"] = row

    def clock_was_set(self, now: float, step_s: float) -> None:
        """Date nothing later than now: hourly work is due again within the hour. The test keeps its length."""
        if (trial := self._trial) is not None:
            moved = ledger.clock_was_set(trial, now, step_s)
            self._trial = moved
            self._engine.writer.later(lambda conn: ledger.keep_times(conn, moved))
        self._analysed = (min(self._analysed[0], now), self._analysed[1])
        self._scored, self._measured = min(self._scored, now), min(self._measured, now)

    def tick(self) -> None:
        """Once a tick: start what is due, if anything; the tick never waits for it, whatever the store's state."""
        if self._work is None or self._work.done():
            work = self._due()
            self._work = self._engine.background(work) if work is not None else None

    # -- begins and ends -----------------------------------------------------------------------------------------------

    def _turn(self, state: State) -> Coroutine[Any, Any, None] | None:
        """The end or the beginning that the state requires."""
        trial = self._trial
        stage = stage_of(self._engine.plan, state)
        here = stage is not None and stage.ab_test and 0 < state.percent_bp < 10_000 and self._engine.limits.may_test
        if trial is not None and (not here or (trial.epoch, trial.salt) != (state.epoch, self._engine.plan.salt)):
            if self._may_be_undone(trial, state):
                return None
            undone = here and trial.salt == self._engine.plan.salt and trial.percent_bp == state.percent_bp
            return self._resume_trial(trial, state) if undone and self._was_undone(trial) else self._end(trial)
        if trial is None and here and stage and state.percent_bp == stage.percent_bp and state.epoch != self._past:
            # routers may obey less for now (a cap of the environment, an armed file not in place yet): that is another
            # split
            obeyed = self._engine.switch.read().percent_bp
            return self._begin(stage, state) if obeyed == state.percent_bp else None
        return None

    def _may_be_undone(self, trial: Trial, state: State) -> bool:
        """Whether the rollback that ended the test's percentage can still be undone: until then the test only
        pauses."""
        undo = state.undo
        if undo is None or state.held or state.locked or self._engine.clock.now() > undo.until:
            return False
        return state.epoch > trial.epoch and (undo.stage, undo.percent_bp) == (trial.stage, trial.percent_bp)

    def _was_undone(self, trial: Trial) -> bool:
        """Whether only rollbacks followed, the last one undone."""
        kinds = log.epochs_since(self._engine.conn, trial.epoch)
        return bool(kinds) and kinds[-1] == "undo_rollback" and set(kinds) <= {"rollback", "undo_rollback"}

    async def _resume_trial(self, trial: Trial, state: State) -> None:
        engine = self._engine
        ask = engine.ask()
        sentence = "A/B test continues: the rollback was undone; documents of the gap are excluded"
        await engine.commit(
            ask,
            lambda now: note(now, ask, "ab_continue", sentence) if now.epoch == state.epoch else None,
            lambda conn, rev: ledger.rejoin(conn, trial.id, state.epoch),
        )
        self._trial = ledger.running(engine.conn)

    async def _begin(self, stage: Stage, state: State) -> None:
        engine = self._engine
        if stage.experiment is None:
            return
        ask = engine.ask()
        share = state.percent_bp / 10_000
        declaration = declare(stage.experiment, ask.at, share, self._expected(stage.experiment.duration_s))
        days = format_duration(stage.experiment.duration_s)
        uplift = rate_percent(declaration.primary.worthwhile, signed=True)
        sentence = (
            f"A/B test declared: {declaration.primary.label} {uplift} in {days}, at least "
            f"{declaration.documents_per_arm} documents in each group, alpha {declaration.alpha:g}, "
            f"{declaration.looks} looks"
        )
        outcome = await engine.commit(
            ask,
            lambda now: (
                note(now, ask, "ab_begin", sentence, {"declaration": log.json_body(declaration)})
                if now.epoch == state.epoch
                else None
            ),
            lambda conn, rev: ledger.begin(
                conn, declaration, state.stage, state.epoch, state.percent_bp, engine.plan.salt
            ),
        )
        if outcome.decision is not None:
            self._trial = ledger.running(engine.conn)
            self._scored = declaration.started
            engine.judged["ab_test"] = "The A/B test has begun; it has not been read yet."

    def _expected(self, seconds: float) -> dict[str, int]:
        """Documents of both arms expected at the end, by metric, from the traffic so far."""
        engine = self._engine
        days = seconds / DAY
        documents = round(engine.monitor.observations.documents_per_min() * 1440 * days)
        scored = min(documents, round(search_scores.A_ROUND * seconds / SCORE_EVERY_S))
        since = engine.clock.now() - DAY
        declared = {}
        for kind, metric in (("impression", "click_through"), ("rating", "satisfaction")):
            row = engine.conn.execute(
                "SELECT count(DISTINCT document_id) FROM feedback WHERE kind = ? AND at >= ?", (kind, since)
            ).fetchone()
            declared[metric] = round(row[0] * days)
        return {"": documents, "search_quality": scored, "relevance": scored, **declared}

    async def _end(self, trial: Trial) -> None:
        engine = self._engine
        ask = engine.ask()
        limited = engine.limits.no_test
        kinds = log.epochs_since(engine.conn, trial.epoch)
        what = {"model": "the model", "plan": "the plan"}.get(kinds[0] if kinds else "", "the percentage")
        why = f"{what} changed before it was read" if kinds or not limited else f"the engine was started with {limited}"
        sentence = f"A/B test ended: {why}; its figures are kept and count for no other test"
        await engine.commit(
            ask,
            lambda now: note(now, ask, "ab_end", sentence),
            lambda conn, rev: ledger.end(conn, trial.id, ask.at, why),
        )
        self._trial, self._past = None, trial.epoch

    # -- what is due ---------------------------------------------------------------------------------------------------

    def _due(self) -> Coroutine[Any, Any, None] | None:
        engine, trial = self._engine, self._trial
        if (turn := self._turn(engine.state)) is not None:
            return turn
        if engine.search_asked is not None:
            ask, engine.search_asked = engine.search_asked, None
            return self._asked(ask, trial)
        now, real = engine.clock.now(), engine.clock.real()
        if trial is not None and self._scored < trial.declaration.ends <= now:
            return self._score(trial)  # everything read at the end has all its scores
        if (
            trial is not None
            and now - self._analysed[0] >= ANALYSE_EVERY_S
            and real - self._analysed[1] >= ANALYSIS_RESTS_S
        ):
            return self._analyse(trial)
        scores = self._scored + SCORE_EVERY_S if trial is not None and real >= self._rests["score"] else math.inf
        measures = self._measure_due() if real >= self._rests["measure"] else math.inf
        if min(scores, measures) > now:
            return None
        return self._score(trial) if trial is not None and scores <= measures else self._measure()

    def _measure_due(self) -> float:
        if not self._engine.limits.measures:
            return math.inf
        state, stage = self._engine.state, stage_of(self._engine.plan, self._engine.state)
        if not state.percent_bp and (stage is None or not stage.shadow_bp):
            return math.inf
        fresh = self._measured < state.entered_at
        return state.entered_at + SETTLES_S if fresh else self._measured + MEASURE_EVERY_S

    async def _analyse(self, trial: Trial) -> None:
        engine = self._engine
        now = engine.clock.now()
        self._analysed = (now, engine.clock.real())
        pending = engine.unfinished

        def work(conn: sqlite3.Connection) -> TrialReport:
            return analyse(trial.declaration, *ledger.stats(conn, trial.id), now, trial.report, pending=pending)

        report = await self._beside(work)
        before = trial.report
        looked = len(report.looks) > (len(before.looks) if before is not None else 0)
        word = report.verdict.word
        turned = (before.verdict.word if before is not None else "not yet") != word
        notable = looked or (turned and (report.lock.open or word in ("worse", "void")))

        def keep(conn: sqlite3.Connection) -> None:
            ledger.keep(conn, trial.id, report)
            if notable:
                stored.keep(conn, now, "ab_report", report)
            if word in ENDED:
                stored.keep(conn, now, "ab_verdict", Ok(ENDED[word], 1))
                if (improved := _improvement(report)) is not None:
                    stored.keep(conn, now, "ab_improvement", improved)
            if report.final:
                ledger.end(conn, trial.id, now, READ)

        if notable:
            ask = engine.ask()
            look = f"look {report.looks[-1].number} of {trial.declaration.looks}: " if looked else ""
            read = "read: " if report.lock.open and turned else look
            sentence = f"A/B test, {read}{word}. {report.verdict.sentence}".rstrip(".")
            evidence = {"report": log.json_body(report)}
            await engine.note(ask, "ab_test", sentence, evidence, keep)
        else:
            await self._write(keep)
        if report.final:
            self._trial, self._past = None, trial.epoch
        else:
            self._trial = replace(self._trial or trial, report=report)
        engine.judged["ab_test"] = f"{word}: {report.verdict.sentence}"

    # -- search quality ------------------------------------------------------------------------------------------------

    async def _score(self, trial: Trial) -> None:
        engine = self._engine
        now = engine.clock.now()
        self._scored = now
        written, _ = search_scores.written_queries(engine.plan)
        scores = await self._search(
            "score", lambda conn: search_scores.score(conn, trial, now, written, self._progress)
        )
        await self._write(lambda conn: ledger.scored(conn, trial.id, scores, now))
        self._trial = replace(self._trial or trial, scored_until=now)

    async def _asked(self, ask: Ask, trial: Trial | None) -> None:
        """A person wants it measured now, including the A/B test's scores, which would otherwise stay empty for its
        first hour."""
        if trial is not None:
            await self._score(trial)
        await self._measure(ask)

    async def _measure(self, ask: Ask | None = None) -> None:
        """Measure search quality now and keep it as evidence for the gate; the log records who asked."""
        engine = self._engine
        at = engine.clock.now()
        self._measured = at
        written, trouble = search_scores.written_queries(engine.plan)
        if trouble:
            engine.event(f"{trouble} The known-item queries run without it.")
        measured = await self._search(
            "measure",
            lambda conn: search_scores.measure(conn, at, written, trouble, progress=self._progress, last=self._last),
        )
        quality = replace(measured.quality, differences=())

        def keep(conn: sqlite3.Connection) -> None:
            if measured.sample is not None:
                stored.keep(conn, at, "search_improvement", measured.sample)
            stored.keep(conn, at, "search_quality", quality)
            stored.keep(conn, at, "search_pairs", measured.pairs)

        engine.judged["search_improvement"] = measured.quality.sentence
        if measured.quality.queries < FEW_QUERIES:
            self._measured = at + SETTLES_S - MEASURE_EVERY_S
        if ask is None:
            await self._write(keep)
            return
        sentence = f"measured for {ask.actor.name}: {measured.quality.sentence}".rstrip(".")
        await engine.note(ask, "measure", sentence, within=keep)

    def _progress(self, share: float) -> None:
        self._engine.measuring = share

    async def _search(self, what: str, work: Callable[[sqlite3.Connection], T]) -> T:
        """Runs outside the loop, with progress; then rests in proportion to the time it took."""
        clock = self._engine.clock
        began = clock.real()
        self._engine.measuring = 0.0
        try:
            return await self._beside(work)
        finally:
            self._engine.measuring = None
            spent = clock.real() - began
            self._rests[what] = clock.real() + max(SEARCH_RESTS_S, spent / SEARCH_SHARE)

    async def _beside(self, work: Callable[[sqlite3.Connection], T]) -> T:
        def run() -> T:
            conn = database.open_reader(self._engine.folder)
            try:
                return work(conn)
            finally:
                conn.close()

        return await asyncio.to_thread(run)

    async def _write(self, change: Callable[[sqlite3.Connection], None]) -> None:
        await asyncio.wrap_future(self._engine.writer.write(change))


def _improvement(report: TrialReport) -> Ok | None:
    """The relative change of what the test was declared for, both arms' documents together; None where it has none."""
    primary = next(metric for metric in report.metrics if metric.role == "primary")
    change = primary.change
    return None if change is None else Ok(change.estimate, primary.control.n + primary.treatment.n)
