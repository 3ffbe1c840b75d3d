"""Compares the log with what this user's engine remembers of it outside the store, and keeps that memory."""

from __future__ import annotations

import os

from engine.rollout.unrecorded import revoke_unrecorded
from engine.service import rollback
from engine.service.engine import REASON_LIMIT, Engine
from engine.service.log_confirmation import confirm
from engine.store.log_continuity import AddedDecisions, MissingHead
from engine.store.ownership import name_of
from engine.store.state_folder import SHOWN
from engine.text import clean_line


class LogMemory:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._kept = -1  # rev of the last head kept
        self._distrusted_rev = 0  # of the head that the start found, when the log was not the remembered one

    def compare(self) -> MissingHead | AddedDecisions | None:
        """What is wrong, at the start, with a log whose chain verifies."""
        engine = self._engine
        if engine.heads is None or engine.trust.broken:
            return None
        seen = confirm(engine.conn, engine.plan, engine.folder, engine.heads.known)
        if seen.confirmed_by is not None and seen.confirmed_by != os.geteuid():
            engine.event(
                f"{name_of(seen.confirmed_by)}'s engine ran on this store last; it recorded every raise in the log."
            )
        elif seen.confirmed_by is None and seen.finding is None and engine.state.rev:
            engine.event(
                "Nothing outside the store confirms its log: this user has not run it on this machine and in this "
                f"place before, or {SHOWN} was lost. Its {engine.state.rev} decisions are accepted as they are."
            )
        engine.heads.distrusted = seen.finding is not None
        self._distrusted_rev = engine.trust.head.rev
        return seen.finding

    async def revoke_unrecorded(self, added: AddedDecisions) -> None:
        """Take back what decisions gave that no engine recorded."""
        engine = self._engine
        engine.event(
            f"ALARM: {added.why}. Someone wrote to the store while no engine ran, or an engine ran on another machine "
            "or as another user. 0 % is in force. Find out which, check plan and ceiling, then resume with the cause."
        )
        ask = engine.ask(clean_line(added.why, REASON_LIMIT))
        await rollback.roll_back(
            engine, ask, automatic=lambda state: revoke_unrecorded(engine.plan, added.known, state, ask)
        )

    def keep(self) -> None:
        """Keep the head, so that the next start sees a log that was cut, replaced or continued by something else."""
        engine, head = self._engine, self._engine.trust.head
        if engine.heads is None or engine.trust.broken or head.rev == self._kept:
            return
        if engine.heads.distrusted:
            # until it is recorded what is wrong, the next start must find the same
            settled = head.rev > self._distrusted_rev and not (engine.switch.pending or engine.state.percent_bp)
            engine.heads.distrusted = not settled
        if not engine.heads.distrusted:
            if engine.heads.problem:
                engine.event(
                    f"The head of the log can't be kept outside the store, in {engine.heads.folder} "
                    f"({engine.heads.problem}): the next start won't notice decisions that no engine recorded."
                )
            self._kept = head.rev
            engine.heads.keep(head)
