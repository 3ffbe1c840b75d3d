"""What a shell completes beside verbs and options: ids of triggers, checklist items, stages, messages and documents.

A shell asks at every press of tab: nothing here raises, and what cannot be read completes to nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import click

from console.context import Place, global_values

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

DOCUMENTS = 50

Pairs = Iterable[tuple[str, str]]
Complete = Callable[[click.Context, click.Parameter, str], "list[CompletionItem]"]


def place_of(ctx: click.Context) -> Place:
    """Completing runs no command, so the place is made from the global options that are typed already."""
    place = Place()
    place.take(global_values(ctx))
    return place


def completes(pairs: Callable[[Place], Pairs]) -> Complete:
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


def triggers(place: Place) -> Pairs:
    return [(trigger.id, str(trigger.action)) for trigger in place.plan.triggers]


def stages(place: Place) -> Pairs:
    return [(str(number), stage.name) for number, stage in enumerate(place.plan.stages)]


def items(place: Place) -> Pairs:
    """The current stage's checklist; the first stage's where there is no store yet."""
    from engine.store.folder import StoreError

    try:
        stage = place.reader.state().stage
    except StoreError:
        stage = 0
    of = place.plan.stages[stage : stage + 1]
    return [(item.id, item.text) for each in of for item in each.checklist]


def messages(place: Place) -> Pairs:
    return [(message.id, message.subject) for message in place.plan.messages]


def reminders(place: Place) -> Pairs:
    return [(reminder.id, reminder.text) for stage in place.plan.stages for reminder in stage.reminders]


def documents(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Ids that begin with what is typed: a store may hold a million, so the store looks for them."""

    def matching(place: Place) -> Pairs:
        from engine.store.documents import ids_beginning

        return place.reader.read(lambda conn: ids_beginning(conn, incomplete, DOCUMENTS))

    return completes(matching)(ctx, param, incomplete)
