"""`rollout rollback`: to 0 % now, with the proof, or undo it."""

from __future__ import annotations

import shlex
import time
from typing import TYPE_CHECKING, Any

import click

from console.context import CliContext, send_command, started_s
from console.output import fail, say, verb
from console.verbs.control import STAGES, StageNumber
from engine.text import counted, spoken

if TYPE_CHECKING:
    from engine.client.client import EngineClient
    from engine.client.without_engine import RollbackResult
    from engine.plan.locate import CandidateStores


@click.command()
@click.option(
    "--to",
    "to_stage",
    type=StageNumber("Nothing was rolled back. Without --to, `rollout rollback` goes to 0 %."),
    metavar="STAGE",
    shell_complete=STAGES,
    help="An earlier stage instead of 0 %.",
)
@click.option("--reason", default="", help="Optional; can be added later.")
@click.option("--undo", is_flag=True, help="Undo your own last rollback, within 60 s, if no trigger has fired since.")
@click.option("--epoch", type=int, help="With --undo: the epoch you reviewed, to undo another person's rollback.")
@click.option("--dry-run", is_flag=True, help="Show what would happen; change nothing.")
@verb
def rollback(
    context: CliContext, to_stage: int | None, reason: str, undo: bool, epoch: int | None, dry_run: bool
) -> None:
    """Go to 0 % now. Works with the engine dead, stopped or busy, and with a broken plan; prints the proof."""
    if undo:
        seen = _own(context) if epoch is None else epoch
        if dry_run:
            from console.verbs.dry_run import undo_would

            undo_would(context, reason, seen)
        else:
            send_command(context, "undo_rollback", reason=reason, epoch=seen)
        return
    if epoch is not None:
        raise click.UsageError("--epoch needs --undo: a rollback takes no epoch.")
    if dry_run:
        from console.verbs.dry_run import rollback_would

        rollback_would(context, to_stage)
        return
    _roll_back(context, to_stage, reason)


def _roll_back(context: CliContext, to_stage: int | None, reason: str) -> None:
    """The armed files first, then the records, then the proof."""
    done = (_disarm(context),) if to_stage is None else ()
    # the armed file is gone; slow imports come after it
    from msgspec import structs

    from engine.client.client import EngineClient
    from engine.text import clean_line

    client = EngineClient(context.store, lambda: context.plan_or_none, acting_name=context.display.acting_name)
    result = client.rollback(clean_line(reason, 500), "rollout rollback", to_stage, started_s(), done)
    elsewhere = _elsewhere(context, reason, to_stage)
    sentence = f"{result.sentence}\nStore: {context.store.path}"
    body: dict[str, Any] = {
        "ways": result.ways,
        "rev": result.rev,
        "store": str(context.store.path),
        "other_stores": [{"store": store, "ok": ok, "sentence": other} for store, ok, other in elsewhere],
    }
    if unsure := _unsure(context.candidate_stores, result, elsewhere, context.store.exists or bool(elsewhere)):
        fail("\n".join((unsure, sentence, *(f"Store: {s}: {w}" for s, _, w in elsewhere))), body, "other_stores")
    result = structs.replace(result, sentence="\n".join((sentence, *(f"Also in {s}: {w}" for s, _, w in elsewhere))))
    if not result.ok:
        fail("\n".join((result.sentence, *(spoken(way) for way in result.ways))), body, "not_certain")
    if result.engine == "none":
        _without_engine(context, result, body)
    else:
        _with_engine(context, client, result, body)


def _disarm(context: CliContext) -> str:
    """Remove the armed file of every store that the plan may mean; the outcome in the one that is rolled back."""
    from engine.store.folder import Folder, disarm_for_rollback

    outcome = disarm_for_rollback(context.store)
    for other in context.candidate_stores.others:
        disarm_for_rollback(Folder(other))
    return outcome


def _without_engine(context: CliContext, result: RollbackResult, body: dict[str, Any]) -> None:
    """No process runs that could prove it or update a neighbouring service."""
    from console.neighbour import apply_to_neighbour

    proven = "No engine runs and the armed file is gone: nothing can call the LLM through it."
    state, applied = apply_to_neighbour(context.store, context.plan_or_none, context.plan_exists)
    body["applied"] = {"state": state, "sentence": applied}
    sentence = f"{result.sentence}\nEffective in {result.took_s * 1000:.0f} ms. {proven}"
    _say_with_neighbour(sentence, {**body, "proof": None})


def _with_engine(context: CliContext, client: EngineClient, result: RollbackResult, body: dict[str, Any]) -> None:
    """Wait until 0 % is observed."""
    proof = _proof(client, result.request_id)
    body["proof"] = proof
    if proof is None or proof.get("effective_ms") is None:
        fail(f"{result.sentence}\n{_unproven(context, proof)}", body, "unconfirmed")
    sentence = f"{result.sentence}\n{proof['sentence']}"
    if not result.pushed:
        sentence = f"Rolled back to 0 %{result.instead}; the engine answered late.\n{proof['sentence']}"
        if result.instead:  # the engine was late with the requested step, and goes to 0 % after it
            sentence += "\nThe armed file is removed, so no LLM call can start."
    if offer := _offer(client):
        sentence += f"\n{offer}"
    proof = _settled(client, result.request_id, proof)
    state, applied = proof.get("applied") or "", proof.get("applied_sentence") or ""
    _say_with_neighbour(sentence, {**body, "proof": proof, "applied": {"state": state, "sentence": applied}})


