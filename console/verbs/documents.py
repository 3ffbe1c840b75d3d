"""Verbs about documents in the store: query, show, delete, export."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from console import completion
from console.context import CliContext, send_command
from console.output import (
    as_json_list,
    fail,
    is_json,
    output_option,
    question,
    raw_stream,
    say_result,
    verb,
    write_chunks,
    wrote,
)
from engine.store.terms import terms
from engine.text import clean_line, counted

if TYPE_CHECKING:
    from engine.store.documents import Document

AROUND = 60  # characters beside a found word
TITLE = 80  # characters shown; a document without a title has its first line, which may be its whole text


# -- query -------------------------------------------------------------------------------------------------------------


NAMED = {"llm": "LLM", "frequency": "frequency"}
MAKES = {
    "llm": "from stage 1 on `rollout load --method llm PATH` makes some, from stage 2 on the rollout's share of all "
    "documents",
    "frequency": "`rollout load PATH` makes some",
}


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("text", nargs=-1, required=True)
@click.option("--limit", type=click.IntRange(1, 1000), default=10, show_default=True, help="Maximum number of results.")
@verb
def query(context: CliContext, text: tuple[str, ...], limit: int) -> None:
    """Search documents by served keywords, title and file name: first those with all words, then those with some.

    A word may look like an option: rollout query --onto. If no document has a word, the nearest one (one typo away) is
    searched for and named.
    """
    asked = clean_line(" ".join(text))
    hits = context.reader.documents(asked, limit)
    meant = context.reader.did_you_mean(asked)
    stems = _stems(meant or asked)
    rows: list[dict[str, Any]] = []
    lines = []
    for d in hits:
        stored = context.reader.document(d.id)
        matched = [keyword for keyword in d.keywords if stems & _stems(keyword)]
        snippet = _snippet(stored.text if stored else "", [*matched, *(meant or asked).split()])
        lines.append(_result_line(d, matched, snippet))
        found = {"matched": matched, "snippet": snippet}
        rows.append({"file": d.id, "title": d.title, "method": d.method, "keywords": d.keywords, **found})
    if is_json() or not lines:
        nothing = f"No document has {asked!r} in its keywords, title or file name."
        say_result({"query": asked, "did_you_mean": meant or None, "results": rows}, nothing)
    else:
        if meant:
            click.echo(
                f"Did you mean {meant!r}? No document has {asked!r} in its keywords, title or file name.", err=True
            )
        click.echo("\n".join(lines), file=raw_stream(sys.stdout))


def _result_line(d: Document, matched: list[str], snippet: str) -> str:
    words = [click.style(keyword, bold=True) for keyword in matched] + [k for k in d.keywords if k not in matched]
    return f"{d.id}  [{d.method}]  {clean_line(d.title, TITLE)}\n    {', '.join(words[:12])}" + (
        f"\n    {snippet}" if snippet else ""
    )


def _stems(text: str) -> set[str]:
    from engine.extraction.keywords import stem

    return {stem(word) for word in terms(text)}


def _snippet(text: str, words: list[str]) -> str:
    """Text around the first query word that occurs; "" if none does."""
    low = text.lower()
    if len(low) != len(text):
        low = text
    at = next((at for word in words if word and (at := low.find(word.lower())) >= 0), -1)
    if at < 0:
        return ""
    begin, end = max(0, at - AROUND), at + 2 * AROUND
    return clean_line(("…" if begin else "") + text[begin:end] + ("…" if end < len(text) else ""), 4 * AROUND)


def _text_of(document: Document) -> tuple[str, str]:
    from console.upload.referenced import text_of

    return text_of(document)


# -- one document ------------------------------------------------------------------------------------------------------


@click.group()
def documents() -> None:
    """Show a stored document, or delete it permanently."""


@documents.command()
@click.argument("id", shell_complete=completion.documents)
@click.option("--text", "with_text", is_flag=True, help="Include the full text.")
@verb
def show(context: CliContext, id: str, with_text: bool) -> None:
    """A document with the keywords of both methods."""
    from engine.plan.durations import iso
    from engine.store.stored_document import stored_document

    d = context.reader.document(id)
    if d is None:
        fail(f"There is no document {clean_line(id)!r}. `rollout query` finds ids.", code="no_document")
    assert d is not None
    text, why = _text_of(d) if with_text else ("", "")
    row: dict[str, Any] = {
        **msgspec.to_builtins(stored_document(d)),
        "text_kept": bool(d.text),
        "source": None if d.source is None else d.source.uri,
    }
    if with_text:
        row |= {"text": text, "text_missing": why}
    lines = [
        f"{d.id}  [{d.method}]  {clean_line(d.title, TITLE)}",
        f"  extracted {iso(d.updated)}, {d.arm} arm" + (", restored to frequency" if d.restored else ""),
        f"  frequency: {', '.join(d.frequency)}",
        *([f"  llm: {', '.join(d.llm)} (stage {d.llm_stage})"] if d.llm is not None else []),
        *([f"  shadow: {', '.join(d.shadow)}"] if d.shadow is not None else []),
        *(["", text or why] if with_text else []),
    ]
    say_result(row, "\n".join(lines))


@documents.command()
@click.argument("id", shell_complete=completion.documents)
@click.option("--yes", is_flag=True, help="Skip the question.")
@verb
def delete(context: CliContext, id: str, yes: bool) -> None:
    """Delete a document permanently: text, keywords and title. The log keeps its id and who deleted it."""
    unanswered = "Nothing was deleted; --yes skips the question."
    with question(unanswered):
        wanted = yes or click.confirm(f"Delete {clean_line(id)} permanently?", err=True)
    if not wanted:
        fail(unanswered, code="aborted")
    send_command(context, "delete_document", document=id)


# -- export ------------------------------------------------------------------------------------------------------------


@click.command()
@click.option("--method", type=click.Choice(["llm", "frequency"]), required=True, help="Which keywords.")
@click.option(
    "--limit", type=click.IntRange(1, 1_000_000), default=20, show_default=True, help="Maximum number of documents."
)
@output_option
@click.option("--random", "at_random", is_flag=True, help="A random sample instead of the latest.")
@click.option(
    "--seed", type=int, default=1, show_default=True, help="For --random: the same seed draws the same sample."
)
@click.option("--text/--no-text", default=False, help="Include the documents' text, to review grounding.")
@click.option(
    "--format",
    "kind",
    type=click.Choice(["json", "jsonl", "csv"]),
    default="json",
    show_default=True,
    help="One JSON list; one JSON object per line; or a table with keywords separated by semicolons.",
)
@verb
def export(
    context: CliContext, method: str, limit: int, output: Path, at_random: bool, seed: int, text: bool, kind: str
) -> None:
    """Documents as [{file, id, title, method, keywords, ...}].

    `--method llm` exports documents that serve LLM keywords; `--method frequency` exports frequency keywords, starting
    with the documents that serve them.
    """
    from console.tables import as_csv, as_lines
    from engine.store.export import chosen

    places = context.reader.read(lambda conn: chosen(conn, method, limit, seed if at_random else None))
    if not places:
        fail(f"No document serves {NAMED[method]} keywords yet: {MAKES[method]}.", code="no_data")
    exported = 0
    missing: list[str] = []  # why a document has no text

    def rows() -> Iterator[dict[str, Any]]:
        nonlocal exported
        for row in _exported(context, places, method, text):
            exported += 1
            if why := row.get("text_missing"):
                missing.append(why)
            yield row

    write_chunks(output, {"json": as_json_list, "jsonl": as_lines, "csv": as_csv}[kind](rows()))
    sentence = f"{counted(exported, 'document')} with {NAMED[method]} keywords in {output}."
    if missing:
        others = f" ({len(set(missing)) - 1} more reasons in `text_missing`)" if len(set(missing)) > 1 else ""
        sentence += f" {counted(len(missing), 'document')} without text: {missing[0]}{others}"
    wrote(output, sentence, **({"without_text": len(missing)} if missing else {}))


def _exported(context: CliContext, places: Sequence[int], method: str, text: bool) -> Iterator[dict[str, Any]]:
    from engine.plan.durations import iso
    from engine.store.export import page, pages

    for some in pages(places):
        for d in context.reader.read(partial(page, rows=some, method=method, text=text)):
            body, why = _text_of(d) if text else ("", "")
            keywords = list((d.llm or ()) if method == "llm" else d.frequency)
            yield {
                "file": d.id, "id": d.id, "title": d.title, "method": method, "keywords": keywords, "arm": d.arm,
                "updated": iso(d.updated), **({"text": body, "text_missing": why} if text else {}),
            }  # fmt: skip
