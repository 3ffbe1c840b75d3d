"""The view of a moment in the past, rebuilt from the store: decisions, roll-ups, trigger evidence, probes, feedback.

What was not kept is listed in `View.not_kept` and shown as unknown, never inferred from today's data. Read only. Every
moment
costs the same, some sixty buckets and a few rows, however long the history.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from engine.gate import checklist, conditions, facts
from engine.gate.checklist import Signature
from engine.gate.reminders import due
from engine.measures.bucket import Bucket
from engine.plan.durations import format_duration, iso
from engine.plan.load import parse_plan
from engine.plan.model import Plan, Stage
from engine.plan.problems import PlanError
from engine.quality import review
from engine.rollout import control
from engine.rollout.calendar import blocked_until
from engine.rollout.state import Decision, State, stage_name, transition
from engine.store import log, plans, series
from engine.store.database import one_moment
from engine.store.reader import decision_view
from engine.store.rollup import LEVELS
from engine.text import percent
from engine.triggers.history import STALE_S
from engine.triggers.measurement import NoData, Ok, Sample, rate
from engine.triggers.wording import Reading
from engine.view import attribution, headlines
from engine.view.model import EngineView, GateView, ItemView, PresenceView, ProofView, ServerView, TriggerView, View

WINDOW_S = headlines.WINDOW_S
LOG_ROWS = 30
MOST_CALLS = 4000  # of the window, newest first: the evidence for each server's state
HOUR, DAY = 3600, 86400.0

NOT_KEPT = (
    "calls in flight, queues and the servers' own state",
    "the armed file and the lease: the percentage shown is the decided one",
    "bake counts only watched time: the figure shown is an upper bound",
    "engine messages that are not decisions",
)


class NothingKept(Exception):
    """The store has nothing about that moment; the sentence gives the start of its record."""


def view_at(conn: sqlite3.Connection, plan: Plan, at: float) -> View:
    """Raises NothingKept before the first decision. `plan` is today's; if the rollout ran under another, that one is
    used."""
    with one_moment(conn):
        state, rows = _decided(conn, at)
        return _view(conn, _plan_then(conn, plan, state), state, rows, at)


def _view(conn: sqlite3.Connection, plan: Plan, state: State, rows: Sequence[log.Row], at: float) -> View:
    stage = plan.stages[state.stage] if state.stage < len(plan.stages) else None
    start, end = _window(conn, at)
    window_s = end - start
    bucket = series.between(conn, start, end, since_epoch=state.epoch)
    wanted = headlines.targets(plan, state)
    gauges = headlines.gauges(bucket, wanted, window_s)
    shadow = headlines.shadow_gauges(bucket, wanted, window_s) if bucket.shadow_n else ()
    triggers, age_s = _triggers(conn, plan, state, at)
    unwatched = "" if age_s is not None and age_s <= STALE_S else _unwatched(age_s)
    blind = next((t.sentence for t in triggers if t.verdict == "blind"), "") or unwatched
    reminders = due(conn, stage, state, at)
    samples = _samples(conn, state, at)
    gate = _gate(conn, plan, stage, state, samples, blind, at)
    health, sentence = headlines.health(
        headlines.Situation(
            state=state,
            now=at,
            triggers=triggers,
            documents=bucket.attempts,
            gauges=gauges,
            shadow=shadow,
            effective_bp=state.in_force_bp,
            locked_by=_fired(conn, state),
            blind=blind,
        )
    )
    before = series.between(conn, start - DAY, start)
    coarse = (
        ()
        if at - end < LEVELS[0]
        else (f"figures by the minute: those shown cover {format_duration(window_s)} until {iso(end)}",)
    )
    shown = _shown(conn)
    return View(
        at=at,
        name=plan.name,
        environment=plan.environment,
        service=plan.service,
        rehearsal=shown.rehearsal,
        speed=shown.speed,
        plan_digest=state.pins.digest if state.pins else plan.digest,
        engine=_engine(bucket, window_s, unwatched),
        stage=state.stage,
        stages=len(plan.stages),
        stage_name=stage_name(plan, state.stage),
        stage_objective=stage.objective if stage else "The rollout is stable; the triggers stay armed.",
        stage_percent_bp=stage.percent_bp if stage else plan.stages[-1].percent_bp,
        percent_bp=state.percent_bp,
        effective_bp=state.in_force_bp,
        why_effective=""
        if state.in_force_bp == state.percent_bp
        else f"the recorded ceiling was {percent(state.ceiling_bp)}",
        stable=state.stage >= plan.stable,
        ab_test=bool(stage and stage.ab_test),
        shadow_bp=stage.shadow_bp if stage else 0,
        epoch=state.epoch,
        rev=state.rev,
        armed=state.percent_bp > 0,
        entered_at=state.entered_at,
        changed_at=state.changed_at,
        held=state.held,
        locked=state.locked,
        blind=blind,
        cooldown_until=state.cooldown_until,
        undo_until=None,
        health=health,
        health_sentence=sentence,
        attribution=attribution.of_errors(bucket, before),
        error_rate=gauges[0],
        latency=gauges[1],
        cache=gauges[2],
        methods={"llm": bucket.llm, "frequency": bucket.frequency, "fallback": bucket.fallbacks, "cached": bucket.hits},
        servers=_servers(conn, plan, at),
        triggers=triggers,
        matrix=headlines.matrix(plan, triggers),
        next=headlines.what_next(state, triggers, gate, blind, None, at),
        waiting=headlines.waiting_for(state, plan, gate, reminders),
        gate=gate,
        reminders=reminders,
        rollback=_proof(conn, state),
        restore=None,
        operators=_present(conn, at),
        log=tuple(decision_view(row) for row in rows),
        events=(),
        stage_percents=tuple(s.percent_bp for s in plan.stages),
        stage_names=tuple(s.name for s in plan.stages),
        quality=_quality(bucket, samples),
        shadow=shadow,
        as_of=True,
        not_kept=(*coarse, *NOT_KEPT),
    )


def _window(conn: sqlite3.Connection, at: float) -> tuple[float, float]:
    """The five minutes up to the moment; if retention has removed the narrow buckets, the last complete one of those
    that remain."""
    for level in LEVELS:
        end = math.floor(at / level) * level
        start = end - max(WINDOW_S, level)
        if level >= HOUR or series.intact(conn, level, start, end):
            return float(start), float(end)
    raise AssertionError("hourly buckets are kept forever")


# -- what was decided --------------------------------------------------------------------------------------------------


def _decided(conn: sqlite3.Connection, at: float) -> tuple[State, list[log.Row]]:
    """The state at a moment according to the log, and the newest rows up to it."""
    rev, first = conn.execute("SELECT max(rev) FILTER (WHERE at <= ?), min(at) FROM decision", (at,)).fetchone()
    if rev is None:
        since = f"The store's record starts at {iso(first)}." if first is not None else "Nothing has been decided yet."
        raise NothingKept(f"There are no records for {iso(at)}. {since}")
    return _state(conn, rev), log.rows(conn, before=rev + 1, limit=LOG_ROWS)


CHECKPOINT = 256
_checkpoints: dict[str, State] = {}  # keyed by the hash of the decision that led to it, so that it cannot be stale


def _state(conn: sqlite3.Connection, rev: int) -> State:
    """Replays the log from the last checkpoint before it."""
    state, after = State(), 0
    for known in range(rev - rev % CHECKPOINT, 0, -CHECKPOINT):
        row = conn.execute("SELECT hash FROM decision WHERE rev = ?", (known,)).fetchone()
        if row is not None and row[0] in _checkpoints:
            state, after = _checkpoints[row[0]], known
            break
    query = "SELECT rev, body, hash FROM decision WHERE rev > ? AND rev <= ? ORDER BY rev"
    for number, body, digest in conn.execute(query, (after, rev)).fetchall():
        state = transition(state, _decision.decode(body))
        if number % CHECKPOINT == 0:
            _checkpoints[digest] = state
    return state


_decision = msgspec.json.Decoder(Decision)


def _plan_then(conn: sqlite3.Connection, plan: Plan, state: State) -> Plan:
    """The plan that the rollout ran under; today's if the store does not have it."""
    pins = state.pins
    if pins is None or pins.digest == plan.digest:
        return plan
    text = plans.text_of(conn, pins.digest)
    then = _parsed(text, plan.source) if text is not None else None
    return replace(then, digest=pins.digest) if then is not None else plan


