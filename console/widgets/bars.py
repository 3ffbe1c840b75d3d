"""The rows above and below every screen: header, warnings, health band, key hints, footer.

One grid: row 0 is the identity, rows 1 and 2 the health, the last row the screens, the row above it this screen's keys.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len

from console.link import EngineSnapshot
from console.widgets import words
from console.widgets.blocks import BOXED, meter
from console.widgets.canvas import Canvas, fit, wrapped
from engine.view.model import HandoverView, View

Hint = tuple[str, str, str]  # key, words, action for a click

BADGE = {"ok": "fine", "warn": "caution", "bad": "alarm", "dim": "calm"}  # a label's style, by the state's colour


def others(v: View, who: str, terminal: str) -> list[str]:
    """Who else has a console open. Another console of the same account counts as another person, named by their
    terminal."""
    names = {o.name for o in v.operators if o.name != who}
    same = {o.terminal for o in v.operators if o.name == who and o.terminal and o.terminal != terminal}
    beside = {f"{who} on {place.removeprefix('/dev/')}" for place in same} if terminal else set()
    return sorted(names | beside)


def header(c: Canvas, snapshot: EngineSnapshot, who: str, read_only: bool = False, terminal: str = "") -> None:
    """Row 0: environment, how to roll back, operators, time. Production never looks like a rehearsal."""
    v = snapshot.view
    if v is None:
        c.fill(0, 0, c.width, "bar")
        c.put(1, 0, "rollout", "bar-key")
        return
    place = "rehearsal" if v.rehearsal else "production" if v.environment.lower().startswith("prod") else "other"
    c.fill(0, 0, c.width, f"{place}-bar")
    x = c.put(0, 0, f" ╱╱ {v.exercise} {v.speed:g}x ╱╱ " if v.rehearsal else f" {v.environment.upper()} ", place)
    old = not snapshot.fresh
    right = c.right(c.width, 0, f" {words.moment(v.at)}Z ", "alarm" if old else f"{place}-bar")
    names = others(v, who, terminal)
    mode = "  READ-ONLY " if read_only else " "
    roll = "R rollback to 0 %   "
    room = right - x - len(roll)
    people = _people(fit(who, max(12, c.width // 5)), names, v.acknowledged.name if v.acknowledged else "", who)
    wide = [text for text in people[:-2] if cell_len(text + mode) <= room - SERVICE]  # leave the service readable
    for text in (*wide, *people):
        if 0 < cell_len(text + mode) <= room:
            right = c.right(right, 0, text + mode, f"{place}-bar")
            break
    if len(roll) <= right - x:
        right -= len(roll)
        c.spans(right, 0, [("R", f"{place}-key"), (roll[1:], f"{place}-bar")])
        c.zone(right, 0, len(roll), 1, "app.roll_back")
    if right - x > 3:
        c.put(x + 1, 0, v.service, f"{place}-bar", right - x - 2)


def _people(shown: str, names: Sequence[str], has: str, who: str) -> list[str]:
    """Who looks and who has the alarm, the fullest words first. Who has it counts more than who else looks; `shown` is
    `who`, which an identity provider may have made long."""
    more = f" (+ {len(names)})" if names else ""
    brief, taker = words.brief_name(shown), fit(words.brief_name(has), 12)
    if has == who:
        return [f"{shown} has it{more}", f"{brief} has it{more}", f"{brief} has it", ""]
    if has:
        return [f"{shown} ({fit(has, 12)} has it)", f"{brief} ({taker} has it)", f"{taker} has it", ""]
    full = f" (+ {', '.join(names)})" if len(names) < 3 else more
    return [f"{shown}{full if names else ''}", f"{shown}{more}", f"{brief}{more}", brief, ""]


SERVICE = 12  # cells for the service's name, where the others can be shorter
TRAVEL_KEYS = (
    "   [ ] move  , . events  + - zoom  @ time",
    "   [ ] move  , . events  + - zoom",
    "   [ ] move  , . events",
)  # as many as fit


def as_of(c: Canvas, y: int, at: float, live: EngineSnapshot, travels: bool, reading: bool) -> int:
    """A line that is hard to miss: this is the past. Returns the rows it took."""
    now = live.view.at if live.view is not None else live.at
    ago = words.ago(at, now)
    c.fill(0, y, c.width, "alarm")
    if not travels:
        c.put(1, y, f"THIS SCREEN SHOWS NOW; the cursor is at {words.hour(at, now)}Z, {ago}", "alarm", c.width - 12)
    else:
        text = f"AS OF {words.hour(at, now)}Z, {ago}{' …' if reading else ''}"
        keys = next((keys for keys in TRAVEL_KEYS if cell_len(text + keys) <= c.width - 12), "")
        c.put(1, y, text + keys, "alarm", c.width - 12)
    c.right(c.width - 1, y, "esc: now", "alarm")
    c.zone(0, y, c.width, 1, "app.now")
    return 1


def handover(c: Canvas, y: int, note: HandoverView, live: EngineSnapshot) -> int:
    """What the last on-call left, until it is dismissed. Returns the rows used."""
    now = live.view.at if live.view is not None else live.at
    since = f", {words.ago(note.at, now)}" if c.width >= BOXED else ""
    text = f"HAND-OVER  {note.name}{since}: {note.text}"
    keys = "  ! all  bksp dismiss"
    lines = wrapped(text, c.width - 2)
    most = 1 if c.height < 24 else 2
    if len(lines) > most:
        lines = [*lines[: most - 1], fit(f"{lines[most - 1]} …", c.width - 2)]
    if cell_len(lines[-1]) + cell_len(keys) > c.width - 2 and len(lines) < most:
        lines.append("")
    elif cell_len(lines[-1]) + cell_len(keys) > c.width - 2:
        lines[-1] = fit(lines[-1], c.width - 2 - cell_len(keys))
    for row, line in enumerate(lines):
        c.bar(y + row, line, "calm")
    c.right(c.width - 1, y + len(lines) - 1, keys, "calm")
    c.zone(0, y, c.width, len(lines), "app.inbox")
    return len(lines)


def _warning(c: Canvas, snapshot: EngineSnapshot, acts: bool) -> list[str]:
    """`acts`: this console's keys act, so that they are offered."""
    liveness = snapshot.liveness
    if liveness.state in ("well", "late"):
        return []
    word = {"frozen": "ENGINE FROZEN", "dead": "NO ENGINE", "gone": "NO STORE", "starting": "STARTING"}[liveness.state]
    sentence = f"{word}  {liveness.sentence.removeprefix('No engine: ').removeprefix('Engine ')}"
    remedy = liveness.remedy if acts else liveness.in_shell
    whole = wrapped(f"{sentence} {remedy}".strip(), c.width - 2)
    return whole if len(whole) <= _most(c) else wrapped(sentence, c.width - 2)


