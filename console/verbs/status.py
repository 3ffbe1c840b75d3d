"""The rollout's state in lines: once, or with `--watch` on every change. Lines are never repainted, which suits screen
readers, pipes, logs and dumb terminals."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

import click

from console.context import CliContext
from console.output import fail, is_json, say, verb
from console.tasks import KEYS
from engine.measures.backlog import Backlog
from engine.plan.durations import clock, format_duration, iso
from engine.store.folder import StoreError
from engine.text import percent
from engine.view.model import URGENT
from engine.view.servers import backlog_words, server_sentence

if TYPE_CHECKING:
    from engine.rollout.state import State
    from engine.store.reader import EngineRecord
    from engine.view.model import View

MOST_TASKS = 5
CATCHES_UP_S = 1.5  # the engine draws its view once a second
PATIENCE_S = 2.0  # for an engine that is there and busy, before its last figures in the store are shown instead
QUIET_S = 900.0  # after this long without news, a line shows that it still watches


class StatusLine(NamedTuple):
    """A line about a topic. It is printed again only if `state` changes: jitter in a figure is not reported."""

    topic: str
    state: str
    sentence: str


@click.command()
@click.option("--watch", is_flag=True, help="Keep running: one line per change, for screen readers, pipes and logs.")
@click.option(
    "--at", "when", metavar="TIME", help='The state at this time: "14:03", "2h ago", "2026-11-02 02:13" (UTC).'
)
@verb
def status(context: CliContext, watch: bool, when: str | None) -> None:
    """The state of the rollout. Exit code 1 if a person is needed: no engine answers, a severe trigger is in breach,
    documents get 503, nothing is observed, or a trigger or a person has lowered the percentage."""
    if when is not None:
        if watch:
            raise click.UsageError("--watch shows what happens now and --at a moment in the past: give one of them.")
        _at(context, when)
        return
    if watch:
        _watch(context)
        return
    elsewhere = _elsewhere(context)
    record, alive, trouble = look(context)
    if record is None or record.view is None:
        what = trouble or (NO_FIGURES if alive == "running" else ENGINE[alive])
        is_new = alive == "unknown" and context.folder.missing  # nothing is at stake in a store that nobody has made
        more = ENGINE[alive] if trouble and alive in ENGINE and not is_new else ""
        fail("\n".join(filter(None, (what, more, elsewhere))), code="no_view")
    printed = [f"{iso(record.view.at)} {_where(record.view)}", *(line.sentence for line in lines(record.view, alive))]
    if elsewhere:
        printed.insert(1, elsewhere)
    if waits := alive == "dead" and _rollback_waits(context):
        printed.insert(1, "A rollback waits to be recorded: the next engine goes to 0 % first.")
    body = {"engine_state": alive, "rollback_waits": waits, "recorded_bp": record.state.percent_bp}
    where = {"store": str(context.place.path), "elsewhere": elsewhere}
    say({**body, **where, **_for_programs(record.view, alive)}, "\n".join(printed))
    if elsewhere or alive != "running" or record.view.health in URGENT:
        raise SystemExit(1)


def _rollback_waits(context: CliContext) -> bool:
    with contextlib.suppress(OSError):
        return context.folder.has_intents()
    return False


def _at(context: CliContext, when: str) -> None:
    """A moment in the past, from the store alone. The exit code is that of the health then."""
    from engine.history.decided import NothingKept
    from engine.history.past import view_at
    from engine.plan.durations import parse_when

    try:
        now = context.now()
        at = parse_when(when, now)
        if at > now:
            fail(f"{iso(at)} is in the future; --at takes a time in the past.", code="no_data")
        view = context.reader.read(lambda conn: view_at(conn, context.plan, at))
    except (ValueError, NothingKept, StoreError) as error:
        fail(str(error), code="no_data")
    title = f"AS OF {iso(view.at)}, {format_duration(now - view.at)} ago. {_where(view)}"
    unknown = f"Not kept: {'; '.join(view.not_kept)}."
    printed = [title, *(line.sentence for line in lines(view, "running")), unknown]
    say({"engine_state": None, "store": str(context.folder.path), **_plain(view)}, "\n".join(printed))
    if view.health in URGENT:
        raise SystemExit(1)


def _is_behind(view: View | None, state: State) -> bool:
    """Whether a change of percentage is in the store and not yet in the engine's view: it was made just now."""
    return view is not None and view.epoch < state.epoch


