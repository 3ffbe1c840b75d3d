"""`rollout plan`: what changed in rollout.toml since the engine read it, and in which stage of a changed plan the rollout is."""

from __future__ import annotations

from typing import Any

import click

from console.context import CliContext, fail, json_option, say


@click.group()
def plan() -> None:
    """What the rollout runs under, and what changed in rollout.toml since."""


@plan.command()
@json_option
@click.pass_obj
def diff(context: CliContext, as_json: bool) -> None:
    """What differs between rollout.toml and the plan that the rollout runs under, and what a restart would make of it.

    Exit code 0 when nothing differs, 1 when something does.
    """
    from engine.plan.load import PlanError, load_plan
    from engine.plan.pins import misplaced
    from engine.store import plans

    state = context.reader.state()
    pins = state.pins
    if pins is None:
        fail("This store was last used before plans were kept: start the engine once, then ask again.", as_json)
    try:
        text = context.plan_path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        fail(f"{context.plan_path} cannot be read: {error}", as_json)
    found = context.reader.read(lambda conn: plans.changes(conn, pins.digest, text))
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
    elif found is None and not trouble:
        lines.append("It differs; what differs cannot be shown, the text of the plan before is not in the store.")
    else:
        lines += [change.sentence for change in found or ()] or ([] if trouble else ["Only comments or layout differ."])
    if trouble:
        lines += ["", f"An engine cannot start under the file as it is:\n{trouble}"]
    elif why:
        lines += [
            "",
            f"After a restart the rollout is held: {why}. A person then says which stage it is in: rollout plan adopt --stage N",
        ]
    elif not same:
        lines += ["", f"A restart of the engine takes this over; the rollout stays in its stage.{_model(found)}"]
    value: dict[str, Any] = {
        "same": same, "digest": pins.digest, "misplaced": why, "problem": trouble,
        "changes": [{"place": c.place, "before": c.before, "after": c.after, "sentence": c.sentence} for c in found or ()],
    }  # fmt: skip
    say(value, "\n".join(lines), as_json)
    if not same:
        raise SystemExit(1)


def _model(found: Any) -> str:
    restarts = (
        "llm.model",
        "llm.temperature",
        "llm.num_ctx",
        "llm.max_descriptive",
        "llm.max_technical",
        "llm.max_total",
        "llm.chunk_chars",
    )
    changed = [change.place for change in found or () if change.place in restarts]
    return f" {', '.join(changed)}: evidence, bake and A/B test start again." if changed else ""


@plan.command()
@click.option("--stage", type=click.IntRange(0), required=True, help="The number of the stage in the changed plan.")
@click.option("--reason", default="", help="Why; stays in the log.")
@json_option
@click.pass_obj
def adopt(context: CliContext, stage: int, reason: str, as_json: bool) -> None:
    """Say in which stage of the changed plan the rollout is. The percentage may fall to the stage's and never rises."""
    reply = context.client.command("adopt_plan", stage=stage, reason=reason)
    if not reply.ok:
        fail(reply.sentence, as_json, reply.data)
    say({"ok": True, "sentence": reply.sentence, **reply.data}, reply.sentence, as_json)
