"""Decides whether a key press was meant. Type-ahead and pasted text must not act; a tired person's single key must.

- Keys that were typed before the first paint are dropped: they were typed without seeing what they act on.
- Outside of inputs a key of text (Enter and Tab too) that follows another within 30 ms is part of a paste and is
dropped. j and k are
  not: a held key over a slow line arrives in lumps. Neither are the keys that move through time, as long as they come
  among themselves.
- Where a question for a text was expected and refused ("nothing to resume"), what is typed on, blind, is that text: it
is dropped
  until a pause. Else its letters would act, and its Enter and y might confirm. Digits, j and k only move. The same
  holds for a screen that opened without a key: what is pressed at that moment is meant for the screen it covers.
- R, u and y are *deliberate*: they wait 4 ms for what follows. R is refused only inside an evident paste: four or more
  keys, three of them different, or two different ones right behind it. For over a slow line "2" and "R" may well arrive
  together, and a rollback too many can be undone. A row of R is one press, for half a second.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Sequence
from typing import Literal

Verdict = Literal["take", "drop", "wait", "refuse"]
Burst = deque[str]

BURST_S = 0.030
GRACE_S = 0.004
PAUSE_S = 1.0
REPEATED_S = 0.5  # how long an R right behind an R is the same press: a pasted row of them is one rollback
DELIBERATE = frozenset("Ruy")
FREE = frozenset("jk")
TRAVEL = frozenset("[],.")
ESCAPE = "\x1b"
TYPED = "\r\n\t"  # keys that a paste contains too

# actions that change something; a read-only console doesn't bind them. R isn't among them: whoever may look may roll
# back
ACTING = frozenset((
    "undo", "promote", "override", "approve", "hold", "resume", "sign", "revoke", "check_item", "restore",
    "restore_bad_window", "undo_restore", "why", "complaint", "draw", "better", "flaw", "judge", "measure", "send",
    "resend", "remind", "tick", "write", "run", "fault", "calm", "speed", "start_engine", "on_gate", "acknowledge",
    "hand_over", "go_by",
))  # fmt: skip


_SEQUENCE = re.compile(r"\x1b(?:[\[O][0-9;:?<>=]*[ -/]*[@-~]|.)?", re.DOTALL)
_F9 = "\x1b[20~"


def key_names(typed: str) -> list[str]:
    """Early input as key names: text keys and F9; everything else is ignored."""
    keys = ["f9"] * typed.count(_F9)
    return keys + [char for char in _SEQUENCE.sub("", typed) if char.isprintable()]


def report_dropped(keys: Sequence[str]) -> tuple[str, str] | None:
    """(sentence, style) about keys typed before the first paint: a person who pressed R must learn that it did
    nothing."""
    if "R" in keys or "f9" in keys:
        key = "R" if "R" in keys else "F9"
        return (
            f"{key} was pressed before this screen was ready and IGNORED: nothing was rolled back. To roll "
            "back, press R now.",
            "alarm",
        )
    if any(len(key) == 1 for key in keys):
        return "Keys typed before this screen was ready were ignored.", "caution"
    return None


class KeyGuard:
    """The most recent keys and their times (seconds on one monotonic clock)."""

    def __init__(self) -> None:
        self.ready = False
        self._chain = Burst(maxlen=64)
        self._last = -1.0
        self._pressed = -1.0  # the last R that was not a repetition
        self._blind: float | None = None  # the last moment of what is typed without seeing the screen
        self._text = False  # it is a text, whose digits are text too

    def typed_blind_from(self, at: float, *, text: bool) -> None:
        """The screen is not what the person at the keyboard expects: no question for a `text` opened, or a screen
        opened without a key."""
        self._blind, self._text = at, text

    def left_text(self, at: float) -> None:
        """Enter ended a text: what follows it at once is the rest of a paste, and its y confirms nothing."""
        self._chain = Burst("\r", maxlen=64)
        self._last = at

    def _typed_blind(self, character: str, at: float) -> bool:
        if character.isdigit() and not self._text:
            self._blind = None  # the person goes to a screen of their choice
        if self._blind is None or character == "R" or character in FREE or character.isdigit():
            return False
        if at - self._blind > PAUSE_S:
            self._blind = None
            return False
        self._blind = at
        return True

    def take(self, character: str | None, at: float, typing: bool) -> Verdict:
        """`typing`: an input has the focus and this key is text for it. After "wait", call `resolve_deliberate` once
        GRACE_S is over."""
        if not self.ready:
            return "drop"
        if character == ESCAPE:
            self._blind = None  # whoever leaves a screen has seen it
        if typing or character is None or not (character.isprintable() or character in TYPED):
            return "take"
        if self._typed_blind(character, at):
            return "drop"
        if at - self._last > BURST_S:
            self._chain = Burst(maxlen=64)
        self._chain.append(character)
        self._last = at
        if character == "R":
            if [*self._chain][-2:] == ["R", "R"] and at - self._pressed < REPEATED_S:
                return "drop"
            self._pressed = at
        if character in DELIBERATE:
            return "wait"
        return "take" if len(self._chain) == 1 or character in FREE or TRAVEL.issuperset(self._chain) else "drop"

    @property
    def burst(self) -> Burst:
        """The keys that came together with the last one; those that follow it at once are added to it."""
        return self._chain

    def resolve_deliberate(self, character: str, burst: Burst) -> Verdict:
        """The verdict on a deliberate key of this burst, once it is known what followed it. It may be late, when a
        key of a person has begun another burst."""
        if character == "R":
            keys = list(burst)
            behind = keys[len(keys) - keys[::-1].index("R") :] if "R" in keys else []
            paste = (len(keys) >= 4 and len(set(keys)) >= 3) or len(set(behind)) >= 2
            return "refuse" if paste else "take"
        return "take" if len(burst) <= 1 else "drop"
