"""Rules of layout, for every screen in every state at every size: nothing fails, nothing overlaps, nothing important is cut."""

from __future__ import annotations

import importlib
import pkgutil
import random
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, cast

import pytest
from msgspec.structs import replace
from rich.color import Color
from textual.containers import Vertical
from textual.dom import DOMNode

from console import themes
from console.app import Console
from console.link import EngineSnapshot
from console.liveness import Liveness
from console.screens import painting
from console.screens.ask import QuestionDialog
from console.screens.page import Page
from console.terminal.type_ahead import ACTING
from console.widgets import bars, words
from console.widgets.bars import Hint
from console.widgets.canvas import Canvas, wrapped
from console.widgets.curves import MEASURES
from console.widgets.words import figure
from engine.view.model import PresenceView
from tests.console.samples import IDLE, NOW, PLAN, STATES, FakeLink
from tests.console.screen_walk import console, pages, ready, until

pytestmark = pytest.mark.anyio
CORNERS = [(40, 10), (60, 20), (80, 24), (120, 36), (160, 48), (300, 80)]


class Recording(Canvas):
    """Remembers where a text was painted over another one."""

    def __init__(self, width: int, height: int, ascii_only: bool = False) -> None:
        super().__init__(width, height, ascii_only)
        self.taken = [bytearray(self.width) for _ in range(self.height)]
        self.clashes: list[str] = []

    def put(self, x: int, y: int, text: str, style: str = "text", width: int | None = None) -> int:
        before = self.chars[y][x : x + 2 * len(text)] if 0 <= y < self.height and x >= 0 else []
        end = super().put(x, y, text, style, width)
        if end > x:
            row, taken = self.chars[y], self.taken[y]
            now = row[x:end]
            if 1 not in taken[x:end]:
                taken[x:end] = [char != " " for char in now]
                return end
            for column, char in enumerate(now):
                if char not in (" ", before[column]) and taken[x + column]:
                    was = "".join([*row[:x], *before[: end - x], *row[end:]])
                    self.clashes.append(f"{text!r} at {x + column},{y} over {was!r}")
                    return end
            taken[x:end] = [char != " " or is_taken for char, is_taken in zip(now, taken[x:end], strict=True)]
        return end

    def fill(self, x: int, y: int, width: int, style: str, char: str = " ") -> None:
        """A background: text painted on it later does not clash."""
        super().fill(x, y, width, style, char)
        start, end = max(0, x), min(self.width, x + width)
        if 0 <= y < self.height and start < end:
            self.taken[y][start:end] = bytes(end - start)


def sizes(state: str, name: str) -> Sequence[tuple[int, int]]:
    """The corners, and two of a dozen for each screen: a curve is drawn once for each size that is seen more than once."""
    draw = random.Random(name)
    dozen = [(draw.randint(40, 300), draw.randint(10, 80)) for _ in range(12)]
    return [*CORNERS, *random.Random(state + name).sample(dozen, 2)]


class Painted(NamedTuple):
    """What a canvas holds that the rules are about: thousands of whole ones fill half a gigabyte."""

    width: int
    height: int
    text: str
    styles: frozenset[str]
    clashes: Sequence[str]


class Seen(NamedTuple):
    """A screen as it was painted at several sizes."""

    name: str
    painted: Sequence[Painted]
    hints: Sequence[Hint]

    @property
    def at_80x24(self) -> str:
        return next(p.text for p in self.painted if (p.width, p.height) == (80, 24))


_seen: dict[str, list[Seen]] = {}


async def seen(state: str, monkeypatch: pytest.MonkeyPatch) -> list[Seen]:
    """All screens in one state; walked through once, for a walk takes half a second."""
    if state not in _seen:
        monkeypatch.setattr(painting, "Canvas", Recording)
        async with console(state).run_test(size=(80, 24)) as pilot:
            _seen[state] = [
                Seen(name, [painted(page, *size) for size in sizes(state, name)], page.hints())
                async for name, page in pages(pilot)
            ]
    return _seen[state]


