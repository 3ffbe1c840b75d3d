"""The view of one moment: everything consoles show, in one value. Reads, writes nothing."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from engine.clock import pace
from engine.experiment.effects import wilson
from engine.experiment.moments import Counts
from engine.gate import checklist
from engine.gate.reminders import due
from engine.measures.bucket import Bucket
from engine.messages import outbox, schedule
from engine.plan.durations import iso
from engine.plan.environment import PERCENTAGE
from engine.plan.model import Message
from engine.rollout import control
from engine.rollout.control import to_resume
from engine.rollout.state import State, stage_name
from engine.routing.switch import Permit
from engine.service import escalation
from engine.service.engine import COMPLAINTS, Engine
from engine.service.escalation import acknowledged
from engine.service.lag import SHOWN_S
from engine.store import log, series
from engine.store.database import held_back
from engine.store.reader import decision_view
from engine.text import counted, percent
from engine.triggers.evidence import Evidence
from engine.triggers.measurement import Ok
from engine.triggers.rules import find
from engine.triggers.wording import in_shadow
from engine.view import attribution, headlines, inbox
from engine.view.model import (
    EngineView,
    GateView,
    Gauge,
    HandoverView,
    PresenceView,
    ProofView,
    RestoreView,
    ServerView,
    TriggerView,
    View,
    WorkerView,
)

WINDOW_S = headlines.WINDOW_S
LOG_ROWS = 30
HANDOVER_S = 3 * 86400.0


def view(engine: Engine) -> View:
    plan, state, monitor = engine.plan, engine.state, engine.monitor
    now, permit = engine.clock.now(), engine.switch.read()
    bucket = series.window(engine.conn, now, WINDOW_S, since_epoch=state.epoch)
    targets = headlines.targets(plan, state)
    gauges = headlines.gauges(bucket, targets, WINDOW_S)
    shadow = headlines.shadow_gauges(bucket, targets, WINDOW_S) if _shadows(engine) or bucket.shadow_n else ()
    triggers, gate, proof, running = _triggers(engine), _gate(engine), _proof(engine), _engine(engine)
    reminders = due(engine.conn, monitor.stage_of(state), state, now)
    messages = _messages_due(engine)
    why = _why(engine, permit, state)
    overruled = why if not permit.percent_bp else ""
    health, sentence = _health(engine, permit, bucket, gauges, shadow, triggers)
    return View(
        **_plan_fields(engine),
        **_state_fields(engine),
        **_people_fields(engine),
        **_limit_fields(engine),
        at=now,
        engine=running,
        effective_bp=permit.percent_bp,
        why_effective=why,
        health=health,
        health_sentence=sentence,
        attribution=_attribution(engine, bucket, triggers),
        error_rate=gauges[0],
        latency=gauges[1],
        cache=gauges[2],
        methods={"llm": bucket.llm, "frequency": bucket.frequency, "fallback": bucket.fallbacks, "cached": bucket.hits},
        servers=_servers(engine),
        triggers=triggers,
        matrix=headlines.matrix(plan, triggers),
        next=_next(engine, triggers, gate),
        waiting=(
            *headlines.waiting_for(state, plan, gate, reminders, engine.misplaced, engine.plan_watch.sentence),
            *_messages_waiting(messages),
        ),
        inbox=inbox.tasks(state, plan, gate, reminders, _inbox_facts(engine, running, proof, messages, overruled)),
        gate=gate,
        reminders=reminders,
        rollback=proof,
        restore=_restore(engine),
        workers=_workers(engine),
        quality=_quality(engine, bucket),
        shadow=shadow,
        judged=_judged(engine),
    )


def _plan_fields(engine: Engine) -> dict[str, Any]:
    """What is running, as the plan names it."""
    plan, state = engine.plan, engine.state
    stage = engine.monitor.stage_of(state)
    return {
        "name": plan.name,
        "environment": plan.environment,
        "service": plan.service,
        "rehearsal": engine.rehearsal,
        "speed": pace(engine.clock),
        "plan_digest": plan.digest,
        "stages": len(plan.stages),
        "stage_name": stage_name(plan, state.stage),
        "stage_objective": stage.objective if stage else "The rollout is stable; the triggers stay armed.",
        "stage_percent_bp": stage.percent_bp if stage else plan.stages[-1].percent_bp,
        "stable": state.stage >= plan.stable,
        "ab_test": bool(stage and stage.ab_test),
        "shadow_bp": stage.shadow_bp if stage else 0,
        "stage_percents": tuple(s.percent_bp for s in plan.stages),
        "stage_names": tuple(s.name for s in plan.stages),
        "faults": dict(engine.world.faults) if engine.world else {},
    }


def _state_fields(engine: Engine) -> dict[str, Any]:
    """What was decided, and what of it can still be changed."""
    state, armed = engine.state, engine.switch.armed_file == "in"
    undo = state.undo if state.undo and engine.clock.now() < state.undo.until else None
    return {
        "stage": state.stage,
        "percent_bp": state.percent_bp,
        "epoch": state.epoch,
        "rev": state.rev,
        "armed": armed,
        "resumes": to_resume(state, armed, state.stage == 0 and engine.rolled_back()),
        "entered_at": state.entered_at,
        "changed_at": state.changed_at,
        "held": state.held or (engine.misplaced and f"the changed rollout.toml: {engine.misplaced}"),
        "locked": state.locked,
        "cooldown_until": state.cooldown_until,
        "undo_until": undo.until if undo and not state.locked and not state.held else None,
    }


def _people_fields(engine: Engine) -> dict[str, Any]:
    """What people need of one another, and what happened while they were away."""
    return {
        "alarm_since": engine.monitor.alarm_since,
        "acknowledged": acknowledged(engine),
        "handover": _handover(engine),
        "operators": tuple(
            PresenceView(a.name, a.terminal, screen, since) for a, screen, since in engine.monitor.present()
        ),
        "log": tuple(decision_view(row) for row in log.rows(engine.conn, limit=LOG_ROWS)),
        "events": tuple(engine.events)[-20:],
    }


def _limit_fields(engine: Engine) -> dict[str, Any]:
    """What cannot be seen or done now."""
    return {
        "blind": engine.monitor.verdict.blind,
        "no_traffic": engine.monitor.verdict.quiet,
        "measuring": engine.measuring,
        "limits": engine.limits.sentences,
        "may_test": engine.limits.may_test,
        "measures": engine.limits.measures,
        "misplaced": engine.misplaced,
        "plan_changed": engine.plan_watch.sentence,
    }


def _health(
    engine: Engine,
    permit: Permit,
    bucket: Bucket,
    gauges: tuple[Gauge, ...],
    shadow: tuple[Gauge, ...],
    triggers: tuple[TriggerView, ...],
) -> headlines.Headline:
    verdict = engine.monitor.verdict
    return headlines.health(
        headlines.Situation(
            state=engine.state,
            now=engine.clock.now(),
            triggers=triggers,
            documents=bucket.attempts,
            gauges=gauges,
            shadow=shadow,
            effective_bp=permit.percent_bp,
            why_effective=_why(engine, permit, engine.state),
            locked_by=_fired(engine),
            blind=verdict.blind_detail,
            quiet=verdict.quiet_detail,
            misplaced=engine.misplaced,
        )
    )


def _next(engine: Engine, triggers: tuple[TriggerView, ...], gate: GateView) -> tuple[str, ...]:
    """What happens if no one does anything."""
    blind = engine.monitor.verdict.blind
    left = engine.plan.trigger_settings.blind_step_down_s - engine.monitor.watch.timers.blind_s if blind else None
    return (
        *headlines.what_next(engine.state, triggers, gate, blind, left, engine.clock.now()),
        *escalation.sentences(engine),
        *engine.limits.sentences,
    )


def _why(engine: Engine, permit: Permit, state: State) -> str:
    """Why routers obey less than was decided; "" when they do not."""
    if not state.percent_bp or permit.why or permit.percent_bp == state.percent_bp:
        return permit.why if state.percent_bp else ""
    if permit.percent_bp == engine.switch.ceiling_bp:
        return f"the engine was started with {PERCENTAGE}={permit.percent_bp / 100:g}"
    if permit.percent_bp == state.ceiling_bp:
        return f"the recorded ceiling is {percent(state.ceiling_bp)}; `rollout ceiling` raises it"
    return "a rollback is under way"


def _shadows(engine: Engine) -> bool:
    stage = engine.monitor.stage_of(engine.state)
    return bool(stage and stage.shadow_bp and engine.folder.is_armed())


def _shadow_sentences(engine: Engine) -> dict[str, str]:
    """At 0 % the rules have no data to act on, so show what they would see in shadow."""
    monitor = engine.monitor
    if engine.state.percent_bp or engine.state.locked or not _shadows(engine):
        return {}
    evidence = Evidence(attempts=monitor.shadow.at(engine.clock.monotonic()))
    settings = engine.plan.trigger_settings
    return {rule.id: in_shadow(rule, find(rule, settings, evidence)) for rule in engine.plan.triggers if rule.enabled}


def _messages_due(engine: Engine) -> tuple[Message, ...]:
    """Messages of the plan that a person sends: those that go out on their own are not waited for."""
    plan, state = engine.plan, engine.state
    if not plan.messages:
        return ()
    last = outbox.last_queued(engine.conn)
    due = schedule.suggested(plan, state.stage, state.entered_at, last)
    due |= schedule.regular_due(plan, state.stage, engine.clock.now(), last)
    return tuple(m for m in plan.messages if m.id in due and not m.automatic)


def _messages_waiting(due: tuple[Message, ...]) -> tuple[str, ...]:
    names = ", ".join(m.id.replace("_", " ") for m in due)
    return (f"{counted(len(due), 'message')} to send (9): {names}",) if due else ()


def _inbox_facts(
    engine: Engine, running: EngineView, proof: ProofView | None, messages: tuple[Message, ...], overruled: str
) -> inbox.InboxFacts:
    state, monitor = engine.state, engine.monitor
    complaints, complained_at = _unread_complaints(engine)
    to_review, review_of = _to_review(engine)
    # a rollback that was undone, or that later promotions have passed, needs no explanation any more
    unexplained = proof is not None and not proof.automatic and not proof.reason and proof.rev == state.last_rev
    return inbox.InboxFacts(
        alarm="" if acknowledged(engine) else monitor.alarm,
        locked_by=_fired(engine),
        misplaced=engine.misplaced,
        plan_changed=engine.plan_watch.sentence,
        blind=monitor.verdict.blind,
        overruled=overruled,
        problems=running.problems,
        unexplained=proof.rev
        if proof is not None and unexplained and not state.percent_bp and not _explained(engine, proof.rev)
        else 0,
        complaints=complaints,
        complained_at=complained_at,
        to_review=to_review,
        review_of=review_of,
        unarmed=_unarmed(engine),
        rules_unproven=monitor.rules_unproven(state, engine.conn),
        messages=tuple((m.id, m.id.replace("_", " ")) for m in messages),
    )


def _unarmed(engine: Engine) -> bool:
    """After a rollback the armed file is out: the shadow of the stage where it landed waits for a person who puts it
    back."""
    stage = engine.monitor.stage_of(engine.state)
    return bool(stage and stage.shadow_bp and engine.state.last_rev) and engine.switch.armed_file != "in"


def _handover(engine: Engine) -> HandoverView | None:
    """The last hand-over note, as long as a shift or two may ask for it."""
    row = engine.conn.execute(
        "SELECT at, actor, text FROM note WHERE kind = 'handover' AND at >= ? ORDER BY id DESC LIMIT 1",
        (engine.clock.now() - HANDOVER_S,),
    ).fetchone()
    return HandoverView(*row) if row is not None else None


def _explained(engine: Engine, rev: int) -> bool:
    row = engine.conn.execute(
        "SELECT 1 FROM decision WHERE kind = 'reason' AND rev > ? AND json_extract(body, '$.evidence.of') = ? LIMIT 1",
        (rev, rev),
    ).fetchone()
    return row is not None


def _unread_complaints(engine: Engine) -> tuple[int, float | None]:
    """Complaints of this stage that came after a person last ticked them off, and when the first of them came."""
    state = engine.state
    since, stage = state.entered_at, state.stage
    row = engine.conn.execute(
        "SELECT count(*), min(at) FROM feedback WHERE kind = 'complaint' AND stage = ? AND at >= ? AND at > "
        "coalesce((SELECT max(done) FROM reminder WHERE id = ? AND stage = ?), 0)",
        (stage, since, COMPLAINTS, stage),
    ).fetchone()
    return row[0], row[1]


def _to_review(engine: Engine) -> tuple[int, int]:
    """(documents still to be judged, documents that this stage asks for); none while the LLM has written nothing to
    review."""
    stage = engine.monitor.stage_of(engine.state)
    if stage is None or stage.sampling is None:
        return 0, 0
    sample = engine.monitor.gate_facts(engine.state).samples.get("quality_score")
    judged = sample.n if isinstance(sample, Ok) else 0
    wanted = stage.sampling.documents
    if judged >= wanted or not engine.restorable().every.documents:
        return 0, wanted
    return wanted - judged, wanted


def _proof(engine: Engine) -> ProofView | None:
    """The last rollback's proof, with the current state of the service beside the engine added."""
    proof = engine.proof.view if engine.proof else engine.last_proof
    if proof is None:
        return None
    applied = engine.applier.applied
    if proof.rev and (reason := log.reason_of(engine.conn, proof.rev)):
        proof = replace(proof, reason=reason)
    return replace(proof, applied=applied.state, applied_sentence=applied.sentence)


