"""Verbs about documents: load, query, export."""

from __future__ import annotations

import concurrent.futures
import http.client
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from console import sources
from console.place import Place, fail, json_option, say, write_json
from console.progress import Progress
from engine.client import EXTRACT_S, broken
from engine.text import clean_block, clean_line, digest, normal

if TYPE_CHECKING:
    from engine.store.documents import Document

AT_ONCE = 64  # documents on their way: each waits for the store's next commit, 50 ms, or for the LLM ...
AT_ONCE_CHARS = 250_000  # ... but of long ones fewer, so that a rollback gets its turn in the engine within 0.15 s,
LEAST_AT_ONCE = 8  # and not fewer than these
PATIENCE_S = 10.0  # with an engine that is being started anew
NAMED = 10  # documents named for one trouble
TITLE = 80  # characters; the document without one has its first line, which may be all of it
REASONS = 5  # told for which the LLM gave nothing
_FIGURE = re.compile(r"\d+")

Answer = dict[str, Any]


class _Gone(Exception):
    """No engine answers any more."""


class _Refused(Exception):
    """The engine does not take this document: a sentence."""


class Tally:
    """What became of the documents."""

    def __init__(self) -> None:
        self.llm = self.frequency = self.cached = self.fallback = self.unchanged = self.failed = 0
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
        self.failed += 1
        self.troubles.setdefault(clean_line(why), []).append(clean_line(name))

    def sentence(self, took: float) -> str:
        return (
            f"{self.done} document{'' if self.done == 1 else 's'} in {took:.1f} s ({self.done / took:.0f}/s): {self.llm} by LLM ({self.cached} from the cache), "
            f"{self.frequency} by frequency ({self.fallback} as fallback), {self.unchanged} unchanged, {self.failed} failed."
        )

    def remarks(self) -> Iterator[str]:
        for why, times in self.fallbacks[:REASONS]:
            yield f"fallback, {times} document{'' if times == 1 else 's'}: {why}"
        for why, names in self.troubles.items():
            more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
            yield f"skipped {', '.join(names[:NAMED])}{more}: {why}"

    def data(self, took: float) -> dict[str, Any]:
        return {
            "ok": not self.failed, "seconds": round(took, 3), "llm": self.llm, "frequency": self.frequency, "cached": self.cached,
            "fallback": self.fallback, "fallbacks": {why: times for why, times in self.fallbacks}, "unchanged": self.unchanged, "failed": self.failed,
            "skipped": [f"{name}: {why}" for why, names in self.troubles.items() for name in names],
        }  # fmt: skip


