"""The questions that the gate's keys ask, made from the view: promote, resume, unlock, release a hold."""

from __future__ import annotations

from collections.abc import Sequence

from console.screens.ask import QuestionDialog, TextField
from console.widgets import words
from engine.plan.durations import clock
from engine.view.model import GateView, View

MISSING_SHOWN = 4
LEAST_CHARS = 8  # characters of a reason or cause that goes into the log


def promotion(v: View, override: bool) -> QuestionDialog:
    """Promote through the open gate, or override what it misses."""
    title, step, yes, no = _step(v)
    facts = [step, *(_overridden(v.gate) if override else [_open(v.gate)])]
    if v.gate.returns:
        facts.append("This is the short way back up; the next stage needs its full bake again.")
    if v.error_rate.value is not None:
        facts.append(f"Error rate {words.rate(v.error_rate.value)}, latency {words.ms(v.latency.value)}.")
    down = [f"{server.name} {server.state}" for server in v.servers if server.up is False]
    if down and v.gate.next_percent_bp:
        facts.append(f"✖ LLM servers not answering: {', '.join(down)}.")
    facts.append("R rolls back to 0 % at any time.")
    if not override:
        return _question(title, facts, yes, no)
    field = TextField(f"reason for the override ({LEAST_CHARS}+ characters; goes into the log)", LEAST_CHARS)
    return _question(title, facts, yes, no, field)


def _step(v: View) -> tuple[str, str, str, str]:
    """(title, what changes, yes, no) of the step up."""
    gate, now, after = v.gate, words.percent(v.percent_bp), words.percent(v.gate.next_percent_bp)
    if v.stage_percents and gate.next_stage >= v.stages:
        stays = f"The percentage stays {now}, and the triggers keep watching."
        return "Declare the rollout stable?", stays, "declare stable", "stay here"
    goal = f"stage {gate.next_stage} {gate.next_name}, {after}" if gate.next_name else "stable"
    title = f"Promote to {goal}?"
    if v.percent_bp == gate.next_percent_bp:
        stays = f"To {goal}. The percentage stays {now}."
        return title, stays, f"promote to stage {gate.next_stage}", "stay here"
    return title, f"From {now} to {after} of documents: {goal}.", f"promote to {after}", f"stay at {now}"


def _open(gate: GateView) -> str:
    rest = ", the rest is optional" if gate.met < gate.total else ""
    return f"The gate is open: {gate.met} of {gate.total} met{rest}."


def _overridden(gate: GateView) -> list[str]:
    more = len(gate.missing) - MISSING_SHOWN
    return [
        f"OVERRIDES {len(gate.missing)} MISSING:",
        *(f"○ {missing}" for missing in gate.missing[:MISSING_SHOWN]),
        *([f"  and {more} more"] if more > 0 else []),
    ]


def rearm(v: View) -> QuestionDialog:
    """Put the armed file back; in Preparation, let checks call the LLM again."""
    facts = ["No LLM call is made until then.", f"The percentage stays {words.percent(v.percent_bp)}."]
    if v.stage:
        facts.append("It puts the armed file back.")
        return _question("Let the engine call the LLM again?", facts, "resume", "not now")
    return _question("Let checks call the LLM again?", facts, "resume", "not now")


def unlock(v: View, cause: str) -> QuestionDialog:
    """Ask for the cause of an automatic rollback. `cause`: what was written before."""
    left = cooldown_left(v)
    facts = [v.locked, *([f"This also releases the hold: {v.held}."] if v.held else [])]
    title, yes = "Unlock promotion", "resume"
    if left > 0:
        title, yes = "Write the cause now, resume after the cool-down", "keep it"
        facts.append(f"The cool-down lasts {clock(left)} more. What you write now is saved until then.")
    facts.append("The percentage does not change.")
    field = TextField(f"the cause ({LEAST_CHARS} characters or more)", LEAST_CHARS, cause)
    return _question(title, facts, yes, "stay locked", field)


def release(v: View) -> QuestionDialog:
    return _question("Release the hold?", [v.held], "resume", "keep holding")


def cooldown_left(v: View) -> float:
    """Seconds until an automatic rollback can be resumed from; 0 or less: now."""
    return (v.cooldown_until or 0.0) - v.at


def _question(title: str, facts: Sequence[str], yes: str, no: str, field: TextField | None = None) -> QuestionDialog:
    return QuestionDialog(title, facts, yes, no, field, danger=True)