@lru_cache(maxsize=8)
def _parsed(text: str, source: str) -> Plan | None:
    try:
        return parse_plan(text, source)
    except PlanError:
        return None


class _Shown(Struct, frozen=True):
    """The parts of the engine's last view that do not change over time."""

    rehearsal: bool = False
    speed: float = 1.0


def _shown(conn: sqlite3.Connection) -> _Shown:
    row = conn.execute("SELECT body FROM live WHERE id = 1").fetchone()
    try:
        return msgspec.json.decode(row[0], type=_Shown) if row else _Shown()
    except msgspec.MsgspecError:
        return _Shown()


def _proof(conn: sqlite3.Connection, state: State) -> ProofView | None:
    row = log.last(conn, ("proof",), before=state.rev + 1)
    if row is None or row.decision.evidence.get("of") != state.last_rev:
        return None
    try:
        return msgspec.convert(row.decision.evidence, ProofView)
    except msgspec.ValidationError:
        return None


# -- triggers ----------------------------------------------------------------------------------------------------------


def _triggers(
    conn: sqlite3.Connection, plan: Plan, state: State, at: float
) -> tuple[tuple[TriggerView, ...], float | None]:
    """Each rule as last recorded, and how long before `at` the newest record was; None if there is none."""
    fired = _fired(conn, state)
    out, newest = [], None
    for rule in plan.triggers:
        row = conn.execute(
            "SELECT at, body FROM trigger_evidence WHERE trigger = ? AND at <= ? ORDER BY at DESC LIMIT 1",
            (rule.id, at),
        ).fetchone()
        age = None if row is None else at - row[0]
        if age is not None and (newest is None or age < newest):
            newest = age
        if row is None or age is None or age > STALE_S:
            r = Reading(rule.id, "insufficient", None, None, 0, None, 0.0, rule.for_s, "", _unwatched(age), "", None)
            verdict = "unknown"
        else:
            r = msgspec.json.decode(row[1], type=Reading)
            r, verdict = _later(r, age), r.verdict
        out.append(
            TriggerView(
                rule.id,
                rule.text,
                str(rule.action),
                str(rule.severity),
                verdict,
                r.value,
                r.threshold,
                r.n,
                r.k,
                r.held_s,
                r.for_s,
                r.rule,
                r.sentence,
                r.resets_when,
                r.fires_in_s,
                rule.timeline_s,
                r.headline,
                r.evidence,
                rule.id == fired,
                r.acts_by,
            )
        )
    return tuple(out), newest


