"""`rollout`: one command, many verbs. A verb's module is imported when it is called, so that `rollback` starts at once."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any, TextIO

import click

from console.context import Manner, Place
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
        return getattr(module, cmd_name.replace("-", "_"))  # type: ignore[no-any-return]

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


@click.group(cls=Verbs, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, prog_name="rollout")
@click.option(
    "--plan", type=Named(dir_okay=False, path_type=Path), help="The plan; default: rollout.toml here or above."
)
@click.option(
    "--store",
    type=Named(file_okay=False, path_type=Path),
    help="The store's folder; default: .rollout beside the plan.",
)
@click.option("--read-only", is_flag=True, help="The console shows and does not act; R still rolls back.")
@click.option("--ascii", "ascii_only", is_flag=True, help="No line-drawing or braille characters.")
@click.option(
    "--no-mouse", is_flag=True, help="Leave the mouse to the terminal, to select text; every action has a key."
)
@click.option("--theme", help="dark, light, contrast, colour-blind, terminal or mono; remembered.")
@click.pass_context
def rollout(
    ctx: click.Context,
    plan: Path | None,
    store: Path | None,
    read_only: bool,
    ascii_only: bool,
    no_mouse: bool,
    theme: str | None,
) -> None:
    """Take LLM keyword extraction from 0 % to 100 % of documents, safely.

    Without a verb: open the console, and start the engine if none runs.
    """
    ctx.obj = Place(plan, store, Manner(read_only, ascii_only, not no_mouse, theme))
    if ctx.invoked_subcommand is None:
        from console.verbs.engine import open_console

        ctx.exit(open_console(ctx.obj))


class Walled:
    """A standard stream behind the wall: file names, messages and reasons are printed, whatever is in them, and do not act."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    @property
    def bare(self) -> TextIO:
        """For what moves the cursor or emphasises on purpose; see `place.bare`."""
        return self._stream

    def write(self, text: str) -> int:
        self._stream.write(clean_output(text))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def main() -> None:
    """Entry point. Mistakes end in a sentence and exit code 1 or 2; no traceback reaches a user."""
    sys.stdout, sys.stderr = Walled(sys.stdout), Walled(sys.stderr)
    try:
        rollout(prog_name="rollout")
    except (KeyboardInterrupt, BrokenPipeError):
        sys.exit(1)
    except Exception as error:  # the last wall: a sentence, and the details where only this user reads them
        from console.context import sentence_of

        click.echo(sentence_of(error), err=True)
        sys.exit(1)
