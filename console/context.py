"""The context of a command: its plan, its store, and its output as sentences or JSON."""

from __future__ import annotations

import os
import shlex
import sys
import textwrap
import time
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, TextIO

import click

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from engine.client.client import EngineClient, Reply
    from engine.plan.locate import CandidateStores
    from engine.plan.model import Plan
    from engine.store.folder import Folder
    from engine.store.reader import Reader


ACTING_NAME = "ROLLOUT_AS"  # environment variable with the same as --as


class Failed(click.ClickException):
    """A refusal or failure: a sentence on stderr, exit code 1. `code` names its kind with --json."""

    def __init__(self, message: str, code: str = "failed") -> None:
        super().__init__(message)
        self.code = code

    def show(self, file: Any = None) -> None:
        click.echo(self.message, err=True)


class DisplayOptions(NamedTuple):
    """Display options of the console, from the command line."""

    read_only: bool = False
    ascii_only: bool = False
    mouse: bool = True
    theme: str | None = None
    acting_name: str = ""  # the person's name, where several share the account


def global_values(ctx: click.Context) -> dict[str, Any]:
    """The global options given, by name; one dictionary for all commands on the line."""
    values: dict[str, Any] = ctx.meta.setdefault(GLOBALS, {})
    return values


class CliContext:
    """Plan and store, resolved on first use, so that `rollout --help` works anywhere."""

    def __init__(
        self, plan: Path | None = None, store: Path | None = None, display: DisplayOptions | None = None
    ) -> None:
        self.display = display or DisplayOptions()
        self._plan = plan
        self._store = store

    def take(self, given: Mapping[str, Any]) -> None:
        """Apply the global options, by name. Call this before anything is resolved."""
        self._plan, self._store = given.get("plan"), given.get("store")
        self.display = DisplayOptions(
            bool(given.get("read_only")),
            bool(given.get("ascii")),
            not given.get("no_mouse"),
            given.get("theme"),
            given.get("acting_name") or os.environ.get(ACTING_NAME, ""),
        )

    @cached_property
    def plan_path(self) -> Path:
        from engine.plan.locate import find_plan, find_plan_of_store

        if self._plan is not None:
            return self._plan
        if os.environ.get("ROLLOUT_PLAN"):
            return Path(os.environ["ROLLOUT_PLAN"])
        nearest = find_plan(Path.cwd()) or find_plan_of_store(Path.cwd())
        if nearest is None:
            raise Failed(
                "No rollout.toml in this folder or above. `rollout init` writes one, `rollout rehearse` needs none, "
                "--plan FILE names another.",
                "no_plan",
            )
        return nearest

    @property
    def lacks_plan(self) -> bool:
        """Whether no plan is named and none is found: nothing was set up here."""
        from engine.plan.locate import find_plan, find_plan_of_store

        named = self._plan is not None or self._given is not None or bool(os.environ.get("ROLLOUT_PLAN"))
        return not named and find_plan(Path.cwd()) is None and find_plan_of_store(Path.cwd()) is None

    @property
    def again(self) -> str:
        """The command that names the same rollout again, from this folder."""
        plan = f" --plan {shlex.quote(str(self._plan))}" if self._plan is not None else ""
        store = f" --store {shlex.quote(str(self._store))}" if self._store is not None else ""
        return f"rollout{plan}{store}"

    @cached_property
    def file_plan(self) -> Plan:
        """The plan in the file now, which a new engine would read."""
        from engine.plan.load import PlanError, load_plan

        try:
            return load_plan(self.plan_path)
        except PlanError as error:
            raise Failed(str(error), "plan") from None

    @cached_property
    def plan(self) -> Plan:
        """The plan in force: a running engine follows the plan it read, whatever was written into the file since,
        mistakes included."""
        running = self._plan_of_the_store()
        if running is not None and (self._may_run() or self._broken()):
            return running
        return self.file_plan

    def _plan_of_the_store(self) -> Plan | None:
        """The plan as the last engine read it, with the pinned stages; None if the store doesn't have it."""
        from engine.store import plans
        from engine.store.folder import StoreError
        from engine.store.reader import Reader

        try:
            if not self.store.exists:
                return None
            reader = Reader(self.store)
            try:
                return reader.read(lambda conn: plans.running(conn, self._source()))
            finally:
                reader.close()
        except (StoreError, Failed, OSError):
            return None

    def _may_run(self) -> bool:
        """Whether an engine may hold the store. A lock that cannot be tried, such as a planted pipe, does not stop
        a rollback."""
        try:
            return self.store.is_locked()
        except OSError:
            return True

    def _source(self) -> str:
        try:
            return str(self.plan_path)
        except Failed:
            return "rollout.toml"

    def _broken(self) -> bool:
        try:
            return self.file_plan is None
        except Failed:
            return True

    @property
    def _given(self) -> Path | None:
        """The store named by --store, or by ROLLOUT_STORE for plan commands run from the console."""
        named = os.environ.get("ROLLOUT_STORE")
        return self._store or (Path(named) if named else None)

    @cached_property
    def folder(self) -> Folder:
        from engine.plan.locate import store_of
        from engine.store.folder import Folder

        if self._given is not None:
            return Folder(self._given, self.plan.store.group if self._plan_known() else "")
        return Folder(store_of(self.plan_path), self.plan.store.group)

    @property
    def store(self) -> Folder:
        """The store's folder for a rollback, located without loading the plan, which may be broken."""
        from engine.store.folder import Folder

        return Folder(self.candidate_stores.first)

    @cached_property
    def candidate_stores(self) -> CandidateStores:
        """Every store that a rollback here may mean."""
        from engine.plan.locate import CandidateStores, candidate_stores, lost_plan

        if self._given is not None:
            return CandidateStores(self._given)
        try:
            return candidate_stores(self.plan_path)
        except Failed as error:
            if (lost := lost_plan(Path.cwd())) is not None:
                return candidate_stores(lost)
            raise Failed(
                f"{error.message} A rollback needs only the store: --store DIR, or rm DIR/armed.", error.code
            ) from None

    @cached_property
    def plan_or_none(self) -> Plan | None:
        try:
            return self.plan
        except (Failed, OSError):
            return None

    @property
    def plan_exists(self) -> bool:
        """Whether there is a plan to read, broken or not."""
        try:
            return self.plan_path.exists()
        except Failed:
            return False

    def _plan_known(self) -> bool:
        try:
            return self.plan is not None
        except Failed:
            return False

    @cached_property
    def client(self) -> EngineClient:
        from engine.client.client import EngineClient

        return EngineClient(self.folder, self.plan, acting_name=self.display.acting_name)

    @cached_property
    def reader(self) -> Reader:
        from engine.store.reader import Reader

        return Reader(self.folder)

    def now(self) -> float:
        """Epoch seconds by the engine's clock, which runs ahead of the machine's in a rehearsal."""
        view = self.reader.engine_record().view
        return max(time.time(), view.at) if view is not None else time.time()


