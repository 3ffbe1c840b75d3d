"""Verbs that decide: promote, approve, hold, resume, rollback, restore, sign."""

from __future__ import annotations

import time
from typing import Any

import click

from console.place import Place, fail, json_option, say


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
    """To 0 % now. Works with the engine dead, stopped or busy; prints the proof."""
    if undo:
        _send(place, as_json, "undo_rollback", reason=reason)
        return
    result = place.client.rollback(reason, "rollout rollback", to_stage)
    if not result.ok:
        fail(result.sentence, as_json, {"ways": list(result.ways)})
    sentence, proof = result.sentence, None
    if result.pushed:
        proof = _proof(place, result.request_id)
        if proof is None or proof.get("effective_ms") is None:
            fail(
                f"{result.sentence}\nNOT OBSERVED within 5 s. Now, in any shell: rm {place.folder.armed}",
                as_json,
                {"ways": list(result.ways), "proof": proof},
            )
        sentence = f"{result.sentence}\n{proof['sentence']}"
    offer = _offer(place)
    if offer:
        sentence += f"\n{offer}"
    say({"ok": True, "sentence": sentence, "ways": result.ways, "rev": result.rev, "proof": proof}, sentence, as_json)


def _proof(place: Place, request_id: str) -> dict[str, Any] | None:
    """Ask until the engine has observed 0 %, at most a little over 5 s."""
    until = time.monotonic() + 5.5
    proof: dict[str, Any] | None = None
    while time.monotonic() < until:
        reply = place.client.command("proof", timeout_s=1.0, of=request_id)
        proof = reply.data.get("proof") if reply.ok else None
        if proof is not None and (proof.get("effective_ms") is not None or proof.get("overdue")):
            break
        time.sleep(0.02)
    return proof


def _offer(place: Place) -> str:
    reply = place.client.command("restore", timeout_s=2.0, dry_run=True)
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
