"""Dry runs of a promotion, a rollback, its undo and the undo of a restore; they read, and change nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from console.context import CliContext
from console.output import fail, is_json, refuse, say_result
from engine.text import counted

if TYPE_CHECKING:
    from engine.rollout.state import State
    from engine.view.model import View


def promotion_would(context: CliContext, fields: dict[str, Any], to_stage: int | None) -> None:
    """Print what the engine would answer. Without one a promotion is refused: print why, and the gate as the last
    engine saw it."""
    from console.verbs.gate import gate_lines, headline
    from console.verbs.status import ENGINE
    from engine.plan.durations import iso

    recorded = _without_engine(context, "promote", {**fields, "to_stage": to_stage})
    if recorded is None:
        return
    view, _, alive = recorded
    judged = f"It last judged the gate at {iso(view.at)}."
    sentence = f"Would be refused: a promotion needs an engine. {ENGINE[alive]} {judged}"
    gate = view.gate
    body = {
        "code": "no_engine", "dry_run": True, "engine_state": alive, "stage": gate.next_stage,
        "percent_bp": gate.next_percent_bp, "epoch": view.epoch, "at": view.at, "gate": gate,
    }  # fmt: skip
    shown = sentence if is_json() else "\n".join([sentence, headline(view, is_open=False), *gate_lines(gate)])
    fail(shown, body, "no_engine")


def undo_would(context: CliContext, reason: str, epoch: int) -> None:
    """Print what the engine would answer. Without one an undo is refused: print why, and where it would lead."""
    from console.verbs.status import ENGINE
    from engine.plan.durations import iso
    from engine.rollout import control
    from engine.rollout.state import Ask, Refusal, stage_name
    from engine.store import log
    from engine.text import percent

    recorded = _without_engine(context, "undo_rollback", {"reason": reason, "epoch": epoch})
    if recorded is None:
        return
    _, state, alive = recorded
    ask = Ask(context.client.actor, context.now(), "", reason)
    by = context.reader.read(lambda conn: log.moved_by(conn, state.epoch))
    made = control.undo_rollback(context.plan, state, ask, epoch, by)
    if isinstance(made, Refusal):
        fail(made.sentence, code=made.code or "refused")
    until = state.undo.until if state.undo is not None else ask.at
    sentence = (
        f"Would be refused: undoing a rollback needs an engine. {ENGINE[alive]} With one it would go to stage "
        f"{made.stage} {stage_name(context.plan, made.stage)}, {percent(made.percent_bp)}, until {iso(until)}."
    )
    body = {
        "code": "no_engine", "dry_run": True, "engine_state": alive, "stage": made.stage, "percent_bp": made.percent_bp,
        "epoch": state.epoch, "until": iso(until),
    }  # fmt: skip
    fail(sentence, body, "no_engine")


def _without_engine(context: CliContext, of: str, fields: dict[str, Any]) -> tuple[View, State, str] | None:
    """Print the engine's answer. Where no engine gives one: (last view, state, what is known of the engine)."""
    from console.verbs.status import ENGINE, look

    reply = context.client.command("would", of=of, **fields)
    if reply.ok:
        say_result({"ok": True, "sentence": reply.sentence, **reply.data}, reply.sentence)
        return None
    record, alive, _ = look(context) if reply.data.get("code") == "no_engine" else (None, "", "")
    if record is None or record.view is None or alive not in ENGINE:
        refuse(reply, reply.data)
    return record.view, record.state, alive


def rollback_would(context: CliContext, to_stage: int | None) -> None:
    """Print from where to where, in which stores, and whether an engine would carry it out."""
    from console.verbs.status import ENGINE, NO_FIGURES, look
    from engine.rollout.control import not_below
    from engine.rollout.state import stage_name
    from engine.text import percent

    plan = context.plan
    record, alive, trouble = look(context)
    view = record.view if record is not None else None
    if view is None or record is None:
        fail(trouble or ENGINE.get(alive, NO_FIGURES), code="no_view")
    state = record.state
    odd = "" if to_stage is None else not_below(plan, to_stage, state.stage)
    if to_stage is None or odd:
        target, where = 0, percent(0) + (f", because {odd}" if odd else "")
    else:
        target = min(state.percent_bp, plan.stages[to_stage].percent_bp)
        where = f"stage {to_stage} {stage_name(plan, to_stage)}, {percent(target)}"
    lines = [
        f"Would go from stage {state.stage} {stage_name(plan, state.stage)}, {percent(state.percent_bp)} to {where}. "
        "Nothing has changed."
    ]
    if view.effective_bp != state.percent_bp:
        lines.append(f"In force now: {percent(view.effective_bp)}. {view.why_effective}".rstrip())
    lines.append(
        "The engine is running and would act immediately; LLM calls in flight, to be cancelled: "
        f"{view.engine.in_flight}."
        if alive == "running"
        else f"{ENGINE[alive]}"
    )
    if to_stage is None:  # with a stage the engine decides; without its answer the armed file goes too
        lines.append(f"It removes {context.store.armed}.")
    others = [str(other) for other in context.candidate_stores.others]
    lines += [f"Also in {other}: this plan ran with that store." for other in others]
    restore = view.restore
    if restore is not None and restore.documents:
        lines.append(
            f"{counted(restore.documents, 'document serves', 'documents serve')} LLM keywords and would keep "
            "serving them until `rollout restore`."
        )
    body: dict[str, Any] = {
        "ok": True, "dry_run": True, "sentence": lines[0], "percent_from": state.percent_bp, "percent_to": target,
        "effective_bp": view.effective_bp, "stage": state.stage, "epoch": state.epoch, "engine_state": alive,
        "in_flight": view.engine.in_flight, "store": str(context.store.path), "other_stores": others,
        "documents": restore.documents if restore is not None else 0,
    }  # fmt: skip
    say_result(body, "\n".join(lines))


def undo_restore_would(context: CliContext) -> None:
    from engine.store import restores

    last = context.reader.read(restores.last_restore)
    if last is None:
        fail("Nothing to undo: no restore is in force.", code="refused")
    sentence = f"{counted(last[1], 'document', 'documents')} would serve the LLM's keywords again. Nothing has changed."
    say_result({"ok": True, "dry_run": True, "sentence": sentence, "restore": last[0], "documents": last[1]}, sentence)
