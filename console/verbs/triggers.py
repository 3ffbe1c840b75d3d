"""Verbs about triggers: their state, why one fired or didn't at a given time, and a backtest on stored attempts."""

from __future__ import annotations

import sys
from collections import Counter
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from console import completion
from console.completion import completes
from console.context import CliContext
from console.output import FILE, fail, is_json, raw_stream, say_result, verb

if TYPE_CHECKING:
    from collections.abc import Mapping

    from engine.plan.model import Plan
    from engine.triggers.backtest import Firing, Inject
    from engine.view.model import TriggerView


@click.group()
def triggers() -> None:
    """The rollback triggers: what each sees, and why it acted or didn't."""


# -- list --------------------------------------------------------------------------------------------------------------

MARK = {"breach": "!", "ok": " ", "insufficient": "?", "blind": "?", "muted": "-", "locked": "-", "disabled": "-"}


@triggers.command("list")
@verb
def list_(context: CliContext) -> None:
    """Every trigger: verdict, value, threshold, n, timer; in breach also the rule, what resets it, and when it
    fires."""
    from console.verbs.status import NO_FIGURES, seen
    from console.widgets import words

    view, old = seen(context)
    if view is None:
        fail(NO_FIGURES, code="no_view")
    fired = any(t.fired for t in view.triggers)
    lines = [old] if old else []
    for trigger in view.triggers:
        lines += _listed(trigger, fired, words.nothing_to_lower(view, trigger))
    if view.attribution:
        lines.append(f"\nAttribution: {view.attribution}")
    say_result({"triggers": view.triggers, "attribution": view.attribution}, "\n".join(lines))


def _listed(t: TriggerView, another_fired: bool = False, nothing_to_lower: bool = False) -> list[str]:
    if t.verdict == "locked" and t.fired:
        return [f"* {t.id:<16} -> {t.action:<15} FIRED; {t.sentence}"]
    seen = "locked, see the one marked *" if t.verdict == "locked" and another_fired else t.sentence
    lines = [f"{MARK.get(t.verdict, ' ')} {t.id:<16} -> {t.action:<15} {seen}"]
    if t.verdict in ("breach", "muted"):
        when = _when(t, nothing_to_lower)
        muted = "muted by a critical one, " if t.verdict == "muted" else ""
        lines.append(
            f"{'':<20}{muted}{when}, rule {t.rule}{f' ({t.acts_by})' if t.acts_by else ''}"
            + (f"; resets when {t.resets_when}" if t.resets_when else "")
        )
    return lines


def _when(t: TriggerView, nothing_to_lower: bool) -> str:
    from engine.plan.durations import clock

    if nothing_to_lower:
        return "at 0 % already, nothing to lower"
    if t.fires_in_s is None:
        return "not yet sure"
    return f"fires in {clock(t.fires_in_s)}" if t.fires_in_s else "fires now"


# -- why ---------------------------------------------------------------------------------------------------------------

WITHIN_S = 0.999  # the log shows whole seconds: include all of the second that was asked for


@triggers.command()
@click.argument("trigger", shell_complete=completes(completion.triggers))
@click.option("--at", "when", default="", help="A time: 2h ago, 14:03, or ISO 8601; default: now.")
@verb
def why(context: CliContext, trigger: str, when: str) -> None:
    """Why a trigger fired or didn't, from what it saw at that time."""
    from engine.plan.durations import iso, parse_when
    from engine.triggers.history import story

    known = [t.id for t in context.plan.triggers]
    if trigger not in known:
        fail(f"There is no trigger {trigger!r}. Triggers: {', '.join(known)}.", code="no_trigger")
    now = context.now()
    try:
        at = parse_when(when, now) if when else now
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    if when and at == int(at):
        at += WITHIN_S
    explanation = context.reader.read(lambda conn: story(conn, trigger, at))
    if explanation is None:
        fail(f"The store has nothing about {trigger} at or before {iso(at)}.", code="no_data")
    say_result(explanation, "\n".join(explanation.lines))


# -- backtest ----------------------------------------------------------------------------------------------------------


@triggers.command()
@click.option(
    "--days",
    type=click.FloatRange(0.01, 365),
    default=7.0,
    show_default=True,
    help="How many days of attempts to replay.",
)
@click.option(
    "--with",
    "--plan",
    "other",
    type=FILE,
    help="Another plan's rules, compared with today's. After this verb --plan means the same; today's plan goes "
    "before `triggers`.",
)
@click.option(
    "--inject",
    "injected",
    multiple=True,
    help="A fault to add: error=10%@t+30m, error=100%@t+30m..t+31m, latency=4s@t+1h. Repeatable.",
)
@verb
def backtest(context: CliContext, days: float, other: Path | None, injected: tuple[str, ...]) -> None:
    """When each trigger would have fired on the last days' stored attempts, by today's rules and by another plan's.

    Without --inject the result is kept: the gate requires it after triggers change.
    """
    from engine.plan.durations import iso
    from engine.plan.load import PlanError, load_plan
    from engine.triggers.backtest import parse_inject

    try:
        faults = [parse_inject(text) for text in injected]
        plans = {"today": context.file_plan, **({str(other): load_plan(other)} if other else {})}
    except PlanError as error:
        fail(str(error), code="plan")
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    documents, first, last, replayed = _replay(context, plans, faults, days)
    lines = [f"{documents} LLM documents from {iso(first)} to {iso(last)}", *_listing(replayed, faults, last - first)]
    left_out = {name: _not_replayed(plan) for name, plan in plans.items()}
    for name, unseen in left_out.items():
        if unseen:
            why = "because the store keeps documents and not every figure"
            lines.append(f"\n{name}: not replayed, {why}: {', '.join(unseen)}")
    kept = "" if faults else _keep(context, plans, days, documents, replayed)
    body = {
        "documents": documents, "from": iso(first), "to": iso(last), "inject": list(injected), "firings": replayed,
        "not_replayed": left_out,
        "summary": {name: _summary(firings) for name, firings in replayed.items()},
    }  # fmt: skip
    say_result(body, "\n".join([*lines, *([kept] if kept else [])]))