def painted(page: Page, width: int, height: int) -> Painted:
    c = cast(Recording, page.canvas(width, height))
    return Painted(c.width, c.height, c.text(), frozenset().union(*c.styles), c.clashes)


@pytest.mark.parametrize("state", STATES)
async def test_no_screen_fails_or_paints_over_itself_at_any_size(state: str, monkeypatch: pytest.MonkeyPatch) -> None:
    known = set(themes.palette("dark"))
    for name, shown, _ in await seen(state, monkeypatch):
        for p in shown:
            assert not p.clashes, f"{name} at {p.width}x{p.height}: {p.clashes[0]}"
            assert p.styles <= known, f"{name}: a style that no palette has"


@pytest.mark.parametrize("state", [state for state, (view, _) in STATES.items() if view is not None])
async def test_every_screen_shows_the_state_at_80x24(state: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stage, percentage, the health in a word and a sentence, the trigger that acts first and its timer."""
    view = STATES[state][0]
    assert view is not None
    worst = words.worst(view)
    timer = [worst.id, words.acts(worst, brief=True)] if worst else []
    facts = [
        words.stage(view, brief=True),
        words.percent(view.percent_bp),
        words.HEALTH[view.health][1],
        *timer,
        words.sentence(view),
    ]
    for screen in await seen(state, monkeypatch):
        for fact in facts:
            assert fact in screen.at_80x24, f"{screen.name} does not show {fact!r}:\n{screen.at_80x24}"


@pytest.mark.parametrize("state", ["normal", "rehearsal_alert", "rolled_back", "locked", "ready"])
async def test_the_keys_of_a_screen_fit_into_80_columns(state: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for screen in await seen(state, monkeypatch):
        *_, hints, footer = screen.at_80x24.splitlines()
        for key, label, _action in screen.hints:
            assert f"{key} {label}".strip() in hints, f"{screen.name} has no room for {key} {label}: {hints}"
        assert "help" in footer


@pytest.mark.parametrize("state", ["normal", "rehearsal"])
async def test_the_count_of_tasks_is_on_every_screen(state: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for screen in await seen(state, monkeypatch):
        for p in screen.painted:
            last = p.text.splitlines()[-1]
            if p.width >= 60:
                assert last.rstrip().endswith("! 4"), f"{screen.name} at {p.width}x{p.height}: {last}"
                assert ":" in last, screen.name


OFFERS = re.compile(
    r"(?<![\w'])[a-zA-Z],? (signs?|checks?|runs its|withdraws?|promotes?|overrides?|approves?|hold|resumes?|undo|undoes|restores?"
    r"|writes?|write why|adds|then w|better|send|tick|mark)\b"
)


@pytest.mark.parametrize("liveness", ["dead", "frozen", "gone"])
@pytest.mark.parametrize("view", ["ready", "rolled_back", "locked", "rehearsal_alert"])
async def test_without_an_engine_that_answers_no_screen_offers_what_needs_one(view: str, liveness: str) -> None:
    """A key that only the engine can carry out does nothing but disappoint; R, reading and E are left."""
    link = FakeLink(view)
    link.liveness = STATES[liveness][1]
    async with Console(link, PLAN).run_test(size=(80, 24)) as pilot:
        async for name, page in pages(pilot):
            if name == "help":
                continue
            for size in ((80, 24), (160, 48)):
                text = page.canvas(*size).text()
                kept = [found[0] for found in OFFERS.finditer(text)]
                assert not kept, f"{name} offers {kept}:\n{text}"
            named = [hint for hint in page.keys_now() if hint[2].removeprefix("app.").partition("(")[0] in ACTING]
            assert all(hint[2] == "app.start_engine" for hint in named), f"{name}: {named}"


@pytest.mark.parametrize("armed", [True, False])
def test_shadow_is_named_only_while_the_armed_file_is_in(armed: bool) -> None:
    """After a rollback no call is made, nor in shadow: the head must not claim otherwise."""
    c = Canvas(80, 24)
    bars.band(c, 0, replace(IDLE, shadow_bp=10_000, armed=armed))
    assert ("+ shadow 100 %" in c.text()) is armed


async def test_with_ascii_every_screen_is_pure_ascii() -> None:
    async with console("alert", ascii_only=True).run_test(size=(80, 24)) as pilot:
        async for name, page in pages(pilot):
            for size in CORNERS:
                text = page.canvas(*size).text()
                assert text.isascii(), f"{name}: {next(line for line in text.splitlines() if not line.isascii())}"


def luminance(color: Color) -> float:
    """WCAG 2.1, relative luminance."""
    linear = [
        c / 255 / 12.92 if c / 255 <= 0.04045 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in color.get_truecolor()
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("look", themes.TONES)
def test_every_text_contrasts_with_its_background(look: str) -> None:
    for name, style in themes.palette(look).items():
        assert style.color is not None
        assert style.bgcolor is not None
        darker, lighter = sorted((luminance(style.color), luminance(style.bgcolor)))
        ratio = (lighter + 0.05) / (darker + 0.05)
        assert ratio >= (1.5 if name == "line" else 4.5), f"{look}: {name} has a contrast of {ratio:.2f}"


def test_every_theme_has_the_same_styles() -> None:
    assert {frozenset(themes.palette(name)) for name in themes.NAMES} == {frozenset(themes.palette("dark"))}


@pytest.mark.parametrize("look", ["mono", "terminal"])
def test_themes_for_terminals_without_colours_name_no_colour(look: str) -> None:
    for name, style in themes.palette(look).items():
        for color in (style.color, style.bgcolor):
            assert (
                color is None
                or color.is_default
                or (look == "terminal" and color.number is not None and color.number < 16)
            ), f"{look}: {name}"


@pytest.mark.parametrize(
    ("term", "colorterm", "kept", "look"),
    [
        ("xterm", "", "dark", "terminal"), ("screen", "", "contrast", "terminal"), ("linux", "", "mono", "mono"),
        ("xterm-256color", "", "dark", "dark"), ("xterm", "truecolor", "light", "light"),
    ],
)  # fmt: skip
def test_a_terminal_of_16_colours_gets_its_own(
    term: str, colorterm: str, kept: str, look: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Measured on xterm: the dark look rounded to 16 colours wrote grey on grey."""
    monkeypatch.setenv("TERM", term)
    monkeypatch.setenv("COLORTERM", colorterm)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(themes, "recall", lambda *_: kept)
    monkeypatch.setattr(themes, "remember", lambda *_: None)
    assert themes.choose(None) == look
    assert themes.choose("dark") == "dark"


@pytest.mark.parametrize(
    ("colours", "look"), [("0;15", "light"), ("15;0", "dark"), ("0;default;15", "light"), ("", "dark")]
)
def test_a_terminal_that_reports_a_light_background_gets_the_light_theme(
    colours: str, look: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLORFGBG", colours)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(themes, "recall", lambda _, default="": default)  # nothing chosen yet
    assert themes.choose(None) == look


def test_every_curve_is_shown_in_its_own_unit() -> None:
    by_name = {
        metric: figure(metric, 700.0 if measure.unit == " s" else 0.25)
        for metric, measure in MEASURES.items()
        if not measure.counted
    }
    assert {metric for metric, figure in by_name.items() if figure.endswith("ms")} == {
        metric for metric, measure in MEASURES.items() if measure.unit == " s"
    }
    assert {metric for metric, figure in by_name.items() if figure.endswith("%")} == {
        metric for metric, measure in MEASURES.items() if measure.unit == " %"
    }


def test_every_style_names_a_class_that_exists() -> None:
    """A rule for a class that was renamed styles nothing, and no error reports it: a question without its frame, over an empty
    screen."""
    import console.screens as package
    from console.app import Console

    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        importlib.import_module(module.name)

    def below(kind: type) -> set[type]:
        return {kind}.union(*(below(one) for one in kind.__subclasses__()))

    kinds = below(DOMNode)
    sheets = [Path(Console.CSS_PATH).read_text()]  # type: ignore[arg-type]
    sheets += [kind.__dict__.get("DEFAULT_CSS", "") for kind in kinds if kind.__module__.startswith("console.")]
    rules = re.sub(r"\{.*?\}|/\*.*?\*/", " ", "\n".join(sheets), flags=re.S)
    named = set(re.findall(r"(?<![\w.#$-])[A-Z]\w+", rules))
    assert named >= {"QuestionDialog", "Palette", "Searching"}
    assert not named - {kind.__name__ for kind in kinds}


async def test_a_question_keeps_its_frame_over_the_screen() -> None:
    async with console("ready").run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await pilot.press("2", "p")
        await until(pilot, lambda: isinstance(pilot.app.screen, QuestionDialog))
        frame = pilot.app.screen.query_one(Vertical)
        await until(pilot, lambda: frame.region.y > 2)
        assert frame.region.width == 74
        assert frame.styles.border_top[0] == "round"


@pytest.mark.parametrize("size", [(80, 24), (120, 36)])
async def test_a_notice_or_a_banner_hides_no_trigger(size: tuple[int, int]) -> None:
    for state in ("normal", "frozen", "locked"):
        async with console(state).run_test(size=size) as pilot:
            app = await ready(pilot)
            await pilot.press("3")
            app.say("bo resumed: the model server was moved to another machine and answers again.")
            assert app.page is not None
            shown = app.page.canvas(*size).text()
            for trigger in PLAN.triggers:
                assert trigger.id in shown, f"{state}: {shown}"


@pytest.mark.parametrize("size", [(120, 36), (160, 48)])
async def test_live_lists_every_running_trigger_with_its_timer(size: tuple[int, int]) -> None:
    async with console("alert").run_test(size=size) as pilot:
        app = await ready(pilot)
        v = app.live.view
        assert v is not None
        assert app.page is not None
        shown = app.page.canvas(*size).text()
        running = [t for t in v.triggers if t.verdict == "breach"]
        assert len(running) > 1
        for t in running:
            assert re.search(rf"✖ {t.id} +{words.acts(t, brief=True)}", shown), shown


@pytest.mark.parametrize("others", [(), ("bo",), ("bo", "cy", "dee")])
def test_the_header_at_80_columns_has_the_service_and_how_to_roll_back(others: Sequence[str]) -> None:
    seen = tuple(PresenceView(name, "pts/9", "Live", NOW) for name in others)
    v = replace(IDLE, rehearsal=True, speed=120.0, operators=seen)
    c = Canvas(80, 24)
    bars.header(c, EngineSnapshot(v, Liveness("well"), NOW), "ann (uid 1000)", read_only=True)
    head = c.text().splitlines()[0]
    for part in ("R rollback to 0 %", "ann", "READ-ONLY", "key" if others else "keywor"):
        assert part in head, head


@pytest.mark.parametrize("width", range(12, 60))
def test_a_figure_is_not_parted_from_its_unit(width: int) -> None:
    text = "errors 13.3 % over 5 %: rolls back to 0 % in 12 min; p95 1.24 s, last call 38 ms ago, +4.1 points more"
    lines = wrapped(text, width)
    assert " ".join(lines) == text
    assert [line for line in lines if line.split(" ")[0].strip(";:,.") in ("%", "s", "ms", "min", "points")] == []


async def test_the_selected_line_of_the_gate_is_whole_at_80_columns() -> None:
    """What reset the count of stable days makes a long line."""
    why = "reset by 2026-12-02: cache hit rate 14 %, not over 20 %; counted since 2026-12-03T03:25:40Z"
    app = console("normal")
    link = cast(FakeLink, app.link)
    link.view = replace(link.view, gate=replace(link.view.gate, others=(f"stable within targets: 6d 17h left, {why}",)))
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await pilot.press("2", "G")
        assert app.page is not None
        assert why in " ".join(app.page.canvas(80, 24).text().split())