@click.command()
@click.argument("paths", nargs=-1, required=True)
@click.option("--method", type=click.Choice(["auto", "llm", "frequency"]), default="auto", show_default=True)
@click.option("--verbose", is_flag=True, help="A line for each document.")
@click.option("--resume", is_flag=True, help="Skip documents that are in the store unchanged.")
@json_option
@click.pass_obj
def load(place: Place, paths: tuple[str, ...], method: str, verbose: bool, resume: bool, as_json: bool) -> None:
    """Extract keywords from files, folders, globs, or `-` for standard input.

    .md .txt .rst .adoc .html are one document each; .jsonl, .ndjson and .json hold {"id", "text", "title"} a line or in a list;
    standard input is JSON lines or one text. Stopped half way, the same command with --resume goes on.
    """
    found = sources.files(paths)
    if not found:
        fail("No file was found. Kinds: " + " ".join(sorted(sources.KINDS)), as_json)
    _engine_or_fail(place, as_json)
    known = _known(place, method) if resume else {}
    tally = Tally()
    quiet = verbose or as_json
    progress = Progress("load", sum(map(sources.weight, found)), sys.stderr, shown=not quiet and sys.stderr.isatty())
    began = time.monotonic()
    stopped = ""
    workers = concurrent.futures.ThreadPoolExecutor(AT_ONCE)
    waiting: dict[concurrent.futures.Future[Answer], sources.Source] = {}

    def full() -> bool:
        many = len(waiting) >= LEAST_AT_ONCE and sum(len(source.text) for source in waiting.values()) >= AT_ONCE_CHARS
        return many or len(waiting) >= AT_ONCE

    def take(until: Callable[[], bool]) -> None:
        while not until():
            for future in concurrent.futures.wait(waiting, return_when="FIRST_COMPLETED").done:
                source = waiting.pop(future)
                try:
                    answer = future.result()
                except _Refused as refused:
                    tally.skip(source.id, str(refused))
                else:
                    tally.count(answer)
                    if verbose:
                        click.echo(_line(source, answer))
                progress.step(source.size, tally.done)

    try:
        for source in (source for path in found for source in sources.documents(path)):
            if source.trouble:
                tally.skip(source.id, source.trouble)
                progress.step(source.size, tally.done)
            elif known and known.get(clean_line(source.id, 512)) == _digest(source.text):
                tally.unchanged += 1
                progress.step(source.size, tally.done)
            else:
                waiting[workers.submit(_extract, place, source, method)] = source
                take(lambda: not full())
        take(lambda: not waiting)
    except (KeyboardInterrupt, _Gone) as reason:
        stopped = str(reason) or "Stopped."
        workers.shutdown(wait=False, cancel_futures=True)
    progress.end()
    took = max(time.monotonic() - began, 1e-9)
    for line in tally.remarks():
        click.echo(line, err=True)
    if tally.fallback and method == "llm":
        click.echo("The same command with --resume asks the LLM again for what fell back.", err=True)
    say({**tally.data(took), **({"ok": False, "sentence": stopped} if stopped else {})}, tally.sentence(took), as_json)
    if stopped:
        click.echo(
            f"{stopped} What is counted here is stored; the same command with --resume goes on from there.", err=True
        )
        sys.stdout.flush()
        os._exit(1)  # calls in flight are the engine's to finish; nobody waits for their answers
    if tally.failed:
        raise SystemExit(1)


def _line(source: sources.Source, answer: Answer) -> str:
    kind = "fallback" if answer["fallback"] else "cached" if answer["cached"] else ""
    note = ": ".join(said for said in (kind, answer["note"]) if said)
    return f"{clean_line(source.id)}: {answer['method']}{f' ({note})' if note else ''}: {', '.join(answer['keywords'])}"


def _engine_or_fail(place: Place, as_json: bool) -> None:
    """Before the first document, so that a thousand files do not fail one by one."""
    try:
        place.client.request("GET", "/healthz", timeout_s=PATIENCE_S)
    except (OSError, http.client.HTTPException, ValueError) as error:
        fail(
            f"No engine answers in {place.folder.path} ({broken(error)}). Start it with `rollout` or `rollout serve`.",
            as_json,
        )


def _extract(place: Place, source: sources.Source, method: str) -> Answer:
    body = {"id": source.id, "title": source.title, "text": source.text, "method": method}
    given_up = time.monotonic() + PATIENCE_S
    while True:
        try:
            status, answer = place.client.extract(body)
        except TimeoutError:
            raise _Refused(f"no answer in {EXTRACT_S:.0f} s") from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            if time.monotonic() > given_up:
                raise _Gone(f"The engine is gone ({broken(error)}).") from None
        else:
            if status == 200:
                return answer
            if status != 503 or time.monotonic() > given_up:
                raise _Refused(str(answer.get("error") or answer.get("sentence") or f"HTTP {status}"))
        time.sleep(0.5)


def _known(place: Place, method: str) -> dict[str, str]:
    """Digests of the stored documents; of those that serve LLM keywords, where these are asked for."""
    from engine.store import documents
    from engine.store.folder import StoreError

    try:
        return place.reader.read(lambda conn: documents.digests(conn, "llm" if method == "llm" else None))
    except StoreError:
        return {}


def _digest(text: str) -> str:
    from engine.pipeline import TEXT_LIMIT

    return digest(clean_block(normal(text), TEXT_LIMIT))


