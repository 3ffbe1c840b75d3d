"""What a command prints: sentences or JSON, errors with a code, files written whole."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from engine.client.client import Reply


GLOBALS = "rollout.globals"  # in a command's `meta`: see `global_values`
FILE = click.Path(path_type=Path)  # a file or a folder, which need not exist
JSON = "rollout.json"  # in a command's `meta`: --json was given
_CLEAR = (errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.ENOMEM)  # errors that need no file's name


def _note_json(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    ctx.meta[JSON] = value


json_option = click.option(
    "--json", is_flag=True, expose_value=False, is_eager=True, callback=_note_json, help="JSON for programs."
)
output_option = click.option("--output", type=FILE, default=Path("-"), help="A file, or - for standard output.")


def verb(function: Callable[..., None]) -> Callable[..., None]:
    """A verb's function takes the command's context first. What it says is JSON with --json."""
    return json_option(click.pass_obj(function))


class Failed(click.ClickException):
    """A refusal or failure: a sentence on stderr, exit code 1. `code` names its kind with --json."""

    def __init__(self, message: str, code: str = "failed") -> None:
        super().__init__(message)
        self.code = code

    def show(self, file: Any = None) -> None:
        click.echo(self.message, err=True)


def global_values(ctx: click.Context) -> dict[str, Any]:
    """The global options given, by name; one dictionary for all commands on the line."""
    values: dict[str, Any] = ctx.meta.setdefault(GLOBALS, {})
    return values


def is_json() -> bool:
    """Whether --json was given."""
    ctx = click.get_current_context(silent=True)
    return ctx is not None and bool(ctx.meta.get(JSON))


def is_quiet() -> bool:
    """Whether --quiet was given: of what was done, and of `status`, `gate` and `wait`, only the exit code tells."""
    ctx = click.get_current_context(silent=True)
    return ctx is not None and bool(global_values(ctx).get("quiet"))


def raw_stream(stream: TextIO) -> TextIO:
    """The stream inside `cli.SanitizingStream`, for our own terminal sequences: a progress bar, emphasis. Clean any
    untrusted text before writing to it."""
    return getattr(stream, "raw", stream)


def say_result(value: Any, text: str) -> None:
    """Print what was asked for, as JSON or as text. --quiet keeps it."""
    click.echo(_formatted(value) if is_json() else text)


def say(value: Any, sentence: str) -> None:
    """Print `value` as JSON, or the sentence that says what was done or how it is, which --quiet suppresses."""
    if is_json():
        click.echo(_formatted(value))
    elif not is_quiet():
        click.echo(sentence)


def outcome(failed: object, code: str) -> dict[str, Any]:
    """The first keys of an answer that is whole even where something in it failed: `code` names what failed."""
    return {"ok": False, "code": code} if failed else {"ok": True}


def say_text(text: str, **facts: Any) -> None:
    """Print a requested text, which --quiet keeps."""
    say_result({"ok": True, "text": text, **facts}, text.rstrip("\n"))


def notice(sentence: str) -> None:
    """Print a remark, neither result nor error, on standard error."""
    if not is_quiet():
        click.echo(sentence, err=True)


def fail(sentence: str, data: Any = None, code: str = "failed") -> NoReturn:
    """Exit with a sentence; with --json, as JSON on stdout, where programs read it. A code in `data` is more exact."""
    if is_json():
        fail_in_json(sentence, data, code)
    raise Failed(sentence, code)


def fail_in_json(sentence: str, data: Any = None, code: str = "failed", exit_code: int = 1) -> NoReturn:
    click.echo(_formatted({"ok": False, "code": code, "sentence": sentence, **(data or {})}))
    raise SystemExit(exit_code)


class Terminated(KeyboardInterrupt):
    """SIGTERM, in a verb that has something to say when it is stopped."""


@contextlib.contextmanager
def stoppable() -> Iterator[None]:
    """SIGTERM stops the verb in the same way as Ctrl+C: it says what is done and how to continue."""

    def stop(*_: object) -> None:
        raise Terminated

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def signal_of(stop: KeyboardInterrupt) -> signal.Signals:
    """The signal that stopped a verb."""
    return signal.SIGTERM if isinstance(stop, Terminated) else signal.SIGINT


def say_stopped(sentence: str, code: str = "stopped") -> None:
    """What Ctrl+C or SIGTERM left, as an error; the caller then raises KeyboardInterrupt again."""
    if is_json():
        click.echo(_formatted({"ok": False, "code": code, "sentence": sentence}))
    else:
        click.echo(sentence, err=True)


@contextlib.contextmanager
def question(unanswered: str) -> Iterator[None]:
    """Around a question of click's, which raises one error for Ctrl+C and for an end of the input. `unanswered`: a
    sentence on what was not done."""
    try:
        yield
    except click.Abort as error:
        click.echo(err=True)  # ends the question's line
        if not isinstance(error.__context__, KeyboardInterrupt):
            fail(unanswered, code="aborted")
        say_stopped(unanswered, "aborted")
        raise KeyboardInterrupt from None


@contextlib.contextmanager
def readable(path: Path, hint: str) -> Iterator[None]:
    """Around the reading of a file that a person named: what is wrong with it is a refusal. `hint`: what to do if it
    cannot be read at all."""
    try:
        yield
    except OSError as error:
        raise Failed(f"{error.filename or path} cannot be read: {error.strerror}. {hint}") from None
    except ValueError as error:
        raise Failed(str(error)) from None


def end_by(number: int) -> NoReturn:
    """End by SIGINT or SIGTERM itself, at once: the shell's exit code is 130 or 143, and a script that runs verbs in a
    loop ends too."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    os._exit(128 + number)  # the first process of a container, which no signal ends


