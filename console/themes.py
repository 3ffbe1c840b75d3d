"""Looks: what each named style of a canvas is in colours. State is always told by a word and a sign too; colour only repeats it.

`dark` and `light` for daily use, `contrast` for bright rooms and tired eyes, `colour-blind` (blue and orange instead of green and
red), `terminal` for the terminal's own 16 colours, and `mono` without any (chosen by itself under NO_COLOR).
"""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from rich.style import Style
from textual.theme import Theme


class Tones(NamedTuple):
    """A look in seventeen colours."""

    dark: bool
    back: str
    text: str
    dim: str
    faint: str
    ok: str
    warn: str
    bad: str
    info: str
    accent: str
    llm: str
    freq: str
    select: str
    production: tuple[str, str]  # text, background
    rehearsal: tuple[str, str]
    other: tuple[str, str]
    bar: str  # background of the header beside the environment


TONES: dict[str, Tones] = {
    "dark": Tones(
        True, "#10141b", "#d3dae6", "#8a94a7", "#465064", "#86c98e", "#e5b567", "#ff7a72", "#7fb4f0", "#7fb4f0", "#c3a3f2", "#6d8fb3",
        "#243149", ("#ffffff", "#8f2433"), ("#1b1033", "#b9a0ff"), ("#06231f", "#6fd0bd"), "#1a212d",
    ),
    "light": Tones(
        False, "#fbfaf7", "#23272e", "#5d6673", "#b9bfc8", "#1f7a3a", "#8a5a00", "#c02626", "#1c5fae", "#1c5fae", "#7436b8", "#3d6389",
        "#dbe6f5", ("#ffffff", "#a31f33"), ("#ffffff", "#6a3fc4"), ("#ffffff", "#0d7565"), "#eceae3",
    ),
    "contrast": Tones(
        True, "#000000", "#ffffff", "#e0e0e0", "#9a9a9a", "#5dff7f", "#ffd84d", "#ff6b6b", "#7fd0ff", "#ffff00", "#ff9dff", "#8fd0ff",
        "#0040c0", ("#ffffff", "#c00020"), ("#000000", "#ffb0ff"), ("#000000", "#7fffe0"), "#202020",
    ),
    "colour-blind": Tones(
        True, "#10141b", "#d9dee7", "#919aab", "#4a5366", "#56b4e9", "#f0e442", "#ff9a2e", "#9fc6ff", "#9fc6ff", "#e69fd0", "#7394b5",
        "#243149", ("#10141b", "#ff9a2e"), ("#10141b", "#cfd8e6"), ("#10141b", "#56b4e9"), "#1a212d",
    ),
}  # fmt: skip

NAMES = (*TONES, "terminal", "mono")


@cache
def palette(name: str) -> dict[str, Style]:
    """Style names to styles. Every name that a canvas may hold is here."""
    if name == "mono":
        return _mono()
    if name == "terminal":
        return _terminal()
    t = TONES[name]

    def on(color: str, back: str = t.back, **more: Any) -> Style:
        return Style(color=color, bgcolor=back, **more)

    base = {
        "text": on(t.text), "strong": on(t.text, bold=True), "dim": on(t.dim), "faint": on(t.faint), "head": on(t.dim, bold=True),
        "ok": on(t.ok), "warn": on(t.warn), "bad": on(t.bad), "info": on(t.info), "accent": on(t.accent),
        "ok+": on(t.ok, bold=True), "warn+": on(t.warn, bold=True), "bad+": on(t.bad, bold=True), "info+": on(t.info, bold=True),
        "key": on(t.accent, bold=True), "llm": on(t.llm), "freq": on(t.freq), "curve": on(t.info), "limit": on(t.warn),
        "bar": on(t.text, t.bar), "bar-dim": on(t.dim, t.bar), "bar-key": on(t.accent, t.bar, bold=True), "bar-bad": on(t.bad, t.bar, bold=True),
        "tab": on(t.back, t.accent, bold=True),
        "select": on(t.text, t.select), "select-dim": on(t.dim, t.select), "select-ok": on(t.ok, t.select), "select-warn": on(t.warn, t.select),
        "select-bad": on(t.bad, t.select), "select-key": on(t.accent, t.select, bold=True),
        "production": Style(color=t.production[0], bgcolor=t.production[1], bold=True),
        "rehearsal": Style(color=t.rehearsal[0], bgcolor=t.rehearsal[1], bold=True),
        "other": Style(color=t.other[0], bgcolor=t.other[1], bold=True),
        "alarm": Style(color=t.back if t.dark else "#ffffff", bgcolor=t.bad, bold=True),
        "caution": Style(color=t.back if t.dark else "#ffffff", bgcolor=t.warn, bold=True),
        "fine": Style(color=t.back if t.dark else "#ffffff", bgcolor=t.ok, bold=True),
    }  # fmt: skip
    return base


