"""Every keyboard key that a runbook or the README names is bound on the screen which that passage describes."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from textual.binding import Binding

import console.screens
from console.app import Console
from console.screens import SCREENS, WORK, screen, working
from console.screens.ask import QuestionDialog
from console.screens.help import book, page_lines
from console.screens.page import Page
from tests.console.test_runbooks import NAMES

ROOT = Path(__file__).parents[2]
# The reference is generated and its backticks hold values.
PAGES = {
    **{name: book(name) for name in NAMES if name != "configuration"},
    "README": (ROOT / "README.md").read_text(encoding="utf-8"),
}
NAMED = {
    "/": "slash",
    "?": "question_mark",
    ":": "colon",
    "!": "exclamation_mark",
    "+": "plus",
    "-": "minus",
    "[": "left_square_bracket",
    "]": "right_square_bracket",
    ",": "comma",
    ".": "full_stop",
}
KEY = r"(F\d{1,2}|[A-Za-z/?:!+\-\[\],.])"
KEYS = (
    re.compile(rf"`{KEY}`"),
    re.compile(r"\b[Pp]ress (F\d{1,2}|[A-Za-z])\b(?!-)"),
    re.compile(r"\(([A-Za-z])\)"),
    re.compile(r"(?<![\w`'/.-])([b-hj-zB-HJ-Z]) (?:within|[a-z]+s)\b"),  # "c runs an item's check"
    re.compile(r"\b(F\d{1,2})\b"),
)
ABOUT = re.compile(r"[Ss]creens? (\d)|\*\*`(\d)`|^\W*(\d): |\bkey `(\d)`|(?<!\d)(\d), tab", re.MULTILINE)


def keys_of(bindings: object) -> set[str]:
    assert isinstance(bindings, list)
    return {key for b in bindings if isinstance(b, Binding) for key in b.key.split(",")}


EVERYWHERE = keys_of(Console.BINDINGS) | keys_of(QuestionDialog.BINDINGS)


def on_screen(number: int) -> set[str]:
    kinds = [working(module) for module, _, _ in WORK] if number == 9 else [screen(number)]
    return EVERYWHERE | {key for kind in kinds for key in keys_of(kind.bindings())}


def anywhere() -> set[str]:
    for result in pkgutil.walk_packages(console.screens.__path__, "console.screens."):
        importlib.import_module(result.name)
    kinds, found_keys = [Page], set(EVERYWHERE)
    while kinds:
        kind = kinds.pop()
        kinds += kind.__subclasses__()
        found_keys |= keys_of(kind.bindings())
    return found_keys


def passages(text: str) -> Iterator[str]:
    """Paragraphs and items of lists, without code."""
    text = re.sub(r"^```[\s\S]*?^```|^ {4}.*$", "", text, flags=re.MULTILINE)
    yield from re.split(r"\n\s*\n|\n(?=\s*(?:[-*]|\d+\.) )|\n(?=#)", text)


def named(passage: str) -> list[str]:
    return [match[1] for pattern in KEYS for match in pattern.finditer(passage)]


def about(passage: str) -> set[int]:
    """The screens that a passage names; the gate is one by its name."""
    numbers = {int(next(filter(None, match.groups()))) for match in ABOUT.finditer(passage)}
    return numbers | ({2} if re.search(r"\bon the gate\b", passage) else set())


def wrong(text: str) -> list[str]:
    every = anywhere()
    out = []
    for passage in passages(text):
        screens = about(passage)
        assert screens <= set(SCREENS), passage
        bound = set().union(*map(on_screen, screens)) if screens else every
        for key in named(passage):
            name = key.lower() if key[0] == "F" and key[1:] else NAMED.get(key, key)
            if name not in bound:
                where = f"on screen {', '.join(map(str, sorted(screens)))}" if screens else "on any screen"
                out.append(f"{key} is not bound {where}: {' '.join(passage.split())[:120]}")
    return out


@pytest.mark.parametrize("page", PAGES)
def test_every_key_that_a_page_names_is_bound_there(page: str) -> None:
    assert not wrong(PAGES[page])


def test_the_pages_name_keys() -> None:
    by_name = {page: [key for passage in passages(text) for key in named(passage)] for page, text in PAGES.items()}
    assert len(by_name["README"]) >= 30
    assert sum(map(len, by_name.values())) >= 50
    assert {"R", "F9"} <= set(by_name["rollback"])
    assert {"c", "s", "p", "d", "m", "h"} <= set(by_name["plan"])


def test_the_check_finds_a_key_on_the_wrong_screen_and_an_unknown_key() -> None:
    assert wrong("`m` on screen 2 measures search quality.")
    assert wrong("Screen 2: Z runs an item's check.")
    assert wrong("Press Q to leave.")
    assert not wrong("`c` on screen 2 reruns the check.")


def test_every_step_of_a_numbered_list_begins_a_line() -> None:
    text = "## Steps\n1. Install the new version beside the old one, and check it.\n2. Quit.\n   Then stop.\n\n- one item that is long\n"
    assert page_lines(text, 30) == [
        ("Steps", "strong"),
        ("1. Install the new version", "text"),
        ("   beside the old one, and", "text"),
        ("   check it.", "text"),
        ("2. Quit. Then stop.", "text"),
        ("", "text"),
        ("- one item that is long", "text"),
    ]


def test_a_command_is_never_cut() -> None:
    command = "    podman exec -it engine rollout --plan /etc/rollout/rollout.toml --store /var/lib/rollout"
    lines = [line for line, _ in page_lines(command, 60)]
    assert len(lines) == 2
    assert all(len(line) <= 60 for line in lines)
    assert " ".join(line.strip() for line in lines) == command.strip()
    assert page_lines("    rollout status", 60) == [("    rollout status", "accent")]