def look(context: CliContext) -> tuple[EngineRecord | None, str, str]:
    """(view, the engine's state, what is wrong with the store). The view comes from the engine if it answers, else it
    is the last one in the store, corrected by any decrease since; then the plan has to be sound."""
    from msgspec.structs import replace

    from console.link import corrected, uncertain
    from engine.client import engine_process
    from engine.rollout.state import State
    from engine.store.reader import EngineRecord

    record, trouble = None, ""
    try:
        record = context.place_reader.engine_record()
    except StoreError as error:
        trouble = str(error)
    pid, heartbeat = (record.pid, record.heartbeat) if record is not None else (0, 0.0)
    answer = engine_process.ask(context.place, pid, heartbeat, timeout_s=PATIENCE_S)
    until = time.monotonic() + CATCHES_UP_S
    while record is not None and _is_behind(answer.view, record.state) and time.monotonic() < until:
        time.sleep(0.05)
        answer = engine_process.ask(context.place, pid, heartbeat, timeout_s=PATIENCE_S)
    if (view := answer.view) is not None:
        of_view = State(epoch=view.epoch, rev=view.rev, stage=view.stage, percent_bp=view.percent_bp)
        state = record.state if record is not None else of_view
        return EngineRecord(view, time.time(), view.engine.token, view.engine.pid, state), "running", trouble
    folder = context.folder
    if record is not None and record.view is not None:
        armed = not folder.is_surely_out()
        shown = corrected(record.view, record.state, armed)
        if answer.state not in ("running", "none"):
            shown = uncertain(shown, record.state, armed)
        record = replace(record, view=shown)
    orphaned = answer.state == "silent" and not context.folder.exists
    return record, "orphaned" if orphaned else STATES[answer.state], trouble


STATES = {
    "running": "running",
    "other_version": "other_version",
    "silent": "frozen",
    "none": "dead",
    "unknown": "unknown",
}


def _elsewhere(context: CliContext) -> str:
    """Loud: the plan last ran with another store, whose engine still runs."""
    from engine.client import engine_process
    from engine.store.folder import Folder

    for other in context.candidate_stores.others:
        answer = engine_process.ask(Folder(other))
        if answer.state in ("running", "other_version", "silent"):
            at = "" if answer.view is None else f" at {percent(answer.view.effective_bp)}"
            return (
                f"ANOTHER ENGINE of this plan runs{at}: it last ran with the store {other}, which the "
                f"plan no longer names. `rollout rollback` takes both to 0 %; `rollout --store {other} "
                "status` shows it."
            )
    return ""


def _for_programs(view: View, alive: str) -> dict[str, object]:
    """The view; of an engine that does not run or answer, its last health is not the health now, and what a dead one
    had in force is not."""
    plain = {**_plain(view), "last_health": None}
    if alive == "running":
        return plain
    plain["last_health"] = view.health
    if view.health not in URGENT:
        plain |= {"health": "alert", "health_sentence": ENGINE[alive]}
    if alive == "dead":
        plain |= {"effective_bp": 0, "shadow_bp": 0, "why_effective": "no engine runs"}
    return plain


def _plain(view: object) -> dict[str, object]:
    import msgspec

    plain: dict[str, object] = msgspec.to_builtins(view)
    return plain


# -- the lines ---------------------------------------------------------------------------------------------------------

NO_FIGURES = "The engine has not published any figures yet; try again in a few seconds."
ENGINE = {
    "other_version": "NOT CERTAIN what is in force: the engine runs and answers in a format that this version does not "
    "know. Use the version that it was started with. `rollout rollback` works with both.",
    "unknown": "NOT CERTAIN whether an engine runs: it can't be seen from here. Do not rely on 0 %: `rollout rollback` "
    "makes sure.",
    "dead": "The engine is not running: no document is extracted, no LLM call is made.",
    "frozen": "The engine holds the store and does not answer: it is starting, stopped or stuck. Rollback still works.",
    "orphaned": "Its engine still runs, though its files were deleted: it stores nothing and makes no LLM call. "
    "`rollout stop` ends it.",
}