def _later(r: Reading, age: float) -> Reading:
    """A rule in breach whose timer has kept running since it was stored: a change of verdict would have been stored."""
    if r.verdict != "breach" or not r.for_s or r.fires_in_s is None:
        return r
    passed = min(age, r.fires_in_s)
    return replace(r, held_s=r.held_s + passed, fires_in_s=r.fires_in_s - passed)


def _unwatched(age_s: float | None) -> str:
    if age_s is None:
        return "no engine had evaluated the triggers yet"
    return f"no engine evaluated the triggers in the {format_duration(age_s)} before"


def _fired(conn: sqlite3.Connection, state: State) -> str:
    if not state.locked:
        return ""
    row = log.last(conn, ("trigger",), before=state.rev + 1)
    return str(row.decision.evidence.get("trigger", "")) if row is not None else ""


# -- the gate ----------------------------------------------------------------------------------------------------------


def _samples(conn: sqlite3.Connection, state: State, at: float) -> dict[str, Sample]:
    """Measurements from the last change of percentage up to the moment, and people's judgements by then."""
    began = log.began(conn, state.epoch) or state.changed_at
    bucket = series.between(conn, began - 10, at, since_epoch=state.epoch)
    since = state.entered_at
    reviewed = review.verdict(conn, state.stage, since, at)
    complained = conn.execute(
        "SELECT count(*) FROM feedback WHERE kind = 'complaint' AND stage = ? AND at >= ? AND at <= ?",
        (state.stage, since, at),
    ).fetchone()[0]
    return {
        **facts.measured(state, bucket),
        "complaints": Ok(float(complained), complained),
        "critical_incidents": facts.incidents(conn, state),
        "quality_score": rate(reviewed.good, reviewed.documents),
        "satisfaction": facts.rated(conn, state.stage, since, at),
        **{metric: facts.stored(conn, metric, since, at) for metric in facts.STORED},
    }


