"""A frame that was drawn before the screen's library was there, and what it knows of the terminal."""

from __future__ import annotations

from types import FrameType
from typing import NoReturn

from console.terminal import escape
from console.terminal.diff import Frame
from console.terminal.first_keys import FirstKeys


class FirstFrame:
    def __init__(self, frame: Frame, size: tuple[int, int]) -> None:
        self.frame = frame
        self.typed = ""  # keys that came before it, which must not act
        self.keys: FirstKeys | None = None  # those that came under it, which act
        self.seen = True  # False: the terminal did not accept it, so keys are typed blind
        self.signalled = 0  # exit code of a signal that came while the screen was not there yet
        self.taken = False  # the screen's driver continues on it, and restores the terminal at the end
        self._size = size

    def leave(self, number: int, _: FrameType | None) -> NoReturn:
        """Handles a signal. Python drops the exception where it interrupts a destructor or a weak reference's callback,
        of which imports run many: then the screen ends as soon as it is there."""
        self.signalled = 128 + number
        raise SystemExit(self.signalled)

    def take(self) -> bool:
        """Continue on it; False if it has to be drawn again, because the terminal has another size now."""
        self.taken = True
        with_size = escape.size() == self._size
        if not with_size:
            self.frame.forget()
        return with_size