def seen(context: CliContext) -> tuple[View | None, str]:
    """The engine's view as `look` has it, and the line above it if no engine is updating it. StoreError."""
    record, alive, trouble = look(context)
    if record is None:
        raise StoreError(trouble)
    view = record.view
    return view, "" if alive == "running" or view is None else last_known(alive, view)


def last_known(alive: str, view: View) -> str:
    """Above what an engine showed that does not run or answer now."""
    return f"{ENGINE[alive]} What follows is as of {iso(view.at)}."


def _where(view: View) -> str:
    return ", ".join(part for part in (view.environment, view.service, view.exercise) if part)


def lines(view: View, alive: str) -> list[StatusLine]:
    """The dashboard as plain lines, the most important first."""
    shown = percent(view.effective_bp)
    if view.why_effective:
        shown += f" in force, {percent(view.percent_bp)} decided: {view.why_effective}"
    in_breach = [t for t in view.triggers if t.verdict == "breach"]
    out = [StatusLine("engine", alive, last_known(alive, view))] if alive in ENGINE else []
    out += [
        StatusLine(
            "stage",
            f"{view.stage} {view.effective_bp} {view.percent_bp}",
            f"{'Stable' if view.stage >= view.stages else f'Stage {view.stage} {view.stage_name}'}, "
            f"{shown}. Epoch {view.epoch}.",
        ),
        StatusLine("health", f"{view.health} {[t.id for t in in_breach]}", view.health_sentence),
    ]
    if view.plan_changed:
        out.append(StatusLine("plan", view.plan_changed, f"{view.plan_changed}."))
    out += [
        # the first word is the topic that --json prints: the metric, whichever arm it is of
        StatusLine(f"{gauge.metric} {gauge.arm}", f"{gauge.ok} {gauge.value is None}", gauge.sentence)
        for gauge in (view.error_rate, view.latency, view.cache, *view.shadow)
    ]
    out += [StatusLine(f"limit {sentence}", "", f"Limited by the environment: {sentence}.") for sentence in view.limits]
    if view.attribution:
        out.append(_ignoring_figures("attribution", f"Attribution: {view.attribution}"))
    out += [StatusLine(f"server {s.name}", str(s.up), f"LLM server {server_sentence(s)}") for s in view.servers]
    out += _queued(view.engine.backlog)
    out += [StatusLine(f"worker {w.name}", w.state, f"Worker: {w.sentence}") for w in view.workers]
    out += [StatusLine(f"trigger {t.id}", t.verdict, f"{t.id}: {t.sentence}") for t in in_breach]
    out += [_ignoring_figures("next", sentence, f"Next: {sentence}") for sentence in view.next]
    out += _waiting(view, alive)
    out += [_ignoring_figures("problem", problem, f"Problem: {problem}") for problem in view.engine.problems]
    out += [_ignoring_figures("notice", notice, f"Note: {notice}") for notice in view.engine.notices]
    if view.rollback is not None:
        proof = view.rollback
        state = f"{proof.rev} {proof.effective_ms is None} {proof.overdue}"
        out.append(StatusLine("rollback", state, f"Last rollback by {proof.actor}: {proof.sentence}"))
    return out


def _waiting(view: View, alive: str) -> list[StatusLine]:
    """The inbox, with the key that leads to each task on the console; an engine of an older version has sentences
    alone."""
    if view.inbox is None:
        what = "Missing then" if view.as_of else "Waiting for you"
        return [_ignoring_figures("waiting", sentence, f"{what}: {sentence}") for sentence in view.waiting[:MOST_TASKS]]
    out = []
    for task in view.inbox[:MOST_TASKS]:
        left = (task.not_before or 0.0) - view.at
        key = KEYS.get(task.kind, "")
        facts = ", ".join(filter(None, (f"possible in {clock(left)}" if left > 0 else "", f"key {key}" if key else "")))
        shown = f"Waiting for you: {task.sentence}" + (f" ({facts})" if facts else "")
        out.append(StatusLine(f"waiting {task.kind} {task.id}", f"{task.kind} {task.id}", shown))
    if (more := len(view.inbox) - MOST_TASKS) > 0:
        out.append(StatusLine("waiting more", str(more), f"Waiting for you: {more} more; the key ! lists them."))
    if not view.inbox and alive == "running":
        out.append(StatusLine("waiting", "", "Waiting for you: nothing."))
    return out


