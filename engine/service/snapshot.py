"""The view of one moment: everything consoles show, in one value. Reads, writes nothing."""

from __future__ import annotations

import sqlite3
from typing import Any

from msgspec.structs import replace

from engine.clock import pace
from engine.gate.reminders import due
from engine.gate.report import quality
from engine.measures.bucket import Bucket
from engine.plan.durations import iso
from engine.plan.environment import PERCENTAGE
from engine.rollout.control import to_resume
from engine.rollout.state import State, stage_of
from engine.routing.switch import Permit
from engine.service import escalation, panels
from engine.service.engine import Engine
from engine.service.escalation import acknowledged
from engine.service.inbox_facts import inbox_facts, messages_due, messages_waiting
from engine.store import log, series
from engine.text import clean_line, percent
from engine.view import attribution, fields, gauge, headlines, inbox, next_steps
from engine.view.model import GateView, Gauge, PresenceView, TriggerView, View

WINDOW_S = gauge.WINDOW_S


def view(engine: Engine) -> View:
    """Everything that consoles show at this moment. sqlite3.Error when the store cannot be read."""
    plan, state, monitor = engine.plan, engine.state, engine.monitor
    now, permit = engine.clock.now(), engine.switch.read()
    stored = series.window(engine.conn, now, WINDOW_S, since_epoch=state.epoch)
    gauged = monitor.gauged
    bucket = gauge.as_judged(stored, gauged.served if gauged else None)
    targets = gauge.targets(plan, state)
    filling = gauge.is_filling(plan, state, now)
    gauges = gauge.gauges(bucket, targets, WINDOW_S, gauge.since_change(state, now), filling)
    shadow = _shadow(engine, bucket, targets)
    triggers, gate = panels.triggers(engine), panels.gate(engine)
    proof, running = panels.proof(engine), panels.process(engine)
    reminders = due(engine.conn, stage_of(plan, state), state, now)
    messages = messages_due(engine)
    why = _why(engine, permit, state)
    overruled = why if not permit.percent_bp else ""
    health, sentence = _health(engine, permit, bucket, gauges, shadow, triggers)
    return View(
        **_plan_fields(engine),
        **_state_fields(engine),
        **fields.of_window(bucket, gauges, shadow),
        **_people_fields(engine),
        **_limit_fields(engine),
        at=now,
        engine=running,
        effective_bp=permit.percent_bp,
        why_effective=why,
        health=health,
        health_sentence=sentence,
        attribution=_attribution(engine, bucket, triggers),
        servers=panels.servers(engine),
        triggers=triggers,
        matrix=next_steps.matrix(plan, triggers),
        next=_next(engine, triggers, gate),
        waiting=(
            *next_steps.waiting_for(state, plan, gate, reminders, engine.misplaced, engine.plan_watch.sentence),
            *messages_waiting(messages),
        ),
        inbox=inbox.tasks(state, plan, gate, reminders, inbox_facts(engine, running, proof, messages, overruled)),
        gate=gate,
        reminders=reminders,
        rollback=proof,
        restore=panels.restore(engine),
        workers=panels.workers(engine),
        quality=quality(bucket, monitor.gatekeeper.facts(state).samples),
        judged=panels.judged(engine),
    )


def _shadow(engine: Engine, bucket: Bucket, targets: dict[str, float]) -> tuple[Gauge, ...]:
    if not panels.shadows(engine) and not bucket.shadow_n:
        return ()
    gauged = engine.monitor.gauged
    return gauge.shadow_gauges(bucket, targets, WINDOW_S, gauged.shadow if gauged else None)


def view_or_last(engine: Engine) -> View | None:
    """The view, or the last one where the store cannot be read for it."""
    try:
        return view(engine)
    except sqlite3.Error as error:
        return last(engine, error)


