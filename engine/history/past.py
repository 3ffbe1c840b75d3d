"""The view of a moment in the past, rebuilt from the store: decisions, roll-ups, trigger evidence, probes, feedback.

What was not kept is listed in `View.not_kept` and shown as unknown, never inferred from today's data. Read only. Every
moment costs the same, some sixty buckets and a few rows, however long the history.

Gauges and triggers are of one second, that of the newest record: `View.at` is up to a minute before the moment asked
for, unless something was decided in between.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from engine.decoding import json_decoder
from engine.gate.reminders import due
from engine.gate.report import quality
from engine.history import decided, triggers
from engine.history.gate import gate_at, samples_at
from engine.history.servers import servers_at
from engine.measures.attendance import LOOK, Attendance
from engine.measures.bucket import Bucket
from engine.plan.durations import format_duration, iso
from engine.plan.model import Plan
from engine.rollout.state import State, stage_of
from engine.store import live, log, series
from engine.store.database import read_transaction
from engine.store.reader import decision_view
from engine.store.rollup import LEVELS
from engine.text import percent
from engine.triggers.history import STALE_S
from engine.view import attribution, fields, gauge, headlines, next_steps
from engine.view.model import EngineView, Gauge, PresenceView, View

_attendances = json_decoder(Attendance)

WINDOW_S = gauge.WINDOW_S
HOUR, DAY = 3600, 86400.0

NOT_KEPT = (
    "calls in flight, queues and the servers' own state",
    "the armed file and the lease: the percentage shown is the decided one",
    "time without traffic: the bake shown is an upper bound",
    "engine messages that are not decisions",
)


def view_at(conn: sqlite3.Connection, plan: Plan, at: float) -> View:
    """Raises NothingKept before the first decision. `plan` is today's; if the rollout ran under another, that one is
    used."""
    with read_transaction(conn):
        state, rows = decided.decided(conn, at)
        plan_then = decided.plan_then(conn, plan, state)
        record = triggers.newest(conn, plan_then, at)
        if at - record.at <= STALE_S and record.at >= rows[0].decision.at:
            at = record.at
        return _view(conn, plan_then, state, rows, record, at)


def _view(
    conn: sqlite3.Connection, plan: Plan, state: State, rows: Sequence[log.Row], record: triggers.Record, at: float
) -> View:
    stage = stage_of(plan, state)
    start, end = _window(conn, at)
    window_s = end - start
    stored = series.between(conn, start, end, since_epoch=state.epoch)
    gauged = record.gauged if record.at == at else None
    bucket = gauge.as_judged(stored, gauged.served if gauged else None)
    wanted = gauge.targets(plan, state)
    filling = gauge.is_filling(plan, state, at)
    gauges = gauge.gauges(bucket, wanted, window_s, gauge.since_change(state, at), filling)
    in_shadow = gauged.shadow if gauged else None
    shadow = gauge.shadow_gauges(bucket, wanted, window_s, in_shadow) if bucket.shadow_n else ()
    rules = triggers.recorded(conn, plan, record, log.locked_by(conn, state), at)
    reminders = due(conn, stage, state, at)
    samples = samples_at(conn, plan, state, at)
    gate = gate_at(conn, plan, state, samples, rules.blind, at)
    health, sentence = _health(conn, state, bucket, gauges, shadow, rules, at)
    shown = live.parts(conn, _Shown)
    return View(
        **fields.of_plan(plan, state),
        **fields.of_state(state),
        **fields.of_window(bucket, gauges, shadow),
        at=at,
        rehearsal=shown.rehearsal,
        game=shown.game,
        speed=shown.speed,
        plan_digest=state.pins.digest if state.pins else plan.digest,
        engine=_engine(bucket, window_s, rules.unwatched),
        effective_bp=state.in_force_bp,
        why_effective=_why_effective(state),
        armed=state.percent_bp > 0 or bool(bucket.shadow_n),  # shadow answers prove it was there
        held=state.held,
        blind=rules.blind,
        undo_until=None,
        health=health,
        health_sentence=sentence,
        attribution=attribution.of_errors(bucket, series.between(conn, start - DAY, start)),
        servers=servers_at(conn, plan, at, [server.url for server in shown.servers] if shown.rehearsal else ()),
        triggers=rules.triggers,
        matrix=next_steps.matrix(plan, rules.triggers),
        next=next_steps.what_next(state, rules.triggers, gate, rules.blind, None, at),
        waiting=next_steps.waiting_for(state, plan, gate, reminders),
        gate=gate,
        reminders=reminders,
        rollback=decided.proof(conn, state),
        restore=None,
        operators=_present(conn, at),
        log=tuple(decision_view(row) for row in rows),
        events=(),
        quality=quality(bucket, samples),
        as_of=True,
        not_kept=(*_coarse(window_s, end, at), *NOT_KEPT),
    )


def _health(
    conn: sqlite3.Connection,
    state: State,
    bucket: Bucket,
    gauges: tuple[Gauge, ...],
    shadow: tuple[Gauge, ...],
    rules: triggers.Recorded,
    at: float,
) -> headlines.Headline:
    return headlines.health(
        headlines.Situation(
            state=state,
            now=at,
            triggers=rules.triggers,
            documents=bucket.attempts,
            gauges=gauges,
            shadow=shadow,
            effective_bp=state.in_force_bp,
            locked_by=log.locked_by(conn, state),
            blind=rules.blind,
        )
    )


def _why_effective(state: State) -> str:
    same = state.in_force_bp == state.percent_bp
    return "" if same else f"the recorded ceiling was {percent(state.ceiling_bp)}"


def _coarse(window_s: float, end: float, at: float) -> tuple[str, ...]:
    """What is unknown because the buckets of that moment are wide."""
    if at - end < LEVELS[0]:
        return ()
    return (f"figures by the minute: those shown cover {format_duration(window_s)} until {iso(end)}",)


def _window(conn: sqlite3.Connection, at: float) -> tuple[float, float]:
    """The five minutes up to the moment; if retention has removed the narrow buckets, the last complete one of those
    that remain."""
    for level in LEVELS:
        end = math.floor(at / level) * level
        start = end - max(WINDOW_S, level)
        if level >= HOUR or series.intact(conn, level, start, end):
            return float(start), float(end)
    raise AssertionError("hourly buckets are kept forever")


class _Server(Struct, frozen=True):
    url: str


class _Shown(Struct, frozen=True):
    """The parts of the engine's last view that do not change over time."""

    rehearsal: bool = False
    game: bool = False
    speed: float = 1.0
    servers: tuple[_Server, ...] = ()  # a rehearsal's own: its plan names others


def _present(conn: sqlite3.Connection, at: float) -> tuple[PresenceView, ...]:
    """Who had opened a console within the day before and not left it."""
    here: dict[tuple[str, str], float] = {}
    for when, body in conn.execute(
        "SELECT at, body FROM measure WHERE kind = ? AND at <= ? AND at > ? ORDER BY at", (LOOK, at, at - DAY)
    ).fetchall():
        look = _attendances.decode(body)
        key = (look.name, look.terminal)
        if look.what == "came":
            here.setdefault(key, when)
        else:
            here.pop(key, None)
    return tuple(PresenceView(name, terminal, "", since) for (name, terminal), since in here.items())


def _engine(bucket: Bucket, window_s: float, unwatched: str) -> EngineView:
    per_min = 60 / window_s
    state: Literal["standby", "active"] = "standby" if unwatched else "active"
    problems = (unwatched,) if unwatched else ()
    return EngineView(
        state=state, documents_per_min=bucket.n * per_min, llm_per_min=bucket.attempts * per_min, problems=problems
    )
