"""Verbs about triggers: list them as they stand, and say why one fired or did not, at any time, from stored evidence."""

from __future__ import annotations

import json
import time

import click

from console.place import Place, fail, json_option, say


@click.group()
def triggers() -> None:
    """The rollback triggers: what each sees, and why it acted or did not."""


@triggers.command("list")
@json_option
@click.pass_obj
def list_(place: Place, as_json: bool) -> None:
    """Every trigger with its value, threshold, n and timer."""
    view = place.reader.glance().view
    if view is None:
        fail("The engine has shown nothing yet.", as_json)
    mark = {"breach": "!", "ok": " ", "insufficient": "?", "blind": "?", "muted": "-", "locked": "-", "disabled": "-"}
    lines = [f"{mark.get(t.verdict, ' ')} {t.id:<18} {t.action:<15} {t.sentence}" for t in view.triggers]
    say({"triggers": view.triggers}, "\n".join(lines), as_json)


@triggers.command()
@click.argument("trigger")
@click.option("--at", "when", default="", help="A moment: 2h ago, 14:03, or ISO 8601; default: now.")
@json_option
@click.pass_obj
def why(place: Place, trigger: str, when: str, as_json: bool) -> None:
    """Why a trigger fired or did not, from what it saw then."""
    from engine.plan.durations import iso, parse_when

    known = [t.id for t in place.plan.triggers]
    if trigger not in known:
        fail(f"There is no trigger {trigger!r}. There are: {', '.join(known)}.", as_json)
    view = place.reader.glance().view
    now = max(time.time(), view.at) if view else time.time()
    try:
        at = parse_when(when, now) if when else now
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    row = place.reader.read(
        lambda conn: conn.execute(
            "SELECT at, verdict, body FROM trigger_evidence WHERE trigger = ? AND at <= ? ORDER BY at DESC LIMIT 1", (trigger, at)
        ).fetchone()
    )
    if row is None:
        fail(f"Nothing is stored of {trigger} at or before {iso(at)}.", as_json)
    seen = json.loads(row[2])
    fired = place.reader.read(
        lambda conn: conn.execute(
            "SELECT at, body FROM decision WHERE at <= ? AND reason = ? ORDER BY rev DESC LIMIT 1", (at, trigger)
        ).fetchone()
    )
    lines = [f"{iso(row[0])} {trigger} was {row[1]}: {seen['sentence']}"]
    if seen.get("rule"):
        lines.append(f"judged by: {seen['rule']}, n {seen['n']}" + (f", k {seen['k']}" if seen.get("k") is not None else ""))
    if seen.get("resets_when"):
        lines.append(f"its timer resets when: {seen['resets_when']}")
    lines.append(f"it last acted {iso(fired[0])}: {json.loads(fired[1])['sentence']}" if fired else "it has not acted up to then")
    say({"at": row[0], "verdict": row[1], "reading": seen, "last_acted": fired[0] if fired else None}, "\n".join(lines), as_json)