def _fired(engine: Engine) -> str:
    """The trigger whose rollback locked promotion; "" while it is not locked."""
    if not engine.state.locked:
        return ""
    row = engine.conn.execute(
        "SELECT json_extract(body, '$.evidence.trigger') FROM decision WHERE kind = 'trigger' ORDER BY rev DESC LIMIT 1"
    ).fetchone()
    return str(row[0] or "") if row is not None else ""


def _triggers(engine: Engine) -> tuple[TriggerView, ...]:
    rules = {rule.id: rule for rule in engine.plan.triggers}
    fired = _fired(engine)
    shadow = _shadow_sentences(engine)
    out = []
    for r in engine.monitor.verdict.readings:
        rule = rules[r.id]
        out.append(
            TriggerView(
                r.id,
                rule.text,
                str(rule.action),
                str(rule.severity),
                r.verdict,
                r.value,
                r.threshold,
                r.n,
                r.k,
                r.held_s,
                r.for_s,
                r.rule,
                shadow.get(r.id) or r.sentence,
                r.resets_when,
                r.fires_in_s,
                rule.timeline_s,
                r.headline,
                r.evidence,
                r.id == fired,
                r.acts_by,
            )
        )
    return tuple(out)


def _servers(engine: Engine) -> tuple[ServerView, ...]:
    out = []
    for number, s in enumerate(engine.pool.servers(), 1):
        out.append(
            ServerView(
                headlines.server_name(engine.plan.llm.api, number, s.url),
                s.url,
                s.up,
                s.state,
                s.in_flight,
                s.window,
                s.latency_ms,
                s.consecutive_failures,
                s.last_error,
                s.learnt,
            )
        )
    return tuple(out)