def _replay(
    context: CliContext, plans: Mapping[str, Plan], faults: list[Inject], days: float
) -> tuple[int, float, float, dict[str, list[Firing]]]:
    """Replay the store once for all plans, page by page; progress goes to stderr on a terminal."""
    from engine.triggers import attempts
    from engine.triggers.backtest import Replay

    since = context.now() - days * 86400
    span = context.reader.read(lambda conn: attempts.span(conn, since))
    if span is None:
        fail(
            f"The store has no LLM document of the last {days:g} {'day' if days == 1 else 'days'}: nothing to replay.",
            code="no_data",
        )
    first, last = span
    heard = context.reader.read(lambda conn: attempts.complaints(conn, since))
    replays = {name: Replay(plan.triggers, plan.trigger_settings, faults, heard) for name, plan in plans.items()}
    documents = 0
    after: tuple[float, int] | None = (first, 0)
    with click.progressbar(
        length=1000, label="replaying", file=raw_stream(sys.stderr), hidden=is_json() or not sys.stderr.isatty()
    ) as bar:
        done = 0
        while after is not None:
            page = context.reader.read(partial(attempts.page, after=after))
            for attempt in page.attempts:
                for replay in replays.values():
                    replay.feed(attempt)
            documents += len(page.attempts)
            after = page.after
            share = 1000 if after is None else int(1000 * (after[0] - first) / max(1e-9, last - first))
            bar.update(share - done)
            done = share
    return documents, first, last, {name: replay.end() for name, replay in replays.items()}


def _not_replayed(plan: Plan) -> list[str]:
    """Triggers on figures that a gate measures, such as reviews: "low_quality (quality_score)"."""
    from engine.triggers.rules import OWN_EVIDENCE

    return [f"{t.id} ({t.metric})" for t in plan.triggers if t.enabled and t.metric not in OWN_EVIDENCE]


def _summary(firings: list[Firing]) -> dict[str, dict[str, Any]]:
    """Per trigger: count, first firing, delay after the fault."""
    summary: dict[str, dict[str, Any]] = {}
    for f in firings:
        of = summary.setdefault(f.trigger, {"count": 0, "first": f.t, "delay_s": None})
        of["count"] += 1
        if of["delay_s"] is None:
            of["delay_s"] = f.delay_s
    return summary


SHOWN = 20


def _listing(replayed: dict[str, list[Firing]], faults: list[Inject], span_s: float) -> list[str]:
    from engine.plan.durations import clock, format_duration, iso

    late = [f for f in faults if f.after_s > span_s]
    unseen = [
        f"a fault from t+{format_duration(f.after_s)} on had no effect: the stored attempts end at "
        f"t+{format_duration(span_s)}"
        for f in late
    ]
    lines = ["", *unseen] if unseen else []
    for name, firings in replayed.items():
        lines.append(f"\n{name}: {len(firings)} would have fired" if firings else f"\n{name}: nothing would have fired")
        for f in firings[:SHOWN]:
            after = f", {clock(f.delay_s)} after the fault" if f.delay_s is not None else ""
            lines.append(f"  {iso(f.t)} {f.trigger} -> {f.action} by {f.rule}{after}: {f.sentence}")
        if len(firings) > SHOWN:
            lines.append(f"  and {len(firings) - SHOWN} more (--json lists all)")
        if len(faults) > len(late) and not any(f.delay_s is not None for f in firings):
            lines.append("  the injected fault was not found")
    if len(replayed) > 1:
        lines += _compared(replayed)
    return lines


def _compared(replayed: dict[str, list[Firing]]) -> list[str]:
    """Each trigger under both plans, side by side."""
    from engine.plan.durations import clock, iso

    def cell(of: dict[str, Any] | None) -> str:
        if of is None:
            return "never"
        delay = of["delay_s"]
        return f"{of['count']}x, first " + (
            f"{clock(delay)} after the fault" if delay is not None else iso(of["first"])
        )

    summaries = [_summary(firings) for firings in replayed.values()]
    names = sorted({name for summary in summaries for name in summary})
    title = " | ".join(replayed)
    rows = [f"  {name:<16} " + " | ".join(cell(summary.get(name)) for summary in summaries) for name in names]
    return [f"\ncompared: {title}", *(rows or ["  no trigger fires under either"])]


def _keep(
    context: CliContext, plans: Mapping[str, Plan], days: float, documents: int, replayed: Mapping[str, list[Firing]]
) -> str:
    """Ask the engine to keep the results, one of each set of rules. Returns the outcome in sentences."""
    from engine.triggers.backtest import rules_digest

    plans_of: dict[str, list[str]] = {}
    for name, plan in plans.items():
        plans_of.setdefault(rules_digest(plan.triggers, plan.trigger_settings), []).append(name)
    outcomes = []
    for digest, names in plans_of.items():
        fired = dict(Counter(f.trigger for f in replayed[names[0]]))
        reply = context.client.command("backtest", rules=digest, documents=documents, days=days, fired=fired)
        whose = f"{' and '.join(names)}: " if len(plans) > 1 else ""
        outcomes.append(
            f"Kept for the gate ({whose}rules {digest})." if reply.ok else f"Not kept for the gate: {reply.sentence}"
        )
    return "\n".join(dict.fromkeys(outcomes))
