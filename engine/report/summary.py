"""The first page of the report in words: the headline and the summary."""

from __future__ import annotations

import sqlite3

from msgspec.structs import replace

from engine.metrics import figures
from engine.plan.durations import format_duration
from engine.plan.model import Plan
from engine.report import timeline
from engine.report.model import Incident, RolloutReport
from engine.rollout.state import replay, stage_name
from engine.store import series
from engine.store.log import Row
from engine.text import clean_line, counted, percent


def headline(plan: Plan, rows: list[Row], at: float) -> str:
    """Where the rollout is at `at`, in a sentence."""
    if not rows:
        return "Nothing has been decided yet."
    state = replay([row.decision for row in rows])
    if state.stage >= plan.stable:
        return (
            f"Declared stable: {percent(state.percent_bp)} of documents get their keywords from the LLM, since "
            f"{timeline.moment_of(state.entered_at)}."
        )
    where = f"stage {state.stage} {stage_name(plan, state.stage)}"
    if state.locked:
        return f"Rolled back to {percent(state.percent_bp)} and locked, in {where}: {clean_line(state.locked, 300)}"
    if state.held:
        return f"Held at {percent(state.percent_bp)}, in {where}: {clean_line(state.held, 300)}"
    if state.last_rev and not state.percent_bp:
        return f"Rolled back to 0 %, in {where}, since {timeline.moment_of(state.changed_at)}."
    entered = state.entered_at or rows[0].decision.at  # nothing is promoted into the first stage
    return f"In {where} at {percent(state.percent_bp)}, since {timeline.moment_of(entered)}."


def with_summary(conn: sqlite3.Connection, story: RolloutReport) -> RolloutReport:
    """The report with its opening sentences: documents, errors, incidents, bakes, overrides, A/B test, messages."""
    everything = series.total(conn)
    out = (
        [f"{everything.n:,} documents extracted: {figures.methods(everything)}."]
        if everything.n
        else ["No document was extracted."]
    )
    worst = figures.error_rate(series.total(conn, "treatment"))
    if worst.value is not None:
        out.append(
            f"Of the documents sent to the LLM, {worst.words} failed and got frequency keywords instead; none was lost."
        )
    out.append(_incident_words(story.incidents))
    baked, waited = sum(s.baked_s for s in story.stages), sum(s.waited_s for s in story.stages)
    if baked or waited:
        out.append(
            f"Bakes took {format_duration(baked)} in total, waiting for people another {format_duration(waited)}."
        )
    if story.overrides:
        gates = counted(len(story.overrides), "gate was", "gates were")
        out.append(f"{gates} overridden; each is marked below with its reason.")
    out += [f"{entry.what}: {entry.sentence}" for entry in story.experiment]
    failed = sum(message.state == "failed" for message in story.messages)
    if failed:
        out.append(f"{counted(failed, 'message was', 'messages were')} never delivered.")
    return replace(story, summary=tuple(out))


def _incident_words(incidents: tuple[Incident, ...]) -> str:
    incidents = tuple(entry for entry in incidents if entry.within is None)
    if not incidents:
        return "No incident: nothing rolled back and no trigger acted."
    automatic = sum(entry.automatic for entry in incidents)
    by = f"{automatic} by triggers, {len(incidents) - automatic} by people"
    if automatic in (0, len(incidents)):
        one = len(incidents) == 1
        by = ("by a trigger" if one else "by triggers") if automatic else "by a person" if one else "by people"
    effects = [entry.effect_s for entry in incidents if entry.effect_s is not None]
    slowest = f"; the slowest rollback took effect after {timeline.duration(max(effects))}" if len(effects) > 1 else ""
    if len(effects) == 1:
        slowest = f"; the rollback took effect after {timeline.duration(effects[0])}"
    return f"{counted(len(incidents), 'incident')}, detected {by}{slowest}."
