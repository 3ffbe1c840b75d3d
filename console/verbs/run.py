"""`rollout run`: the plan's commands for the current stage."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from console.context import CliContext
from console.output import fail, is_json, question, say, say_result, verb

if TYPE_CHECKING:
    from engine.plan.model import MonitoringCommand


@click.command()
@click.argument("number", type=click.IntRange(1), required=False)
@click.option("--yes", is_flag=True, help="Skip the question.")
@verb
def run(context: CliContext, number: int | None, yes: bool) -> None:
    """List the plan's commands for this stage, or run NUMBER here after confirmation. Its output goes to the log."""
    view, plan = context.reader.engine_record().view, context.plan
    stage = view.stage if view else 0
    commands = plan.stages[stage].commands if stage < len(plan.stages) else ()  # none once stable
    if number is None:
        listed = [{"number": n, "text": c.text, "run": c.run} for n, c in enumerate(commands, 1)]
        lines = [f"{n:>3} {c.text}\n      {c.run.strip()}" for n, c in enumerate(commands, 1)]
        say_result(listed, "\n".join(lines) or "The plan has no commands for this stage.")
        return
    if number > len(commands):
        why = f"There is no command {number}; this stage has {len(commands)}. `rollout run` lists them."
        fail(why, code="no_command")
    _run(context, commands[number - 1], view.engine.address if view else "", yes)


def _run(context: CliContext, command: MonitoringCommand, address: str, yes: bool) -> None:
    """Ask, run it here, and keep its output in the log."""
    import asyncio

    from console.plan_commands import command_environment, localized
    from engine import shell

    line = localized(command.run.strip(), context.plan, address)
    click.echo(f"$ {line}", err=True)
    unanswered = "Not run; --yes skips the question."
    with question(unanswered):
        wanted = yes or click.confirm("Run it here?", err=True)
    if not wanted:
        fail(unanswered, code="aborted")
    heard = None if is_json() else (lambda text: click.echo(text, nl=False))
    environ = command_environment(context.plan, context.folder.path)
    done = asyncio.run(shell.run(line, command.timeout_s, environ=environ, heard=heard))
    kept = context.client.command(
        "ran",
        command=command.run,
        text=command.text,
        line=line,
        exit=done.exit,
        ms=done.ms,
        ended=done.ended,
        output=done.output,
    )
    where = "kept in the log" if kept.ok else f"not kept: {kept.sentence}"
    say({"exit": done.exit, "ms": done.ms, "output": done.output, "kept": kept.ok}, f"It {done.sentence}; {where}")
    if not done.ok:
        raise SystemExit(1)
