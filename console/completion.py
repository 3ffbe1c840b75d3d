"""Shell completion beyond verbs and options: ids of triggers, checklist items, stages, messages and documents.

The shell calls this at every press of Tab: nothing here raises, and what can't be read completes to nothing.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import click

from console.context import CliContext
from console.output import global_values

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

DOCUMENTS = 50

Pairs = Iterable[tuple[str, str]]
Complete = Callable[[click.Context, click.Parameter, str], "list[CompletionItem]"]


def place_of(ctx: click.Context) -> CliContext:
    """Completion runs no command, so it builds the context from the global options typed so far."""
    context = CliContext()
    context.take(global_values(ctx))
    return context


def completes(pairs: Callable[[CliContext], Pairs]) -> Complete:
    """For `shell_complete`: (id, description) pairs that start with the typed text."""

    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        entries: list[CompletionItem] = []
        # no plan, a broken or a lost one, a store closed to this user: the shell can't show a reason
        with contextlib.suppress(Exception), contextlib.redirect_stderr(io.StringIO()):
            for name, text in pairs(place_of(ctx)):
                if name.startswith(incomplete):
                    entries.append(CompletionItem(name, help=_line(text)))
        return entries

    return complete


def _line(text: str) -> str:
    from engine.text import clean_line

    return clean_line(text.replace(",", ";"), 80)  # click's script for fish cuts at a comma


def files(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The shell's own completion of files, for what may be a URL too."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(incomplete, type="file")]


def triggers(context: CliContext) -> Pairs:
    return [(trigger.id, str(trigger.action)) for trigger in context.plan.triggers]


def stages(context: CliContext) -> Pairs:
    return [(str(number), stage.name) for number, stage in enumerate(context.plan.stages)]


def goals(context: CliContext) -> Pairs:
    """What `rollout wait` waits for. Most goals are known without a plan."""
    yield from (("stable", ""), ("gate-open", ""), ("rolled-back", ""))
    yield from ((f"stage={number}", name) for number, name in stages(context))


def jobs(context: CliContext) -> Pairs:
    from engine.store.jobs import listed

    return [(str(job.id), f"{job.state}: {job.sources}") for job, _ in context.reader.read(listed)]


def scenarios(_: CliContext) -> Pairs:
    from engine.gameday import scenario

    return [(name, scenario.load(name).title) for name in scenario.names()]


def items(context: CliContext) -> Pairs:
    """The current stage's checklist; the first stage's before the store exists."""
    from engine.store.folder import StoreError

    try:
        stage = context.reader.state().stage
    except StoreError:
        stage = 0
    of = context.plan.stages[stage : stage + 1]
    return [(item.id, item.text) for item_stage in of for item in item_stage.checklist]


def messages(context: CliContext) -> Pairs:
    return [(message.id, message.subject) for message in context.plan.messages]


def reminders(context: CliContext) -> Pairs:
    return [(reminder.id, reminder.text) for stage in context.plan.stages for reminder in stage.reminders]


def documents(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Ids that start with the typed text. The store searches, because it may hold a million."""

    def matching(context: CliContext) -> Pairs:
        from engine.store.documents import ids_beginning

        return context.reader.read(lambda conn: ids_beginning(conn, incomplete, DOCUMENTS))

    return completes(matching)(ctx, param, incomplete)
