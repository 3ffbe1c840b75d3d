"""Collects the report from a store: one read-only pass, no engine needed. The same store gives the same report.

Everything is as of the store's latest entry (the engine's last view or the last decision), so the report of a store
that is not in use any more does not count the time since.
"""

from __future__ import annotations

import platform
import sqlite3
from functools import partial

from msgspec.structs import replace

from engine import VERSION
from engine.gate.checklist import Signature, signatures
from engine.metrics import figures
from engine.plan.model import Item, Plan, Stage
from engine.report import incidents, summary, timeline
from engine.report.model import (
    Appendix,
    Chapter,
    Curves,
    Incident,
    MeasuredResult,
    RolloutReport,
    SentMessage,
    SignedItem,
    StageStory,
    Target,
    WrittenNote,
)
from engine.report.timeline import Visit
from engine.store import live, log, log_times, series
from engine.store.database import read_transaction
from engine.store.log import Row
from engine.store.verification import verify
from engine.text import clean_block, clean_line

HEADINGS = (
    ("well", "What Went Well"),
    ("improve", "What Could Be Improved"),
    ("lesson", "Lessons Learned"),
    ("action", "Action Items"),
)
CURVES = ("error_rate", "latency_mean", "latency_p95")
HOUR = 3600.0
MOST_POINTS = 360


def gather(conn: sqlite3.Connection, plan: Plan) -> RolloutReport:
    """The whole report, as of one moment even if an engine is writing. sqlite3.Error if the store cannot be read."""
    with read_transaction(conn):
        return _gather(conn, plan)


def _gather(conn: sqlite3.Connection, plan: Plan) -> RolloutReport:
    rows = log_times.corrected(list(log.every(conn)))
    view = figures.decode(live.body(conn) or b"{}")
    seen = view.get("at")
    at = max([row.decision.at for row in rows[-1:]] + ([float(seen)] if isinstance(seen, int | float) else [0.0]))
    state = log.read_state(conn)
    stays = timeline.visits(rows, at)
    stages = _stages(conn, plan, stays)
    decided = tuple(timeline.verdict(row) for row in rows if row.decision.kind in timeline.DECIDED)
    events = incidents.every(conn, plan, rows)
    overrides = tuple(entry for entry in decided if entry.override)
    experiment = _experiment(conn)
    began = rows[0].decision.at if rows else None
    story = RolloutReport(
        title=plan.name,
        service=plan.service,
        environment=plan.environment,
        rehearsal=bool(view.get("rehearsal")),
        at=at,
        began=began,
        headline=summary.headline(plan, rows, at),
        summary=(),
        stage=state.stage,
        percent_bp=state.percent_bp,
        stable=state.stage >= plan.stable,
        target=Target(figures.plan_target(plan, "error_rate"), figures.plan_target(plan, "latency_mean")),
        stages=stages,
        after=_after(conn, plan, stays),
        timeline=timeline.timeline(rows),
        verdicts=decided,
        incidents=events,
        overrides=overrides,
        quality=_quality(conn, plan, stages),
        experiment=experiment,
        post_rollout=_signed(conn, plan.post_rollout, plan.stable),
        review=_review(conn, plan),
        messages=_messages(conn, plan),
        curves=_curves(conn, rows, events, began, at),
        references=tuple(clean_line(entry) for entry in plan.references),
        appendix=_appendix(conn, plan, rows, began, at),
    )
    return summary.with_summary(conn, story)


# -- stages ----------------------------------------------------------------------------------------------------------


def _stages(conn: sqlite3.Connection, plan: Plan, stays: list[Visit]) -> tuple[StageStory, ...]:
    """Every stage of the plan, visited or not."""
    return tuple(
        _stage(conn, stage, number, [v for v in stays if v.stage == number]) for number, stage in enumerate(plan.stages)
    )


def _after(conn: sqlite3.Connection, plan: Plan, stays: list[Visit]) -> StageStory | None:
    """Figures since the rollout was declared stable, against the last stage's targets. No time is spent waiting."""
    after = [v for v in stays if v.stage >= plan.stable]
    if not after:
        return None
    story = _stage(conn, replace(plan.stages[-1], bake_s=0.0, checklist=()), plan.stable, after)
    return replace(story, name="after it was declared", waited_s=0.0, stable=True)


