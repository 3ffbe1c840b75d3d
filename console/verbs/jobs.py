"""`rollout jobs`: loads that worker processes carry out."""

from __future__ import annotations

from typing import Any

import click
import msgspec

from console import completion
from console.completion import completes
from console.context import CliContext
from console.output import fail, json_option, refuse, say, say_result, verb
from console.upload.crews import Crew, crews
from engine.plan.durations import iso
from engine.store.jobs import Job, JobTally
from engine.text import counted


@click.group(invoke_without_command=True)
@json_option
@click.pass_context
def jobs(ctx: click.Context) -> None:
    """The loads that ran with --on, newest first: how far each is, and how to continue it.

    A job without a worker makes no progress: its command ended, or its workers are just starting.
    """
    if ctx.invoked_subcommand is None:
        _list(ctx.obj)


def _list(context: CliContext) -> None:
    from engine.store.folder import StoreError
    from engine.store.jobs import listed

    try:
        jobs = context.reader.read(listed)
        at_work = context.reader.read(crews) if context.store.is_locked() else {}
    except StoreError as error:
        fail(str(error))
    rows = [(job, tally, at_work.get(job.id, Crew())) for job, tally in jobs]
    body = {"ok": True, "jobs": [_plain(*row) for row in rows]}
    printed = "\n".join(_line(*row) for row in rows) or "No job yet: `rollout load --on local:4 docs/` makes one."
    say_result(body, printed)


def _plain(job: Job, tally: JobTally, crew: Crew) -> dict[str, Any]:
    times = {"at": iso(job.at), "ended": None if job.ended is None else iso(job.ended)}
    return {**msgspec.to_builtins(job), **times, **msgspec.to_builtins(tally), **msgspec.to_builtins(crew)}


def _line(job: Job, tally: JobTally, crew: Crew) -> str:
    how = f"; it waits: {crew.waits}" if crew.waits else ""
    if job.state in ("running", "stopped") and not crew.workers:
        when = "continue it" if job.state == "stopped" else "if its command has ended, continue it"
        how = f"; {when}: rollout load --resume {job.id}"
    state = f"running, {counted(crew.workers, 'worker')}" if job.state == "running" else job.state
    return (
        f"{job.id}  {iso(job.at)}  {state}, {job.kind}, {job.method}  "
        f"{tally.done:,} of {counted(tally.parts, 'part')}, "
        f"{counted(tally.documents, 'document')} ({tally.llm:,} by LLM), {tally.failed:,} failed  "
        f"{job.actor}: {job.sources}{f' into {job.output}' if job.output else ''}{how}"
    )


@jobs.command()
@click.argument("job", type=int, shell_complete=completes(completion.jobs))
@verb
def stop(context: CliContext, job: int) -> None:
    """Stop a job: its workers end, what is stored stays."""
    reply = context.client.command("job_stop", job=job)
    if not reply.ok:
        refuse(reply)
    say({"ok": True, "sentence": reply.sentence, "job": job}, reply.sentence)