def _gate(
    conn: sqlite3.Connection,
    plan: Plan,
    stage: Stage | None,
    state: State,
    samples: dict[str, Sample],
    blind: str,
    at: float,
) -> GateView:
    items = _items(conn, plan, state, at)
    back = control.returns(plan, state)
    if back is not None:
        stage = control.gate_stage(plan, state)
    asked = stage.bake_s if stage else 0.0
    began = state.entered_at if back is None else state.changed_at
    began = began or conn.execute("SELECT min(at) FROM decision").fetchone()[0]  # no one promoted into the first stage
    baked = min(asked, max(0.0, at - began))
    negative, impacts = facts.negative(conn, state, at)
    known = {**samples, "negative_impacts": negative}
    report = conditions.assess(
        stage,
        conditions.GateFacts(known, forecast=False, sentences={"negative_impacts": impacts}),
        items,
        baked,
        control.people(state),
        _blocked(plan, state, blind, at),
    )
    next_stage, next_bp = control.next_step(plan, state)
    return GateView(
        open=report.open and state.stage < plan.stable,
        next_stage=next_stage,
        next_name=stage_name(plan, next_stage),
        next_percent_bp=next_bp,
        sentence=stage.gate if stage else "",
        missing=report.missing,
        conditions=report.conditions,
        items=items,
        bake_s=asked,
        baked_s=baked,
        approvals_needed=stage.approvals if stage else 0,
        approvals=state.approvals,
        blocked=report.blocked,
        met=report.met,
        total=report.total,
        returns=back is not None,
    )


def _blocked(plan: Plan, state: State, blind: str, at: float) -> tuple[str, ...]:
    out = [f"held by {state.held}"] if state.held else []
    out += [f"locked ({state.locked})"] if state.locked else []
    out += [blind] if blind else []
    if (stop := blocked_until(plan.calendar, at)) is not None:
        out.append(f"{stop[1]}, until {iso(stop[0])}")
    return tuple(out)


CHECKED = {"sign": "done", "revoke": "open"}


def _items(conn: sqlite3.Connection, plan: Plan, state: State, at: float) -> tuple[ItemView, ...]:
    """The checklist at that moment: today's row if it is older than the moment, else what the log has."""
    now = checklist.signatures(conn, state.stage)
    since = checklist.doubt(conn, state)
    out = []
    for item in checklist.items(plan, state.stage):
        kept = now.get(item.id) or Signature(state.stage, item.id)
        if kept.rev > state.rev:
            kept = _logged(conn, state, item.id)
        out.append(checklist.view(item, since, kept))
    return tuple(out)


def _logged(conn: sqlite3.Connection, state: State, item: str) -> Signature:
    row = conn.execute(
        "SELECT rev, body FROM decision WHERE kind IN ('sign', 'check', 'revoke') AND stage = ? AND rev <= ? "
        "AND json_extract(body, '$.evidence.item') = ? ORDER BY rev DESC LIMIT 1",
        (state.stage, state.rev, item),
    ).fetchone()
    if row is None:
        return Signature(state.stage, item)
    d = _decision.decode(row[1])
    result = d.evidence.get("state") or CHECKED.get(d.kind)
    note = "" if result else "checked; the result was not kept"
    proof, manually = str(d.evidence.get("evidence", "")), bool(d.evidence.get("manually"))
    return Signature(state.stage, item, str(result or "open"), d.actor.name, d.at, note, proof, row[0], manually)


def _quality(bucket: Bucket, samples: dict[str, Sample]) -> dict[str, float | None]:
    values: dict[str, float | None] = {"grounded_rate": bucket.grounded_rate, "keywords_mean": bucket.keywords_mean}
    for metric in ("quality_score", "satisfaction", "search_improvement", "ab_verdict"):
        sample = samples.get(metric, NoData())
        values[metric] = sample.value if isinstance(sample, Ok) else None
    return values


# -- servers and people ------------------------------------------------------------------------------------------------


def _servers(conn: sqlite3.Connection, plan: Plan, at: float) -> tuple[ServerView, ...]:
    """From the window's calls and failed probes: a server that was neither called nor failed a probe is unknown."""
    calls = conn.execute(
        "SELECT server, count(*), sum(error IS NOT NULL), avg(CASE WHEN error IS NULL THEN ms - queue_ms END) FROM ("
        "SELECT server, error, ms, queue_ms FROM extraction WHERE at > ? AND at <= ? AND (attempted OR "
        "cached) AND attempted ORDER BY at DESC LIMIT ?) WHERE server IS NOT NULL GROUP BY server",
        (at - WINDOW_S, at, MOST_CALLS),
    ).fetchall()
    seen = {row[0]: row[1:] for row in calls}
    urls = list(dict.fromkeys([*plan.llm.urls, *seen]))
    return tuple(_server(conn, plan, number, url, seen.get(url), at) for number, url in enumerate(urls, 1))