def _say_with_neighbour(sentence: str, body: dict[str, Any]) -> None:
    """What was done, and what became of the neighbouring service (`applied`): exit 1 if that failed."""
    state, applied = body["applied"]["state"], body["applied"]["sentence"]
    if state:
        sentence += f"\n{_neighbour(state, applied)}"
    if state == "failed":
        fail(sentence, body, "not_applied")
    say({"ok": True, "sentence": sentence, **body}, sentence)


def _settled(client: EngineClient, request_id: str, proof: dict[str, Any]) -> dict[str, Any]:
    """The proof once the change was applied to the neighbouring service, or failed; after 3 s as it is."""
    until = time.monotonic() + 3.0
    while proof.get("applied") == "waiting" and time.monotonic() < until:
        time.sleep(0.05)
        reply = client.command("proof", timeout_s=1.0, of=request_id)
        proof = (reply.data.get("proof") if reply.ok else None) or proof
    return proof


def _neighbour(state: str, applied: str) -> str:
    """What is known about the neighbouring service."""
    if state == "failed":
        return f"The neighbouring service may still use the LLM. {applied}"
    if state == "waiting":
        return f"The neighbouring service may still use the LLM: {applied}. `rollout status` shows how it ends."
    return f"Neighbouring service: {applied}."


def _elsewhere(context: CliContext, reason: str, to_stage: int | None) -> list[tuple[str, bool, str]]:
    """Roll back every other store that the plan may mean: (store, done, result)."""
    from engine.client.client import EngineClient
    from engine.store.folder import Folder
    from engine.text import clean_line

    done = []
    for other in context.candidate_stores.others:
        folder = Folder(other)
        if folder.exists:
            client = EngineClient(folder, lambda: context.plan_or_none, acting_name=context.display.acting_name)
            result = client.rollback(clean_line(reason, 500), "rollout rollback", to_stage, started_s())
            done.append((str(other), result.ok, result.sentence))
    return done


def _unsure(
    stores: CandidateStores, result: RollbackResult, elsewhere: list[tuple[str, bool, str]], existed: bool
) -> str:
    """Why 0 % can't be certified; "" if the plan means exactly the store that was rolled back. `existed`: there was a
    store to roll back."""
    failed = [store for store, ok, _ in elsewhere if not ok]
    if failed:
        return f"NOT CERTAIN: this plan also ran with {', '.join(failed)}, where the rollback failed. See below."
    if not stores.doubt or (stores.remembered and result.engine == "answered"):
        return ""
    if stores.remembered:
        why = f"It last ran with {stores.first}, and no engine answers there."
    else:
        why = "The store it last ran with is unknown."
    done = "The likely stores were rolled back and their armed files removed" if existed else "No store is here"
    return (
        f"NOT CERTAIN that 0 % is in force: {stores.doubt}. {why} {done}; name the store: rollout --store DIR rollback"
    )


def _own(context: CliContext) -> int:
    """The epoch of this person's rollback; undoing another person's takes an explicit epoch."""
    seen = context.reader.state()
    last = next(iter(context.reader.log(1, kind="rollback")), None)
    if last is not None and last.actor != context.client.actor.name:
        fail(
            f"Not undone: the last rollback isn't yours: {last.sentence}. To undo that one: --undo --epoch "
            f"{last.epoch}."
        )
    return seen.epoch


def _proof(client: EngineClient, request_id: str) -> dict[str, Any] | None:
    """Poll until the engine has observed 0 %, for at most 5.5 s."""
    until = time.monotonic() + 5.5
    proof: dict[str, Any] | None = None
    while time.monotonic() < until:
        reply = client.command("proof", timeout_s=1.0, of=request_id)
        proof = reply.data.get("proof") if reply.ok else proof
        if proof is not None and (proof.get("effective_ms") is not None or proof.get("overdue")):
            break
        time.sleep(0.02)
    return proof


def _unproven(context: CliContext, proof: dict[str, Any] | None) -> str:
    """Loud: the reason as far as it is visible from here, and a command for any shell."""
    if proof is not None and proof.get("overdue"):
        return str(proof["sentence"])
    from console.liveness import process
    from engine.store.folder import StoreError
    from engine.store.reader import Reader

    try:
        pid = Reader(context.store).engine_record().pid
        state = {"stopped": "is stopped", "ended": "has ended"}.get(process(pid), "does not answer")
        why = f"the engine, process {pid}, {state}"
    except StoreError as error:
        why = f"the engine does not answer and {error}"
    return (
        f"NOT OBSERVED within 5 s: {why}. Without the armed file it sends no LLM call. "
        f"Make sure, in any shell: rm -f {shlex.quote(str(context.store.armed))}"
    )


def _offer(client: EngineClient) -> str:
    reply = client.command("restore", timeout_s=2.0, dry_run=True)
    count = reply.data.get("documents", 0) if reply.ok else 0
    return (
        f"{counted(count, 'document still serves', 'documents still serve')} what the LLM wrote: `rollout "
        "restore` puts the frequency keywords back."
        if count
        else ""
    )