def _terminal() -> dict[str, Style]:
    p = Style.parse
    return {
        "text": p("default"), "strong": p("bold"), "dim": p("dim"), "faint": p("dim"), "head": p("bold"), "ok": p("green"),
        "warn": p("yellow"), "bad": p("red"), "info": p("cyan"), "accent": p("cyan"), "ok+": p("bold green"), "warn+": p("bold yellow"),
        "bad+": p("bold red"), "info+": p("bold cyan"), "key": p("bold cyan"), "llm": p("magenta"), "freq": p("blue"), "curve": p("cyan"),
        "limit": p("yellow"), "bar": p("reverse"), "bar-dim": p("reverse"), "bar-key": p("bold reverse"), "bar-bad": p("bold red reverse"),
        "tab": p("bold reverse"), "select": p("reverse"), "select-dim": p("reverse"), "select-ok": p("reverse green"),
        "select-warn": p("reverse yellow"), "select-bad": p("reverse red"), "select-key": p("bold reverse"),
        "production": p("bold white on red"), "rehearsal": p("bold black on magenta"), "other": p("bold black on cyan"),
        "alarm": p("bold white on red"), "caution": p("bold black on yellow"), "fine": p("bold black on green"),
    }  # fmt: skip


def _mono() -> dict[str, Style]:
    p = Style.parse
    plain, bold, dim, rev = p("default"), p("bold"), p("dim"), p("reverse")
    strong_rev, under = p("bold reverse"), p("bold underline")
    return {
        **dict.fromkeys(("text", "ok", "info", "accent", "llm", "freq", "curve", "bar", "bar-dim"), plain),
        **dict.fromkeys(("strong", "head", "warn", "bad", "ok+", "info+", "key", "bar-key", "limit"), bold),
        **dict.fromkeys(("dim", "faint"), dim),
        **dict.fromkeys(("warn+", "bad+", "bar-bad"), under),
        **dict.fromkeys(("tab", "select", "select-dim", "select-ok", "select-warn", "select-bad", "select-key"), rev),
        **dict.fromkeys(("production", "rehearsal", "other", "alarm", "caution", "fine"), strong_rev),
    }


def theme(name: str) -> Theme:
    """The same look for Textual's own widgets: inputs, the palette, notices."""
    if name in ("terminal", "mono"):
        return Theme(
            name=f"console-{name}", ansi=True, primary="ansi_blue", secondary="ansi_cyan", warning="ansi_yellow", error="ansi_red",
            success="ansi_green", accent="ansi_cyan", foreground="ansi_default", background="ansi_default", surface="ansi_default",
            panel="ansi_default", boost="ansi_default",
            variables={"block-cursor-foreground": "ansi_black", "block-cursor-background": "ansi_white",
                       "input-cursor-background": "ansi_white", "input-cursor-foreground": "ansi_black"},
        )  # fmt: skip
    t = TONES[name]
    return Theme(
        name=f"console-{name}", dark=t.dark, primary=t.accent, secondary=t.freq, warning=t.warn, error=t.bad, success=t.ok, accent=t.llm,
        foreground=t.text, background=t.back, surface=t.back, panel=t.bar, boost=t.select,
    )  # fmt: skip


# -- what a person chose is remembered ------------------------------------------------------------------------------------


def _settings() -> Path:
    from platformdirs import user_config_path

    return user_config_path("rollout-console") / "console.json"


def recall(key: str, default: str = "") -> str:
    """A remembered choice; the default when nothing was remembered or it cannot be read."""
    try:
        return str(json.loads(_settings().read_text())[key])
    except (OSError, ValueError, KeyError, TypeError):
        return default


def remember(key: str, value: str) -> None:
    """Best effort: a read-only home is no reason to bother anyone."""
    path = _settings()
    try:
        kept = json.loads(path.read_text())
    except (OSError, ValueError):
        kept = {}
    if not isinstance(kept, dict):
        kept = {}
    kept[key] = value
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".{os.getpid()}")
        part.write_text(json.dumps(kept))
        part.replace(path)
    except OSError:
        return


def choose(asked: str | None) -> str:
    """The look to start with: what was asked for, else no colour when NO_COLOR is set, else what was remembered."""
    if asked in NAMES:
        remember("theme", asked)
        return asked
    if os.environ.get("NO_COLOR"):
        return "mono"
    kept = recall("theme", "dark")
    return kept if kept in NAMES else "dark"
