"""A scored rehearsal with hidden faults: play one, list the scenarios, show the results."""

from __future__ import annotations

import contextlib
import secrets
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from console import completion
from console.completion import completes
from console.context import CliContext
from console.output import FILE, Failed, fail, json_option, say_text, verb

if TYPE_CHECKING:
    from engine.gameday.debrief import Debrief
    from engine.gameday.scenario import Scenario
    from engine.server.rehearse import GameDay

POLL_S = 0.1
READY_S = 120.0


@click.group(invoke_without_command=True)
@click.option(
    "--scenario",
    "name",
    shell_complete=completes(completion.scenarios),
    help="Play this one; `rollout gameday list` lists them.",
)
@click.option("--surprise", is_flag=True, help="Play a random one; the default without --scenario.")
@click.option(
    "--speed",
    type=click.FloatRange(1, 1000),
    default=10.0,
    show_default=True,
    help="How much faster the calendar runs.",
)
@click.option("--no-console", is_flag=True, help="Run it without a screen and print the debrief; for scripts.")
@click.option("--keep", type=FILE, help="Keep the store in this folder.")
@click.pass_context
def gameday(
    ctx: click.Context, name: str | None, surprise: bool, speed: float, no_console: bool, keep: Path | None
) -> None:
    """You are on call, and something may go wrong. A rehearsal with hidden faults, scored, with a debrief."""
    if ctx.invoked_subcommand is not None:
        return
    if name and surprise:
        raise click.UsageError("Give --scenario NAME or --surprise, not both.", ctx)
    from engine.client.identity import named_actor, whoami
    from engine.rehearsal import record
    from engine.server.rehearse import GameDay

    if keep is not None and keep.exists() and (not keep.is_dir() or any(keep.iterdir())):
        raise Failed(f"{keep} is not empty; a game day needs a folder of its own. Give --keep another one.")
    with GameDay(_chosen(name), speed, keep) as game:
        game.player = named_actor(whoami(), ctx.obj.display.acting_name).name
        if trouble := game.start():
            raise Failed(trouble)
        code = 0
        if no_console:
            _without_screen(game)
        else:
            from console.session import run

            code = run(game.folder.path, game.plan, ctx.obj.display, game=game)
        made = game.finished or game.debrief()
        if made is None:
            click.echo("The shift did not start; nothing was kept.")
            ctx.exit(code)
        kept = _keep(made, ctx.obj)
        click.echo(made.text if no_console or not kept else made.sentence)
        if not kept:
            raise Failed(f"The result is not kept: {record.home()} cannot be written. The debrief is above.")
        if not no_console:
            click.echo("`rollout gameday results --last` shows the debrief again.")
    ctx.exit(code)


def _chosen(name: str | None) -> Scenario:
    from engine.gameday import scenario

    try:
        return scenario.load(name or secrets.choice(scenario.names()))
    except ValueError as error:
        raise Failed(str(error)) from None


def _without_screen(game: GameDay) -> None:
    """Play without the screen until the shift is over; people act through verbs."""
    click.echo(f"game day: store {game.folder.path}, plan {game.plan_path}; ends with this command")
    until = time.monotonic() + READY_S
    while not (begun := game.begin())[0]:
        if time.monotonic() > until:
            raise Failed(begun[1])
        time.sleep(POLL_S)
    click.echo("the shift begins")
    with contextlib.suppress(KeyboardInterrupt):
        while (left := game.left_s()) is None or left > 0:
            time.sleep(POLL_S)


def _keep(made: Debrief, context: CliContext) -> bool:
    """With the player, and beside the store of the rollout that this folder belongs to, if it has one. False if neither
    takes it."""
    from engine.gameday import results
    from engine.rehearsal import record

    kept = results.keep(record.home(), made)
    with contextlib.suppress(Failed):
        if context.plan is not None and context.folder.exists:
            kept = results.keep(context.folder.path, made) or kept
    return kept


@gameday.command("list")
@json_option
def scenarios() -> None:
    """The scenarios. Reading their titles spoils the surprise."""
    from engine.gameday import scenario

    listed = [scenario.load(name) for name in scenario.names()]
    lines = [f"{one.name:<12} {one.title:<28} {one.minutes / scenario.SPEED * 60:4.0f} s" for one in listed]
    rows = [{"name": one.name, "title": one.title, "minutes": one.minutes} for one in listed]
    say_text("\n".join(lines), scenarios=rows)


@gameday.command("results")
@click.option("--last", is_flag=True, help="The debrief of the last one.")
@verb
def results(context: CliContext, last: bool) -> None:
    """Who played which scenario, and how well: your own results and those of this folder's rollout."""
    from engine.gameday import results as kept
    from engine.rehearsal import record

    folders = [record.home()]
    with contextlib.suppress(Failed):
        if context.plan is not None:
            folders.append(context.folder.path)
    played = kept.read(*folders)
    if not played:
        fail("No game day was played yet: `rollout gameday`.", code="no_data")
    if last:
        say_text(played[-1].text, result=played[-1])
        return
    lines = [_line(one) for one in played]
    if sentence := kept.evidence(played):
        lines += ["", sentence[0].upper() + sentence[1:] + "."]
    say_text("\n".join(lines), results=played)


def _line(one: Debrief) -> str:
    from engine.plan.durations import iso

    s = one.score
    how = "passed" if s.passed else "not passed"
    return f"{iso(one.at)}  {one.who:<12} {one.scenario:<12} {s.total:>3} of 100, par {s.par:<3}  {how}"
