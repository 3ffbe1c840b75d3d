"""What the triggers see and decide, once a second.

The monitor hands what was observed to the pure `evaluate`, and keeps the timers across restarts. It writes only through
the writer and changes nothing directly: it makes a `Decision`, the engine carries it out. `engine.service.snapshot`
shows the numbers.
"""

from __future__ import annotations

import contextlib
import math
import sqlite3
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec.structs import replace

from engine.clock import Clock, pace
from engine.cluster.lag import LoopLag
from engine.decoding import json_decoder
from engine.extraction.llm import LlmPool
from engine.measures.bucket import Bucket
from engine.plan.durations import clock
from engine.plan.environment import NO_LIMIT, Ceiling
from engine.plan.model import Action, Metric, Plan, Severity
from engine.report.incidents import keep_incidents
from engine.rollout import control
from engine.rollout.state import ENGINE, Ask, Decision, State
from engine.service.blindness import Unseen
from engine.service.gatekeeper import GateKeeper
from engine.service.observations import Observations
from engine.service.presence import Presence
from engine.service.probes import Probing
from engine.service.watch import Watch
from engine.store import documents, series
from engine.store.rollup import retain
from engine.store.writer import Writer
from engine.triggers import attempts, history
from engine.triggers.decision import Evaluation
from engine.triggers.evaluate import evaluate
from engine.triggers.evidence import Evidence, Moment, Timers
from engine.triggers.history import Gauged
from engine.triggers.measurement import Error, NoData, Ok, Sample
from engine.triggers.rules import OWN_EVIDENCE
from engine.view.fields import trigger_view
from engine.view.gauge import WINDOW_S
from engine.view.headlines import urgency

_watches = json_decoder(Watch)

EVIDENCE_EVERY_S = 60.0
MEASURED_S = 300.0  # after an LLM answer this recent, the LLM counts as measured
BEFORE_S = 86400.0  # what an alert's window is compared with
BEFORE_EVERY_S = 30.0  # real seconds


