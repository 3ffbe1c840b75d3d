"""Verbs for scripts: `gate` tests whether the next stage is open, `wait` blocks until a goal is met."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from console import completion
from console.completion import completes
from console.context import CliContext
from console.output import fail, is_json, notice, say, verb
from engine.text import percent

if TYPE_CHECKING:
    from engine.view.model import ConditionView, GateView, View

LOOK_S = 0.5


@click.command()
@verb
def gate(context: CliContext) -> None:
    """The current stage's gate: what is met, what is missing. Exit code 0 if it is open, 1 if it is shut."""
    from console.verbs.status import ENGINE, NO_FIGURES, last_known, look

    record, alive, trouble = look(context)
    view = record.view if record is not None else None
    if view is None:
        fail(trouble or ENGINE.get(alive, NO_FIGURES), {"open": False}, "no_view")
    old = "" if alive == "running" else last_known(alive, view)
    is_open = view.gate.open and not old  # a gate that no engine judges now is not open
    head = headline(view, is_open)
    body = {
        "ok": True, "open": is_open, "sentence": head, "engine_state": alive, "stage": view.stage,
        "stage_name": view.stage_name, "percent_bp": view.percent_bp, "epoch": view.epoch, "at": view.at,
        "stable": view.stable, "gate": view.gate,
    }  # fmt: skip
    say(body, "\n".join([*([old] if old else []), head, *gate_lines(view.gate)]))
    if not is_open:
        raise SystemExit(1)


def headline(view: View, is_open: bool) -> str:
    """Open or shut, and between which stages."""
    if view.stable:
        return "No gate: the rollout is stable and has no further stage."
    to = view.gate
    return (
        f"Gate {'OPEN' if is_open else 'SHUT'}: stage {view.stage} {view.stage_name} to stage {to.next_stage} "
        f"{to.next_name}, {percent(to.next_percent_bp)}. {to.met} of {to.total} met. Epoch {view.epoch}."
    )


def _condition(of: ConditionView) -> str:
    """[x] met, [ ] missing, [-] not met but not needed; always with the condition's text."""
    if of.missing and of.met is not True:
        return f"  [ ] {of.missing}"
    met = of.met is True
    return f"  {'[x]' if met else '[-]'} {of.text}: {of.sentence}{'' if met else '; does not shut the gate'}"


def gate_lines(of: GateView) -> list[str]:
    """Every requirement with its mark, then what blocks the gate."""
    from console.widgets import checklist, words

    marks = {True: "[x]", False: "[ ]"}
    out = []
    for line in checklist.lines(of):
        if line.condition is not None:
            out.append(_condition(line.condition))
        elif line.item is not None:
            out.append(f"  {marks[line.item.state == 'done']} {line.item.text} ({line.item.id})")
        elif line.title:
            out.append(line.title)
        else:
            out.append(f"  {marks[line.done]} {line.text}")
    if bake := words.bake(of):
        out.append(bake)
    return out + [f"blocked: {why}" for why in of.blocked]


# -- wait --------------------------------------------------------------------------------------------------------------


class Goal(NamedTuple):
    """What `wait` waits for. `met` judges a fresh view, `where` describes the progress."""

    text: str
    met: Callable[[View], bool]
    where: Callable[[View], str]


def _stage(view: View) -> str:
    return f"stage {view.stage} {view.stage_name}, {percent(view.effective_bp)}"


def parse_goal(text: str) -> Goal:
    """ValueError is a sentence."""
    stage = re.fullmatch(r"stage\s*(>?=)\s*(\d+)", text.strip())
    if stage is not None:
        wanted = int(stage[2])
        if stage[1] == "=":
            return Goal(text, lambda view: view.stage == wanted and not view.stable, _stage)
        return Goal(text, lambda view: view.stage >= wanted, _stage)
    match text.strip():
        case "stable":
            return Goal(text, lambda view: view.stable, _stage)
        case "gate-open":
            return Goal(text, lambda view: view.gate.open, lambda view: headline(view, view.gate.open))
        case "rolled-back":
            return Goal(text, lambda view: view.rolled_back, _stage)
    raise ValueError(f"{text!r} is not a goal: use stage=N, stage>=N, stable, gate-open or rolled-back")


class _GoalType(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    name = "condition"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Goal:
        if isinstance(value, Goal):
            return value
        try:
            return parse_goal(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class _Duration(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        from engine.plan.durations import parse_duration

        try:
            return value if isinstance(value, float) else parse_duration(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


@click.command()
@click.option(
    "--for",
    "goal",
    type=_GoalType(),
    required=True,
    shell_complete=completes(completion.goals),
    help="stage=2, stage>=2, stable, gate-open or rolled-back.",
)
@click.option(
    "--timeout", "timeout_s", type=_Duration(), default="1h", show_default=True, help="Give up after this: 90s, 2h."
)
@verb
def wait(context: CliContext, goal: Goal, timeout_s: float) -> None:
    """Wait for a goal. Exit code 0 when it is met, 1 on timeout. If no engine runs, it keeps waiting for one."""
    from console.verbs.status import ENGINE, NO_FIGURES, look
    from engine.plan.durations import format_duration

    began = time.monotonic()
    last = ""
    while True:
        record, alive, trouble = look(context)
        view = record.view if record is not None else None
        took = time.monotonic() - began
        if view is not None and alive == "running" and goal.met(view):
            sentence = f"{goal.text}: yes, after {format_duration(took)}. {goal.where(view)}"
            say({"ok": True, "sentence": sentence, **_facts(goal, view, took)}, sentence)
            return
        now = trouble or ENGINE.get(alive, NO_FIGURES) if view is None else ENGINE.get(alive) or goal.where(view)
        if took >= timeout_s:
            sentence = f"{goal.text}: not within {format_duration(timeout_s)}. {now}"
            fail(sentence, _facts(goal, view, took), "timeout")
        if now != last and not is_json():
            notice(f"waiting for {goal.text}: {now}")
        last = now
        time.sleep(max(0.0, min(LOOK_S, timeout_s - took)))


def _facts(goal: Goal, view: View | None, took: float) -> dict[str, Any]:
    seen: dict[str, Any] = {}
    if view is not None:
        seen = {"stage": view.stage, "stable": view.stable, "effective_bp": view.effective_bp}
        seen |= {"gate_open": view.gate.open, "epoch": view.epoch}
    return {"for": goal.text, "waited_s": round(took, 3), **seen}