def _most(c: Canvas) -> int:
    return 1 if c.height < 16 else 2


def warned(c: Canvas, snapshot: EngineSnapshot, acts: bool) -> bool:
    """Whether the banner has the whole sentence."""
    return 0 < len(_warning(c, snapshot, acts)) <= _most(c)


def banner(c: Canvas, y: int, snapshot: EngineSnapshot, acts: bool) -> int:
    """A warning that the figures are stale, and what to do. Returns the rows used."""
    lines, style = _warning(c, snapshot, acts), "caution" if snapshot.liveness.state == "starting" else "alarm"
    lines = lines[: _most(c)]
    for row, line in enumerate(lines):
        c.bar(y + row, line, style)
    return len(lines)


def problem_lines(c: Canvas, v: View, old: bool) -> tuple[list[str], str]:
    """The first problem that does not stop the rollout, in as many rows as it may take; and the problem itself, if
    those have all of it. `old`: it may be over."""
    troubles = [problem for problem in v.engine.problems if problem not in v.health_sentence]  # the band has that one
    if not troubles:
        return [], ""
    more = f" (and {len(troubles) - 1} more: rollout status)" if len(troubles) > 1 else ""
    most, width = 2 if c.height >= 24 else 1, c.width - 11
    first = f"until {words.hour(v.at, v.at)}: {troubles[0]}" if old else troubles[0]
    lines = wrapped(f"{first}{more}", width)
    if len(lines) <= most:
        return lines, troubles[0]
    room = most * width - cell_len(more) - 8 * (most - 1)  # words do not fill a line to its end
    return wrapped(fit(first, max(8, room)) + more, width)[:most], ""


def problems(c: Canvas, y: int, v: View, old: bool = False) -> int:
    """The first problem, on every screen. Returns the rows used."""
    lines, _ = problem_lines(c, v, old)
    for row, line in enumerate(lines):
        c.bar(y + row, "PROBLEM" if not row else "", "caution")
        c.put(10, y + row, line, "caution", c.width - 11)
    return len(lines)


def band(c: Canvas, y: int, v: View, old: bool = False) -> int:
    """Stage, percentage and health in a word; the next action or the gate's progress; the health sentence.

    `old`: the figures are stale, so they are labelled "was"."""
    sign, word, state = words.HEALTH[v.health]
    if old:
        sign, word, state = "?", f"WAS {word}", "dim"
    style = f"band-{state}"
    rows = 3 if c.width < 60 <= c.height * 4 else 2
    for row in range(rows):
        c.fill(0, y + row, c.width, style)
    x = c.put(1, y, words.stage(v, brief=c.width < 110), f"{style}+")
    x = c.put(x + 2, y, _percent(v), f"{style}+")
    x = c.put(x + 2, y, f" {sign} {word} ", BADGE[state])
    _timer(c, x + 2, y, v, style)
    until = f"until {words.hour(v.at, v.at)}: " if old else ""
    c.block(1, y + 1, c.width - 2, rows - 1, f"{until}{words.sentence(v)}", style)
    return rows


