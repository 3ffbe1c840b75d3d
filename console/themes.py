"""Themes: the colours of a canvas's named styles. A word and a mark always show state; colour only repeats it.

`dark` and `light` for daily use, `contrast` for bright rooms and tired eyes, `colour-blind` (blue and orange instead of
green and red), `terminal` for the terminal's own 16 colours, and `mono` without any (the default under NO_COLOR).

Text has a contrast of at least 4.5 to its background (WCAG 2.1, AA); a test computes it. Only `line` is weaker:
hairlines and empty tracks, which carry no text.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from rich.color import Color, ColorSystem, blend_rgb
from rich.style import Style

from engine.files import write_whole

if TYPE_CHECKING:
    from textual.app import App
    from textual.theme import Theme


class Tones(NamedTuple):
    """A theme's base colours; everything else is one of these on another, or a mix of two."""

    dark: bool
    back: str
    text: str
    dim: str  # secondary text
    line: str  # not text: rules, borders, empty tracks
    ok: str
    warn: str
    bad: str
    accent: str  # keys, the selected, curves
    llm: str
    freq: str
    select: str
    production: tuple[str, str]  # text, background
    rehearsal: tuple[str, str]
    other: tuple[str, str]
    bar: str  # the footer


TONES: dict[str, Tones] = {
    "dark": Tones(
        dark=True, back="#0f1319", text="#d8dfeb", dim="#98a3b7", line="#3a4456", ok="#7fcf8f", warn="#edb95e",
        bad="#ff8078", accent="#79b8ff", llm="#c6a5ff",
        freq="#7da3cc", select="#22304a", production=("#ffffff", "#a3263a"), rehearsal=("#1b1033", "#b9a0ff"),
        other=("#06231f", "#6fd0bd"), bar="#1a212d",
    ),
    "light": Tones(
        dark=False, back="#fbfaf7", text="#1f242b", dim="#545d6a", line="#c9c6bd", ok="#176a31", warn="#7d4f00",
        bad="#b3202a", accent="#17559f", llm="#6a2fae",
        freq="#34587d", select="#dce7f6", production=("#ffffff", "#a31f33"), rehearsal=("#ffffff", "#6a3fc4"),
        other=("#ffffff", "#0d7565"), bar="#eceae3",
    ),
    "contrast": Tones(
        dark=True, back="#000000", text="#ffffff", dim="#e4e4e4", line="#8a8a8a", ok="#5dff7f", warn="#ffd84d",
        bad="#ff9a9a", accent="#7fd7ff", llm="#ff9dff",
        freq="#8fd0ff", select="#00307a", production=("#ffffff", "#c00020"), rehearsal=("#000000", "#ffb0ff"),
        other=("#000000", "#7fffe0"), bar="#202020",
    ),
    "colour-blind": Tones(
        dark=True, back="#0f1319", text="#d9dfe9", dim="#9aa4b6", line="#3a4456", ok="#56b4e9", warn="#f0e442",
        bad="#ff9a2e", accent="#a9c8ff", llm="#e69fd0",
        freq="#86a7c8", select="#22304a", production=("#10141b", "#ff9a2e"), rehearsal=("#10141b", "#cfd8e6"),
        other=("#10141b", "#56b4e9"), bar="#1a212d",
    ),
}  # fmt: skip

NAMES = (*TONES, "terminal", "mono")
STATES = ("ok", "warn", "bad", "dim")
PLACES = ("production", "rehearsal", "other")


@cache
def palette(name: str) -> dict[str, Style]:
    """Style names to styles: every name that a canvas may use."""
    match name:
        case "mono":
            return _plain(MONO)
        case "terminal":
            return _plain(TERMINAL)
        case _:
            return _coloured(TONES[name])


def _coloured(t: Tones) -> dict[str, Style]:
    def on(color: str, back: str = t.back, bold: bool = False) -> Style:
        return Style(color=color, bgcolor=back, bold=bold or None)

    badge_text = t.back if t.dark else "#ffffff"
    styles = {
        "text": on(t.text), "strong": on(t.text, bold=True), "dim": on(t.dim), "faint": on(t.dim), "line": on(t.line),
        "head": on(t.dim, bold=True), "ok": on(t.ok), "warn": on(t.warn), "bad": on(t.bad), "info": on(t.accent),
        "accent": on(t.accent), "ok+": on(t.ok, bold=True), "warn+": on(t.warn, bold=True),
        "bad+": on(t.bad, bold=True), "info+": on(t.accent, bold=True), "key": on(t.accent, bold=True),
        "llm": on(t.llm), "freq": on(t.freq), "curve": on(t.accent), "over": on(t.bad), "limit": on(t.warn),
        "bar": on(t.text, t.bar), "bar-dim": on(t.dim, t.bar), "bar-key": on(t.accent, t.bar, bold=True),
        "bar-bad": on(t.bad, t.bar, bold=True), "tab": on(t.back, t.accent, bold=True), "select": on(t.text, t.select),
        "select-dim": on(t.dim, t.select), "select-ok": on(t.ok, t.select), "select-warn": on(t.warn, t.select),
        "select-bad": on(t.bad, t.select), "select-key": on(t.accent, t.select, bold=True),
        "alarm": on(badge_text, t.bad, bold=True), "caution": on(badge_text, t.warn, bold=True),
        "fine": on(badge_text, t.ok, bold=True), "calm": on(t.text, t.select, bold=True),
    }  # fmt: skip
    for state, color in zip(STATES, (t.ok, t.warn, t.bad, t.dim), strict=True):
        tint = mixed(t.back, color, 0.14)
        styles |= {f"band-{state}": on(t.text, tint), f"band-{state}+": on(t.text, tint, bold=True)}
    for place, (text, back) in zip(PLACES, (t.production, t.rehearsal, t.other), strict=True):
        tint = mixed(t.back, back, 0.18)
        styles |= {
            place: on(text, back, bold=True),
            f"{place}-bar": on(t.text, tint),
            f"{place}-key": on(t.text, tint, bold=True),
        }
    return styles


