"""Verbs that run or ask the engine, and the console itself."""

from __future__ import annotations

import contextlib
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from console.place import Failed, Place, fail, json_option, say

if TYPE_CHECKING:
    from engine.rehearsal.stage import Rehearsal
    from engine.store.folder import Folder


def open_console(place: Place, *, read_only: bool, ascii_only: bool, theme: str | None) -> int:
    """Attach to the running engine; start one, detached, when none holds the store."""
    if not sys.stdout.isatty() or not sys.stdin.isatty():
        raise Failed("The console needs a terminal. `rollout status --watch` is the same for pipes and screen readers.")
    folder, plan = place.folder, place.plan
    folder.prepare()
    if not folder.is_locked():
        from engine.service.process import spawn, wait_until_up

        process = spawn(place.plan_path.resolve(), folder)
        if trouble := wait_until_up(folder, process):
            raise Failed(trouble)
    from console.session import run

    return run(folder.path, plan, read_only=read_only, ascii=ascii_only, theme=theme)


@click.command()
@click.option(
    "--speed",
    type=click.FloatRange(1, 20_000),
    default=60.0,
    show_default=True,
    help="How much faster the calendar runs.",
)
@click.option("--no-console", is_flag=True, help="Run the engine alone and say where; for scripts.")
@click.option("--keep", type=click.Path(path_type=Path), help="Keep the store in this folder.")
@click.pass_context
def rehearse(ctx: click.Context, speed: float, no_console: bool, keep: Path | None) -> None:
    """Everything, on a simulated LLM service and sample documents, in a throw-away store.

    The calendar runs faster; latencies stay real. Ends with its console.
    """
    from engine.rehearsal.stage import Rehearsal

    options = ctx.parent.params if ctx.parent else {}
    with Rehearsal(speed=speed, keep=keep) as rehearsal:
        if trouble := rehearsal.start():
            raise Failed(trouble)
        if no_console:
            click.echo(f"rehearsal: store {rehearsal.folder.path}, plan {rehearsal.plan_path}; ends with this command")
            with contextlib.suppress(KeyboardInterrupt):
                rehearsal.wait()
            _record_rehearsal(rehearsal, ctx.obj)
            return
        from console.session import run

        code = run(
            rehearsal.folder.path, rehearsal.plan, rehearsal=True,
            read_only=bool(options.get("read_only")), ascii=bool(options.get("ascii_only")), theme=options.get("theme"),
        )  # fmt: skip
        _record_rehearsal(rehearsal, ctx.obj)
    ctx.exit(code)


def _record_rehearsal(rehearsal: Rehearsal, place: Place) -> None:
    """A passed rehearsal proves a checklist item of the real rollout: keep its record in that store."""
    from engine.rehearsal import record

    made = rehearsal.passed()
    if made is None:
        click.echo("Not recorded as passed: that takes a rollback by a trigger and one by hand, both proven.")
        return
    try:
        kept = place.plan is not None and record.keep(place.folder.path, made)
    except Failed:
        kept = False
    where = place.folder.path if kept else record.home()
    if kept or record.keep(record.home(), made):
        click.echo(f"Recorded in {where}: {made.sentence}")


@click.command()
@click.pass_obj
def serve(place: Place) -> None:
    """Run the engine in the foreground; a second one waits as standby and takes over."""
    from engine.service.process import run

    raise SystemExit(run(place.plan_path.resolve(), place.folder, foreground=True))


@click.command()
@click.pass_obj
def stop(place: Place) -> None:
    """End the engine; it finishes what is in flight first."""
    folder = place.folder
    if not folder.path.exists() or not folder.is_locked():
        click.echo(f"No engine runs in {folder.path}.")
        return
    reply = place.client.command("stop")
    if not reply.ok:
        fail(reply.sentence)
    until = time.monotonic() + 15
    while time.monotonic() < until:
        if not folder.is_locked():
            click.echo("The engine has ended. No document is extracted until it runs again.")
            return
        time.sleep(0.05)
    fail(f"The engine was asked to end and has not within 15 s; see {folder.engine_log}.")


@click.command()
@click.option("--watch", is_flag=True, help="Go on: one line at each change, for screen readers, pipes and logs.")
@json_option
@click.pass_obj
def status(place: Place, watch: bool, as_json: bool) -> None:
    """Where the rollout stands. Exit code 1 when the engine does not run or something has tripped."""
    from engine.store.folder import StoreError

    try:
        glance = place.reader.glance()
    except StoreError as error:
        fail(str(error), as_json)
    alive = engine_state(place.folder, glance.heartbeat)
    if watch:
        _watch(place)
        return
    if glance.view is None:
        fail("The engine has shown nothing yet.", as_json)
    say({"engine_state": alive, **_plain(glance.view)}, "\n".join(lines(glance.view, alive)), as_json)
    if alive != "running" or glance.view.health in ("alert", "rolled_back"):
        raise SystemExit(1)


def _plain(view: object) -> dict[str, object]:
    import msgspec

    return msgspec.to_builtins(view)  # type: ignore[no-any-return]


def engine_state(folder: Folder, heartbeat: float) -> str:
    """running, frozen (it holds the lock and its heart has stopped) or dead."""
    if not folder.is_locked():
        return "dead"
    return "running" if time.time() - heartbeat < 3 else "frozen"


def lines(view, alive: str) -> list[str]:  # type: ignore[no-untyped-def]
    """The dashboard as plain lines, the most important first; reads well aloud."""
    from engine.plan.durations import iso

    where = f"{view.environment}, {view.service}" + (", REHEARSAL" if view.rehearsal else "")
    percent = f"{view.effective_bp / 100:g} %"
    if view.why_effective:
        percent += f" in force, {view.percent_bp / 100:g} % decided: {view.why_effective}"
    out = [f"{iso(view.at)} {where}", f"Stage {view.stage} {view.stage_name}, {percent}.", f"{view.health_sentence}"]
    if alive != "running":
        dead = "The engine is not running: no document is extracted, no LLM call is made."
        frozen = "The engine holds the store and does not answer: it is stopped or stuck. Rollback works all the same."
        out.insert(1, dead if alive == "dead" else frozen)
    out += [view.error_rate.sentence, view.latency.sentence, view.cache.sentence]
    if view.attribution:
        out.append(view.attribution)
    out += [f"{t.id}: {t.sentence}" for t in view.triggers if t.verdict in ("breach", "firing")]
    out += [f"Next: {sentence}" for sentence in view.next]
    out += [f"Waits for you: {sentence}" for sentence in view.waiting[:5]]
    if view.rollback is not None:
        out.append(f"Last rollback by {view.rollback.actor}: {view.rollback.sentence}")
    return out


def _watch(place: Place) -> None:
    """Append what changed; never repaint."""
    from engine.plan.durations import iso
    from engine.store.folder import StoreError

    last: list[str] = []
    while True:
        try:
            glance = place.reader.glance()
            now = (
                lines(glance.view, engine_state(place.folder, glance.heartbeat))[1:]
                if glance.view
                else ["Nothing yet."]
            )
        except StoreError as error:
            now = [str(error)]
        stamp = iso(time.time())
        for line in now:
            if line not in last:
                click.echo(f"{stamp} {line}")
        sys.stdout.flush()
        last = now
        time.sleep(1)
