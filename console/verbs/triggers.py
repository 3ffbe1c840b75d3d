"""Verbs about triggers: list them as they stand, and say why one fired or did not, at any time, from stored evidence."""

from __future__ import annotations

import json
import time
from pathlib import Path

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
            "SELECT at, verdict, body FROM trigger_evidence WHERE trigger = ? AND at <= ? ORDER BY at DESC LIMIT 1",
            (trigger, at),
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
        lines.append(
            f"judged by: {seen['rule']}, n {seen['n']}" + (f", k {seen['k']}" if seen.get("k") is not None else "")
        )
    if seen.get("resets_when"):
        lines.append(f"its timer resets when: {seen['resets_when']}")
    lines.append(
        f"it last acted {iso(fired[0])}: {json.loads(fired[1])['sentence']}" if fired else "it has not acted up to then"
    )
    say(
        {"at": row[0], "verdict": row[1], "reading": seen, "last_acted": fired[0] if fired else None},
        "\n".join(lines),
        as_json,
    )


@triggers.command()
@click.option("--days", type=click.FloatRange(0.01, 365), default=7.0, show_default=True)
@click.option("--plan", "other", type=click.Path(path_type=Path), help="Another plan's rules, compared with today's.")
@click.option("--inject", default="", help="A fault to find: error=10%@t+30m.")
@json_option
@click.pass_obj
def backtest(place: Place, days: float, other: Path | None, inject: str, as_json: bool) -> None:
    """When each trigger would have fired on the stored attempts of the last days, by today's rules and by another plan's."""
    from engine.plan.durations import format_duration, iso
    from engine.plan.load import PlanError, load_plan
    from engine.store.attempts import stored
    from engine.triggers.backtest import backtest as replay
    from engine.triggers.backtest import parse_inject

    try:
        fault = parse_inject(inject) if inject else None
        plans = {"today": place.plan, **({str(other): load_plan(other)} if other else {})}
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    except PlanError as error:
        fail(str(error), as_json)
    view = place.reader.glance().view
    now = max(time.time(), view.at) if view else time.time()
    rows = place.reader.read(lambda conn: stored(conn, now - days * 86400))
    if not rows:
        fail(f"No LLM document is stored of the last {days:g} days, so there is nothing to replay.", as_json)
    found = {name: replay(plan.triggers, plan.trigger_settings, rows, fault) for name, plan in plans.items()}
    lines = [f"{len(rows)} LLM documents from {iso(rows[0].t)} to {iso(rows[-1].t)}"]
    for name, firings in found.items():
        lines.append(f"{name}: {len(firings)} would have fired" if firings else f"{name}: nothing would have fired")
        for f in firings[:50]:
            after = f", {format_duration(f.delay_s)} after the fault" if f.delay_s is not None else ""
            lines.append(f"  {iso(f.t)} {f.trigger} -> {f.action} ({f.rule}){after}: {f.sentence}")
    say({"documents": len(rows), "firings": found}, "\n".join(lines), as_json)
