"""Current values of the messages' placeholders: every number with its n, every unknown in words."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from engine.measures.figure import MetricValue
from engine.metrics import figures
from engine.plan.durations import format_duration, iso
from engine.plan.model import Plan
from engine.rollout.state import Decision
from engine.store import log
from engine.store.reader import decision_view
from engine.text import percent, took
from engine.view.model import DecisionView, ProofView, View

INCIDENTS = ("trigger", "rollback", "hold")
DECIDED = (*INCIDENTS, "promote", "resume", "undo_rollback")
MOST = 5
DAY = 86400.0
NOT_FILLED_IN = "not filled in (rollout.toml, [[contacts]])"


def facts(
    plan: Plan,
    view: View,
    conn: sqlite3.Connection,
    about: int | None = None,
    since: float | None = None,
    kinds: tuple[str, ...] = DECIDED,
) -> dict[str, str]:
    """A text for each name in `engine.plan.vocabulary.PLACEHOLDERS`.

    `about`: the rev of the decision the message reports, by default the last one of `kinds`. `since`: when the same
    message last went out; earlier incidents are left out. The first one reports the stage, and at least a day.
    """
    rows = log.rows(conn, limit=400)
    row = next((row for row in rows if row.rev == about), None) or next(
        (row for row in rows if row.decision.kind in kinds), None
    )
    return {
        **_now(plan, view),
        **_people(conn, view),
        **_decision(view, row),
        "incidents": _incidents(
            [decision_view(row) for row in rows], min(view.entered_at, view.at - DAY) if since is None else since
        ),
        "results": _results(conn, plan),
        "lessons": _written(conn, "lesson"),
        "schedule": "\n".join(
            f"  {s.number} {s.name}: {percent(s.percent_bp)}, {s.duration_text}" for s in plan.stages
        ),
        "contacts": "\n".join(f"  {c.role}: {c.reach or NOT_FILLED_IN}" for c in plan.contacts),
    }


def _now(plan: Plan, view: View) -> dict[str, str]:
    gate = view.gate
    conditions = [
        f"  met: {c.text}: {c.sentence}" if c.met else f"  not met: {c.missing or f'{c.text}: {c.sentence}'}"
        for c in gate.conditions
    ]
    shown = {c.missing for c in gate.conditions}
    others = [f"  missing: {missing}" for missing in gate.missing if missing not in shown]
    verdict = "  the gate is not open yet" if gate.missing else "  the gate is open"
    if view.stable:
        verdict = "  every gate is passed"
    return {
        "service": plan.service,
        "environment": plan.environment,
        "stage": str(view.stage - 1 if view.stable else view.stage),
        "stage_name": f"{plan.stages[-1].name}, declared stable" if view.stable else view.stage_name,
        "percent": percent(view.percent_bp),
        "next_stage": "none, this is stable" if view.stable else gate.next_name,
        "next_percent": percent(gate.next_percent_bp),
        "methods": ", ".join(f"{name} {count}" for name, count in view.methods.items()),
        "gate": "\n".join([*conditions, *others, verdict]),
        "next": "; ".join(view.next),
    }


def _people(conn: sqlite3.Connection, view: View) -> dict[str, str]:
    """Figures since the stage began, not of the last five minutes: a message is read later."""
    llm, both = figures.stage_bucket(conn, view.stage)
    search = [body for _, _, body in figures.measures(conn, figures.SEARCH, view.entered_at)]
    experiment = [body for _, _, body in figures.measures(conn, figures.EXPERIMENT, view.entered_at)]
    return {
        "error_rate": _measured(figures.error_rate(llm)),
        "latency_mean": _measured(figures.latency(llm)),
        "latency_p95": _measured(figures.latency_p95(llm)),
        "cache_hit_rate": _measured(figures.cache(llm)),
        "methods": figures.methods(both),
        "documents": f"{both.llm:,}",
        "complaints": figures.complaints_by_arm(conn, view.stage, view.entered_at),
        "satisfaction": _measured(figures.satisfaction(conn, view.stage, view.entered_at)),
        "quality": _measured(figures.quality(conn, view.stage)),
        "search_improvement": figures.sentence_of(search[-1]) if search else "not measured in this stage",
        "ab_test": figures.sentence_of(experiment[-1]) if experiment else "not decided yet",
    }


def _measured(figure: MetricValue) -> str:
    """A template puts it behind the figure's name: "Error rate no LLM documents" is not a sentence."""
    return f"unknown ({figure.words})" if figure.value is None else figure.words


def _decision(view: View, row: log.Row | None) -> dict[str, str]:
    if row is None:
        unknown = ("decision", "nothing decided yet"), ("who", "no one"), ("why", ""), ("when", iso(view.at))
        return {**dict(unknown), "evidence": view.health_sentence, "effective": "not measured"}
    d, proof = row.decision, view.rollback
    proven = proof if proof is not None and proof.rev == row.rev else None
    return {
        "decision": d.sentence.removesuffix(f": {d.reason}") if d.reason else d.sentence,  # {why} has the reason
        "who": _who(d),
        "why": _why(d),
        "when": iso(d.at),
        "evidence": "\n".join(filter(None, _evidence(d, proven))) or view.health_sentence,
        "effective": _effective(proven),
    }


def _who(d: Decision) -> str:
    if d.actor.kind == "person":
        return d.actor.name
    return f"trigger {d.reason}" if d.reason else "the engine"


def _why(d: Decision) -> str:
    if d.actor.kind == "person" and d.reason:
        return d.reason
    return "" if d.actor.kind == "engine" else "No reason was given."


def _evidence(d: Decision, proven: ProofView | None) -> Iterator[str]:
    yield str(d.evidence.get("sentence") or "")
    reading = d.evidence.get("reading")
    if isinstance(reading, dict) and reading.get("value") is not None:
        held, wanted = (format_duration(float(reading.get(key) or 0.0)) for key in ("held_s", "for_s"))
        timer = f", true for {held} of {wanted}" if reading.get("for_s") else ""
        yield f"by the rule {reading.get('rule')}{timer}"
    yield f"on screen: {d.seen}" if d.seen else ""
    yield proven.sentence if proven else ""


def _effective(proven: ProofView | None) -> str:
    if proven is None or proven.effective_ms is None:
        return "an unknown time"
    return took(proven.effective_ms)


def _incidents(rows: list[DecisionView], since: float) -> str:
    incidents = [d for d in rows if d.kind in INCIDENTS and d.at >= since]
    if not incidents:
        return f"No incident or anomaly since {iso(since)}."
    more = f"\n  and {len(incidents) - MOST} more" if len(incidents) > MOST else ""
    return "\n".join(f"  {iso(d.at)} {d.sentence}" for d in incidents[:MOST]) + more


def _results(conn: sqlite3.Connection, plan: Plan) -> str:
    """The plan's metrics, one line a stage."""
    out = []
    for stage in plan.stages:
        llm, both = figures.stage_bucket(conn, stage.number)
        if not both.llm and not llm.attempts:
            continue
        out.append(
            f"  Stage {stage.number} {stage.name}: error rate {_measured(figures.error_rate(llm))}, mean latency "
            f"{_measured(figures.latency(llm))}, cache hit rate {_measured(figures.cache(llm))}, quality "
            f"{_measured(figures.quality(conn, stage.number))}"
        )
    return "\n".join(out) or "  nothing measured yet"


def _written(conn: sqlite3.Connection, kind: str) -> str:
    rows = conn.execute("SELECT text FROM note WHERE kind = ? ORDER BY at, id", (kind,)).fetchall()
    return "\n".join(f"  {text}" for (text,) in rows) or "  None written yet."
