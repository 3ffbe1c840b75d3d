"""`rollout`: one command, many verbs. A verb's module is imported on use, so that `rollback` starts fast."""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import click

from console.context import CliContext
from console.output import JSON, end_by, global_values, signal_of
from engine import VERSION
from engine.text import clean_output

# verb -> (module of console.verbs, summary for --help without importing it)
VERBS: dict[str, tuple[str, str]] = {
    "rehearse": ("engine", "The whole product on a simulated LLM service, in a throw-away store."),
    "gameday": ("gameday", "You are on call: a scored rehearsal with hidden faults."),
    "serve": ("engine", "Run the engine in the foreground, for systemd."),
    "stop": ("engine", "Stop this store's engine after the documents in flight."),
    "status": ("status", "The state of the rollout, in words or as JSON; --watch follows it."),
    "check": ("check", "Validate rollout.toml and probe everything it names."),
    "plan": ("plan", "Show what changed in rollout.toml; adopt a stage of a changed plan."),
    "init": ("setup", "Write a commented rollout.toml for your own service."),
    "env": ("setup", "The export lines of the current stage."),
    "gate": ("gate", "Whether the gate is open and what is missing; exit code 0 if open."),
    "wait": ("gate", "Wait for a stage, stable, an open gate or a rollback; for scripts."),
    "promote": ("control", "One step up, through the gate."),
    "approve": ("control", "Approve the next step, if a stage requires several people."),
    "hold": ("control", "Keep the gate shut until someone resumes."),
    "resume": ("control", "Release a hold, or the lock after an automatic rollback."),
    "ceiling": ("control", "Cap the percentage that may be in force."),
    "rollback": ("rollback", "Go to 0 % now, with or without an engine, and prove it."),
    "restore": ("restore", "Serve frequency keywords again where the LLM wrote."),
    "sign": ("control", "Sign a checklist item, or run its check."),
    "load": ("load", "Extract keywords from files, folders, globs or standard input."),
    "jobs": ("jobs", "Loads by worker processes: list them, stop one."),
    "worker": ("worker", "A gateway for POST /v1/extract on another core or machine."),
    "query": ("documents", "Search documents by keywords and title."),
    "documents": ("documents", "Show a stored document, or delete it permanently."),
    "export": ("documents", "Write documents with their keywords as JSON."),
    "analyze": ("analysis", "Compare two exports; measure search quality or against a gold file."),
    "metrics": ("analysis", "Performance over days, a snapshot, alert rules."),
    "logs": ("analysis", "Errors by kind and message pattern."),
    "ab-test": ("ab_test", "The A/B test: assignments, analysis, script."),
    "triggers": ("triggers", "List the triggers, explain one, backtest all."),
    "feedback": ("feedback", "Record a complaint, rating, click or impression, or import a file."),
    "notify": ("people", "Preview or send the plan's messages."),
    "due": ("people", "This stage's monitoring: what is due; tick it off."),
    "run": ("run", "List the plan's commands for this stage, or run one and log its output."),
    "report": ("people", "The whole rollout as Markdown or one HTML file."),
    "note": ("people", "Add to the report: what went well, a lesson, an action item."),
    "log": ("people", "The decision log: show, filter, verify."),
    "completion": ("shell", "A script for bash, zsh or fish that completes verbs, options and ids."),
    "man": ("shell", "The manual page, for man -l -."),
    "backup": ("people", "Make a verified copy of the store while the engine runs."),
}


@contextlib.contextmanager
def _errors_as_json(as_json: bool) -> Iterator[None]:
    """With --json, any failure is JSON on stdout: a wrong option, a missing store, a broken plan. The exit code stays
    the same."""
    try:
        yield
    except (click.exceptions.Exit, BrokenPipeError):
        raise
    except Exception as error:
        if not as_json:
            raise
        from console.output import code_of, fail_in_json, sentence_of

        if isinstance(error, click.UsageError):
            usage = {"usage": error.ctx.get_usage()} if error.ctx is not None else None
            fail_in_json(error.format_message(), usage, code="usage", exit_code=error.exit_code)
        fail_in_json(sentence_of(error), code=code_of(error))


class Interrupted(SystemExit):
    """Ctrl+C, or SIGTERM where a verb heeds it, past click, which would make it exit code 1."""

    def __init__(self, by: KeyboardInterrupt) -> None:
        self.signal = signal_of(by)
        super().__init__(128 + self.signal)