def _server(conn: sqlite3.Connection, plan: Plan, number: int, url: str, calls: Any, at: float) -> ServerView:
    name = headlines.server_name(plan.llm.api, number, url)
    probe = conn.execute(
        "SELECT at, ok, message FROM probe WHERE server = ? AND at <= ? AND at > ? ORDER BY at DESC LIMIT 1",
        (url, at, at - DAY),
    ).fetchone()
    n, failed, mean = calls or (0, 0, None)
    if probe is not None and not probe[1]:
        return ServerView(
            name, url, False, f"failed its probe at {iso(probe[0])[11:19]}", 0, 0.0, mean, failed, probe[2]
        )
    if not n:
        return ServerView(name, url, None, "not called", 0, 0.0, None, 0, "")
    state = f"answered {n - failed} of {n} calls in {format_duration(WINDOW_S)}"
    return ServerView(name, url, n > failed or None, state, 0, 0.0, mean, failed, "")


def _present(conn: sqlite3.Connection, at: float) -> tuple[PresenceView, ...]:
    """Who had opened a console within the day before and not left it."""
    here: dict[tuple[str, str], float] = {}
    for when, body in conn.execute(
        "SELECT at, body FROM measure WHERE kind = 'look' AND at <= ? AND at > ? ORDER BY at", (at, at - DAY)
    ).fetchall():
        look = msgspec.json.decode(body)
        key = (str(look.get("name", "")), str(look.get("terminal", "")))
        if look.get("what") == "came":
            here.setdefault(key, when)
        else:
            here.pop(key, None)
    return tuple(PresenceView(name, terminal, "", since) for (name, terminal), since in here.items())


def _engine(bucket: Bucket, window_s: float, unwatched: str) -> EngineView:
    per_min = 60 / window_s
    problems = (unwatched,) if unwatched else ()
    return EngineView(
        0,
        0.0,
        0,
        "standby" if unwatched else "active",
        bucket.n * per_min,
        bucket.attempts * per_min,
        0,
        0,
        "",
        problems,
    )


# -- what happened around it -------------------------------------------------------------------------------------------


def events_around(conn: sqlite3.Connection, at: float) -> tuple[float | None, float | None]:
    """The time of the last event before a moment and of the first after it: a decision, a complaint, a trigger going
    into breach."""
    before = [
        conn.execute("SELECT max(at) FROM decision WHERE at < ?", (at - NEAR_S,)).fetchone()[0],
        conn.execute("SELECT max(at) FROM feedback WHERE kind = 'complaint' AND at < ?", (at - NEAR_S,)).fetchone()[0],
        *(began for began in _breaches(conn, at - DAY, at) if began < at - NEAR_S),
    ]
    after = [
        conn.execute("SELECT min(at) FROM decision WHERE at > ?", (at + NEAR_S,)).fetchone()[0],
        conn.execute("SELECT min(at) FROM feedback WHERE kind = 'complaint' AND at > ?", (at + NEAR_S,)).fetchone()[0],
        *(began for began in _breaches(conn, at, at + DAY) if began > at + NEAR_S),
    ]
    return (
        max((t for t in before if t is not None), default=None),
        min((t for t in after if t is not None), default=None),
    )


NEAR_S = 0.5  # a cursor on an event has passed it


def _breaches(conn: sqlite3.Connection, start: float, end: float) -> list[float]:
    """When triggers went into breach between two moments at most a day apart."""
    verdicts: dict[str, str] = {}
    moments = []
    for trigger, when, verdict in conn.execute(
        "SELECT trigger, at, verdict FROM trigger_evidence WHERE trigger IN (SELECT DISTINCT trigger FROM "
        "trigger_evidence) AND at > ? AND at <= ? ORDER BY at",
        (start - STALE_S, end),
    ).fetchall():
        if verdict == "breach" and verdicts.get(trigger) != "breach" and when > start:
            moments.append(when)
        verdicts[trigger] = verdict
    return moments