def mixed(one: str, other: str, share: float) -> str:
    """A colour between two: `share` of the other."""
    first, second = (Color.parse(color).get_truecolor() for color in (one, other))
    return blend_rgb(first, second, share).hex


def _plain(names_of: dict[str, str]) -> dict[str, Style]:
    """From the names that have a style, by style."""
    return {name: Style.parse(style) for style, names in names_of.items() for name in names.split()}


TERMINAL = {
    "default": "text dim faint band-dim",
    "bold": "strong head band-ok+ band-warn+ band-bad+ band-dim+",
    "dim": "line",
    "green": "ok band-ok",
    "yellow": "warn limit band-warn",
    "red": "bad over band-bad",
    "cyan": "info accent curve",
    "bold green": "ok+",
    "bold yellow": "warn+",
    "bold red": "bad+",
    "bold cyan": "info+ key",
    "magenta": "llm",
    "blue": "freq",
    "reverse": "bar bar-dim select select-dim select-ok production-bar rehearsal-bar other-bar",
    "bold reverse": "bar-key select-warn select-bad select-key calm production-key rehearsal-key other-key",
    "bold red reverse": "bar-bad",
    "bold black on cyan": "tab other",
    "bold white on red": "alarm production",
    "bold black on yellow": "caution",
    "bold black on green": "fine",
    "bold black on magenta": "rehearsal",
}
MONO = {
    "default": (
        "text dim faint ok info accent llm freq curve over bar bar-dim band-ok band-warn "
        "band-bad band-dim production-bar rehearsal-bar other-bar"
    ),
    "bold": (
        "strong head warn bad ok+ info+ key bar-key limit warn+ bad+ bar-bad band-ok+ band-warn+ "
        "band-bad+ band-dim+ production-key rehearsal-key other-key"
    ),
    "reverse": "tab select select-dim select-ok select-warn select-bad select-key",
    "bold reverse": "alarm caution fine calm production rehearsal other",
    "dim": "line",
}


def dress(app: App[Any], name: str) -> None:
    """Give an app every theme, and this one now. Nothing moves: a slow line pays for each frame."""
    for known in NAMES:
        app.register_theme(theme(known))
    app.theme = f"console-{name}"
    app.animation_level = "none"


def theme(name: str) -> Theme:
    """The theme for Textual's own widgets: inputs, the palette, notices."""
    from textual.theme import BUILTIN_THEMES, Theme

    if name in ("terminal", "mono"):
        return replace(BUILTIN_THEMES["ansi-dark"], name=f"console-{name}")
    t = TONES[name]
    return Theme(
        name=f"console-{name}", dark=t.dark, primary=t.accent, secondary=t.freq, accent=t.llm, warning=t.warn,
        error=t.bad, success=t.ok, foreground=t.text, background=t.back, surface=t.back, panel=t.bar, boost=t.select,
    )  # fmt: skip


# -- the user's choice is remembered -----------------------------------------------------------------------------------


def settings() -> Path:
    """The file of the remembered choices."""
    if sys.platform == "linux":  # as platformdirs does there; importing it takes longer than painting the first frame
        home = os.environ.get("XDG_CONFIG_HOME", "")
        configuration = Path(home if home.strip() else os.path.expanduser("~/.config"))
    else:
        from platformdirs import user_config_path

        configuration = user_config_path()
    return configuration / "rollout-console" / "console.json"


def recall(key: str, default: str = "") -> str:
    """A remembered choice, or the default if there is none or it can't be read."""
    try:
        return str(json.loads(settings().read_text())[key])
    except (OSError, ValueError, KeyError, TypeError):
        return default


def remember(key: str, value: str) -> None:
    """Best effort: a read-only home is not worth an error."""
    path = settings()
    try:
        kept = json.loads(path.read_text())
    except (OSError, ValueError):
        kept = {}
    if not isinstance(kept, dict):
        kept = {}
    kept[key] = value
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps(kept).encode(), durable=False)
    except OSError:
        return


def color_system() -> ColorSystem:
    """The colours of this terminal, by the rules of `rich.console.Console`, which takes longer to import than the first
    frame to draw."""
    if os.environ.get("COLORTERM", "").strip().lower() in ("truecolor", "24bit"):
        return ColorSystem.TRUECOLOR
    kind = os.environ.get("TERM", "").strip().lower().rpartition("-")[2]
    return ColorSystem.EIGHT_BIT if kind in ("256color", "kitty") else ColorSystem.STANDARD


def choose(asked: str | None) -> str:
    """The initial theme: the option, else no colour under NO_COLOR, else the remembered choice, else the one for the
    terminal's background.

    A 16-colour terminal gets its own 16: another theme rounded to them would be grey on grey."""
    if asked in NAMES:
        remember("theme", asked)
        return asked
    if os.environ.get("NO_COLOR"):
        return "mono"
    kept = recall("theme", "light" if _on_white() else "dark")
    if kept not in ("terminal", "mono") and color_system() is ColorSystem.STANDARD:
        return "terminal"
    return kept if kept in NAMES else "dark"


def _on_white() -> bool:
    """Whether the terminal reports a light background, as rxvt, Konsole and others do: "0;15" is black on white."""
    return os.environ.get("COLORFGBG", "").rpartition(";")[2] in ("7", "15")