class Verbs(click.Group):
    """Loads a verb on use; lists all without loading any."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        module = importlib.import_module(f"console.verbs.{VERBS[cmd_name][0]}")
        command: click.Command = getattr(module, cmd_name.replace("-", "_"))
        take_global_options(command)
        gc.enable()
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs"):
            formatter.write_dl([(name, summary) for name, (_, summary) in VERBS.items()])

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        as_json = "--json" in args[: args.index("--")] if "--" in args else "--json" in args
        with _errors_as_json(as_json):
            ctx = super().make_context(info_name, args, parent, **extra)
        ctx.meta[JSON] = as_json  # of all arguments, until the verb reads its own
        return ctx

    def invoke(self, ctx: click.Context) -> Any:
        try:
            with _errors_as_json(ctx.meta[JSON]):
                return super().invoke(ctx)
        except KeyboardInterrupt as stop:
            raise Interrupted(stop) from None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in VERBS and not args[0].startswith("-"):
            import difflib

            close = difflib.get_close_matches(args[0], VERBS, n=1)
            hint = f" Did you mean '{close[0]}'?" if close else ""
            raise click.UsageError(f"No such verb '{args[0]}'.{hint}", ctx)
        return super().resolve_command(ctx, args)


class NonEmptyPath(click.Path):
    """A non-empty path: an empty `--plan "$PLAN"` would mean this folder, and its parent's store. Whoever uses a path
    that this user may not read names its owner."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "":
            self.fail("it is empty; is a shell variable unset?", param, ctx)
        return super().convert(value, param, ctx)


def _keep(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    """Global options may come before the verb, after it or after a sub-verb. The last one wins."""
    if param.name is None or value in (None, False):
        return
    given = global_values(ctx)
    given[param.name] = value
    if isinstance(context := ctx.find_root().obj, CliContext):
        context.take(given)


def global_options(hidden: bool = False) -> list[click.Option]:
    """`hidden` leaves them out of a verb's own --help, where they would outnumber its options."""
    plan = "The plan; default: rollout.toml here or above."
    store = "The store's folder; default: .rollout beside the plan."
    quiet = "Print errors and requested output only, no confirmations."
    shows = "Read-only console; R still rolls back."
    mouse = "Leave the mouse to the terminal, to select text; every action has a key."

    name = "Your name, where several people share this account; the log shows it with the uid."

    def option(name: str, help: str, *, into: str = "", **more: Any) -> click.Option:
        return click.Option(
            [name, into] if into else [name], help=help, expose_value=False, callback=_keep, hidden=hidden, **more
        )

    return [
        option("--plan", plan, type=NonEmptyPath(dir_okay=False, readable=False, path_type=Path)),
        option("--store", store, type=NonEmptyPath(file_okay=False, readable=False, path_type=Path)),
        option("--as", name, into="acting_name", metavar="NAME"),
        option("--quiet", quiet, is_flag=True),
        option("--read-only", shows, is_flag=True),
        option("--ascii", "No line-drawing or braille characters.", is_flag=True),
        option("--no-mouse", mouse, is_flag=True),
        option("--theme", "dark, light, contrast, colour-blind, terminal or mono; remembered."),
    ]


def take_global_options(command: click.Command) -> None:
    """Add the global options to a verb and its sub-verbs. The verb's own options take precedence."""
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

    Without a verb: open the console, and start the engine if none is running. The options below may also follow a verb.
    """
    ctx.obj = CliContext()
    ctx.obj.take(global_values(ctx))
    if ctx.invoked_subcommand is None:
        from console.verbs.engine import open_console

        ctx.exit(open_console(ctx.obj))


rollout.params += global_options()


class SanitizingStream:
    """A standard stream that neutralizes control characters: file names, messages and reasons can't move the cursor."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    @property
    def raw(self) -> TextIO:
        """The stream for deliberate cursor movement and emphasis; see `context.raw_stream`."""
        return self._stream

    def write(self, text: str) -> int:
        self._stream.write(clean_output(text))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


COMPLETING = "_ROLLOUT_COMPLETE"  # the shell sets it when Tab is pressed


def _reopen_closed_streams() -> None:
    """A standard stream that the caller closed, as in `rollout rollback >&-`, becomes /dev/null: Python has None there,
    and the store's file would get its descriptor."""
    for descriptor, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        if getattr(sys, name) is not None:
            continue
        try:
            os.fstat(descriptor)
        except OSError:
            null = os.open(os.devnull, os.O_RDWR)
            if null != descriptor:
                os.dup2(null, descriptor)
                os.close(null)
        setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115


def main() -> None:
    """Entry point. Mistakes end in a sentence and exit code 1 or 2; no traceback reaches a user."""
    gc.disable()  # while it starts: what it loads stays, and looking through it takes a twentieth of a start
    _reopen_closed_streams()
    sys.stdout, sys.stderr = SanitizingStream(sys.stdout), SanitizingStream(sys.stderr)
    try:
        if COMPLETING in os.environ:
            from console import shells

            shells.use()
        rollout(prog_name="rollout")
    except Interrupted as stop:
        end_by(stop.signal)
    except KeyboardInterrupt as stop:
        end_by(signal_of(stop))
    except BrokenPipeError:
        sys.exit(1)
    except Exception as error:
        if COMPLETING in os.environ:
            sys.exit(1)  # Tab was pressed: a sentence would land in the line that is being typed
        # last resort: a sentence here, the details in a file that only this user can read
        from console.output import sentence_of

        click.echo(sentence_of(error), err=True)
        sys.exit(1)
    finally:
        gc.freeze()  # nor look through all of it at the end, which takes a tenth of a verb
