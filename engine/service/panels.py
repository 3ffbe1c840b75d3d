"""The parts of the view that the engine's own objects give: triggers, gate, servers, workers, rollback, restore, the
process itself. Reads, writes nothing.
"""

from __future__ import annotations

import os

from msgspec.structs import replace

from engine.cluster.lag import SHOWN_S
from engine.experiment.effects import wilson
from engine.experiment.moments import Counts
from engine.gate import checklist
from engine.gate.report import gate_view
from engine.plan.durations import iso
from engine.rollout.state import stage_of
from engine.service.engine import Engine
from engine.store import log
from engine.store.database import outgrown_log
from engine.text import counted, rate_percent
from engine.triggers.evidence import Evidence
from engine.triggers.measurement import Ok
from engine.triggers.rules import find
from engine.triggers.wording import in_shadow
from engine.view.fields import trigger_view
from engine.view.model import (
    EngineView,
    GateView,
    HandoverView,
    ProofView,
    RestoreView,
    ServerView,
    TriggerView,
    WorkerView,
)
from engine.view.servers import server_name

HANDOVER_S = 3 * 86400.0


def shadows(engine: Engine) -> bool:
    stage = stage_of(engine.plan, engine.state)
    return bool(stage and stage.shadow_bp and engine.folder.is_armed())


def _shadow_sentences(engine: Engine) -> dict[str, str]:
    """What the rules would see in shadow, shown at 0 %, where they have no data to act on."""
    monitor = engine.monitor
    if engine.state.percent_bp or engine.state.locked or not shadows(engine):
        return {}
    evidence = Evidence(attempts=monitor.observations.shadow.at(engine.clock.monotonic()))
    settings = engine.plan.trigger_settings
    return {rule.id: in_shadow(rule, find(rule, settings, evidence)) for rule in engine.plan.triggers if rule.enabled}


def proof(engine: Engine) -> ProofView | None:
    """The proof of the last rollback, with the current state of the neighbouring service."""
    proof = engine.proof.view if engine.proof else engine.last_proof
    if proof is None:
        return None
    if proof.rev and (reason := log.reason_of(engine.conn, proof.rev)):
        proof = replace(proof, reason=reason)
    return with_neighbour(engine, proof)


def with_neighbour(engine: Engine, proof: ProofView) -> ProofView:
    """The proof, with the current state of the neighbouring service."""
    applied = engine.applier.applied
    return replace(proof, applied=applied.state, applied_sentence=applied.sentence)


def triggers(engine: Engine) -> tuple[TriggerView, ...]:
    rules = {rule.id: rule for rule in engine.plan.triggers}
    fired = log.locked_by(engine.conn, engine.state)
    shadow = _shadow_sentences(engine)
    readings = engine.monitor.verdict.readings
    return tuple(trigger_view(rules[r.id], r, fired, sentence=shadow.get(r.id, "")) for r in readings)


def servers(engine: Engine) -> tuple[ServerView, ...]:
    """Every LLM server, in the plan's order."""
    return tuple(
        ServerView(
            name=server_name(engine.plan.llm.api, number, s.url),
            url=s.url,
            up=s.up if s.tried else None,
            state=s.state,
            in_flight=s.in_flight,
            window=s.window,
            latency_ms=s.latency_ms,
            failures=s.consecutive_failures,
            error=s.last_error,
            learnt=s.learnt,
        )
        for number, s in enumerate(engine.pool.servers(), 1)
    )


def workers(engine: Engine) -> tuple[WorkerView, ...]:
    leases, jobs = engine.leases, engine.jobs.at_work
    waiting = {job: engine.jobs.waits(job) for job in set(jobs.values())}
    out = []
    for one in leases.shown():
        job = jobs.get(one.worker)
        barred = waiting[job] if job is not None else ""
        unreachable = engine.jobs.unreachable(one.worker)
        held_up = "its documents wait until the LLM may be called" if barred else unreachable.rstrip(".")
        out.append(
            WorkerView(
                name=one.worker,
                host=one.host,
                pid=one.pid,
                state=leases.state(one),
                percent_bp=one.percent_bp,
                in_flight=one.in_flight,
                until=leases.until(one),
                sentence="; ".join(filter(None, (leases.sentence(one), held_up))),
                job=job,
                waits=barred or unreachable,
            )
        )
    return tuple(out)


