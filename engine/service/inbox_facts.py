"""What waits for a person: the facts behind the inbox's tasks, and the messages that are due. Reads, writes nothing."""

from __future__ import annotations

from engine.messages import outbox, schedule
from engine.plan.model import Message
from engine.rollout.state import stage_of
from engine.service.engine import COMPLAINTS, Engine
from engine.service.escalation import acknowledged
from engine.store import log
from engine.text import counted
from engine.triggers.measurement import Ok
from engine.view import inbox
from engine.view.model import EngineView, ProofView


def messages_due(engine: Engine) -> tuple[Message, ...]:
    """Messages of the plan that wait for a person to send them."""
    plan, state = engine.plan, engine.state
    if not plan.messages:
        return ()
    return schedule.due(plan, state.stage, state.entered_at, engine.clock.now(), outbox.last_queued(engine.conn))


def messages_waiting(due: tuple[Message, ...]) -> tuple[str, ...]:
    names = ", ".join(m.id.replace("_", " ") for m in due)
    return (f"{counted(len(due), 'message')} to send (9): {names}",) if due else ()


def inbox_facts(
    engine: Engine, running: EngineView, proof: ProofView | None, messages: tuple[Message, ...], overruled: str
) -> inbox.InboxFacts:
    """What waits for a person now. `overruled`: why 0 % is in force though more was decided; "" if it is not."""
    state, monitor = engine.state, engine.monitor
    complaints, complained_at = _unread_complaints(engine)
    to_review, review_of = _to_review(engine)
    # a rollback that was undone, or that later promotions have passed, needs no explanation any more
    unexplained = proof is not None and not proof.automatic and not proof.reason and proof.rev == state.last_rev
    locked_by = log.locked_by(engine.conn, state)
    held_by, held_why = log.held_by(engine.conn, state)
    return inbox.InboxFacts(
        alarm="" if acknowledged(engine) else f"{locked_by} fired" if locked_by else monitor.alarm,
        locked_by=locked_by,
        held_by=held_by,
        held_why=held_why,
        misplaced=engine.misplaced,
        plan_changed=engine.plan_watch.sentence,
        blind=monitor.verdict.blind_why,
        overruled=overruled,
        problems=running.problems,
        unexplained=proof.rev
        if proof is not None and unexplained and not state.percent_bp and not _explained(engine, proof.rev)
        else 0,
        complaints=complaints,
        complained_at=complained_at,
        to_review=to_review,
        review_of=review_of,
        unarmed=_unarmed(engine),
        rules_unproven=monitor.gatekeeper.rules_unproven(state, engine.conn),
        messages=tuple((m.id, m.id.replace("_", " ")) for m in messages),
    )


def _unarmed(engine: Engine) -> bool:
    """After a rollback the armed file is missing: the shadow of the stage it fell to waits until a person puts it
    back."""
    stage = stage_of(engine.plan, engine.state)
    return bool(stage and stage.shadow_bp and engine.state.last_rev) and engine.switch.armed_file != "in"


def _explained(engine: Engine, rev: int) -> bool:
    row = engine.conn.execute(
        "SELECT 1 FROM decision WHERE kind = 'reason' AND rev > ? AND json_extract(body, '$.evidence.of') = ? LIMIT 1",
        (rev, rev),
    ).fetchone()
    return row is not None


def _unread_complaints(engine: Engine) -> tuple[int, float | None]:
    """Complaints of this stage that came after a person last ticked them off, and when the first of them came."""
    state = engine.state
    since, stage = state.entered_at, state.stage
    row = engine.conn.execute(
        "SELECT count(*), min(at) FROM feedback WHERE kind = 'complaint' AND stage = ? AND at >= ? AND at > "
        "coalesce((SELECT max(done) FROM reminder WHERE id = ? AND stage = ?), 0)",
        (stage, since, COMPLAINTS, stage),
    ).fetchone()
    return row[0], row[1]


def _to_review(engine: Engine) -> tuple[int, int]:
    """(documents still to be judged, documents that this stage asks for); none while the LLM has written nothing to
    review."""
    stage = stage_of(engine.plan, engine.state)
    if stage is None or stage.sampling is None:
        return 0, 0
    sample = engine.monitor.gatekeeper.facts(engine.state).samples.get("quality_score")
    judged = sample.n if isinstance(sample, Ok) else 0
    wanted = stage.sampling.documents
    if judged >= wanted or not engine.restorable().every.documents:
        return 0, wanted
    return wanted - judged, wanted