def _queued(backlog: Backlog) -> list[StatusLine]:
    """The LLM queue from a tenth of its limit on: below that it comes and goes with every burst."""
    most = max(backlog.interactive, backlog.bulk)
    if most * 10 < backlog.limit or not most:
        return []
    words = backlog_words(backlog)
    return [StatusLine("queue", "full" if most >= backlog.limit else "", f"{words[0].upper()}{words[1:]}.")]


def _ignoring_figures(topic: str, sentence: str, shown: str = "") -> StatusLine:
    """A line that counts as unchanged while only its figures change."""
    shape = re.sub(r"[\d.,:]+\s*(?:%|ms|[smhd]\b)?\s*", "#", sentence)
    return StatusLine(f"{topic} {shape}", shape, shown or sentence)


def news(before: dict[str, StatusLine], now: list[StatusLine]) -> Iterator[StatusLine]:
    """Lines that are new since `before` (by topic), and the triggers that have ended."""
    for line in now:
        known = before.get(line.topic)
        if known is None or known.state != line.state:
            yield line
    topics = {line.topic for line in now}
    for topic in before.keys() - topics:
        if topic.startswith("trigger "):
            yield StatusLine(topic, "ended", f"{topic.removeprefix('trigger ')}: over, back within bounds.")
        elif topic == "engine":
            yield StatusLine(topic, "running", "The engine runs again.")
        elif topic == "store":
            yield StatusLine(topic, "back", "The store can be read again.")


# -- watching ----------------------------------------------------------------------------------------------------------


class Watcher:
    """Turns successive looks into lines for `emit(line, at)`; `at` is epoch seconds of this machine."""

    def __init__(self, emit: Callable[[StatusLine, float], None]) -> None:
        self._emit = emit
        self._before: dict[str, StatusLine] = {}
        self._rev = -1
        self._event = 0.0
        self._spoke_at = 0.0

    def see(self, record: EngineRecord | None, alive: str, trouble: str, now: float) -> None:
        if record is None:
            current = [*self._before.values(), StatusLine("store", "gone", trouble)]
        elif record.view is None:
            current = [StatusLine("start", "", NO_FIGURES)]
        else:
            current = lines(record.view, alive)
        new_lines = list(news(self._before, current))
        if record is not None and record.view is not None:
            new_lines += self._log(record.view)
        for line in new_lines:
            self._emit(line, now)
        if new_lines:
            self._spoke_at = now
        elif now - self._spoke_at > QUIET_S:
            self._spoke_at = now
            self._emit(StatusLine("quiet", "", "Nothing new; still watching."), now)
        self._before = {line.topic: line for line in current}

    def _log(self, view: View) -> list[StatusLine]:
        """Decisions and events since the last look; none at the first one, because they are history."""
        first = self._rev < 0
        out = [StatusLine("decision", str(d.rev), d.sentence) for d in reversed(view.log) if d.rev > self._rev]
        out += [StatusLine("event", str(at), sentence) for at, sentence in sorted(view.events) if at > self._event]
        self._rev = max([self._rev, view.rev, *(d.rev for d in view.log)])
        self._event = max([self._event, *(at for at, _ in view.events)])
        return [] if first else out


def _watch(context: CliContext) -> None:
    import json

    def emit(line: StatusLine, now: float) -> None:
        if is_json():
            body = {"at": iso(now), "topic": line.topic.split()[0], "sentence": line.sentence}
            click.echo(json.dumps(body, ensure_ascii=False))
        else:
            click.echo(f"{iso(now)} {line.sentence}")

    watcher = Watcher(emit)
    while True:
        record, alive, trouble = look(context)
        watcher.see(record, alive, trouble, time.time())
        time.sleep(1)