def last(engine: Engine, error: Exception) -> View | None:
    """The last view, corrected to what is decided and in force now: its other figures are old, and it says so. Needs
    nothing that may have failed. None before the first view."""
    if engine.view is None:
        return None
    state, permit = engine.state, engine.switch.read()
    why = _why(engine, permit, state)
    in_force = f"{percent(permit.percent_bp)} in force{f': {why}' if why else ''}"
    cause = clean_line(str(error), 200) or type(error).__name__
    return replace(
        engine.view,
        **fields.of_plan(engine.plan, state),
        **fields.of_state(state),
        effective_bp=permit.percent_bp,
        why_effective=why,
        health="alert",
        health_sentence=f"NO NEW FIGURES since {iso(engine.view.at)} ({cause}); {in_force}",
        rollback=engine.proof.view if engine.proof else engine.view.rollback,
        events=tuple(engine.events)[-20:],
    )


def _plan_fields(engine: Engine) -> dict[str, Any]:
    """What is running, as the plan names it."""
    return {
        **fields.of_plan(engine.plan, engine.state),
        "rehearsal": engine.rehearsal,
        "game": engine.director is not None,
        "speed": pace(engine.clock),
        "plan_digest": engine.plan.digest,
        "faults": dict(engine.world.faults) if engine.world else {},
    }


def _state_fields(engine: Engine) -> dict[str, Any]:
    """What was decided, and what of it can still be changed."""
    state, armed = engine.state, engine.switch.armed_file == "in"
    undo = state.undo if state.undo and engine.clock.now() < state.undo.until else None
    return {
        **fields.of_state(state),
        "armed": armed,
        "resumes": to_resume(state, armed, state.stage == 0 and engine.rolled_back()),
        "held": state.held or (engine.misplaced and f"the changed rollout.toml: {engine.misplaced}"),
        "undo_until": undo.until if undo and not state.locked and not state.held else None,
    }


def _people_fields(engine: Engine) -> dict[str, Any]:
    """What people need of one another, and what happened while they were away."""
    return {
        "alarm_since": engine.monitor.alarm_since,
        "acknowledged": acknowledged(engine),
        "handover": panels.handover(engine),
        "operators": tuple(
            PresenceView(a.name, a.terminal, screen, since) for a, screen, since in engine.monitor.presence.now()
        ),
        "log": engine.newest.read(engine.conn),
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
            locked_by=log.locked_by(engine.conn, engine.state),
            blind=verdict.blind_detail,
            quiet=verdict.quiet_detail,
            unjudged=verdict.unjudged,
            misplaced=engine.misplaced,
            refusing=engine.writer.refusing,
        )
    )


def _next(engine: Engine, triggers: tuple[TriggerView, ...], gate: GateView) -> tuple[str, ...]:
    """What happens if no one does anything."""
    blind = engine.monitor.verdict.blind
    left = None
    if blind and not engine.switch.pending:  # a rollback in force has taken the step, though it is not recorded yet
        left = engine.plan.trigger_settings.blind_step_down_s - engine.monitor.watch.timers.blind_s
    return (
        *next_steps.what_next(engine.state, triggers, gate, blind, left, engine.clock.now()),
        *escalation.sentences(engine),
        *engine.limits.sentences,
    )


def _why(engine: Engine, permit: Permit, state: State) -> str:
    """Why routers obey less than was decided; "" when they do not."""
    if not state.percent_bp or permit.why or permit.percent_bp == state.percent_bp:
        return permit.why if state.percent_bp else ""
    if permit.percent_bp == engine.switch.ceiling_bp:
        return f"the environment caps it; restart the engine without {PERCENTAGE}={permit.percent_bp / 100:g}"
    if permit.percent_bp == state.ceiling_bp:
        return f"the recorded ceiling is {percent(state.ceiling_bp)}; `rollout ceiling` raises it"
    return "a rollback is under way"


def _attribution(engine: Engine, now: Bucket, triggers: tuple[TriggerView, ...]) -> str:
    """Attribution for the metric in trouble; for errors if none is."""
    before = engine.monitor.day_before()
    metrics = {rule.id: rule.metric for rule in engine.plan.triggers}
    wrong = {metrics.get(t.id) for t in triggers if t.verdict in ("breach", "muted")}
    if "latency_mean" in wrong and not wrong & {"error_rate", "error_creep"}:
        return attribution.of_times(now, before)
    return attribution.of_errors(now, before)