def _workers(engine: Engine) -> tuple[WorkerView, ...]:
    leases = engine.leases
    return tuple(
        WorkerView(
            lease.worker,
            lease.host,
            lease.pid,
            leases.state(lease),
            lease.percent_bp,
            lease.in_flight,
            leases.until(lease),
            leases.sentence(lease),
        )
        for lease in leases.shown()
    )


def _gate(engine: Engine) -> GateView:
    plan, state, monitor = engine.plan, engine.state, engine.monitor
    report = monitor.gate(state, monitor.gate_facts(state), engine.conn)
    stage = control.gate_stage(plan, state)
    next_stage, next_bp = control.next_step(plan, state)
    baked, asked = monitor.baked(state)
    return GateView(
        open=report.open and state.stage < plan.stable,
        next_stage=next_stage,
        next_name=stage_name(plan, next_stage),
        next_percent_bp=next_bp,
        sentence=stage.gate if stage else "",
        missing=report.missing,
        conditions=report.conditions,
        items=checklist.read(engine.conn, plan, state),
        bake_s=asked,
        baked_s=baked,
        approvals_needed=stage.approvals if stage else 0,
        approvals=state.approvals,
        blocked=report.blocked,
        met=report.met,
        total=report.total,
        others=report.others,
        returns=control.returns(plan, state) is not None,
    )


