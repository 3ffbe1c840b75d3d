"""What a shell completes beside verbs and options: ids of triggers, checklist items, stages, messages and documents.

A shell asks at every press of tab: nothing here raises, and what cannot be read completes to nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import click

from console.context import CliContext, global_values

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

DOCUMENTS = 50

Pairs = Iterable[tuple[str, str]]
Complete = Callable[[click.Context, click.Parameter, str], "list[CompletionItem]"]


def place_of(ctx: click.Context) -> CliContext:
    """Completing runs no command, so the place is made from the global options that are typed already."""
    context = CliContext()
    context.take(global_values(ctx))
    return context


def completes(pairs: Callable[[CliContext], Pairs]) -> Complete:
    """For `shell_complete`: (id, what it is), of those that begin with what is typed."""

    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        try:
            found = list(pairs(place_of(ctx)))
        except (
            Exception
        ):  # no plan here, a broken one, a store that is not open to this user: a shell has no place for a reason
            return []
        return [CompletionItem(name, help=_line(text)) for name, text in found if name.startswith(incomplete)]

    return complete


def _line(text: str) -> str:
    from engine.text import clean_line

    return clean_line(text, 80)


def triggers(context: CliContext) -> Pairs:
    return [(trigger.id, str(trigger.action)) for trigger in context.plan.triggers]


def stages(context: CliContext) -> Pairs:
    return [(str(number), stage.name) for number, stage in enumerate(context.plan.stages)]


def items(context: CliContext) -> Pairs:
    """The current stage's checklist; the first stage's where there is no store yet."""
    from engine.store.folder import StoreError

    try:
        stage = context.reader.state().stage
    except StoreError:
        stage = 0
    of = context.plan.stages[stage : stage + 1]
    return [(item.id, item.text) for each in of for item in each.checklist]


def messages(context: CliContext) -> Pairs:
    return [(message.id, message.subject) for message in context.plan.messages]


def reminders(context: CliContext) -> Pairs:
    return [(reminder.id, reminder.text) for stage in context.plan.stages for reminder in stage.reminders]


def documents(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Ids that begin with what is typed: a store may hold a million, so the store looks for them."""

    def matching(context: CliContext) -> Pairs:
        from engine.store.documents import ids_beginning

        return context.reader.read(lambda conn: ids_beginning(conn, incomplete, DOCUMENTS))

    return completes(matching)(ctx, param, incomplete)
