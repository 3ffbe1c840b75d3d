"""Verbs that run or stop the engine, and the console itself."""

from __future__ import annotations

import contextlib
import gc
import os
import shlex
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from console.context import CliContext
from console.output import FILE, Failed, fail, refuse, say, verb

if TYPE_CHECKING:
    from engine.server.rehearse import Rehearsal
    from engine.store.folder import Folder


def open_console(context: CliContext) -> int:
    """Attach to the running engine, or start one, detached, if none holds the store. Garbage is collected from when
    a screen is loaded."""
    if not sys.stdout.isatty() or not sys.stdin.isatty():
        raise Failed("The console needs a terminal. For pipes and screen readers use `rollout status --watch`.")
    if context.lacks_plan:
        return _set_up(context)
    return _attach(context)


def _set_up(context: CliContext) -> int:
    """The first time: a few questions, then the console; or a rehearsal, or nothing."""
    from console.setup import run as setup

    gc.enable()
    folder = Path.cwd()
    chosen = setup.ask(folder, context.display)
    if chosen is None:
        click.echo(
            "Nothing was written. `rollout` asks again, `rollout init` asks in lines, `rollout rehearse` needs no plan."
        )
        return 0
    if isinstance(chosen, str):
        return _rehearse(context, 60.0, None)
    plan = setup.write(chosen, folder)
    return _attach(context, lambda: setup.load_beside(chosen, plan, context.folder.path))


def _attach(context: CliContext, started: Callable[[], None] = lambda: None) -> int:
    """`started` is called once an engine runs."""
    from engine.client import engine_process
    from engine.plan import memory

    folder, plan = context.folder, context.plan
    folder.prepare()
    memory.remember(context.plan_path, folder.path, 0)
    if not engine_process.runs(folder):
        plan = context.file_plan  # a new engine reads the file, never the plan in the store
        from engine.server.spawning import spawn, wait_until_up

        click.echo(f"Starting the engine for {context.plan_path.resolve()} ...")
        process = spawn(context.plan_path.resolve(), folder)
        if trouble := wait_until_up(folder, process):
            raise Failed(trouble)
    started()
    from console.session import run

    return run(folder.path, plan, context.display, again=context.again)


@click.command()
@click.option(
    "--speed",
    type=click.FloatRange(1, 20_000),
    default=60.0,
    show_default=True,
    help="How much faster the calendar runs. Above 480, triggers count time more slowly than it does.",
)
@click.option("--no-console", is_flag=True, help="Run only the engine and print where; for scripts.")
@click.option("--keep", type=FILE, help="Keep the store in this folder.")
@click.pass_context
def rehearse(ctx: click.Context, speed: float, no_console: bool, keep: Path | None) -> None:
    """The whole product on a simulated LLM service and sample documents, in a throw-away store.

    The calendar runs faster; latencies stay real. It ends with its console.
    """
    from engine.server.rehearse import Rehearsal

    if not no_console:
        ctx.exit(_rehearse(ctx.obj, speed, keep))
    with Rehearsal(speed=speed, keep=keep) as rehearsal:
        if trouble := rehearsal.start():
            raise Failed(trouble)
        click.echo(f"rehearsal: store {rehearsal.folder.path}, plan {rehearsal.plan_path}; ends with this command")
        click.echo(f"attach from another terminal: rollout --plan {shlex.quote(str(rehearsal.plan_path.resolve()))}")
        with contextlib.suppress(KeyboardInterrupt):
            rehearsal.wait()
        _over(rehearsal, ctx.obj)


def _rehearse(context: CliContext, speed: float, keep: Path | None) -> int:
    from console.session import run
    from engine.server.rehearse import Rehearsal

    with Rehearsal(speed=speed, keep=keep) as rehearsal:
        if trouble := rehearsal.start():
            raise Failed(trouble)
        code = run(rehearsal.folder.path, rehearsal.plan, context.display, rehearsal=True)
        _over(rehearsal, context)
    return code


def _over(rehearsal: Rehearsal, context: CliContext) -> None:
    _record_rehearsal(rehearsal, context)
    if rehearsal.again:
        click.echo(f"Kept: {rehearsal.again}")


def _record_rehearsal(rehearsal: Rehearsal, context: CliContext) -> None:
    """Record a passed rehearsal in the real rollout's store, where it proves a checklist item."""
    from engine.rehearsal import record

    made = rehearsal.passed()
    if made is None:
        click.echo("Not recorded as passed: it needs a rollback by a trigger and a manual one, both proven.")
        return
    try:
        kept = context.plan is not None and record.keep(context.folder.path, made)
    except Failed:
        kept = False
    where = context.folder.path if kept else record.home()
    if kept or record.keep(record.home(), made):
        click.echo(f"Recorded in {where}: {made.sentence}")


@click.command()
@click.pass_obj
def serve(context: CliContext) -> None:
    """Run the engine in the foreground. A second one waits as a standby and takes over when the first ends."""
    from engine.server.process import run

    raise SystemExit(run(context.plan_path.resolve(), context.folder, foreground=True))


@click.command()
@verb
def stop(context: CliContext) -> None:
    """Stop the engine. It finishes the documents in flight first. Until one starts again, no document is extracted."""
    from engine.client import engine_process

    folder = context.folder
    if not engine_process.runs(folder):
        _done(f"No engine runs in {folder.path}.")
        return
    reply = context.client.command("stop")
    if not reply.ok and not _end_orphan(folder):
        refuse(reply)
    until = time.monotonic() + 15
    while time.monotonic() < until:
        if not engine_process.runs(folder):
            _done("The engine has stopped. No document is extracted until it runs again.")
            return
        time.sleep(0.05)
    fail(f"The engine has not stopped within 15 s; see {folder.engine_log}.", code="no_answer")


def _end_orphan(folder: Folder) -> bool:
    """Ask an engine to end whose files, and so its socket, were deleted; False where that is not so, or not allowed."""
    from engine.client import engine_process

    pid = 0 if folder.exists else engine_process.ask(folder).pid
    with contextlib.suppress(OSError):
        if pid:
            os.kill(pid, signal.SIGTERM)
            return True
    return False


def _done(sentence: str) -> None:
    say({"ok": True, "sentence": sentence}, sentence)
