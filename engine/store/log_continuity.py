"""Whether the log is the one that this user's engine wrote: complete up to the remembered head, and continued only by
what may happen without an engine."""

from __future__ import annotations

import sqlite3

from msgspec import Struct

from engine.rollout.state import State, transition
from engine.rollout.unrecorded import opens_the_way_up
from engine.store import log
from engine.store.head_memory import RememberedHead
from engine.store.log import Row
from engine.text import percent

UNREMEMBERED = 10  # epochs that may have passed since the last tick that remembered one
SHOWN = 3


class MissingHead(Struct, frozen=True):
    """The log lacks the remembered head: `why` as a clause. `epochs_used`: no higher epoch was in use."""

    why: str
    epochs_used: int


class AddedDecisions(Struct, frozen=True):
    """The log has decisions beyond the remembered head that only an engine makes. `known`: the state before them."""

    why: str
    known: State


def examine(conn: sqlite3.Connection, known: RememberedHead | None) -> MissingHead | AddedDecisions | None:
    """What is wrong with a log whose chain verifies; None if nothing is, or nothing is remembered."""
    if known is None:
        return None
    state, at_head, last, contains_head = State(), State(), 0, known.rev == 0
    added: list[Row] = []
    for row in log.every(conn):
        after = transition(state, row.decision)
        if (row.rev, row.hash) in ((known.rev, known.hash), (known.coming_rev, known.coming_hash)):
            contains_head, last, added, at_head = True, row.rev, [], after
        elif row.rev > last and contains_head and (added or opens_the_way_up(state, row.decision, after)):
            added.append(row)
        state = after
    if not contains_head:
        return MissingHead(
            f"the log was cut or replaced while no engine ran: it does not contain decision {known.rev} "
            f"({known.hash[:12]}), the last that this user's engine recorded",
            known.epoch + UNREMEMBERED,
        )
    return AddedDecisions(_why(added, last), at_head) if added else None


def _why(added: list[Row], last: int) -> str:
    what = [f"{row.decision.kind} to {percent(row.decision.percent_bp)} as {row.decision.actor.name}" for row in added]
    more = f" and {len(what) - SHOWN} more" if len(what) > SHOWN else ""
    return (
        f"no engine of this user recorded decision{'s' if len(added) > 1 else ''} {_range(added)} of the log "
        f"({'; '.join(what[:SHOWN])}{more}); the last it recorded is {last}"
    )


def _range(added: list[Row]) -> str:
    first, last = added[0].rev, added[-1].rev
    return str(first) if first == last else f"{first} to {last}"