def _attribution(engine: Engine, now: Bucket, triggers: tuple[TriggerView, ...]) -> str:
    """For the metric that is in trouble; for errors when none is."""
    before = engine.monitor.day_before()
    metrics = {rule.id: rule.metric for rule in engine.plan.triggers}
    wrong = {metrics.get(t.id) for t in triggers if t.verdict in ("breach", "muted")}
    if "latency_mean" in wrong and not wrong & {"error_rate", "error_creep"}:
        return attribution.of_times(now, before)
    return attribution.of_errors(now, before)


def _restore(engine: Engine) -> RestoreView | None:
    restorable = engine.restorable()
    every, last = restorable.every, restorable.last
    if not every.documents and last is None:
        return None
    done = f"; the last restore changed {last[1]}, and can be undone" if last else ""
    since = f", first written {iso(every.since)}" if every.since else ""
    return RestoreView(
        every.documents,
        every.since,
        every.until,
        restorable.before_change,
        last[0] if last else None,
        last[1] if last else 0,
        last is not None,
        f"{counted(every.documents, 'document serves', 'documents serve')} LLM keywords{since}{done}",
    )


def _quality(engine: Engine, b: Bucket) -> dict[str, float | None]:
    quality: dict[str, float | None] = {"grounded_rate": b.grounded_rate, "keywords_mean": b.keywords_mean}
    samples = engine.monitor.gate_facts(engine.state).samples
    for metric in ("quality_score", "satisfaction", "search_improvement", "ab_verdict"):
        sample = samples.get(metric)
        quality[metric] = sample.value if isinstance(sample, Ok) else None
    return quality


