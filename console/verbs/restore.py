"""`rollout restore`: frequency keywords again for documents that serve the LLM's, or undo that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from console.context import CliContext, send_command
from console.output import fail, say_result, verb
from console.verbs.control import STAGES

if TYPE_CHECKING:
    from engine.store.restore_preview import DocumentSelection


@click.command()
@click.option("--since", default="", help="Only LLM keywords written since then: 2h, 30m, or 2026-11-24T14:03Z.")
@click.option("--until", default="", help="Only those written up to then.")
@click.option(
    "--stage", type=click.IntRange(0), metavar="STAGE", shell_complete=STAGES, help="Only those written in this stage."
)
@click.option(
    "--bad-window", is_flag=True, help="Only those written between the first sign of trouble and the last rollback."
)
@click.option("--dry-run", is_flag=True, help="Show which documents would change and how; change nothing.")
@click.option(
    "--limit", type=click.IntRange(1, 10_000), default=20, show_default=True, help="Documents that --dry-run lists."
)
@click.option("--undo", is_flag=True, help="Serve the LLM keywords of the last restore again.")
@verb
def restore(
    context: CliContext,
    since: str,
    until: str,
    stage: int | None,
    bad_window: bool,
    dry_run: bool,
    limit: int,
    undo: bool,
) -> None:
    """Serve frequency keywords again for documents with LLM keywords, in one transaction. --undo reverts it."""
    if undo:
        if dry_run:
            from console.verbs.dry_run import undo_restore_would

            undo_restore_would(context)
        else:
            send_command(context, "undo_restore")
        return
    from engine.plan.durations import parse_when
    from engine.store.restore_preview import DocumentSelection

    if bad_window and (since or until or stage is not None):
        raise click.UsageError("--bad-window sets its own window; drop --since, --until and --stage.")
    now = context.now()
    try:
        start = parse_when(since, now) if since else None
        end = parse_when(until, now) if until else None
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    if dry_run:
        _preview(context, DocumentSelection(start, end, stage), bad_window, limit)
    else:
        send_command(context, "restore", since=start, until=end, stage=stage, bad_window=bad_window)


def _preview(context: CliContext, selection: DocumentSelection, bad_window: bool, limit: int) -> None:
    from engine.store import restore_preview

    chosen = context.reader.read(restore_preview.bad_window) if bad_window else selection
    if chosen is None:
        fail(restore_preview.NO_BAD_WINDOW, code="refused")
    sentence, found = context.reader.read(lambda conn: restore_preview.preview(conn, chosen, limit))
    sample = found["sample"]
    lines = [sentence, *(line for document in sample for line in _difference(document))]
    if found["documents"] > len(sample):
        lines.append(f"... and {found['documents'] - len(sample)} more; raise --limit to list them.")
    say_result({"ok": True, "sentence": sentence, **found}, "\n".join(lines))


def _difference(document: dict[str, Any]) -> list[str]:
    """What a restore would do to one document, as a diff: - removed, + added, = kept."""
    from engine.plan.durations import iso

    llm, plain = document["llm"], document["frequency"]
    lines = [f"{document['id']}  written {iso(document['llm_at'])} in stage {document['stage']}"]
    for sign, words in (
        ("-", [word for word in llm if word not in plain]),
        ("+", [word for word in plain if word not in llm]),
        ("=", [word for word in plain if word in llm]),
    ):
        if words:
            lines.append(f"  {sign} {', '.join(words)}")
    return lines
