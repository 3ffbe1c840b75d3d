"""`rollout load --on`: a load as a job, carried out by worker processes."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import click

from console.context import CliContext
from console.output import fail, is_json, is_quiet, notice, outcome, raw_stream, say, say_stopped, stoppable
from console.upload.progress import Progress
from console.upload.remote import is_remote
from console.upload.tally import listed
from console.verbs.own_engine import engine_for
from engine.store.jobs import JobRequest, JobTally, Kind
from engine.text import clean_line

if TYPE_CHECKING:
    from console.upload.driver import Machines, Place


ALONE = "A job continues with its own paths and options: give --on and --resume JOB alone."


class NewJob(NamedTuple):
    """A job that is not in the store yet."""

    files: list[str]
    passed_over: dict[str, list[str]]
    asked: JobRequest


class WorkerOptions(NamedTuple):
    """Where the workers run, as typed on the command line; `implied`: --on was not given."""

    on: str
    workers: int | None
    engine: str
    implied: bool = False

    def __str__(self) -> str:
        more = f" --workers {self.workers}" if self.workers is not None else ""
        return f"{self.on}{more}{f' --engine {self.engine}' if self.engine else ''}"

    def place(self) -> Place:
        """The place where the workers run."""
        from console.upload import driver

        try:
            place = driver.place_of(self.on, self.workers)
            if self.engine and not place.ray:
                raise driver.JobTrouble("--engine is for a Ray cluster; local workers use the store's folder.")
        except driver.JobTrouble as error:
            raise click.UsageError(str(error)) from None
        return place


class JobOptions(NamedTuple):
    """--on and the options that need it, as given."""

    on: str | None
    workers: int | None
    engine: str
    kind: Kind | None
    output: tuple[str, ...]

    def check(self, continues: bool) -> None:
        """Exit with a sentence if they cannot be given together. `continues`: with a job's number."""
        if len(self.output) > 1:
            raise click.UsageError("A job writes to one place: give --output once.")
        if self.on is None and (self.kind is not None or self.workers is not None or self.engine or self.output):
            raise click.UsageError("Jobs run on workers: add --on local:4.")
        if continues and (self.kind is not None or self.output):
            raise click.UsageError(ALONE)

    def workers_or_here(self) -> WorkerOptions:
        """The workers asked for, else one for each processor of this machine."""
        on = f"local:{len(os.sched_getaffinity(0))}" if self.on is None else self.on
        return WorkerOptions(on, self.workers, self.engine, implied=self.on is None)


@contextlib.contextmanager
def _reached(place: Place) -> Iterator[Machines]:
    """The machines of a place. Exits with a sentence if workers cannot run there."""
    from console.upload import driver

    try:
        machines = driver.reached(place)
    except driver.JobTrouble as error:
        fail(str(error), code="job")
    with contextlib.closing(machines):
        yield machines


def checked_output(output: str, kind: str | None) -> str:
    """The place for the keywords, in a form that every worker resolves. Exits with a sentence if nothing can be
    written there."""
    from console.upload import parquet

    if kind == "live":
        raise click.UsageError("--output is for a back-fill: live documents are served from the store.")
    output = output if is_remote(output) else os.path.abspath(output)
    try:
        parquet.check(output)
    except OSError as error:
        why = f"--output {clean_line(output)} cannot be written: {error.strerror or error}"
        fail(why, code="output")
    return output


class _Watch:
    """The progress of a job, drawn as its parts are stored."""

    def __init__(self, shown: bool) -> None:
        self._shown = shown
        self._progress: Progress | None = None
        self._done = 0
        self._waits = ""

    def step(self, job: int, tally: JobTally, waits: str) -> None:
        if self._progress is None:
            self._progress = Progress(f"job {job}", tally.parts, raw_stream(sys.stderr), shown=self._shown)
        self._progress.step(tally.done - self._done, tally.documents)
        self._done = tally.done
        if waits and waits != self._waits:
            self.end()
            notice(f"job {job} waits: {waits}")
        self._waits = waits

    def end(self) -> None:
        if self._progress is not None:
            self._progress.end()


def begin(context: CliContext, workers: WorkerOptions, new: NewJob) -> None:
    """Make a job of these files and carry it out."""
    from console.upload import driver, inputs

    place = workers.place()
    for ending, names in new.passed_over.items():
        skipped = listed([clean_line(name) for name in names])
        notice(f"passed over {skipped}: {inputs.why_passed_over(clean_line(ending))}")
    with _reached(place) as machines, engine_for(context):
        _refuse_another_plan(context)
        try:
            job = driver.begin(context.client, new.files, new.asked)
        except driver.JobTrouble as error:
            fail(str(error), code="job")
        _carry_out(context, workers, machines, job)


def resume(context: CliContext, workers: WorkerOptions, job: int) -> None:
    """Continue a job that the store has. Exits with a sentence, and starts no engine, if it cannot be continued."""
    from engine.store import jobs
    from engine.store.folder import StoreError

    place = workers.place()
    try:
        why = context.reader.read(lambda conn: jobs.why_not_resumed(conn, job))
    except StoreError as error:
        why = str(error)
    if why:
        fail(why, code="job")
    if workers.implied:
        notice(f"continuing job {job} on {workers.on}; --on names another place")
    with _reached(place) as machines, engine_for(context):
        _refuse_another_plan(context)
        _carry_out(context, workers, machines, job)


def _refuse_another_plan(context: CliContext) -> None:
    """Exit with a sentence if the engine read another plan than the workers will: it would grant them no lease. Asks
    the engine: the store still names its predecessor's plan for a moment after a start."""
    try:
        _, view = context.client.request("GET", "/v1/status")
    except (OSError, ValueError):
        return  # it refuses the workers itself
    if view.get("plan_digest") not in (None, context.file_plan.digest):
        fail(
            f"{context.plan_path} is not the plan that the engine read, so it would refuse the workers. Name the "
            "engine's with --plan; if you changed this one, `rollout plan diff` shows how, and a restart of the "
            "engine applies it.",
            code="job",
        )


@stoppable()
def _carry_out(context: CliContext, workers: WorkerOptions, machines: Machines, job: int) -> None:
    from console.upload import driver

    to_continue = f"rollout load --on {workers} --resume {job}"
    watch = _Watch(shown=not is_json() and not is_quiet() and sys.stderr.isatty())
    began = time.monotonic()
    try:
        plan = context.plan_path.resolve()
        result = driver.carry_out(
            context.client, context.reader, job, machines, plan, workers.engine, partial(watch.step, job)
        )
    except driver.JobTrouble as error:
        fail(str(error), code="job")
    except KeyboardInterrupt:
        say_stopped(f"Stopped. Stored documents are kept; to continue: {to_continue}")
        raise
    watch.end()
    sentence = driver.sentence(result, time.monotonic() - began)
    for why, names in result.troubles.items():
        notice(f"skipped {listed(names)}: {why}")
    if result.why:
        done = sentence.removesuffix(".")  # it may end with a path
        fail(f"{result.why} {done}. To continue: {to_continue}", driver.data(result), "job")
    say({**outcome(result.tally.failed, "partial"), "sentence": sentence, **driver.data(result)}, sentence)
    if result.tally.failed:
        raise SystemExit(1)
