"""Verbs about documents: load, query, export."""

from __future__ import annotations

import concurrent.futures
import glob
import html.parser
import json
import os
import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import click

from console.place import Place, fail, json_option, say, write_json

KINDS = {".md", ".markdown", ".txt", ".rst", ".html", ".htm", ".jsonl", ".ndjson", ".text", ".adoc"}
SIZE_LIMIT = 40_000_000
WORKERS = 8


class Source(NamedTuple):
    """A document to load, or why it cannot be (`trouble`)."""

    id: str
    title: str
    text: str
    trouble: str = ""


@click.command()
@click.argument("paths", nargs=-1, required=True)
@click.option("--method", type=click.Choice(["auto", "llm", "frequency"]), default="auto", show_default=True)
@click.option("--verbose", is_flag=True, help="A line for each document.")
@click.option("--resume", is_flag=True, help="Skip documents that are in the store unchanged.")
@json_option
@click.pass_obj
def load(place: Place, paths: tuple[str, ...], method: str, verbose: bool, resume: bool, as_json: bool) -> None:
    """Extract keywords from files, folders, globs, or `-` for standard input (JSON lines {id, text}, or one text)."""
    files = _files(paths)
    known = _known(place) if resume else {}
    counts = {"llm": 0, "frequency": 0, "cached": 0, "fallback": 0, "unchanged": 0, "failed": 0}
    troubles: list[str] = []
    total = sum(_weight(path) for path in files)
    began = time.monotonic()
    bar = click.progressbar(
        length=max(1, total),
        label="load",
        file=sys.stderr,
        show_eta=True,
        hidden=verbose or as_json or not sys.stderr.isatty(),
    )
    done = 0
    with bar, concurrent.futures.ThreadPoolExecutor(WORKERS) as workers:
        waiting: dict[concurrent.futures.Future[tuple[str, dict[str, Any] | str]], int] = {}

        def finish(future: concurrent.futures.Future[tuple[str, dict[str, Any] | str]]) -> None:
            nonlocal done
            waiting.pop(future)
            name, answer = future.result()
            done += 1
            if isinstance(answer, str):
                counts["failed"] += 1
                troubles.append(f"{name}: {answer}")
            else:
                counts[answer["method"]] += 1
                counts["cached"] += bool(answer["cached"])
                counts["fallback"] += bool(answer["fallback"])
                if verbose:
                    note = (
                        " (fallback: " + answer["note"] + ")"
                        if answer["fallback"]
                        else " (cached)"
                        if answer["cached"]
                        else ""
                    )
                    click.echo(f"{name}: {answer['method']}{note}: {', '.join(answer['keywords'][:15])}")

        for path in files:
            for source in _sources(path):
                if source.trouble:
                    counts["failed"] += 1
                    troubles.append(f"{source.id}: {source.trouble}")
                    continue
                if resume and known.get(source.id) == _digest(source.text):
                    counts["unchanged"] += 1
                    continue
                waiting[workers.submit(_extract, place, source, method)] = 1
                while len(waiting) >= WORKERS * 2:
                    for future in concurrent.futures.wait(waiting, return_when="FIRST_COMPLETED").done:
                        finish(future)
            bar.update(_weight(path))
        for future in list(concurrent.futures.as_completed(list(waiting))):
            finish(future)
    took = max(time.monotonic() - began, 1e-9)
    for trouble in troubles[:20]:
        click.echo(f"skipped {trouble}", err=True)
    if len(troubles) > 20:
        click.echo(f"... and {len(troubles) - 20} more", err=True)
    sentence = (
        f"{done} documents in {took:.1f} s ({done / took:.0f}/s): "
        f"{counts['llm']} by LLM ({counts['cached']} from the cache), {counts['frequency']} by frequency "
        f"({counts['fallback']} as fallback), {counts['unchanged']} unchanged, {counts['failed']} failed."
    )
    say({"ok": not counts["failed"], "seconds": round(took, 3), **counts, "skipped": troubles}, sentence, as_json)
    if not files:
        fail("No file was found. Kinds: " + ", ".join(sorted(KINDS)))
    if counts["failed"]:
        raise SystemExit(1)


def _extract(place: Place, source: Source, method: str) -> tuple[str, dict[str, Any] | str]:
    body = {"id": source.id, "title": source.title, "text": source.text, "method": method}
    for attempt in range(3):
        try:
            status, answer = place.client.request("POST", "/v1/extract", body, timeout_s=300.0)
        except (OSError, ValueError) as error:
            if attempt == 2:
                return source.id, f"no engine answers ({error}); start it with `rollout` or `rollout serve`"
            time.sleep(0.5)
            continue
        if status == 200:
            return source.id, answer
        if status != 503:
            return source.id, str(answer.get("error") or answer.get("sentence") or f"HTTP {status}")
        time.sleep(0.5)
    return source.id, "the engine did not take it"


