"""Verbs that decide: promote, approve, hold, resume, rollback, restore, sign."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from console.place import Place, fail, json_option, say

if TYPE_CHECKING:
    from engine.client import EngineClient


def _send(place: Place, as_json: bool, kind: str, **fields: Any) -> None:
    reply = place.client.command(kind, **fields)
    if not reply.ok:
        fail(reply.sentence, as_json, reply.data)
    say({"ok": True, "sentence": reply.sentence, **reply.data}, reply.sentence, as_json)


@click.command()
@click.option("--reason", default="", help="Needed to override a gate that is not open; stays in the log.")
@click.option("--override", is_flag=True, help="Pass although the gate misses something. Needs --reason.")
@click.option("--epoch", type=int, help="The epoch you looked at; default: the one now.")
@json_option
@click.pass_obj
def promote(place: Place, reason: str, override: bool, epoch: int | None, as_json: bool) -> None:
    """One step up, through the gate."""
    seen = place.reader.state()
    fields = {"epoch": seen.epoch if epoch is None else epoch, "reason": reason, "override": override}
    _send(place, as_json, "promote", **fields)


@click.command()
@json_option
@click.pass_obj
def approve(place: Place, as_json: bool) -> None:
    """Approve the next step."""
    _send(place, as_json, "approve")


@click.command()
@click.option("--reason", default="", help="Why; shown to everyone.")
@json_option
@click.pass_obj
def hold(place: Place, reason: str, as_json: bool) -> None:
    """Keep the gate shut until someone resumes. The percentage stays."""
    _send(place, as_json, "hold", reason=reason)


@click.command()
@click.option(
    "--reason", "--cause", default="", help="The cause of an automatic rollback, in words; it opens the lock."
)
@json_option
@click.pass_obj
def resume(place: Place, reason: str, as_json: bool) -> None:
    """Release a hold, or the lock after an automatic rollback."""
    _send(place, as_json, "resume", reason=reason)


@click.command()
@click.option("--to", "to_stage", type=click.IntRange(0), help="An earlier stage instead of 0 %.")
@click.option("--reason", default="", help="Optional; can be added later.")
@click.option("--undo", is_flag=True, help="Take back a rollback by hand, within 60 s, if nothing tripped since.")
@json_option
@click.pass_obj
def rollback(place: Place, to_stage: int | None, reason: str, undo: bool, as_json: bool) -> None:
    """To 0 % now. Works with the engine dead, stopped or busy, and with a broken plan; prints the proof."""
    if undo:
        _send(place, as_json, "undo_rollback", reason=reason)
        return
    from engine.store.folder import take_key_out

    done = () if to_stage is not None else (take_key_out(place.store),)
    # the key is out; what is slow to load comes after it
    from engine.client import EngineClient
    from engine.text import clean_line

    client = EngineClient(place.store, place.plan_or_none)
    result = client.rollback(clean_line(reason, 500), "rollout rollback", to_stage, started_s(), done)
    told: dict[str, Any] = {"ways": result.ways, "rev": result.rev}
    if not result.ok:
        fail("\n".join((result.sentence, *result.ways)), as_json, told)
    if result.engine == "none":
        proven = "No engine runs and the armed file is out: nothing can call the LLM."
        sentence = f"{result.sentence}\nEffective in {result.took_s * 1000:.0f} ms. {proven}"
        say({"ok": True, "sentence": sentence, **told, "proof": None}, sentence, as_json)
        return
    proof = _proof(client, result.request_id)
    told["proof"] = proof
    if proof is None or proof.get("effective_ms") is None:
        fail(f"{result.sentence}\n{_unproven(place, proof)}", as_json, told)
    sentence = f"{result.sentence}\n{proof['sentence']}"
    if offer := _offer(client):
        sentence += f"\n{offer}"
    say({"ok": True, "sentence": sentence, **told}, sentence, as_json)


def started_s() -> float | None:
    """When this command was started, on the machine's monotonic clock: the stopwatch runs from the person's key."""
    try:
        ticks = Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19]
        return int(ticks) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return None


def _proof(client: EngineClient, request_id: str) -> dict[str, Any] | None:
    """Ask until the engine has observed 0 %, at most a little over 5 s."""
    until = time.monotonic() + 5.5
    proof: dict[str, Any] | None = None
    while time.monotonic() < until:
        reply = client.command("proof", timeout_s=1.0, of=request_id)
        proof = reply.data.get("proof") if reply.ok else proof
        if proof is not None and (proof.get("effective_ms") is not None or proof.get("overdue")):
            break
        time.sleep(0.02)
    return proof


def _unproven(place: Place, proof: dict[str, Any] | None) -> str:
    """Loud: the reason as far as it can be seen from here, and what to do in any shell."""
    if proof is not None and proof.get("overdue"):
        return str(proof["sentence"])
    from console.link import process
    from engine.store.folder import StoreError
    from engine.store.reader import Reader

    try:
        pid = Reader(place.store).glance().pid
        state = {"stopped": "is stopped", "ended": "has ended"}.get(process(pid), "does not answer")
        why = f"the engine, process {pid}, {state}"
    except StoreError as error:
        why = f"the engine does not answer and {error}"
    return (
        f"NOT OBSERVED within 5 s: {why}. Without the armed file it sends no LLM call. "
        f"Make sure, in any shell: rm -f {place.store.armed}"
    )


def _offer(client: EngineClient) -> str:
    reply = client.command("restore", timeout_s=2.0, dry_run=True)
    count = reply.data.get("documents", 0) if reply.ok else 0
    return (
        f"{count} documents still serve what the LLM wrote: `rollout restore` puts the frequency keywords back."
        if count
        else ""
    )


@click.command()
@click.option("--since", default="", help="Only what the LLM wrote since then: 2h, 30m, or 2026-11-24T14:03Z.")
@click.option("--until", default="", help="Only what it wrote up to then.")
@click.option("--stage", type=click.IntRange(0), help="Only what it wrote in this stage.")
@click.option("--dry-run", is_flag=True, help="Say which documents, change nothing.")
@click.option("--undo", is_flag=True, help="Serve the LLM keywords of the last restore again.")
@json_option
@click.pass_obj
def restore(place: Place, since: str, until: str, stage: int | None, dry_run: bool, undo: bool, as_json: bool) -> None:
    """Serve frequency keywords again for documents that the LLM wrote: one transaction, and it can be undone."""
    if undo:
        _send(place, as_json, "undo_restore")
        return
    from engine.plan.durations import parse_when

    now = time.time()
    try:
        start = parse_when(since, now) if since else None
        end = parse_when(until, now) if until else None
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    _send(place, as_json, "restore", since=start, until=end, stage=stage, dry_run=dry_run)


@click.command()
@click.argument("item", required=False)
@click.option("--note", default="", help="What you saw.")
@click.option("--check", "by_machine", is_flag=True, help="Have the machine check it instead.")
@click.option("--revoke", is_flag=True, help="Take a signature back.")
@json_option
@click.pass_obj
def sign(place: Place, item: str | None, note: str, by_machine: bool, revoke: bool, as_json: bool) -> None:
    """Sign a checklist item of the current stage; without ITEM, list them."""
    if item is None:
        view = place.reader.glance().view
        if view is None:
            fail("The engine has shown nothing yet. Start it with `rollout` or `rollout serve`.", as_json)
        mark = {"done": "[x]", "open": "[ ]", "failed": "[!]"}
        lines = [f"{mark[i.state]} {i.id:<24} {i.text}" + (f"  ({i.by})" if i.by else "") for i in view.gate.items]
        say({"items": view.gate.items}, "\n".join(lines) or "This stage has no checklist.", as_json)
        return
    kind = "revoke" if revoke else "check" if by_machine else "sign"
    _send(place, as_json, kind, item=item, note=note)