class Monitor:
    def __init__(
        self,
        plan: Plan,
        clock: Clock,
        conn: sqlite3.Connection,
        writer: Writer,
        pool: LlmPool,
        waiting: Callable[[], int] = lambda: 0,
        obeyed: Callable[[], int] | None = None,
        limits: Ceiling = NO_LIMIT,
        trouble: Callable[[BaseException], None] = lambda error: None,
    ) -> None:
        """`waiting` counts unfinished LLM calls; `obeyed` is the percentage that routers obey, in basis points;
        `trouble` receives each internal error."""
        self.plan = plan
        self.clock = clock
        self.conn = conn
        self.writer = writer
        self._waiting = waiting
        self._obeyed = obeyed
        self._limits = limits
        self.watch = Watch()
        self.verdict = Evaluation((), Timers())
        self.gauged: Gauged | None = None  # the gauges' window as the triggers last counted it; None if not all of it
        self.lag = LoopLag()
        self.presence = Presence(clock, writer)
        self.observations = Observations(plan, clock, conn, self.lag)
        self.probing = Probing(pool, clock, writer, self.lag, plan.trigger_settings.probe_every_s, trouble)
        self.gatekeeper = GateKeeper(plan, clock, conn, limits, self.observations, self.probing, self)
        self._alarm = ""
        self.alarm_since: float | None = None  # after a start: since the start, so that someone looks again
        self.alarm_rev = 0  # the last decision before the alarm
        self.alarm_timeline_s = 0.0  # how soon the plan wants people to act; 0 if it gives none
        self._percents = tuple(stage.percent_bp for stage in plan.stages)
        self._evidence_at = -math.inf
        self._last_verdicts: dict[str, str] = {}
        self._before = Bucket()
        self._before_at = -math.inf
        self._blind_reported = False

    @property
    def unjudged(self) -> int:
        """Measurements discarded because the engine's loop was late."""
        return self.observations.unjudged + self.probing.unjudged

    def use(self, plan: Plan) -> None:
        """Other stages are in force."""
        self.plan = plan
        self._percents = tuple(stage.percent_bp for stage in plan.stages)
        self.gatekeeper.use(plan)

    def restore(self, state: State) -> None:
        """Restore the timers and observations at startup."""
        row = self.conn.execute("SELECT body FROM trigger_state WHERE id = 1").fetchone()
        if row is not None:
            with contextlib.suppress(msgspec.MsgspecError):
                kept = _watches.decode(row[0])
                self.watch = replace(kept, timers=kept.timers.restored())
        self.observations.restore(state)
        now = self.clock.now()
        self.writer.later(lambda conn: attempts.rules_in_force(conn, now, self.gatekeeper.rules))
        self._blind_reported = self.watch.timers.blind_s >= self.plan.trigger_settings.blind_after_s

    def changed(self, state: State) -> None:
        """The percentage or the stage changed: only later evidence counts."""
        self.observations.changed(state)
        self.gauged = None
        self._evidence_at = -math.inf  # the figures after the change are stored at once
        self._blind_reported = False  # blindness restarts; this does not mean documents are seen again
        self.gatekeeper.forget()

    def unwatched(self) -> None:
        """The triggers were not evaluated for a while, for example while the machine was suspended: earlier failures no
        longer count. Timers keep their values; only new evidence moves them."""
        self.observations.unwatched()
        self.gauged = None
        self.probing.forget()

    def clock_was_set(self, now: float, step_s: float) -> None:
        """Date nothing later than now; an alarm keeps its age."""
        self._evidence_at = min(self._evidence_at, now)
        if self.alarm_since is not None:
            self.alarm_since += step_s

    # -- the triggers --------------------------------------------------------------------------------------------------

    def evaluate(self, state: State, ask: Ask) -> Decision | None:
        """One evaluation; returns the resulting decision, if any. Timers and evidence go to the store."""
        mono = self.clock.monotonic()
        evidence = self._gather(state, mono)
        seen = self.observations
        self.gauged = None
        if seen.counts_all(WINDOW_S):
            self.gauged = Gauged(seen.recent.window(mono, WINDOW_S), seen.shadow.window(mono, WINDOW_S))
        moment = Moment(
            mono, state.epoch, state.stage, state.percent_bp, self._percents, bool(state.held), state.locked
        )
        before = self.watch.timers
        lease_s = self.plan.trigger_settings.lease_s * pace(self.clock)  # a gap is measured in the machine's time
        settings = replace(self.plan.trigger_settings, lease_s=lease_s)
        self.verdict = evaluate(self.plan.triggers, settings, before, evidence, moment)
        dt = mono - before.at if before.at is not None else 0.0
        self.watch = self._watched(state, dt if 0 < dt <= lease_s else 0.0, mono)
        self._alarmed(state, ask.at)
        self._store(ask.at)
        return self.decide(state, ask, self.verdict) or self._blindness(state, ask, before.blind_s, evidence)

    def _watched(self, state: State, seconds: float, mono: float) -> Watch:
        """The bakes after this many seconds; blind or quiet ones do not count, nor a return without measurements."""
        if self.verdict.blind or self.verdict.quiet:
            seconds = 0.0
        returns = control.returns(self.plan, state) is not None
        measured = state.percent_bp > 0 or self.observations.shadow.window(mono, MEASURED_S).n > 0
        return self.watch.after(self.verdict.timers, state, seconds, seconds if returns and measured else 0.0)

    @property
    def alarm(self) -> str:
        """What a person has to take now; "" while all is calm."""
        return self._alarm if self.alarm_since is not None else ""

    def _alarmed(self, state: State, now: float) -> None:
        """An alarm begins with the first grave thing and ends when none is left: who had the last one does not have the
        next."""
        rules = {t.id: t for t in self.plan.triggers if t.severity in (Severity.critical, Severity.high)}
        running = [r for r in self.verdict.readings if r.id in rules and r.verdict == "breach" and state.percent_bp]
        breach = sorted((trigger_view(rules[r.id], r, "") for r in running), key=urgency)  # as the headline has it
        what = state.locked or (breach[0].headline or breach[0].id if breach else "") or self.verdict.blind
        self._alarm = what
        if breach:
            self.alarm_timeline_s = min((t.timeline_s for t in breach if t.timeline_s), default=0.0)
        if not what:
            self.alarm_since = None
        elif self.alarm_since is None:
            self.alarm_since, self.alarm_rev = now, state.rev

    def _blindness(self, state: State, ask: Ask, blind_s: float, evidence: Evidence) -> Decision | None:
        """Log rows for the start of blindness and its end."""
        asked = replace(ask, actor=ENGINE)
        if self.verdict.blind and not self._blind_reported:
            self._blind_reported = True
            return control.note(state, asked, "blind", self.verdict.blind, {"unseen": self.verdict.blind_why})
        if self._blind_reported and not self.verdict.blind:
            self._blind_reported = False
            if not evidence.unseen or evidence.idle:
                return control.note(
                    state, asked, "seen", f"sees documents again after {clock(blind_s)} blind; the timers continue"
                )
        return None

    def _gather(self, state: State, mono: float) -> Evidence:
        seen = self.observations
        obeyed = state.percent_bp if self._obeyed is None else self._obeyed()
        unseen = Unseen()
        if state.percent_bp:
            answers = self.probing.answers is True
            unseen = seen.silence.unseen(self.writer.problem, self._waiting(), obeyed / 10_000, answers)
            unseen = unseen if unseen.why else seen.interrupted()
        return Evidence(
            seen.recent.at(mono), self.probing.evidence, self._samples(state), unseen.why, unseen.since_s, unseen.idle
        )

    def _samples(self, state: State) -> dict[Metric, Sample]:
        """Figures without a window of their own. Those that a gate measures too are read from the store, and only for a
        trigger that needs them: without the store the others are still judged."""
        complaints = self.observations.complaints
        samples: dict[Metric, Sample] = {"complaints": Ok(float(complaints), complaints)}
        wanted = {rule.metric for rule in self.plan.triggers} - OWN_EVIDENCE
        if wanted:
            try:
                measured = self.gatekeeper.facts(state).samples
            except sqlite3.Error:
                samples.update(dict.fromkeys(wanted, Error("the store cannot be read")))
            else:
                samples.update({metric: measured.get(metric, NoData()) for metric in wanted})
        return samples

    def decide(self, state: State, ask: Ask, verdict: Evaluation) -> Decision | None:
        """What a verdict leads to from `state`; pure, so that it can run again inside a transaction."""
        winner = verdict.winner
        if winner is None:
            return None
        reading_of = next((r for r in verdict.readings if r.id == winner.id), None)
        evidence: dict[str, Any] = {
            "trigger": winner.id,
            "rule": winner.rule,
            "sentence": winner.sentence,
            "firing": list(verdict.firing),
            "reading": msgspec.to_builtins(reading_of) if reading_of else {},
        }
        asked = replace(ask, actor=ENGINE, reason=winner.id)
        made = control.act(self.plan, state, winner.action, asked, winner.sentence, evidence)
        if made is None and winner.action is Action.investigate:
            return control.note(state, asked, "investigate", f"{winner.id} needs a look: {winner.sentence}", evidence)
        return made

    def _store(self, at: float) -> None:
        body = msgspec.json.encode(self.watch).decode()
        verdicts: dict[str, str] = {r.id: r.verdict for r in self.verdict.readings}
        due = not 0 <= at - self._evidence_at < EVIDENCE_EVERY_S and self._limits.measures
        # all of them, with the gauges' window: so that a moment in the past shows figures of one second
        kept = due or bool(self.verdict.fired) or verdicts != self._last_verdicts
        readings, gauged = self.verdict.readings if kept else (), self.gauged
        self._last_verdicts = verdicts
        if kept:
            self._evidence_at = at

        def write(conn: sqlite3.Connection) -> None:
            conn.execute(
                "INSERT INTO trigger_state VALUES (1,?,?) ON CONFLICT(id) DO UPDATE SET at = excluded.at, "
                "body = excluded.body",
                (at, body),
            )
            history.keep(conn, at, readings, gauged)

        self.writer.later(write)

    def day_before(self) -> Bucket:
        """Both arms over the day before the window on screen; at most half a minute old."""
        if self.clock.real() - self._before_at > BEFORE_EVERY_S:
            end = self.clock.now() - WINDOW_S
            self._before = series.between(self.conn, end - BEFORE_S, end)
            self._before_at = self.clock.real()
        return self._before

    # -- housekeeping --------------------------------------------------------------------------------------------------

    def retain(self, conn: sqlite3.Connection, now: float) -> int:
        """Delete a little of what is older than the plan keeps; return how many rows."""
        keep = self.plan.store
        day = 86400.0
        expired = documents.expire_texts(conn, now - keep.text_days * day) if keep.text_days else 0
        keep_incidents(conn, self.plan, now - keep.raw_days * day)
        return expired + retain(conn, now, keep.raw_days * day, keep.ten_second_days * day, keep.minute_days * day)
