"""The frame sends less and shows the same."""

from __future__ import annotations

import sys

import pyte
import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.terminal.diff import MANY, Frame
from console.terminal.escape import erases_in_colour

COLUMNS, ROWS = 20, 4
STYLES = ("", "0", "1", "1;31", "31;42", "38;5;188;48;5;16", "38;2;1;2;3;48;5;16", "1;7;97", "4;48;2;9;9;9", "90;104")
CHARS = "ab    ─●▇ö⣿"


@st.composite
def writes(draw: st.DrawFn, spans: int = 5) -> str:
    """A frame as Textual writes one: spans of styled segments, each at its place."""
    out = []
    for _ in range(draw(st.integers(1, spans))):
        y, x = draw(st.integers(0, ROWS - 1)), draw(st.integers(0, COLUMNS - 2))
        out.append(f"\x1b[{y + 1};{x + 1}H")
        room = COLUMNS - x
        for _ in range(draw(st.integers(1, 3))):
            some = st.text(CHARS, min_size=1, max_size=8) | st.integers(MANY, COLUMNS).map(lambda count: " " * count)
            text = draw(some)[:room]
            room -= len(text)
            style = draw(st.sampled_from(STYLES))
            out.append(f"\x1b[{style}m{text}\x1b[0m" if style else text)
        if y < ROWS - 1 and draw(st.booleans()):
            out.append("\n")
    return "".join(out) + "\x1b[1;1H"


class Shown:
    def __init__(self) -> None:
        self.screen = pyte.Screen(COLUMNS, ROWS)
        self.screen.reset_mode(pyte.modes.DECAWM)  # as Textual sets it: lines do not wrap automatically
        self.stream = pyte.Stream(self.screen)

    def cells(self) -> list[list[object]]:
        return [[seen(self.screen.buffer[y][x]) for x in range(COLUMNS)] for y in range(ROWS)]


def seen(cell: pyte.screens.Char) -> object:
    """Of a blank only the background, unless a line or the reverse of its colours shows."""
    bare = cell.data == " " and not (cell.underscore or cell.strikethrough or cell.reverse or cell.blink)
    return cell.bg if bare else cell


@given(st.lists(writes(), min_size=1, max_size=8), st.booleans())
def test_only_cells_that_the_terminal_shows_already_are_left_out(frames: list[str], erases: bool) -> None:
    frame, all_of_it, less = Frame(erases), Shown(), Shown()
    for data in frames:
        all_of_it.stream.feed(data.replace("\n", "\r\n"))
        less.stream.feed(frame.diff(data))
        assert less.cells() == all_of_it.cells()


@given(writes(spans=1))
def test_a_frame_that_changes_nothing_sends_nothing(data: str) -> None:
    frame = Frame()
    frame.diff(data)
    assert frame.diff("\x1b[?2026h") + frame.diff(data) + frame.diff("\x1b[?2026l") == ""


def test_titles_bells_and_modes_pass_and_forgetting_sends_all_again() -> None:
    frame = Frame()
    assert frame.diff("\x1b[?1006h\x1b]2;title\x07\x07\x1b[22;2t") == "\x1b[?1006h\x1b]2;title\x07\x07\x1b[22;2t"
    first = frame.diff("\x1b[2;3H\x1b[31mred\x1b[0m")
    assert frame.diff("\x1b[2;3H\x1b[31mred\x1b[0m") == ""
    frame.forget()
    assert frame.diff("\x1b[2;3H\x1b[31mred\x1b[0m") == first


def test_one_changed_figure_costs_a_few_bytes() -> None:
    frame = Frame()
    line = "\x1b[4;2H\x1b[38;5;246;48;5;16merror rate  \x1b[0m\x1b[1;38;5;114;48;5;16m{} %\x1b[0m"
    frame.diff(line.format("0.4"))
    assert len(frame.diff(line.format("0.5"))) < 20


def test_blanks_are_erased_only_where_the_terminal_erases_in_colour() -> None:
    line = "\x1b[1;1H\x1b[48;5;16m" + " " * 19 + "\x1b[0m\x1b[48;5;17mx\x1b[0m"
    assert " " not in Frame(erases=True).diff(line)
    assert " " * 19 in Frame().diff(line)


def test_a_blank_takes_no_colour_but_its_background() -> None:
    frame = Frame()
    sent = frame.diff("\x1b[1;1H\x1b[1;31;48;5;16ma\x1b[0m\x1b[2;90;48;5;16m  \x1b[0m\x1b[1;31;48;5;16mb\x1b[0m")
    assert sent.endswith("ma  b")


def test_a_wide_character_is_never_sent_in_part() -> None:
    frame = Frame()
    frame.diff("\x1b[1;1H日本")
    assert "日" in frame.diff("\x1b[1;1H日x ")
    assert "本" in frame.diff("\x1b[1;3H本")


@pytest.mark.parametrize(
    ("missing", "environ", "erases"),
    [
        (False, {"TERM": "tmux-256color"}, True),  # it does, and its entry does not list it
        (False, {"TERM": "screen", "STY": "1", "TMUX": "/tmp/t,1,0"}, False),
        (False, {"TERM": "no-such-terminal"}, False),
        (True, {"TERM": "linux"}, False),  # a Python without curses
        (True, {"TERM": "xterm-256color"}, True),
    ],
)
def test_a_terminal_is_taken_to_erase_in_colour_only_where_that_is_known(
    monkeypatch: pytest.MonkeyPatch, missing: bool, environ: dict[str, str], erases: bool
) -> None:
    for name in ("TERM", "STY", "TMUX"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    if missing:
        monkeypatch.setitem(sys.modules, "curses", None)
    assert erases_in_colour() is erases
