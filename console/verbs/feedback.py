"""User feedback on the search, one item at a time or many from a file."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from console.context import CliContext, send_command
from console.output import FILE, Failed, fail, outcome, readable, say, verb
from engine.text import counted

A_BATCH = 500
FIELDS = ("kind", "document", "value", "text", "id", "source", "at")


@click.group()
def feedback() -> None:
    """User feedback. Complaints feed the triggers: in the default plan, more than 5 in a stage pause it, more than 10
    roll back."""


def common(command: Callable[..., None]) -> Callable[..., None]:
    """Options of every kind."""
    user = click.option("--user", default="", help="The user; counts once per document in the A/B test.")
    given = click.option("--id", "given", default="", help="A ticket number or similar; the same id counts once.")
    wrapped: Callable[..., None] = given(user(verb(command)))
    return wrapped


@feedback.command()
@click.argument("text", default="")
@click.option("--document", default="", help="The document concerned.")
@common
def complaint(context: CliContext, text: str, document: str, given: str, user: str) -> None:
    """A complaint about search quality."""
    send_command(context, "feedback", kind="complaint", text=text, document=document, id=given, source=user)


@feedback.command()
@click.argument("value", type=click.FloatRange(1, 5))
@click.option("--document", default="", help="The document concerned.")
@click.option("--text", default="", help="A comment with it.")
@common
def rating(context: CliContext, value: float, document: str, text: str, given: str, user: str) -> None:
    """A rating from 1 to 5; 4 and 5 are satisfied."""
    send_command(context, "feedback", kind="rating", value=value, document=document, text=text, id=given, source=user)


@feedback.command("click")
@click.argument("document")
@common
def opened(context: CliContext, document: str, given: str, user: str) -> None:
    """A search result that was opened."""
    send_command(context, "feedback", kind="click", document=document, id=given, source=user)


@feedback.command()
@click.argument("document")
@common
def impression(context: CliContext, document: str, given: str, user: str) -> None:
    """A search result that was shown."""
    send_command(context, "feedback", kind="impression", document=document, id=given, source=user)


@feedback.command("import")
@click.argument("file", type=FILE)
@verb
def import_(context: CliContext, file: Path) -> None:
    """Import a CSV file with a header, or JSON lines: kind, document, value, text, id, source, at. - is standard input.

    `at` (2026-11-25T14:03:07Z) assigns a row to that time and stage; the default is now. The same id counts once.
    """
    with readable(file, "Check the path, or give - for standard input."):
        text = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8-sig", errors="replace")
    troubles: list[str] = []
    rows = list(_json_lines(text, troubles) if text.lstrip().startswith("{") else _csv(text, str(file)))
    counts = {"new": 0, "complaints": 0}
    for begin in range(0, len(rows), A_BATCH):
        reply = context.client.command(
            "feedback_import", timeout_s=60.0, rows=rows[begin : begin + A_BATCH], first=begin + 1, file=file.name
        )
        if not reply.ok:
            fail(
                f"{reply.sentence} {begin} rows were sent before that; if you import again, rows with an id "
                "are not counted twice."
            )
        for name in counts:
            counts[name] += reply.data[name]
        troubles += reply.data["skipped"]
    for trouble in troubles[:20]:
        click.echo(f"skipped {trouble}", err=True)
    sentence = (
        f"{counted(len(rows), 'row')}, {counts['new']} new ({counted(counts['complaints'], 'complaint')}), "
        f"{len(troubles)} skipped."
    )
    body = {**outcome(troubles, "partial"), "sentence": sentence, "rows": len(rows), **counts, "skipped": troubles}
    say(body, sentence)
    if troubles:
        raise SystemExit(1)


def _json_lines(text: str, troubles: list[str]) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError:
            row = None
        if isinstance(row, dict):
            yield {key: row[key] for key in FIELDS if row.get(key) not in (None, "")}
        else:
            troubles.append(f"line {number}: not a JSON object")


def _csv(text: str, name: str) -> Iterator[dict[str, Any]]:
    reader = csv.DictReader(text.splitlines(keepends=True))
    if "kind" not in (reader.fieldnames or ()):
        raise Failed(
            f'{name} has no column "kind": its first line names the columns, {",".join(FIELDS)}, in any order.'
        )
    try:
        for row in reader:
            yield {key: row[key] for key in FIELDS if row.get(key)}
    except csv.Error as error:
        raise Failed(f"{name}, line {reader.line_num}: {error}.") from None
