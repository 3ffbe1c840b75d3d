"""Down, and the armed file. A rollback takes effect first, is recorded second, and is proven third.

Nothing on the way down waits for a lock, a gate, a disk or a question.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import uuid
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

import msgspec
from msgspec.structs import replace

from engine.decoding import convert
from engine.rollout import control
from engine.rollout.state import DOWN, Actor, Ask, Decision, State, transition
from engine.service.engine import REASON_LIMIT, Engine, machine_time
from engine.service.proof import Proof, ToProve
from engine.store import log
from engine.store.intents import Intent
from engine.store.log import Outcome
from engine.text import clean_line

# how long a rollback's answer waits for its record; after that an intent file is written first, so that a kill does not
# lose who pressed R and why
ANSWER_S = 0.05
INTENT_S = 0.05  # how long the answer waits for that file: a console waits 0.2 s for the answer
RETRY_S = 1.0  # between two tries to record what the writer gave up
PROOFS = 32
LEFT = "left while the engine did not answer"
DAY_S = 86_400.0
FIRST = asyncio.FIRST_COMPLETED

Decide = Callable[[State], Decision | None]


def disarm(engine: Engine) -> None:
    """Remove the armed file. If that fails, invalidate it: from here on it permits nothing."""
    engine.switch.armed = None
    with contextlib.suppress(OSError):
        engine.folder.disarm()


def own_id(engine: Engine, ask: Ask, to_stage: int | None) -> Ask:
    """The rollback's own id: sent again, the same rollback keeps it while in force. So does one whose console did not
    wait for the answer and left an intent too.

    Otherwise it gets a new id and is carried out: an id used for another request must not answer for it, nor one
    whose record the present store does not have.
    """
    known = engine.proofs.get(ask.request_id)
    same = known is not None and _is_same(known, ask) and _is_in_force(engine, known)
    if same and not engine.switch.shut:
        return ask
    used = None
    with contextlib.suppress(sqlite3.Error):  # a store that cannot be read stops no rollback
        used = engine.conn.execute("SELECT 1 FROM decision WHERE request_id = ?", (ask.request_id,)).fetchone()
    return ask if known is None and used is None else replace(ask, request_id=uuid.uuid4().hex)


def _is_same(known: Proof, ask: Ask) -> bool:
    """Whether this is the rollback that is known under its id. One from an intent has no digest of a request."""
    view = known.view
    by_intent = not known.of.request and view.actor == ask.actor.name and view.reason == ask.reason
    return known.of.request == ask.request or by_intent


def _is_in_force(engine: Engine, known: Proof) -> bool:
    """By its cap until it is recorded, by the log from then on."""
    return not known.view.rev or engine.state.percent_bp <= known.of.target_bp


# -- down: in force first ----------------------------------------------------------------------------------------------


async def roll_back(
    engine: Engine,
    ask: Ask,
    to_stage: int | None = None,
    automatic: Decide | None = None,
    pressed: float | None = None,
    how: str = "",
) -> tuple[Outcome | None, Proof]:
    """The outcome is None while the store cannot record it: the rollback is in force and the record is retried.

    `automatic` is a trigger's action instead of a person's; it is decided again inside the transaction, so that a
    promotion which lands in between is rolled back too. `pressed`: see `Proof`. `how` is added to the log's sentence.
    """
    if (known := engine.proofs.get(ask.request_id)) is not None:  # sent again, and in force: see `own_id`
        return None, known
    decide: Decide = automatic or (lambda state: control.roll_back(engine.plan, state, ask, to_stage, how))
    before = _expected(engine)
    made = decide(before)
    target = before.percent_bp if made is None else made.percent_bp
    proof = Proof(
        engine.pipeline,
        engine.switch,
        engine.leases,
        engine.clock,
        str(engine.folder.armed),
        ToProve(
            actor=ask.actor.name,
            reason=ask.reason,
            automatic=automatic is not None,
            target_bp=target,
            leads_to=before if made is None else transition(before, made),
            pressed=_possible(engine, pressed),
            request=ask.request,
        ),
    )
    _take_effect(engine, ask, proof)
    committed: list[float] = []

    def job(conn: sqlite3.Connection) -> Outcome:
        outcome = engine.commit_on(conn, ask, decide)
        committed.append(engine.clock.real())
        return outcome

    def submit() -> Future[Outcome]:
        return engine.writer.control(job, insist=True)

    # submitted in this instruction: no promotion is queued in between
    recording = engine.background(_record(engine, ask, proof, submit(), submit, committed))
    engine.background(_prove(engine, ask, proof, recording))
    with contextlib.suppress(TimeoutError):
        return await asyncio.wait_for(asyncio.shield(recording), ANSWER_S), proof
    await asyncio.wait(
        [recording, engine.background(_keep_intent(engine, ask, recording))], timeout=INTENT_S, return_when=FIRST
    )
    return (recording.result() if recording.done() else None), proof


def _take_effect(engine: Engine, ask: Ask, proof: Proof) -> None:
    """Put the rollback into force: when this returns no call starts, those in flight end, and after a rollback to 0
    % the armed file is gone."""
    engine.switch.cap(ask.request_id, proof.of.target_bp)
    proof.effect(engine.calls_ended)
    engine.calls_ended = 0
    if proof.of.target_bp == 0:
        disarm(engine)
    engine.proof = proof
    engine.proofs[ask.request_id] = proof
    while len(engine.proofs) > PROOFS:
        engine.proofs.pop(next(iter(engine.proofs)))


async def alarm(engine: Engine, what: str) -> None:
    """Roll back because the store was changed; recording that also corrects the control row."""
    engine.event(f"ALARM: {what}. Someone with write access to the store changed it; 0 % is in force.")
    await roll_back(engine, engine.ask(clean_line(f"the store was changed: {what}", REASON_LIMIT)))


def _expected(engine: Engine) -> State:
    """The state that the last rollback leads to, though it is not recorded yet: the next one is decided on it."""
    last = engine.proof
    return last.of.leads_to if last is not None and engine.switch.pending and not last.view.rev else engine.state


def _possible(engine: Engine, pressed: float | None) -> float | None:
    """A plausible time of the key press: not in the future, nor from before the machine booted."""
    return pressed if pressed is not None and 0 <= engine.clock.real() - pressed < DAY_S else None


async def _record(
    engine: Engine,
    ask: Ask,
    proof: Proof,
    job: Future[Outcome],
    submit: Callable[[], Future[Outcome]],
    committed: list[float],
) -> Outcome | None:
    """Follow the job that records it, and submit it again after an error that the writer does not retry: a disk's read
    error looks like a damaged database, and may pass."""
    while True:
        try:
            outcome = await engine.follow(job)
            break
        except (sqlite3.Error, log.Fenced, OSError, asyncio.CancelledError) as error:
            engine.event(f"The rollback is in force and not yet recorded: {error or 'the engine is stopping'}.")
            if isinstance(error, asyncio.CancelledError):
                _leave_intent(engine, ask)
                raise
            await asyncio.to_thread(_leave_intent, engine, ask)
            if not isinstance(error, sqlite3.Error):
                return None  # the cap stays in this process, whatever the row has
        await asyncio.sleep(RETRY_S)
        job = submit()
    proof.recorded(outcome.state.rev, committed[-1])
    if outcome.state.percent_bp < proof.of.target_bp:  # something was decided in between
        engine.pipeline.cancel_calls()
        if outcome.state.percent_bp == 0:
            disarm(engine)
    engine.switch.clear_cap(ask.request_id)
    if engine.switch.armed_file == "foreign":
        removal = engine.folder.armed_removal
        engine.event(f"The armed file could not be removed; it no longer permits anything: {removal}")
    await asyncio.to_thread(_tidy, engine, ask)
    return outcome


async def _keep_intent(engine: Engine, ask: Ask, recording: asyncio.Task[Outcome | None]) -> None:
    """A file with who and why, until the row exists."""
    await asyncio.to_thread(_leave_intent, engine, ask)
    if recording.done() and not recording.cancelled() and recording.result() is not None:
        await asyncio.to_thread(_tidy, engine, ask)  # the row was committed while the file was written


def _leave_intent(engine: Engine, ask: Ask) -> None:
    proof = engine.proofs.get(ask.request_id)
    is_kept = False
    if engine.writer.opened.files.differs():  # it would belong to another store; the armed file stays removed, at least
        engine.folder.sync()
    else:
        with contextlib.suppress(OSError):
            engine.folder.leave_intent(_intent(ask, proof))
            is_kept = True
    if proof is not None:
        proof.is_kept_nowhere = not is_kept


def _intent(ask: Ask, proof: Proof | None) -> Intent:
    actor = {name: getattr(ask.actor, name) for name in ("name", "uid", "kind", "ssh", "terminal")}
    target_bp = 0 if proof is None else proof.of.target_bp
    return Intent(ask.request_id, machine_time(), actor, ask.reason, ask.seen, target_bp=target_bp)


def _tidy(engine: Engine, ask: Ask) -> None:
    """Cleanup that may wait for the disk."""
    with contextlib.suppress(OSError):
        engine.folder.remove_intent(ask.request_id)
    engine.folder.sync()
    engine.folder.lay_ballast()


async def _prove(engine: Engine, ask: Ask, proof: Proof, recording: asyncio.Task[Outcome | None]) -> None:
    """The proof becomes a row of the log that references the rollback's."""
    await proof.run()
    if proof.view.overdue:
        engine.event(proof.view.sentence)
    outcome = await asyncio.shield(recording)
    if outcome is None or outcome.decision is None:
        return
    rev = outcome.state.rev
    about = engine.ask()
    evidence = {"of": rev, **msgspec.to_builtins(proof.view)}
    sentence = f"rollback {rev}: {proof.view.sentence}"
    with contextlib.suppress(sqlite3.Error, log.Fenced):
        await engine.note(about, "proof", sentence, evidence, insist=True)