def refuse(reply: Reply, data: Any = None) -> NoReturn:
    """Exit 1 with the engine's refusal and its code."""
    fail(reply.sentence, data, code=str(reply.data.get("code") or "refused"))


def wrote(output: Path, sentence: str, **facts: Any) -> None:
    """Confirm a written file; print nothing if the content itself went to standard output."""
    if str(output) != "-":
        say({"ok": True, "sentence": sentence, "output": str(output), **facts}, sentence)


def write_json(path: Path, value: Any) -> None:
    """Write a file atomically. `-` is standard output."""
    write_text(path, _formatted(value) + "\n")


def write_prose(output: Path, text: str) -> None:
    """Write plain text; with --json and standard output, wrapped in an object."""
    if str(output) == "-" and is_json():
        click.echo(_formatted({"ok": True, "text": text}))
    else:
        write_text(output, text)


def write_text(path: Path, text: str) -> None:
    """Write text atomically. `-` is standard output."""
    write_chunks(path, (text,))


def write_chunks(path: Path, chunks: Iterable[str]) -> None:
    """Write text atomically, each part of it as soon as it is made, and make the folders that are missing on the way.
    `-` is standard output."""
    if str(path) == "-":
        for chunk in chunks:
            sys.stdout.write(chunk)
        sys.stdout.flush()
        return
    from engine.files import write_whole

    encoded = (chunk.encode("utf-8", "replace") for chunk in chunks)
    try:
        if path.exists() and not path.is_file():  # write to /dev/null or a pipe, never replace it; a folder is an error
            with path.open("wb") as file:
                file.writelines(encoded)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, encoded)
    except OSError as error:
        raise Failed(f"{path} could not be written: {error.strerror}. Choose another --output.") from None


def as_json_list(rows: Iterable[Any]) -> Iterator[str]:
    """The text of one JSON list, row by row, as `write_json` writes a whole one."""
    opening = "[\n"
    for row in rows:
        yield opening + textwrap.indent(_formatted(row), "  ")
        opening = ",\n"
    yield "[]\n" if opening == "[\n" else "\n]\n"


def _formatted(value: Any) -> str:
    import msgspec

    from engine.view.iso_times import with_iso_times

    return msgspec.json.format(msgspec.json.encode(with_iso_times(value)), indent=2).decode()


def code_of(error: BaseException) -> str:
    """The kind of an error, for programs."""
    from engine.store.folder import StoreError

    if isinstance(error, Failed):
        return error.code
    if isinstance(error, StoreError):
        return "store"
    return "system" if isinstance(error, OSError) else "internal"


def sentence_of(error: BaseException) -> str:
    """A sentence for an error that no one expected; a bug's traceback goes to a file."""
    from console.bug_report import bug_sentence, details
    from engine.store.folder import StoreError
    from engine.text import reason_of

    if isinstance(error, Failed):
        return error.message
    if isinstance(error, StoreError):
        return str(error)
    if isinstance(error, OSError):
        is_clear = error.filename or error.errno in _CLEAR
        what_to_do = _whose(error) if is_clear else details(error)
        return f"{reason_of(error)}.{what_to_do}"
    return bug_sentence(error)


def _whose(error: OSError) -> str:
    """The owner of a file that this user may not use, and what to do."""
    from engine.store.ownership import why_no_access

    if not isinstance(error, PermissionError) or not isinstance(error.filename, str):
        return ""
    file = Path(error.filename)
    return " " + (why_no_access(file.parent, file) or "Run this as the file's owner.")
