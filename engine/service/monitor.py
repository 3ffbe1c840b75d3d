"""What the triggers see and decide, once a second.

The monitor gathers evidence (recent attempts in memory, probes, complaints, people's judgements in the store), calls
the pure `evaluate`, and keeps the timers across restarts. It writes only through the writer and changes nothing
directly: it makes a `Decision`, the engine carries it out. `engine.service.snapshot` shows the numbers.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import sqlite3
from collections import deque
from collections.abc import Callable
from typing import Any, Literal

import msgspec

from engine import bounds
from engine.clock import Clock, LapseClock, pace
from engine.extraction.llm import LlmPool, ServerHealth
from engine.gate import checklist, conditions, facts
from engine.gate.checklist import CheckResult
from engine.gate.stability import Stability, stability
from engine.measures import stored
from engine.measures.bucket import Bucket, timed
from engine.measures.look import LOOK, Attendance
from engine.measures.origin import ORIGIN
from engine.measures.record import Extraction
from engine.metrics import snapshot
from engine.metrics.exemplars import Exemplars
from engine.metrics.snapshot import MetricsSnapshot
from engine.plan.durations import clock, iso
from engine.plan.environment import NO_LIMIT, Ceiling
from engine.plan.model import Action, Metric, Plan, Severity, Stage
from engine.quality import review
from engine.rollout import control, way_back
from engine.rollout.calendar import blocked_until
from engine.rollout.state import ENGINE, Actor, Ask, Decision, State
from engine.service.blindness import SilenceDetector, Unseen
from engine.service.lag import BY_CLOCK, LoopLag
from engine.service.probes import ProbeLog, writes
from engine.store import documents, series
from engine.store.rollup import retain
from engine.store.writer import Writer
from engine.triggers import attempts, history
from engine.triggers.backtest import rules_digest
from engine.triggers.decision import Evaluation
from engine.triggers.evaluate import evaluate
from engine.triggers.evidence import Evidence, Moment, Probes, Timers
from engine.triggers.measurement import Error, NoData, Ok, Sample, rate
from engine.triggers.windows import RecentAttempts
from engine.view.model import ItemView

MISPLACED = "held since rollout.toml changed: {}; confirm the current stage: rollout plan adopt --stage N"
PRESENT_S = 15.0
EVIDENCE_EVERY_S = 60.0
REBUILD_S = 7 * 3600.0  # raw rows from which memory is rebuilt after a restart
REBUILD_ROWS = 200_000
STABLE_EVERY_S = 30.0
MEASURED_S = 300.0  # after an LLM answer this recent, the LLM counts as measured
PROVEN_FROM_BP = 1000  # from this percentage on, changed triggers need a backtest
FACTS_EVERY_S = 1.0  # real seconds between two reads of the gate's facts
BEFORE_S = 86400.0  # what an alert's window is compared with
BEFORE_EVERY_S = 30.0  # real seconds


class Bake(msgspec.Struct, frozen=True):
    stage: int
    restart_rev: int
    entered_at: float
    baked_s: float


class Watch(msgspec.Struct, frozen=True):
    """Stored at every tick, so that a restart loses no timer: only watched time counts."""

    timers: Timers = Timers()
    stage: int = -1
    baked_s: float = 0.0
    restart_rev: int = 0  # of the state: a new value restarts the bake
    entered_at: float = 0.0
    before: Bake | None = None  # of the stage left last: an undo restores it
    rebake_rev: int = 0  # of the rollback from which a return is measured
    rebaked_s: float = 0.0


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
        bulk_refused: Callable[[], int] = lambda: 0,
    ) -> None:
        """`waiting` counts unfinished LLM calls; `obeyed` is the percentage that routers obey, in basis points."""
        self.plan = plan
        self.clock = clock
        self.conn = conn
        self.writer = writer
        self.pool = pool
        self._waiting = waiting
        self._obeyed = obeyed
        self._bulk_refused = bulk_refused
        self._limits = limits
        self.misplaced = ""  # why a person has to confirm the stage
        self.servers: tuple[ServerHealth, ...] = ()
        self.people: dict[str, tuple[Actor, str, float, float]] = {}
        self.watch = Watch()
        self._alarm = ""
        self.alarm_since: float | None = None  # after a start: since the start, so that someone looks again
        self.alarm_timeline_s = 0.0  # how soon the plan wants people to act; 0 if it gives none
        self.verdict = Evaluation((), Timers())
        self.rules = rules_digest(plan.triggers, plan.trigger_settings)
        self.recent = RecentAttempts(plan.triggers, plan.trigger_settings, clock.monotonic())
        self._live = RecentAttempts(plan.triggers, plan.trigger_settings, clock.monotonic())  # without back-fills
        self.documents: deque[float] = deque(maxlen=4000)
        self._percents = tuple(stage.percent_bp for stage in plan.stages)
        self._failed_probes = 0
        self._probe_log = ProbeLog()
        self._exemplars = Exemplars(dated=not isinstance(clock, LapseClock))
        self.shadow = RecentAttempts(plan.triggers, plan.trigger_settings, clock.monotonic())
        self._silence = SilenceDetector(clock)
        self.lag = LoopLag()
        self.unjudged = 0  # measurements discarded because the engine's loop was late
        self._complaints = 0
        self._rated: tuple[object, Sample] | None = None  # what it was counted from, and the count
        self._evidence_at = -math.inf
        self._last_verdicts: dict[str, str] = {}
        self._facts: conditions.GateFacts | None = None
        self._facts_at = -math.inf
        self._stable: tuple[int, float, Stability | None] | None = None
        self._before = Bucket()
        self._before_at = -math.inf
        self._blind_reported = False
        self._probe: asyncio.Task[None] | None = None

    def use(self, plan: Plan) -> None:
        """Other stages are in force."""
        self.plan, self.misplaced = plan, ""
        self._percents = tuple(stage.percent_bp for stage in plan.stages)
        self._facts = self._stable = None

    # -- life ----------------------------------------------------------------------------------------------------------

    def restore(self, state: State) -> None:
        """At startup: restore the timers, and rebuild the attempts since the last change of percentage from the raw
        rows."""
        row = self.conn.execute("SELECT body FROM trigger_state WHERE id = 1").fetchone()
        if row is not None:
            with contextlib.suppress(msgspec.MsgspecError):
                kept = msgspec.json.decode(row[0], type=Watch)
                self.watch = msgspec.structs.replace(kept, timers=kept.timers.restored())
        now, mono = self.clock.now(), self.clock.monotonic()
        since = max(state.changed_at, now - REBUILD_S)
        rows = self.conn.execute(
            "SELECT at, error, ms, attempted, lookup, cached, backfill FROM extraction WHERE at >= ? AND arm = "
            "'treatment' AND shadow = 0 "
            "AND epoch >= ? ORDER BY at DESC LIMIT ?",
            (since, state.epoch, REBUILD_ROWS),
        ).fetchall()
        self.recent.reset(mono - (now - since))
        self._live.reset(mono - (now - since))
        for at, error, ms, attempted, lookup, cached, backfill in reversed(rows):
            t = mono - max(0.0, now - at)
            if lookup:
                self.recent.look_up(t, cached)
            if attempted:
                answered = error is None or (error == "timeout" and ms > 0)
                self.recent.add(t, error is None, ms if answered else None, answered)
                if not backfill:
                    self._live.add(t, error is None, ms if answered else None, answered)
        if rows:
            self._silence.sees(self._live.per_min)
        self.writer.later(lambda conn: attempts.rules_in_force(conn, now, self.rules))
        self._blind_reported = self.watch.timers.blind_s >= self.plan.trigger_settings.blind_after_s
        self.complained(state)

    def start(self) -> None:
        self._probe = asyncio.create_task(self._probe_for_ever())

    async def stop(self) -> None:
        if self._probe is not None:
            self._probe.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._probe

    async def _probe_for_ever(self) -> None:
        """Probes the LLM service in the machine's time: a time lapse does not speed up the network."""
        while True:
            began = self.clock.real()
            try:
                self.servers = await self.pool.probe()
                answered = any(server.answers_probes for server in self.servers)
                self._probed(answered, began)
                if rows := self._probe_log.rows(self.servers, self.clock.now(), self.clock.real()):
                    self.writer.later(writes(rows))
            except Exception:
                self._probed(False, began)
            await asyncio.sleep(self.plan.trigger_settings.probe_every_s)

    def _probed(self, answered: bool, began: float) -> None:
        """A probe has ended. One that failed while the engine's loop was late is not evidence."""
        if answered:
            self._failed_probes = 0
        elif self.lag.starved(began, self.clock.real()):
            self.unjudged += 1
        else:
            self._failed_probes += 1

    # -- what happens --------------------------------------------------------------------------------------------------

    def observe(self, record: Extraction, here: bool = True) -> None:
        """Receives every record as it is made; `here`: this process made its calls, by its own clock."""
        t = self.clock.monotonic()
        self._exemplars.see(record, ORIGIN.get())
        if record.backfill:  # protects, but is not evidence about the documents that people send
            if record.attempted:
                ms = timed(record)
                self.recent.add(t, record.error is None, ms, ms is not None)
            return
        if not record.shadow:
            self.documents.append(t)
        starved = here and record.attempted and self._starved(record)
        if starved and record.error in BY_CLOCK:
            self.unjudged += 1
            self._silence.passes(record.arm == "treatment" and not record.shadow)
            return
        if record.shadow:
            ms = record.ms if record.error is None and not starved else None
            self.shadow.add(t, record.error is None, ms, record.error is None)
            return
        if record.arm != "treatment" or not (record.lookup or record.attempted or record.skipped):
            self._silence.passes(record.arm == "treatment")
            return
        if record.lookup:
            self.recent.look_up(t, record.cached)
        if record.attempted:
            ms = timed(record)
            answered = ms is not None
            if starved and answered:
                ms, self.unjudged = None, self.unjudged + 1
            self.recent.add(t, record.error is None, ms, answered)
            self._live.add(t, record.error is None, ms, answered)
        if record.lookup or record.attempted:
            self._silence.sees(self._live.per_min)

    def _starved(self, record: Extraction) -> bool:
        """Whether the engine's loop was late for much of what this record took."""
        now = self.clock.real()
        return self.lag.starved(now - max(1.0, (record.ms + record.queue_ms) / 1000), now)

    def changed(self, state: State) -> None:
        """The percentage or the stage changed: only later evidence counts."""
        self.recent.reset(self.clock.monotonic())
        self._live.reset(self.clock.monotonic())
        self.shadow.reset(self.clock.monotonic())
        self._silence.sees(self.documents_per_min() * state.percent_bp / 10_000)
        self._blind_reported = False  # blindness restarts; this does not mean documents are seen again
        self._facts = None
        self.complained(state)

    def unwatched(self) -> None:
        """The triggers were not evaluated for a while, for example while the machine was suspended: earlier failures no
        longer count. Timers keep their values; only new evidence moves them."""
        per_min = self._live.per_min
        self.recent.reset(self.clock.monotonic())
        self._live.reset(self.clock.monotonic())
        self._silence.sees(per_min)
        self._failed_probes = 0

    def clock_was_set(self, now: float) -> None:
        """Date nothing later than now."""
        self._evidence_at = min(self._evidence_at, now)

    def complained(self, state: State) -> None:
        row = self.conn.execute(
            "SELECT count(*) FROM feedback WHERE kind = 'complaint' AND stage = ? AND at >= ?",
            (state.stage, state.entered_at),
        ).fetchone()
        self._complaints = row[0]

    def presence(self, console: str, actor: Actor, screen: str, gone: bool) -> None:
        if gone:
            if self.people.pop(console, None) is not None:
                self._note_look(actor, "left")
            return
        if console not in self.people:
            self._note_look(actor, "came")
        since = self.people[console][2] if console in self.people else self.clock.now()
        self.people[console] = (actor, screen, since, self.clock.real())

    def _note_look(self, actor: Actor, what: Literal["came", "left"]) -> None:
        """Who looked, and when, for the timeline of an incident."""
        at, look = self.clock.now(), Attendance(actor.name, actor.terminal, what)
        self.writer.later(lambda conn: stored.keep(conn, at, LOOK, look))

    def present(self) -> list[tuple[Actor, str, float]]:
        limit = self.clock.real() - PRESENT_S
        self.people = {key: value for key, value in self.people.items() if value[3] >= limit}
        return [(actor, screen, since) for actor, screen, since, _ in self.people.values()]

    # -- the triggers --------------------------------------------------------------------------------------------------

    def evaluate(self, state: State, ask: Ask) -> Decision | None:
        """One evaluation; returns the resulting decision, if any. Timers and evidence go to the store."""
        mono = self.clock.monotonic()
        evidence = self._gather(state, mono)
        moment = Moment(
            mono, state.epoch, state.stage, state.percent_bp, self._percents, bool(state.held), state.locked
        )
        before = self.watch.timers
        lease_s = self.plan.trigger_settings.lease_s * pace(self.clock)  # a gap is measured in the machine's time
        settings = msgspec.structs.replace(self.plan.trigger_settings, lease_s=lease_s)
        self.verdict = evaluate(self.plan.triggers, settings, before, evidence, moment)
        dt = mono - before.at if before.at is not None else 0.0
        watched = dt if 0 < dt <= lease_s else 0.0
        baked = self._baked(state)
        rebaked, back = self._rebaked(state), control.returns(self.plan, state)
        if not self.verdict.blind and not self.verdict.quiet:
            baked += watched
            measured = state.percent_bp > 0 or self.shadow.window(mono, MEASURED_S).n > 0
            rebaked += watched if back is not None and measured else 0.0
        was = self.watch
        left = was.before
        if was.stage not in (-1, state.stage):
            left = Bake(was.stage, was.restart_rev, was.entered_at, was.baked_s)
        self.watch = Watch(
            self.verdict.timers,
            state.stage,
            baked,
            state.restart_rev,
            state.entered_at,
            left,
            state.setback.rev if state.setback else 0,
            rebaked,
        )
        self._alarmed(state, ask.at)
        self._store(ask.at)
        return self.decide(state, ask, self.verdict) or self._blindness(state, ask, before.blind_s, evidence)

    def _baked(self, state: State) -> float:
        """Watched seconds of the state's stage. Undoing a rollback restores those from before it, without the gap."""
        watch = self.watch
        if (watch.stage, watch.restart_rev) == (state.stage, state.restart_rev):
            return watch.baked_s
        here = (state.stage, state.restart_rev, state.entered_at)
        left = watch.before
        return left.baked_s if left and (left.stage, left.restart_rev, left.entered_at) == here else 0.0

    @property
    def alarm(self) -> str:
        """What a person has to take now; "" while all is calm."""
        return self._alarm if self.alarm_since is not None else ""

    def _alarmed(self, state: State, now: float) -> None:
        """An alarm begins with the first grave thing and ends when none is left: who had the last one does not have the
        next."""
        grave = {t.id for t in self.plan.triggers if t.severity in (Severity.critical, Severity.high)}
        breach = [r.headline or r.id for r in self.verdict.readings if r.id in grave and r.verdict == "breach"]
        what = state.locked or (breach[0] if breach and state.percent_bp else "") or self.verdict.blind
        self._alarm = what
        if breach and state.percent_bp:
            running = {r.id for r in self.verdict.readings if r.id in grave and r.verdict == "breach"}
            limits = [t.timeline_s for t in self.plan.triggers if t.id in running and t.timeline_s]
            self.alarm_timeline_s = min(limits, default=0.0)
        if not what:
            self.alarm_since = None
        elif self.alarm_since is None:
            self.alarm_since = now

    def _rebaked(self, state: State) -> float:
        """Watched seconds since the cause of the last rollback was written."""
        return self.watch.rebaked_s if state.setback is not None and self.watch.rebake_rev == state.setback.rev else 0.0

    def _blindness(self, state: State, ask: Ask, blind_s: float, evidence: Evidence) -> Decision | None:
        """Log rows for the start of blindness and its end."""
        asked = msgspec.structs.replace(ask, actor=ENGINE)
        if self.verdict.blind and not self._blind_reported:
            self._blind_reported = True
            return control.note(state, asked, "blind", self.verdict.blind, {"unseen": evidence.unseen})
        if self._blind_reported and not self.verdict.blind:
            self._blind_reported = False
            if not evidence.unseen or evidence.idle:
                return control.note(
                    state, asked, "seen", f"sees documents again after {clock(blind_s)} blind; the timers continue"
                )
        return None

    def _gather(self, state: State, mono: float) -> Evidence:
        samples: dict[Metric, Sample] = {"complaints": Ok(float(self._complaints), self._complaints)}
        recent = self.recent.at(mono)
        obeyed = state.percent_bp if self._obeyed is None else self._obeyed()
        answers = bool(self.servers) and not self._failed_probes
        unseen = Unseen()
        if state.percent_bp:
            unseen = self._silence.unseen(self.writer.problem, self._waiting(), obeyed / 10_000, answers)
        return Evidence(
            recent, Probes(self._failed_probes, len(self.servers)), samples, unseen.why, unseen.since_s, unseen.idle
        )

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
        asked = msgspec.structs.replace(ask, actor=ENGINE, reason=winner.id)
        made = control.act(self.plan, state, winner.action, asked, winner.sentence, evidence)
        if made is None and winner.action is Action.investigate:
            return control.note(state, asked, "investigate", f"{winner.id} needs a look: {winner.sentence}", evidence)
        return made

    def _store(self, at: float) -> None:
        body = msgspec.json.encode(self.watch).decode()
        verdicts: dict[str, str] = {r.id: r.verdict for r in self.verdict.readings}
        due = not 0 <= at - self._evidence_at < EVIDENCE_EVERY_S and self._limits.measures
        readings = [
            r
            for r in self.verdict.readings
            if due or r.id in self.verdict.fired or self._last_verdicts.get(r.id) != r.verdict
        ]
        self._last_verdicts = verdicts
        if due:
            self._evidence_at = at

        def write(conn: sqlite3.Connection) -> None:
            conn.execute(
                "INSERT INTO trigger_state VALUES (1,?,?) ON CONFLICT(id) DO UPDATE SET at = excluded.at, "
                "body = excluded.body",
                (at, body),
            )
            history.keep(conn, at, readings)

        self.writer.later(write)

    def day_before(self) -> Bucket:
        """Both arms over the day before the window on screen; at most half a minute old."""
        if self.clock.real() - self._before_at > BEFORE_EVERY_S:
            end = self.clock.now() - snapshot.WINDOW_S
            self._before = series.between(self.conn, end - BEFORE_S, end)
            self._before_at = self.clock.real()
        return self._before

    # -- the gate ------------------------------------------------------------------------------------------------------

    def gate_facts(self, state: State) -> conditions.GateFacts:
        """Measurements since the last change of percentage, and people's judgements in this stage."""
        if self._facts is not None and self.clock.real() - self._facts_at < FACTS_EVERY_S:
            return self._facts
        bucket = self._evidence(state)
        per_min = self._live.at(self.clock.monotonic()).per_min
        samples = self._samples(state, bucket)
        samples["negative_impacts"], impacts = facts.negative(self.conn, state)
        self._facts = conditions.GateFacts(
            samples, per_min, self._stability(state), sentences={"negative_impacts": impacts}
        )
        self._facts_at = self.clock.real()
        return self._facts

    def _evidence(self, state: State) -> Bucket:
        """What a gate judges: everything since the last change of percentage. On the way back what is as old as the
        bake asks for at most, so that the failures that a rollback answered do not count against what came after the
        mend."""
        back = control.returns(self.plan, state)
        if back is None:
            return series.since_change(self.conn, state.epoch)
        now = self.clock.now()
        span = way_back.rebake_s(self.plan.stages[min(back.stage, self.plan.last_stage)])
        return series.between(self.conn, now - max(span, 3600.0), now + 10, since_epoch=state.epoch)

    def _stability(self, state: State) -> Stability | None:
        """Reads hours of buckets, so it is read only every half a minute and extended in between."""
        now, real = self.clock.now(), self.clock.real()
        kept = self._stable
        if kept is None or kept[0] != state.rev or real - kept[1] > STABLE_EVERY_S:
            kept = self._stable = (state.rev, real, stability(self.conn, self.plan, state, now))
        measured = kept[2]
        return measured and msgspec.structs.replace(measured, clean_s=max(0.0, now - measured.since))

    def _satisfaction(self, since: tuple[int, float]) -> Sample:
        """Ratings of a stage since it was entered. Counted again only when new ones exist: there may be many, and a
        tick is a second."""
        newest = self.conn.execute(
            "SELECT (SELECT max(rowid) FROM feedback), (SELECT max(at) FROM feedback WHERE kind = 'rating')"
        ).fetchone()
        if self._rated is None or self._rated[0] != (since, newest):
            self._rated = ((since, newest), facts.rated(self.conn, *since))
        return self._rated[1]

    def _samples(self, state: State, b: Bucket) -> dict[str, Sample]:
        since = (state.stage, state.entered_at)
        reviewed = review.verdict(self.conn, *since)
        samples: dict[str, Sample] = {
            **facts.measured(state, b),
            "complaints": Ok(float(self._complaints), self._complaints),
            "llm_available": Ok(0.0 if self._failed_probes else 1.0),
            "critical_incidents": facts.incidents(self.conn, state),
            "quality_score": rate(reviewed.good, reviewed.documents),
            "satisfaction": self._satisfaction(since),
            **{metric: facts.stored(self.conn, metric, state.entered_at) for metric in facts.STORED},
        }
        unread = [metric for metric in facts.OF_THE_TEST if not isinstance(samples[metric], Ok)]
        if unread and not self._limits.may_test:
            samples.update(dict.fromkeys(unread, Error(self._limits.no_test)))
        elif unread:
            waits = self.conn.execute(
                "SELECT json_extract(report, '$.lock.sentence') FROM trial WHERE ended IS NULL"
            ).fetchone()
            if waits is not None and waits[0]:
                samples.update(dict.fromkeys(unread, Error(f"the test has not been read yet, {waits[0]}")))
        return samples

    def stage_of(self, state: State) -> Stage | None:
        return self.plan.stages[state.stage] if state.stage < len(self.plan.stages) else None

    def gate(
        self,
        state: State,
        facts: conditions.GateFacts,
        conn: sqlite3.Connection,
        short: bool = True,
        items: tuple[ItemView, ...] | None = None,
    ) -> conditions.GateReport:
        """`items`: the checklist, if it was just read."""
        items = checklist.read(conn, self.plan, state) if items is None else items
        unproven = self._unproven_rules(state, conn)
        baked = self._baked(state)
        if short and control.returns(self.plan, state) is not None:
            baked, facts = self._rebaked(state), msgspec.structs.replace(facts, stability=None)
        stage = control.gate_stage(self.plan, state, short)
        return conditions.assess(stage, facts, items, baked, control.people(state), self.blocked(state), unproven)

    def _unproven_rules(self, state: State, conn: sqlite3.Connection) -> tuple[str, ...]:
        """Triggers that differ from those the rollout began with need a backtest before many documents depend on
        them."""
        if not self.rules_unproven(state, conn):
            return ()
        return (f"the triggers were changed (rules {self.rules}): run `rollout triggers backtest --days 7`",)

    def rules_unproven(self, state: State, conn: sqlite3.Connection) -> bool:
        many = control.next_step(self.plan, state)[1] >= PROVEN_FROM_BP
        return many and attempts.changed_and_not_replayed(conn, self.rules)

    def blocked(self, state: State) -> tuple[str, ...]:
        """Blocks that no override lifts, each with its end."""
        now = self.clock.now()
        out = []
        if self.misplaced:
            out.append(MISPLACED.format(self.misplaced))
        if state.held:
            out.append(f"held by {state.held}; resume first")
        if state.locked:
            cooled_at = state.cooldown_until or 0.0
            until = f", not before {iso(cooled_at)}" if cooled_at > now else ""
            out.append(f"locked; resume with the cause{until}. {state.locked}")
        out += [why for why in (self.verdict.blind, self.verdict.quiet) if why]
        if (stop := blocked_until(self.plan.calendar, now)) is not None:
            out.append(f"{stop[1]}, until {iso(stop[0])}")
        return tuple(out)

    def judge(self, metric: str, op: str, value: float) -> CheckResult:
        """A checklist item that requires a metric."""
        sample = self._facts.samples.get(metric, NoData()) if self._facts else NoData()
        if not isinstance(sample, Ok):
            return CheckResult(False, f"{metric}: nothing measured yet")
        met = bounds.compare(sample.value, op, value)
        return CheckResult(met, f"{metric} is {sample.value:g} (n {sample.n}), target {op} {value:g}")

    # -- housekeeping --------------------------------------------------------------------------------------------------

    def retain(self, conn: sqlite3.Connection, now: float) -> int:
        """Delete a little of what is older than the plan keeps; return how many rows."""
        keep = self.plan.store
        day = 86400.0
        expired = documents.expire_texts(conn, now - keep.text_days * day) if keep.text_days else 0
        return expired + retain(conn, now, keep.raw_days * day, keep.ten_second_days * day, keep.minute_days * day)

    def measured(self, state: State, percent_bp: int, of: snapshot.About) -> MetricsSnapshot:
        """Everything that /metrics shows, at this moment."""
        return snapshot.take(
            self.conn,
            self.clock.now(),
            percent_bp=percent_bp,
            decided_bp=state.percent_bp,
            stage=state.stage,
            epoch=state.epoch,
            blind_s=self.watch.timers.blind_s,
            triggers=tuple(
                snapshot.of_trigger(judged.rule, reading, judged.rule.id in self.verdict.firing)
                for judged, reading in zip(self.verdict.judged, self.verdict.readings, strict=True)
            ),
            bulk_refused=self._bulk_refused(),
            llm_available=not self._failed_probes if self.servers else None,
            of=of,
            exemplars=self._exemplars,
        )

    def documents_per_min(self) -> float:
        mono = self.clock.monotonic()
        while self.documents and mono - self.documents[0] > 600:
            self.documents.popleft()
        span = min(600.0, mono - self.documents[0]) if self.documents else 0.0
        return len(self.documents) / max(span, 30.0) * 60 if self.documents else 0.0

    def baked(self, state: State) -> tuple[float, float]:
        """(seconds of the bake that are done, seconds required)."""
        stage = control.gate_stage(self.plan, state)
        if stage is None:
            return 0.0, 0.0
        if control.returns(self.plan, state) is not None:
            return self._rebaked(state), stage.bake_s
        watched = self._baked(state)
        return conditions.bake_done(stage, self.gate_facts(state), watched), stage.bake_s
