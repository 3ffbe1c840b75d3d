"""Verbs that decide: promote, approve, hold, resume, rollback, restore, sign."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from console import completion
from console.completion import completes
from console.context import CliContext, fail, json_option, refuse, say
from engine.text import counted

if TYPE_CHECKING:
    from engine.client.client import EngineClient, RollbackResult
    from engine.plan.locate import Meant

STAGES = completes(completion.stages)


class StageNumber(click.IntRange):
    """A stage's number, 0 or more; its error adds the `consequence` of the mistake."""

    def __init__(self, consequence: str) -> None:
        super().__init__(0)
        self.consequence = consequence

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            self.fail(f"{value!r} is not a stage's number (0, 1, 2, ...). {self.consequence}", param, ctx)


def _send(context: CliContext, as_json: bool, kind: str, **fields: Any) -> None:
    reply = context.client.command(kind, **fields)
    if not reply.ok:
        refuse(reply, as_json, reply.data)
    say({"ok": True, "sentence": reply.sentence, **reply.data}, reply.sentence, as_json)


@click.command()
@click.option("--reason", default="", help="Required with --override; stays in the log.")
@click.option("--override", is_flag=True, help="Promote although the gate is shut. Needs --reason.")
@click.option(
    "--to",
    "to_stage",
    type=click.IntRange(0),
    shell_complete=STAGES,
    help="The stage you expect to reach; refused if it isn't the next one.",
)
@click.option("--epoch", type=int, help="Epoch you reviewed (`rollout status` shows it); default: current.")
@click.option("--dry-run", is_flag=True, help="Show what would happen; change nothing.")
@json_option
@click.pass_obj
def promote(
    context: CliContext,
    reason: str,
    override: bool,
    to_stage: int | None,
    epoch: int | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """One step up, through the gate. Without --to or --epoch: the stage that was next when this command started.

    --dry-run judges the gate as it is now; it doesn't rerun the machine checks that a promotion reruns.
    """
    seen = context.reader.state()
    fields: dict[str, Any] = {"epoch": seen.epoch if epoch is None else epoch, "reason": reason, "override": override}
    if dry_run:
        _send(context, as_json, "would", of="promote", **fields, to_stage=to_stage)
        return
    if to_stage is None and epoch is None:
        started = started_s()  # who pressed Enter before another promotion landed has not seen it
        tick_s = 1 / os.sysconf("SC_CLK_TCK")
        fields["launched"] = None if started is None else started + tick_s
    _send(context, as_json, "promote", **fields, to_stage=to_stage)


@click.command()
@json_option
@click.pass_obj
def approve(context: CliContext, as_json: bool) -> None:
    """Approve the next step."""
    _send(context, as_json, "approve")


@click.command()
@click.option("--reason", default="", help="Why; shown to everyone.")
@json_option
@click.pass_obj
def hold(context: CliContext, reason: str, as_json: bool) -> None:
    """Keep the gate shut until someone resumes. The percentage stays."""
    _send(context, as_json, "hold", reason=reason)


@click.command()
@click.option(
    "--reason", "--cause", default="", help="The cause of the automatic rollback; required to release its lock."
)
@click.option("--epoch", type=int, help="Epoch you reviewed; default: current.")
@json_option
@click.pass_obj
def resume(context: CliContext, reason: str, epoch: int | None, as_json: bool) -> None:
    """Release a hold, or the lock after an automatic rollback."""
    seen = context.reader.state()
    _send(context, as_json, "resume", reason=reason, epoch=seen.epoch if epoch is None else epoch)


@click.command()
@click.argument("percentage", type=click.FloatRange(0, 100))
@click.option("--reason", default="", help="Why; stays in the log.")
@click.option("--epoch", type=int, help="Epoch you reviewed; default: current.")
@json_option
@click.pass_obj
def ceiling(context: CliContext, percentage: float, reason: str, epoch: int | None, as_json: bool) -> None:
    """Cap the percentage in force, whatever is decided. Raising it stops at the engine's environment; restarting the
    engine without that environment doesn't raise it."""
    seen = context.reader.state()
    fields = {"percent_bp": round(percentage * 100), "epoch": seen.epoch if epoch is None else epoch, "reason": reason}
    _send(context, as_json, "ceiling", **fields)


@click.command()
@click.option(
    "--to",
    "to_stage",
    type=StageNumber("Nothing was rolled back. Without --to, `rollout rollback` goes to 0 %."),
    shell_complete=STAGES,
    help="An earlier stage instead of 0 %.",
)
@click.option("--reason", default="", help="Optional; can be added later.")
@click.option("--undo", is_flag=True, help="Undo your own last rollback, within 60 s, if no trigger has tripped since.")
@click.option("--epoch", type=int, help="With --undo: the epoch you reviewed, to undo another person's rollback.")
@click.option("--dry-run", is_flag=True, help="Show what would happen; change nothing.")
@json_option
@click.pass_obj
def rollback(
    context: CliContext, to_stage: int | None, reason: str, undo: bool, epoch: int | None, dry_run: bool, as_json: bool
) -> None:
    """Go to 0 % now. Works with the engine dead, stopped or busy, and with a broken plan; prints the proof."""
    if undo:
        fields = {"reason": reason, "epoch": _own(context, as_json) if epoch is None else epoch}
        if dry_run:
            _send(context, as_json, "would", of="undo_rollback", **fields)
        else:
            _send(context, as_json, "undo_rollback", **fields)
        return
    if epoch is not None:
        raise click.UsageError("--epoch needs --undo: a rollback takes no epoch.")
    if dry_run:
        from console.verbs.dry_run import rollback_would

        rollback_would(context, to_stage, as_json)
        return
    _roll_back(context, to_stage, reason, as_json)


def _roll_back(context: CliContext, to_stage: int | None, reason: str, as_json: bool) -> None:
    """The armed files first, then the records, then the proof."""
    done = (_disarm(context),) if to_stage is None else ()
    # the armed file is gone; slow imports come after it
    from msgspec import structs

    from engine.client.client import EngineClient
    from engine.text import clean_line

    client = EngineClient(context.store, context.plan_or_none, goes_by=context.manner.goes_by)
    result = client.rollback(clean_line(reason, 500), "rollout rollback", to_stage, started_s(), done)
    elsewhere = _elsewhere(context, reason, to_stage)
    sentence = f"{result.sentence}\nStore: {context.store.path}"
    body: dict[str, Any] = {
        "ways": result.ways,
        "rev": result.rev,
        "store": str(context.store.path),
        "other_stores": [{"store": store, "ok": ok, "sentence": other} for store, ok, other in elsewhere],
    }
    if unsure := _unsure(context.meant, result, elsewhere):
        fail(
            "\n".join((unsure, sentence, *(f"Store: {s}: {w}" for s, _, w in elsewhere))), as_json, body, "other_stores"
        )
    result = structs.replace(result, sentence="\n".join((sentence, *(f"Also in {s}: {w}" for s, _, w in elsewhere))))
    if not result.ok:
        fail("\n".join((result.sentence, *result.ways)), as_json, body, "not_certain")
    if result.engine == "none":
        _without_engine(context, result, body, as_json)
    else:
        _with_engine(context, client, result, body, as_json)


def _disarm(context: CliContext) -> str:
    """Remove the armed file of every store that the plan may mean; the outcome in the one that is rolled back."""
    from engine.store.folder import Folder, disarm_for_rollback

    outcome = disarm_for_rollback(context.store)
    for other in context.meant.others:
        disarm_for_rollback(Folder(other))
    return outcome


def _without_engine(context: CliContext, result: RollbackResult, body: dict[str, Any], as_json: bool) -> None:
    """No process runs that could prove it or update a neighbouring service."""
    from console.beside import apply_beside

    proven = "No engine runs and the armed file is gone: nothing can call the LLM through it."
    state, applied = apply_beside(context.store, context.plan_or_none, context.plan_exists)
    body["applied"] = {"state": state, "sentence": applied}
    sentence = f"{result.sentence}\nEffective in {result.took_s * 1000:.0f} ms. {proven}"
    if state == "failed":
        fail(f"{sentence}\n{_neighbour(state, applied)}", as_json, body, "not_applied")
    if state:
        sentence += f"\n{_neighbour(state, applied)}"
    say({"ok": True, "sentence": sentence, **body, "proof": None}, sentence, as_json)


def _with_engine(
    context: CliContext, client: EngineClient, result: RollbackResult, body: dict[str, Any], as_json: bool
) -> None:
    """Wait until 0 % is observed."""
    proof = _proof(client, result.request_id)
    body["proof"] = proof
    if proof is None or proof.get("effective_ms") is None:
        fail(f"{result.sentence}\n{_unproven(context, proof)}", as_json, body, "unconfirmed")
    late = f"Rolled back to 0 %{result.instead}; the engine was slow to answer and has done it."
    head = result.sentence if result.pushed else late
    sentence = f"{head}\n{proof['sentence']}"
    if offer := _offer(client):
        sentence += f"\n{offer}"
    proof = _settled(client, result.request_id, proof)
    state, applied = proof.get("applied") or "", proof.get("applied_sentence") or ""
    body |= {"proof": proof, "applied": {"state": state, "sentence": applied}}
    if state == "failed":
        fail(f"{sentence}\n{_neighbour(state, applied)}", as_json, body, "not_applied")
    if state:
        sentence += f"\n{_neighbour(state, applied)}"
    say({"ok": True, "sentence": sentence, **body}, sentence, as_json)


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
    for other in context.meant.others:
        folder = Folder(other)
        if folder.exists:
            client = EngineClient(folder, context.plan_or_none, goes_by=context.manner.goes_by)
            result = client.rollback(clean_line(reason, 500), "rollout rollback", to_stage, started_s())
            done.append((str(other), result.ok, result.sentence))
    return done


def _unsure(meant: Meant, result: RollbackResult, elsewhere: list[tuple[str, bool, str]]) -> str:
    """Why 0 % can't be certified; "" if the plan means exactly the store that was rolled back."""
    failed = [store for store, ok, _ in elsewhere if not ok]
    if failed:
        return f"NOT CERTAIN: this plan also ran with {', '.join(failed)}, where the rollback failed. See below."
    if not meant.doubt or (meant.remembered and result.engine == "answered"):
        return ""
    if meant.remembered:
        why = f"It last ran with {meant.first}, and no engine answers there."
    else:
        why = "The store it last ran with is unknown."
    return (
        f"NOT CERTAIN that 0 % is in force: {meant.doubt}. {why} The likely stores were rolled back and their "
        "armed files removed; name the store: rollout --store DIR rollback"
    )


def _own(context: CliContext, as_json: bool) -> int:
    """The epoch of this person's rollback; undoing another person's takes an explicit epoch."""
    seen = context.reader.state()
    last = next(iter(context.reader.log(1, kind="rollback")), None)
    if last is not None and last.actor != context.client.actor.name:
        fail(
            f"Not undone: the last rollback isn't yours: {last.sentence}. To undo that one: --undo --epoch "
            f"{last.epoch}.",
            as_json,
        )
    return seen.epoch


def started_s() -> float | None:
    """When this command started, on the monotonic clock: the stopwatch runs from the Enter key."""
    try:
        ticks = Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19]
        return int(ticks) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return None


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
    from console.link import process
    from engine.store.folder import StoreError
    from engine.store.reader import Reader

    try:
        pid = Reader(context.store).glance().pid
        state = {"stopped": "is stopped", "ended": "has ended"}.get(process(pid), "does not answer")
        why = f"the engine, process {pid}, {state}"
    except StoreError as error:
        why = f"the engine does not answer and {error}"
    return (
        f"NOT OBSERVED within 5 s: {why}. Without the armed file it sends no LLM call. "
        f"Make sure, in any shell: rm -f {context.store.armed}"
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


@click.command()
@click.option("--since", default="", help="Only LLM keywords written since then: 2h, 30m, or 2026-11-24T14:03Z.")
@click.option("--until", default="", help="Only those written up to then.")
@click.option("--stage", type=click.IntRange(0), shell_complete=STAGES, help="Only those written in this stage.")
@click.option(
    "--bad-window", is_flag=True, help="Only those written between the first sign of trouble and the last rollback."
)
@click.option("--dry-run", is_flag=True, help="Show which documents would change and how; change nothing.")
@click.option(
    "--limit", type=click.IntRange(1, 10_000), default=20, show_default=True, help="Documents that --dry-run lists."
)
@click.option("--undo", is_flag=True, help="Serve the LLM keywords of the last restore again.")
@json_option
@click.pass_obj
def restore(
    context: CliContext,
    since: str,
    until: str,
    stage: int | None,
    bad_window: bool,
    dry_run: bool,
    limit: int,
    undo: bool,
    as_json: bool,
) -> None:
    """Serve frequency keywords again for documents with LLM keywords, in one transaction. --undo reverts it."""
    if undo:
        if dry_run:
            from console.verbs.dry_run import undo_restore_would

            undo_restore_would(context, as_json)
        else:
            _send(context, as_json, "undo_restore")
        return
    from engine.plan.durations import parse_when

    if bad_window and (since or until or stage is not None):
        raise click.UsageError("--bad-window sets its own window; drop --since, --until and --stage.")
    now = context.now()
    try:
        start = parse_when(since, now) if since else None
        end = parse_when(until, now) if until else None
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    window: dict[str, Any] = {"since": start, "until": end, "stage": stage, "bad_window": bad_window}
    if not dry_run:
        _send(context, as_json, "restore", **window)
        return
    reply = context.client.command("restore", **window, dry_run=True, limit=limit)
    if not reply.ok:
        refuse(reply, as_json, reply.data)
    sample = reply.data["sample"]
    lines = [reply.sentence, *(line for document in sample for line in _difference(document))]
    if reply.data["documents"] > len(sample):
        lines.append(f"... and {reply.data['documents'] - len(sample)} more; raise --limit to list them.")
    say({"ok": True, "sentence": reply.sentence, **reply.data}, "\n".join(lines), as_json)


def _difference(document: dict[str, Any]) -> list[str]:
    """What a restore would do to one document, as a diff: - removed, + added, = kept."""
    from engine.plan.durations import iso

    llm, plain = document["llm"], document["frequency"]
    lines = [f"{document['id']}  written {iso(document['llm_at'])} in stage {document['stage']}"]
    for sign, words in (
        ("-", [word for word in llm if word not in plain]),
        ("+", [word for word in plain if word not in llm]),
        ("=", [word for word in plain if word in llm]),
    ):
        if words:
            lines.append(f"  {sign} {', '.join(words)}")
    return lines


@click.command()
@click.argument("item", required=False, shell_complete=completes(completion.items))
@click.option("--note", default="", help="What you saw.")
@click.option("--check", "by_machine", is_flag=True, help="Run the machine check instead.")
@click.option("--revoke", is_flag=True, help="Withdraw a signature.")
@json_option
@click.pass_obj
def sign(context: CliContext, item: str | None, note: str, by_machine: bool, revoke: bool, as_json: bool) -> None:
    """Sign a checklist item of the current stage; without ITEM, list them."""
    if item is None:
        from engine.gate import checklist

        state = context.reader.state()
        items = context.reader.read(lambda conn: checklist.read(conn, context.plan, state))
        mark = {"done": "[x]", "open": "[ ]", "failed": "[!]"}
        lines = [
            f"{mark[i.state]} {i.id:<24} {i.text}" + (f"  ({i.note})" if i.lapsed else f"  ({i.by})" if i.by else "")
            for i in items
        ]
        say({"items": items}, "\n".join(lines) or "This stage has no checklist.", as_json)
        return
    kind = "revoke" if revoke else "check" if by_machine else "sign"
    _send(context, as_json, kind, item=item, note=note)
