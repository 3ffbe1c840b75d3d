"""`rollout load`: send documents from files to the engine and report the results."""

from __future__ import annotations

import contextlib
import http.client
import math
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import click

from console.context import CliContext, fail, is_quiet, json_option, notice, raw_stream, say
from console.upload import sources
from console.upload.progress import Progress
from console.upload.root import id_under, outside, root_of
from console.upload.uploader import Answer, BoundedUploader, Gone, UploadRefused
from engine.client.client import EXTRACT_S, EngineClient, broken, unanswered
from engine.store.folder import Folder
from engine.store.jobs import JobTally
from engine.text import clean_block, clean_line, counted, digest, normal

PATIENCE_S = 10.0  # how long to retry while an engine restarts
NAMED = 10  # documents listed per problem
SHOWN = 20  # documents that --dry-run lists
END_S = 15.0  # for an engine of our own to stop
REASONS = 5  # listed causes of fallback
UNCHANGED = "(unchanged)"  # --resume without a job
_FIGURE = re.compile(r"\d+")


class Tally:
    """Counts of what happened to the documents."""

    def __init__(self) -> None:
        self.llm = self.frequency = self.cached = self.fallback = self.unchanged = self.failed = self.empty = 0
        self.guessed: dict[str, str] = {}  # document -> the encoding it was read with
        self.passed_over: dict[str, list[str]] = {}  # ending -> files
        self.troubles: dict[str, list[str]] = {}  # reason -> documents
        self._fallbacks: dict[str, tuple[str, int]] = {}  # reason without its figures -> (reason, count)

    @property
    def done(self) -> int:
        return self.llm + self.frequency

    def count(self, answer: Answer) -> None:
        if answer["method"] == "llm":
            self.llm += 1
        else:
            self.frequency += 1
        self.cached += bool(answer["cached"])
        if answer["fallback"]:
            self.fallback += 1
            kind = _FIGURE.sub("", answer["note"])
            why, times = self._fallbacks.get(kind, (clean_line(answer["note"]), 0))
            self._fallbacks[kind] = (why, times + 1)

    @property
    def fallbacks(self) -> list[tuple[str, int]]:
        """(reason, count), the most frequent first."""
        return sorted(self._fallbacks.values(), key=lambda files: -files[1])

    def skip(self, name: str, why: str) -> None:
        if why == sources.EMPTY:
            self.empty += 1
        else:
            self.failed += 1
        self.troubles.setdefault(clean_line(why), []).append(clean_line(name))

    def sentence(self, took: float) -> str:
        return (
            f"{counted(self.done, 'document')} in {took:.1f} s ({self.done / took:.0f}/s): "
            f"{self.llm} by LLM ({self.cached} from the cache), "
            f"{self.frequency} by frequency ({self.fallback} as fallback), {self.unchanged} unchanged, "
            f"{f'{self.empty} empty, ' if self.empty else ''}{self.failed} failed."
        )

    def remarks(self) -> Iterator[str]:
        for why, times in self.fallbacks[:REASONS]:
            yield f"fallback, {times} document{'' if times == 1 else 's'}: {why}"
        for why, names in self.troubles.items():
            yield f"skipped {_named(names)}: {why}"
        if self.guessed:
            guesses = [f"{name} ({encoding})" for name, encoding in self.guessed.items()]
            yield f"encoding guessed, check the text: {_named(guesses)}"
        for ending, names in sorted(self.passed_over.items()):
            why = "not a text file" if ending == sources.BINARY else f"load skips {ending} files in a folder"
            yield f"passed over {_named(names)}: {why}"

    def data(self, took: float) -> dict[str, Any]:
        return {
            "ok": not self.failed,
            "seconds": round(took, 3),
            "llm": self.llm,
            "frequency": self.frequency,
            "cached": self.cached,
            "empty": self.empty,
            "guessed": self.guessed,
            "passed_over": self.passed_over,
            "fallback": self.fallback,
            "fallbacks": {why: times for why, times in self.fallbacks},
            "unchanged": self.unchanged,
            "failed": self.failed,
            "skipped": [f"{name}: {why}" for why, names in self.troubles.items() for name in names],
        }