# -- query -----------------------------------------------------------------------------------------------------------------------


@click.command()
@click.argument("text")
@click.option("--limit", type=click.IntRange(1, 1000), default=10, show_default=True)
@json_option
@click.pass_obj
def query(place: Place, text: str, limit: int, as_json: bool) -> None:
    """Search the documents by the keywords they serve and by title: those with all words first, then those with some."""
    asked = clean_line(text)
    found = place.reader.documents(asked, limit)
    stems = _stems(asked)
    rows: list[dict[str, Any]] = []
    lines = []
    for d in found:
        stored = place.reader.document(d.id)
        matched = [keyword for keyword in d.keywords if stems & _stems(keyword)]
        snippet = _snippet(stored.text if stored else "", [*matched, *asked.split()])
        lines.append(_found(d, matched, snippet))
        rows.append({"file": d.id, "title": d.title, "method": d.method, "keywords": d.keywords, "matched": matched, "snippet": snippet})  # fmt: skip
    say(
        {"query": asked, "results": rows},
        "\n".join(lines) or f"No document serves keywords or a title with {asked!r}.",
        as_json,
    )


def _found(d: Document, matched: list[str], snippet: str) -> str:
    words = [click.style(keyword, bold=True) for keyword in matched] + [k for k in d.keywords if k not in matched]
    return f"{d.id}  [{d.method}]  {clean_line(d.title, TITLE)}\n    {', '.join(words[:12])}" + (
        f"\n    {snippet}" if snippet else ""
    )


def _stems(text: str) -> set[str]:
    from engine.extraction.keywords import stem

    return {stem(word) for word in re.findall(r"\w+", text.lower())}


def _snippet(text: str, words: list[str], around: int = 60) -> str:
    """The passage where the first of the words stands that stands there; empty if none does."""
    low = text.lower()
    if len(low) != len(text):
        low = text
    at = next((at for word in words if word and (at := low.find(word.lower())) >= 0), -1)
    if at < 0:
        return ""
    begin, end = max(0, at - around), at + 2 * around
    return clean_line(("…" if begin else "") + text[begin:end] + ("…" if end < len(text) else ""), 4 * around)


# -- export ----------------------------------------------------------------------------------------------------------------------


@click.command()
@click.option("--method", type=click.Choice(["llm", "frequency"]), required=True, help="Which keywords.")
@click.option("--limit", type=click.IntRange(1, 1_000_000), default=20, show_default=True)
@click.option("--output", type=click.Path(path_type=Path), default=Path("-"), help="A file, or - for standard output.")
@click.option("--random", "at_random", is_flag=True, help="A random sample instead of the latest.")
@click.option(
    "--seed", type=int, default=1, show_default=True, help="Of --random; the same seed draws the same sample."
)
@click.option("--text/--no-text", default=False, help="With the documents' text, for a review of grounding.")
@click.pass_obj
def export(place: Place, method: str, limit: int, output: Path, at_random: bool, seed: int, text: bool) -> None:
    """Documents as [{file, id, title, method, keywords, ...}].

    `--method llm` exports documents that serve LLM keywords; `--method frequency` exports frequency keywords, of those that
    serve them first.
    """
    from engine.plan.durations import iso
    from engine.store import documents

    found = place.reader.read(
        lambda conn: documents.exported(conn, method, limit, text=text, seed=seed if at_random else None)
    )
    if not found:
        fail(f"No document serves {method} keywords yet.")
    rows = [
        {
            "file": d.id, "id": d.id, "title": d.title, "method": method,
            "keywords": list((d.llm or ()) if method == "llm" else d.frequency), "arm": d.arm, "updated": iso(d.updated),
            **({"text": d.text} if text else {}),
        }
        for d in found
    ]  # fmt: skip
    write_json(output, rows)
    if str(output) != "-":
        click.echo(f"{len(rows)} documents with {method} keywords in {output}.")