def _judged(engine: Engine) -> dict[str, str]:
    judged = dict(engine.judged)
    samples = engine.monitor.gate_facts(engine.state).samples
    for metric, what in (("quality_score", "reviewed documents are good"), ("satisfaction", "ratings are 4 or 5")):
        sample = samples.get(metric)
        if isinstance(sample, Ok) and sample.n:
            judged[metric] = f"{sample.k} of {sample.n} {what}: {sample.value * 100:.0f} %"
            between = wilson(Counts(sample.n, sample.k or 0))
            if between is not None and between.low is not None and between.high is not None:
                judged[metric] += f", between {between.low * 100:.0f} % and {between.high * 100:.0f} %"
    return judged


def _engine(engine: Engine) -> EngineView:
    import os

    real, lag = engine.clock.real(), engine.monitor.lag
    standing = (engine.writer.problem, held_back(engine.folder), engine.applier.problem, lag.sentence(real))
    problems = [problem for problem in standing if problem]
    notices = []
    if not engine.rehearsal and any(m.automatic for m in engine.plan.messages):
        problems += [sentence for sentence in (engine.post.trouble,) if sentence]
        notices += [sentence for sentence in (engine.post.notice,) if sentence]
    return EngineView(
        os.getpid(),
        engine.started,
        engine.token,
        "stopping" if engine.stopping else "active",
        engine.monitor.documents_per_min(),
        engine.monitor.recent.at(engine.clock.monotonic()).per_min,
        engine.pipeline.in_flight,
        engine.writer.pending,
        engine.address,
        tuple(problems),
        round(lag.late_s(real - SHOWN_S, real), 2),
        engine.monitor.unjudged,
        tuple(notices),
    )
