"""`?` first explains the selected row, in two lines, in the glossary's words."""

from __future__ import annotations

import pkgutil
from importlib import import_module
from pathlib import Path
from typing import get_args, get_type_hints

import pytest
from msgspec.structs import replace

from console import explain, screens
from console.screens.faults import Faults
from console.screens.help import Help
from console.screens.page import Page
from console.screens.trends import CHARTS
from console.widgets.canvas import wrapped
from engine.plan.model import Check, Message
from engine.plan.vocabulary import METRICS, Action
from engine.rehearsal.faults import FAULTS
from engine.view.model import TaskKind
from tests.console.samples import ALERT, LOG, NORMAL, PLAN
from tests.console.screen_walk import console, ready, until

WIDTH = 76
OF_KEYS = {"Help", "Briefing", "DebriefPage"}  # pages of text without rows


def every_page() -> list[type[Page]]:
    """Each screen's class, the base classes left out."""
    modules = [import_module(m.name) for m in pkgutil.walk_packages(screens.__path__, "console.screens.")]
    kinds = {kind for module in modules for kind in vars(module).values() if isinstance(kind, type)}
    return [kind for kind in kinds if issubclass(kind, Page) and kind.TITLE]


def test_the_table_in_the_engine_s_readme_is_the_glossary() -> None:
    known = explain.glossary()
    assert {"bake", "gate", "trigger", "armed file", "lease", "game day"} <= known.keys()
    readme = (Path(__file__).parents[2] / "engine/README.md").read_text(encoding="utf-8")
    table = readme.partition("| term | meaning |\n|---|---|\n")[2].partition("\n\n")[0].strip()
    assert table.splitlines() == [f"| {term} | {meaning} |" for term, meaning in known.items()]


def test_what_the_engine_can_name_is_explained() -> None:
    assert {action.value for action in Action} == explain.ACTIONS.keys()
    assert set(get_args(get_type_hints(Check)["kind"])) == explain.CHECKS.keys()
    assert explain.TASKS.keys() <= set(get_args(TaskKind))
    assert set(get_args(get_type_hints(Message)["when"])) == explain.DUE.keys()
    assert set(CHARTS) == explain.CURVES.keys()
    assert explain.DEEPER.keys() <= {page.TITLE for page in every_page()}
    assert all(name in explain.glossary() for name in explain.DECISIONS.values())


def test_each_explanation_takes_two_lines() -> None:
    rows = [*explain.terms(*explain.glossary()), *explain.gauges()]
    for c in NORMAL.gate.conditions:
        for metric in METRICS:
            rows += explain.condition(replace(c, metric=metric))
    for trigger in ALERT.triggers:
        for verdict in explain.VERDICTS:
            rows += explain.trigger(replace(trigger, verdict=verdict), "error_rate")
    for i in NORMAL.gate.items:
        for kind in explain.CHECKS:
            rows += explain.item(replace(i, kind=kind))
    for kind in explain.TASKS:
        rows += explain.task(kind)
    for d in LOG:
        rows += explain.decision(d)
    for message in PLAN.messages:
        rows += explain.message(message)
    for kind in explain.MOMENTS:
        rows += explain.moment(kind)
    rows += [*explain.command("Error rate (target: < 1%)"), *explain.chart((m, m) for m in explain.CURVES)]
    rows += [*explain.judgement(True), *explain.judgement(False), *explain.trial("Search quality"), *explain.WRITTEN]
    for title in explain.DEEPER:
        rows += explain.deeper(title)
    for name, meaning in rows:
        assert len(wrapped(f"{name}: {meaning}", WIDTH)) <= 3, (name, meaning)
        assert len(wrapped(meaning, WIDTH)) <= 2 or len(name) > 30, (name, meaning)


def test_no_explanation_is_cut_at_any_width() -> None:
    class AnyRow(Faults):
        def explained(self) -> list[explain.Explained]:
            return [(fault.title, fault.explanation) for fault in FAULTS] + explain.gauges()

    for width in range(38, 101):
        for line, _ in Help(AnyRow())._selected(width):
            assert len(line) <= width, line


def test_every_screen_explains_its_rows() -> None:
    silent = {kind.__name__ for kind in every_page() if kind.explained is Page.explained}
    assert silent <= OF_KEYS, "? on one of these rows explains nothing"


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("screen", "moves", "words"),
    [
        ("1", "", ["error rate: LLM attempts", "latency: ", "cache hits: "]),
        ("3", "", ["A trigger: while its condition holds", "its figure: "]),
        ("2", "", ["condition"]),
        ("7", "", ["grounding"]),
        ("4", "", ["error rate: LLM attempts", "dashed line: ", "thin line: "]),
        ("5", "", ["sample: ", "blind: ", "search quality: "]),
        ("6", "", ["interval: ", "limits: "]),
        ("9", "", ["a message for ", "its text below"]),
        ("9", "tab", ["the plan asks people to check"]),
    ],
)
async def test_help_begins_with_what_is_selected(screen: str, moves: str, words: list[str]) -> None:
    app = console("alert")
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await pilot.press(screen, *moves.split(), "question_mark")
        await until(pilot, lambda: isinstance(app.screen, Help) and app.screen.is_mounted)
        assert isinstance(app.screen, Help)
        await until(pilot, lambda: "What this is" in app.screen.text())
        text = app.screen.text()
        for word in words:
            assert word.lower() in text.lower(), text


def test_no_explanation_shows_markdown_or_capitalises_an_identifier() -> None:
    texts = [text for _, text in explain.terms(*explain.glossary())]
    assert not [text for text in texts if "*" in text or "`" in text or text.startswith("To_zero")]


@pytest.mark.anyio
@pytest.mark.parametrize(("state", "first"), [("idle", "stage: "), ("normal", "error rate: ")])
async def test_live_explains_first_what_stands_out(state: str, first: str) -> None:
    async with console(state).run_test(size=(80, 24)) as pilot:
        app = await ready(pilot)
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(app.screen, Help) and "What this is" in app.screen.text())
        text = app.screen.text()  # type: ignore[attr-defined]
        assert text[text.index("What this is") :].splitlines()[1].strip().startswith(first)


@pytest.mark.anyio
async def test_another_row_has_another_explanation() -> None:
    app = console("rehearsal")
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        for place in (0, 2):
            await pilot.press("0", *["j"] * place, "question_mark")
            await until(pilot, lambda: isinstance(app.screen, Help) and app.screen.is_mounted)
            title = f"{FAULTS[place].title}: "
            await until(pilot, lambda title=title: title in app.screen.text())  # type: ignore[misc]
            await pilot.press("escape", "1")
