"""`rollout load`: send documents from files to the engine and report the results."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import click
from msgspec.structs import replace

from console import completion
from console.context import CliContext
from console.output import (
    end_by,
    fail,
    is_json,
    is_quiet,
    notice,
    outcome,
    raw_stream,
    say,
    say_result,
    signal_of,
    stoppable,
    verb,
)
from console.upload import inputs, sources
from console.upload.known import KnownDocuments
from console.upload.progress import Progress
from console.upload.remote import is_remote
from console.upload.root import id_under, outside, root_of
from console.upload.tally import Tally, listed
from console.upload.uploader import TOGETHER, Answer, BoundedUploader, EngineGone, UploadRefused, extract_together
from console.verbs import load_job
from console.verbs.own_engine import engine_for
from engine.store.jobs import JobRequest, Method
from engine.text import clean_line, counted

SHOWN = 20  # documents that --dry-run lists
UNCHANGED = "(unchanged)"  # --resume without a job


class LoadFiles(NamedTuple):
    """What a load reads: the files, the folder that their ids are paths from, and the files skipped by extension."""

    files: list[str]
    root: Path | None
    passed_over: dict[str, list[str]]

    def documents(self) -> Iterator[sources.Source]:
        for path in self.files:
            local = path != inputs.STDIN and not is_remote(path)
            name = id_under(self.root, path) if self.root is not None and local else ""
            yield from sources.documents(path, name)

    @property
    def size(self) -> int:
        return sum(map(inputs.weight, self.files))


@click.command()
@click.argument("paths", nargs=-1, shell_complete=completion.files)
@click.option(
    "--method",
    type=click.Choice(["auto", "llm", "frequency"]),
    default="auto",
    show_default=True,
    help="Which keywords to serve: as the rollout routes (auto), or always by one method.",
)
@click.option("--verbose", is_flag=True, help="One line per document.")
@click.option(
    "--root",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Ids are paths from this folder. Default: the top of the git repository, else the folder given.",
)
@click.option(
    "--resume",
    is_flag=False,
    flag_value=UNCHANGED,
    metavar="[JOB]",
    help="Skip documents that are stored and unchanged. With a job's number: continue that job, on this machine unless "
    "--on names another place.",
)
@click.option(
    "--on",
    metavar="local:N|ray://HEAD:PORT",
    help="Extract in N worker processes on this machine, or on a Ray cluster, as a job.",
)
@click.option("--workers", type=int, help="With --on ray://...: how many workers.")
@click.option(
    "--engine",
    metavar="URL",
    default="",
    help="With --on ray://...: the address at which workers reach the engine. Default: the store's folder, for workers "
    "on this machine.",
)
@click.option(
    "--as",
    "kind",
    type=click.Choice(["live", "backfill"]),
    help="With --on. backfill: its failures still count for triggers, but not for a gate, a bake or the A/B "
    "test. Default: live.",
)
@click.option(
    "--output",
    metavar="FOLDER|URL",
    multiple=True,
    shell_complete=completion.files,
    help="With --on: a back-fill whose keywords go to Parquet files there, one per part, and not into the store.",
)
@click.option("--dry-run", is_flag=True, help="List the documents that would be sent; send none. Needs no engine.")
@verb
def load(
    context: CliContext,
    paths: tuple[str, ...],
    method: Method,
    verbose: bool,
    root: Path | None,
    resume: str | None,
    dry_run: bool,
    **of_a_job: Any,
) -> None:
    """Extract keywords from files, folders, globs, or `-` for standard input.

    .md .mdx .txt .rst .adoc .asciidoc .html .log .eml .org .tex .texi .pod .ipynb, manual pages and files without an
    extension (README) are one document each; .jsonl, .ndjson and .json hold {"id", "text", "title"}, one per line or
    in a list; standard input is JSON lines or one text. .jsonl.gz (.bz2, .xz) and .parquet hold the same rows, and all
    may be at a URL that fsspec opens: s3://bucket/docs/*.jsonl.gz. Other files in a folder are skipped and listed; a
    file that you name is read whatever its extension. To continue an interrupted load, run it again with --resume.

    If no engine runs, one is started and stops with this command. A document's id is its path from --root, so it
    doesn't depend on how you type the path; JSON rows carry their own ids.

    With --on, worker processes read and extract the documents; the engine stores them and keeps all authority. The
    load is a job: `rollout jobs` lists it, `rollout load --resume JOB` continues it after whatever ended it.
    """
    asked = load_job.JobOptions(**of_a_job)
    job, paths = _resumed(resume, paths)
    if job is None and not paths:
        raise click.UsageError("Missing argument 'PATHS...'.")
    asked.check(continues=job is not None)
    if job is not None:
        if paths or method != "auto" or root is not None:
            raise click.UsageError(load_job.ALONE)
        load_job.resume(context, asked.workers_or_here(), job)
        return
    chosen = _files(paths, root)
    if asked.on is not None:
        if resume or dry_run or verbose or inputs.STDIN in chosen.files:
            raise click.UsageError(
                "--on reads files in other processes: not with --resume alone, --dry-run, --verbose or `-`."
            )
        _check_found(chosen.files)
        load_job.begin(context, asked.workers_or_here(), _new_job(chosen, paths, method, asked))
        return
    known = KnownDocuments(context.reader, method) if resume else None
    if dry_run:
        _dry_run(chosen, known)
    else:
        LoadRun(context, chosen, known, method, verbose).run()


def _check_found(files: list[str]) -> None:
    """Exit with a sentence if none of a job's files is there, before an engine and workers are started for it."""
    if not any(is_remote(path) or os.path.lexists(path) for path in files):
        fail(f"Nothing to load: no such file as {clean_line(listed(files))}.", code="no_files")


