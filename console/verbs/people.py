"""Verbs for people: messages, the log, the report and its notes, a backup."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from console import completion
from console.completion import completes
from console.context import CliContext, send_command
from console.output import (
    FILE,
    fail,
    is_json,
    json_option,
    refuse,
    say,
    say_result,
    verb,
    write_prose,
    write_text,
    wrote,
)

if TYPE_CHECKING:
    import sqlite3

    from engine.service.log_confirmation import LogConfirmation
    from engine.store.verification import Verification


@click.group()
def notify() -> None:
    """Messages of the communication plan."""


@notify.command()
@click.argument("kind", required=False, shell_complete=completes(completion.messages))
@verb
def preview(context: CliContext, kind: str | None) -> None:
    """Show a message with current figures; without KIND, list the messages."""
    if kind is None:
        lines = [f"{m.id:<24} {m.audience:<13} {m.when:<9} {m.subject}" for m in context.plan.messages]
        say_result(
            [{"id": m.id, "audience": m.audience, "when": m.when, "subject": m.subject} for m in context.plan.messages],
            "\n".join(lines),
        )
        return
    reply = context.client.command("preview", id=kind)
    if not reply.ok:
        refuse(reply)
    if reply.data.get("note") and not is_json():
        click.echo(reply.data["note"], err=True)
    say_result(reply.data, f"Subject: {reply.data['subject']}\n\n{reply.data['body']}")


@notify.command()
@click.argument("kind", shell_complete=completes(completion.messages))
@verb
def send(context: CliContext, kind: str) -> None:
    """Queue a message. Delivery is retried for several hours."""
    send_command(context, "message", id=kind)


@notify.command()
@verb
def queue(context: CliContext) -> None:
    """Messages sent and waiting, newest first. Needs no engine."""

    from engine.messages.outbox import deliveries
    from engine.plan.durations import iso
    from engine.text import counted

    result = context.reader.read(deliveries)
    lines = [
        f"{iso(d.at)} {d.state:<8} {d.message:<18} {d.subject}"
        + (f"  ({counted(d.tries, 'try', 'tries')}, {d.error})" if d.error else "")
        for d in result
    ]
    say_result(result, "\n".join(lines) or "No message was sent yet.")


@notify.command()
@verb
def retry(context: CliContext) -> None:
    """Retry waiting and failed messages now."""
    send_command(context, "resend")


@notify.command()
@verb
def test(context: CliContext) -> None:
    """Send a test message to every address now and show the results."""
    send_command(context, "notify_test", timeout_s=90.0)


@click.command()
@click.argument("reminder", required=False, shell_complete=completes(completion.reminders))
@verb
def due(context: CliContext, reminder: str | None) -> None:
    """This stage's monitoring and when it is due. With REMINDER, tick it off under your name."""
    import msgspec

    from engine.plan.durations import format_duration, iso

    if reminder is not None:
        send_command(context, "remind", id=reminder)
        return
    from console.verbs.status import seen

    view, old = seen(context)
    result = view.reminders if view is not None else ()
    lines = [old] if old else []
    lines += [
        f"{r.id:<14} "
        f"{'DUE since ' + iso(r.due) if r.overdue else 'in ' + format_duration(max(60.0, r.due - view.at))}: "
        f"{r.text}"
        for r in result
        if view is not None
    ]
    if not result:
        lines.append("No monitoring is planned for this stage.")
    say_result([{**msgspec.to_builtins(r), "due": iso(r.due)} for r in result], "\n".join(lines))


@click.command()
@click.option(
    "--limit", type=click.IntRange(1, 100_000), default=50, show_default=True, help="Maximum number of decisions."
)
@click.option("--filter", "text", default="", help="Only decisions that contain this text.")
@click.option("--kind", default="", help="Only this kind: promote, rollback, trigger, hold, sign, ...")
@click.option("--verify", is_flag=True, help="Check the hash chain, and that a replay yields the current state.")
@click.option("--head", help="With --verify: this head, noted earlier (a backup prints it), must be in the chain.")
@verb
def log(context: CliContext, limit: int, text: str, kind: str, verify: bool, head: str | None) -> None:
    """The decision log, newest last."""
    if verify or head is not None:
        noted = "" if head is None else head.strip().lower()
        if head is not None and not re.fullmatch("[0-9a-f]{8,64}", noted):
            raise click.UsageError(
                f"{head!r} is not a head: give 8 to 64 hexadecimal digits, as `rollout backup` and --verify print them."
            )
        _verify(context, noted)
        return

    from engine.plan.durations import iso

    rows = context.reader.log(limit, text=text, kind=kind)[::-1]
    lines = [f"{row.rev:>5} {iso(row.at)} {row.kind:<13} {row.sentence}" for row in rows]
    say_result(rows, "\n".join(lines) or "No decision matches.")