def gate(engine: Engine) -> GateView:
    plan, state, keeper = engine.plan, engine.state, engine.monitor.gatekeeper
    items = checklist.read(engine.conn, plan, state)
    report = keeper.report(state, keeper.facts(state), engine.conn, items=items)
    return gate_view(plan, state, report, items, *keeper.baked(state))


def restore(engine: Engine) -> RestoreView | None:
    """What a restore would change; None while nothing serves LLM keywords and none was made."""
    restorable = engine.restorable()
    every, last = restorable.every, restorable.last
    if not every.documents and last is None:
        return None
    done = f"; the last restore changed {last[1]}, and can be undone" if last else ""
    since = f", first written {iso(every.since)}" if every.since else ""
    number, changed = last or (None, 0)
    return RestoreView(
        documents=every.documents,
        since=every.since,
        until=every.until,
        window_documents=restorable.before_change,
        last_id=number,
        last_documents=changed,
        undoable=last is not None,
        sentence=f"{counted(every.documents, 'document serves', 'documents serve')} LLM keywords{since}{done}",
    )


def judged(engine: Engine) -> dict[str, str]:
    judged = dict(engine.judged)
    samples = engine.monitor.gatekeeper.facts(engine.state).samples
    for metric, what in (("quality_score", "reviewed documents are good"), ("satisfaction", "ratings are 4 or 5")):
        sample = samples.get(metric)
        if isinstance(sample, Ok) and sample.n:
            judged[metric] = f"{sample.k} of {sample.n} {what}: {rate_percent(sample.value, 0)}"
            between = wilson(Counts(sample.n, sample.k or 0))
            if between is not None and between.low is not None and between.high is not None:
                judged[metric] += f", between {rate_percent(between.low, 0)} and {rate_percent(between.high, 0)}"
    return judged


def process(engine: Engine) -> EngineView:
    """The engine's process: since when it runs, what troubles it, what it has in flight."""
    real, lag = engine.clock.real(), engine.monitor.lag
    ongoing = (
        engine.writer.problem or engine.writer.slow,
        outgrown_log(engine.folder),
        engine.applier.problem,
        lag.sentence(real),
        engine.program_watch.sentence,
    )
    problems = [problem for problem in ongoing if problem]
    notices = []
    if not engine.rehearsal and any(m.automatic for m in engine.plan.messages):
        problems += [sentence for sentence in (engine.dispatcher.trouble,) if sentence]
        notices += [sentence for sentence in (engine.dispatcher.notice,) if sentence]
    return EngineView(
        pid=os.getpid(),
        started=engine.started,
        token=engine.token,
        state="stopping" if engine.stopping else "active",
        documents_per_min=engine.monitor.observations.documents_per_min(),
        llm_per_min=engine.monitor.observations.recent.at(engine.clock.monotonic()).seen_per_min,
        in_flight=engine.pipeline.in_flight,
        queue=engine.writer.pending,
        address=engine.address,
        problems=tuple(problems),
        late_s=round(lag.late_s(real - SHOWN_S, real), 2),
        unjudged=engine.monitor.unjudged,
        notices=tuple(notices),
        backlog=engine.pipeline.backlog,
    )


def handover(engine: Engine) -> HandoverView | None:
    """The last hand-over note, as long as a shift or two may ask for it."""
    row = engine.conn.execute(
        "SELECT at, actor, text FROM note WHERE kind = 'handover' AND at >= ? ORDER BY id DESC LIMIT 1",
        (engine.clock.now() - HANDOVER_S,),
    ).fetchone()
    return HandoverView(*row) if row is not None else None
