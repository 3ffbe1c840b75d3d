"""A test of the console neither reads nor changes what its user chose: theme, when they last looked, their name."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import pytest
from textual.css.model import RuleSet
from textual.css.stylesheet import Stylesheet
from textual.css.types import CSSLocation

from console.app.drawing import Drawing
from console.widgets import plot


@pytest.fixture(autouse=True)
def own_choices(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path_factory.mktemp("config")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder))
    return folder


@pytest.fixture(autouse=True, scope="session")
def curves_drawn_once() -> None:
    """A console keeps the curves of one screen; these tests show the same ones in every state and size."""
    plot._curve = lru_cache(8192)(plot._curve.__wrapped__)


@pytest.fixture(autouse=True, scope="session")
def styles_parsed_once() -> None:
    """Each app parses its style sheets when it starts, a tenth of what a test of a screen costs; they are all alike."""
    parse, kept = Stylesheet._parse_rules, dict[object, list[RuleSet]]()

    def parse_rules(
        self: Stylesheet, css: str, read_from: CSSLocation, *more: object, **named: object
    ) -> list[RuleSet]:
        key = css, read_from, more, tuple(named.items()), tuple(self._variables.items())
        if key not in kept:
            kept[key] = parse(self, css, read_from, *more, **named)  # type: ignore[arg-type]
        return kept[key]

    Stylesheet._parse_rules = parse_rules  # type: ignore[assignment, method-assign]


@pytest.fixture(autouse=True, scope="session")
def frames_unseen_not_rendered() -> None:
    """A console draws past Textual where it has a terminal. Without one it would have Textual render each frame, a quarter
    of what a test of a screen costs, and no one sees it: there too its canvas is the whole picture."""
    draws = Drawing.draws.fget
    assert draws is not None

    def unseen(self: Drawing) -> bool:
        without_line = self.is_headless and self.terminal is None
        return without_line and self._running and not self._closed and not self._batch_count

    Drawing.draws = property(lambda self: draws(self) or unseen(self))  # type: ignore[method-assign, assignment]
