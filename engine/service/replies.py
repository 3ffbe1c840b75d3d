"""What a client gets for a command: the outcome of a commit, or a refusal, as a reply."""

from __future__ import annotations

from typing import Any

from engine.client.client import Reply
from engine.rollout.state import Refusal
from engine.store.log import Outcome
from engine.text import spoken


def to_reply(outcome: Outcome, **data: Any) -> Reply:
    """The outcome of a commit as a reply."""
    if outcome.decision is None:
        return refusal_reply(outcome.refusal or Refusal("Nothing to do."), data)
    decision = outcome.decision
    known = {"rev": outcome.state.rev, "epoch": outcome.state.epoch, **data}
    return Reply(True, spoken(decision.sentence, decision.actor.name), known)


def refusal_reply(refusal: Refusal, data: dict[str, Any] | None = None) -> Reply:
    """A refusal as a reply, with its code."""
    code = {"code": refusal.code} if refusal.code else {}
    return Reply(False, refusal.sentence, {**(data or {}), **code})