def _files(paths: tuple[str, ...]) -> list[str]:
    """Files of the arguments in a stable order; folders are walked, globs expanded (a shell may not have)."""
    found: dict[str, None] = {}
    for path in paths:
        if path == "-":
            found["-"] = None
        elif os.path.isdir(path):
            for folder, folders, names in os.walk(path):
                folders[:] = sorted(name for name in folders if not name.startswith("."))
                found.update({os.path.join(folder, n): None for n in sorted(names) if Path(n).suffix.lower() in KINDS})
        elif os.path.exists(path):
            found[path] = None
        else:
            matches = sorted(glob.glob(path, recursive=True))
            found.update({match: None for match in matches} or {path: None})
    return list(found)


def _weight(path: str) -> int:
    try:
        return os.path.getsize(path) if path != "-" else 1
    except OSError:
        return 1


def _sources(path: str) -> Iterator[Source]:
    """The documents of one file; never raises."""
    if path == "-":
        yield from _from_text("-", sys.stdin.read(), ".jsonl")
        return
    try:
        if os.path.getsize(path) > SIZE_LIMIT:
            yield Source(path, "", "", f"larger than {SIZE_LIMIT // 1_000_000} MB; split it")
            return
        raw = Path(path).read_bytes()
    except OSError as error:
        yield Source(path, "", "", error.strerror or str(error))
        return
    if b"\0" in raw[:4096]:
        yield Source(path, "", "", "not a text file")
        return
    yield from _from_text(path, raw.decode("utf-8", "replace"), Path(path).suffix.lower())


def _from_text(path: str, text: str, suffix: str) -> Iterator[Source]:
    if suffix in (".jsonl", ".ndjson"):
        lines = [line for line in text.splitlines() if line.strip()]
        if path == "-" and not (lines and lines[0].lstrip().startswith("{")):
            yield Source("stdin", "", text) if text.strip() else Source("stdin", "", "", "empty")
            return
        for number, line in enumerate(lines, 1):
            try:
                row = json.loads(line)
                yield Source(str(row.get("id") or f"{path}:{number}"), str(row.get("title") or ""), str(row["text"]))
            except (ValueError, KeyError, TypeError, AttributeError):
                yield Source(f"{path}:{number}", "", "", 'not a JSON object with "text"')
        return
    if suffix in (".html", ".htm"):
        title, text = plain(text)
        yield Source(path, title, text)
        return
    if not text.strip():
        yield Source(path, "", "", "empty")
        return
    yield Source(path, "", text)


class _Plain(html.parser.HTMLParser):
    """The text of a page, without script and style; headings on lines of their own."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self.title = ""
        self._skip = 0
        self._in_title = False

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self._skip += tag in ("script", "style", "template")
        self._in_title = tag == "title"
        if tag in ("p", "div", "br", "li", "tr", "h1", "h2", "h3", "h4", "h5", "h6", "section", "pre"):
            self.parts.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("script", "style", "template") and self._skip:
            self._skip -= 1
        self._in_title = False

    def handle_data(self, data: str) -> None:
        if self._in_title:
            self.title += data.strip()
        elif not self._skip:
            self.parts.append(data)


def plain(page: str) -> tuple[str, str]:
    """(title, text) of an HTML page."""
    parser = _Plain()
    parser.feed(page)
    parser.close()
    return parser.title, "".join(parser.parts)


def _known(place: Place) -> dict[str, str]:
    from engine.store.folder import StoreError

    try:
        return dict(place.reader.read(lambda conn: conn.execute("SELECT id, digest FROM document").fetchall()))
    except StoreError:
        return {}


def _digest(text: str) -> str:
    from engine.pipeline import TEXT_LIMIT, digest
    from engine.text import clean_block, normal

    return digest(clean_block(normal(text), TEXT_LIMIT))


@click.command()
@click.argument("text")
@click.option("--limit", type=click.IntRange(1, 1000), default=10, show_default=True)
@json_option
@click.pass_obj
def query(place: Place, text: str, limit: int, as_json: bool) -> None:
    """Search the documents by the keywords they serve and by title."""
    found = place.reader.documents(text, limit)
    rows = [{"file": d.id, "title": d.title, "method": d.method, "keywords": d.keywords} for d in found]
    lines = [f"{d.id}  [{d.method}]  {d.title}\n    {', '.join(d.keywords[:12])}" for d in found]
    say(
        {"query": text, "results": rows},
        "\n".join(lines) or f"No document serves keywords or a title with {text!r}.",
        as_json,
    )


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
    from engine.store import documents

    pool = limit if not at_random else 100_000
    found = place.reader.read(lambda conn: documents.recent(conn, method, pool, text=text))
    if method == "frequency" and len(found) < limit:
        others = place.reader.read(lambda conn: documents.recent(conn, "llm", pool, text=text))
        found = (found + others)[:pool]
    if at_random:
        found = random.Random(seed).sample(found, min(limit, len(found)))
    if not found:
        fail(f"No document serves {method} keywords yet.")
    rows = [
        {
            "file": d.id, "id": d.id, "title": d.title, "method": method,
            "keywords": list((d.llm or ()) if method == "llm" else d.frequency), "arm": d.arm, "updated": d.updated,
            **({"text": d.text} if text else {}),
        }
        for d in found[:limit]
    ]  # fmt: skip
    write_json(output, rows)
    if str(output) != "-":
        click.echo(f"{len(rows)} documents with {method} keywords in {output}.")
