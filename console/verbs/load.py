"""`rollout load`: documents out of files into the engine, and what became of them."""

from __future__ import annotations

import contextlib
import http.client
import math
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from console.context import CliContext, fail, is_quiet, json_option, notice, raw_stream, say
from console.upload import sources
from console.upload.progress import Progress
from console.upload.root import id_under, outside, root_of
from console.upload.uploader import Answer, BoundedUploader, Gone, Refused
from engine.client.client import EXTRACT_S, EngineClient, broken, unanswered
from engine.store.folder import Folder
from engine.text import clean_block, clean_line, counted, digest, normal

PATIENCE_S = 10.0  # with an engine that is being started anew
NAMED = 10  # documents named for one trouble
SHOWN = 20  # documents that --dry-run lists
END_S = 15.0  # for the engine that was started to end
REASONS = 5  # told for which the LLM gave nothing
_FIGURE = re.compile(r"\d+")


class Tally:
    """What became of the documents."""

    def __init__(self) -> None:
        self.llm = self.frequency = self.cached = self.fallback = self.unchanged = self.failed = self.empty = 0
        self.guessed: dict[str, str] = {}  # document -> the encoding that it was read in
        self.passed_over: dict[str, list[str]] = {}  # ending -> files
        self.troubles: dict[str, list[str]] = {}  # why -> which
        self._fallbacks: dict[str, tuple[str, int]] = {}  # why, without its figures -> why, how often

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
        """(why, how many documents), the most frequent reason first."""
        return sorted(self._fallbacks.values(), key=lambda found: -found[1])

    def skip(self, name: str, why: str) -> None:
        if why == sources.EMPTY:
            self.empty += 1
        else:
            self.failed += 1
        self.troubles.setdefault(clean_line(why), []).append(clean_line(name))

    def sentence(self, took: float) -> str:
        return (
            f"{self.done} document{'' if self.done == 1 else 's'} in {took:.1f} s ({self.done / took:.0f}/s): {self.llm} by LLM ({self.cached} from the cache), "
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
            why = "not a text file" if ending == sources.BINARY else f"load does not read {ending} files in a folder"
            yield f"passed over {_named(names)}: {why}"

    def data(self, took: float) -> dict[str, Any]:
        return {
            "ok": not self.failed, "seconds": round(took, 3), "llm": self.llm, "frequency": self.frequency, "cached": self.cached,
            "empty": self.empty, "guessed": self.guessed, "passed_over": self.passed_over, "fallback": self.fallback, "fallbacks": {why: times for why, times in self.fallbacks}, "unchanged": self.unchanged, "failed": self.failed,
            "skipped": [f"{name}: {why}" for why, names in self.troubles.items() for name in names],
        }  # fmt: skip


def _named(names: list[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{', '.join(names[:NAMED])}{more}"


@click.command()
@click.argument("paths", nargs=-1, required=True)
@click.option("--method", type=click.Choice(["auto", "llm", "frequency"]), default="auto", show_default=True)
@click.option("--verbose", is_flag=True, help="A line for each document.")
@click.option(
    "--root",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Ids are paths from this folder. Default: the top of the git repository, else the folder given.",
)
@click.option("--resume", is_flag=True, help="Skip documents that are in the store unchanged.")
@click.option("--dry-run", is_flag=True, help="Name the documents that would be sent; send none. Needs no engine.")
@json_option
@click.pass_obj
def load(
    context: CliContext,
    paths: tuple[str, ...],
    method: str,
    verbose: bool,
    root: Path | None,
    resume: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Extract keywords from files, folders, globs, or `-` for standard input.

    .md .mdx .txt .rst .adoc .asciidoc .html .log .eml, manual pages and files without an ending (README) are one document each;
    .jsonl, .ndjson and .json hold {"id", "text", "title"} a line or in a list; standard input is JSON lines or one text.
    In a folder other files are passed over and named; a file that you name is read whatever its ending. Stopped half way, the same
    command with --resume continues.

    Where no engine runs, one is started and ends with this command. A document's id is its path from --root, so that it is the same document however its path is typed; a JSON row brings its own.
    """
    passed_over: dict[str, list[str]] = {}
    found = sources.files(paths, passed_over)
    if not found:
        fail(
            "No file to read there. load reads files without an ending and " + " ".join(sorted(sources.KINDS)), as_json
        )
    root = root.resolve() if root is not None else root_of(paths)
    if root is not None and (stray := outside(root, found)):
        fail(f"{clean_line(stray)} is not below the root {root}. Give another --root.", as_json)
    known = _known(context, method) if resume else {}
    tally = Tally()
    tally.passed_over = {
        clean_line(ending): [clean_line(name) for name in names] for ending, names in passed_over.items()
    }
    if dry_run:
        _would(found, root, known, tally, as_json)
        return
    with engine_for(context, as_json):
        _send_all(context, found, root, known, tally, method, verbose, as_json)


def _would(found: list[str], root: Path | None, known: dict[str, str], tally: Tally, as_json: bool) -> None:
    """What would be sent, and what is not."""
    ids, size = [], 0
    for source in (source for path in found for source in sources.documents(path, _called(root, path))):
        if source.trouble:
            tally.skip(source.id, source.trouble)
        elif known and known.get(clean_line(source.id, 512)) == _digest(source.text):
            tally.unchanged += 1
        else:
            ids.append(clean_line(source.id, 512))
            size += len(source.text)
    head = f"Would send {counted(len(ids), 'document')}, {size:,} characters; {tally.unchanged} unchanged, {tally.failed} unreadable. Nothing was sent."
    for line in tally.remarks():
        notice(line)
    body = {
        "ok": not tally.failed, "dry_run": True, "sentence": head, "documents": ids, "characters": size, "unchanged": tally.unchanged,
        "failed": tally.failed, "empty": tally.empty, "passed_over": tally.passed_over,
    }  # fmt: skip
    more = [f"  ... and {len(ids) - SHOWN} more (--json names all)"] if len(ids) > SHOWN else []
    say(body, "\n".join([head, *(f"  {name}" for name in ids[:SHOWN]), *more]), as_json)
    if tally.failed:
        raise SystemExit(1)


def _send_all(
    context: CliContext,
    found: list[str],
    root: Path | None,
    known: dict[str, str],
    tally: Tally,
    method: str,
    verbose: bool,
    as_json: bool,
) -> None:
    quiet = verbose or as_json or is_quiet()
    progress = Progress(
        "load", sum(map(sources.weight, found)), raw_stream(sys.stderr), shown=not quiet and sys.stderr.isatty()
    )
    began = time.monotonic()
    stopped = ""
    crew = BoundedUploader(lambda source: extract(context.client, source, method))

    def account(source: sources.Source, end: Answer | Refused) -> None:
        if isinstance(end, Refused):
            tally.skip(source.id, str(end))
        else:
            tally.count(end)
            if verbose:
                click.echo(_line(source, end))
        progress.step(source.size, tally.done)

    try:
        for source in (source for path in found for source in sources.documents(path, _called(root, path))):
            if source.encoding:
                tally.guessed[clean_line(source.id)] = source.encoding
            if source.trouble:
                tally.skip(source.id, source.trouble)
                progress.step(source.size, tally.done)
            elif known and known.get(clean_line(source.id, 512)) == _digest(source.text):
                tally.unchanged += 1
                progress.step(source.size, tally.done)
            else:
                crew.send(source)
                for end in crew.ends(until_room=True):
                    account(*end)
        for end in crew.ends():
            account(*end)
    except (KeyboardInterrupt, Gone) as reason:
        stopped = str(reason) or "Stopped."
        crew.stop()
    progress.end()
    took = max(time.monotonic() - began, 1e-9)
    for line in tally.remarks():
        notice(line)
    if tally.fallback and method == "llm":
        notice("The same command with --resume asks the LLM again for what fell back.")
    say({**tally.data(took), **({"ok": False, "sentence": stopped} if stopped else {})}, tally.sentence(took), as_json)
    if stopped:
        click.echo(
            f"{stopped} What is counted here is stored; the same command with --resume goes on from there.", err=True
        )
        sys.stdout.flush()
        os._exit(1)  # calls in flight are the engine's to finish; nobody waits for their answers
    if tally.failed:
        raise SystemExit(1)


def _called(root: Path | None, path: str) -> str:
    return id_under(root, path) if root is not None and path != sources.STDIN else ""


def _line(source: sources.Source, answer: Answer) -> str:
    kind = "fallback" if answer["fallback"] else "cached" if answer["cached"] else ""
    note = ": ".join(said for said in (kind, answer["note"]) if said)
    return f"{clean_line(source.id)}: {answer['method']}{f' ({note})' if note else ''}: {', '.join(answer['keywords'])}"


@contextlib.contextmanager
def engine_for(context: CliContext, as_json: bool) -> Iterator[None]:
    """An engine that answers before the first document, so that a thousand files do not fail one by one. Where none runs, one that
    ends with this command: also when this process is killed, because then its end of the pipe closes."""
    from engine.client import whereabouts

    if whereabouts.ask(context.folder).state != "none":
        try:
            context.client.request("GET", "/healthz", timeout_s=PATIENCE_S)
        except (OSError, http.client.HTTPException, ValueError) as error:
            fail(unanswered(context.folder, error), as_json)
        yield
        return
    from engine.server.process import spawn, wait_until_up

    plan = context.file_plan  # an engine starts under the file, or not at all
    notice(f"No engine runs in {context.folder.path}: one is started for this load and ends with it.")
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
            notice(f"The engine that was started has not ended within {END_S:g} s; see {context.folder.engine_log}.")


def extract(client: EngineClient, source: sources.Source, method: str) -> Answer:
    """One document to the engine and its answer; Refused, or Gone when there has been no engine for `PATIENCE_S`."""
    body = {"id": source.id, "title": source.title, "text": source.text, "method": method, "bulk": True}
    given_up = math.inf  # patience begins with the first trouble: an answer before it may have taken minutes
    while True:
        try:
            status, answer = client.extract(body)
        except TimeoutError:
            raise Refused(f"no answer in {EXTRACT_S:.0f} s") from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            if time.monotonic() > given_up:
                raise Gone(f"The engine is gone ({broken(error)}).") from None
        else:
            if status == 200:
                return answer
            if status == 429:  # too much bulk work waits: the engine is well, so patience does not run out
                time.sleep(float(answer.get("retry_after_s") or 1.0))
                continue
            if status != 503 or time.monotonic() > given_up:
                raise Refused(str(answer.get("error") or answer.get("sentence") or f"HTTP {status}"))
        given_up = min(given_up, time.monotonic() + PATIENCE_S)
        time.sleep(0.5)


def _known(context: CliContext, method: str) -> dict[str, str]:
    """Digests of the stored documents; of those that serve LLM keywords, where these are asked for."""
    from engine.store import documents
    from engine.store.folder import StoreError

    try:
        return context.reader.read(lambda conn: documents.digests(conn, "llm" if method == "llm" else None))
    except StoreError:
        return {}


def _digest(text: str) -> str:
    from engine.routing.pipeline import TEXT_LIMIT

    return digest(clean_block(normal(text), TEXT_LIMIT))