def _stage(conn: sqlite3.Connection, stage: Stage, number: int, stays: list[Visit]) -> StageStory:
    llm, both = figures.stage_bucket(conn, number)
    spent = [timeline.spent(conn, stage, visit) for visit in stays]
    spans = [(v.start, v.end) for v in stays]
    wanted = partial(figures.target, stage)

    return StageStory(
        number=number,
        name=stage.name,
        objective=stage.objective,
        percent_bp=stage.percent_bp,
        entered=stays[0].start if stays else None,
        left=None if not stays or stays[-1].lasts else stays[-1].end,
        visits=len(stays),
        spent_s=sum(visit.length for visit in stays),
        baked_s=sum(each.baked for each in spent),
        figures_s=sum(each.figures for each in spent),
        waited_s=sum(each.waited for each in spent),
        held_s=sum(each.held for each in spent),
        bake_s=stage.bake_s,
        documents=both.n,
        llm_documents=both.llm,
        error_rate=figures.error_rate(llm, wanted("error_rate")),
        latency=figures.latency(llm, wanted("latency_mean")),
        p95=figures.latency_p95(llm, wanted("latency_p95")),
        cache=figures.cache(llm, wanted("cache_hit_rate")),
        search=figures.search(conn, spans, wanted("search_improvement")),
        quality=figures.quality(conn, number, wanted("quality_score")),
        satisfaction=figures.satisfaction(conn, number, wanted=wanted("satisfaction")),
        complaints=figures.complaints(conn, number),
        signed=_signed(conn, stage.checklist, number),
    )


def _signed(conn: sqlite3.Connection, items: tuple[Item, ...], stage: int) -> tuple[SignedItem, ...]:
    signed = signatures(conn, stage)
    out = []
    for item in items:
        kept = signed.get(item.id) or Signature(stage, item.id)
        note = "; ".join(part for part in (clean_line(kept.written, 300), clean_line(kept.evidence, 300)) if part)
        out.append(SignedItem(item.text, kept.state, clean_line(kept.actor, 60), kept.at, note))
    return tuple(out)


# -- quality, experiment, people ---------------------------------------------------------------------------------------


def _quality(conn: sqlite3.Connection, plan: Plan, stages: tuple[StageStory, ...]) -> tuple[MeasuredResult, ...]:
    out = [
        MeasuredResult(at, "Search quality", sentence)
        for at, _, body in figures.measures(conn, figures.SEARCH)[-20:]
        if (sentence := figures.sentence_of(body))
    ]
    for number, at, size, seed, blind, actor in conn.execute(
        "SELECT stage, at, size, seed, blind, actor FROM review_sample ORDER BY at"
    ).fetchall():
        how = "without names" if blind else "with names"
        name = stages[number].name if number < len(stages) else "stable"
        sentence = (
            f"{size} documents drawn by {clean_line(actor, 60)} (seed {seed}), shown {how}; the stage so far: "
            f"{figures.quality(conn, number).words}."
        )
        out.append(MeasuredResult(at, f"Review in stage {number} {name}", sentence))
    return tuple(sorted(out, key=lambda entry: entry.at))


def _experiment(conn: sqlite3.Connection) -> tuple[MeasuredResult, ...]:
    """The last stored result of the A/B test, by metric."""
    readings = figures.measures(conn, figures.EXPERIMENT)
    if not readings:
        return ()
    at, _, body = readings[-1]
    metrics = body.get("metrics")
    details: list[str] = []
    for entry in metrics if isinstance(metrics, list) else []:
        if isinstance(entry, dict) and isinstance(entry.get("sentence"), str):
            label = clean_line(str(entry.get("label") or entry.get("name") or ""), 80)
            details.append(f"{label}: {clean_line(entry['sentence'], 400)}")
    ratio = body.get("ratio")
    if isinstance(ratio, dict) and isinstance(ratio.get("sentence"), str):
        details.append(clean_line(ratio["sentence"], 400))
    if isinstance(body.get("correction"), str) and body["correction"]:
        details.append(clean_line(body["correction"], 400))
    state = "final reading" if body.get("final") else f"as read on {timeline.moment_of(at)}, not final"
    verdict = figures.sentence_of(body) or "No verdict was stored."
    return (MeasuredResult(at, f"A/B test, {state}", verdict, tuple(details)),)