def _resumed(resume: str | None, paths: tuple[str, ...]) -> tuple[int | None, tuple[str, ...]]:
    """(the job to continue, the paths). `--resume docs/` is the flag before a path."""
    if resume is None or resume == UNCHANGED:
        return None, paths
    if resume.isascii() and resume.isdigit() and not paths:
        return int(resume), ()
    return None, (resume, *paths)


def _new_job(chosen: LoadFiles, paths: tuple[str, ...], method: Method, asked: load_job.JobOptions) -> load_job.NewJob:
    """The job that these options describe; with --output it is a back-fill."""
    wanted = JobRequest(" ".join(paths), str(chosen.root or Path.cwd()), method, asked.kind or "live")
    if asked.output:
        output = load_job.checked_output(asked.output[0], asked.kind)
        wanted = replace(wanted, kind="backfill", output=output)
    return load_job.NewJob(chosen.files, chosen.passed_over, wanted)


def _files(paths: tuple[str, ...], root: Path | None) -> LoadFiles:
    """The files of a load. Exits with a sentence if there is none, or one lies outside the root."""
    passed_over: dict[str, list[str]] = {}
    files = inputs.files(paths, passed_over)
    if not files:
        fail(
            "No file to read there. load reads files without an extension and " + " ".join(sorted(inputs.KINDS)),
            code="no_files",
        )
    root = root.resolve() if root is not None else root_of(paths)
    if root is not None and (stray := outside(root, files)):
        fail(f"{clean_line(stray)} is not under the root {root}. Give another --root.", code="no_files")
    return LoadFiles(files, root, passed_over)


def _dry_run(chosen: LoadFiles, known: KnownDocuments | None) -> None:
    """Print what would be sent and what would be skipped."""
    tally = Tally(chosen.passed_over)
    ids, size = [], 0
    for source in chosen.documents():
        if trouble := source.trouble or _refused(source):
            tally.skip(source.id, trouble)
        elif known is not None and known.has(source):
            tally.unchanged += 1
        else:
            tally.sent(source)
            ids.append(clean_line(source.id, 512))
            size += len(source.text)
    head = (
        f"Would send {counted(len(ids), 'document')}, {size:,} characters; {tally.unchanged} unchanged, "
        f"{tally.failed} cannot be loaded. Nothing was sent."
    )
    for line in tally.remarks():
        notice(line)
    body = {
        **outcome(tally.failed, "partial"),
        "dry_run": True,
        "sentence": head,
        "documents": ids,
        "characters": size,
        "unchanged": tally.unchanged,
        "failed": tally.failed,
        "empty": tally.empty,
        "passed_over": tally.passed_over,
    }
    more = [f"  ... and {len(ids) - SHOWN} more (--json lists all)"] if len(ids) > SHOWN else []
    say_result(body, "\n".join([head, *(f"  {name}" for name in ids[:SHOWN]), *more]))
    if tally.failed:
        raise SystemExit(1)


