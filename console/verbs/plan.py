"""`rollout plan`: show what changed in rollout.toml since the engine read it, and adopt a stage of the changed plan."""

from __future__ import annotations

from typing import Any

import click

from console.context import CliContext, send_command
from console.output import fail, say_result, verb
from console.verbs.control import STAGES

CHANGE = ("place", "before", "after", "sentence")


@click.group()
def plan() -> None:
    """The plan in force, and changes in rollout.toml since."""


@plan.command()
@verb
def diff(context: CliContext) -> None:
    """The differences between rollout.toml and the plan in force, and what a restart would do.

    Exit code 0 if there are none, else 1.
    """
    from engine.plan.load import PlanError, load_plan, plan_text
    from engine.plan.pins import misplaced
    from engine.store import plans

    state = context.reader.state()
    pins = state.pins
    if pins is None:
        fail("This store doesn't hold the plan in force yet: start the engine once, then retry.", code="no_data")
    try:
        text = plan_text(context.plan_path)
    except PlanError as error:
        fail(str(error), code="plan")
    changes = context.reader.read(lambda conn: plans.changes(conn, pins.digest, text))
    trouble, why = "", ""
    try:
        new = load_plan(context.plan_path)
        same = new.digest == pins.digest
        why = misplaced(new, pins, state.stage)
    except PlanError as error:
        trouble, same = str(error), False
    lines = [f"The rollout runs under {context.plan_path.name} {pins.digest[:12]}."]
    if same:
        lines.append("Nothing differs.")
    elif changes is None and not trouble:
        lines.append("It differs, but the store doesn't hold the earlier text, so the differences can't be shown.")
    else:
        lines += [change.sentence for change in changes or ()] or (
            [] if trouble else ["Only comments or layout differ."]
        )
    if trouble:
        lines += ["", f"An engine cannot start under the file as it is:\n{trouble}"]
    elif why:
        lines += ["", f"A restart holds the rollout: {why}. Then name its stage: rollout plan adopt --stage N"]
    elif not same:
        lines += ["", f"A restart of the engine adopts this; the rollout stays in its stage.{_model(changes)}"]
    value: dict[str, Any] = {
        "same": same, "digest": pins.digest, "misplaced": why, "problem": trouble,
        "changes": [{name: getattr(c, name) for name in CHANGE} for c in changes or ()],
    }  # fmt: skip
    say_result(value, "\n".join(lines))
    if not same:
        raise SystemExit(1)


def _model(changes: Any) -> str:
    of_llm = ("model", "temperature", "num_ctx", "max_descriptive", "max_technical", "max_total", "chunk_chars")
    restarts = tuple(f"llm.{key}" for key in of_llm)
    changed = [change.place for change in changes or () if change.place in restarts]
    return f" {', '.join(changed)}: evidence, bake and A/B test start over." if changed else ""


@plan.command()
@click.option(
    "--stage",
    type=click.IntRange(0),
    metavar="STAGE",
    required=True,
    shell_complete=STAGES,
    help="The stage's number in the changed plan.",
)
@click.option("--reason", default="", help="Why; stays in the log.")
@verb
def adopt(context: CliContext, stage: int, reason: str) -> None:
    """Name the rollout's stage in the changed plan. The percentage may fall to that stage's; it never rises."""
    send_command(context, "adopt_plan", stage=stage, reason=reason)