async def apply_intents(engine: Engine) -> None:
    """Rollbacks that consoles, or the previous engine, left as files."""
    for path, intent in engine.folder.intents():
        known = {k: v for k, v in intent.actor.items() if k in ("name", "uid", "kind", "ssh", "terminal")}
        try:
            actor = convert({"name": "unknown", **known}, Actor)
        except msgspec.ValidationError:
            actor = Actor("unknown")
        actor = _owned(intent.owner, actor)
        reason = clean_line(intent.reason, REASON_LIMIT)
        if (recorded := log.find(engine.conn, intent.request_id)) is not None and _is_of(recorded, actor, intent):
            _remove(engine, path)
            continue
        proof = engine.proofs.get(intent.request_id)
        if proof is not None and recorded is None and proof.of.target_bp <= intent.target_bp:
            continue  # in force, and being recorded
        request_id = intent.request_id if recorded is None and proof is None else uuid.uuid4().hex
        ask = engine.ask(reason, actor, request_id, clean_line(intent.seen, 2000))
        if request_id != intent.request_id and not _remove(engine, path) and not engine.state.percent_bp:
            continue  # otherwise every tick would apply it
        odd = control.zero_instead(engine.plan, intent.to_stage, engine.state.stage)
        await roll_back(engine, ask, pressed=intent.pressed, how=f" ({'; '.join(filter(None, (odd, LEFT)))})")
        engine.event(f"A rollback by {actor.name}, {LEFT}, was applied.")


def _remove(engine: Engine, path: Path) -> bool:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        engine.event(
            f"The rollback in {path} is recorded and its file cannot be removed ({error.strerror}): remove it."
        )
        return False
    return True


def _is_of(recorded: Decision, actor: Actor, intent: Intent) -> bool:
    """Whether the log has exactly this rollback; an id used for another request does not count."""
    reason = clean_line(intent.reason, REASON_LIMIT)
    return recorded.kind in DOWN and recorded.actor.uid == actor.uid and recorded.reason == reason


def _owned(owner: int, actor: Actor) -> Actor:
    """An intent's author is its file's owner, regardless of the content; only the engine's own user may speak for
    others."""
    name, ssh, terminal = clean_line(actor.name, 64), clean_line(actor.ssh, 200), clean_line(actor.terminal, 64)
    trusted = owner in (0, os.geteuid())
    kind = actor.kind if trusted and actor.kind in ("person", "engine", "http") else "person"
    uid = actor.uid if trusted else owner
    return Actor(name, uid, kind, ssh, terminal)
