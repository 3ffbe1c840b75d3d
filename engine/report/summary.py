"""The first page of the report in words: the headline and the summary."""

from __future__ import annotations

import sqlite3
from collections import Counter

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
    share = percent(state.percent_bp)
    if state.ceiling_bp < state.percent_bp:
        share = f"{percent(state.ceiling_bp)} (the ceiling; {share} decided)"
    if state.stage >= plan.stable:
        return (
            f"Declared stable: {share} of documents get their keywords from the LLM, since "
            f"{timeline.moment_of(state.entered_at)}."
        )
    where = f"stage {state.stage} {stage_name(plan, state.stage)}"
    if state.locked:
        return f"Rolled back to {percent(state.percent_bp)} and locked, in {where}: {clean_line(state.locked, 300)}"
    if state.held:
        return f"Held at {share}, in {where}: {clean_line(state.held, 300)}"
    if state.last_rev and not state.percent_bp:
        return f"Rolled back to 0 %, in {where}, since {timeline.moment_of(state.changed_at)}."
    entered = state.entered_at or rows[0].decision.at  # nothing is promoted into the first stage
    return f"In {where} at {share}, since {timeline.moment_of(entered)}."


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
            f"Of the documents for the LLM, {worst.words} failed and got frequency keywords instead; none was lost."
        )
    out.append(_incident_words(story.incidents))
    baked, waited = sum(s.baked_s for s in story.stages), sum(s.waited_s for s in story.stages)
    if baked or waited:
        out.append(
            f"Bakes took {format_duration(baked)} in total; waiting for people took another {format_duration(waited)}."
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
    by_whom = Counter(_by_whom(entry) for entry in incidents)
    by = ", ".join(f"{n} by {whom}" for whom, n in sorted(by_whom.items(), reverse=True))
    if len(by_whom) == 1:
        whom = next(iter(by_whom))
        by = f"by {_ONE[whom] if len(incidents) == 1 else whom}"
    effects = [entry.effect_s for entry in incidents if entry.effect_s is not None]
    slowest = f"; the slowest rollback took effect after {timeline.duration(max(effects))}" if len(effects) > 1 else ""
    if len(effects) == 1:
        slowest = f"; the rollback took effect after {timeline.duration(effects[0])}"
    return f"{counted(len(incidents), 'incident')}, detected {by}{slowest}."


_ONE = {"triggers": "a trigger", "the engine": "the engine", "people": "a person"}


def _by_whom(incident: Incident) -> str:
    """An engine also rolls back without a trigger: the armed file was removed, the store was changed."""
    if not incident.automatic:
        return "people"
    return "triggers" if incident.trigger else "the engine"