def _review(conn: sqlite3.Connection, plan: Plan) -> tuple[Chapter, ...]:
    """The review's headings, the plan's own if it has them."""
    names = plan.review if len(plan.review) == len(HEADINGS) else tuple(name for _, name in HEADINGS)
    out = []
    for (kind, _), name in zip(HEADINGS, names, strict=True):
        notes = conn.execute("SELECT at, actor, text FROM note WHERE kind = ? ORDER BY at, id", (kind,)).fetchall()
        written = (WrittenNote(at, clean_line(who, 60), clean_block(text, 4000).strip()) for at, who, text in notes)
        out.append(Chapter(name, kind, tuple(written)))
    return tuple(out)


def _messages(conn: sqlite3.Connection, plan: Plan) -> tuple[SentMessage, ...]:
    audience = {message.id: message.audience for message in plan.messages}
    rows = conn.execute("SELECT at, message, subject, state, tries, error FROM outbox ORDER BY id").fetchall()
    return tuple(
        SentMessage(
            at=at,
            message=clean_line(name, 60),
            audience=audience.get(name, ""),
            subject=clean_line(subject, 200),
            state=state,
            tries=tries,
            error=clean_line(error, 300),
        )
        for at, name, subject, state, tries, error in rows
    )


# -- curves ------------------------------------------------------------------------------------------------------------


def _curves(
    conn: sqlite3.Connection, rows: list[Row], events: tuple[Incident, ...], began: float | None, at: float
) -> Curves | None:
    """The report's curves; None if there is nothing to draw."""
    first = series.began(conn)
    if began is None or first is None or at <= began:
        return None
    span = _span(at - began)
    start, end = began // span * span, at // span * span + span
    points = max(2, round((end - start) / span))
    drawn = series.series_of(conn, CURVES, start, end, points)
    errors, mean, p95 = (tuple(drawn[metric]) for metric in CURVES)
    changes = (row.decision for row in rows if row.decision.percent_bp != row.percent_from)
    moved = ((start, 0), *((d.at, d.percent_bp) for d in changes))
    entered = tuple((visit.start, visit.stage) for visit in timeline.visits(rows, at))
    marks = tuple(event.decided for event in events if event.within is None)
    return Curves(
        start=start,
        end=end,
        span_s=span,
        error_rate=errors,
        latency_mean=mean,
        latency_p95=p95,
        percent=moved,
        stages=entered,
        incidents=marks,
    )


def _span(length: float) -> float:
    """Seconds of a point: an hour; multiples of it if that gives too many points, minutes if too few."""
    for span in (10.0, 60.0, 300.0, 900.0):
        if length / span <= 96 and length < 24 * HOUR:
            return span
    return HOUR * max(1, -(-length // (MOST_POINTS * HOUR)))


# -- appendix ----------------------------------------------------------------------------------------------------------


def _appendix(conn: sqlite3.Connection, plan: Plan, rows: list[Row], began: float | None, at: float) -> Appendix:
    verified = verify(conn)
    days = max(1, round((at - (began or at)) / 86400 + 0.5))
    versions = (
        ("rollout", VERSION),
        ("Python", platform.python_version()),
        ("SQLite", sqlite3.sqlite_version),
        ("LLM model", f"{clean_line(plan.llm.model, 100)} by {plan.llm.api}"),
    )
    commands = (
        "rollout report --format html --output report.html",
        "rollout log --verify",
        "rollout log --limit 100000 --json",
        f"rollout metrics analyze --days {days} --output performance_report.json",
        "rollout ab-test analyze --output ab_test_results.json",
        "sha256sum rollout.toml",
        "rollout backup store.db",
    )
    return Appendix(
        plan_digest=plan.digest,
        plan_source=clean_line(plan.source, 300),
        versions=versions,
        decisions=verified.decisions,
        head=verified.head,
        chain=verified.sentence,
        commands=commands,
    )