def _verify(context: CliContext, noted: str) -> None:
    import msgspec

    from engine.service.log_confirmation import confirm
    from engine.store.database import read_transaction
    from engine.store.head_memory import recall
    from engine.store.ownership import name_of
    from engine.store.verification import verify

    plan = context.plan_or_none

    def compared(conn: sqlite3.Connection) -> tuple[Verification, LogConfirmation | None]:
        with read_transaction(conn):
            checked = verify(conn, noted)
            return checked, confirm(conn, plan, context.folder, known) if checked.ok else None

    known = None
    result, seen = context.reader.read(compared)
    while (latest := recall(context.folder.path)) != known:
        known = latest  # an engine that decides now remembers it before it is in the log
        result, seen = context.reader.read(compared)
    if seen is None:
        fail(result.sentence, code="log_broken")
    if seen.finding is not None:
        fail(f"The log is a chain of {result.decisions} decisions, but {seen.finding.why}.", code="log_broken")
    if seen.confirmed_by is None:
        outside = "No record of it was found outside the store, so a replaced or extended log would pass too."
    else:
        outside = (
            f"{name_of(seen.confirmed_by)}'s engine also recorded its last raise outside the store, and the log has "
            "none after it."
        )
    sentence = f"{result.sentence} {outside}"
    body = {**msgspec.to_builtins(result), "sentence": sentence, "remembered": seen.confirmed_by is not None}
    say(body, sentence)


@click.command()
@click.option(
    "--format", "form", type=click.Choice(["md", "html"]), default="md", show_default=True, help="Markdown or HTML."
)
@click.option("--output", type=FILE, help="A file instead of the terminal; .html selects HTML.")
@json_option
@click.pass_context
def report(ctx: click.Context, form: str, output: Path | None) -> None:
    """The whole rollout for readers who were not involved: figures, incidents, decisions, lessons. Needs no engine."""
    from engine.report import gather, html, markdown

    context: CliContext = ctx.obj
    given = ctx.get_parameter_source("form") is not click.core.ParameterSource.DEFAULT
    if output is not None and output.suffix in (".html", ".htm") and not given:
        form = "html"
    plan = context.plan
    story = context.reader.read(lambda conn: gather(conn, plan))
    text = html(story) if form == "html" else markdown(story)
    if output is None or str(output) == "-":
        write_prose(Path("-"), text)
        return
    write_text(output, text)
    missing = [chapter.heading for chapter in story.review if not chapter.written]
    hint = f" Still empty: {', '.join(missing)}; add to them with `rollout note`." if missing else ""
    wrote(output, f"Wrote {output}.{hint}")


@click.command()
@click.argument("kind", type=click.Choice(["well", "improve", "lesson", "action", "handover"]))
@click.argument("text", nargs=-1)
@verb
def note(context: CliContext, kind: str, text: tuple[str, ...]) -> None:
    """Add to the report: what went well, what to improve, a lesson, an action item. TEXT, or standard input.

    `handover` leaves a note for the next on-call instead: the console shows it at attach until they dismiss it.
    """
    content = " ".join(text) if text and text != ("-",) else sys.stdin.read()
    send_command(context, "note", kind=kind, text=content)


@click.command()
@click.argument("path", type=FILE)
@verb
def backup(context: CliContext, path: Path) -> None:
    """Copy the store to PATH while the engine runs, and verify the copy."""
    from engine.store.backup import take

    if path.exists():
        fail(f"{path} already exists; choose another name.", code="exists")
    result = take(context.folder, path)
    if not result.ok:
        fail(result.sentence, code="store")
    say(result, result.sentence[0].upper() + result.sentence[1:] + ".")