def _named(names: list[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{', '.join(names[:NAMED])}{more}"


@click.command()
@click.argument("paths", nargs=-1)
@click.option("--method", type=click.Choice(["auto", "llm", "frequency"]), default="auto", show_default=True)
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
    help="Skip documents that the store has unchanged. With the number of a job: continue it.",
)
@click.option(
    "--on",
    metavar="local:N|ray://HEAD:PORT",
    help="Extract in N worker processes of this machine, or on a Ray cluster, as a job.",
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
    help="With --on. backfill: its failures still trip triggers, but it does not count for a gate, a bake or the A/B "
    "test. Default: live.",
)
@click.option("--dry-run", is_flag=True, help="List the documents that would be sent; send none. Needs no engine.")
@json_option
@click.pass_obj
def load(
    context: CliContext,
    paths: tuple[str, ...],
    method: str,
    verbose: bool,
    root: Path | None,
    resume: str | None,
    on: str | None,
    workers: int | None,
    engine: str,
    kind: str | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Extract keywords from files, folders, globs, or `-` for standard input.

    .md .mdx .txt .rst .adoc .asciidoc .html .log .eml, manual pages and files without an extension (README) are one
    document each; .jsonl, .ndjson and .json hold {"id", "text", "title"}, one per line or in a list; standard input is
    JSON lines or one text. Other files in a folder are skipped and listed; a file that you name is read whatever its
    extension. To continue an interrupted load, run it again with --resume.

    If no engine runs, one is started and stops with this command. A document's id is its path from --root, so it
    doesn't depend on how you type the path; JSON rows carry their own ids.

    With --on, worker processes read and extract the documents; the engine stores them and keeps all authority. The
    load is a job: `rollout jobs` lists it, `rollout load --on local:4 --resume JOB` continues it after whatever ended
    it.
    """
    job, paths = _resumed(resume, paths)
    if job is None and not paths:
        raise click.UsageError("Missing argument 'PATHS...'.")
    if on is None and (job is not None or kind is not None or workers is not None or engine):
        raise click.UsageError("Jobs run on workers: add --on local:4.")
    if job is not None:
        if paths or kind is not None or method != "auto" or root is not None:
            raise click.UsageError("A job continues with its own paths and options: give --on and --resume JOB alone.")
        _carry_out(context, _On(on or "", workers, engine), as_json, job=job)
        return
    passed_over: dict[str, list[str]] = {}
    files = sources.files(paths, passed_over)
    if not files:
        fail(
            "No file to read there. load reads files without an extension and " + " ".join(sorted(sources.KINDS)),
            as_json,
        )
    root = root.resolve() if root is not None else root_of(paths)
    if root is not None and (stray := outside(root, files)):
        fail(f"{clean_line(stray)} is not under the root {root}. Give another --root.", as_json)
    if on is not None:
        if resume or dry_run or verbose or sources.STDIN in files:
            raise click.UsageError(
                "--on reads files in other processes: not with --resume alone, --dry-run, --verbose or `-`."
            )
        begun = _Begun(files, " ".join(paths), root or Path.cwd(), method, kind or "live", passed_over)
        _carry_out(context, _On(on, workers, engine), as_json, begun)
        return
    known = KnownDocuments(context, method) if resume else None
    tally = Tally()
    tally.passed_over = {
        clean_line(ending): [clean_line(name) for name in names] for ending, names in passed_over.items()
    }
    if dry_run:
        _dry_run(files, root, known, tally, as_json)
        return
    with engine_for(context, as_json):
        _send_all(context, files, root, known, tally, method, verbose, as_json)


def _resumed(resume: str | None, paths: tuple[str, ...]) -> tuple[int | None, tuple[str, ...]]:
    """(the job to continue, the paths). `--resume docs/` is the flag before a path."""
    if resume is None or resume == UNCHANGED:
        return None, paths
    if resume.isascii() and resume.isdigit() and not paths:
        return int(resume), ()
    return None, (resume, *paths)


class _Begun(NamedTuple):
    """A job that is not in the store yet."""

    files: list[str]
    sources: str
    root: Path
    method: str
    kind: str
    passed_over: dict[str, list[str]]


class _On(NamedTuple):
    """Where the workers run, as typed."""

    on: str
    workers: int | None
    engine: str

    def __str__(self) -> str:
        more = f" --workers {self.workers}" if self.workers is not None else ""
        return f"{self.on}{more}{f' --engine {self.engine}' if self.engine else ''}"


def _carry_out(context: CliContext, on: _On, as_json: bool, begun: _Begun | None = None, job: int = 0) -> None:
    """A load as a job, by worker processes."""
    from console.upload import driver

    try:
        place = driver.place_of(on.on, on.workers)
        if on.engine and not place.ray:
            raise driver.JobTrouble("--engine is for a Ray cluster; local workers use the store's folder.")
    except driver.JobTrouble as error:
        raise click.UsageError(str(error)) from None
    try:
        driver.check(place)
    except driver.JobTrouble as error:
        fail(str(error), as_json)
    for ending, names in (begun.passed_over if begun is not None else {}).items():
        skipped = _named([clean_line(name) for name in names])
        notice(f"passed over {skipped}: load skips {clean_line(ending)} files in a folder")
    shown = not as_json and not is_quiet() and sys.stderr.isatty()
    with engine_for(context, as_json):
        began = time.monotonic()
        try:
            if begun is not None:
                job = driver.begin(context.client, begun.files, begun.sources, begun.root, begun.method, begun.kind)
            progress: list[Progress] = []
            done = [0]

            def watch(tally: JobTally) -> None:
                if not progress:
                    progress.append(Progress(f"job {job}", tally.parts, raw_stream(sys.stderr), shown=shown))
                progress[0].step(tally.done - done[0], tally.documents)
                done[0] = tally.done

            plan = context.plan_path.resolve()
            result = driver.carry_out(context.client, context.reader, job, place, plan, on.engine, watch)
        except driver.JobTrouble as error:
            fail(str(error), as_json)
        except KeyboardInterrupt:
            fail(f"Stopped. What is stored stays; to continue: rollout load --on {on} --resume {job}", as_json)
    for bar in progress:
        bar.end()
    sentence = driver.sentence(result, time.monotonic() - began)
    for why, names in result.troubles.items():
        notice(f"skipped {_named(names)}: {why}")
    if result.why:
        fail(
            f"{result.why} {sentence} To continue: rollout load --on {on} --resume {job}", as_json, driver.data(result)
        )
    say({"ok": not result.tally.failed, "sentence": sentence, **driver.data(result)}, sentence, as_json)
    if result.tally.failed:
        raise SystemExit(1)


def _dry_run(files: list[str], root: Path | None, known: KnownDocuments | None, tally: Tally, as_json: bool) -> None:
    """Print what would be sent and what would be skipped."""
    ids, size = [], 0
    for source in (source for path in files for source in sources.documents(path, _called(root, path))):
        if source.trouble:
            tally.skip(source.id, source.trouble)
        elif known is not None and known.has(source):
            tally.unchanged += 1
        else:
            ids.append(clean_line(source.id, 512))
            size += len(source.text)
    head = (
        f"Would send {counted(len(ids), 'document')}, {size:,} characters; {tally.unchanged} unchanged, "
        f"{tally.failed} unreadable. Nothing was sent."
    )
    for line in tally.remarks():
        notice(line)
    body = {
        "ok": not tally.failed, "dry_run": True, "sentence": head, "documents": ids, "characters": size,
        "unchanged": tally.unchanged, "failed": tally.failed, "empty": tally.empty, "passed_over": tally.passed_over,
    }  # fmt: skip
    more = [f"  ... and {len(ids) - SHOWN} more (--json lists all)"] if len(ids) > SHOWN else []
    say(body, "\n".join([head, *(f"  {name}" for name in ids[:SHOWN]), *more]), as_json)
    if tally.failed:
        raise SystemExit(1)


class Load:
    """One run: each source is sent, skipped or unchanged, and counted as its answer comes."""

    def __init__(
        self,
        context: CliContext,
        tally: Tally,
        known: KnownDocuments | None,
        method: str,
        verbose: bool,
        progress: Progress,
    ) -> None:
        self.tally = tally
        self._known, self._verbose, self._progress = known, verbose, progress
        self._uploader = BoundedUploader(lambda source: extract(context.client, source, method))

    def run(self, documents: Iterable[sources.Source]) -> str:
        """Why it stopped early; "" after the last document."""
        try:
            for source in documents:
                self._take(source)
            self._account()
        except (KeyboardInterrupt, Gone) as reason:
            self._uploader.stop()
            return str(reason) or "Stopped."
        finally:
            self._progress.end()
        return ""

    def _take(self, source: sources.Source) -> None:
        if source.encoding:
            self.tally.guessed[clean_line(source.id)] = source.encoding
        if source.trouble:
            self.tally.skip(source.id, source.trouble)
        elif self._known is not None and self._known.has(source):
            self.tally.unchanged += 1
        else:
            self._uploader.send(source)
            self._account(until_room=True)
            return
        self._progress.step(source.size, self.tally.done)

    def _account(self, until_room: bool = False) -> None:
        for source, end in self._uploader.ends(until_room=until_room):
            if isinstance(end, UploadRefused):
                self.tally.skip(source.id, str(end))
            else:
                self.tally.count(end)
                if self._verbose:
                    click.echo(_line(source, end))
            self._progress.step(source.size, self.tally.done)


def _send_all(
    context: CliContext,
    files: list[str],
    root: Path | None,
    known: KnownDocuments | None,
    tally: Tally,
    method: str,
    verbose: bool,
    as_json: bool,
) -> None:
    quiet = verbose or as_json or is_quiet()
    progress = Progress(
        "load", sum(map(sources.weight, files)), raw_stream(sys.stderr), shown=not quiet and sys.stderr.isatty()
    )
    began = time.monotonic()
    stopped = Load(context, tally, known, method, verbose, progress).run(
        source for path in files for source in sources.documents(path, _called(root, path))
    )
    took = max(time.monotonic() - began, 1e-9)
    for line in tally.remarks():
        notice(line)
    if tally.fallback and method == "llm":
        notice("To retry the documents that fell back, run the same command with --resume.")
    say({**tally.data(took), **({"ok": False, "sentence": stopped} if stopped else {})}, tally.sentence(took), as_json)
    if stopped:
        click.echo(
            f"{stopped} What is counted here is stored; to continue, run the same command with --resume.", err=True
        )
        sys.stdout.flush()
        os._exit(1)  # the engine finishes the calls in flight; don't wait for their answers
    if tally.failed:
        raise SystemExit(1)


def _called(root: Path | None, path: str) -> str:
    return id_under(root, path) if root is not None and path != sources.STDIN else ""


def _line(source: sources.Source, answer: Answer) -> str:
    kind = "fallback" if answer["fallback"] else "cached" if answer["cached"] else ""
    note = ": ".join(part for part in (kind, answer["note"]) if part)
    return f"{clean_line(source.id)}: {answer['method']}{f' ({note})' if note else ''}: {', '.join(answer['keywords'])}"


@contextlib.contextmanager
def engine_for(context: CliContext, as_json: bool) -> Iterator[None]:
    """Ensure that an engine answers before the first document, so that a thousand files don't fail one by one. If none
    runs, start one that stops with this command, even when this process is killed: its end of the pipe closes then."""
    from engine.client import whereabouts

    if whereabouts.ask(context.folder).state != "none":
        try:
            context.client.request("GET", "/healthz", timeout_s=PATIENCE_S)
        except (OSError, http.client.HTTPException, ValueError) as error:
            fail(unanswered(context.folder, error), as_json)
        yield
        return
    from engine.server.process import spawn, wait_until_up

    plan = context.file_plan  # an engine that is started reads the file
    notice(f"No engine runs in {context.folder.path}: starting one for this load; it stops with it.")
    process = spawn(context.plan_path.resolve(), Folder(context.folder.path, plan.store.group), attached=True)
    if trouble := wait_until_up(context.folder, process):
        fail(trouble, as_json)
    try:
        yield
    finally:
        if process.stdin is not None:
            process.stdin.close()
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            notice(
                f"The engine started for this load has not stopped within {END_S:g} s; see {context.folder.engine_log}."
            )


def extract(client: EngineClient, source: sources.Source, method: str) -> Answer:
    """Send one document; return the answer. Raises Refused, or Gone after `PATIENCE_S` without an engine."""
    body = {"id": source.id, "title": source.title, "text": source.text, "method": method, "bulk": True}
    given_up = math.inf  # the clock starts at the first failure, because a good answer may take minutes
    while True:
        try:
            status, answer = client.extract(body)
        except TimeoutError:
            raise UploadRefused(f"no answer in {EXTRACT_S:.0f} s") from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            if time.monotonic() > given_up:
                raise Gone(f"The engine is gone ({broken(error)}).") from None
        else:
            if status == 200:
                return answer
            if status == 429:  # the bulk queue is full: the engine is healthy, so never give up
                time.sleep(float(answer.get("retry_after_s") or 1.0))
                continue
            if status != 503 or time.monotonic() > given_up:
                raise UploadRefused(str(answer.get("error") or answer.get("sentence") or f"HTTP {status}"))
        given_up = min(given_up, time.monotonic() + PATIENCE_S)
        time.sleep(0.5)


class KnownDocuments:
    """What the store has of a load already; for the method llm, only documents that serve LLM keywords. Asked document
    by document: the digests of two million take 13 s and 700 MB."""

    def __init__(self, context: CliContext, method: str) -> None:
        self._reader = context.reader
        self._method = "llm" if method == "llm" else None

    def has(self, source: sources.Source) -> bool:
        """Whether this text is stored under this id. Not before the store exists."""
        from engine.store import documents
        from engine.store.folder import StoreError

        name = clean_line(source.id, 512)
        try:
            stored = self._reader.read(lambda conn: documents.digests(conn, self._method, [name]))
        except StoreError:
            return False
        return stored.get(name) == _digest(source.text)


def _digest(text: str) -> str:
    from engine.routing.pipeline import TEXT_LIMIT

    return digest(clean_block(normal(text), TEXT_LIMIT))