def _percent(v: View) -> str:
    if v.effective_bp < v.percent_bp:
        return f"{words.percent(v.effective_bp)} of {words.percent(v.percent_bp)} decided"
    reduced = v.percent_bp < v.stage_percent_bp and not v.stable and v.percent_bp
    more = f" (reduced from {words.percent(v.stage_percent_bp)})" if reduced else ""
    shadow = (
        f" + shadow {words.percent(v.shadow_bp)}" if v.shadow_bp and v.armed else ""
    )  # without the armed file none runs
    return words.percent(v.percent_bp) + more + shadow


def _timer(c: Canvas, x: int, y: int, v: View, style: str) -> None:
    """On the right: the countdown of the trigger that acts first, else the gate's progress."""
    worst = words.worst(v)
    if worst is not None and worst.for_s:
        text = f" {words.acts(worst, brief=True)} → {words.ACTION.get(worst.action, worst.action)}"
        name = f"{worst.id} "
        meter_width = min(20, c.width - x - len(text) - len(name) - 2)
        if worst.fires_in_s is None:  # nothing counts down
            name, meter_width = name if meter_width >= 0 else "", 0
        elif meter_width < 4:
            name, meter_width = "", min(10, c.width - x - len(text) - 2)
        start = c.width - 1 - len(text) - max(0, meter_width) - len(name)
        if start < x:
            return
        at = c.put(start, y, name, f"{style}+")
        if meter_width > 0:
            meter(c, at, y, meter_width, words.passed(worst), style, style)
        c.put(c.width - 1 - len(text), y, text, f"{style}+")
        return
    gate = v.gate
    if v.stable:
        return
    bake = f" · {words.bake(gate)}" if gate.bake_s else ""
    text = "gate open (2)" if gate.open else f"gate {gate.met} of {gate.total}"
    for full in (text + bake, text):
        if c.width - 1 - cell_len(full) >= x:
            c.right(c.width - 1, y, full, style)
            return


TABS = ("Live", "Gate", "Triggers", "Trends", "Review", "A/B", "Docs", "Log", "Msgs", "Faults")


def footer(c: Canvas, current: int, rehearsal: bool, hints: Sequence[Hint], waiting: str) -> None:
    """The last row: a digit for every screen, help and menu, and how much waits for a person. The row above: the keys
    of the screen."""
    y = c.height - 1
    c.fill(0, y, c.width, "bar")
    names = TABS if rehearsal else TABS[:-1]
    full = sum(len(n) + 2 for n in names)
    gap = 2 if c.width >= full + 2 * len(names) + 38 else 0  # space them out if there is room
    space = " " if c.width >= full + len(names) + 22 else ""
    short = c.width < full + 11
    right = _badge(c, y, waiting) if waiting else c.width
    x = 1 if gap else 0
    for i, name in enumerate(names, 1):
        label = space + name if i == current or not short else ""
        end = c.spans(
            x, y, [(str(i % 10), "tab" if i == current else "bar-key"), (label, "tab" if i == current else "bar")]
        )
        c.zone(x, y, end - x, 1, f"app.go({i % 10})")
        x = end + 1 + gap
    words_fit = [x + len(f"?{space}help : ") <= right, x + len(f"?{space}help :{space}menu ") <= right, True]
    for fits, (key, label, action) in zip(
        words_fit,
        (
            ("?", "help", "app.help"),
            (":", "menu", "app.command_palette"),
            ("q", "back" if current != 1 else "quit", ""),
        ),
        strict=True,
    ):
        text = f"{space}{label}" if fits else ""  # the key alone where its word has no room
        if x + 1 + len(text) > right:
            break
        end = c.spans(x, y, [(key, "bar-key"), (text, "bar")])
        if action:
            c.zone(x, y, end - x, 1, action)
        x = end + 1 + gap
    if hints and c.height < 20:  # not enough rows: the keys overwrite what is painted there
        c.fill(0, y - 1, c.width, "text")
    keys(c, 1, y - 1, hints)


def _badge(c: Canvas, y: int, waiting: str) -> int:
    """How much waits for a person, at the right end of the last row; the x where it begins."""
    style = "calm" if waiting == "0" else "caution"
    text = f"! {waiting} "
    start = c.right(c.width, y, text, style)
    c.zone(start, y, len(text), 1, "app.inbox")
    return start


def keys(c: Canvas, x: int, y: int, hints: Sequence[Hint]) -> None:
    """This screen's keys, most useful first; help lists the ones that don't fit."""
    gap = 3 if sum(cell_len(key) + cell_len(label) + 4 for key, label, _ in hints) + x <= c.width + 3 else 2
    for key, label, action in hints:
        size = cell_len(key) + cell_len(label) + (1 if key and label else 0)
        if x + size > c.width:
            break
        c.spans(x, y, [(key, "key"), (f" {label}" if key else label, "dim")])
        if action:
            c.zone(x, y, size, 1, action)
        x += size + gap
