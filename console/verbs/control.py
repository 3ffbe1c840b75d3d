"""Verbs that decide: promote, approve, hold, resume, ceiling, sign."""

from __future__ import annotations

import os
from typing import Any

import click

from console import completion
from console.completion import completes
from console.context import CliContext, send_command, started_s
from console.output import say_result, verb

STAGES = completes(completion.stages)


class StageNumber(click.IntRange):
    """A stage's number, 0 or more; its error adds the `consequence` of the mistake."""

    def __init__(self, consequence: str) -> None:
        super().__init__(0)
        self.consequence = consequence

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            self.fail(f"{value!r} is not a stage's number (0, 1, 2, ...). {self.consequence}", param, ctx)


@click.command()
@click.option("--reason", default="", help="Required with --override; stays in the log.")
@click.option("--override", is_flag=True, help="Promote although the gate is shut. Needs --reason.")
@click.option(
    "--to",
    "to_stage",
    type=click.IntRange(0),
    metavar="STAGE",
    shell_complete=STAGES,
    help="The stage you expect to reach; refused if it isn't the next one.",
)
@click.option("--epoch", type=int, help="Epoch you reviewed (`rollout status` shows it); default: current.")
@click.option("--dry-run", is_flag=True, help="Show what would happen; change nothing.")
@verb
def promote(
    context: CliContext, reason: str, override: bool, to_stage: int | None, epoch: int | None, dry_run: bool
) -> None:
    """One step up, through the gate. Without --to or --epoch: the stage that was next when this command started.

    --dry-run judges the gate as it is now; it doesn't rerun the machine checks that a promotion reruns.
    """
    seen = context.reader.state()
    fields: dict[str, Any] = {"epoch": seen.epoch if epoch is None else epoch, "reason": reason, "override": override}
    if dry_run:
        from console.verbs.dry_run import promotion_would

        promotion_would(context, fields, to_stage)
        return
    if to_stage is None and epoch is None:
        started = started_s()  # who pressed Enter before another promotion landed has not seen it
        tick_s = 1 / os.sysconf("SC_CLK_TCK")
        fields["launched"] = None if started is None else started + tick_s
    send_command(context, "promote", **fields, to_stage=to_stage)


@click.command()
@verb
def approve(context: CliContext) -> None:
    """Approve the next step."""
    send_command(context, "approve")


@click.command()
@click.option("--reason", default="", help="Why; shown to everyone.")
@verb
def hold(context: CliContext, reason: str) -> None:
    """Keep the gate shut until someone resumes. The percentage stays."""
    send_command(context, "hold", reason=reason)


@click.command()
@click.option(
    "--reason", "--cause", default="", help="The cause of the automatic rollback; required to release its lock."
)
@click.option("--epoch", type=int, help="Epoch you reviewed; default: current.")
@verb
def resume(context: CliContext, reason: str, epoch: int | None) -> None:
    """Release a hold, or the lock after an automatic rollback."""
    seen = context.reader.state()
    send_command(context, "resume", reason=reason, epoch=seen.epoch if epoch is None else epoch)


@click.command()
@click.argument("percentage", type=click.FloatRange(0, 100))
@click.option("--reason", default="", help="Why; stays in the log.")
@click.option("--epoch", type=int, help="Epoch you reviewed; default: current.")
@verb
def ceiling(context: CliContext, percentage: float, reason: str, epoch: int | None) -> None:
    """Cap the percentage in force, whatever is decided. The engine's environment limits how far you can raise it; a
    restart without that environment doesn't raise it."""
    seen = context.reader.state()
    fields = {"percent_bp": round(percentage * 100), "epoch": seen.epoch if epoch is None else epoch, "reason": reason}
    send_command(context, "ceiling", **fields)


@click.command()
@click.argument("item", required=False, shell_complete=completes(completion.items))
@click.option("--note", default="", help="Kept with the signature: what you checked.")
@click.option("--check", "by_machine", is_flag=True, help="Run the machine check instead.")
@click.option("--revoke", is_flag=True, help="Withdraw a signature.")
@verb
def sign(context: CliContext, item: str | None, note: str, by_machine: bool, revoke: bool) -> None:
    """Sign a checklist item of the current stage; without ITEM, list them."""
    if item is None:
        from engine.gate import checklist

        state = context.reader.state()
        items = context.reader.read(lambda conn: checklist.read(conn, context.plan, state))
        mark = {"done": "[x]", "open": "[ ]", "failed": "[!]"}
        lines = []
        for i in items:
            about = i.note if i.lapsed else i.by
            lines.append(f"{mark[i.state]} {i.id:<24} {i.text}{f'  ({about})' if about else ''}")
        say_result({"items": items}, "\n".join(lines) or "This stage has no checklist.")
        return
    kind = "revoke" if revoke else "check" if by_machine else "sign"
    send_command(context, kind, item=item, note=note)
