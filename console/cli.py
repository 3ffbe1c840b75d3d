"""`rollout`: one command, many verbs. A verb's module is imported when it is called, so that `rollback` starts at once."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any, TextIO

import click

from console.context import CliContext, global_values
from engine.text import clean_output

VERSION = "0.1.0"

# verb -> module of console.verbs; the summary shows in --help without importing it
VERBS: dict[str, tuple[str, str]] = {
    "rehearse": ("engine", "Everything on a simulated LLM service and sample documents, in a throw-away store."),
    "serve": ("engine", "Run the engine in the foreground, for systemd."),
    "stop": ("engine", "End the engine of this store; what is in flight is finished."),
    "status": ("status", "Where the rollout stands, in words or as JSON; --watch goes on."),
    "check": ("check", "Validate rollout.toml and probe everything it names."),
    "plan": ("plan", "What changed in rollout.toml since the engine read it; adopt a stage of a changed plan."),
    "init": ("setup", "Write a commented rollout.toml for your own service."),
    "env": ("setup", "The export lines of the current stage."),
    "gate": ("gate", "Whether the gate is open, and what is missing; the exit code says it."),
    "wait": ("gate", "Until a stage, stable, an open gate or a rollback; for scripts."),
    "promote": ("control", "One step up, through the gate."),
    "approve": ("control", "Approve the next step, where a stage asks for more than one person."),
    "hold": ("control", "Keep the gate shut until someone resumes."),
    "resume": ("control", "Release a hold, or the lock after an automatic rollback."),
    "ceiling": ("control", "Set the most that may be in force."),
    "rollback": ("control", "To 0 % now, with or without an engine, and proven."),
    "restore": ("control", "Serve frequency keywords again for what the LLM wrote."),
    "sign": ("control", "Sign a checklist item, or have the machine check it."),
    "load": ("load", "Extract keywords from files, folders, globs or standard input."),
    "query": ("documents", "Search the documents by their keywords and titles."),
    "documents": ("documents", "Show one document as it is stored, or delete it for good."),
    "export": ("documents", "Write documents with their keywords as JSON."),
    "analyze": ("analysis", "Compare two exports; measure search quality."),
    "metrics": ("analysis", "Performance over days, or a snapshot of now."),
    "logs": ("analysis", "Errors by kind and shape of message."),
    "ab-test": ("ab_test", "The A/B test: assignments and analysis."),
    "triggers": ("triggers", "List the triggers as they stand; explain one; backtest all."),
    "feedback": ("feedback", "A complaint, a rating, a click or an impression; or many from a file."),
    "notify": ("people", "Preview or send a message of the communication plan."),
    "due": ("people", "Monitoring that is due in this stage; tick it off."),
    "run": ("people", "The plan's commands for this stage: list them, or run one and keep its output."),
    "report": ("people", "The rollout for someone who was not there, as Markdown or one HTML file."),
    "note": ("people", "Write for the report: what went well, a lesson, an action item."),
    "log": ("people", "The decision log: show, filter, verify."),
    "completion": ("shell", "The script by which bash, zsh or fish completes verbs, options and ids."),
    "man": ("shell", "The manual page, for man -l -."),
    "backup": ("people", "A verified copy of the store, taken while the engine runs."),
}


class Verbs(click.Group):
    """Loads a verb when it is needed; lists all without loading any."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        module = importlib.import_module(f"console.verbs.{VERBS[cmd_name][0]}")
        command = getattr(module, cmd_name.replace("-", "_"))
        take_global_options(command)
        return command  # type: ignore[no-any-return]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs"):
            formatter.write_dl([(name, summary) for name, (_, summary) in VERBS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """What a verb fails on is JSON too where JSON was asked for: a missing store, a broken plan."""
        try:
            return super().invoke(ctx)
        except (click.exceptions.Exit, click.Abort, click.UsageError, BrokenPipeError):
            raise
        except Exception as error:
            from console.context import JSON, Failed, fail, sentence_of

            if not ctx.meta.get(JSON):
                raise
            fail(error.message if isinstance(error, Failed) else sentence_of(error), as_json=True)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        import difflib

        if args and args[0] not in VERBS and not args[0].startswith("-"):
            close = difflib.get_close_matches(args[0], VERBS, n=1)
            hint = f" Did you mean '{close[0]}'?" if close else ""
            raise click.UsageError(f"No such verb '{args[0]}'.{hint}", ctx)
        return super().resolve_command(ctx, args)


class Named(click.Path):
    """A path that is not empty: `--plan "$PLAN"` with nothing in it would mean this folder, and its parent's store."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "":
            self.fail("it is empty; is the shell variable in it not set?", param, ctx)
        return super().convert(value, param, ctx)


def _keep(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    """Global options may stand before the verb, after it or after a sub-verb. Of several, the last one counts."""
    if param.name is None or value in (None, False):
        return
    given = global_values(ctx)
    given[param.name] = value
    if isinstance(context := ctx.find_root().obj, CliContext):
        context.take(given)


def global_options(hidden: bool = False) -> list[click.Option]:
    """`hidden` leaves them out of a verb's own --help, where they would be longer than the verb's options."""
    plan = "The plan; default: rollout.toml here or above."
    store = "The store's folder; default: .rollout beside the plan."
    quiet = "Print no sentence about what went well; errors, JSON and data that was asked for still print."
    shows = "The console shows and does not act; R still rolls back."
    mouse = "Leave the mouse to the terminal, to select text; every action has a key."

    def option(name: str, help: str, **more: Any) -> click.Option:
        return click.Option([name], help=help, expose_value=False, callback=_keep, hidden=hidden, **more)

    return [
        option("--plan", plan, type=Named(dir_okay=False, path_type=Path)),
        option("--store", store, type=Named(file_okay=False, path_type=Path)),
        option("--quiet", quiet, is_flag=True),
        option("--read-only", shows, is_flag=True),
        option("--ascii", "No line-drawing or braille characters.", is_flag=True),
        option("--no-mouse", mouse, is_flag=True),
        option("--theme", "dark, light, contrast, colour-blind, terminal or mono; remembered."),
    ]


def take_global_options(command: click.Command) -> None:
    """Let a verb and its sub-verbs take the global options too. An option of the verb's own keeps its meaning."""
    if any(isinstance(param, click.Option) and param.callback is _keep for param in command.params):
        return  # loaded before
    own = {name for param in command.params for name in (*param.opts, *param.secondary_opts)}
    command.params += [option for option in global_options(hidden=True) if not own.intersection(option.opts)]
    if isinstance(command, click.Group):
        for inner in command.commands.values():
            take_global_options(inner)


@click.group(cls=Verbs, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, prog_name="rollout")
@click.pass_context
def rollout(ctx: click.Context) -> None:
    """Take LLM keyword extraction from 0 % to 100 % of documents, safely.

    Without a verb: open the console, and start the engine if none runs. The options below may also follow a verb.
    """
    ctx.obj = CliContext()
    ctx.obj.take(global_values(ctx))
    if ctx.invoked_subcommand is None:
        from console.verbs.engine import open_console

        ctx.exit(open_console(ctx.obj))


rollout.params += global_options()


class SanitizingStream:
    """A standard stream behind the wall: file names, messages and reasons are printed, whatever is in them, and do not act."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    @property
    def raw(self) -> TextIO:
        """For what moves the cursor or emphasises on purpose; see `context.raw_stream`."""
        return self._stream

    def write(self, text: str) -> int:
        self._stream.write(clean_output(text))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def main() -> None:
    """Entry point. Mistakes end in a sentence and exit code 1 or 2; no traceback reaches a user."""
    sys.stdout, sys.stderr = SanitizingStream(sys.stdout), SanitizingStream(sys.stderr)
    try:
        rollout(prog_name="rollout")
    except (KeyboardInterrupt, BrokenPipeError):
        sys.exit(1)
    except Exception as error:  # the last wall: a sentence, and the details where only this user reads them
        from console.context import sentence_of

        click.echo(sentence_of(error), err=True)
        sys.exit(1)