def _refused(source: sources.Source) -> str:
    """Why the engine would refuse a document; "" if it would not."""
    from engine.routing.admission import Unusable, check

    try:
        check(source.id, source.text)
    except Unusable as unusable:
        return str(unusable)
    return ""


class LoadRun:
    """One load: each document is sent, skipped or unchanged, and counted when its answer comes. The first that is sent
    is what needs an engine: where nothing is to be sent, none is started."""

    def __init__(
        self, context: CliContext, chosen: LoadFiles, known: KnownDocuments | None, method: str, verbose: bool
    ) -> None:
        self._context, self._chosen, self._known, self._method = context, chosen, known, method
        self._verbose = verbose
        self._tally = Tally(chosen.passed_over)
        quiet = verbose or is_json() or is_quiet()
        self._progress = Progress("load", chosen.size, raw_stream(sys.stderr), shown=not quiet and sys.stderr.isatty())
        # what comes through a pipe does not wait for more
        together = TOGETHER if method == "frequency" and inputs.STDIN not in chosen.files else 1
        self._uploader = BoundedUploader(lambda some: extract_together(context.client, some, method), together)
        self._engine = contextlib.ExitStack()
        self._began = 0.0  # on the monotonic clock, once the engine answers
        self._stopped_by = 0  # a signal

    @stoppable()
    def run(self) -> None:
        """Send all and report. Exits with 1 if it stopped early or a document failed."""
        with self._engine:
            self._run()

    def _run(self) -> None:
        stopped = self._send_all()
        ended = time.monotonic()
        tally, took = self._tally, max(ended - (self._began or ended), 1e-9)
        for line in tally.remarks():
            notice(line)
        if tally.fallback and self._method == "llm":
            notice("To retry the documents that fell back, run the same command with --resume.")
        early = {"ok": False, "code": "stopped", "sentence": stopped} if stopped else {}
        sentence = tally.sentence(took)
        body = {**outcome(tally.failed, "partial"), "sentence": sentence, **tally.data(took), **early}
        say(body, sentence)
        if stopped:
            click.echo(
                f"{stopped} Every document counted here is stored; to continue, run the same command with --resume.",
                err=True,
            )
            # the engine finishes the calls in flight; don't wait for their answers
            if self._stopped_by:
                end_by(self._stopped_by)
            sys.stdout.flush()
            os._exit(1)
        if tally.failed:
            raise SystemExit(1)

    def _send_all(self) -> str:
        """Why it stopped early; "" after the last document."""
        try:
            for source in self._chosen.documents():
                self._take(source)
            self._count(self._uploader.ends())
        except (KeyboardInterrupt, EngineGone) as reason:
            if isinstance(reason, KeyboardInterrupt):
                self._stopped_by = signal_of(reason)
                with contextlib.suppress(EngineGone):
                    self._count(self._uploader.finished())
            self._uploader.stop()
            return str(reason) or "Stopped."
        finally:
            self._progress.end()
        return ""

    def _take(self, source: sources.Source) -> None:
        if source.encoding:
            self._tally.guessed[clean_line(source.id)] = source.encoding
        if source.trouble:
            self._tally.skip(source.id, source.trouble)
        elif self._known is not None and self._known.has(source):
            self._tally.unchanged += 1
        else:
            self._need_engine()
            self._tally.sent(source)
            self._uploader.send(source)
            self._count(self._uploader.ends(until_room=True))
            return
        self._progress.step(source.size, self._tally.done)

    def _need_engine(self) -> None:
        if not self._began:
            self._engine.enter_context(engine_for(self._context))
            self._began = time.monotonic()

    def _count(self, ends: Iterator[tuple[sources.Source, Answer | UploadRefused]]) -> None:
        for source, end in ends:
            if isinstance(end, UploadRefused):
                self._tally.skip(source.id, str(end))
            else:
                self._tally.count(end)
                if self._verbose:
                    click.echo(_line(source, end))
            self._progress.step(source.size, self._tally.done)


def _line(source: sources.Source, answer: Answer) -> str:
    kind = "fallback" if answer["fallback"] else "cached" if answer["cached"] else ""
    note = ": ".join(part for part in (kind, answer["note"]) if part)
    return f"{clean_line(source.id)}: {answer['method']}{f' ({note})' if note else ''}: {', '.join(answer['keywords'])}"
