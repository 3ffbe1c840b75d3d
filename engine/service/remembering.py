"""Compares the log with what this user's engine remembers of it outside the store, and keeps that memory."""

from __future__ import annotations

from engine.rollout.beyond import disown
from engine.service import rollback
from engine.service.access import may_run_an_engine
from engine.service.engine import REASON_LIMIT, Engine
from engine.store.added import Added, Lack, examine
from engine.store.head_memory import of_others
from engine.store.ownership import name_of
from engine.store.state_folder import SHOWN
from engine.text import clean_line


class Remembering:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._kept = -1  # rev of the last head kept
        self._distrusted_rev = 0  # of the head that the start found, when the log was not the remembered one

    def compare(self) -> Lack | Added | None:
        """At the start: what is wrong with a log that verifies."""
        engine = self._engine
        if engine.heads is None or engine.trust.broken:
            return None
        finding = examine(engine.conn, engine.heads.known)
        if finding is not None or engine.heads.known is None:
            finding = self._by_others(finding)
        engine.heads.distrusted = finding is not None
        self._distrusted_rev = engine.trust.head.rev
        return finding

    def _by_others(self, finding: Lack | Added | None) -> Lack | Added | None:
        """The same by what engines of other users remember, if they may have raised. The latest one to run vouches for
        the log; where this user remembers nothing, theirs counts."""
        engine = self._engine
        found = {
            uid: examine(engine.conn, known)
            for uid, known in of_others(engine.folder.path)
            if may_run_an_engine(engine.plan, engine.folder, uid)
        }
        last = next((uid for uid, one in found.items() if one is None), None)
        if last is not None:
            engine.event(f"{name_of(last)}'s engine ran on this store last; it recorded every raise in the log.")
            return None
        if finding is None and not found and engine.state.rev:
            engine.event(
                "Nothing outside the store confirms its log: this user has not run it on this machine and in this "
                f"place before, or {SHOWN} was lost. Its {engine.state.rev} decisions are taken over as they are."
            )
        return finding or next(iter(found.values()), None)

    async def disown(self, added: Added) -> None:
        """Take back what decisions gave that no engine recorded."""
        engine = self._engine
        engine.event(
            f"ALARM: {added.why}. Someone wrote to the store while no engine ran, or an engine ran on another machine "
            "or as another user. 0 % is in force. Find out which, check plan and ceiling, then resume with the cause."
        )
        ask = engine.ask(clean_line(added.why, REASON_LIMIT))
        await rollback.roll_back(engine, ask, automatic=lambda state: disown(engine.plan, added.known, state, ask))

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