def started_s() -> float | None:
    """When this command started, on the monotonic clock: the stopwatch runs from the Enter key."""
    try:
        ticks = Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19]
        return int(ticks) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return None


def raw_stream(stream: TextIO) -> TextIO:
    """The stream inside `cli.SanitizingStream`, for our own terminal sequences: a progress bar, emphasis. Clean any
    untrusted text before writing to it."""
    return getattr(stream, "raw", stream)


def say(value: Any, sentence: str, as_json: bool) -> None:
    """Print `value` as JSON, or the sentence, which --quiet suppresses."""
    if as_json:
        click.echo(_formatted(value))
    elif not is_quiet():
        click.echo(sentence)


def is_quiet() -> bool:
    """Whether --quiet was given: the exit code is then the only sign of success."""
    ctx = click.get_current_context(silent=True)
    return ctx is not None and bool(global_values(ctx).get("quiet"))


def notice(sentence: str) -> None:
    """Print a remark, neither result nor error, on standard error."""
    if not is_quiet():
        click.echo(sentence, err=True)


def wrote(output: Path, sentence: str, as_json: bool, **facts: Any) -> None:
    """Confirm a written file; print nothing if the content itself went to standard output."""
    if str(output) != "-":
        say({"ok": True, "sentence": sentence, "output": str(output), **facts}, sentence, as_json)


def say_text(text: str, as_json: bool, **facts: Any) -> None:
    """Print a requested text, which --quiet keeps."""
    click.echo(_formatted({"ok": True, "text": text, **facts}) if as_json else text.rstrip("\n"))


def write_prose(output: Path, text: str, as_json: bool) -> None:
    """Write plain text; with --json and standard output, wrapped in an object."""
    if str(output) == "-" and as_json:
        click.echo(_formatted({"ok": True, "text": text}))
    else:
        write_text(output, text)


def fail(sentence: str, as_json: bool = False, data: Any = None, code: str = "failed", exit_code: int = 1) -> NoReturn:
    """Exit with a sentence; with --json, as JSON on stdout, where programs read it. A code in `data` is more exact."""
    if as_json:
        click.echo(_formatted({"ok": False, "code": code, "sentence": sentence, **(data or {})}))
        raise SystemExit(exit_code)
    raise Failed(sentence, code)


def refuse(reply: Reply, as_json: bool, data: Any = None) -> NoReturn:
    """Exit 1 with the engine's refusal and its code."""
    fail(reply.sentence, as_json, data, code=str(reply.data.get("code") or "refused"))


def send_command(context: CliContext, as_json: bool, kind: str, /, **fields: Any) -> None:
    """Send a command to the engine; print its answer, or exit with its refusal."""
    reply = context.client.command(kind, **fields)
    if not reply.ok:
        refuse(reply, as_json, reply.data)
    say({"ok": True, "sentence": reply.sentence, **reply.data}, reply.sentence, as_json)


def write_json(path: Path, value: Any) -> None:
    """Write a file atomically. `-` is standard output."""
    write_text(path, _formatted(value) + "\n")


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


def write_text(path: Path, text: str) -> None:
    """Write text atomically. `-` is standard output."""
    write_chunks(path, (text,))


def write_chunks(path: Path, chunks: Iterable[str]) -> None:
    """Write text atomically, each part of it as soon as it is made. `-` is standard output."""
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
        write_whole(path, encoded)
    except OSError as error:
        raise Failed(f"{path} could not be written: {error.strerror}. Choose another --output.") from None


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
    from console.bug_report import bug_sentence
    from engine.store.folder import StoreError
    from engine.text import reason_of

    if isinstance(error, Failed):
        return error.message
    if isinstance(error, StoreError):
        return str(error)
    if isinstance(error, OSError):
        return f"{reason_of(error)}.{_whose(error)}"
    return bug_sentence(error)


def _whose(error: OSError) -> str:
    """The owner of a file that this user may not use, and what to do."""
    from engine.store.ownership import why_no_access

    if not isinstance(error, PermissionError) or not isinstance(error.filename, str):
        return ""
    file = Path(error.filename)
    return " " + (why_no_access(file.parent, file) or "Run this as the file's owner.")


GLOBALS = "rollout.globals"  # in a command's `meta`: see `global_values`
json_option = click.option("--json", "as_json", is_flag=True, help="JSON for programs.")
