"""Automatic messages: those for a rollback or a hold, and the daily and weekly ones when due.

Each has a key made of its subject, so that neither a restart nor a second pass sends it twice.
"""

from __future__ import annotations

import math
from functools import partial

from engine.clock import pace
from engine.messages import outbox, overview, schedule
from engine.messages.draft import Draft
from engine.plan.model import Message
from engine.rollout.control import note
from engine.rollout.state import DOWN, Ask, Decision, State
from engine.service.engine import Engine
from engine.store import log
from engine.text import spoken

LOOK_BACK_S = 86400.0  # after a start, decisions older than this send no message
PROOF_S = 8.0  # a rollback's message waits this long for its proof
LOOK_S = 20.0


class Notifier:
    """Runs after each tick; quick when there is nothing to send."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        row = engine.conn.execute(
            "SELECT max(rev) FROM decision WHERE at < ?", (engine.clock.now() - LOOK_BACK_S,)
        ).fetchone()
        self._reported = int(row[0] or 0)
        self._looked = -math.inf

    async def tick(self) -> None:
        engine = self._engine
        if engine.view is None:
            return
        if engine.state.rev > self._reported:
            await self._decisions()
        await self._ended()
        if engine.clock.real() - self._looked >= LOOK_S / (20.0 if engine.rehearsal else 1.0):
            self._looked = engine.clock.real()
            await self._regular()

    async def _decisions(self) -> None:
        engine = self._engine
        for row in log.rows(engine.conn, after=self._reported, newest=False):
            d = row.decision
            if d.kind in DOWN and not self._proven(row.rev, d.at):
                return
            before = engine.conn.execute("SELECT stage FROM decision WHERE rev = ?", (row.rev - 1,)).fetchone()
            moved = before is None or before[0] != d.stage
            kind = schedule.ADOPTED if d.kind == "plan" and d.actor.kind == "person" else d.kind
            taken_back = not (d.kind == "rollback" and d.percent_bp == row.percent_from)
            if taken_back and not d.evidence.get("told"):
                for message in schedule.called_for(engine.plan, kind, d.stage, moved):
                    if message.automatic:
                        await self._queue(message, f"{message.id} {row.rev}", row.rev)
            self._reported = row.rev

    async def _ended(self) -> None:
        """Log that a message was delivered or given up, once that is known."""
        engine = self._engine
        for one in outbox.ended(engine.conn, engine.clock.now() - LOOK_BACK_S):
            how = "was delivered" if one.state == "sent" else f"was given up after {one.tries} tries ({one.error})"
            sentence = f"message {one.message} {how}: {one.subject}"
            ask = engine.ask(one.message, request_id=f"{one.state} {one.key}")
            evidence = {"state": one.state, "tries": one.tries, "error": one.error}

            def decide(
                state: State, ask: Ask = ask, sentence: str = sentence, evidence: dict[str, object] = evidence
            ) -> Decision:
                return note(state, ask, "message", sentence, evidence)

            await engine.commit(ask, decide)

    async def past_the_queue(self, kind: str, sentence: str) -> bool:
        """Send a message about something the store cannot record now. Return whether any address received it."""
        engine = self._engine
        body = (
            f"{spoken(sentence)}\n\nThe store refuses writes, so this message bypassed the queue and is not "
            "recorded there."
        )
        delivered = [
            await engine.dispatcher.past_the_queue(
                Draft(m.id, m.audience, f"{kind.upper()} {engine.plan.service}: {sentence}", body)
            )
            for m in schedule.called_for(engine.plan, kind, engine.state.stage, moved=False)
            if m.automatic
        ]
        return any(delivered)

    def _proven(self, rev: int, at: float) -> bool:
        proof = self._engine.view.rollback if self._engine.view else None
        if proof is None or proof.rev != rev:
            waited = self._engine.clock.now() - at
            return not 0 <= waited <= PROOF_S * pace(self._engine.clock)
        return proof.effective_ms is not None or proof.overdue

    async def _regular(self) -> None:
        engine = self._engine
        last = outbox.last_queued(engine.conn)
        began = engine.conn.execute("SELECT min(at) FROM decision").fetchone()[0] or engine.clock.now()
        for message, key in schedule.regular(engine.plan, engine.state.stage, began, engine.clock.now(), last):
            await self._queue(message, key)

    async def _queue(self, message: Message, key: str, about: int | None = None) -> None:
        engine = self._engine
        made = draft(engine, message, about)
        if made is None:
            return
        waits = engine.dispatcher.unreachable(made)
        exercise = engine.dispatcher.exercise.lower()
        kept = f"is kept; a {exercise} without addresses sends nothing" if engine.dispatcher.keeps else "is queued"
        how = f"waits, {waits}" if waits else kept
        sentence = f"message {made.message} {how}: {made.subject}"

        if engine.conn.execute("SELECT 1 FROM outbox WHERE request_id = ?", (key,)).fetchone() is None:
            ask = engine.ask(message.id, request_id=f"message {key}")
            queue = partial(engine.dispatcher.queue, draft=made, key=key)
            await engine.note(ask, "message", sentence, {"body": made.body}, queue)


def draft(engine: Engine, message: Message, about: int | None = None) -> Draft | None:
    """The message with current numbers; None before the first view."""
    if engine.view is None:
        return None
    return overview.draft(engine.conn, engine.plan, engine.view, message, about)
